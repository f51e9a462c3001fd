"""Which real projects are replayed when none is named: pinned, and different in shape."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two neighbouring releases of one project.

    `needs` are the requirements of its tests; empty: its own `test`, `tests` or `testing` extra or group, and
    its requirements files for tests.
    """

    name: str
    old: str
    new: str
    shape: str = "named on the command line"
    needs: tuple[str, ...] = ()


PAIRS = (
    Pair(
        name="cachetools",
        old="5.4.0",
        new="5.5.0",
        shape="src layout, unittest-style classes with mixins",
        needs=("pytest",),
    ),
    Pair(
        name="more-itertools",
        old="10.2.0",
        new="10.3.0",
        shape="flat layout, two very large test files",
        needs=("pytest",),
    ),
    Pair(
        name="attrs",
        old="23.1.0",
        new="23.2.0",
        shape="many files, two packages in src, property tests, its CI in the release",
        needs=("pytest", "hypothesis", "cloudpickle", "zope.interface"),
    ),
)

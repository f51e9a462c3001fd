"""What one access decision takes: every action, asked through every face by who may and by who may not."""

from __future__ import annotations

import itertools
import time

from core.domain.access import AccessLevel
from core.security.access import Action, Asker, Face, Levels, Scope, may
from tests.bench.figure import Figure, quantile

_BAR_US = 20.0
_PROJECT = "shop"


def measure(*, decisions: int) -> list[Figure]:
    cases = list(itertools.product(Action, _askers()))
    spent: list[float] = []
    allowed = 0
    for action, asker in itertools.islice(itertools.cycle(cases), max(decisions, len(cases))):
        began = time.perf_counter()
        decision = may(action, asker, _PROJECT)
        spent.append(time.perf_counter() - began)
        allowed += decision.allowed
    middle, late = quantile(spent, 0.5) * 1e6, quantile(spent, 0.99) * 1e6
    return [
        Figure(
            what=f"an access decision, median of {len(spent)}",
            value=f"{middle:.1f} us",
            bar=f"<= {_BAR_US:g} us",
            holds=middle <= _BAR_US,
            note=f"p99 {late:.1f} us; {allowed} allowed; {len(cases)} pairs of an action and an asker",
        )
    ]


def _askers() -> list[Asker]:
    """At each level and face, in one of a hundred projects that they know."""
    found = []
    for level, face in itertools.product(AccessLevel, Face):
        projects = {f"project-{number}": AccessLevel.VIEWER for number in range(99)} | {_PROJECT: level}
        found.append(
            Asker(
                name="user:ann",
                levels=Levels(projects=projects),
                face=face,
                second_factor=True,
                scopes=frozenset(Scope) if face is Face.API else None,
            )
        )
    return found

"""PURE: how gates name tests and files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

_SHOWN = 5
_EXPLAINED = 10


def some(names: Iterable[str]) -> str:
    """The first few names, and how many more there are."""
    every = [_printable(name) for name in names]
    shown = ", ".join(every[:_SHOWN])
    return shown if len(every) <= _SHOWN else f"{shown} and {len(every) - _SHOWN} more"


def with_reasons(reasons: Sequence[tuple[str, str]]) -> str:
    """`test (reason); test (reason)`, the first few."""
    shown = "; ".join(
        _printable(f"{name} ({reason})" if reason else name) for name, reason in reasons[:_EXPLAINED]
    )
    return shown if len(reasons) <= _EXPLAINED else f"{shown}; and {len(reasons) - _EXPLAINED} more"


def _printable(text: str) -> str:
    """File names may hold bytes that are no text, and messages more than one line."""
    return " ".join(text.encode("utf-8", "replace").decode().split())

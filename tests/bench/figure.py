"""What a benchmark found, and the table of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rich.table import Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One line. `holds` is None where there is no bar; `baseline` is what the same run gave without us."""

    what: str
    value: str
    baseline: str = ""
    ratio: float | None = None
    bar: str = ""
    holds: bool | None = None
    note: str = ""


def quantile(values: Iterable[float], share: float) -> float:
    """The value below which `share` (0 to 1) of them lie; the nearest rank."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.{1 if seconds < 0.1 else 0}f} ms"


def table(figures: Iterable[Figure], *, title: str) -> Table:
    found = Table(title=title, title_justify="left", show_lines=False)
    for name in ("what", "Orchard", "without Orchard", "ratio", "bar", "", "note"):
        found.add_column(name, justify="right" if name in ("Orchard", "without Orchard", "ratio") else "left")
    for figure in figures:
        found.add_row(
            figure.what,
            figure.value,
            figure.baseline,
            "" if figure.ratio is None else f"{figure.ratio:.2f}",
            figure.bar,
            {None: "", True: "[green]holds[/]", False: "[red]above[/]"}[figure.holds],
            figure.note,
        )
    return found

"""What happened, test by test: for the terminal, and whole as text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from core.domain.event import EventKind
from core.domain.evidence import Evidence
from core.domain.lifecycles import Phase
from tests.real.drive import Outcome

_TOLD = (EventKind.STORY_SENT_BACK, EventKind.STORY_BLOCKED, EventKind.APPROVAL_REQUESTED)
_SHOWN = 12  # rows of tests in the terminal; the text report has all


def summary(outcomes: Sequence[Outcome]) -> Table:
    table = Table(title="Real changes, replayed", show_lines=False)
    for title in ("project", "releases", "red", "green", "at once", "merged tree", "seconds"):
        table.add_column(title)
    for outcome in outcomes:
        red, green = _evidence(outcome, Phase.TEST_RED), _evidence(outcome, Phase.CODE_GREEN)
        pair = outcome.stage.pair
        table.add_row(
            pair.name,
            f"{pair.old} -> {pair.new}",
            f"{len(red.red)}" + (f" and {len(red.red_files)} files" if red.red_files else ""),
            str(len(green.green)),
            str(len(red.characterisation)),
            "the later release" if outcome.held else f"[red]not merged: {outcome.detail.view.status}[/red]",
            f"{outcome.seconds:.0f}",
        )
    return table


def gates(outcome: Outcome) -> Table:
    table = Table(title=f"{outcome.stage.pair.name}: gates")
    for title in ("phase", "attempt", "verdict", "evidence"):
        table.add_column(title, overflow="fold")
    for gate in outcome.detail.gates:
        verdict = "passed" if gate.verdict.passed else "[red]refused[/red]"
        said = _sentence(gate.verdict.evidence) if gate.verdict.passed else gate.verdict.explain()
        table.add_row(gate.phase, str(gate.attempt), verdict, escape(said))
    return table


def fates(outcome: Outcome, *, limit: int | None = _SHOWN) -> Table:
    rows = list(_rows(outcome))
    table = Table(title=f"{outcome.stage.pair.name}: tests that the change is about")
    for title in ("test", "before", "at red", "at green"):
        table.add_column(title, overflow="fold")
    for row in rows if limit is None else rows[:limit]:
        table.add_row(*map(escape, row))
    if limit is not None and len(rows) > limit:
        table.add_row(f"... and {len(rows) - limit} more, in the text report", "", "", "")
    return table


def write_text(outcome: Outcome, path: Path) -> None:
    """The whole report, without colours."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as file:
        console = Console(file=file, width=160, color_system=None)
        for line in lines(outcome, limit=None):
            console.print(line, markup=False, highlight=False, soft_wrap=True)
        console.print(gates(outcome))
        console.print(fates(outcome, limit=None))
        for kind, explanation in _EXPLAINED.items():
            console.print(f"{kind}: {explanation}", markup=False, highlight=False, soft_wrap=True)


_EXPLAINED = {
    "passed at once": "added with the change, but true before it: kept, and never counted as red",
    "file not collected": "the whole file failed to import before the code was there: its tests are red",
    "failing before": "failed at the base too: it may stay so, and proves nothing",
}


def lines(outcome: Outcome, *, limit: int | None = _SHOWN) -> Iterator[str]:
    """The story in sentences; at most `limit` names in each."""
    stage, split = outcome.stage, outcome.stage.split
    yield f"{stage.pair.name} {stage.pair.old} -> {stage.pair.new} ({stage.pair.shape})"
    yield from stage.notes
    for reason in dict.fromkeys(split.by_person.values()):
        paths = [path for path, why in split.by_person.items() if why == reason]
        yield f"a person's own commit, first ({reason}): {_some(paths, limit)}"
    yield f"red's edits: {len(split.red)} files: {_some(list(split.red), limit)}"
    yield f"green's edits: {len(split.green)} files: {_some(list(split.green), limit)}"
    for event in outcome.events:
        if event.kind in _TOLD:
            said = event.data.get("reason") or event.data.get("reasons") or ""
            yield f"{event.kind}: {said if isinstance(said, str) else '; '.join(said)}"
    yield _verdict(outcome)
    if not outcome.held:
        yield f"differs from {stage.pair.new}: {_some(outcome.differing, limit)}"


def _some(names: Sequence[str], limit: int | None) -> str:
    shown = names if limit is None else names[:limit]
    more = len(names) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def _verdict(outcome: Outcome) -> str:
    if outcome.held:
        return f"merged: the main branch is {outcome.stage.pair.new}, byte for byte"
    if outcome.timed_out:
        return f"took too long: {outcome.detail.view.why or outcome.detail.view.status}"
    if outcome.detail.view.status == "done":
        return f"merged, but {len(outcome.differing)} files are not those of {outcome.stage.pair.new}"
    return f"{outcome.detail.view.status}: {outcome.detail.view.why}"


def _rows(outcome: Outcome) -> Iterator[tuple[str, str, str, str]]:
    red, green = _evidence(outcome, Phase.TEST_RED), _evidence(outcome, Phase.CODE_GREEN)
    merged = bool(green.tree)
    passed_before = set(red.base_passed)
    for test in red.red:
        before = "passed" if test in passed_before else "not there"
        yield test, before, "failed", "passed" if test in green.green else "failed" if merged else "-"
    for file in red.red_files:
        yield (
            file,
            "not there",
            "file not collected",
            f"{_inside(green, file)} tests passed" if merged else "-",
        )
    for test in red.characterisation:
        yield test, "not there", "passed at once", "passed" if merged else "-"
    for test in red.failing_before:
        yield test, "failed", "failing before", "-"
    for test in red.flaky:
        yield test, "-", "flaky", "-"


def _inside(green: Evidence, file: str) -> list[str]:
    module = file.removesuffix(".py").replace("/", ".")
    return [test for test in green.green if test.startswith((f"{module}.", f"{module}::", file))]


def _evidence(outcome: Outcome, phase: Phase) -> Evidence:
    """Of the last passed gate of the phase; empty when there was none."""
    passed = [
        gate.verdict.evidence for gate in outcome.detail.gates if gate.phase is phase and gate.verdict.passed
    ]
    return passed[-1] if passed else Evidence()


def _sentence(evidence: Evidence) -> str:
    parts = [
        f"{evidence.passed_count} passed" if evidence.passed_count else "",
        f"{len(evidence.red)} red" if evidence.red else "",
        f"{len(evidence.red_files)} files not collected" if evidence.red_files else "",
        f"{len(evidence.green)} of red pass" if evidence.green else "",
        f"{len(evidence.characterisation)} passed at once" if evidence.characterisation else "",
        f"{len(evidence.failing_before)} failing before" if evidence.failing_before else "",
        f"{len(evidence.skipped)} skipped" if evidence.skipped else "",
        "verdict from the cache" if evidence.cached else "",
        *evidence.notes,
    ]
    return "; ".join(part for part in parts if part)

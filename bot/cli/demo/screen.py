"""What the demo shows in the terminal. Pure: views in, renderables out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from core.domain.event import Event, EventKind
from core.domain.evidence import Evidence
from core.domain.lifecycles import CycleState, Phase
from core.domain.story import StoryStatus
from core.orchestrator.views import GateView, StoryDetail, StoryView

_MARK = {
    StoryStatus.DONE: ("✓", "green"),
    StoryStatus.BLOCKED: ("✗", "red"),
    StoryStatus.AWAITING_APPROVAL: ("?", "yellow"),
    StoryStatus.RUNNING: ("●", "cyan"),
}
_SHOWN_TESTS = 2
_SAID_LINES = 8


def progress(stories: Sequence[StoryView], said: Sequence[str], seconds: float) -> RenderableType:
    """The live view: each story's way through its phases, and what was last said in the guild."""
    table = Table(box=box.SIMPLE_HEAD, expand=True)
    table.add_column("Story", no_wrap=True)
    table.add_column("Title", no_wrap=True, max_width=36, overflow="ellipsis")
    for phase in Phase:
        table.add_column(phase.value, justify="center", no_wrap=True)
    table.add_column("Now", ratio=1, no_wrap=True, overflow="ellipsis")
    for view in stories:
        table.add_row(view.story.id, Text(view.story.title), *_way(view), Text(_now(view)))
    lines = Text("\n".join(said[-_SAID_LINES:]) or "…", no_wrap=True, overflow="ellipsis")
    guild = Panel(lines, title="In the guild", title_align="left", border_style="dim")
    return Group(Text(f"Orchard at work, {seconds:.0f} s", style="bold"), table, guild)


def _now(view: StoryView) -> str:
    """What happens, without the phase that the marks show already."""
    return view.why.partition(": ")[2] or view.why or str(view.status)


def _way(view: StoryView) -> list[Text]:
    if view.cycle is None:
        return [Text("·", style="dim") for _ in Phase]
    phases = list(Phase)
    if view.cycle.state is CycleState.DONE:
        return [Text("✓", style="green") for _ in phases]
    now = view.cycle.state.phase
    at = phases.index(now) if now is not None else 0
    mark, style = _MARK.get(view.status, ("○", "dim"))
    return [
        Text("✓", style="green") if i < at else Text(mark, style=style) if i == at else Text("·", style="dim")
        for i in range(len(phases))
    ]


def told(event: Event) -> Text | None:
    """One line for a terminal that cannot be drawn on; None for what is no news."""
    data = event.data
    match event.kind:
        case EventKind.EPIC_PROPOSED:
            return Text.assemble(("? ", "yellow"), f"{data['epic']} proposes {', '.join(data['stories'])}")
        case EventKind.GATE_PASSED:
            return Text.assemble(("✓ ", "green"), f"{event.story_id} {data['phase']}: {data['summary']}")
        case EventKind.GATE_REFUSED:
            return Text.assemble(("✗ ", "red"), f"{event.story_id} {data['phase']}: {data['summary']}")
        case EventKind.APPROVAL_REQUESTED:
            return Text.assemble(("? ", "yellow"), f"{data['question']} {'; '.join(data['reasons'])}")
        case EventKind.AUTO_APPROVED:
            return Text.assemble(("✓ ", "green"), f"{event.story_id} approved: {'; '.join(data['reasons'])}")
        case EventKind.STORY_BLOCKED:
            return Text.assemble(("✗ ", "red"), f"{event.story_id} is blocked: {data['reason']}")
        case EventKind.STORY_MERGED:
            return Text.assemble(("★ ", "green"), f"{event.story_id} merged as {data['commit'][:8]}")
        case _:
            return None


def results(details: Sequence[StoryDetail], people: Mapping[str, str], taken: Mapping[str, Event]) -> Table:
    """The last table: each story, what its gates saw, what was merged, and how long it took.

    `people` names who answered, by actor; `taken` tells of each proposed story when and by whom it was
    approved.
    """
    table = Table(box=box.SIMPLE_HEAD, show_lines=True, expand=True)
    table.add_column("Story", width=24)
    table.add_column("Gates, with their evidence", ratio=1)
    table.add_column("Merged", no_wrap=True)
    table.add_column("Time", justify="right", no_wrap=True)
    for detail in details:
        view = detail.view
        commit = view.cycle.merge_commit[:8] if view.cycle and view.cycle.merge_commit else str(view.status)
        merged = Text(commit, style="green" if view.status is StoryStatus.DONE else "red")
        table.add_row(
            _name(view),
            _evidence(detail, people, taken.get(view.story.id)),
            merged,
            f"{_seconds(detail):.1f} s",
        )
    return table


def _name(view: StoryView) -> Text:
    epic = f"\nof epic {view.story.epic_id}" if view.story.epic_id else ""
    return Text.assemble((view.story.id, "bold"), "\n", view.story.title, (epic, "dim"))


def _evidence(detail: StoryDetail, people: Mapping[str, str], taken: Event | None) -> Table:
    rows = [(gate.at, _gate_row(gate)) for gate in detail.gates]
    if taken is not None:
        by = Text(people.get(taken.actor, taken.actor), "green")
        rows.append((taken.at, (Text("●", "green"), by, Text("approved what the agent proposed", "green"))))
    for approval in detail.approvals:
        if approval.answered_at is not None and approval.answered_by is not None:
            who = people.get(approval.answered_by, approval.answered_by)
            style = "yellow" if approval.reason else "green"
            said = f"{approval.state}: {approval.reason}" if approval.reason else str(approval.state)
            rows.append((approval.answered_at, (Text("●", style), Text(who, style), Text(said, style))))
    grid = Table.grid(padding=(0, 1))
    grid.add_column()
    grid.add_column(no_wrap=True)
    grid.add_column(ratio=1)
    for _, row in sorted(rows, key=lambda pair: pair[0]):
        grid.add_row(*row)
    return grid


def _gate_row(gate: GateView) -> tuple[Text, Text, Text]:
    evidence, phase = gate.verdict.evidence, Text(gate.phase.value)
    if not gate.verdict.passed:
        return Text("✗", "red"), phase, Text(gate.verdict.refusals[0].sentence, "red")
    match gate.phase:
        case Phase.DESIGN:
            said = "the spec has acceptance criteria"
        case Phase.TEST_RED:
            said = _failed(evidence)
        case Phase.CODE_GREEN:
            said = f"{_some(evidence.green)} passed, {evidence.passed_count} in all"
        case Phase.REFACTOR:
            said = f"still {evidence.passed_count} passed"
        case Phase.COMMIT:
            said = f"{evidence.passed_count} passed on top of main"
    return Text("✓", "green"), phase, Text(said)


def _failed(evidence: Evidence) -> str:
    files = ", ".join(evidence.red_files)
    parts = [f"{_some(evidence.red)} failed"] if evidence.red else []
    parts += [f"{files} cannot be imported yet"] if files else []
    return ", ".join(parts)


def _some(tests: Sequence[str]) -> str:
    names = [test.rpartition("::")[2] for test in tests[:_SHOWN_TESTS]]
    rest = len(tests) - len(names)
    return ", ".join(names) + (f" and {rest} more" if rest > 0 else "")


def _seconds(detail: StoryDetail) -> float:
    cycle = detail.view.cycle
    return (cycle.updated_at - cycle.started_at).total_seconds() if cycle else 0.0

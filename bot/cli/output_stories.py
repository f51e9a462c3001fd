"""What the terminal shows of stories and epics: listed, whole, at work, logged. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from bot.cli.marks import (
    clean,
    done,
    duration,
    following,
    indented,
    next_step,
    one_line,
    status,
    table,
    when,
)
from bot.cli.words import typed
from cogs.text import count
from core.agents.reading import since_last_prompt
from core.domain.approval import ApprovalState
from core.domain.story import StoryStatus

if TYPE_CHECKING:
    from core.domain.event import Event
    from core.domain.story import Story
    from core.orchestrator.views import (
        CyclesView,
        OverlapView,
        RunView,
        StoryDetail,
        StoryView,
        TakeoverView,
    )

_TOLD = (
    "phase",
    "attempt",
    "from",
    "to",
    "state",
    "summary",
    "reason",
    "text",
    "question",
    "said",
    "error",
    "doing",
)
_LAST_LINES = 40
_OWN = frozenset({"orchard", "gate", "agent"})


# -- lists -----------------------------------------------------------------------------------------


def story_table(title: str, views: Sequence[StoryView]) -> Table:
    shown = table(title)
    shown.add_column("Story", overflow="fold")
    shown.add_column("Title", overflow="fold", max_width=32)
    shown.add_column("Priority", no_wrap=True)
    pointed = any(view.story.estimate is not None for view in views)
    if pointed:
        shown.add_column("Points", justify="right", no_wrap=True)
    shown.add_column("Status", overflow="fold")
    shown.add_column("Why", overflow="fold")
    for view in views:
        estimate = view.story.estimate
        points = ["" if estimate is None else str(estimate)] if pointed else []
        shown.add_row(
            view.story.id,
            Text(clean(view.story.title)),
            str(view.story.priority),
            *points,
            status(view.status),
            Text(clean(view.why)),
        )
    return shown


def facts(view: StoryView) -> str:
    """What it is planned by, each with a separator in front."""
    needs = [f"needs {', '.join(view.needs)}"] if view.needs else []
    return "".join(f" · {part}" for part in (*_planned_by(view.story), *needs))


def _planned_by(story: Story) -> list[str]:
    said = [
        "" if story.estimate is None else count(story.estimate, "point"),
        "" if story.priority == "normal" else str(story.priority),
        f"labels {clean(', '.join(story.labels))}" if story.labels else "",
        f"of epic {story.epic_id}" if story.epic_id else "",
    ]
    return [part for part in said if part]


# -- one story -------------------------------------------------------------------------------------


def story_added(story: Story) -> RenderableType:
    """As it was understood."""
    facts = [f"• {criterion}" for criterion in story.acceptance_criteria]
    if said := _planned_by(story):
        facts = [" · ".join(said), *facts]
    return Group(done(f"{story.id}: {story.title}"), *(indented(fact, "dim") for fact in facts))


def story_moved(view: StoryView) -> RenderableType:
    why = f" {clean(view.why)}" if view.why and view.status is not StoryStatus.BLOCKED else ""
    return Group(done(f"{view.story.id} is {view.status}."), *([indented(why.strip(), "dim")] if why else []))


def story_changed(view: StoryView) -> RenderableType:
    """As it stands now: what was meant and what was understood may differ."""
    return Group(
        done(f"{view.story.id}: {view.story.title}"),
        *([Text(f"  {said[3:]}")] if (said := facts(view)) else []),
    )


def steered(view: StoryView) -> RenderableType:
    if view.status is StoryStatus.RUNNING:
        return done(f"{view.story.id} is told; what its agent does with it shows in its log.")
    return done(f"{view.story.id} is {view.status}: its agent is told with its next prompt.")


def taken(value: TakeoverView, *, in_shell: bool = False) -> RenderableType:
    story = value.view.story.id
    return Group(
        done(f"{story} is yours; nothing of Orchard works in it. Its branch is {value.branch}."),
        Text(f"cd {clean(value.path)}", style="bold"),
        next_step(
            "When you are done, its gate judges what you leave", f"handback {story}", in_shell=in_shell
        ),
    )


def story(value: StoryDetail, *, in_shell: bool = False) -> RenderableType:
    """Everything of a story, with what was proven of it so far."""
    view = value.view
    cycle = view.cycle
    head = Text.assemble((view.story.id, "bold"), f": {clean(view.story.title)} (", status(view.status))
    phase = f", {cycle.state}, attempt {cycle.attempt}" if cycle and cycle.state.phase else ""
    parts: list[RenderableType] = [head.append(f"{phase})")]
    if said := facts(view):
        parts.append(indented(said[3:], "dim"))
    if view.story.body:
        parts.append(indented(view.story.body))
    parts += [indented(f"• {criterion}") for criterion in view.story.acceptance_criteria]
    parts += [indented(link, "dim") for link in view.story.links]
    if view.why:
        parts.append(indented(view.why, "yellow"))
    for gate in value.gates:
        sign = ("✓", "green") if gate.verdict.passed else ("✗", "red")
        parts.append(Text.assemble("  ", sign, f" {gate.phase}, attempt {gate.attempt}, {when(gate.at)}"))
        parts.append(indented(gate.verdict.explain(), by=4))
    for asked in value.approvals:
        by = f" by {asked.answered_by}" if asked.answered_by else ""
        reason = f": {asked.reason}" if asked.reason else ""
        parts.append(indented(f"? {asked.question} {asked.state}{by}{reason}", "yellow"))
    if cycle is not None and cycle.feedback and cycle.state.phase is not None:
        parts += [indented("For the agent's next prompt:", "bold"), indented(cycle.feedback, by=4)]
    if cycle is not None and cycle.spec.strip():
        parts += [indented("Its design:", "bold"), indented(cycle.spec.strip(), by=4)]
    pending = [asked.id for asked in value.approvals if asked.state is ApprovalState.PENDING]
    return Group(*parts, *(following(line) for line in _what_next(view, pending, in_shell=in_shell)))


def _what_next(view: StoryView, pending: Sequence[str], *, in_shell: bool) -> list[str]:
    story = view.story.id
    lines = {
        StoryStatus.PROPOSED: [f"approve {story}"],
        StoryStatus.BLOCKED: [f'fix {story} "..."', f"skip {story}"],
        StoryStatus.STOPPED: [f"go {story}", f"next {story}"],
        StoryStatus.TAKEN: [f"handback {story}"],
    }.get(view.status, [])
    if pending:
        lines = [f"approve {pending[0]}"]
    return [typed(line, in_shell=in_shell) for line in lines]


# -- at work ---------------------------------------------------------------------------------------


def cycles(view: CyclesView, now: datetime, *, in_shell: bool = False) -> RenderableType:
    """The project's stories at work: phase, attempt, time, overlaps, merge queue."""
    if not view.stories:
        return Group(
            Text(f"Nothing is at work in {view.project}."),
            next_step("What it waits for", f"status {view.project}", in_shell=in_shell),
        )
    shown = table(f"At work in {view.project}")
    shown.add_column("Story", overflow="fold")
    shown.add_column("Phase", no_wrap=True)
    shown.add_column("Try", justify="right", no_wrap=True)
    shown.add_column("Time", justify="right", no_wrap=True)
    shown.add_column("Status", overflow="fold")
    shown.add_column("Now", overflow="fold")
    for story in view.stories:
        cycle = story.cycle
        at_work = cycle is not None and cycle.state.phase is not None
        spent = ""
        if cycle is not None:
            spent = duration(((now if at_work else cycle.updated_at) - cycle.started_at).total_seconds())
        shown.add_row(
            story.story.id,
            str(cycle.state) if cycle is not None else "",
            str(cycle.attempt) if cycle is not None and at_work else "",
            spent,
            status(story.status),
            Text(one_line(story.why, 160)),
        )
    return Group(shown, *overlapping(view.overlaps), *merging(view.merging))


def overlapping(overlaps: Sequence[OverlapView]) -> list[RenderableType]:
    return [
        Text.assemble(
            ("⚠ ", "yellow"),
            f"{each.later} changes what {each.first} changes: {clean(', '.join(each.files[:5]))}",
            f" and {len(each.files) - 5} more" if len(each.files) > 5 else "",
        )
        for each in overlaps
    ]


def merging(queue: Sequence[str]) -> list[RenderableType]:
    return [Text(f"Merge queue: {' → '.join(queue)}")] if queue else []


def tests_ran(view: RunView) -> RenderableType:
    report = view.report
    whose = report.story_id or f"the main branch of {view.project}"
    if report.error:
        return Group(
            Text.assemble(("✗ ", "bold red"), (f"The tests of {whose} could not be run.", "bold")),
            indented(report.error),
        )
    good = tests_good(view)
    told = (
        ["exit code only"]
        if report.exit_code_only
        else [f"{report.passed} passed", f"{report.failed_count} failed"]
    )
    told += [f"{report.skipped} skipped"] if report.skipped else []
    sign = ("✓ ", "green") if good else ("✗ ", "bold red")
    said = f"{whose} at {report.commit[:10]}: {', '.join(told)} in {report.seconds:.1f} s."
    parts: list[RenderableType] = [Text.assemble(sign, said)]
    parts += [indented(f"✗ {name}", "red") for name in report.failed]
    if report.failed_count > len(report.failed):
        parts.append(indented(f"and {report.failed_count - len(report.failed)} more", "dim"))
    if report.output.strip():
        parts.append(indented(report.output.strip(), "dim"))
    return Group(*parts)


def tests_good(view: RunView) -> bool:
    report = view.report
    return not report.error and report.exit_code == 0 and not report.failed_count


# -- what happened ---------------------------------------------------------------------------------


def log(
    story_id: str, events: Sequence[Event], transcript: str, *, whole: bool = False, in_shell: bool = False
) -> RenderableType:
    """The timeline, then the end of what was said in the last turn."""
    parts: list[RenderableType] = [Text(f"What happened to {story_id} (UTC):", style="bold")]
    parts += [_event_line(event) for event in events] or [Text("  Nothing yet.")]
    if transcript.strip():
        parts += _last_turn(story_id, transcript, whole=whole, in_shell=in_shell)
    return Group(*parts)


def _last_turn(story_id: str, transcript: str, *, whole: bool, in_shell: bool) -> list[RenderableType]:
    """All of it; or what the agent said and did last, without the prompt."""
    text = clean(transcript).strip()
    said = text.splitlines()
    lines = said if whole else since_last_prompt(text).splitlines()[-_LAST_LINES:]
    parts: list[RenderableType] = [Text("\nThe last turn:", style="bold"), indented("\n".join(lines).strip())]
    if len(lines) < len(said):
        where = f"log {story_id} all" if in_shell else f"log {story_id} --all"
        parts.append(next_step("With its prompt", where, in_shell=in_shell))
    return parts


def _event_line(event: Event) -> Text:
    by = f" by {clean(event.actor)}" if event.actor not in _OWN else ""
    return Text.assemble(
        (f"  {event.at:%m-%d %H:%M:%S} ", "dim"),
        (str(event.kind).replace("_", " "), "bold"),
        f"{by}{_said(event.data)}",
    )


def _said(data: Mapping[str, Any]) -> str:
    parts = [str(data[key]) for key in _TOLD if data.get(key) not in (None, "")]
    parts += [str(data["commit"])[:10]] if data.get("commit") else []
    return f": {one_line(', '.join(parts), 220)}" if parts else ""

"""What the terminal shows of a project's sprints: what holds them, how they fell, what came of them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
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
from bot.cli.output import fault, project_table
from bot.cli.output_resources import quota_line
from bot.cli.output_stories import merging, overlapping, story_table
from bot.cli.words import possible, typed
from cogs.text import count
from core.domain.burndown import points_of
from core.domain.lifecycles import WorkflowState
from core.domain.story import EpicState, StoryStatus

if TYPE_CHECKING:
    from datetime import datetime

    from bot.cli.questions import ProjectReport
    from core.domain.story import Sprint
    from core.orchestrator.views import (
        Burndown,
        BurndownPoint,
        Digest,
        EpicView,
        ReviewView,
        SprintView,
        StoryView,
        WorkflowView,
    )

_COLUMNS, _ROWS = 60, 12  # of a chart
_KINDS = 8  # of events in a digest, the most frequent ones


# -- one project -----------------------------------------------------------------------------------


def report(value: ProjectReport, *, in_shell: bool = False) -> RenderableType:
    """One project: its counts, what holds it, its sprint and backlog."""
    allowed = possible(value.workflow.allowed)
    parts: list[RenderableType] = [project_table([value.project])]
    if value.project.problem:
        parts.append(fault(value.project.project.name, value.project.problem))
    if value.resources is not None:
        parts.append(quota_line(value.resources))
    where = "" if in_shell else " with orchard do"
    parts.append(Text(f"Possible now{where}: {allowed}", style="dim"))
    parts += [Text.assemble(("⚠ ", "yellow"), line) for line in _holding(value, in_shell=in_shell)]
    if value.sprint is not None:
        parts.append(story_table(_heading(value.sprint), value.sprint.stories))
    if value.cycles is not None:
        parts += [*overlapping(value.cycles.overlaps), *merging(value.cycles.merging)]
    planned = {view.story.id for view in value.sprint.stories} if value.sprint else set()
    rest = [view for view in value.backlog if view.story.id not in planned]
    if rest:
        parts.append(story_table("Backlog", rest))
    return Group(*parts)


def _heading(view: SprintView) -> str:
    sprint = view.sprint
    ended = [each for each in view.stories if each.status is StoryStatus.DONE]
    points = f"{_points(ended)} of {count(_points(view.stories), 'point')} done"
    goal = f": {one_line(sprint.goal)}" if sprint.goal else ""
    return f"Sprint {sprint.number}{goal} ({points})"


def _points(views: Sequence[StoryView]) -> int:
    return sum(points_of(view.story.estimate) for view in views)


def _holding(value: ProjectReport, *, in_shell: bool) -> list[str]:
    """What keeps the sprint from going on, each with the word that helps."""

    def say(line: str) -> str:
        return typed(line, in_shell=in_shell)

    name = value.workflow.project.name
    lines = [_epic_line(each, in_shell=in_shell) for each in value.epics]
    if (limit := value.workflow.limit) is not None:
        until = f"until {when(limit.until)}" if limit.until else "nobody knows until when"
        then = "it goes on by itself then" if limit.resumes else f"go on with: {say(f'resume {name}')}"
        lines.append(f"{clean(limit.agent)} takes no more work, {until}; {then}.")
        if limit.reason:
            lines.append(f"It said: {one_line(limit.reason)}")
    elif value.workflow.state is WorkflowState.SPRINT_PAUSED:
        lines.append(f"The sprint is paused. Go on with: {say(f'resume {name}')}")
    elif value.workflow.state is WorkflowState.SPRINT_REVIEW:
        lines.append(
            f"The sprint is over and waits for you: {say(f'review {name}')}, "
            f"then {say(f'feedback {name} TEXT')} or {say(f'changes {name} TEXT')}"
        )
    if value.project.pending_approvals:
        lines.append(f"{count(value.project.pending_approvals, 'question')} for you: {say('approvals')}")
    helped = {
        StoryStatus.BLOCKED: ("is blocked", "fix {0} TEXT"),
        StoryStatus.STOPPED: ("is stopped", "go {0}"),
        StoryStatus.TAKEN: ("is with a person", "handback {0}"),
    }
    for view in value.sprint.stories if value.sprint else ():
        if view.status in helped:
            what, word = helped[view.status]
            by = f" ({view.why})" if view.why and view.status is not StoryStatus.BLOCKED else ""
            lines.append(f"{view.story.id} {what}{clean(by)}: {say(word.format(view.story.id))}")
    return lines


def _epic_line(view: EpicView, *, in_shell: bool) -> str:
    epic = view.epic
    look = typed(f"epics {epic.id}", in_shell=in_shell)
    match epic.state:
        case EpicState.DESIGNING:
            return f"{epic.id} is being designed{f': {one_line(view.why)}' if view.why else ''}. Look: {look}"
        case EpicState.FAILED:
            return f"{epic.id} failed. Look: {look}"
        case _:
            proposed = sum(story.status is StoryStatus.PROPOSED for story in view.stories)
            return f"{epic.id} proposes {count(proposed, 'story', 'stories')}: {look}"


# -- sprints ---------------------------------------------------------------------------------------


def planned(view: SprintView, *, in_shell: bool = False) -> RenderableType:
    name = view.sprint.project
    held = [each for each in view.stories if each.why]
    return Group(
        done(f"Sprint {view.sprint.number} of {name}: {count(len(view.stories), 'story', 'stories')}."),
        *(indented(f"• {each.story.id}: {each.why}", "yellow") for each in held),
        next_step("", f"sprint {name}", in_shell=in_shell),
    )


def workflow(view: WorkflowView) -> RenderableType:
    return done(f"{view.project.name} is {view.state}.")


def changes_requested(project: str, views: Sequence[StoryView], *, in_shell: bool = False) -> RenderableType:
    return Group(
        done(f"{project} has {count(len(views), 'new story', 'new stories')} in its backlog."),
        *(indented(f"{view.story.id}: {view.story.title}") for view in views),
        next_step("Choose a sprint", f"plan {project}", in_shell=in_shell),
    )


def review(view: ReviewView, *, in_shell: bool = False) -> RenderableType:
    """What came of a sprint, story by story, with the evidence."""
    sprint = view.sprint
    goal = f": {one_line(sprint.goal)}" if sprint.goal else ""
    spent = f" in {duration(view.seconds)}" if view.seconds is not None else ""
    head = Text.assemble(
        (f"Sprint {sprint.number} of {sprint.project}{goal}\n", "bold"),
        f"{view.points_done} of {count(view.points_planned, 'point')} done{spent}, {_state(sprint)}",
    )
    shown = table()
    shown.add_column("Story", overflow="fold")
    shown.add_column("Status", overflow="fold")
    for name in ("Points", "Time", "Tests", "Refused"):
        shown.add_column(name, justify="right", no_wrap=True)
    shown.add_column("Merged", no_wrap=True)
    shown.add_column("Evidence", overflow="fold")
    for result in view.results:
        estimate = result.view.story.estimate
        shown.add_row(
            Text(f"{result.view.story.id}\n{one_line(result.view.story.title, 40)}"),
            status(result.view.status),
            "" if estimate is None else str(estimate),
            "" if result.seconds is None else duration(result.seconds),
            str(result.tests or ""),
            str(result.refusals or ""),
            (result.commit or "")[:8],
            Text(one_line(result.evidence, 120)),
        )
    parts: list[RenderableType] = [head, shown]
    if sprint.retrospective:
        parts.append(indented(f"“{sprint.retrospective}” ({sprint.reviewed_by})"))
    elif sprint.ended_at is not None:
        parts.append(next_step("Close it", f'feedback {sprint.project} "..."', in_shell=in_shell))
        parts.append(next_step("Or ask for more", f'changes {sprint.project} "..."', in_shell=in_shell))
    return Group(*parts)


def _state(sprint: Sprint) -> str:
    if sprint.ended_at is not None:
        return f"ended {when(sprint.ended_at)}"
    return f"started {when(sprint.started_at)}" if sprint.started_at else "planned, not started"


def burndown(view: Burndown) -> RenderableType:
    """What is left of a sprint over time: `█` what was left, `·` the straight way down."""
    sprint = view.sprint
    left = view.actual[-1].remaining if view.actual else view.total
    head = Text.assemble(
        (f"Burndown of sprint {sprint.number} of {sprint.project}\n", "bold"),
        f"{left} of {count(view.total, 'point')} left, {_state(sprint)}",
    )
    if not view.actual:
        return Group(head, following("There is a curve once the sprint has started."))
    return Group(head, Text("\n".join(chart(view))))


def chart(view: Burndown, columns: int = _COLUMNS, rows: int = _ROWS) -> list[str]:
    """Lines of text: the points to the left, the time below."""
    start, end = view.actual[0].at, view.actual[-1].at
    if view.ideal is not None:
        start, end = min(start, view.ideal[0].at), max(end, view.ideal[1].at)
    highest = max([view.total, *(point.remaining for point in view.actual)], default=0) or 1
    rows = min(rows, highest)
    step = (end - start) / columns if end > start else timedelta(0)
    lines = []
    for row in range(rows, 0, -1):
        level = highest * row / rows
        marks = ""
        for column in range(columns):
            at = start + step * (column + 1) if step else end
            before = start + step * column
            shown = column == 0 or not step or before < view.actual[-1].at
            filled = shown and _left(view.actual, at) > highest * (row - 1) / rows
            marks += "█" if filled else "·" if _on_ideal(view, at, level, highest / rows) else " "
        lines.append(f"{level:>5.0f} │{marks.rstrip()}")
    lines.append(f"{0:>5} └{'─' * columns}")
    first, last = _moment(start, end - start), _moment(end, end - start)
    lines.append(f"{'':7}{first}{last:>{max(columns - len(first), len(last) + 1)}}")
    return lines


def _left(points: Sequence[BurndownPoint], at: datetime) -> int:
    """Stairs: a value holds until the next point."""
    return next((point.remaining for point in reversed(points) if point.at <= at), points[0].remaining)


def _on_ideal(view: Burndown, at: datetime, level: float, height: float) -> bool:
    if view.ideal is None or view.ideal[1].at <= view.ideal[0].at:
        return False
    begin, finish = view.ideal
    if not begin.at <= at <= finish.at:
        return False
    gone = (at - begin.at) / (finish.at - begin.at)
    value = begin.remaining + (finish.remaining - begin.remaining) * gone
    return level - height < value <= level


def _moment(at: datetime, span: timedelta) -> str:
    return f"{at:%H:%M:%S}" if span < timedelta(hours=1) else f"{at:%m-%d %H:%M}"


def history(sprints: Sequence[Sprint], words: str, *, in_shell: bool = False) -> RenderableType:
    """What people said of sprints, newest first."""
    if not sprints:
        about = f" with “{clean(words)}”" if words else ""
        return Text(f"No reviewed sprint{about}.")
    parts: list[RenderableType] = []
    for sprint in sprints:
        goal = f": {one_line(sprint.goal)}" if sprint.goal else ""
        parts.append(
            Text.assemble((f"{sprint.project}, sprint {sprint.number}{goal}", "bold"), f" ({_state(sprint)})")
        )
        parts.append(indented(sprint.retrospective or "Nothing was said."))
    last = sprints[0]
    parts.append(next_step("What came of one", f"review {last.project} {last.number}", in_shell=in_shell))
    return Group(*parts)


# -- since you last looked -------------------------------------------------------------------------


def digest(found: Digest, *, in_shell: bool = False) -> RenderableType:
    of = f" of {found.project}" if found.project else ""
    parts: list[RenderableType] = [
        Text(f"News{of}, {when(found.since)} to {when(found.until)}", style="bold")
    ]
    parts += [indented(f"? {asked.story_id}: {asked.question}", "yellow") for asked in found.questions]
    parts += [
        indented(f"✗ {view.story.id} is blocked: {one_line(view.why)}", "red") for view in found.blocked
    ]
    parts += [
        indented(f"★ {view.story.id}: {view.story.title} ({view.why or view.status})", "green")
        for view in found.merged
    ]
    parts += [
        indented(f"★ Sprint {sprint.number} of {sprint.project} is finished", "green")
        for sprint in found.finished_sprints
    ]
    kinds = [f"{many} x {str(kind).replace('_', ' ')}" for kind, many in found.counts.items()]
    more = f" and {count(found.events, 'event')} in all" if len(kinds) > _KINDS else ""
    happened = f"{', '.join(kinds[:_KINDS])}{more}." if kinds else "Nothing happened."
    parts.append(indented(happened, "dim"))
    if found.questions:
        parts.append(next_step("Answer", "approvals", in_shell=in_shell))
    return Group(*parts)

"""How a sprint stands and what came of it; what an epic proposes. PURE."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from bot.discord.render import moment, resume_button, review_buttons
from cogs.buttons import epic_buttons
from cogs.message import Button, Card, Field, Message, Tone
from cogs.render import STORY_SIGNS, story_line
from cogs.render_resources import compact
from cogs.text import code, length, plain, title
from core.domain.burndown import points_of
from core.domain.lifecycles import WorkflowState
from core.domain.story import Story, StoryStatus
from core.orchestrator.resource_views import ProjectResources
from core.orchestrator.views import CyclesView, OverlapView, ReviewView, SprintView, StoryResult, StoryView
from core.store.usage import UsagePause

Proposals = Sequence[tuple[Story, tuple[str, ...]]]  # each with the ids of what it needs

LIVE_ROOM = 3600  # characters of a card that stay readable on a phone, below Discord's 4,096
_OVER = frozenset({StoryStatus.DONE, StoryStatus.SKIPPED, StoryStatus.ABORTED, StoryStatus.REMOVED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What the live status shows, of one project."""

    workflow: WorkflowState
    sprint: SprintView
    cycles: CyclesView | None = None  # None: could not be read now
    limit: UsagePause | None = None
    share: ProjectResources | None = None  # None: could not be read now, or nothing runs any more


def live_status(standing: Standing) -> Message:
    """The one message a channel that is edited as the sprint goes on."""
    view = standing.sprint
    head = [_progress(view.stories)]
    if view.sprint.goal:
        head.append(f"Goal: {plain(view.sprint.goal, 300)}")
    if (held := _held(standing)) != "":
        head.append(held)
    if standing.share is not None:
        head.append(compact(standing.share))
    overlaps = standing.cycles.overlaps if standing.cycles else ()
    tail = _merging(standing.cycles.merging if standing.cycles else ())
    lines = [_live_line(story, overlaps) for story in view.stories]
    room = LIVE_ROOM - sum(length(line) + 1 for line in (*head, *tail))
    shown = [*head, *_fitting(lines, room, "`/sprint status`"), *tail]
    tone = Tone.NEUTRAL
    if standing.workflow in (WorkflowState.SPRINT_PAUSED, WorkflowState.BLOCKED):
        tone = Tone.ASK
    if standing.workflow is WorkflowState.SPRINT_REVIEW:
        tone = Tone.GOOD
    card = Card(title=f"Sprint {view.sprint.number}", body="\n".join(shown), tone=tone)
    buttons: tuple[Button, ...] = (resume_button(view.sprint.project),) if standing.limit is not None else ()
    return Message(cards=(card,), buttons=buttons)


def finished(review: ReviewView) -> Message:
    """The sprint's end, with what each story came to and by what evidence."""
    sprint = review.sprint
    done = sum(result.view.status is StoryStatus.DONE for result in review.results)
    head = [f"{done} of {len(review.results)} stories · {_points(review.points_done, review.points_planned)}"]
    if review.seconds is not None:
        head[0] += f" · {_duration(review.seconds)}"
    if sprint.goal:
        head.append(f"Goal: {plain(sprint.goal, 300)}")
    lines = [_result_line(result) for result in review.results]
    room = LIVE_ROOM - sum(length(line) + 1 for line in head)
    body = "\n".join([*head, *_fitting(lines, room, "`/sprint status`")])
    project = code(sprint.project)
    next_steps = Field(
        name="Next",
        value="`/feedback` closes the sprint with your words; `/request_changes` asks for more of it first.",
    )
    return Message(
        cards=(
            Card(
                title=f"🏁 Sprint {sprint.number} is finished",
                body=f"{project} · {body}",
                fields=(next_steps,),
                tone=Tone.GOOD,
            ),
        ),
        buttons=review_buttons(sprint.project),
    )


def proposals(epic_id: str, proposed: Proposals) -> Message:
    """What an epic's design agent proposes, for people to approve."""
    lines = [_proposal_line(story, needed) for story, needed in proposed]
    count = "1 story" if len(proposed) == 1 else f"{len(proposed)} stories"
    head = f"{count} proposed. Nothing is worked on before you approve it."
    body = "\n".join([head, *_fitting(lines, LIVE_ROOM, "`/approve`")])
    return Message(
        cards=(Card(title=f"💡 {title(epic_id, 60)}", body=body, tone=Tone.ASK),),
        buttons=epic_buttons(epic_id),
    )


# -- lines -----------------------------------------------------------------------------------


def _progress(views: Sequence[StoryView]) -> str:
    done = [view for view in views if view.status is StoryStatus.DONE]
    filled = round(10 * len(done) / len(views)) if views else 0
    bar = "▰" * filled + "▱" * (10 - filled)
    points = f" · {_points(_sum(done), _sum(views))}" if any(v.story.estimate for v in views) else ""
    return f"{bar} {len(done)} of {len(views)} done{points}"


def _held(standing: Standing) -> str:
    if standing.limit is not None:
        until = f"until {moment(standing.limit.until)}" if standing.limit.until else "nobody knows until when"
        then = "goes on by itself" if standing.limit.resumes else "waits for Resume"
        return f"🪫 {code(standing.limit.agent, 60)} takes no more work, {until}; the sprint {then}."
    if standing.workflow is WorkflowState.SPRINT_PAUSED:
        return "⏸️ Paused: `/sprint resume` goes on."
    if standing.workflow is WorkflowState.BLOCKED:
        return "⛔ Nothing goes on without you: `/suggest_fix` or `/skip_task`."
    return ""


def _live_line(view: StoryView, overlaps: Sequence[OverlapView]) -> str:
    line = story_line(view)
    told = set(re.findall(r"[\w.-]+-\d+", view.why))  # a story that waits says so itself
    begun = view.cycle is not None and view.cycle.base_commit is not None
    if view.needs and not begun and view.status not in _OVER and not set(view.needs) <= told:
        line += f"\n  needs {', '.join(code(needed) for needed in view.needs[:8])}"
    for overlap in overlaps:
        if view.story.id in (overlap.first, overlap.later):
            other = overlap.later if view.story.id == overlap.first else overlap.first
            more = f" and {len(overlap.files) - 3} more" if len(overlap.files) > 3 else ""
            files = ", ".join(code(file, 80) for file in overlap.files[:3])
            line += f"\n  ⚠ also changes {files}{more}: {code(other)}"
    return line


def _merging(queue: Sequence[str]) -> list[str]:
    if not queue:
        return []
    more = f" and {len(queue) - 10} more" if len(queue) > 10 else ""
    return [f"🔀 Merge queue: {' → '.join(code(story) for story in queue[:10])}{more}"]


def _result_line(result: StoryResult) -> str:
    story = result.view.story
    facts = []
    if result.commit:
        facts.append(code(result.commit[:10]))
    if result.tests:
        facts.append(f"{result.tests} {'test' if result.tests == 1 else 'tests'}")
    if result.refusals:
        facts.append(f"refused {result.refusals}×")
    if result.seconds is not None:
        facts.append(_duration(result.seconds))
    if result.view.status is not StoryStatus.DONE:
        facts.insert(0, str(result.view.status))
    evidence = f"\n  {plain(result.evidence, 200)}" if result.evidence else ""
    return (
        f"{STORY_SIGNS.get(result.view.status, '•')} {code(story.id)} **{title(story.title, 120)}**"
        f"{' · ' if facts else ''}{' · '.join(facts)}{evidence}"
    )


def _proposal_line(story: Story, needed: Sequence[str]) -> str:
    criteria = len(story.acceptance_criteria)
    facts = ["1 criterion" if criteria == 1 else f"{criteria} criteria"]
    if story.estimate is not None:
        facts.append("1 point" if story.estimate == 1 else f"{story.estimate} points")
    if story.priority != "normal":
        facts.append(str(story.priority))
    if needed:
        facts.append(f"needs {', '.join(code(each) for each in needed[:8])}")
    return f"{code(story.id)} **{title(story.title, 150)}** · {' · '.join(facts)}"


def _fitting(lines: Sequence[str], room: int, where: str) -> list[str]:
    """As many lines as there is room for, then how many more there are and where."""
    shown: list[str] = []
    for number, line in enumerate(lines):
        room -= length(line) + 1
        if room < 0:
            return [*shown, f"… and {len(lines) - number} more: {where}"]
        shown.append(line)
    return shown


def _sum(views: Sequence[StoryView]) -> int:
    return sum(points_of(view.story.estimate) for view in views)


def _points(done: int, of: int) -> str:
    return f"{done} of {of} {'point' if of == 1 else 'points'}"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 36 * 3600 else f"{seconds / 86400:.1f} d"

"""Sprints as messages: reviewed, burnt down, remembered; and figures across all of them. PURE."""

from __future__ import annotations

from collections.abc import Sequence

from cogs.chart import NAME
from cogs.message import Attachment, Card, Field, Message
from cogs.render import STORY_SIGNS, done, goal, paged, sprint_state, stamp
from cogs.text import code, count, one_line, plain, title
from core.domain.insights import Insights
from core.domain.story import Sprint
from core.orchestrator.views import Burndown, ReviewView, StoryResult, StoryView

ARGUMENT_LIMIT = 50  # characters of a page's argument in a button's id


def review(view: ReviewView, page: int = 0) -> Message:
    """What came of a sprint, story by story, with the evidence."""
    sprint = view.sprint
    spent = f" in {_duration(view.seconds)}" if view.seconds is not None else ""
    head = "\n".join(
        part
        for part in (
            goal(sprint),
            f"{sprint_state(sprint)} · **{view.points_done} of {view.points_planned} points** done{spent}",
            f"💬 {plain(sprint.retrospective, 900)}" if sprint.retrospective else "",
        )
        if part
    )
    lines = tuple(_result(result) for result in view.results) or ("No stories.",)
    return paged(
        f"Review of sprint {sprint.number} of {sprint.project}",
        head,
        lines,
        page,
        what="review",
        argument=f"{sprint.project}/{sprint.number}",
    )


def burndown(view: Burndown, picture: bytes | None, *, drawing: bool = False) -> Message:
    """The curve as a picture, and its figures in words."""
    sprint = view.sprint
    left = view.actual[-1].remaining if view.actual else view.total
    lines = [f"**{left} of {view.total} points** left · {sprint_state(sprint)}", goal(sprint)]
    if picture is None:
        lines.append(
            "Drawing the picture…" if drawing else "The picture could not be drawn; these are its points:"
        )
        if not drawing:
            lines += [f"{stamp(p.at.timestamp(), 'f')} · {p.remaining}" for p in view.actual[-25:]]
    card = Card(
        title=f"Burndown of sprint {sprint.number} of {sprint.project}",
        body="\n".join(line for line in lines if line),
        image=NAME if picture is not None else "",
    )
    files = (Attachment(name=NAME, data=picture),) if picture is not None else ()
    return Message(cards=(card,), attachments=files)


def history(sprints: Sequence[Sprint], query: str, project: str | None, page: int = 0) -> Message:
    """Retrospectives that hold the query's words, newest first."""
    lines = tuple(
        f"**{sprint.project} · sprint {sprint.number}** · {sprint_state(sprint)}\n"
        + (f"  {goal(sprint)}\n" if sprint.goal else "")
        + f"  💬 {plain(sprint.retrospective, 600) or 'nothing was said'}"
        for sprint in sprints
    )
    about = f" with “{title(query, 100)}”" if query else ""
    lines = lines or (f"No reviewed sprint{about}.",)
    argument = f"{project or '-'}/{query}"
    heading = "What people said of sprints"
    if len(argument) > ARGUMENT_LIMIT or not argument.isprintable():
        return Message(cards=(Card(title=heading, body="\n".join(lines)),))  # no room for it in a button
    return paged(heading, "", lines, page, what="history", argument=argument)


def changes_requested(views: Sequence[StoryView], project: str) -> Message:
    lines = "\n".join(f"📋 {code(v.story.id)} **{title(v.story.title, 150)}**" for v in views)
    return done(f"{project} has {len(views)} new in its backlog", f"{lines}\nNext: `/sprint plan`.")


def insights(view: Insights) -> Message:
    """Figures over the latest verdicts of all gates; what comes first costs most tries."""
    if not view.judged:
        body = "No gate has judged anything yet: figures come with the first stories."
        return Message(cards=(Card(title="Insights", body=body),))
    phases = "\n".join(
        f"{code(one.phase)} {one.judged} judged, {_percent(one.refused, one.judged)} refused"
        + (f", median {_duration(one.median_seconds)}" if one.median_seconds is not None else "")
        for one in view.phases
    )
    reasons = "\n".join(
        f"**{one.times}×** {plain(one.reason, 120)} · {code(one.phase)}, "
        f"{one.projects} {'project' if one.projects == 1 else 'projects'}"
        for one in view.reasons
    )
    projects = "\n".join(
        f"**{one.project}** {_percent(one.refused, one.judged)} refused of {one.judged} in {one.stories} "
        f"stories" + (f", blocked {one.blocked}×" if one.blocked else "")
        for one in view.projects[:15]
    )
    card = Card(
        title="Insights",
        body=f"Over the latest {view.judged} verdicts of all projects' gates.",
        fields=(
            Field(name="Phases", value=phases),
            Field(name="Why gates refuse", value=reasons or "They never did."),
            Field(name="Projects, most refusals first", value=projects),
        ),
    )
    return Message(cards=(card,))


def _percent(part: int, of: int) -> str:
    return f"{100 * part / of:.0f} %"


def _result(result: StoryResult) -> str:
    view = result.view
    parts = [
        count(view.story.estimate, "point") if view.story.estimate is not None else "",
        _duration(result.seconds) if result.seconds is not None else "",
        f"{count(result.tests, 'new test')} passed" if result.tests else "",
        count(result.refusals, "refusal") if result.refusals else "",
        code(result.commit[:10]) if result.commit else "",
    ]
    facts = " · ".join(part for part in parts if part)
    line = (
        f"{STORY_SIGNS[view.status]} {code(view.story.id)} **{title(view.story.title, 120)}** · {view.status}"
    )
    line += f"\n  {facts}" if facts else ""
    return line + (f"\n  {plain(one_line(result.evidence, 250))}" if result.evidence else "")


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"

"""What the terminal shows of backlogs, of what is proposed, and of epics. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

from bot.cli.marks import clean, done, indented, next_step, one_line, table
from bot.cli.output_stories import facts, story_table
from core.domain.story import EpicState, StoryStatus

if TYPE_CHECKING:
    from core.orchestrator.views import EpicView, StoryView

_EPIC_SAYS = {
    EpicState.DESIGNING: "is being designed: its agent proposes stories",
    EpicState.PROPOSED: "waits for you: its stories are proposed",
    EpicState.SETTLED: "is settled: every story was approved or removed",
    EpicState.FAILED: "failed: its agent gave nothing usable",
}


def backlog(project: str, views: Sequence[StoryView], *, in_shell: bool = False) -> RenderableType:
    waiting = [view for view in views if view.status is not StoryStatus.PROPOSED]
    suggested = [view for view in views if view.status is StoryStatus.PROPOSED]
    parts: list[RenderableType] = []
    if waiting:
        parts.append(story_table(f"Backlog of {project}", waiting))
    if suggested:
        parts.append(proposals(project, suggested, in_shell=in_shell))
    if not parts:
        parts.append(Text(f"The backlog of {project} is empty."))
        parts.append(next_step("Add a story", f"add {project} TITLE", in_shell=in_shell))
    return Group(*parts)


def proposals(project: str, views: Sequence[StoryView], *, in_shell: bool = False) -> RenderableType:
    """With what each is to fulfil: that is what people approve."""
    if not views:
        return Group(
            Text(f"Nothing is proposed in {project}."),
            next_step("Have stories proposed", f'epic {project} "WHAT YOU WANT"', in_shell=in_shell),
        )
    parts: list[RenderableType] = [Text(f"Proposed in {project}:", style="bold")]
    for view in views:
        parts += _proposal(view)
    first = views[0].story.id
    parts.append(next_step("Approve all, or one", f"approve {project}", in_shell=in_shell))
    parts += [
        next_step("", line, in_shell=in_shell)
        for line in (f"approve {first}", f'edit {first} title "..."', f"remove {first}")
    ]
    return Group(*parts)


def _proposal(view: StoryView) -> list[RenderableType]:
    parts: list[RenderableType] = [
        Text.assemble("  ", (view.story.id, "bold"), f"  {clean(view.story.title)}", (facts(view), "dim"))
    ]
    if view.story.body:
        parts.append(indented(view.story.body, by=4))
    parts += [indented(f"• {criterion}", by=4) for criterion in view.story.acceptance_criteria]
    return parts


def epic_begun(view: EpicView, *, in_shell: bool = False) -> RenderableType:
    epic = view.epic
    return Group(
        done(f"{epic.id} is being designed: its agent proposes stories."),
        next_step("What it proposes, once it has", f"epics {epic.id}", in_shell=in_shell),
    )


def epic(view: EpicView, *, in_shell: bool = False) -> RenderableType:
    """Its wish, what became of it, and the stories that people still have to decide on."""
    epic = view.epic
    parts: list[RenderableType] = [
        Text.assemble((epic.id, "bold"), f" {_EPIC_SAYS[epic.state]}."),
        indented(one_line(epic.text, 300)),
    ]
    if view.why:
        parts.append(indented(view.why, "yellow"))
    open_ = [story for story in view.stories if story.status is StoryStatus.PROPOSED]
    if decided := [story for story in view.stories if story.status is not StoryStatus.PROPOSED]:
        parts.append(story_table("Decided", decided))
    for story in open_:
        parts += _proposal(story)
    if open_:
        parts.append(next_step("Approve them", f"approve {epic.id}", in_shell=in_shell))
        parts.append(next_step("Have them changed", f'revise {epic.id} "..."', in_shell=in_shell))
    elif epic.state is EpicState.FAILED:
        parts.append(next_step("Say it in other words", f'revise {epic.id} "..."', in_shell=in_shell))
    return Group(*parts)


def epics(project: str, views: Sequence[EpicView], *, in_shell: bool = False) -> RenderableType:
    if not views:
        return Group(
            Text(f"{project} has no epic yet."),
            next_step("Begin one", f'epic {project} "WHAT YOU WANT"', in_shell=in_shell),
        )
    shown = table(f"Epics of {project}")
    shown.add_column("Epic", no_wrap=True)
    shown.add_column("Wish", overflow="fold", max_width=36)
    shown.add_column("State", no_wrap=True)
    shown.add_column("Stories", overflow="fold")
    for view in views:
        ids = ", ".join(story.story.id for story in view.stories)
        shown.add_row(
            view.epic.id,
            Text(one_line(view.epic.text, 120)),
            str(view.epic.state),
            Text(ids or one_line(view.why, 120)),
        )
    return shown


def approved(views: Sequence[StoryView], *, in_shell: bool = False) -> RenderableType:
    are = "story is" if len(views) == 1 else "stories are"
    parts: list[RenderableType] = [done(f"{len(views)} {are} in the backlog.")]
    parts += [indented(f"{view.story.id}: {view.story.title}") for view in views]
    if views:
        parts.append(next_step("Choose a sprint", f"plan {views[0].story.project}", in_shell=in_shell))
    return Group(*parts)

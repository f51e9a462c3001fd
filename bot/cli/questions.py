"""Questions that take more than one of core's commands."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cogs import typed
from core.domain.approval import Approval
from core.domain.lifecycles import WorkflowState
from core.domain.story import EpicState, StoryStatus
from core.errors import InvalidInput, NotFound, OrchardError
from core.orchestrator.commands import Commands
from core.orchestrator.resource_views import ProjectResources
from core.orchestrator.views import (
    CyclesView,
    EpicView,
    ProjectView,
    SprintView,
    StoryView,
    WorkflowView,
)
from core.projects.discovery import FoundFolder

_STORY_OR_EPIC = re.compile(r"-e?[0-9]+$")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectReport:
    project: ProjectView
    workflow: WorkflowView
    backlog: tuple[StoryView, ...]
    sprint: SprintView | None
    cycles: CyclesView | None = None  # of the sprint that is not over
    epics: tuple[EpicView, ...] = ()  # those that are not settled
    resources: ProjectResources | None = None  # None: its settings cannot be used


async def project_report(commands: Commands, name: str) -> ProjectReport:
    view = await commands.project(name)
    shares = await commands.resources()
    workflow = await commands.workflow(name)
    with_sprint = workflow.sprint is not None or workflow.state is WorkflowState.SPRINT_REVIEW
    return ProjectReport(
        project=view,
        workflow=workflow,
        backlog=await commands.backlog(name),
        sprint=await commands.sprint(name) if with_sprint else None,
        cycles=await commands.cycles(name) if workflow.sprint is not None else None,
        epics=tuple(view for view in await commands.epics(name) if view.epic.state is not EpicState.SETTLED),
        resources=next((each for each in shares.projects if each.project == view.project.name), None),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Discovered:
    candidates: tuple[FoundFolder, ...]
    registered: tuple[str, ...]
    refused: tuple[str, ...]


async def discover(commands: Commands, paths: Sequence[Path], *, register: bool, actor: str) -> Discovered:
    """Looks, and registers what is found when asked to; one that is refused keeps none of the others out."""
    candidates = await commands.discover_projects(paths)
    done: list[str] = []
    refused: list[str] = []
    for candidate in candidates if register else ():
        if candidate.registered_as is not None:
            continue
        try:
            await commands.register_project(candidate.name, Path(candidate.path), actor=actor)
            done.append(candidate.name)
        except OrchardError as error:
            refused.append(error.message)
    return Discovered(candidates=candidates, registered=tuple(done), refused=tuple(refused))


async def resolve_approval(commands: Commands, text: str) -> str:
    """An approval's id from what people type: the id, its beginning, or the story that waits."""
    wanted = text.strip().lower()
    pending = await commands.approvals()
    found = [each.id for each in pending if wanted in (each.id, each.story_id)]
    found = found or [
        each.id for each in pending if wanted and each.id.removeprefix("approval_").startswith(wanted)
    ]
    if len(found) > 1:
        raise InvalidInput(f"{text} could be {len(found)} approvals.", hint=f"Name one: {', '.join(found)}.")
    return found[0] if found else text.strip()


async def approve(
    commands: Commands, words: Sequence[str], *, actor: str
) -> Approval | tuple[StoryView, ...]:
    """Says yes to what the words name: a question (by its id, its beginning or its story), proposed stories,
    those of an epic, or all of a project's.
    """
    named = typed.words(" ".join(words).lower())
    if len(named) != 1:
        return await _approve_stories(commands, named, actor=actor)
    [wanted] = named
    pending = await commands.approvals()
    if not any(wanted in (each.id, each.story_id) for each in pending):
        if any(wanted == view.story.id for view in await _proposed(commands)):
            return await _approve_stories(commands, [wanted], actor=actor)
        if any(wanted == view.project.name for view in await commands.projects()):
            return await commands.approve_stories(wanted, actor=actor)
        if (epic := await _epic(commands, wanted)) is not None:
            return await _approve_stories(commands, epic, actor=actor)
    chosen = await resolve_approval(commands, wanted)
    try:
        return await commands.answer_approval(chosen, True, actor=actor)
    except NotFound as error:
        raise NotFound(
            f"'{wanted}' waits for nobody's approval.",
            why="It is no question, no proposed story, no epic and no project.",
            hint="What waits: approvals; what is proposed: proposals PROJECT.",
        ) from error


async def _proposed(commands: Commands) -> list[StoryView]:
    return [view for view in await commands.stories() if view.status is StoryStatus.PROPOSED]


async def _epic(commands: Commands, wanted: str) -> list[str] | None:
    """Ids of what an epic proposes; None when there is no such epic. Raises NotFound when it is nothing."""
    try:
        view = await commands.epic(wanted)
    except NotFound:
        return None
    found = [each.story.id for each in view.stories if each.status is StoryStatus.PROPOSED]
    if not found:
        raise NotFound(f"{view.epic.id} proposes nothing now.", why=view.why or f"It is {view.epic.state}.")
    return found


async def _approve_stories(commands: Commands, words: Sequence[str], *, actor: str) -> tuple[StoryView, ...]:
    """Those of one project together: all of them or none."""
    by_project: dict[str, list[str]] = {}
    for word in words:
        detail = await commands.story(word)
        by_project.setdefault(detail.view.story.project, []).append(detail.view.story.id)
    if not by_project:
        raise InvalidInput("Nothing was named.", hint="Name a question, stories, an epic or a project.")
    if len(by_project) > 1:
        raise InvalidInput(
            f"These are stories of {len(by_project)} projects: {', '.join(by_project)}.",
            hint="Approve those of one project, then those of the next.",
        )
    [(project, stories)] = by_project.items()
    return await commands.approve_stories(project, stories, actor=actor)


async def is_project(commands: Commands, word: str) -> bool:
    """Whether a word that may be a project, or a story or epic, is a project: one that is called like a story
    comes first.
    """
    wanted = word.strip().lower()
    if _STORY_OR_EPIC.search(wanted) is None:
        return True
    return any(view.project.name == wanted for view in await commands.projects())

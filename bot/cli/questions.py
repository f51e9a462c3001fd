"""Questions that take more than one of core's commands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from core.errors import InvalidInput, OrchardError
from core.orchestrator.commands import Commands
from core.orchestrator.views import Candidate, ProjectView, SprintView, StoryView, WorkflowView


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectReport:
    project: ProjectView
    workflow: WorkflowView
    backlog: tuple[StoryView, ...]
    sprint: SprintView | None


async def project_report(commands: Commands, name: str) -> ProjectReport:
    view = await commands.project(name)
    workflow = await commands.workflow(name)
    return ProjectReport(
        project=view,
        workflow=workflow,
        backlog=await commands.backlog(name),
        sprint=await commands.sprint(name) if workflow.sprint else None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Discovered:
    candidates: tuple[Candidate, ...]
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

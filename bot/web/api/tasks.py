"""The API of tasks, which are a project's stories: listed, added, changed, steered."""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any

from fastapi import Depends, Path, Query, Request, Response

from bot.web.api.paging import LINK, Paged
from bot.web.api.route import IF_MATCH, changing, tag
from bot.web.api.route import router as api_router
from bot.web.api.task import (
    Changes,
    ChangesOf,
    NewTask,
    Rank,
    Reason,
    Said,
    Task,
    TaskChange,
    TaskDetail,
    changes_of,
    detail_of,
    task_of,
)
from bot.web.visitors import Asks, Visitor, admit, house_of
from core.domain.story import Story, StoryState
from core.errors import NotFound
from core.ids import project_of
from core.orchestrator.commands import Commands
from core.orchestrator.resource_views import WhyView
from core.orchestrator.views import StoryView
from core.security.access import Action

router = api_router("tasks")
SeesProject = Annotated[Visitor, Depends(Asks(Action.SEE_PROJECT))]
EditsBacklog = Annotated[Visitor, Depends(Asks(Action.EDIT_BACKLOG))]
RunsStory = Annotated[Visitor, Depends(Asks(Action.RUN_STORY))]
SteersAgent = Annotated[Visitor, Depends(Asks(Action.STEER_AGENT))]
TaskId = Annotated[str, Path(max_length=200, description="Such as shop-12.")]


@router.get("/projects/{project}/tasks", description=f"By number. {LINK}")
async def tasks(
    request: Request,
    _: SeesProject,
    project: str,
    page: Paged,
    state: Annotated[list[StoryState] | None, Query(max_length=len(StoryState))] = None,
) -> list[Task]:
    found = await house_of(request).runtime.commands.story_page(
        project, states=state, after=page.number() or 0, limit=page.limit + 1
    )
    return page.shown([task_of(each) for each in found], lambda task: str(task.number))


@router.post("/projects/{project}/tasks", status_code=201)
async def add_task(
    request: Request, response: Response, visitor: EditsBacklog, project: str, wanted: NewTask
) -> Task:
    """Adds a story to the backlog."""
    house = house_of(request)
    await _sees_needed(request, visitor, project, wanted.needs)

    def answer(conn: sqlite3.Connection, made: Story) -> Task:
        return task_of(house.runtime.commands.story_in(conn, made.id).view)

    story = await changing(request, status=201, answer=answer).add_story(
        project,
        wanted.title,
        body=wanted.body,
        acceptance_criteria=wanted.acceptance_criteria,
        priority=wanted.priority,
        estimate=wanted.estimate,
        labels=wanted.labels,
        needs=wanted.needs,
        links=wanted.links,
        actor=visitor.asker.name,
    )
    response.headers["location"] = f"/api/projects/{story.project}/tasks/{story.id}"
    return task_of((await house.runtime.commands.story(story.id)).view)


@router.get("/projects/{project}/tasks/{task}")
async def task(request: Request, _: SeesProject, project: str, task: TaskId) -> TaskDetail:
    return detail_of(await house_of(request).runtime.commands.story(_of(project, task)))


@router.get("/projects/{project}/tasks/{task}/why")
async def why(request: Request, _: SeesProject, project: str, task: TaskId) -> WhyView:
    """Why it does what it does, and what has to happen for it to go on."""
    return await house_of(request).runtime.commands.why(_of(project, task))


@router.get("/projects/{project}/tasks/{task}/changes")
async def changes(
    request: Request,
    _: SeesProject,
    project: str,
    task: TaskId,
    of: Annotated[ChangesOf, Query()] = ChangesOf.PASSED,
) -> Changes:
    """What it changed since its base: `passed`, by its last passed gate; `now`, in its files as they are,
    which no gate has judged."""
    story, commands = _of(project, task), house_of(request).runtime.commands
    if of is ChangesOf.PASSED:
        return changes_of(await commands.changes(story))
    if (found := await commands.changes_now(story)) is None:
        raise NotFound(
            f"{story} has no files now.",
            why="Its work has not begun, or it is over.",
            hint="What passed its gates: ?of=passed",
        )
    return changes_of(found)


@router.patch("/projects/{project}/tasks/{task}", openapi_extra=IF_MATCH)
async def change_task(
    request: Request,
    response: Response,
    visitor: EditsBacklog,
    project: str,
    task: TaskId,
    wanted: TaskChange,
) -> TaskDetail:
    """Changes what is given, before work on it begins; what it needs until it is over."""
    given = wanted.model_dump(exclude_unset=True)
    await _sees_needed(request, visitor, project, wanted.needs or ())
    for name in ("acceptance_criteria", "labels", "needs", "links"):
        if given.get(name) is not None:
            given[name] = tuple(given[name])
    clear = "estimate" in given and given["estimate"] is None

    def change(commands: Commands, story: str) -> Awaitable[StoryView]:
        return commands.edit_story(story, **given, clear_estimate=clear, actor=visitor.asker.name)

    return await _changed(request, response, project, task, change)


@router.put("/projects/{project}/tasks/{task}/rank", openapi_extra=IF_MATCH)
async def rank_task(
    request: Request, response: Response, visitor: EditsBacklog, project: str, task: TaskId, wanted: Rank
) -> TaskDetail:
    def rank(commands: Commands, story: str) -> Awaitable[StoryView]:
        return commands.prioritize_story(
            story, priority=wanted.priority, place=wanted.place, actor=visitor.asker.name
        )

    return await _changed(request, response, project, task, rank)


@router.delete("/projects/{project}/tasks/{task}", openapi_extra=IF_MATCH)
async def remove_task(
    request: Request,
    response: Response,
    visitor: EditsBacklog,
    project: str,
    task: TaskId,
    reason: Annotated[str, Query(max_length=2000)] = "",
) -> TaskDetail:
    """Takes a task that nobody works on out of the backlog. It stays readable."""

    def remove(commands: Commands, story: str) -> Awaitable[StoryView]:
        return commands.remove_story(story, reason, actor=visitor.asker.name)

    return await _changed(request, response, project, task, remove)


@router.post("/projects/{project}/tasks/{task}/start", openapi_extra=IF_MATCH)
async def start_task(
    request: Request, response: Response, visitor: RunsStory, project: str, task: TaskId
) -> TaskDetail:
    """A stopped task goes on by itself; while a sprint runs, one of the backlog joins it."""

    def start(commands: Commands, story: str) -> Awaitable[StoryView]:
        return commands.start_story(story, actor=visitor.asker.name)

    return await _changed(request, response, project, task, start)


@router.post("/projects/{project}/tasks/{task}/stop", openapi_extra=IF_MATCH)
async def stop_task(
    request: Request, response: Response, visitor: RunsStory, project: str, task: TaskId
) -> TaskDetail:
    """Ends what runs for it now; it goes on from its last passed gate when it is started."""

    def stop(commands: Commands, story: str) -> Awaitable[StoryView]:
        return commands.stop_story(story, actor=visitor.asker.name)

    return await _changed(request, response, project, task, stop)


@router.post("/projects/{project}/tasks/{task}/skip", openapi_extra=IF_MATCH)
async def skip_task(
    request: Request,
    response: Response,
    visitor: RunsStory,
    project: str,
    task: TaskId,
    said: Reason | None = None,
) -> TaskDetail:
    """Takes it out of its sprint; its work is kept."""
    why = "" if said is None else said.reason

    def skip(commands: Commands, story: str) -> Awaitable[StoryView]:
        return commands.skip_story(story, why, actor=visitor.asker.name)

    return await _changed(request, response, project, task, skip)


@router.post("/projects/{project}/tasks/{task}/abort", openapi_extra=IF_MATCH)
async def abort_task(
    request: Request, response: Response, visitor: RunsStory, project: str, task: TaskId, said: Reason
) -> TaskDetail:
    """Ends it as a failure, at once and for good; its work is kept. Takes a reason."""

    def abort(commands: Commands, story: str) -> Awaitable[StoryView]:
        return commands.abort_story(story, said.reason, actor=visitor.asker.name)

    return await _changed(request, response, project, task, abort)


@router.post("/projects/{project}/tasks/{task}/steer", openapi_extra=IF_MATCH)
async def steer_task(
    request: Request, response: Response, visitor: SteersAgent, project: str, task: TaskId, said: Said
) -> TaskDetail:
    """Tells its agent something: the turn that runs, else with the next prompt."""

    def steer(commands: Commands, story: str) -> Awaitable[StoryView]:
        return commands.steer_story(story, said.text, actor=visitor.asker.name)

    return await _changed(request, response, project, task, steer)


@router.post("/projects/{project}/tasks/{task}/suggest-fix", openapi_extra=IF_MATCH)
async def suggest_fix(
    request: Request, response: Response, visitor: SteersAgent, project: str, task: TaskId, said: Said
) -> TaskDetail:
    """Gives a blocked task new tries; the text reaches its agent."""

    def suggest(commands: Commands, story: str) -> Awaitable[StoryView]:
        return commands.suggest_fix(story, said.text, actor=visitor.asker.name)

    return await _changed(request, response, project, task, suggest)


async def _changed(
    request: Request,
    response: Response,
    project: str,
    task: str,
    change: Callable[[Commands, str], Awaitable[StoryView]],
) -> TaskDetail:
    """What it is afterwards, with its tag."""
    story, commands = _of(project, task), house_of(request).runtime.commands

    def now(conn: sqlite3.Connection, _: Any = None) -> TaskDetail:
        return detail_of(commands.story_in(conn, story))

    await change(changing(request, now=now, answer=now), story)
    made = detail_of(await commands.story(story))
    response.headers["etag"] = tag(made)
    return made


async def _sees_needed(request: Request, visitor: Visitor, project: str, needs: Sequence[str]) -> None:
    """What is needed is told of, so its project has to be one that they see. Raises NotAllowed."""
    named = {project_of(each.strip().lower()) for each in needs} - {"", project.strip().lower()}
    for each in sorted(named):
        await admit(house_of(request), visitor, Action.SEE_PROJECT, each)


def _of(project: str, task: str) -> str:
    """The story's id, where it is the project's. Raises NotFound."""
    story = task.strip().lower()
    if project_of(story) != project.strip().lower():
        raise NotFound(
            f"There is no task {task[:80]} in this project.", hint="GET /api/projects/{project}/tasks"
        )
    return story

"""A project: the board of its stories, and the questions that wait."""

from __future__ import annotations

from bot.web.dashboard.answers import answer
from bot.web.dashboard.controls import work_on_project
from bot.web.dashboard.fragments import Said
from bot.web.dashboard.live import View
from bot.web.dashboard.markup import drawn
from bot.web.dashboard.page import Viewer
from bot.web.dashboard.project_head import project_head
from bot.web.dashboard.questions import drawn_question
from bot.web.dashboard.shell import Parts, act, show
from bot.web.dashboard.views.board import Board, board
from bot.web.dashboard.views.controls import of_project
from bot.web.dashboard.views.overview import Row, question_of, row_of
from bot.web.visitors import person_of
from core.domain.approval import Approval
from core.errors import NotFound
from core.runtime import Runtime

Picture = tuple[Board, tuple[Approval, ...]]


async def row_now(runtime: Runtime, name: str) -> Row:
    """The project's, as the overview has it. Raises NotFound."""
    commands = runtime.commands
    view = await commands.project(name)
    resources = await commands.resources()
    budgets = await commands.budgets(view.project.name)
    return row_of(
        view,
        await commands.stories(name, at_work=True),
        next((one for one in resources.projects if one.project == view.project.name), None),
        next(iter(budgets.projects), None),
        runtime.monitoring.readings.value("project_health", project=view.project.name),
    )


def project_view(runtime: Runtime, name: str) -> View[Picture]:
    commands = runtime.commands

    async def look() -> Picture:
        row = await row_now(runtime, name)
        try:
            sprint = await commands.sprint(name)
        except NotFound:
            sprint = None
        cycles = await commands.cycles(name)
        asked = await commands.approvals(name)
        backlog = await commands.backlog(name)
        own = sprint.stories if sprint is not None else ()
        made = board(
            row,
            sprint.sprint if sprint is not None else None,
            (*cycles.stories, *own, *backlog),
            [question_of(one) for one in asked],
            cycles.merging,
        )
        return made, asked

    return View(name=f"project {name}", look=look, seconds=4, wakes=lambda event: event.project == name)


async def build(viewer: Viewer) -> None:
    name = viewer.parts["project"].strip().lower()
    person = await person_of(viewer.house, viewer.visitor)
    here = f"/projects/{name}"

    latest: list[Picture] = []
    turn = 0  # of what is typed: a field that was sent is made anew

    def head(picture: Picture) -> Parts:
        latest[:] = [picture]
        made, asked = picture
        parts = {
            **project_head(made.row, here),
            "facts": drawn("project_facts", board=made),
            "goal": drawn("project_goal", board=made),
        }
        for one in asked:
            parts[one.id] = drawn_question(
                one, viewer.visitor.standing(name, person), named=True, folded=True
            )
        if controls := of_project(made.row.status, made.row.state, lambda action: viewer.may(action, name)):
            parts["controls"] = drawn("controls", controls=controls, turn=turn, about="Work on this project")
        return parts

    def columns(picture: Picture) -> Parts:
        made, _ = picture
        return {one.key: drawn("board_column", column=one, project=name) for one in made.columns}

    async def does(said: Said) -> None:
        nonlocal turn
        if said["do"] == "answer":
            await act(lambda: answer(viewer, said))
        elif await act(lambda: work_on_project(viewer, name, said)):
            turn += 1
            top.show(head(latest[0]))
            viewer.live.nudge(view.name)

    view = project_view(viewer.house.runtime, name)
    top = await show(viewer, view, head, does=does)
    (await show(viewer, view, columns)).classes("board")

"""People who may log in: their levels everywhere and in projects, and making, disabling and enabling them. Of
operators."""

from __future__ import annotations

from bot.web.dashboard.fragments import Fragments, Said
from bot.web.dashboard.live import View
from bot.web.dashboard.markup import drawn
from bot.web.dashboard.page import Viewer
from bot.web.dashboard.shell import Parts, act, barred, heading, show
from core.domain.access import AccessLevel
from core.errors import InvalidInput
from core.orchestrator.security_views import UserView
from core.runtime import Runtime
from core.security.access import RULES, Action

_NAME = "users"
_NONE = "none"
_LEVELS = (_NONE, *(level.name.lower() for level in AccessLevel))
_ACTIONS = {
    "level": Action.SET_LEVEL,
    "disable": Action.DISABLE_USER,
    "enable": Action.DISABLE_USER,
    "create": Action.CREATE_USER,
    "grant": Action.GRANT_PROJECT_ACCESS,
}
Picture = tuple[tuple[UserView, ...], tuple[str, ...]]  # with the names of all projects


def users_view(runtime: Runtime) -> View[Picture]:
    async def look() -> Picture:
        projects = await runtime.commands.projects()
        return await runtime.commands.users(), tuple(view.project.name for view in projects)

    return View(name=_NAME, look=look, seconds=15)


def parts(picture: Picture, viewer: Viewer, turn: int) -> Parts:
    """Of somebody who is an operator no longer, nothing is left on the page."""
    if not viewer.may(Action.SEE_USERS):
        return {"users": barred()}
    users, projects = picture
    granted = [name for name in projects if viewer.may(Action.GRANT_PROJECT_ACCESS, name)]
    own = viewer.visitor.own.user.username
    return {
        "users": drawn("users", users=users, levels=_LEVELS, own=own, projects=granted, turn=turn),
    }


async def build(viewer: Viewer) -> None:
    heading("Users")
    made = granted = 0  # forms that were sent are made anew

    async def does(said: Said) -> None:
        nonlocal made, granted
        if await act(lambda: _do(viewer, said)):
            if said["do"] == "create":
                made += 1
                new.show({"new": drawn("users_new", levels=_LEVELS, turn=made)})
            granted += said["do"] == "grant"
            await viewer.live.rights_changed()
        viewer.live.nudge(_NAME)

    view = users_view(viewer.house.runtime)
    await show(viewer, view, lambda picture: parts(picture, viewer, granted), does=does)
    new = Fragments({"new": drawn("users_new", levels=_LEVELS, turn=made)}, does=does)


async def _do(viewer: Viewer, said: Said) -> str:
    """Raises OrchardError."""
    if (action := _ACTIONS.get(said["do"])) is None:
        raise InvalidInput("This control is not known.", hint="Load the page again.")
    project = said.get("project", "").strip().lower() if RULES[action].in_project else None
    by = (await viewer.admit(action, project)).asker
    users, name = viewer.house.users, said.get("user", "")
    match said["do"]:
        case "grant":
            if not said.get("sure"):
                raise InvalidInput("Nothing was done.", hint="Say that it is meant, by the box beside it.")
            found = await users.grant_project_access(name, project or "", _level(said), by)
            has = found.projects.get(project or "")
            level = "no level of its own" if has is None else f"the level {has.name.lower()}"
            return f"{found.username} has {level} in {project}."
        case "level":
            found = await users.set_level(name, _level(said), by)
            level = _NONE if found.level is None else found.level.name.lower()
            return f"{found.username} has the level {level}."
        case "disable":
            return f"{(await users.disable(name, by)).username} cannot log in any more."
        case "enable":
            return f"{(await users.enable(name, by)).username} can log in again."
        case _:
            created = await users.create_user(
                said.get("username", ""), said.get("email", ""), said.get("password", ""), _level(said), by
            )
            return f"{created.username} can log in, with that password."


def _level(said: Said) -> AccessLevel | None:
    wanted = said.get("level", "")
    if wanted not in _LEVELS:
        raise InvalidInput("There is no such level.", hint=f"Take one of {', '.join(_LEVELS)}.")
    return None if wanted == _NONE else AccessLevel[wanted.upper()]

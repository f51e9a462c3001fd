"""Work on a story or a project from its page, with the rights of whoever looks at it."""

from __future__ import annotations

from bot.web.dashboard.fragments import Said
from bot.web.dashboard.page import Viewer
from bot.web.dashboard.views.controls import ACTIONS
from core.errors import InvalidInput


async def work_on_story(viewer: Viewer, project: str, story_id: str, said: Said) -> str:
    """Of a control of views.controls; its `text` is what was typed. Returns what was done, as a sentence.
    Raises OrchardError."""
    actor, text = await _admitted(viewer, project, said), said.get("text", "")
    commands = viewer.house.runtime.commands
    match said["do"]:
        case "steer":
            await commands.steer_story(story_id, text, actor=actor)
            return "The agent is told."
        case "suggest":
            await commands.suggest_fix(story_id, text, actor=actor)
            return "It has new tries."
        case "start":
            await commands.start_story(story_id, actor=actor)
            return "It goes on."
        case "stop":
            await commands.stop_story(story_id, actor=actor)
            return "It is stopped."
        case "skip":
            await commands.skip_story(story_id, text, actor=actor)
            return "It is skipped."
    raise _unknown()


async def work_on_project(viewer: Viewer, project: str, said: Said) -> str:
    """Likewise."""
    actor, text = await _admitted(viewer, project, said), said.get("text", "")
    commands = viewer.house.runtime.commands
    match said["do"]:
        case "start-project":
            await commands.start_project(project, actor=actor)
            return f"{project} may work."
        case "stop-project":
            await commands.stop_project(project, actor=actor)
            return f"{project} is paused."
        case "maintain-project":
            await commands.maintain_project(project, actor=actor)
            return f"{project} is in maintenance."
        case "archive-project":
            if text.strip().lower() != project:
                raise InvalidInput(
                    "That is not its name: nothing was done.", hint=f"To archive it, type {project}."
                )
            made = await commands.archive_project(project, actor=actor)
            return f"{project} is archived: {made.path}"
        case "reopen-project":
            await commands.reopen_project(project, actor=actor)
            return f"{project} is open again, and paused."
        case "plan-sprint":
            planned = await commands.plan_sprint(project, goal=text, actor=actor)
            return f"Sprint {planned.sprint.number} is planned."
        case "start-sprint":
            started = await commands.start_sprint(project, actor=actor)
            return f"Sprint {started.sprint.number} runs."
        case "pause-sprint":
            await commands.pause_sprint(project, actor=actor)
            return "No new phase starts."
        case "resume-sprint":
            await commands.resume_sprint(project, actor=actor)
            return "The sprint goes on."
        case "feedback":
            await commands.feedback(project, text, actor=actor)
            return "The review is over."
    raise _unknown()


async def _admitted(viewer: Viewer, project: str, said: Said) -> str:
    if (action := ACTIONS.get(said["do"])) is None:
        raise _unknown()
    return (await viewer.admit(action, project)).asker.name


def _unknown() -> InvalidInput:
    return InvalidInput("This control is not known.", hint="Load the page again.")

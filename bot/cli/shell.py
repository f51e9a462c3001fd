"""What the interactive shell answers. One line in, one renderable out; knows no terminal.

Each line asks the Orchard that runs at that moment, or the store when none does: one that is started or
stopped meanwhile changes nothing for who types.
"""

from __future__ import annotations

import shlex
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import RenderableType
from rich.text import Text

from bot.cli import output, questions
from core.errors import InvalidInput, Unavailable

if TYPE_CHECKING:
    from bot.cli.session import Session

ACTOR = "shell"
EXIT = ("exit", "quit")

Open = Callable[[], "AbstractAsyncContextManager[Session]"]
Answer = Callable[["Session", Sequence[str]], Awaitable[RenderableType]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """`form` shows its words: `<...>` must be there, `[...]` may, `...>` takes the rest of the line.

    `completes`: what Tab offers for each word after the name: "project", "story", "approval", "path".
    """

    form: str
    purpose: str
    answer: Answer | None
    completes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.form.split()[0]

    def check(self, words: Sequence[str]) -> None:
        """Raises InvalidInput when the words do not fit the form."""
        parts = self.form.split()[1:]
        needed = sum(part.startswith("<") for part in parts)
        endless = any("..." in part for part in parts)
        if len(words) < needed:
            raise InvalidInput("Something is missing.", hint=f"Use: {self.form}")
        if len(words) > len(parts) and not endless:
            raise InvalidInput(
                f"'{words[len(parts)]}' is too much.",
                hint=f"Use: {self.form}. What has spaces goes into quotes.",
            )


class Shell:
    def __init__(self, open_session: Open) -> None:
        self._open = open_session

    async def answer(self, line: str) -> RenderableType | None:
        """What a line gives; None when there is nothing to say. Raises OrchardError."""
        words = split(line)
        if not words:
            return None
        name, *rest = words
        command = COMMANDS.get(name.lower())
        if command is None:
            raise InvalidInput(f"There is no command '{name}'.", hint=f"{_near(name)}help shows them all.")
        if command.answer is None:
            return help_text()
        command.check(rest)
        async with self._open() as session:
            return await command.answer(session, rest)

    async def choices(self, line: str) -> list[str]:
        """What could stand where the last word of `line` is (empty after a space). Raises OrchardError."""
        words = line.split(" ")
        *before, _last = [word for word in words[:-1] if word] + [words[-1]]
        if not before:
            return [*COMMANDS, *EXIT]
        command = COMMANDS.get(before[0].lower())
        if command is None or not command.completes:
            return []
        kind = command.completes[min(len(before), len(command.completes)) - 1]
        if kind == "path" or (len(before) > len(command.completes) and "..." not in command.form):
            return []
        async with self._open() as session:
            if kind == "project":
                return [view.project.name for view in await session.commands.projects()]
            if kind == "approval":
                return [approval.id for approval in await session.commands.approvals()]
            project = before[1] if command.completes[0] == "project" else None
            return [view.story.id for view in await session.commands.stories(project)]

    @staticmethod
    def completes_path(line: str) -> bool:
        """Whether the last word of `line` is a path."""
        before = line.split()[: None if line.endswith(" ") else -1]
        command = COMMANDS.get(before[0].lower()) if before else None
        if command is None or not command.completes:
            return False
        return command.completes[min(len(before), len(command.completes)) - 1] == "path"


def split(line: str) -> list[str]:
    """The words of a line, with quotes as in a shell. Raises InvalidInput for quotes that are left open."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=False)
    lexer.whitespace_split, lexer.commenters = True, ""
    # An apostrophe inside a word is one: add shop the customer's name
    lexer.quotes = '"' if _has_apostrophes(line) else "'\""
    try:
        return list(lexer)
    except ValueError:
        raise InvalidInput("A quote is opened and not closed.", hint="Close it, or leave it out.") from None


def _has_apostrophes(line: str) -> bool:
    return any(
        character == "'" and 0 < at < len(line) - 1 and line[at - 1].isalnum() and line[at + 1].isalnum()
        for at, character in enumerate(line)
    )


def _near(name: str) -> str:
    names = [*COMMANDS, *EXIT]
    found = [each for each in names if each.startswith(name.lower())]
    found = found or get_close_matches(name.lower(), names, n=1)
    return f"Did you mean {found[0]}? " if found else ""


def help_text() -> RenderableType:
    rows = [*((command.form, command.purpose) for command in COMMANDS.values()), _EXIT_ROW]
    width = max(len(form) for form, _ in rows) + 1
    return Text("Available commands:\n" + "\n".join(f"  {form:<{width}}- {what}" for form, what in rows))


_EXIT_ROW = ("exit/quit", "Exit the shell")


def _place(word: str) -> Path:
    return Path(word) if word.startswith("~") else Path(word).absolute()


async def _status(session: Session, words: Sequence[str]) -> RenderableType:
    if words:
        return output.report(await questions.project_report(session.commands, words[0]), in_shell=True)
    root = str(session.configuration.root)
    return output.system(await session.commands.system(), in_shell=True, root=root)


async def _projects(session: Session, words: Sequence[str]) -> RenderableType:
    return output.projects(await session.commands.projects(), in_shell=True)


async def _register(session: Session, words: Sequence[str]) -> RenderableType:
    made = await session.commands.register_project(words[0], _place(words[1]), actor=ACTOR)
    return output.registered(made, in_shell=True)


async def _discover(session: Session, words: Sequence[str]) -> RenderableType:
    places = [_place(word) for word in words]
    found = await questions.discover(session.commands, places, register=True, actor=ACTOR)
    return output.discovered(found, in_shell=True)


async def _start(session: Session, words: Sequence[str]) -> RenderableType:
    project = await session.commands.start_project(words[0], actor=ACTOR)
    return output.started(project, running=session.running)


async def _stop(session: Session, words: Sequence[str]) -> RenderableType:
    return output.stopped(await session.commands.stop_project(words[0], actor=ACTOR))


async def _add(session: Session, words: Sequence[str]) -> RenderableType:
    story = await session.commands.add_story(words[0], " ".join(words[1:]), actor=ACTOR)
    return output.story_added(story)


async def _plan(session: Session, words: Sequence[str]) -> RenderableType:
    view = await session.commands.plan_sprint(words[0], stories=list(words[1:]), actor=ACTOR)
    return output.planned(view, in_shell=True)


async def _sprint(session: Session, words: Sequence[str]) -> RenderableType:
    await session.commands.start_sprint(words[0], actor=ACTOR)
    return output.report(await questions.project_report(session.commands, words[0]), in_shell=True)


async def _pause(session: Session, words: Sequence[str]) -> RenderableType:
    await session.commands.pause_sprint(words[0], actor=ACTOR)
    return output.workflow(await session.commands.workflow(words[0]))


async def _resume(session: Session, words: Sequence[str]) -> RenderableType:
    await session.commands.resume_sprint(words[0], actor=ACTOR)
    return output.workflow(await session.commands.workflow(words[0]))


async def _feedback(session: Session, words: Sequence[str]) -> RenderableType:
    return output.workflow(await session.commands.feedback(words[0], " ".join(words[1:]), actor=ACTOR))


async def _story(session: Session, words: Sequence[str]) -> RenderableType:
    return output.story(await session.commands.story(words[0]))


async def _fix(session: Session, words: Sequence[str]) -> RenderableType:
    return output.story_moved(await session.commands.suggest_fix(words[0], " ".join(words[1:]), actor=ACTOR))


async def _skip(session: Session, words: Sequence[str]) -> RenderableType:
    return output.story_moved(await session.commands.skip_story(words[0], " ".join(words[1:]), actor=ACTOR))


async def _approvals(session: Session, words: Sequence[str]) -> RenderableType:
    return output.approvals(await session.commands.approvals(), in_shell=True)


async def _show(session: Session, words: Sequence[str]) -> RenderableType:
    chosen = await questions.resolve_approval(session.commands, words[0])
    return output.approval(await session.commands.approval(chosen), in_shell=True)


async def _approve(session: Session, words: Sequence[str]) -> RenderableType:
    chosen = await questions.resolve_approval(session.commands, words[0])
    return output.answered(await session.commands.answer_approval(chosen, True, actor=ACTOR))


async def _reject(session: Session, words: Sequence[str]) -> RenderableType:
    chosen = await questions.resolve_approval(session.commands, words[0])
    reason = " ".join(words[1:])
    return output.answered(await session.commands.answer_approval(chosen, False, reason=reason, actor=ACTOR))


async def _import(session: Session, words: Sequence[str]) -> RenderableType:
    return output.imported(await session.commands.import_state(words[0], actor=ACTOR), in_shell=True)


def _later(name: str, feature: str) -> Answer:
    async def refuse(session: Session, words: Sequence[str]) -> RenderableType:
        raise Unavailable(
            f"{name} is not there yet.", why=f"It comes with {feature}.", hint="help shows what is."
        )

    return refuse


_ALL = (
    Command(form="help", purpose="Show this help message", answer=None),
    Command(
        form="status [component]",
        purpose="Show system status, or one project's",
        answer=_status,
        completes=("project",),
    ),
    Command(form="projects", purpose="List all projects", answer=_projects),
    Command(
        form="register <name> <path>",
        purpose="Register a new project",
        answer=_register,
        completes=("", "path"),
    ),
    Command(
        form="discover <paths...>",
        purpose="Discover and register projects",
        answer=_discover,
        completes=("path",),
    ),
    Command(
        form="start <project>",
        purpose="Start a project orchestrator",
        answer=_start,
        completes=("project",),
    ),
    Command(
        form="stop <project>", purpose="Stop a project orchestrator", answer=_stop, completes=("project",)
    ),
    Command(
        form="add <project> <title...>",
        purpose="Add a story to a project's backlog",
        answer=_add,
        completes=("project",),
    ),
    Command(
        form="plan <project> [stories...]",
        purpose="Plan a sprint; no stories: all",
        answer=_plan,
        completes=("project", "story"),
    ),
    Command(
        form="sprint <project>", purpose="Start the planned sprint", answer=_sprint, completes=("project",)
    ),
    Command(form="pause <project>", purpose="Pause the sprint", answer=_pause, completes=("project",)),
    Command(form="resume <project>", purpose="Let the sprint go on", answer=_resume, completes=("project",)),
    Command(
        form="feedback <project> <text...>",
        purpose="End a sprint's review",
        answer=_feedback,
        completes=("project",),
    ),
    Command(
        form="story <story>",
        purpose="Show a story and its gates' evidence",
        answer=_story,
        completes=("story",),
    ),
    Command(
        form="fix <story> <text...>",
        purpose="Help a blocked story with a suggestion",
        answer=_fix,
        completes=("story",),
    ),
    Command(
        form="skip <story> [reason...]",
        purpose="Take a story out of its sprint",
        answer=_skip,
        completes=("story",),
    ),
    Command(form="approvals", purpose="Show what waits for an answer", answer=_approvals),
    Command(
        form="show <approval>",
        purpose="Show the whole command or diff",
        answer=_show,
        completes=("approval",),
    ),
    Command(form="approve <approval>", purpose="Approve", answer=_approve, completes=("approval",)),
    Command(
        form="reject <approval> <reason...>",
        purpose="Reject, and say why",
        answer=_reject,
        completes=("approval",),
    ),
    Command(
        form="import <project>",
        purpose="Take over another tool's .orch-state",
        answer=_import,
        completes=("project",),
    ),
    Command(
        form="optimize",
        purpose="Run resource optimization",
        answer=_later("optimize", "the resource scheduler"),
    ),
    Command(
        form="insights",
        purpose="Show cross-project insights",
        answer=_later("insights", "cross-project intelligence"),
    ),
)
COMMANDS = {command.name: command for command in _ALL}

"""The scripted person: asks for the work by slash commands, and answers what Orchard asks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from bot.cli.demo.stage import Answer, Play
from bot.localguild.people import Person, PostedMessage
from core.errors import Unavailable

READY_SECONDS = 30.0
QUESTION_SECONDS = 120.0
PATIENT_SECONDS = 7 * 86400.0  # while somebody plays
WELCOME, GENERAL = "welcome", "general"  # the guild's channels
APPROVE, REJECT, APPROVE_ALL = "Approve", "Reject", "Approve all"
REFUSED = "⚠️"


class Player:
    """Types, presses and fills in, as a person would; `say` hears each move."""

    def __init__(self, person: Person, play: Play, say: Callable[[str], None]) -> None:
        self._person = person
        self._play = play
        self._say = say
        self._seen: set[str] = set()

    async def open_sprints(self) -> None:
        """Registers the projects, fills their backlogs and starts their sprints.

        Epics come first: while their agent thinks, the other project's sprint is begun.
        """
        await self._until_commands()
        for project in sorted(self._play.projects, key=lambda name: name not in self._play.epics):
            await self._command(
                "project_register", channel=GENERAL, name=project, path=str(self._play.projects[project])
            )
            await self._command("project_start", channel=GENERAL, project=project)
            if project in self._play.epics:
                await self._command(
                    "epic", channel=await self._channel(project), text=self._play.epics[project]
                )
        for project in sorted(self._play.projects, key=lambda name: name in self._play.epics):
            await self._open_sprint(project)

    async def answer_questions(self) -> None:
        """Waits for each question of the script and answers it, all at once."""
        async with asyncio.TaskGroup() as group:
            for title, answers in self._play.answers.items():
                group.create_task(self._answer_all(title, answers), name=f"answers: {title}")

    async def _until_commands(self) -> None:
        async with asyncio.timeout(READY_SECONDS):
            while not await self._person.commands():  # noqa: ASYNC110 - a guild tells nobody of them
                await asyncio.sleep(0.05)

    async def _open_sprint(self, project: str) -> None:
        channel = await self._channel(project)
        for story in self._play.stories[project]:
            given = {
                "title": story.title,
                "body": story.body,
                "acceptance_criteria": "; ".join(story.criteria),
                "priority": story.priority,
            }
            wanted = {key: value for key, value in given.items() if value}
            await self._command("backlog add_story", channel=channel, **wanted)
        if project in self._play.epics:
            await self._approve_proposals(channel)
        await self._command("sprint plan", channel=channel, goal=self._play.goals[project])
        await self._command("sprint start", channel=channel)

    async def _channel(self, project: str) -> str:
        name = f"proj-{project}"
        await self._person.wait_for_channel(lambda seen: seen.name == name)
        return name

    async def _approve_proposals(self, channel: str) -> None:
        """Waits for what the epic's agent proposes, and takes it all."""
        proposed = await self._person.wait_for_message(
            lambda message: _has_button(message, APPROVE_ALL), channel=channel, timeout=QUESTION_SECONDS
        )
        self._say(f"{self._person.name} presses {APPROVE_ALL} (the epic's stories)")
        answer = await self._person.press(proposed, APPROVE_ALL)
        if answer.text.startswith(REFUSED):
            raise Unavailable(f"{APPROVE_ALL} was refused: {answer.text}")

    async def _command(self, command: str, *, channel: str | None = None, **options: str) -> None:
        shown = " ".join(f"{name}:{_short(value)}" for name, value in options.items())
        self._say(f"{self._person.name}: /{command} {shown}".rstrip())
        answer = await self._person.slash(command, options, channel=channel)
        if answer.text.startswith(REFUSED):
            raise Unavailable(f"/{command} was refused: {answer.text}")

    async def next_question(self) -> PostedMessage:
        """The next question in the guild that this player has not seen yet."""
        question = await self._person.wait_for_message(
            lambda message: message.id not in self._seen and _asks(message), timeout=PATIENT_SECONDS
        )
        self._seen.add(question.id)
        return question

    async def until_settled(self, question: PostedMessage) -> None:
        """Returns when it can be answered no longer, by whomever it was."""
        await self._person.wait_for_message(
            lambda message: message.id == question.id and not _asks(message), timeout=PATIENT_SECONDS
        )

    async def answer(self, question: PostedMessage, reason: str = "") -> None:
        """Presses Approve; with a reason, presses Reject and fills it in."""
        if not reason:
            await self._person.press(question, APPROVE)
            return
        form = await self._person.press(question, REJECT)
        await self._person.submit(form, {"text": reason})

    async def _answer_all(self, title: str, answers: tuple[Answer, ...]) -> None:
        seen: set[str] = set()
        for answer in answers:
            question = await self._person.wait_for_message(
                lambda message: message.id not in seen and _asks(message) and title in message.text,
                timeout=QUESTION_SECONDS,
            )
            seen.add(question.id)
            pressed = f"Reject: {answer.reason}" if answer.reason else APPROVE
            self._say(f"{self._person.name} presses {pressed} ({title})")
            await self.answer(question, answer.reason)


def _asks(message: PostedMessage) -> bool:
    """A question of Orchard's own, not what somebody's command shows again."""
    posed = message.raw.get("interaction") is None
    return posed and _has_button(message, APPROVE) and _has_button(message, REJECT)


def _has_button(message: PostedMessage, label: str) -> bool:
    return any(button.label == label and not button.disabled for button in message.buttons)


def _short(value: str) -> str:
    return value if len(value) <= 40 else f"{value[:39]}…"

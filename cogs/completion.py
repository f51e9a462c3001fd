"""Suggestions while a person types: quick, at most 25, and never an error."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import discord
from discord import app_commands

from cogs.text import one_line
from core.clock import Clock
from core.domain.story import StoryStatus
from core.errors import NotAllowed
from core.ids import project_of

if TYPE_CHECKING:
    from core.orchestrator.commands import Commands
    from core.orchestrator.views import StoryTitle

_log = logging.getLogger(__name__)

CHOICE_LIMIT = 25
VALUE_LIMIT = 100
PATIENCE_SECONDS = 2.0  # Discord forgets the question after 3
Sees = Callable[[str], bool]  # whether whoever types sees the project
KEPT_SECONDS = 2.0  # a name typed letter by letter asks the store once, not once a letter


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    value: str
    label: str


def matching(options: Iterable[Option], typed: str, limit: int = CHOICE_LIMIT) -> tuple[Option, ...]:
    """Case is ignored; what starts with the typed text comes first, then what holds it. PURE."""
    wanted = typed.strip().casefold()
    starts: list[Option] = []
    holds: list[Option] = []
    for option in options:
        value, label = option.value.casefold(), option.label.casefold()
        if value.startswith(wanted) or label.startswith(wanted):
            starts.append(option)
        elif wanted in value or wanted in label:
            holds.append(option)
    return tuple([*starts, *holds][:limit])


def several(options: Iterable[Option], typed: str) -> tuple[Option, ...]:
    """For a list in one text: what is typed last is completed, the ids before it are kept. PURE."""
    *before, last = (
        re.split(r"[\s,;]+", typed.strip()) if not typed.endswith((" ", ",")) else [*typed.split(), ""]
    )
    head = " ".join(word.strip(",;") for word in before if word.strip(",;"))
    taken = set(head.casefold().split())
    found = matching((o for o in options if o.value.casefold() not in taken), last)
    if not head:
        return found
    joined = (Option(value=f"{head} {o.value}", label=f"{head} {o.label}") for o in found)
    return tuple(option for option in joined if len(option.value) <= VALUE_LIMIT)


class Completion:
    """The names that people may mean, read from the core and kept for a moment; each is offered what they see
    of them."""

    def __init__(self, commands: Commands, clock: Clock) -> None:
        self._commands = commands
        self._clock = clock
        self._projects: tuple[float, tuple[Option, ...]] | None = None
        self._stories: dict[str | None, tuple[float, tuple[tuple[StoryStatus, Option], ...]]] = {}

    async def projects(self, typed: str, sees: Sees) -> tuple[Option, ...]:
        now = self._clock.monotonic()
        if self._projects is None or now - self._projects[0] > KEPT_SECONDS:
            views = await self._commands.projects()
            names = tuple(
                Option(
                    value=v.project.name,
                    label=f"{v.project.name} ({v.project.status}, {v.project.workflow})",
                )
                for v in views
            )
            self._projects = (now, names)
        return matching((one for one in self._projects[1] if sees(one.value)), typed)

    async def stories(
        self,
        typed: str,
        project: str | None,
        statuses: frozenset[StoryStatus],
        sees: Sees,
        *,
        many: bool = False,
        first: str | None = None,
    ) -> tuple[Option, ...]:
        """By id and title; `many`: the text is a list of them. Any project's where none is given, the ones of
        `first` before the others'."""
        now = self._clock.monotonic()
        kept = self._stories.get(project)
        if kept is None or now - kept[0] > KEPT_SECONDS:
            titles = await self._commands.story_titles(project)
            kept = (now, tuple((one.status, _story_option(one)) for one in titles))
            self._stories = {project: kept}
        options = [option for status, option in kept[1] if status in statuses and sees(_project_of(option))]
        if first is not None:
            own = matching([option for option in options if _project_of(option) == first], typed)
            return own + matching(
                [option for option in options if _project_of(option) != first], typed, CHOICE_LIMIT - len(own)
            )
        return several(options, typed) if many else matching(options, typed)


async def suggest(
    interaction: discord.Interaction[Any], find: Callable[[], Awaitable[Sequence[Option]]]
) -> list[app_commands.Choice[str]]:
    """The choices, or none when finding them fails or takes too long: an error here helps nobody."""
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            options = await find()
    except NotAllowed:  # they hear why when they send the command
        return []
    except Exception:
        name = interaction.command.qualified_name if interaction.command else "?"
        _log.warning("no suggestions for %s", name, exc_info=True)
        return []
    return [
        app_commands.Choice(
            name=one_line(option.label, 100) or option.value, value=option.value[:VALUE_LIMIT]
        )
        for option in options[:CHOICE_LIMIT]
    ]


def _project_of(option: Option) -> str:
    return project_of(option.value)


def _story_option(story: StoryTitle) -> Option:
    return Option(value=story.id, label=f"{story.id} {story.title}")

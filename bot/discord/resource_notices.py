"""What is told of limits that were met, strategies that were refused, turns that made room. PURE."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from bot.discord.notice import Data, Notice, Place, Render, number, say, text
from cogs.buttons import why_button
from cogs.message import Field, Tone
from cogs.text import code, count, plain, title
from core.domain.event import Event, EventKind
from core.domain.ping import Ping

CALLED_EACH = 3  # as often as this within BREACH_HOURS, and people are called: it does not mend itself
BREACH_HOURS = 1.0

_SETTINGS = {"memory": "max_memory_mb", "processes": "max_processes", "disk": "max_disk_mb"}


def breached_again(notice: Notice, times: int) -> Notice:
    """The notice of a breach in which something was ended; `times`: how often that was within BREACH_HOURS,
    this one too. It calls people each third time."""
    if times < CALLED_EACH:
        return notice
    card = notice.message.cards[0]
    often = Field(name="Again and again", value=f"{times} times within {BREACH_HOURS:g} h.")
    message = replace(notice.message, cards=(replace(card, fields=(*card.fields, often)),))
    return replace(notice, message=message, ping=Ping.BLOCKED if times % CALLED_EACH == 0 else None)


def _limit_breached(event: Event, data: Data, _: str) -> Notice:
    """Each project's limits are its own: nobody else's work was touched."""
    resource = text(data, "resource") or "a resource"
    ended = int(number(data, "ended") or 0)
    setting = _SETTINGS.get(resource)
    hint = "What was ended is tried again from its last passed gate." if ended else ""
    if setting:
        hint += f" {code(setting)} in the project's settings is the limit."
    return say(
        plain(text(data, "text")) or _breach(event, data, resource, ended),
        heading=f"🧱 {title(event.project or 'A project', 60)} met its limit of {title(resource, 60)}",
        place=Place.CHANNEL,
        tone=Tone.BAD if ended else Tone.ASK,
        fields=(Field(name="What now", value=hint.strip()),) if hint else (),
    )


def _breach(event: Event, data: Data, resource: str, ended: int) -> str:
    used, limit, largest = number(data, "used"), number(data, "limit"), number(data, "program_mb")
    unit = "" if resource == "processes" else " MB"
    words = "It took what it may have."
    if used is not None and limit is not None:
        words = f"It took {used:,.0f}{unit} of {limit:,.0f}{unit}."
    if ended:
        words += f" {count(ended, 'process', 'processes')} of its own ended"
        if text(data, "program"):
            mb = f" with {largest:,.0f} MB" if largest is not None else ""
            words += f", the largest being {code(text(data, 'program'), 60)}{mb}"
        words += "."
    return words


def _strategy_refused(event: Event, data: Data, _: str) -> Notice:
    kept = text(data, "kept")
    meanwhile = f"\nMeanwhile: {plain(kept, 500)}." if kept else "\nThe last good allocation stays."
    return say(
        f"{plain(text(data, 'why'), 1500) or 'It gave no allocation that can be used.'}{meanwhile}\n"
        f"It is named by {code('global.resource_allocation_strategy')}; `/resource_optimize` with `dry_run` "
        "tries it.",
        heading=f"🧮 The strategy {title(text(data, 'strategy') or 'that was set', 100)} is refused",
        place=Place.CHANNEL,
        tone=Tone.BAD,
    )


def _parked(event: Event, data: Data, _: str) -> Notice:
    phase = f" in {code(text(data, 'phase'))}" if text(data, "phase") else ""
    taker = f" to make room for **{title(text(data, 'taker'), 60)}**" if text(data, "taker") else ""
    reason = f"\n{plain(text(data, 'reason'), 800)}" if text(data, "reason") else ""
    return say(
        f"🅿️ Parked{phase}{taker}.{reason}\nIts files and its session are kept: it goes on there, and no try "
        "is counted.",
        tone=Tone.QUIET,
        buttons=(why_button(event.story_id),) if event.story_id else (),
    )


RESOURCES: Mapping[EventKind, Render] = {
    EventKind.LIMIT_BREACHED: _limit_breached,
    EventKind.STRATEGY_REFUSED: _strategy_refused,
    EventKind.STORY_PARKED: _parked,
}

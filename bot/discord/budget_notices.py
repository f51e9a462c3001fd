"""What is told of budgets: nearly used up, used up (with buttons for more), raised. PURE."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from bot.discord.notice import Data, Notice, Place, Render, number, say, text
from bot.discord.render import who
from cogs.message import Button, Tone
from cogs.raises import Asked, more, raise_buttons
from cogs.render_resources import bar
from cogs.text import plain, title
from core.domain.budget import MOST, Scope, Unit, worded
from core.domain.event import Event, EventKind
from core.domain.ping import Ping


def budget_key(event: Event) -> str:
    """Names the limit that an event is about: the same for its end and for its raise."""
    whose = event.story_id if text(event.data, "scope") == Scope.STORY else event.project
    return f"{text(event.data, 'scope')}:{text(event.data, 'unit')}:{whose or ''}"


def raised_line(event: Event) -> str:
    """Who allowed how much."""
    asked = _asked(event)
    amount = _amount(event.data, "amount")
    by = who(text(event.data, "by") or event.actor)
    if asked is None or not amount:
        return f"Raised by {by}."
    return f"Raised by {by}: {more(asked.unit, amount)} for {title(asked.whose, 80)}."


def _warned(event: Event, data: Data, _: str) -> Notice:
    return say(
        f"🟡 {_sentence(event, data)}{_bar(data)}",
        place=Place.THREAD if _of_story(event) else Place.CHANNEL,
        tone=Tone.QUIET,
    )


def _reached(event: Event, data: Data, story_title: str) -> Notice:
    whose = title(event.story_id or event.project or "A project", 80)
    today = " for today" if text(data, "scope") == Scope.DAY else ""
    named = f" · {title(story_title, 150)}" if story_title and _of_story(event) else ""
    return say(
        f"{_sentence(event, data)}{_bar(data)}\nNothing is lost: what was at work is kept as it stands, and "
        "goes on from there. `/budget show` tells who used most.",
        heading=f"💸 The budget of {whose}{today} is used up{named}",
        place=Place.CHANNEL,
        tone=Tone.BAD,
        ping=Ping.BLOCKED,
        buttons=_buttons(event),
    )


def _raised(event: Event, data: Data, _: str) -> Notice:
    ends = " It ends with the day." if text(data, "scope") == Scope.DAY else ""
    return say(
        f"💰 {raised_line(event)}{ends}",
        place=Place.THREAD if _of_story(event) else Place.CHANNEL,
        tone=Tone.GOOD,
    )


BUDGETS: Mapping[EventKind, Render] = {
    EventKind.BUDGET_WARNED: _warned,
    EventKind.BUDGET_REACHED: _reached,
    EventKind.BUDGET_RAISED: _raised,
}


def _of_story(event: Event) -> bool:
    return event.story_id is not None and text(event.data, "scope") in ("", Scope.STORY)


def _sentence(event: Event, data: Data) -> str:
    words = text(data, "text")
    if not words:
        return (
            f"What {title(event.story_id or event.project or 'a project', 80)} may use is nearly or all used."
        )
    return f"{plain(words[:1].upper() + words[1:], 1500)}."


def _bar(data: Data) -> str:
    unit, spent, limit = _unit(data), _amount(data, "spent"), _amount(data, "limit")
    if unit is None or spent is None or not limit:
        return ""
    return (
        f"\n{bar(spent, limit)} {spent * 100 // limit} % · **{worded(unit, spent)}** of {worded(unit, limit)}"
    )


def _buttons(event: Event) -> tuple[Button, ...]:
    asked, limit = _asked(event), _amount(event.data, "limit")
    if asked is None or not limit:
        return ()
    return raise_buttons(asked, limit, _amount(event.data, "spent") or 0)


def _asked(event: Event) -> Asked | None:
    """What more of it would be asked as; None where the event does not say what it is about."""
    unit, scope = _unit(event.data), text(event.data, "scope")
    name = event.story_id if scope == Scope.STORY else event.project
    if unit is None or scope not in set(Scope) or not name:
        return None
    return Asked(scope=Scope(scope), unit=unit, name=name, day=_day(event.data))


def _unit(data: Data) -> Unit | None:
    name = text(data, "unit")
    return Unit(name) if name in set(Unit) else None


def _amount(data: Data, key: str) -> int | None:
    value = number(data, key)
    return int(value) if value is not None and 0 <= value <= MOST else None


def _day(data: Data) -> date | None:
    try:
        return date.fromisoformat(text(data, "day"))
    except ValueError:
        return None

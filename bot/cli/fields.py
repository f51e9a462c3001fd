"""PURE: a story's fields as people type them: `title "Pay by card" estimate 3 needs shop-1,lib-2`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bot.cli.command import Misused
from cogs import typed
from core.domain.story import Priority
from core.domain.wording import LARGEST_ESTIMATE

FIELDS = ("title", "text", "criteria", "estimate", "labels", "needs", "links")
_ALSO = {"body": "text", "points": "estimate", "need": "needs", "label": "labels", "link": "links"}
_NOTHING = frozenset({"none", "-", ""})


def parse_fields(words: Sequence[str], *, more: Sequence[str] = ()) -> dict[str, str]:
    """Pairs of a field's name and its value. `more`: names that are fields, too.

    A value is one word, so what has spaces goes into quotes; only the value of a single field may do without.
    Raises Misused.
    """
    names = (*FIELDS, *more)
    if len(words) > 2 and _name(words[0]) in names and not any(_name(w) in names for w in words[1:]):
        return {_name(words[0]): " ".join(words[1:])}
    found: dict[str, str] = {}
    for at in range(0, len(words), 2):
        name = _name(words[at])
        if name not in names:
            raise Misused(
                f"'{words[at]}' is no field of a story.",
                why="What has spaces goes into quotes.",
                hint=f"Fields: {', '.join(names)}.",
            )
        if at + 1 == len(words):
            raise Misused(f"{name}: nothing was said.", hint=f'For instance: {name} "...", or {name} none.')
        if name in found:
            raise Misused(f"{name} was said twice.", hint="What has spaces goes into quotes.")
        found[name] = words[at + 1]
    return found


def arguments(fields: dict[str, str]) -> dict[str, Any]:
    """The fields as core's parameters; `none` empties one. Raises Misused."""
    made: dict[str, Any] = {}
    for name, value in fields.items():
        empty = value.strip().lower() in _NOTHING
        match name:
            case "title":
                made["title"] = value
            case "text":
                made["body"] = "" if empty else value
            case "criteria":
                made["acceptance_criteria"] = () if empty else typed.criteria(value)
            case "estimate":
                made |= {"clear_estimate": True} if empty else {"estimate": parse_number(value, "estimate")}
            case "labels":
                made["labels"] = () if empty else typed.labels(value)
            case "needs" | "links":
                made[name] = () if empty else typed.words(value)
            case "priority":
                made["priority"] = parse_priority(value)
    return made


def parse_priority(word: str) -> Priority:
    try:
        return Priority(word.strip().lower())
    except ValueError:
        raise Misused(f"'{word}' is no priority.", hint=f"Priorities: {', '.join(Priority)}.") from None


def parse_number(word: str, what: str, *, least: int = 0, most: int = LARGEST_ESTIMATE) -> int:
    """A whole number that may stand there. Raises Misused."""
    try:
        number = int(word)
    except ValueError:
        number = least - 1
    if not least <= number <= most:
        raise Misused(f"'{word}' is no {what}.", hint=f"A whole number from {least} to {most}.")
    return number


def _name(word: str) -> str:
    name = word.lower()
    return _ALSO.get(name, name)

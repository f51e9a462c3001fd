"""The one message that tells a person what they missed in a project. PURE."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from bot.discord.notices import notice
from cogs.message import Card, Message, Tone
from cogs.render_people import KIND_SIGNS
from cogs.text import code, length, title
from core.domain.event import Event, EventKind
from core.domain.ping import Ping

_WORDS = {Ping.DONE: "done", Ping.BLOCKED: "blocked", Ping.QUESTION: "asked"}
_ROOM = 3500
_FOOTER = re.compile(r"for (?P<user>\d+) · #(?P<first>\d+) to #(?P<last>\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Missed:
    """`over`: somebody has answered or helped meanwhile. `link` is '' where the post could not be made."""

    event: Event
    title: str
    link: str
    over: bool = False


def summary(user: str, project: str, missed: Sequence[Missed]) -> Message:
    """`missed` is not empty, oldest first."""
    counts = Counter(_kind(one.event) for one in missed)
    head = " · ".join(f"{KIND_SIGNS[kind]} {counts[kind]} {_WORDS[kind]}" for kind in Ping if counts[kind])
    lines: list[str] = []
    room = _ROOM
    for one in missed:
        line = _line(one)
        room -= length(line) + 1
        if room < 0:
            lines.append(f"… and {len(missed) - len(lines)} more: `/digest`")
            break
        lines.append(line)
    footer = f"for {user} · #{missed[0].event.seq} to #{missed[-1].event.seq}"
    named = f" in {project}" if project else ""
    card = Card(
        title=f"While you were away{named}",
        body="\n".join([head, *lines]),
        footer=footer,
        tone=Tone.NEUTRAL,
    )
    return Message(text=f"<@{user}>", cards=(card,))


def told_up_to(footer: str, user: str, first: int) -> int | None:
    """The last event of the summary with this footer, when it is this person's and begins with `first`."""
    match = _FOOTER.fullmatch(footer)
    if match is None or match["user"] != user or int(match["first"]) != first:
        return None
    return int(match["last"])


def _kind(event: Event) -> Ping:
    made = notice(event)
    # What was kept as missed did call; a later program may think otherwise of its kind.
    return made.ping if made is not None and made.ping is not None else Ping.DONE


def _line(one: Missed) -> str:
    event = one.event
    said = event.data.get("text") if event.kind is EventKind.BUDGET_REACHED else None
    what = str(event.data.get("question") or said or one.title or str(event.kind).replace("_", " "))
    where = f" · [post]({one.link})" if one.link else ""
    over = " · over by now" if one.over else ""
    name = f"{code(event.story_id)} " if event.story_id else ""
    line = f"{KIND_SIGNS[_kind(event)]} {name}{title(what, 160)}"
    return f"{line} · <t:{int(event.at.timestamp())}:R>{over}{where}"

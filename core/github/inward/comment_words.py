"""Comments that speak to Orchard: whether they do, and what they ask for. PURE."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from core.domain.story import Priority
from core.domain.wording import TEXT_CHARACTERS, cleaned

NAME = "orchard"
_REPLY = re.compile(r"(?m)^ {0,3}>.*\n?")


class Ask(StrEnum):
    STEER = "steer"
    STOP = "stop"
    START = "start"
    SKIP = "skip"
    PRIORITIZE = "prioritize"
    ACCEPT = "accept"
    STATUS = "status"
    HELP = "help"


HELP = (
    "What is said after my name goes to the agent that works on the story. Alone, these words do something: "
    "`stop`, `start`, `skip: why`, `priority: high` (critical, high, normal, low), `status`."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    ask: Ask
    text: str = ""  # to the agent, why, or the version of the words
    priority: Priority | None = None


_ALONE = {
    "stop": Ask.STOP,
    "pause": Ask.STOP,
    "start": Ask.START,
    "continue": Ask.START,
    "go on": Ask.START,
    "resume": Ask.START,
    "skip": Ask.SKIP,
    "status": Ask.STATUS,
    "help": Ask.HELP,
    "": Ask.HELP,
}
_SKIP = re.compile(r"/?skip\s*:\s*(?P<why>\S.*)", re.IGNORECASE | re.DOTALL)
_ACCEPT = re.compile(r"/?accept\s+`?(?P<version>[0-9a-f]{32})`?", re.IGNORECASE)
_PRIORITY = re.compile(r"/?priority[\s:=]+(?P<priority>critical|high|normal|low)", re.IGNORECASE)


def parse_comment(body: str, me: str) -> Request | None:
    """None: it does not begin with Orchard's name, so it is people's talk among themselves. `me`: the login
    that Orchard acts as."""
    said = cleaned(_REPLY.sub("", body[: 4 * TEXT_CHARACTERS]))
    text = _after_name(said, me)
    if text is None:
        return None
    word = " ".join(text.lower().removeprefix("/").rstrip(".! ").split())
    if (ask := _ALONE.get(word)) is not None:
        return Request(ask=ask)
    if (skip := _SKIP.fullmatch(text)) is not None:
        return Request(ask=Ask.SKIP, text=skip["why"][:TEXT_CHARACTERS])
    if (accept := _ACCEPT.fullmatch(text.rstrip(". "))) is not None:
        return Request(ask=Ask.ACCEPT, text=accept["version"].lower())
    if (rank := _PRIORITY.fullmatch(text.rstrip(". "))) is not None:
        return Request(ask=Ask.PRIORITIZE, priority=Priority(rank["priority"].lower()))
    return Request(ask=Ask.STEER, text=text[:TEXT_CHARACTERS])


def _after_name(said: str, me: str) -> str | None:
    names = {f"@{NAME}", f"{NAME}:", f"{NAME},"}
    if me:
        names |= {f"@{me.casefold()}", f"@{me.casefold().removesuffix('[bot]')}"}
    folded = said.casefold()
    for name in sorted(names, key=len, reverse=True):
        if not folded.startswith(name):
            continue
        rest = said[len(name) :]
        # "@orchard-team" and "@orchardist" are somebody else.
        if name[-1] in ":," or not rest or not (rest[0].isalnum() or rest[0] in "-_/["):
            return rest.lstrip(" \t\n:,").strip()
    return None

"""What is said in Discord: outside text as `core.domain.untrusted` makes it safe, and small words. PURE."""

from __future__ import annotations

import re

from core.domain.untrusted import cut as cut
from core.domain.untrusted import for_post as plain
from core.domain.untrusted import for_post_block as fence
from core.domain.untrusted import for_post_code as code
from core.domain.untrusted import for_post_line as title
from core.domain.untrusted import length as length
from core.domain.untrusted import one_line as one_line
from core.domain.untrusted import visible as visible

__all__ = [
    "code",
    "count",
    "cut",
    "fence",
    "length",
    "link",
    "one_line",
    "plain",
    "post_link",
    "title",
    "told",
    "visible",
]

_ACTOR = re.compile(r"\bdiscord:(\d{15,20})\b")


def told(text: str, limit: int = 50_000) -> str:
    """A sentence of Orchard's own, as `plain`: whom it names by an actor's id is shown by name."""
    return _ACTOR.sub(r"<@\1>", plain(text, limit))


_ADDRESS = re.compile(r"https?://[A-Za-z0-9.:-]+(?:/[A-Za-z0-9._~:/?#@!$&'*+,;=%-]*)?")


def link(words: str, url: str) -> str:
    """Words that lead somewhere, in a card; the words alone where the address is none that can be written."""
    return f"[{title(words, 100)}]({url})" if _ADDRESS.fullmatch(url) else title(words, 100)


def post_link(server: int | str, channel_id: int | None, message_id: int | None) -> str:
    """Where a post can be opened; `server`: its id, or "@me" for private messages."""
    return f"https://discord.com/channels/{server}/{channel_id}/{message_id}"


def count(number: int, one: str, many: str = "") -> str:
    """1 point, 2 points; 1 story, 2 stories."""
    return f"{number} {one if number == 1 else many or one + 's'}"

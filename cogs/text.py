"""Text from outside made safe to show in Discord. PURE.

Titles, test names, agents' words and people's reasons are all outside text: none of it may ping,
format, break out of a code block, or hide something from the reader.
"""

from __future__ import annotations

import re

# Bidirectional overrides, invisible spaces and tags: what they hide is shown instead.
_HIDDEN = re.compile(
    "[\u00ad\u061c\u115f\u1160\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0"
    "\ufff9-\ufffb\U000e0000-\U000e007f]"
)
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_MARKDOWN = re.compile(r"([\\*_~`|<>\[\]])")
_LINE_START = re.compile(r"(?m)^([ \t]*)(#{1,3}|-#|[-+]|\d{1,9}(?=[.)]))(?=[ \t.)])")
_ACTOR = re.compile(r"\bdiscord:(\d{15,20})\b")
_MASS_MENTION = re.compile(r"@(?=everyone|here)", re.IGNORECASE)


def length(text: str) -> int:
    """Characters as Discord's clients count them: UTF-16 code units, the stricter of the two readings."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def cut(text: str, limit: int) -> str:
    """At most `limit` characters; what was cut shows as an ellipsis."""
    if length(text) <= limit:
        return text
    units = text.encode("utf-16-le", "surrogatepass")[: 2 * max(limit - 1, 0)]
    return units.decode("utf-16-le", "ignore") + "…"


def visible(text: str) -> str:
    """The same text with control, right-to-left and invisible characters spelled out."""
    text = text.replace("\r\n", "\n")
    text = _SURROGATE.sub("\ufffd", text)
    text = _CONTROL.sub(lambda match: _picture(match[0]), text)
    return _HIDDEN.sub(lambda match: f"[U+{ord(match[0]):04X}]", text)


def one_line(text: str, limit: int = 200) -> str:
    """For places without markdown: choices, thread names, labels."""
    return cut(" ".join(visible(text).split()), limit)


def plain(text: str, limit: int = 50_000) -> str:
    """For places with markdown: reads as it was typed, pings nobody, formats nothing."""
    text = cut(visible(text), limit)
    text = _MARKDOWN.sub(r"\\\1", text)
    text = _LINE_START.sub(_escape_line_start, text)
    return _MASS_MENTION.sub("@\u200b", text)


def told(text: str, limit: int = 50_000) -> str:
    """A sentence of Orchard's own, as `plain`: whom it names by an actor's id is shown by name."""
    return _ACTOR.sub(r"<@\1>", plain(text, limit))


def post_link(guild_id: int, channel_id: int | None, message_id: int | None) -> str:
    """Where a post can be opened."""
    return f"https://discord.com/channels/{guild_id}/{channel_id}/{message_id}"


def count(number: int, one: str, many: str = "") -> str:
    """1 point, 2 points; 1 story, 2 stories."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def title(text: str, limit: int = 200) -> str:
    """One line for a place with markdown."""
    return plain(one_line(text, limit), limit)


def code(text: str, limit: int = 150) -> str:
    """Inline code: a test's name, a path, a commit."""
    inner = one_line(text, limit).replace("`", "\u02cb")
    return f"`{inner or ' '}`"


def fence(text: str, language: str = "", limit: int = 4000) -> str:
    """A code block of at most `limit` characters with its fences."""
    inner = visible(text).replace("```", "`\u200b`\u200b`").strip("\n")
    frame = length(f"```{language}\n\n```")
    return f"```{language}\n{cut(inner, limit - frame)}\n```"


def _picture(character: str) -> str:
    number = ord(character)
    if number < 0x20:
        return chr(0x2400 + number)
    return "\u2421" if number == 0x7F else f"[U+{number:04X}]"


def _escape_line_start(match: re.Match[str]) -> str:
    space, mark = match[1], match[2]
    return f"{space}{mark}\\" if mark[0].isdigit() else f"{space}\\{mark}"

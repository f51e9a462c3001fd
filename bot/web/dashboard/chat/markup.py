"""PURE: Discord's Markdown as HTML. Everything that was written is escaped; only our own tags stand in it.

What it knows: https://support.discord.com/hc/en-us/articles/210298617 and, for `<@id>` and its like,
https://docs.discord.com/developers/reference#message-formatting
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from html import escape

_FENCE = re.compile(r"```(?:([A-Za-z0-9+#-]{1,20})\n)?\n?(.*?)\n?```", re.DOTALL)
_INLINE = re.compile(
    r"\\(?P<escaped>[!-/:-@\[-`{-~])"
    r"|(?P<ticks>`{1,2})(?P<code>[^`\n]+)(?P=ticks)"
    r"|<@!?(?P<user>\d{1,20})>"
    r"|<\#(?P<channel>\d{1,20})>"
    r"|<@&(?P<role>\d{1,20})>"
    r"|<t:(?P<at>-?\d{1,12})(?::[tTdDfFR])?>"
    r"|</(?P<command>[\w -]{1,100}):\d{1,20}>"
    r"|\[(?P<label>[^\[\]\n]{1,200})\]\((?P<target>https?://[^\s()<>]{1,500})\)"
    r"|<?(?P<url>https?://[^\s<>\"'`|]{1,500}[^\s<>\"'`|.,;:!?)\]])>?"
    r"|\*\*(?P<bold>(?=\S).{1,2000}?(?<=\S))\*\*(?!\*)"
    r"|__(?P<under>(?=\S).{1,2000}?(?<=\S))__(?!_)"
    r"|~~(?P<struck>(?=\S).{1,2000}?(?<=\S))~~"
    r"|\|\|(?P<hidden>(?=\S).{1,2000}?(?<=\S))\|\|"
    r"|\*(?P<leaned>(?=[^\s*])[^*\n]{1,2000}?(?<=\S))\*"
    r"|(?<![\w])_(?P<sloped>(?=[^\s_])[^_\n]{1,2000}?(?<=\S))_(?!\w)",
    re.DOTALL,
)
_TAGS = {"bold": "strong", "under": "u", "struck": "s", "leaned": "em", "sloped": "em"}
_HEADING = re.compile(r"(#{1,3}) +(\S.*)")
_ITEM = re.compile(r"( *)[-*] +(\S.*)")
_DEEPEST = 6  # one emphasis inside another


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """What ids stand for, by id."""

    users: Mapping[str, str] = field(default_factory=dict)
    channels: Mapping[str, str] = field(default_factory=dict)
    roles: Mapping[str, str] = field(default_factory=dict)


def to_html(text: str, names: Names) -> str:
    """Blocks: headings, lists, quotes and fenced code; lines break as they were written."""
    parts: list[str] = []
    end = 0
    for fence in _FENCE.finditer(text):
        parts += [_lines(text[end : fence.start()].strip("\n"), names), _fenced(fence[1] or "", fence[2])]
        end = fence.end()
    parts.append(_lines(text[end:].strip("\n"), names))
    return "".join(parts)


def inline(text: str, names: Names) -> str:
    """Of one line, such as an embed's title."""
    return _spans(text, names, 0)


def _fenced(language: str, code: str) -> str:
    if language == "diff":
        lines = "".join(_diff_line(line) for line in code.split("\n"))
        return f'<pre class="m-code diff" tabindex="0">{lines}</pre>'
    return f'<pre class="m-code" tabindex="0">{escape(code)}</pre>'


def _diff_line(line: str) -> str:
    kind = {"+": "added", "-": "gone", "@": "place"}.get(line[:1], "same")
    return f'<span class="{kind}">{escape(line)}\n</span>'


def _lines(text: str, names: Names) -> str:
    return "".join(_line(line, names) for line in text.split("\n")) if text else ""


def _line(line: str, names: Names) -> str:
    if not line.strip():
        return '<div class="m-gap"></div>'
    if line.startswith(("> ", ">>> ")):
        return f'<div class="m-quote">{_spans(line.partition(" ")[2], names, 0)}</div>'
    if line.startswith("-# "):
        return f'<div class="m-small">{_spans(line[3:], names, 0)}</div>'
    if (heading := _HEADING.fullmatch(line)) is not None:
        return f'<div class="m-head m-head{len(heading[1])}">{_spans(heading[2], names, 0)}</div>'
    if (item := _ITEM.fullmatch(line)) is not None:
        deeper = " deeper" if len(item[1]) >= 2 else ""
        return f'<div class="m-item{deeper}">{_spans(item[2], names, 0)}</div>'
    indented = " indented" if line.startswith("  ") else ""
    return f'<div class="m-line{indented}">{_spans(line, names, 0)}</div>'


def _spans(text: str, names: Names, depth: int) -> str:
    if depth > _DEEPEST:
        return escape(text)
    parts, end = [], 0
    for found in _INLINE.finditer(text):
        parts += [escape(text[end : found.start()]), _span(found, names, depth)]
        end = found.end()
    parts.append(escape(text[end:]))
    return "".join(parts)


def _span(found: re.Match[str], names: Names, depth: int) -> str:
    kind = found.lastgroup or ""
    said = found[kind]
    if kind in _TAGS:
        tag = _TAGS[kind]
        return f"<{tag}>{_spans(said, names, depth + 1)}</{tag}>"
    match kind:
        case "escaped":
            return escape(said)
        case "code":
            return f"<code>{escape(said)}</code>"
        case "user":
            return _mention("@" + names.users.get(said, "unknown user"))
        case "channel":
            return _mention("#" + names.channels.get(said, "unknown"))
        case "role":
            return _mention("@" + names.roles.get(said, "unknown role"))
        case "command":
            return _mention("/" + said)
        case "at":
            return _time(int(said))
        case "hidden":
            return f'<span class="m-veiled" tabindex="0">{_spans(said, names, depth + 1)}</span>'
        case "target":
            return _link(said, _spans(found["label"], names, depth + 1))
        case _:
            return _link(said, escape(said))


def _mention(name: str) -> str:
    return f'<span class="m-mention">{escape(name)}</span>'


def _link(target: str, shown: str) -> str:
    return f'<a href="{escape(target)}" target="_blank" rel="noopener noreferrer">{shown}</a>'


def _time(seconds: int) -> str:
    try:
        at = datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return escape(f"<t:{seconds}>")
    return stamp(at)


def stamp(at: datetime) -> str:
    """A time; a browser shows it as its own clock has it."""
    at = at.astimezone(UTC)
    shown = f"{at:%b} {at.day}, {at:%H:%M} UTC"
    return f'<time datetime="{at.isoformat()}" data-at="day">{shown}</time>'

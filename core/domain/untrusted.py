"""Text from outside, made safe for where it goes: a post, a prompt, a terminal. PURE.

Titles, test names, agents' words, issues and people's reasons are all outside text. In a post none of it may
ping, invite, format, name a link otherwise than by where it leads, or hide something from the reader; in a
prompt it cannot close the marks that it stands between; in a terminal it cannot steer. What would have done
so is shown, never silently dropped.
"""

from __future__ import annotations

import re
from typing import Final

# Bidirectional marks and overrides, invisible and filling characters, line ends that only some programs know,
# tags and variation selectors: all of them are shown by their number.
_HIDDEN = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\u2800"
    "\u3164\ufe00-\ufe0d\ufeff\uffa0\ufff9-\ufffb\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
# The two joiners belong to emoji and to several scripts; beside plain letters, and at an end, they only hide.
_JOINER = re.compile("(?<![^\x00-\x7f\u200c\u200d])[\u200c\u200d]|[\u200c\u200d](?![^\x00-\x7f\u200c\u200d])")
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_ACCENTS = "[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]"
_STACKED = re.compile(f"({_ACCENTS}{{6}}){_ACCENTS}+")
_MARKDOWN = re.compile(r"([\\*_~`|<>\[\]])")
_LINE_START = re.compile(r"(?m)^([ \t]*)(#{1,3}|-#|[-+]|\d{1,9}(?=[.)]))(?=[ \t.)])")
_MENTION = re.compile(r"@(?=everyone|here|[!&]?\d)|#(?=\d{15,})", re.IGNORECASE)
_DOT = r"[.\u3002\uff0e\uff61\u2024\ufe52]"
_INVITE = re.compile(
    rf"(discord(?:app)?){_DOT}((?:gg|me|io|li|link)\b|com(?=/+invite))|\b(dsc|invite){_DOT}(gg)\b",
    re.IGNORECASE,
)
# https://discord.com@elsewhere/: what stands before the @ is a name to log in with, and reads like a host.
_LOGIN_LINK = re.compile(r"(\bhttps?):(?=//[^\s/?#]*@)", re.IGNORECASE)
# CSI; OSC, DCS, SOS, PM and APC with their text where it ends; two-character sequences. ECMA-48, 5.3 and 5.4.
_ESCAPES = re.compile(
    "(?:\x1b\\[|\x9b)[0-?]*[ -/]*[@-~]?"
    "|(?:\x1b[\\]PX^_]|[\x90\x98\x9d-\x9f])(?:[^\x07\x1b\x90\x98\x9c-\x9f]*(?:\x07|\x1b\\\\|\x9c))?"
    "|\x1b[ -/]*[0-~]?"
)
_BARS: Final = "====="
_RUN = re.compile(r"={5,}")
_ALIKE = "\uff1d\ufe66\ua78a\u2550\u268c\u1400\u30a0\u207c\u208c\u2261\u2263\u2a75\u2a76\u3013\u25ac\u2a8c"
_BAR_ALIKE = re.compile(f"[={_ALIKE}]{{3,}}")
# By which models' own templates part their speakers: <|im_start|>, [INST], <<SYS>>.
_SPEAKERS = re.compile(r"<\|(?=[A-Za-z_0-9]{2,40}\|>)|\[(?=/?INST\])|<(?=<\/?SYS>>)")
_LONGEST_RUN = 200


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
    """The same text with control, right-to-left and invisible characters spelled out; tabs and lines stay."""
    return _STACKED.sub(r"\1[…]", _spelled_out(text))


def one_line(text: str, limit: int = 200) -> str:
    """For places without markdown: choices, thread names, labels."""
    return cut(" ".join(visible(text).split()), limit)


# Posts


def for_post(text: str, limit: int = 50_000) -> str:
    """For places with markdown: reads as it was typed, pings and invites nobody, formats nothing.

    A link stays one only as its whole bare address. The result may be longer than `limit`, by its escapes.
    """
    text = _unlinked(cut(visible(text), limit))
    text = _MARKDOWN.sub(r"\\\1", text)
    text = _LINE_START.sub(_escape_line_start, text)
    return _unmentioned(text)


def for_post_line(text: str, limit: int = 200) -> str:
    """One line for a place with markdown."""
    return for_post(one_line(text, limit), limit)


def for_post_code(text: str, limit: int = 150) -> str:
    """Inline code: a test's name, a path, a commit."""
    inner = one_line(text, limit).replace("`", "\u02cb")
    return f"`{_unmentioned(inner) or ' '}`"


def for_post_block(text: str, language: str = "", limit: int = 4000) -> str:
    """A code block of at most `limit` characters with its fences, which its text cannot close."""
    inner = visible(text).replace("```", "`\u200b`\u200b`").strip("\n")
    if inner.endswith("`"):
        inner += "\u200b"
    language = language if re.fullmatch(r"[a-z0-9+-]{0,20}", language) else ""
    frame = length(f"```{language}\n\n```")
    return f"```{language}\n{cut(_unmentioned(inner), limit - frame)}\n```"


# Prompts


def marked(name: str, text: str, limit: int = 60_000) -> str:
    """`text` between marks that do not occur in it, with what is hidden from people spelled out.

    `limit`: characters; the rest is named by its number. What only looks like the marks is spelled out, and
    a very long run of bars is named by its length, so that marks stay short.
    """
    if len(text) > limit:
        text = f"{text[:limit]}\n[{len(text) - limit} characters more]"
    text = _ESCAPES.sub(
        lambda match: "".join(_picture(each) if each < " " else each for each in match[0]), text
    )
    text = _BAR_ALIKE.sub(_bars_named, unspoken(_spelled_out(text)))
    runs = [len(run) for run in _RUN.findall(text)]
    if max(runs, default=0) > _LONGEST_RUN:
        text = _RUN.sub(
            lambda run: f"[{len(run[0])} times =]" if len(run[0]) > _LONGEST_RUN else run[0], text
        )
        runs = [number for number in runs if number <= _LONGEST_RUN]
    bars = "=" * max(len(_BARS), max(runs, default=0) + 1)
    title = " ".join(visible(name).replace("=", "-").split())
    return f"{bars} {title}: begin {bars}\n{text}\n{bars} {title}: end {bars}"


def _bars_named(run: re.Match[str]) -> str:
    """A run of bars stays; one in which others only look like them is named."""
    return run[0] if set(run[0]) == {"="} else f"[{len(run[0])} characters like =]"


def unspoken(text: str) -> str:
    """Without what a model may take for the beginning of somebody else's words."""
    return _SPEAKERS.sub(lambda match: f"[{match[0]}]", text)


# Terminals


def for_terminal(text: str) -> str:
    """Without escape sequences, with every other character that steers or hides shown as U+FFFD."""
    text = _ESCAPES.sub("", text)
    # Some of what is hidden counts as printable: fillers, for one.
    text = _HIDDEN.sub("\ufffd", text.replace("\r\n", "\n"))
    return "".join(each if each.isprintable() or each in "\n\t" else "\ufffd" for each in text)


def _unlinked(text: str) -> str:
    text = _INVITE.sub(lambda m: f"{m[1] or m[3]}(.){m[2] or m[4]}", text)
    return _LOGIN_LINK.sub(r"\1(:)", text)


def _unmentioned(text: str) -> str:
    return _MENTION.sub(lambda match: f"{match[0]}\u200b", text)


def _spelled_out(text: str) -> str:
    """Control and hidden characters by their pictures or numbers; tabs and line ends stay."""
    text = _SURROGATE.sub("\ufffd", text.replace("\r\n", "\n"))
    text = _CONTROL.sub(lambda match: _picture(match[0]), text)
    text = _HIDDEN.sub(lambda match: _number(match[0]), text)
    return _JOINER.sub(lambda match: _number(match[0]), text)


def _number(character: str) -> str:
    return f"[U+{ord(character):04X}]"


def _picture(character: str) -> str:
    number = ord(character)
    if number < 0x20:
        return chr(0x2400 + number)
    return "\u2421" if number == 0x7F else _number(character)


def _escape_line_start(match: re.Match[str]) -> str:
    space, mark = match[1], match[2]
    return f"{space}{mark}\\" if mark[0].isdigit() else f"{space}\\{mark}"

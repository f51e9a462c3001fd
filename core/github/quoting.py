"""Words from outside in GitHub's Markdown: read as they were typed, and do nothing there. PURE.

A mention would call people, `#1` and an issue's address would leave a trace on that issue ("fixes #1" would
close it), HTML would hide, `$` would begin a formula. The filters for mentions and references look at what
was rendered, so a backslash or an entity does not stop them: a zero-width space does. An address that was
said stays readable, but is no link: links are Orchard's own, made by `link`.
"""

from __future__ import annotations

import re

from core.domain.untrusted import cut, one_line, visible

_GAP = "\u200b"
_MARKDOWN = re.compile(r"([\\*~`|\[\]$]|(?<![^\W_])_|_(?![^\W_]))")  # inside of a word "_" marks nothing
_LINE_START = re.compile(r"(?m)^([ \t]*)(#{1,6}|[-+=]+|\d{1,9}(?=[.)]))(?=[ \t.)]|$)")
_INDENT = re.compile(r"(?m)^[ \t]{2,}")
# "@" alone, so that mails and org/repo@commit are none either; "#1", "GH-1".
_MENTION = re.compile("@(?=[\\w-])")
_REFERENCE = re.compile(r"#(?=\d)|\b(gh-)(?=\d)", re.IGNORECASE)
# What GitHub takes for an address: with a scheme, "www." or, with a gap behind its @, no mail any more.
_ADDRESS = re.compile(
    r"\b([a-z][a-z0-9+.-]{1,20}):(?=//)|\b(www)\.(?=\w)|\b(mailto|xmpp):(?=\S)", re.IGNORECASE
)
# A commit's name becomes a link to it; words and numbers that only look like one stay whole.
_COMMIT = re.compile(r"\b(?=[0-9a-f]*[a-f])(?=[0-9a-f]*[0-9])([0-9a-f]{3})([0-9a-f]{4,37})\b", re.IGNORECASE)
# Tags and entities; links and their definitions; a backslash that would stand between a mark and its gap.
_BEGINS = re.compile(r"[<&](?=\S)|\](?=[(\[:])|\\(?=[@#:./])|@(?=\\)")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_ENTITY = re.compile("[&<>]")
_COMMIT_NAME = re.compile(r"[0-9a-f]{7,64}")
_LINKABLE = re.compile(r"https?://[^\s<>()\[\]\"'`\\]+")


def line(text: str, limit: int = 200) -> str:
    """One line in a paragraph or a table's cell. `limit`: characters before they are escaped."""
    return _LINE_START.sub(_escape_start, _inert(one_line(text, limit)))


def paragraphs(text: str, limit: int = 4000) -> str:
    """Several lines, each of its own as they were typed; empty ones part them."""
    text = _INDENT.sub(" ", _inert(cut(visible(text), limit)).replace("\t", " "))
    return _LINE_START.sub(_escape_start, text).strip()


def quotation(text: str, limit: int = 1000) -> str:
    """What somebody said, set off as theirs."""
    return "\n".join(f"> {each}".rstrip() for each in paragraphs(text, limit).split("\n"))


def code(text: str, limit: int = 100) -> str:
    """A path, a branch, a test's name. In code GitHub links nothing."""
    inner = one_line(text, limit).replace("|", "\\|")
    longest = max((len(run) for run in re.findall("`+", inner)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if longest or not inner else ""
    return f"{fence}{pad}{inner}{pad}{fence}"


def link(words: str, url: str) -> str:
    """Orchard's own link, of escaped words; the words alone when the address could end it early."""
    return f"[{words}]({url})" if _LINKABLE.fullmatch(url) else words


def commit(name: str, html_url: str = "") -> str:
    """A commit, short; a link where the repository's page is known. Anything else is shown as code."""
    if not _COMMIT_NAME.fullmatch(name):
        return code(name, 40)
    short = f"`{name[:7]}`"
    return link(short, f"{html_url}/commit/{name}") if html_url else short


def plain(text: str, limit: int = 200) -> str:
    """For places without Markdown that still name issues: titles, labels, descriptions of milestones."""
    return _unlinked(one_line(text, limit))


def inert(text: str) -> str:
    """Markdown stays Markdown, as people typed it, but calls nobody, points nowhere and is no HTML: for an
    issue's body. By gaps alone, which are left out where it is read again (`wording.cleaned`)."""
    text = visible(text.replace(_GAP, ""))
    return _unlinked(_BEGINS.sub(lambda match: f"{match[0]}{_GAP}", text))


def _inert(text: str) -> str:
    """Markdown's marks escaped in the one pass that knows no gaps yet, then the gaps."""
    text = _ENTITY.sub(lambda match: _ENTITIES[match[0]], text)
    return _unlinked(_MARKDOWN.sub(r"\\\1", text))


def _unlinked(text: str) -> str:
    text = _ADDRESS.sub(lambda match: f"{match[0][:-1]}{_GAP}{match[0][-1]}", text)
    text = _MENTION.sub(f"@{_GAP}", text)
    text = _REFERENCE.sub(lambda match: f"{match[0]}{_GAP}", text)
    return _COMMIT.sub(rf"\1{_GAP}\2", text)


def _escape_start(match: re.Match[str]) -> str:
    space, mark = match[1], match[2]
    return f"{space}{mark}\\" if mark[0].isdigit() else f"{space}\\{mark}"

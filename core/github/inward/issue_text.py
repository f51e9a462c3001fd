"""An issue's words as a story's, and a story's as an issue's. PURE.

A task list's items are acceptance criteria, also those of a list under a heading that says so; the rest of
the body is the story's text. Comments of HTML, which people do not see at GitHub, do not reach a story. What
is longer than a story may be is cut, with a note; `rewritten` puts the rest back before it goes to GitHub.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

from core.domain.story import Priority, Story
from core.domain.wording import CRITERIA, CRITERION_CHARACTERS, TEXT_CHARACTERS, TITLE_CHARACTERS, cleaned
from core.github.inward.issue_labels import Marks

HEADING: Final = "## Acceptance criteria"

_FENCE = re.compile(r" {0,3}(`{3,}(?=[^`]*$)|~{3,})")
_TASK = re.compile(r"(?P<indent>[ \t]*)(?:[-*+]|\d{1,9}[.)])[ \t]+\[(?P<tick>[ xX])\][ \t]+(?P<text>\S.*)")
_ITEM = re.compile(r"(?P<indent>[ \t]*)(?:[-*+]|\d{1,9}[.)])[ \t]+(?P<text>\S.*)")
_TITLE = re.compile(r" {0,3}#{1,6}[ \t]+(?P<text>.*)")
_BOLD = re.compile(r"[*_]{2}(?P<text>[^*_]+?):?[*_]{2}:?")
_CRITERIA_TITLES = frozenset({"acceptance criteria", "acceptance criterion", "acceptance", "done when"})
_EMPTY_TASKS = frozenset({"[ ]", "[x]", "[X]"})
_CUT = re.compile(r"\n\n\[(\d+) characters more, in the issue\]\Z")
_NOTE_ROOM = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """The text of an issue as it may stand in a story; all within a story's limits."""

    title: str
    body: str
    acceptance_criteria: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Body:
    text: str  # whole
    criteria: tuple[str, ...]
    ticked: frozenset[str]


# Words


def parse_words(title: str, body: str, *, number: int) -> Words:
    """Raises nothing: whatever people can write becomes a story."""
    said = " ".join(cleaned(title).split())
    if len(said) > TITLE_CHARACTERS:
        said = f"{said[: TITLE_CHARACTERS - 4].rstrip()} ..."
    parsed = _parse_body(body)
    return Words(
        title=said or f"Issue {number}", body=_fitted(parsed.text), acceptance_criteria=parsed.criteria
    )


def words_of(story: Story) -> Words:
    return Words(title=story.title, body=story.body, acceptance_criteria=story.acceptance_criteria)


def issue_body(words: Words, *, marker: str = "") -> str:
    """The body of an issue that `parse_words` reads as these words."""
    return _written(words.body, words.acceptance_criteria, frozenset(), marker)


def rewritten(current: str, words: Words) -> str:
    """The issue's body with the story's words; as it is where it says them already. Comments of HTML stay at
    its end, ticks stay ticked, and what was cut comes back where its note still stands."""
    parsed = _parse_body(current)
    body = words.body
    if (cut := _CUT.search(_fitted(parsed.text))) is not None and body.endswith(cut[0]):
        body = body.removesuffix(cut[0]) + parsed.text[len(_fitted(parsed.text)) - len(cut[0]) :]
    if body == parsed.text and words.acceptance_criteria == parsed.criteria:
        return current
    return _written(body, words.acceptance_criteria, parsed.ticked, _parted(current)[1])


def _written(body: str, criteria: Sequence[str], ticked: Collection[str], hidden: str) -> str:
    parts = [body] if body else []
    if criteria:
        lines = [f"- [{'x' if each in ticked else ' '}] {' '.join(each.split())}" for each in criteria]
        parts.append("\n".join([HEADING, "", *lines]))
    return "\n\n".join([*parts, hidden] if hidden else parts)


def _fitted(text: str) -> str:
    """Within a story's limit, with a note of how much was cut."""
    if len(text) <= TEXT_CHARACTERS:
        return text
    kept = text[: TEXT_CHARACTERS - _NOTE_ROOM]
    return f"{kept}\n\n[{len(text) - len(kept)} characters more, in the issue]"


def _parse_body(body: str) -> _Body:
    reader = _Reader()
    for line in cleaned(_parted(body)[0]).split("\n"):
        reader.take(line)
    return reader.end()


def _parted(body: str) -> tuple[str, str]:
    """What people see of it, and the comments of HTML; those in code blocks are code."""
    shown: list[str] = []
    hidden: list[str] = []
    fence, comment = "", False
    for line in body.replace("\r\n", "\n").replace("\r", "\n").split("\n"):
        if fence:
            shown.append(line)
            fence = "" if _closes(line, fence) else fence
        elif not comment and (opened := _FENCE.match(line)) is not None:
            shown.append(line)
            fence = opened[1]
        else:
            plain, notes, comment = _without_comments(line, comment)
            hidden += notes
            if plain.strip() or not notes:
                shown.append(plain)
    return "\n".join(shown), "\n".join(hidden)


def _without_comments(line: str, inside: bool) -> tuple[str, list[str], bool]:
    """What is left of the line, what is hidden of it, and whether the comment goes on in the next one."""
    plain: list[str] = []
    notes: list[str] = []
    place = 0
    while True:
        if inside:
            end = line.find("-->", place)
            notes.append(line[place:] if end < 0 else line[place : end + 3])
            if end < 0:
                return "".join(plain), notes, True
            place, inside = end + 3, False
        begin = line.find("<!--", place)
        plain.append(line[place:] if begin < 0 else line[place:begin])
        if begin < 0:
            return "".join(plain), notes, False
        place, inside = begin, True


def _closes(line: str, fence: str) -> bool:
    stripped = line.strip()
    return stripped.startswith(fence) and not stripped.strip(fence[0])


class _Reader:
    """Parts the lines of a body into text and criteria."""

    def __init__(self) -> None:
        self._text: list[str] = []
        self._criteria: list[str] = []
        self._ticked: set[str] = set()
        self._fence = ""
        self._titled = False  # under a heading that says that criteria follow
        self._item: tuple[int, list[str], bool] | None = None  # its indent, its lines, ticked

    def take(self, line: str) -> None:
        if self._fence:
            self._text.append(line)
            self._fence = "" if _closes(line, self._fence) else self._fence
            return
        task = _TASK.fullmatch(line)
        item = task or (_ITEM.fullmatch(line) if self._titled else None)
        if (opened := _FENCE.match(line)) is not None:
            self._fence = opened[1]
            self._plain(line)
        elif task is None and line.strip() and self._item is not None and _indent(line) > self._item[0]:
            self._item[1].append(line)
        elif item is not None:
            self._close()
            is_ticked = task is not None and task["tick"] != " "
            self._item = (_indent(line), [item["text"]], is_ticked)
        elif line.strip():
            self._other(line)
        elif self._item is None:
            self._text.append(line)

    def _other(self, line: str) -> None:
        """A heading, or text."""
        self._plain(line)
        if (heading := _heading(line)) is not None:
            self._titled = heading in _CRITERIA_TITLES

    def _plain(self, line: str) -> None:
        self._close()
        self._text.append(line)

    def _close(self) -> None:
        if self._item is None:
            return
        _, lines, ticked = self._item
        self._item = None
        text = " ".join(" ".join(lines).split())
        if text in _EMPTY_TASKS:
            return
        if text not in self._criteria:
            if len(text) > CRITERION_CHARACTERS or len(self._criteria) == CRITERIA:
                self._text += [f"- {lines[0]}", *lines[1:]]  # more than a story may have: it stays text
                return
            self._criteria.append(text)
        if ticked:
            self._ticked.add(text)

    def end(self) -> _Body:
        self._close()
        text = _without_empty_headings(self._text)
        if self._fence:
            text.append(self._fence)
        return _Body(
            text=re.sub(r"\n{3,}", "\n\n", "\n".join(text)).strip(),
            criteria=tuple(self._criteria),
            ticked=frozenset(self._ticked),
        )


def _without_empty_headings(lines: Sequence[str]) -> list[str]:
    """Headings of criteria under which nothing else is left."""
    kept: list[str] = []
    for index, line in enumerate(lines):
        if _heading(line) in _CRITERIA_TITLES:
            after = next((each for each in lines[index + 1 :] if each.strip()), None)
            if after is None or _heading(after) is not None:
                continue
        kept.append(line)
    return kept


def _heading(line: str) -> str | None:
    """Of a line that is one, or that is bold alone: its words, in small letters."""
    match = _TITLE.fullmatch(line) or _BOLD.fullmatch(line.strip())
    return None if match is None else " ".join(match["text"].lower().rstrip("# \t").rstrip(":").split())


def _indent(line: str) -> int:
    expanded = line.expandtabs(4)
    return len(expanded) - len(expanded.lstrip())


# What each side saw last


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What an issue said when it was taken in or written last: `github_issues.seen`, as JSON. Of the words, a
    digest each; so who changed which of them since is known on both sides. `held`: the version of the words
    that wait for a person (core.github.inward.consent); `accepted`: the one that a person wants taken in."""

    title: str = ""
    body: str = ""
    acceptance_criteria: str = ""
    labels: str = ""
    priority: str = ""
    estimate: int | None = None
    milestone: int | None = None  # its number
    wanted: bool = True  # it asked to be a story
    held: str = ""
    accepted: str = ""

    def to_text(self) -> str:
        return json.dumps({name: getattr(self, name) for name in _SEEN}, separators=(",", ":"))


_SEEN = tuple(Seen.__dataclass_fields__)
_LATER = ("held", "accepted")


def seen_words(words: Words) -> dict[str, str]:
    """The digests, for `dataclasses.replace` of a Seen once Orchard wrote these words there."""
    return {
        "title": _digest(words.title),
        "body": _digest(words.body),
        "acceptance_criteria": _digest(*words.acceptance_criteria),
    }


def seen_marks(marks: Marks) -> dict[str, str]:
    """Likewise, once Orchard made its labels say these."""
    priority = marks.priority.value if marks.priority is not None else ""
    return {"labels": _digest(*marks.labels), "priority": priority}


def seen_of(words: Words, marks: Marks, *, milestone: int | None, wanted: bool) -> Seen:
    return Seen(
        **seen_words(words),
        **seen_marks(marks),
        estimate=marks.estimate,
        milestone=milestone,
        wanted=wanted,
    )


def parse_seen(text: str) -> Seen | None:
    """None for "" and for what is no such text: then everything counts as new."""
    try:
        raw: Any = json.loads(text)
        return Seen(**{name: raw[name] for name in _SEEN if name in raw or name not in _LATER})
    except (ValueError, KeyError, TypeError):
        return None


def changed_words(seen: Seen | None, words: Words) -> tuple[str, ...]:
    """Which of title, body and acceptance_criteria differ from what was seen."""
    now = seen_words(words)
    return tuple(name for name, digest in now.items() if seen is None or getattr(seen, name) != digest)


def changed_marks(seen: Seen | None, marks: Marks) -> tuple[str, ...]:
    """Which of labels and priority differ from what was seen; no priority is the normal one."""
    if seen is None:
        return ()
    changed = ["labels"] if _digest(*marks.labels) != seen.labels else []
    if (marks.priority or Priority.NORMAL) != (seen.priority or Priority.NORMAL):
        changed.append("priority")
    return tuple(changed)


def _digest(*texts: str) -> str:
    """Enough to tell versions of one issue apart: 64 bits of SHA-256."""
    return hashlib.sha256("\0".join(texts).encode("utf-8", "surrogatepass")).hexdigest()[:16]

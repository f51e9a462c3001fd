"""A unified diff by files, as git writes it. PURE. What is no diff (a cut end) stays text.

Somebody decides by what is shown here, and an agent wrote it: nothing is left out but what says the same
again.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

LINES = 4000  # that are shown of all files
_FILE = re.compile(r"^diff --git a/(?P<old>.+) b/(?P<new>.+)$")
_INDEX = re.compile(r"index [0-9a-f]+\.\.[0-9a-f]+(?: [0-7]{6})?")
_HUNK = re.compile(r"^@@ -(?P<old>\d+)(?:,\d+)? \+(?P<new>\d+)(?:,\d+)? @@")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """`kind`: "add", "cut", "same", "hunk" or "note". `number`: in the new file, of a cut line in the old."""

    kind: str
    text: str
    number: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    name: str
    added: int
    removed: int
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Diff:
    """`before`: text that stands in front of the first file; all of it where there is none. `left_out`: lines
    that are not shown."""

    before: str
    files: tuple[File, ...]
    left_out: int = 0

    @property
    def added(self) -> int:
        return sum(file.added for file in self.files)

    @property
    def removed(self) -> int:
        return sum(file.removed for file in self.files)


def diff_of(text: str, *, most: int | None = None) -> Diff:
    """`most`: lines of all files that are shown; else `LINES`."""
    lines = text.removesuffix("\n").split("\n")  # git's lines end so, and no others do
    begins = [place for place, line in enumerate(lines) if _FILE.match(line)]
    if not begins:
        return Diff(before=text, files=())
    files, left, left_out = [], LINES if most is None else most, 0
    for begin, end in zip(begins, [*begins[1:], len(lines)], strict=True):
        file = _file(lines[begin:end])
        shown = file.lines[:left]
        left -= len(shown)
        left_out += len(file.lines) - len(shown)
        files.append(File(name=file.name, added=file.added, removed=file.removed, lines=shown))
    return Diff(before="\n".join(lines[: begins[0]]), files=tuple(files), left_out=left_out)


def _file(lines: list[str]) -> File:
    match = _FILE.match(lines[0])
    assert match is not None
    known = (f"--- a/{match['old']}", f"+++ b/{match['new']}", "--- /dev/null", "+++ /dev/null")
    found: list[Line] = []
    old = new = 0
    inside = False
    for text in lines[1:]:
        if hunk := _HUNK.match(text):
            inside, old, new = True, int(hunk["old"]), int(hunk["new"])
            found.append(Line(kind="hunk", text=text))
        elif not inside:
            if not _INDEX.fullmatch(text) and text not in known:
                found.append(Line(kind="note", text=text))
        elif text.startswith("+"):
            found.append(Line(kind="add", text=text[1:], number=new))
            new += 1
        elif text.startswith("-"):
            found.append(Line(kind="cut", text=text[1:], number=old))
            old += 1
        elif text.startswith("\\") or not text.startswith(" "):
            found.append(Line(kind="note", text=text))
        else:
            found.append(Line(kind="same", text=text[1:], number=new))
            old, new = old + 1, new + 1
    return File(
        name=match["new"] if match["new"] == match["old"] else f"{match['old']} → {match['new']}",
        added=sum(line.kind == "add" for line in found),
        removed=sum(line.kind == "cut" for line in found),
        lines=tuple(found),
    )

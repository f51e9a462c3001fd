"""What was said in a turn, entry by entry, out of its readable text. PURE."""

from __future__ import annotations

import re
from dataclasses import dataclass

ENTRIES = 200  # the last that are shown
_BEGIN = re.compile(r"^(?P<at>\d\d:\d\d:\d\d) (?P<kind>[a-z ]{1,20}): ?(?P<text>.*)$")
_INDENT = "    "
_SHOWN = 20_000  # characters of one entry


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """`number`: counts from the turn's first; `kind`: "agent", "thought", "tool", "prompt", "note", ..."""

    number: int
    at: str  # HH:MM:SS, UTC
    kind: str
    head: str
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcript:
    name: str  # of its file: phase, attempt, generation
    entries: tuple[Entry, ...]
    left_out: int  # earlier ones that are not shown


def transcript_of(text: str) -> Transcript:
    """Of what core.agents.transcript.read_transcript gives; without the records that Orchard keeps in it."""
    name = ""
    found: list[tuple[str, str, list[str]]] = []
    for line in text.splitlines():
        if (begin := _BEGIN.match(line)) is not None:
            found.append((begin["at"], begin["kind"], [begin["text"]]))
        elif found:
            found[-1][2].append(line.removeprefix(_INDENT))
        elif line.startswith("# "):
            name = line[2:]
    found = [one for one in found if not (one[1] == "note" and one[2][0].startswith("{"))]
    left_out = max(0, len(found) - ENTRIES)
    return Transcript(
        name=name,
        entries=tuple(
            Entry(
                number=left_out + place,
                at=at,
                kind=kind,
                head=lines[0],
                body="\n".join(lines[1:]).rstrip()[:_SHOWN],
            )
            for place, (at, kind, lines) in enumerate(found[left_out:])
        ),
        left_out=left_out,
    )

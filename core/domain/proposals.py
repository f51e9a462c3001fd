"""Stories as a design agent proposes them in Markdown, read and written. PURE.

    ## A title
    What it is about.
    Priority: high
    Estimate: 3
    Labels: checkout, api
    Needs: 1, 2
    Acceptance criteria:
    - a card is charged once

Lenient in form (levels of headings, emphasis, bullets, numbers before titles), strict in content: what a
story may not hold is said, all of it at once, in sentences that go back to the agent.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from core.domain.needs import find_cycle
from core.domain.story import Priority
from core.domain.wording import (
    CRITERIA,
    CRITERION_CHARACTERS,
    LABEL_CHARACTERS,
    LABELS,
    LARGEST_ESTIMATE,
    NEEDS,
    TEXT_CHARACTERS,
    TITLE_CHARACTERS,
    cleaned,
)

MOST_STORIES = 30
MOST_CHARACTERS = 500_000

_HEADING = re.compile(r" {0,3}(#{1,6})[ \t]+(.*)")
_LONGEST_FENCE = 20
_FENCE = re.compile(r" {0,3}(`{3,20}|~{3,20})([^`~].*|)")
_NUMBER = re.compile(r"(?:story[ \t]+)?[0-9]{1,3}[ \t]?[.):][ \t]+", re.IGNORECASE)
_FIELD = re.compile(
    r"\s*(?:[-*+][ \t]+)?[*_]{0,3}(priority|estimate|labels?|needs)[*_]{0,3}[ \t]*:(.*)", re.IGNORECASE
)
_CRITERIA = re.compile(
    r"\s*[*_]{0,3}acceptance criteria[*_]{0,3}[ \t]*(:?)[ \t]*[*_]{0,3}(.*)", re.IGNORECASE
)
_ITEM = re.compile(r"[ \t]*(?:[-*+]|[0-9]{1,3}[.)])[ \t]+(?:\[[ xX]\][ \t]+)?(.*)")
_NONE = frozenset({"", "-", "none", "nothing", "n/a", "no", "unknown"})
_WORD = re.compile(r"#?(?:story[ \t]*)?#?([0-9]{1,4})", re.IGNORECASE)
_POINTS = re.compile(r"([0-9]{1,9})(?:[ \t]*(?:sp|pts?|points?|story points?))?", re.IGNORECASE)
_PRIORITIES = {**{str(priority): priority for priority in Priority}, "medium": Priority.NORMAL}


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """`needs` are indexes into the proposals beside it, from 0."""

    title: str
    body: str = ""
    acceptance_criteria: tuple[str, ...] = ()
    priority: Priority = Priority.NORMAL
    estimate: int | None = None
    labels: tuple[str, ...] = ()
    needs: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposed:
    """Without faults, `proposals` can be taken in as they are."""

    proposals: tuple[Proposal, ...]
    faults: tuple[str, ...]  # sentences for whoever wrote it


def parse_proposals(text: str) -> Proposed:
    """Never raises, whatever the text."""
    if len(text) > MOST_CHARACTERS:
        return Proposed(
            proposals=(), faults=(f"The file has {len(text)} characters; {MOST_CHARACTERS} are possible.",)
        )
    sections = _split(text)
    faults: list[str] = []
    proposals = tuple(
        _read(number, title, lines, len(sections), faults)
        for number, (title, lines) in enumerate(sections, 1)
    )
    if not proposals:
        faults.append("There is no story: begin each one with a line '## <title>'.")
    if len(proposals) > MOST_STORIES:
        faults.append(
            f"There are {len(proposals)} stories; {MOST_STORIES} are possible: join small ones, or leave out"
            " what is not part of the epic."
        )
    faults += _faults_together(proposals)
    return Proposed(proposals=proposals, faults=tuple(faults))


def render_proposals(proposals: Sequence[Proposal]) -> str:
    """What `parse_proposals` reads back as the same. Titles carry their numbers, which `Needs:` uses."""
    return "\n".join(line for number, one in enumerate(proposals, 1) for line in _written(number, one))


def _written(number: int, proposal: Proposal) -> Iterable[str]:
    yield f"## {number}. {proposal.title}"
    yield ""
    if proposal.body:
        yield from _escaped(proposal.body)
        yield ""
    yield f"Priority: {proposal.priority}"
    if proposal.estimate is not None:
        yield f"Estimate: {proposal.estimate}"
    if proposal.labels:
        yield f"Labels: {', '.join(proposal.labels)}"
    if proposal.needs:
        yield f"Needs: {', '.join(str(index + 1) for index in proposal.needs)}"
    if proposal.acceptance_criteria:
        yield "Acceptance criteria:"
        for criterion in proposal.acceptance_criteria:
            yield f"- {chr(92) if criterion[:1] in '[' + chr(92) else ''}{criterion}"
    yield ""


def _escaped(body: str) -> Iterable[str]:
    r"""A line that would be read as markup begins with a `\`, but for what stands in a fenced block."""
    lines = body.split("\n")
    for line, literal in zip(lines, _literal(lines), strict=True):
        special = (
            line.startswith("\\")
            or _HEADING.fullmatch(line)
            or _FENCE.fullmatch(line)
            or _FIELD.fullmatch(line)
            or _criteria_header(line) is not None
        )
        yield f"\\{line}" if special and not literal else line


def _literal(lines: Sequence[str]) -> list[bool]:
    """Which lines belong to a fenced block, its fences included; one that is never closed is none."""
    found = [False] * len(lines)
    fences = [_FENCE.fullmatch(line) for line in lines]
    unclosed = {"`": _LONGEST_FENCE + 1, "~": _LONGEST_FENCE + 1}  # from this length on none is closed
    index = 0
    while index < len(lines):
        if (fence := fences[index]) is not None and len(fence[1]) < unclosed[fence[1][0]]:
            end = _end_of(fences, index + 1, fence[1])
            if end is None:
                unclosed[fence[1][0]] = len(fence[1])
            else:
                found[index : end + 1] = [True] * (end + 1 - index)
                index = end
        index += 1
    return found


def _end_of(fences: Sequence[re.Match[str] | None], start: int, mark: str) -> int | None:
    for index in range(start, len(fences)):
        fence = fences[index]
        if fence is not None and fence[1].startswith(mark) and not fence[2].strip():
            return index
    return None


def _split(text: str) -> list[tuple[str, list[tuple[str, bool]]]]:
    """Titles with the lines below them; True marks a line of a fenced block."""
    lines = text.replace("\r\n", "\n").split("\n")
    marked = list(zip(lines, _literal(lines), strict=True))
    headings = [
        None if literal or (match := _HEADING.fullmatch(line)) is None or _is_part(match[2]) else match
        for line, literal in marked
    ]
    levels = {len(match[1]) for match in headings if match is not None}
    level = 2 if 2 in levels else min(levels, default=2)
    sections: list[tuple[str, list[tuple[str, bool]]]] = []
    for heading, line in zip(headings, marked, strict=True):
        if heading is not None and len(heading[1]) == level:
            sections.append((_NUMBER.sub("", heading[2].strip(), count=1), []))
        elif heading is not None and len(heading[1]) < level:
            continue  # the document's own title
        elif sections:
            sections[-1][1].append(line)
    return sections


def _is_part(heading: str) -> bool:
    """Whether a heading names a part of a story, such as its acceptance criteria, and no story."""
    return _FIELD.fullmatch(heading) is not None or _criteria_header(heading) is not None


def _criteria_header(line: str) -> str | None:
    """What stands behind `Acceptance criteria:`, or None for another line."""
    match = _CRITERIA.fullmatch(line)
    if match is None or (match[2].strip() and not match[1]):
        return None
    return match[2].strip()


@dataclass(slots=True)
class _Reading:
    body: list[str]
    criteria: list[str]
    fields: dict[str, str]
    listing: bool = False  # below the heading of the acceptance criteria
    continued: bool = False  # the line before belongs to a criterion


def _read(
    number: int, heading: str, lines: Sequence[tuple[str, bool]], stories: int, faults: list[str]
) -> Proposal:
    title = " ".join(cleaned(heading).split())
    name = f"Story {number} '{title[:60]}'" if title else f"Story {number}"
    reading = _Reading(body=[], criteria=[], fields={})
    for line, literal in lines:
        _take(reading, line, literal, name, faults)
    body = cleaned("\n".join(reading.body))
    criteria = tuple(dict.fromkeys(found for text in reading.criteria if (found := _one_line(text))))
    if not title:
        faults.append(f"{name} has no title.")
    if len(title) > TITLE_CHARACTERS:
        faults.append(f"{name} has a title of {len(title)} characters; {TITLE_CHARACTERS} are possible.")
    if len(body) > TEXT_CHARACTERS:
        faults.append(f"{name} has a text of {len(body)} characters; {TEXT_CHARACTERS} are possible.")
    if not criteria:
        faults.append(f"{name} has no acceptance criteria: list them below a line 'Acceptance criteria:'.")
    if len(criteria) > CRITERIA:
        faults.append(f"{name} has {len(criteria)} acceptance criteria; {CRITERIA} are possible: split it.")
    faults += [
        f"{name} has an acceptance criterion of {len(criterion)} characters; {CRITERION_CHARACTERS} are"
        f" possible: '{criterion[:60]} ...'"
        for criterion in criteria
        if len(criterion) > CRITERION_CHARACTERS
    ]
    return Proposal(
        title=title,
        body=body,
        acceptance_criteria=criteria,
        priority=_priority(name, reading.fields.get("priority", ""), faults),
        estimate=_estimate(name, reading.fields.get("estimate", ""), faults),
        labels=_labels(name, reading.fields.get("label", ""), faults),
        needs=_needs(number, name, reading.fields.get("needs", ""), stories, faults),
    )


def _take(reading: _Reading, line: str, literal: bool, name: str, faults: list[str]) -> None:
    """One line into the body, the criteria or a field."""
    if literal:
        reading.listing = reading.continued = False
        reading.body.append(line)
        return
    plain = _HEADING.sub(r"\2", line, count=1) if _HEADING.fullmatch(line) else line
    if (field := _FIELD.fullmatch(plain)) is not None:
        reading.listing = reading.continued = False
        key = field[1].lower().rstrip("s") if field[1].lower() != "needs" else "needs"
        if key in reading.fields:
            faults.append(f"{name} says '{field[1]}:' twice.")
        reading.fields[key] = field[2].strip().strip("*_").strip()
    elif (rest := _criteria_header(plain)) is not None:
        reading.listing, reading.continued = True, bool(rest)
        if rest:
            reading.criteria.append(rest)
    elif reading.listing and (item := _ITEM.fullmatch(line)) is not None:
        reading.criteria.append(item[1][1:] if item[1].startswith("\\") else item[1])
        reading.continued = True
    elif reading.listing and not line.strip():
        reading.continued = False
    elif reading.listing and reading.criteria and (reading.continued or line[:1] in (" ", "\t")):
        reading.criteria[-1] += f" {line.strip()}"  # a criterion over several lines
        reading.continued = True
    else:
        reading.listing = reading.continued = False
        reading.body.append(line.removeprefix("\\"))


def _one_line(text: str) -> str:
    return " ".join(cleaned(text).split())


def _priority(name: str, said: str, faults: list[str]) -> Priority:
    word = said.lower().rstrip(".")
    if word in _PRIORITIES:
        return _PRIORITIES[word]
    if word not in _NONE:
        faults.append(f"{name} has the priority '{said[:40]}'; possible are {', '.join(Priority)}.")
    return Priority.NORMAL


def _estimate(name: str, said: str, faults: list[str]) -> int | None:
    word = said.rstrip(".")
    if word.lower() in _NONE:
        return None
    match = _POINTS.fullmatch(word)
    if match is None or int(match[1]) > LARGEST_ESTIMATE:
        faults.append(
            f"{name} has the estimate '{said[:40]}'; it must be a whole number from 0 to {LARGEST_ESTIMATE}."
        )
        return None
    return int(match[1])


def _labels(name: str, said: str, faults: list[str]) -> tuple[str, ...]:
    if said.lower() in _NONE:
        return ()
    words = (_one_line(word).strip("`").strip() for word in said.split(","))
    labels = tuple(dict.fromkeys(word for word in words if word))
    if len(labels) > LABELS:
        faults.append(f"{name} has {len(labels)} labels; {LABELS} are possible.")
    if long := [label for label in labels if len(label) > LABEL_CHARACTERS]:
        faults.append(
            f"{name} has a label of {len(long[0])} characters; {LABEL_CHARACTERS} are possible:"
            f" '{long[0][:40]} ...'"
        )
    return labels


def _needs(number: int, name: str, said: str, stories: int, faults: list[str]) -> tuple[int, ...]:
    if said.lower().rstrip(".") in _NONE:
        return ()
    needs: list[int] = []
    for word in re.split(r"\s*(?:,|;|&|\band\b)\s*", said.rstrip("."), flags=re.IGNORECASE):
        match = _WORD.fullmatch(word)
        if match is None:
            faults.append(
                f"{name} needs '{word[:40]}'; name other stories of this file by their numbers, from 1."
            )
        elif int(match[1]) == number:
            faults.append(f"{name} needs itself.")
        elif not 1 <= int(match[1]) <= stories:
            faults.append(f"{name} needs story {match[1]}, but there are only the stories 1 to {stories}.")
        elif int(match[1]) - 1 not in needs:
            needs.append(int(match[1]) - 1)
    if len(needs) > NEEDS:
        faults.append(f"{name} needs {len(needs)} stories; {NEEDS} are possible.")
    return tuple(needs)


def _faults_together(proposals: Sequence[Proposal]) -> list[str]:
    """What is wrong between the stories: two of one title, needs in a circle."""
    faults = []
    first: dict[str, int] = {}
    for number, proposal in enumerate(proposals, 1):
        earlier = first.setdefault(proposal.title.casefold(), number)
        if earlier != number and proposal.title:
            faults.append(f"Stories {earlier} and {number} have the same title '{proposal.title[:60]}'.")
    needs = {
        str(number): [str(index + 1) for index in proposal.needs]
        for number, proposal in enumerate(proposals[: MOST_STORIES * 2], 1)
    }
    told: set[str] = set()
    for story in needs:
        if story not in told and (way := find_cycle(story, needs)):
            told.update(way)
            faults.append(f"Stories need each other in a circle: {' needs '.join(way)}.")
    return faults

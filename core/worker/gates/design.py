"""PURE: the gate after `design`."""

from __future__ import annotations

import re
from collections.abc import Sequence

from core.domain.evidence import Evidence, Refusal, RefusalCode, Verdict
from core.domain.lifecycles import Phase
from core.domain.risk import FileChange
from core.worker.gates.wording import some

_HEADING = re.compile(
    r"^\s{0,3}(#{1,6}\s+|\*\*|__)?\s*(acceptance(\s+(criteria|criterion|tests?))?|definition of done)\b.*$",
    re.I,
)
_ANY_HEADING = re.compile(r"^\s{0,3}#{1,6}\s+\S")
_ITEM = re.compile(r"^\s*([-*+•]|\d+[.)])\s+(\[[ xX]\]\s*)?(?P<text>.+)$")
_GIVEN = re.compile(r"^\W*(given|when|then|scenario)\b\W*\s+\S", re.I)
_EMPTY = re.compile(r"^\W*(tbd|todo|to be (done|defined)|n/?a|none|fixme|\.{2,}|…|<[^>]*>|)\W*$", re.I)


def acceptance_criteria(spec: str) -> tuple[str, ...]:
    """The criteria in a spec: items below a heading that says so, or Given/When/Then lines."""
    found: list[str] = []
    inside = False
    for line in spec.splitlines():
        if _HEADING.match(line):
            inside = True
            rest = line.partition(":")[2].strip(" *_")
            if rest and not _EMPTY.match(rest):
                found.append(rest)
            continue
        if _ANY_HEADING.match(line):
            inside = False
        item = _ITEM.match(line)
        text = item["text"].strip() if item else line.strip()
        if _EMPTY.match(text):
            continue
        if (inside and (item or _GIVEN.match(text))) or _GIVEN.match(text):
            found.append(text)
    return tuple(found)


def judge_design(
    *, spec: str, changes: Sequence[FileChange], allowed: Sequence[str] = (), criteria: Sequence[str] = ()
) -> Verdict:
    """Passes when there are acceptance criteria (in the spec, or the story's own `criteria`) and nothing but
    the spec changed: `allowed` are the paths at which it may be committed.
    """
    refusals: list[Refusal] = []
    found = acceptance_criteria(spec) or tuple(line for line in criteria if not _EMPTY.match(line))
    if not found:
        refusals.append(
            Refusal(
                code=RefusalCode.NO_ACCEPTANCE_CRITERIA,
                sentence=(
                    "The spec has no acceptance criteria: add a section '## Acceptance criteria' with one "
                    "item for each thing that a test can check."
                ),
            )
        )
    outside = [change.path for change in changes if change.path not in allowed]
    if outside:
        refusals.append(
            Refusal(
                code=RefusalCode.CHANGED_OUTSIDE_RIGHTS,
                sentence=f"Designing may change nothing but the spec: undo the changes to {some(outside)}.",
                files=tuple(outside),
            )
        )
    evidence = Evidence(
        changed_files=tuple(change.path for change in changes),
        notes=tuple(f"criterion: {line}" for line in found[:50]),
    )
    return Verdict(phase=Phase.DESIGN, refusals=tuple(refusals), evidence=evidence)

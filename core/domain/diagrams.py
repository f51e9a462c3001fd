"""PURE: the state tables as Mermaid diagrams, and a text with its marked sections brought up to date.

A section is what stands between `<!-- states:NAME -->` and `<!-- /states:NAME -->`, NAME out of `SECTIONS`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from enum import StrEnum

from core.domain.lifecycles import (
    CYCLE,
    PROJECT,
    WORKFLOW,
    CycleEvent,
    CycleState,
    ProjectStatus,
    WorkflowFact,
    WorkflowState,
)
from core.errors import NotFound

Table = Mapping[tuple[StrEnum, StrEnum], StrEnum]


def with_diagrams(text: str) -> str:
    """`text` with every section of `SECTIONS` brought up to date. Raises NotFound when one is missing."""
    for name, render in SECTIONS.items():
        begin, end = f"<!-- states:{name} -->", f"<!-- /states:{name} -->"
        section = re.compile(re.escape(begin) + r".*?" + re.escape(end), re.DOTALL)
        body = f"{begin}\n{render()}\n{end}"
        text, count = section.subn(lambda _match, body=body: body, text)  # type: ignore[misc]
        if count != 1:
            raise NotFound(
                f"The text has {count} sections {begin} ... {end}, and should have one.",
                hint="Put the two markers on lines of their own.",
            )
    return text


def workflow_diagram() -> str:
    """What people's commands and the guards' facts do; below it, the commands that change no state."""
    lines = _diagram(WORKFLOW, WorkflowState.IDLE)  # type: ignore[arg-type]
    return "\n".join([*lines, "", *_staying(WORKFLOW)])  # type: ignore[arg-type]


def cycle_diagram() -> str:
    """A story's way; what a person may do in each phase is said in lines below rather than by nine arrows."""
    by_people = (CycleEvent.ABORTED, CycleEvent.MERGED)
    arrows = {pair: after for pair, after in CYCLE.items() if pair[1] not in by_people}
    phases = [f"`{state}`" for state, event in CYCLE if event is CycleEvent.ABORTED]
    lines = _diagram(arrows, CycleState.DESIGN, ends=(CycleState.DONE,))  # type: ignore[arg-type]
    merged = "Whose pull request a person merges on GitHub, though it was sent back, is `done`."
    return "\n".join(
        [*lines, "", f"A person may end it in {', '.join(phases)}: then it is `aborted`.", merged]
    )


def project_diagram() -> str:
    lines = _diagram(PROJECT, ProjectStatus.INITIALIZING)  # type: ignore[arg-type]
    return "\n".join(lines)


SECTIONS: Mapping[str, Callable[[], str]] = {
    "workflow": workflow_diagram,
    "cycle": cycle_diagram,
    "project": project_diagram,
}


def _diagram(table: Table, start: StrEnum, *, ends: tuple[StrEnum, ...] = ()) -> list[str]:
    labels: dict[tuple[StrEnum, StrEnum], list[str]] = {}
    for (before, event), after in table.items():
        if before is not after:
            labels.setdefault((before, after), []).append(_label(event))
    lines = ["```mermaid", "stateDiagram-v2", f"    [*] --> {start}"]
    lines += [f"    {before} --> {after}: {', '.join(words)}" for (before, after), words in labels.items()]
    lines += [f"    {end} --> [*]" for end in ends]
    return [*lines, "```"]


def _label(event: StrEnum) -> str:
    return f"({event})" if isinstance(event, WorkflowFact) else str(event)


def _staying(table: Table) -> list[str]:
    """As a Markdown table: state, and what is allowed in it and leaves it as it is."""
    lines = ["| state | also allowed, and changes no state |", "|---|---|"]
    states = dict.fromkeys(before for before, _event in table)
    for state in sorted(states, key=list(type(next(iter(states)))).index):
        events = [str(event) for (before, event), after in table.items() if before is state is after]
        lines.append(f"| `{state}` | {', '.join(events)} |")
    return lines

"""What a breach of a project's limits means for its stories, and how often people are told of it. PURE."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from core.domain.evidence import Refusal, RefusalCode
from core.isolation.limits import Breach, Resource
from core.store.processes import ProcessRow
from core.worker.contract import PhaseEnd, PhaseReport

_TELL_AGAIN_SECONDS = 300.0
_KILLED = 128  # an exit code above it tells of a signal


@dataclass(slots=True)
class _Told:
    at: float
    untold: int = 0
    last: Breach | None = None
    story: str | None = None


class Telling:
    """Each kind of breach of a project is told at once, and then for five minutes not again: what comes
    meanwhile is counted and told together when they are over. Times are monotonic seconds."""

    def __init__(self, again_seconds: float = _TELL_AGAIN_SECONDS) -> None:
        self._again = again_seconds
        self._told: dict[tuple[str, Resource], _Told] = {}

    def hear(self, breach: Breach, story: str | None, now: float) -> bool:
        """Whether to tell it now."""
        told = self._told.get((breach.project, breach.resource))
        if told is None or (now - told.at >= self._again and not told.untold):
            self._told[breach.project, breach.resource] = _Told(at=now)
            return True
        told.untold, told.last, told.story = told.untold + 1, breach, story
        return False

    def due(self, now: float) -> list[tuple[Breach, str | None, int]]:
        """The last of each kind that was kept back, its story, and how many there were."""
        found: list[tuple[Breach, str | None, int]] = []
        for told in self._told.values():
            if told.last is not None and now - told.at >= self._again:
                found.append((told.last, told.story, told.untold))
                told.at, told.untold, told.last, told.story = now, 0, None, None
        return found


def data_of(breach: Breach, times: int = 1) -> Mapping[str, Any]:
    """The event's data. `times`: for how many of its kind it stands."""
    text = str(breach)
    if times > 1:
        text += f" That happened {times} times in the last minutes."
    return {
        "resource": str(breach.resource),
        "limit": breach.limit,
        "used": round(breach.used, 1),
        "ended": breach.ended,
        "program": breach.program,
        "program_mb": None if breach.program_mb is None else round(breach.program_mb, 1),
        "text": text,
    }


def story_of(breach: Breach, rows: Iterable[ProcessRow], reporting: str | None = None) -> str | None:
    """Whose program was ended: by the processes above it, or else the only one who has any.

    `rows`: what of the project runs, or ran a moment ago. `reporting`: a story whose phase has just ended, so
    that its processes may be forgotten already.
    """
    own = [row for row in rows if row.project == breach.project and row.story_id is not None]
    above = {row.story_id for row in own if row.pid in breach.above}
    if len(above) == 1:
        return above.pop()
    stories = {row.story_id for row in own} | ({reporting} if reporting is not None else set())
    return stories.pop() if len(stories) == 1 else None


def may_be_of_memory(report: PhaseReport) -> bool:
    """Whether somebody may have ended a program of this phase from outside."""
    return report.end is PhaseEnd.REFUSED or was_killed(report)


def was_killed(report: PhaseReport) -> bool:
    return report.end is PhaseEnd.AGENT_FAILED and (report.agent_exit or 0) > _KILLED


def explained_by(report: PhaseReport, breach: Breach) -> PhaseReport:
    """The report, saying that memory was what it failed for: to people, and to the next attempt."""
    why = f"It was ended for memory: {breach.project} may use {breach.limit:,.0f} MB"
    if breach.program:
        size = "" if breach.program_mb is None else f" with {breach.program_mb:,.0f} MB"
        why += f" ({breach.program}{size} was too much)"
    hint = "Let what it runs use less memory at a time, or raise max_memory_mb of the project."
    if report.verdict is None:
        return replace(report, error=f"{report.error} {why}.".strip(), hint=hint)
    refusal = Refusal(
        code=RefusalCode.NO_REPORT,
        sentence=f"A program of this phase did not come to its end. {why}. {hint}",
    )
    verdict = replace(report.verdict, refusals=(refusal, *report.verdict.refusals))
    return replace(report, verdict=verdict)

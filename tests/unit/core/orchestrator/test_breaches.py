"""Whose a breach is, what its phase says, how often people hear of it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from core.domain.evidence import Evidence, Refusal, RefusalCode, Verdict
from core.domain.lifecycles import Phase
from core.isolation.limits import Breach, Resource
from core.orchestrator.breaches import Telling, data_of, explained_by, may_be_of_memory, story_of
from core.store.processes import ProcessRow
from core.worker.contract import PhaseEnd, PhaseReport


def breach(**changes: object) -> Breach:
    facts: dict[str, object] = {
        "project": "shop",
        "resource": Resource.MEMORY,
        "limit": 4096,
        "used": 4096,
        "ended": 1,
        "pid": 70,
        "program": "python3",
        "program_mb": 3900.4,
        **changes,
    }
    return Breach(**facts)  # type: ignore[arg-type]


def row(pid: int, story: str | None, project: str = "shop", kind: str = "agent") -> ProcessRow:
    return ProcessRow(
        pid=pid,
        start_ticks=1,
        group=pid,
        kind=kind,
        project=project,
        story_id=story,
        argv=("agent",),
        started_at=datetime(2026, 11, 2, tzinfo=UTC),
    )


def report(end: PhaseEnd = PhaseEnd.AGENT_FAILED, **changes: object) -> PhaseReport:
    facts: dict[str, object] = {"story_id": "shop-1", "phase": Phase.TEST_RED, "generation": 1, **changes}
    return PhaseReport(end=end, **facts)  # type: ignore[arg-type]


ROWS = (row(10, "shop-1"), row(20, "shop-2"), row(30, "post-1", "post"), row(40, None, kind="worker"))


@pytest.mark.parametrize(
    ("above", "rows", "reporting", "story"),
    [
        ({70, 60, 20, 40}, ROWS, None, "shop-2"),
        ({70}, ROWS, None, None),  # of two, nobody knows which
        ({70}, ROWS, "shop-1", None),
        ({70}, ROWS[1:], None, "shop-2"),  # the only one
        ({70}, ROWS[3:], "shop-1", "shop-1"),  # its processes are forgotten already
        ({70, 30}, ROWS[2:], None, None),  # another project's is never it
        ({70, 10, 20}, ROWS, None, None),
    ],
)
def test_a_breach_is_the_story_s_whose_process_was_above(
    above: set[int], rows: tuple[ProcessRow, ...], reporting: str | None, story: str | None
) -> None:
    assert story_of(breach(above=frozenset(above)), rows, reporting) == story


def test_a_phase_says_that_memory_was_what_it_failed_for() -> None:
    killed = report(error="claude was killed by signal 9 in the middle of its turn.", agent_exit=137)
    assert may_be_of_memory(killed)
    told = explained_by(killed, breach())
    assert told.error == (
        "claude was killed by signal 9 in the middle of its turn. It was ended for memory: shop may use "
        "4,096 MB (python3 with 3,900 MB was too much)."
    )
    assert "max_memory_mb" in told.hint


def test_a_refusal_says_so_first() -> None:
    silent = Refusal(code=RefusalCode.NO_REPORT, sentence="There is no report.")
    verdict = Verdict(phase=Phase.TEST_RED, refusals=(silent,), evidence=Evidence())
    told = explained_by(report(PhaseEnd.REFUSED, verdict=verdict), breach(program="", program_mb=None))
    assert told.verdict is not None
    assert [refusal.code for refusal in told.verdict.refusals] == [RefusalCode.NO_REPORT] * 2
    assert "It was ended for memory: shop may use 4,096 MB." in told.verdict.refusals[0].sentence
    assert told.verdict.refusals[1] is silent


@pytest.mark.parametrize(
    "other",
    [
        report(PhaseEnd.PASSED),
        report(PhaseEnd.CANCELLED, agent_exit=137),
        report(agent_exit=1),
        report(agent_exit=None),
        report(PhaseEnd.BLOCKED, agent_exit=137),
    ],
)
def test_what_nobody_ended_is_not_of_memory(other: PhaseReport) -> None:
    assert not may_be_of_memory(other)


def test_a_story_in_a_loop_is_told_of_at_once_and_then_in_one_sentence() -> None:
    telling = Telling(again_seconds=300)
    assert telling.hear(breach(), "shop-1", now=0)
    assert [telling.hear(breach(), "shop-1", now=now) for now in range(10, 60, 10)] == [False] * 5
    assert telling.hear(breach(resource=Resource.DISK, ended=0), None, now=20)
    assert telling.hear(breach(project="post"), "post-1", now=20)
    assert telling.due(now=299) == []
    ((last, story, times),) = telling.due(now=300)
    assert (last, story, times) == (breach(), "shop-1", 5)
    assert telling.due(now=301) == []
    assert not telling.hear(breach(), "shop-1", now=302)
    assert [times for _, _, times in telling.due(now=601)] == [1]
    assert telling.hear(breach(), "shop-1", now=1000)


def test_the_event_holds_what_people_are_told() -> None:
    assert data_of(breach()) == {
        "resource": "memory",
        "limit": 4096,
        "used": 4096,
        "ended": 1,
        "program": "python3",
        "program_mb": 3900.4,
        "text": str(breach()),
    }
    assert data_of(breach(), times=5)["text"].endswith(" 5 times in the last minutes.")

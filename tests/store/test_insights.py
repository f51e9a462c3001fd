"""Figures over all projects' gates."""

from __future__ import annotations

from collections.abc import Callable

from core.domain.event import EventKind
from core.domain.evidence import Refusal, RefusalCode, Verdict
from core.domain.insights import ReasonFigures
from core.domain.lifecycles import Phase
from core.store import gates, insights
from core.store.transaction import Transaction


def test_an_empty_store_has_no_figures(tx: Transaction) -> None:
    view = insights.look(tx.conn)
    assert (view.judged, view.phases, view.reasons, view.projects) == (0, (), (), ())


def test_gates_are_counted_by_phase_reason_and_project(
    tx: Transaction, new_project: Callable[..., object], new_cycle: Callable[..., object]
) -> None:
    new_project(tx)
    new_project(tx, "post")
    new_cycle(tx)
    new_cycle(tx, "post")
    no = Verdict(
        phase=Phase.TEST_RED, refusals=(Refusal(code=RefusalCode.BROKEN_TEST, sentence="It breaks."),)
    )
    for story, phase, verdict in (
        ("shop-1", Phase.DESIGN, Verdict(phase=Phase.DESIGN)),
        ("shop-1", Phase.TEST_RED, no),
        ("shop-1", Phase.TEST_RED, Verdict(phase=Phase.TEST_RED)),
        ("post-1", Phase.TEST_RED, no),
    ):
        project = story.partition("-")[0]
        data = {"phase": str(phase)}
        tx.emit(EventKind.PHASE_STARTED, project=project, story_id=story, data=data)
        gates.add(tx, story, phase=phase, attempt=1, verdict=verdict)
        kind = EventKind.GATE_PASSED if verdict.passed else EventKind.GATE_REFUSED
        tx.emit(kind, project=project, story_id=story, data=data)
    tx.emit(EventKind.STORY_BLOCKED, project="post", story_id="post-1", data={})
    tx.emit(EventKind.GATE_PASSED, project="post", story_id="post-1", data={"phase": "of another program"})
    view = insights.look(tx.conn)
    assert view.judged == 4
    assert [(one.phase, one.judged, one.refused) for one in view.phases] == [
        (Phase.DESIGN, 1, 0),
        (Phase.TEST_RED, 3, 2),
    ]
    assert all(one.median_seconds == 0.0 for one in view.phases)
    assert view.reasons == (
        ReasonFigures(phase=Phase.TEST_RED, reason="a test is broken, not red", times=2, projects=2),
    )
    assert [(one.project, one.refused, one.judged, one.blocked) for one in view.projects] == [
        ("post", 1, 1, 1),
        ("shop", 1, 3, 0),
    ]

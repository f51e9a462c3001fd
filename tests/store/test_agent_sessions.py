from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from core.domain.lifecycles import CycleEvent, CycleState, Phase
from core.domain.session import How, TurnOutcome
from core.domain.story import StoryState
from core.store import agent_sessions, cycles, leases, stories
from core.store.agent_sessions import Kept, SessionTurn, turn_id_of


@pytest.fixture
def turn(tx):
    def make(subject: str, generation: int = 1, **changes) -> SessionTurn:
        fields = {
            "turn_id": turn_id_of(subject, generation),
            "project": "shop",
            "subject": subject,
            "phase": Phase.CODE_GREEN,
            "attempt": 1,
            "generation": generation,
            "run_id": "",
            "agent": "codex",
            "session_id": "s1",
            "how": How.FRESH,
            "why": "",
            "template": "code_green",
            "template_version": 1,
            "template_source": "",
            "prompt_sha256": "ab" * 32,
            "outcome": TurnOutcome.IDLE,
            "error": "",
            "tools": 2,
            "started_at": tx.now,
            "ended_at": tx.now + timedelta(seconds=5),
            "transcript": f"shop/{subject}/code_green-1.{generation}.jsonl",
        }
        return SessionTurn(**{**fields, **changes})

    return make


@pytest.fixture
def story(tx, new_project, new_cycle) -> str:
    new_project(tx)
    return new_cycle(tx).story_id


def test_a_turn_is_kept_once_and_reads_as_it_was_written(tx, turn, story):
    made = turn(story, why="odd \ud800", template_source="/p/code_green.md")

    assert agent_sessions.record(tx, made)
    assert not agent_sessions.record(tx, replace(made, agent="another"))

    (found,) = agent_sessions.turns_of(tx.conn, story)
    assert replace(found, seq=0) == replace(made, why="odd \\ud800")
    assert agent_sessions.get_turn(tx.conn, made.turn_id) == found


def test_sessions_are_read_off_the_turns(tx, turn, story):
    rows = [
        turn(story, 1),
        turn(story, 2, ended_at=tx.now + timedelta(seconds=20)),
        turn(story, 3, agent="claude", session_id="s1"),  # another agent's name for its own
        turn(story, 4, session_id=None, outcome=TurnOutcome.FAILED),
        turn(story, 5, session_id=None, outcome=TurnOutcome.FAILED),
    ]
    for row in rows:
        agent_sessions.record(tx, row)

    found = agent_sessions.sessions_in(agent_sessions.latest(tx.conn, limit=10))

    assert [[one.generation for one in session.turns] for session in found] == [[3], [4], [5], [1, 2]]
    assert found[-1].session_id == "s1"


def test_what_is_old_and_over_is_pruned_and_nothing_else(tx, turn, story, new_cycle, passed_to):
    over = new_cycle(tx).story_id
    skipped = new_cycle(tx).story_id
    cycles.move(tx, over, CycleEvent.ABORTED, state=CycleState.DESIGN)
    stories.move(tx, over, StoryState.ACTIVE, StoryState.ABORTED)
    stories.move(tx, skipped, StoryState.ACTIVE, StoryState.SKIPPED)
    old, new = tx.now - timedelta(days=100), tx.now
    for subject, generation, ended in ((story, 1, old), (over, 1, old), (over, 2, new), (skipped, 1, old)):
        agent_sessions.record(tx, turn(subject, generation, started_at=old, ended_at=ended))

    found = agent_sessions.prunable(tx.conn, tx.now - timedelta(days=90), limit=10)
    ids = [one.turn_id for one in found]

    assert sorted(ids) == [f"{over}.1", f"{skipped}.1"]
    assert agent_sessions.running(tx.conn) == {story}
    assert agent_sessions.mark_pruned(tx, ids) == 2
    assert agent_sessions.mark_pruned(tx, ids) == 0
    pruned = agent_sessions.get_turn(tx.conn, f"{over}.1")
    assert (pruned.transcript_state, pruned.pruned_at) == (Kept.PRUNED, tx.now)
    assert agent_sessions.prunable(tx.conn, tx.now - timedelta(days=90), limit=10) == ()


def test_a_phase_that_runs_no_more_and_left_no_row_is_unreported(tx, turn, story):
    assert agent_sessions.unreported(tx.conn) == ()
    lease = leases.claim(tx, story, phase=Phase.DESIGN, owner="shop#1", lease_seconds=60)
    assert agent_sessions.unreported(tx.conn) == ()  # it runs
    leases.release(tx, story, lease.generation)
    assert agent_sessions.unreported(tx.conn) == (("shop", story, lease.generation),)
    agent_sessions.record(tx, turn(story, lease.generation))
    assert agent_sessions.unreported(tx.conn) == ()


def test_forks_are_replaced_and_links_stand_once(tx, turn, story, new_cycle):
    other = new_cycle(tx).story_id
    for generation in (1, 2):
        agent_sessions.record(tx, turn(other, generation))
    for generation in (1, 2):
        agent_sessions.fork(tx, story_id=story, turn_id=f"{other}.{generation}", by="cli")
    assert agent_sessions.fork_of(tx.conn, story).turn_id == f"{other}.2"
    assert agent_sessions.fork_of(tx.conn, other) is None

    assert agent_sessions.link(tx, story_id=story, linked_id=other, by="cli")
    assert not agent_sessions.link(tx, story_id=story, linked_id=other, by="shell")
    assert [link.by for link in agent_sessions.links_of(tx.conn, story)] == ["cli"]
    assert agent_sessions.links_of(tx.conn, other) == ()
    assert agent_sessions.unlink(tx, story_id=story, linked_id=other)
    assert not agent_sessions.unlink(tx, story_id=story, linked_id=other)

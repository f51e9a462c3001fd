"""Turns of agents as the store keeps them: what a job may go on from, and what a report says was had.

with_past(conn, job, ...) -> job        before a turn
record_turn(tx, job, report)            in the transaction that handles the report
recover_turns(store, state_path, ...)   after a crash: what a turn that nobody reported left of itself
"""

from __future__ import annotations

import asyncio
import functools
import json
import logging
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from core.agents.templates import read_own
from core.domain.event import EventKind
from core.domain.lifecycles import Phase, ProjectStatus
from core.domain.session import How, TurnOutcome
from core.orchestrator.setups import Setups
from core.store import agent_sessions, projects, stories
from core.store.agent_sessions import Kept, SessionTurn, turn_id_of
from core.store.database import Store
from core.store.transaction import Transaction
from core.worker.contract import ForkFrom, LinkedStory, PastTurn, PhaseJob, PhaseReport

log = logging.getLogger(__name__)

PAST_TURNS, LINKED_TURNS, LINKS = 4, 3, 5
_HEAD_BYTES = 4 << 20  # of a transcript, in which its first notes stand
Shares = Callable[[str], bool]  # whether a project's context may be shared


def transcripts_folder(state_path: Path) -> Path:
    return state_path / "transcripts"


# Before a turn


async def remembering(store: Store, setups: Setups, job: PhaseJob) -> PhaseJob:
    """The job with what its turn may go on from, and what it must keep to itself."""
    found = await store.read(lambda conn: with_past(conn, job, shares=setups.shares_context))
    return replace(found, secrets=setups.secrets())


def with_past(conn: sqlite3.Connection, job: PhaseJob, *, shares: Shares) -> PhaseJob:
    """The job with the session that its agent can take up, and what to tell a new one."""
    story, project = job.story.id, job.project.name
    linked = () if job.epic else _linked(conn, project, story, shares)
    turns = agent_sessions.last_turns(conn, story, PAST_TURNS)
    if turns:
        session = _session(conn, job, turns[-1])
        return replace(job, session_id=session, past=_past(turns), linked=linked)
    fork = None if job.epic else agent_sessions.fork_of(conn, story)
    source = agent_sessions.find_turn(conn, fork.turn_id) if fork else None
    if source is None or source.project != project:
        return replace(job, linked=linked)
    before = [
        turn for turn in agent_sessions.turns_of(conn, source.subject) if turn.generation <= source.generation
    ]
    same = source.agent == job.agent.name and source.session_id is not None
    return replace(
        job,
        past=_past(tuple(before[-PAST_TURNS:])),
        fork=ForkFrom(story_id=source.subject, session_id=source.session_id or "") if same else None,
        linked=linked,
    )


def _session(conn: sqlite3.Connection, job: PhaseJob, last: SessionTurn) -> str | None:
    """Another agent cannot take a session up; one that was cut off in its first turn can."""
    if last.outcome is TurnOutcome.CUT and last.session_id is not None:
        return last.session_id if last.agent == job.agent.name else None
    if job.session_id is None:
        return None
    owners = {
        turn.agent for turn in agent_sessions.of_session(conn, job.session_id) if turn.subject == job.story.id
    }
    return job.session_id if not owners or job.agent.name in owners else None


def _past(turns: tuple[SessionTurn, ...]) -> tuple[PastTurn, ...]:
    return tuple(
        PastTurn(
            project=turn.project,
            story_id=turn.subject,
            phase=turn.phase,
            attempt=turn.attempt,
            agent=turn.agent,
            ended_at=turn.ended_at,
            outcome=turn.outcome.value,
            transcript=turn.transcript,
        )
        for turn in turns
        if turn.transcript_state is Kept.KEPT
    )


def _linked(conn: sqlite3.Connection, project: str, story: str, shares: Shares) -> tuple[LinkedStory, ...]:
    """Settings may have changed since people linked them: what is not shared now is not told."""
    found = []
    for link in agent_sessions.links_of(conn, story)[:LINKS]:
        other = stories.get(conn, link.linked_id)
        if other.project != project and not (shares(project) and shares(other.project)):
            continue
        if turns := _past(agent_sessions.last_turns(conn, other.id, LINKED_TURNS)):
            found.append(
                LinkedStory(project=other.project, story_id=other.id, title=other.title, turns=turns)
            )
    return tuple(found)


# With its report


def record_turn(tx: Transaction, job: PhaseJob, report: PhaseReport) -> SessionTurn | None:
    """None where no agent had a turn. It is told where a project's own prompt was not used."""
    facts = report.turn
    if facts is None:
        return None
    turn = SessionTurn(
        turn_id=turn_id_of(job.story.id, job.generation),
        project=job.project.name,
        subject=job.story.id,
        phase=job.phase,
        attempt=job.attempt,
        generation=job.generation,
        run_id=job.model.run_id if job.model else "",
        agent=facts.agent,
        session_id=facts.session_id,
        how=How(facts.how),
        why=facts.why,
        template=facts.template,
        template_version=facts.template_version,
        template_source=facts.template_source,
        prompt_sha256=facts.prompt_sha256,
        outcome=TurnOutcome(facts.kind),
        error=report.error,
        tools=facts.tools,
        started_at=facts.started_at,
        ended_at=facts.started_at + timedelta(seconds=max(0.0, facts.seconds)),
        transcript=facts.transcript,
    )
    if agent_sessions.record(tx, turn) and facts.template_problem:
        tell_prompts_refused(tx, turn.project, (facts.template_problem,), story_id=_story(tx, job))
    return turn


def _story(tx: Transaction, job: PhaseJob) -> str | None:
    return None if job.epic else job.story.id


def tell_prompts_refused(
    tx: Transaction, project: str, problems: tuple[str, ...], *, story_id: str | None = None
) -> None:
    """A project's own prompts that cannot be used, each with file and line; Orchard's are taken."""
    log.warning("prompts of %s cannot be used: %s", project, " ".join(problems))
    tx.emit(
        EventKind.PROMPTS_REFUSED, project=project, story_id=story_id, data={"problems": list(problems[:20])}
    )


async def check_prompts(store: Store, setups: Setups) -> None:
    """Tells of every project's own prompts that cannot be used, before a turn would meet them."""
    for project in await store.read(projects.every):
        settings = setups.configured(project.name)
        folder = settings.prompts_path if settings else None
        if folder is None or project.status is not ProjectStatus.ACTIVE:
            continue
        found = await asyncio.to_thread(read_own, folder)
        if found.problems:
            name, problems = project.name, found.problems
            await store.write(functools.partial(_refuse, name=name, problems=problems))


def _refuse(tx: Transaction, *, name: str, problems: tuple[str, ...]) -> None:
    tell_prompts_refused(tx, name, problems)


# After a crash


async def recover_turns(store: Store, state_path: Path, job: PhaseJob | None = None) -> int:
    """Rows for turns whose worker, or Orchard itself, ended in the middle; how many.

    Of a job whose worker is gone, or of all stories that are not over what was begun last and has no row; by
    what their transcripts say of themselves. One that no agent had a turn in has no transcript.
    """
    if job is not None:
        wanted: Sequence[tuple[str, str, int]] = ((job.project.name, job.story.id, job.generation),)
    else:
        wanted = await store.read(agent_sessions.unreported)
    folder = transcripts_folder(state_path)

    def look() -> list[SessionTurn]:
        found = (_cut_turn(folder, project, story, number) for project, story, number in wanted)
        return [turn for turn in found if turn is not None]

    turns = await asyncio.to_thread(look)
    if not turns:
        return 0
    return await store.write(lambda tx: sum(agent_sessions.record(tx, turn) for turn in turns))


def _cut_turn(folder: Path, project: str, story: str, generation: int) -> SessionTurn | None:
    try:
        path = next((folder / project / story).glob(f"*.{generation}.jsonl"), None)
        if path is None:
            return None
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES).decode("utf-8", "replace")
        ended = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except OSError as error:
        log.warning("the transcript of %s.%d cannot be read: %s", story, generation, error)
        return None
    notes = _notes_of(head)
    turn = notes.get("turn")
    if not isinstance(turn, Mapping):
        return None
    try:
        started = min(ended, datetime.fromisoformat(notes["at"]))
        return SessionTurn(
            turn_id=turn_id_of(story, generation),
            project=project,
            subject=story,
            phase=Phase(turn["phase"]),
            attempt=int(turn["attempt"]),
            generation=generation,
            run_id=str(turn.get("run", "")),
            agent=str(turn["agent"]),
            session_id=notes.get("session") or None,
            how=How(notes.get("how", How.NONE.value)),
            why=str(notes.get("why", "")),
            template=str(turn.get("template", "")),
            template_version=int(turn.get("template_version", 0)),
            template_source=str(turn.get("template_source", "")),
            prompt_sha256=str(notes.get("prompt_sha256", "")),
            outcome=TurnOutcome.CUT,
            error="Its worker or Orchard itself ended in the middle.",
            tools=0,
            started_at=started,
            ended_at=ended,
            transcript=path.relative_to(folder).as_posix(),
        )
    except (KeyError, TypeError, ValueError) as error:
        log.warning("the transcript %s does not say which turn it is of: %r", path, error)
        return None


def _notes_of(head: str) -> Mapping[str, Any]:
    """What a transcript's first notes say, joined; `at`: when the first was written."""
    notes: dict[str, Any] = {}
    for line in head.split("\n"):
        if '"way": "note"' not in line:
            continue
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(entry, Mapping) and isinstance(entry.get("message"), Mapping):
            notes = {"at": entry.get("at"), **entry["message"], **notes}
        if "turn" in notes and "session" in notes:
            break
    return notes

"""Agents' sessions: listed, shown, searched, forked, linked."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Mapping
from pathlib import Path

from core.agents.transcript import read_prompt, read_transcript
from core.errors import InvalidInput, NotAllowed, NotFound
from core.orchestrator.commands.secrets import redactor_of
from core.orchestrator.commands.topic import Topic, find
from core.orchestrator.session_turns import LINKS, transcripts_folder
from core.orchestrator.session_views import (
    ForkView,
    LinkView,
    SearchHit,
    SearchView,
    SessionDetail,
    SessionView,
    TurnView,
)
from core.store import agent_sessions, epics, projects, stories
from core.store.agent_sessions import AgentSession, Kept, SessionTurn
from core.store.transaction import Transaction
from core.store.transcript_index import TranscriptIndex

_LOOKED_AT = 2_000  # turns, when all sessions are listed
_MOST = 500


class Sessions(Topic):
    async def sessions(self, scope: str | None = None, *, limit: int = 50) -> tuple[SessionView, ...]:
        """Of a project, a story or an epic, or all; the latest first. Raises NotFound."""

        def look(conn: sqlite3.Connection) -> tuple[SessionView, ...]:
            found = agent_sessions.sessions_in(_turns_of_scope(conn, scope))
            return tuple(_view(conn, one) for one in found[::-1][: max(1, min(limit, _MOST))])

        return await self._store.read(look)

    async def session(self, name: str) -> SessionDetail:
        """By a turn's id (`shop-3.7`), a story's or an epic's (its last session), or the agent's own name.

        A turn's id shows its session up to that turn. Raises NotFound.
        """

        def look(conn: sqlite3.Connection) -> SessionDetail:
            session = _find_session(conn, name.strip())
            view = _view(conn, session)
            spent = agent_sessions.tokens_of(conn, session.subject)
            return SessionDetail(
                view=view,
                turns=tuple(_turn_view(turn, spent) for turn in session.turns),
                fork=agent_sessions.fork_of(conn, session.subject),
                links=agent_sessions.links_of(conn, session.subject),
            )

        detail = await self._store.read(look)
        return await asyncio.to_thread(self._with_words, detail)

    async def search_sessions(self, words: str, *, project: str | None = None, limit: int = 20) -> SearchView:
        """Turns in whose transcripts all the words stand; `"in quotes"`: in this order.

        Raises InvalidInput for no word, Unavailable where the index cannot be used.
        """
        name = None if project is None else (await self._store.read(lambda conn: find(conn, project))).name
        index = TranscriptIndex(self._state_path)
        hits = await asyncio.to_thread(index.search, words, project=name, limit=max(1, min(limit, _MOST)))
        place = await asyncio.to_thread(index.place) if (await asyncio.to_thread(index.count)) else 0

        def look(conn: sqlite3.Connection) -> tuple[list[SearchHit], int]:
            found = [(agent_sessions.find_turn(conn, hit.turn_id), hit.snippet) for hit in hits]
            shown = [
                SearchHit(turn=turn, snippet=snippet)
                for turn, snippet in found
                if turn is not None and turn.transcript_state is Kept.KEPT
            ]
            return shown, agent_sessions.count_after(conn, place)

        shown, waiting = await self._store.read(look)
        redactor = await asyncio.to_thread(redactor_of, self._registry)
        clean = tuple(SearchHit(turn=hit.turn, snippet=redactor.text(hit.snippet)) for hit in shown)
        indexed = await asyncio.to_thread(index.count)
        return SearchView(query=words.strip(), hits=clean, indexed=indexed, waiting=waiting)

    async def fork_session(self, source: str, story_id: str, *, actor: str) -> ForkView:
        """The first turn of `story_id` goes on from the session `source` of another story of its project.

        `source` as `session` takes it. Raises NotAllowed where the story has had a turn, or is another
        project's: an agent's session knows that project's files.
        """

        def work(tx: Transaction) -> ForkView:
            session = _find_session(tx.conn, source.strip())
            turn, story = session.last, stories.get(tx.conn, story_id.strip().lower())
            if turn.subject == story.id:
                raise InvalidInput(f"{story.id} goes on from its own sessions by itself.")
            if turn.project != story.project:
                raise NotAllowed(
                    f"{turn.subject} belongs to {turn.project}, {story.id} to {story.project}.",
                    why="A session knows its project's files, which are not another one's.",
                    hint=f"Link them instead: orchard sessions link {story.id} {turn.subject}.",
                )
            if had := agent_sessions.last_turns(tx.conn, story.id, 1):
                raise NotAllowed(
                    f"{story.id} has begun already: its turn {had[0].turn_id} went before.",
                    hint="Only a story's first turn can go on from another story's session.",
                )
            fork = agent_sessions.fork(tx, story_id=story.id, turn_id=turn.turn_id, by=actor)
            return ForkView(
                fork=fork,
                source=turn,
                sentence=f"The first turn of {story.id} goes on from {turn.subject}'s session of "
                f"{turn.agent}: branched off where the agent can, else told of it in short.",
            )

        return await self._store.write(work)

    async def link_session(self, story_id: str, linked_id: str, *, actor: str) -> LinkView:
        """From its next turn on the agents of `story_id` are told what `linked_id` came to.

        Raises NotAllowed across projects where one of the two does not share its context.
        """
        names = [each.strip().lower() for each in (story_id, linked_id)]

        def work(tx: Transaction) -> LinkView:
            story, other = (stories.get(tx.conn, each) for each in names)
            if story.id == other.id:
                raise InvalidInput(f"{story.id} cannot be linked to itself.")
            if story.project != other.project:
                self._check_sharing(story.project, other.project)
            links = agent_sessions.links_of(tx.conn, story.id)
            if other.id not in {link.linked_id for link in links} and len(links) >= LINKS:
                raise NotAllowed(
                    f"{story.id} has {len(links)} links already.",
                    why="Each takes room in every prompt.",
                    hint=f"Take one away: orchard sessions unlink {story.id} {links[0].linked_id}.",
                )
            agent_sessions.link(tx, story_id=story.id, linked_id=other.id, by=actor)
            return LinkView(
                story_id=story.id,
                links=agent_sessions.links_of(tx.conn, story.id),
                sentence=f"From its next turn on, {story.id}'s agents are told what {other.id} came to.",
            )

        return await self._store.write(work)

    async def unlink_session(self, story_id: str, linked_id: str, *, actor: str) -> LinkView:
        """Raises NotFound where there is no such link."""
        story, other = story_id.strip().lower(), linked_id.strip().lower()

        def work(tx: Transaction) -> LinkView:
            found = stories.get(tx.conn, story)
            if not agent_sessions.unlink(tx, story_id=found.id, linked_id=other):
                known = ", ".join(link.linked_id for link in agent_sessions.links_of(tx.conn, found.id))
                raise NotFound(
                    f"{found.id} is not linked to {other}.", hint=f"It is linked to: {known or 'none'}."
                )
            return LinkView(
                story_id=found.id,
                links=agent_sessions.links_of(tx.conn, found.id),
                sentence=f"{found.id}'s agents are no longer told of {other}; what they heard they know.",
            )

        return await self._store.write(work)

    # -- what these need

    @property
    def _state_path(self) -> Path:
        return self._registry.configuration.state_path

    def _check_sharing(self, *names: str) -> None:
        settings = self._registry.configuration.settings.projects
        closed = [
            name
            for name in names
            if name not in settings or not settings[name].ai_settings.context_sharing_enabled
        ]
        if closed:
            raise NotAllowed(
                f"What is done in {' and '.join(closed)} is not shared with other projects.",
                why="ai_settings.context_sharing_enabled is off.",
                hint="Both projects must allow it, in orch-config.yaml.",
            )

    def _with_words(self, detail: SessionDetail) -> SessionDetail:
        """The last turn's prompt and transcript, where they are still there."""
        last = detail.turns[-1]
        if last.turn.transcript_state is Kept.PRUNED:
            return _gone(detail, "The transcript was removed: it was older than transcripts are kept.")
        path = transcripts_folder(self._state_path) / last.turn.transcript
        redactor = redactor_of(self._registry)
        try:
            words, prompt = read_transcript(path, redactor), redactor.text(read_prompt(path))
        except OSError as error:
            return _gone(detail, f"The transcript cannot be read: {path}: {error.strerror}.")
        shown = TurnView(turn=last.turn, tokens=last.tokens, microdollars=last.microdollars, prompt=prompt)
        return SessionDetail(
            view=detail.view,
            turns=(*detail.turns[:-1], shown),
            transcript=words,
            fork=detail.fork,
            links=detail.links,
        )


def _gone(detail: SessionDetail, why: str) -> SessionDetail:
    return SessionDetail(view=detail.view, turns=detail.turns, gone=why, fork=detail.fork, links=detail.links)


def _turns_of_scope(conn: sqlite3.Connection, scope: str | None) -> tuple[SessionTurn, ...]:
    if scope is None:
        return agent_sessions.latest(conn, limit=_LOOKED_AT)
    name = scope.strip().lower()
    if stories.find(conn, name) is not None or epics.find(conn, name) is not None:
        return agent_sessions.turns_of(conn, name)
    if any(project.name == name for project in projects.every(conn)):
        return agent_sessions.latest(conn, project=name, limit=_LOOKED_AT)
    raise NotFound(
        f"There is no project, story or epic '{scope.strip()}'.", hint="See what there is: orchard projects."
    )


def _find_session(conn: sqlite3.Connection, name: str) -> AgentSession:
    """By a turn, up to it; by a story or an epic, its last; by the agent's own name, exactly."""
    turn = agent_sessions.find_turn(conn, name.lower())
    if turn is not None:
        own = agent_sessions.turns_of(conn, turn.subject)
        until = [each for each in own if each.generation <= turn.generation]
        found = agent_sessions.sessions_in(until)
        return next(session for session in found if turn in session.turns)
    turns = agent_sessions.turns_of(conn, name.lower()) or agent_sessions.of_session(conn, name)
    if turns:
        return agent_sessions.sessions_in(turns)[-1]
    if stories.find(conn, name.lower()) is not None or epics.find(conn, name.lower()) is not None:
        raise NotFound(f"No agent has worked on {name.lower()} yet.", hint="It has a session when one has.")
    raise NotFound(f"There is no session '{name}'.", hint="See what there is: orchard sessions list.")


def _view(conn: sqlite3.Connection, session: AgentSession) -> SessionView:
    spent = agent_sessions.tokens_of(conn, session.subject)
    views = [_turn_view(turn, spent) for turn in session.turns]
    return SessionView(
        id=session.last.turn_id,
        session=session,
        title=_title(conn, session.subject),
        tokens=sum(view.tokens for view in views),
        microdollars=sum(view.microdollars for view in views),
    )


def _turn_view(turn: SessionTurn, spent: Mapping[str, tuple[int, int]]) -> TurnView:
    tokens, microdollars = spent.get(turn.run_id, (0, 0)) if turn.run_id else (0, 0)
    return TurnView(turn=turn, tokens=tokens, microdollars=microdollars)


def _title(conn: sqlite3.Connection, subject: str) -> str:
    story = stories.find(conn, subject)
    if story is not None:
        return story.title
    epic = epics.find(conn, subject)
    return epic.text.partition("\n")[0] if epic is not None else ""

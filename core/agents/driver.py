"""Runs one turn with an agent program that speaks the Agent Client Protocol, and always ends it.

    run_turn: start -> initialize -> session (resumed, loaded or new) -> mode -> prompt -> stop ladder

The program is started by the caller (who knows the sandbox), supervised here, and gone when
`run_turn` returns or raises: also what it left behind in sessions of its own.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, cast

from acp import PROTOCOL_VERSION, Client, RequestError, connect_to_agent, text_block
from acp.schema import Implementation, PromptResponse
from pydantic import ValidationError

from core.agents import confined, ending, ladder
from core.agents.conversation import Conversation
from core.agents.ending import Ended
from core.agents.faults import request_fault
from core.agents.roles import Rights
from core.agents.stderr import StderrLog
from core.agents.transcript import Transcript
from core.agents.turn import (
    AskPeople,
    OnEvent,
    OnStalled,
    Turn,
    TurnEnd,
    TurnKind,
    TurnStarted,
)
from core.agents.wire import Wire
from core.clock import Clock, SystemClock
from core.errors import OrchardError
from core.isolation.launch import PIPE, ContainedProcess, launch
from core.isolation.plan import DEFAULT_PATH, Launch, Level
from core.worker.contract import AgentSetup

_LOOK_SECONDS = 1.0

Start = Callable[[tuple[str, ...], Mapping[str, str], Path], Awaitable[ContainedProcess]]
Plan = Callable[[tuple[str, ...], Mapping[str, str], Path], Launch]


class Changed(Protocol):
    async def __call__(self) -> bool:
        """Whether the turn left any change in the worktree."""
        ...


def start_with(plan: Plan) -> Start:
    """A `Start` from a pure plan: (argv, environment, home) -> Launch."""

    async def start(argv: tuple[str, ...], environment: Mapping[str, str], home: Path) -> ContainedProcess:
        return await launch(plan(argv, environment, home), stdin=PIPE, stdout=PIPE, stderr=PIPE)

    return start


async def run_turn(
    agent: AgentSetup,
    turn: Turn,
    *,
    start: Start,
    rights: Rights,
    level: Level,
    on_event: OnEvent,
    ask: AskPeople,
    cancel: asyncio.Event | None = None,
    changed: Changed | None = None,
    clock: Clock | None = None,
    steering: asyncio.Queue[str] | None = None,
    on_stalled: OnStalled | None = None,
) -> TurnEnd:
    """One prompt, from start to the end of the last process; faults of the agent are a TurnEnd, never raised.

    `start(argv, environment, home)` starts the program with pipes for stdin, stdout and stderr;
    `environment` holds PATH, LANG, HOME and the row's variables, for the caller to add to. Setting
    `cancel` ends the turn as CANCELLED; cancelling the task does the same and then raises
    CancelledError. `changed` tells a turn that did nothing from one that did; without it the
    agent's tool calls tell. What `on_event` raises comes out of here, after the agent was ended.
    """
    turn.home.mkdir(parents=True, exist_ok=True)
    with Transcript(turn.transcript, clock or SystemClock()) as transcript:
        run = _Run(agent, turn, transcript, rights, level, on_event, ask, cancel or asyncio.Event(), changed)
        end = await run.play(start)
        transcript.add("note", {"end": end.kind.value, "error": end.error, "rungs": list(end.rungs)})
    await on_event(ending.closing_event(end))
    return end


class _Run:
    def __init__(
        self,
        agent: AgentSetup,
        turn: Turn,
        transcript: Transcript,
        rights: Rights,
        level: Level,
        on_event: OnEvent,
        ask: AskPeople,
        cancel: asyncio.Event,
        changed: Changed | None,
    ) -> None:
        self._agent = agent
        self._turn = turn
        self._transcript = transcript
        self._on_event = on_event
        self._cancel = cancel
        self._changed = changed
        self._talk = Conversation(turn, rights=rights, level=level, on_event=on_event, ask=ask)
        self._stderr = StderrLog(turn.transcript.with_suffix(".stderr"))
        self._stage = "start"
        self._session_id: str | None = None
        self._stop_reason = ""

    async def play(self, start: Start) -> TurnEnd:
        began = time.monotonic()
        try:
            process = await self._start(start)
        except Ended as ended:
            return TurnEnd(kind=ended.kind, error=ended.error, hint=ended.hint)
        if process.stdin is None or process.stdout is None:
            await process.kill_tree()
            raise TypeError("an agent must be started with pipes for stdin and stdout")
        climb = ladder.Ladder(process, self._agent.stop_seconds)
        draining = self._drain(process)
        wire = self._wire(process)
        connection = connect_to_agent(cast(Client, self._talk), wire)
        work = asyncio.ensure_future(self._converse(connection))
        outcome: Ended | None = None
        try:
            outcome = await self._supervise(work, climb, wire)
        finally:
            await _to_the_end(self._finish(work, climb, connection, wire, draining))
        if wire.error is not None:
            raise wire.error
        return await self._judge(outcome, climb, wire, time.monotonic() - began)

    async def _start(self, start: Start) -> ContainedProcess:
        agent, turn = self._agent, self._turn
        if not os.access(agent.argv[0], os.X_OK):
            raise ending.missing(agent)
        environment = {
            "PATH": DEFAULT_PATH,
            "LANG": "C.UTF-8",
            **agent.environment,
            "HOME": str(turn.home),
        }
        try:
            for name, text in agent.home_files.items():
                confined.write_text(turn.home, name, text, mode=0o600)
            return await start(agent.argv, environment, turn.home)
        except (OrchardError, OSError) as error:
            hint = error.hint if isinstance(error, OrchardError) else ""
            raise ending.failed(f"{agent.name} could not be started: {error}", hint) from error

    def _drain(self, process: ContainedProcess) -> asyncio.Task[None] | None:
        if process.stderr is None:
            return None
        return asyncio.create_task(self._stderr.drain(process.stderr), name=f"stderr of {process.pid}")

    def _wire(self, process: ContainedProcess) -> Wire:
        assert process.stdin is not None
        assert process.stdout is not None
        return Wire(
            process.stdout,
            process.stdin,
            transcript=self._transcript,
            on_update=self._talk.on_update,
            on_heard=self._talk.heard,
            output_limit_bytes=self._turn.output_limit_bytes,
        )

    # The conversation, in order

    async def _converse(self, connection: Any) -> None:
        self._stage = "initialize"
        info = Implementation(name="orchard", version="0.1.0")
        answer = await connection.initialize(protocol_version=PROTOCOL_VERSION, client_info=info)
        if answer.protocol_version != PROTOCOL_VERSION:
            raise ending.other_version(self._agent, answer.protocol_version, PROTOCOL_VERSION)
        self._stage = "session"
        offered = answer.model_dump(mode="json", by_alias=True).get("agentCapabilities") or {}
        self._session_id, resumed, modes = await self._open_session(connection, offered)
        self._talk.session_id = self._session_id
        await self._set_mode(connection, modes)
        self._stage = "prompt"
        started = TurnStarted(agent=self._agent.name, session_id=self._session_id, resumed=resumed)
        await self._on_event(started)
        self._talk.heard()
        self._talk.prompting = True
        try:
            response = await connection.prompt(
                session_id=self._session_id, prompt=[text_block(self._turn.prompt)]
            )
        finally:
            self._talk.prompting = False
        await self._talk.flush()
        self._note_usage(response)
        self._stop_reason = response.stop_reason

    async def _open_session(self, connection: Any, offered: Mapping[str, Any]) -> tuple[str, bool, list[str]]:
        """The session's id, whether it is the old one, and the ids of its modes.

        Replayed updates of a loaded session come before its answer, and are passed over.
        """
        old, cwd = self._turn.session_id, str(self._turn.cwd)
        sessions = offered.get("sessionCapabilities") or {}
        take_up = None
        if old and "fresh_session" not in self._agent.quirks:
            if sessions.get("resume") is not None:
                take_up = connection.resume_session
            elif offered.get("loadSession"):
                take_up = connection.load_session
        if take_up is not None and old:
            try:
                response = await take_up(cwd=cwd, session_id=old, mcp_servers=[])
                return old, True, _mode_ids(response)
            except (RequestError, ValidationError) as refused:
                self._transcript.add("note", f"session {old} could not be taken up again: {refused}")
        response = await connection.new_session(cwd=cwd, mcp_servers=[])
        return response.session_id, False, _mode_ids(response)

    async def _set_mode(self, connection: Any, offered: list[str]) -> None:
        mode = self._agent.mode
        if mode is None:
            return
        if offered and mode not in offered:
            raise ending.no_mode(self._agent, offered)
        await connection.set_session_mode(session_id=self._session_id, mode_id=mode)

    def _note_usage(self, response: PromptResponse) -> None:
        if response.usage is not None:
            self._talk.usage["prompt"] = response.usage.model_dump(mode="json", exclude_none=True)
        if response.field_meta:
            self._talk.usage["meta"] = response.field_meta

    # Supervision

    async def _supervise(self, work: asyncio.Future[None], climb: ladder.Ladder, wire: Wire) -> Ended | None:
        """Wait for the conversation, its death, its time-outs, or our wish to end it."""
        began = time.monotonic()
        wish = asyncio.ensure_future(self._cancel.wait())
        try:
            while True:
                waited: set[asyncio.Future[Any]] = {work, wish, climb.exited}
                patience = self._patience(began)
                if patience.seconds <= 0:
                    return patience.ended
                pause = min(patience.seconds, _LOOK_SECONDS)  # the patience changes with what it says
                await asyncio.wait(waited, timeout=pause, return_when=asyncio.FIRST_COMPLETED)
                await self._talk.flush()  # live views want text that nothing follows for a while
                if wish.done():
                    return Ended(TurnKind.CANCELLED)
                if climb.exited.done() and not work.done():
                    await asyncio.wait({work}, timeout=2.0)  # what it said last may still be in the pipe
                    if not work.done():
                        return await self._died(climb, wire)
                if work.done():
                    return await self._result(work, climb, wire)
        finally:
            wish.cancel()

    def _patience(self, began: float) -> _Patience:
        """How long to wait before looking again, and what it means when that is over."""
        now, turn, name = time.monotonic(), self._turn, self._agent.name
        if self._stage != "prompt":
            ended = ending.too_slow(self._agent, self._stage, turn.start_seconds, self._last_words())
            return _Patience(began + turn.start_seconds - now, ended)
        left = began + turn.timeout_seconds + self._talk.asked_seconds() - now
        if left <= 0:
            hint = "Raise the turn time-out, or make the story smaller."
            error = f"{name} did not end its turn in {turn.timeout_seconds:g} s."
            return _Patience(0, ending.failed(error, hint))
        if self._talk.asking or self._talk.open_tools:
            return _Patience(left, None)
        silence = self._talk.last_heard + turn.stall_seconds - now
        hint = "It may be waiting for its model. See the transcript."
        ended = ending.failed(f"{name} said nothing for {turn.stall_seconds:g} s.", hint)
        return _Patience(min(left, silence), ended if silence <= 0 else None)

    async def _result(self, work: asyncio.Future[None], climb: ladder.Ladder, wire: Wire) -> Ended | None:
        name = self._agent.name
        try:
            work.result()
        except Ended as ended:
            return ended
        except ConnectionError:
            return await self._died(climb, wire)
        except RequestError as error:
            fault = request_fault(name, error.code, str(error), error.data)
            return ending.from_fault(fault, f" It was asked to {self._stage}.{self._last_words()}")
        except ValidationError as error:
            problem = error.errors(include_url=False, include_input=False)[0]["msg"]
            return ending.no_message(self._agent, self._stage, problem)
        return None

    async def _died(self, climb: ladder.Ladder, wire: Wire) -> Ended:
        name = self._agent.name
        if wire.flooded:
            return ending.failed(f"{name} was stopped: {wire.flooded}.")
        if wire.error is None:
            await asyncio.wait({climb.exited}, timeout=2.0)
        if not climb.exited.done():
            return ending.failed(f"{name} closed its output in the middle ({self._stage}).")
        if (error := climb.exited.exception()) is not None:
            return ending.failed(f"{name}: {error}", error.hint if isinstance(error, OrchardError) else "")
        await self._stderr.settle()
        return ending.exited(self._agent, self._stage, climb.exited.result(), self._last_words())

    def _last_words(self) -> str:
        words = self._stderr.last_words()
        return f" Its stderr ended with: {words}" if words else ""

    # The end

    async def _finish(
        self,
        work: asyncio.Future[None],
        climb: ladder.Ladder,
        connection: Any,
        wire: Wire,
        draining: asyncio.Task[None] | None,
    ) -> None:
        self._talk.cancel_requests()
        session_id = self._session_id
        if not work.done() and self._stage == "prompt" and session_id is not None:
            await climb.cancel(lambda: connection.cancel(session_id=session_id), work)
        if not work.done():
            work.cancel()
        await asyncio.gather(work, return_exceptions=True)
        try:
            await climb.down()
        finally:
            await connection.close()
            if draining is not None:
                await asyncio.wait({draining}, timeout=1.0)
                draining.cancel()

    async def _judge(
        self, outcome: Ended | None, climb: ladder.Ladder, wire: Wire, seconds: float
    ) -> TurnEnd:
        if climb.left is not None:
            outcome = ending.failed(climb.left.message, climb.left.hint)
        elif outcome is None:
            done = self._talk.changed or (self._changed is not None and await self._changed())
            text = self._talk.words.strip()
            outcome = ending.from_answer(self._agent, self._stop_reason, text, did_something=done)
        usage = {}
        if self._talk.usage:
            meaning = [quirk[6:] for quirk in self._agent.quirks if quirk.startswith("usage:")]
            usage = {"source": "the agent's word", "meaning": "".join(meaning), **self._talk.usage}
        return TurnEnd(
            kind=outcome.kind,
            text=self._talk.words.strip(),
            session_id=self._session_id,
            usage=usage,
            error=outcome.error,
            hint=outcome.hint.strip(),
            stop_reason=self._stop_reason,
            rungs=tuple(climb.rungs),
            exit_code=climb.exit_code,
            seconds=seconds,
            tools=self._talk.tools_seen,
            malformed=wire.malformed,
        )


class _Patience:
    __slots__ = ("ended", "seconds")

    def __init__(self, seconds: float, ended: Ended | None) -> None:
        self.seconds = seconds
        self.ended = ended


def _mode_ids(response: Any) -> list[str]:
    modes = getattr(response, "modes", None)
    return [mode.id for mode in modes.available_modes] if modes is not None else []


async def _to_the_end(work: Awaitable[None]) -> None:
    """Await `work` whole, also when this task is cancelled meanwhile; the cancellation is raised after it."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled
    task.result()

"""Runs one turn with an agent program that speaks the Agent Client Protocol, and always ends it.

    run_turn: start -> initialize -> session (resumed, loaded or new) -> mode -> prompt -> stop ladder

A person's words to a running turn end its prompt and begin another in the same session.

The program is started by the caller (who knows the sandbox), supervised here, and gone when
`run_turn` returns or raises: also what it left behind in sessions of its own.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, cast

from acp import Client, RequestError, connect_to_agent, text_block
from acp.schema import PromptResponse
from pydantic import ValidationError

from core.agents import confined, ending, ladder, opening, prompts
from core.agents.conversation import Conversation
from core.agents.ending import Ended
from core.agents.faults import request_fault
from core.agents.roles import Rights
from core.agents.silence import Silence
from core.agents.stderr import StderrLog
from core.agents.steering import Steering
from core.agents.transcript import Transcript
from core.agents.turn import (
    AskPeople,
    OnEvent,
    OnStalled,
    Turn,
    TurnEnd,
    TurnKind,
    TurnStarted,
    TurnSteered,
)
from core.agents.wire import Wire
from core.clock import Clock, SystemClock
from core.errors import OrchardError
from core.isolation.launch import ContainedProcess
from core.isolation.plan import DEFAULT_PATH, Level
from core.worker.contract import AgentSetup

_LOOK_SECONDS = 1.0

Start = Callable[[tuple[str, ...], Mapping[str, str], Path], Awaitable[ContainedProcess]]
Changed = Callable[[], Awaitable[bool]]  # whether the turn left any change in the worktree


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
    agent's tool calls tell. What a callback raises comes out of here, after the agent was ended.

    A text put into `steering` is given to the agent: its prompt is cancelled, and the next one in the
    same session holds all that waits; an agent that does not stop for it ends as FAILED. What no
    prompt carried is in `TurnEnd.unheard`, or in the queue again when this raises.
    `on_stalled(seconds, doing)` is called once a silence.
    """
    turn.home.mkdir(parents=True, exist_ok=True)
    said = Steering(steering)
    clock = clock or SystemClock()
    talk = Conversation(turn, rights=rights, level=level, on_event=on_event, ask=ask)
    try:
        with Transcript(turn.transcript, clock) as transcript:
            run = _Run(
                agent,
                turn,
                transcript,
                talk,
                said,
                clock,
                on_event=on_event,
                on_stalled=on_stalled,
                cancel=cancel or asyncio.Event(),
                changed=changed,
            )
            end = await run.play(start)
            transcript.add("note", {"end": end.kind.value, "error": end.error, "rungs": list(end.rungs)})
        await on_event(ending.closing_event(end))
    except BaseException:
        said.give_back()
        raise
    return replace(end, steered=tuple(said.given), unheard=said.unheard())


class _Run:
    def __init__(
        self,
        agent: AgentSetup,
        turn: Turn,
        transcript: Transcript,
        talk: Conversation,
        said: Steering,
        clock: Clock,
        *,
        on_event: OnEvent,
        on_stalled: OnStalled | None,
        cancel: asyncio.Event,
        changed: Changed | None,
    ) -> None:
        self._agent = agent
        self._turn = turn
        self._transcript = transcript
        self._talk = talk
        self._said = said
        self._clock = clock
        self._on_event = on_event
        self._on_stalled = on_stalled
        self._cancel = cancel
        self._changed = changed
        self._stderr = StderrLog(turn.transcript.with_suffix(".stderr"))
        self._stage = "start"
        self._session_id: str | None = None
        self._stop_reason = ""
        self._ending = False  # no further prompt, whatever people say

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
        work = asyncio.ensure_future(self._converse(connection, climb))
        silence = Silence(self._turn, self._talk, process.pid, self._on_stalled)
        outcome: Ended | None = None
        try:
            outcome = await self._supervise(work, climb, wire, silence)
        finally:
            await ladder.to_the_end(self._finish(work, climb, connection, wire, draining))
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

    async def _converse(self, connection: Any, climb: ladder.Ladder) -> None:
        agent, turn = self._agent, self._turn
        self._stage = "initialize"
        offered = await opening.initialize(connection, agent)
        self._stage = "session"
        session = await opening.open_session(
            connection, agent, offered, self._transcript, cwd=str(turn.cwd), old=turn.session_id
        )
        self._session_id = self._talk.session_id = session.id
        await opening.set_mode(connection, agent, session)
        self._stage = "prompt"
        await self._on_event(TurnStarted(agent=agent.name, session_id=session.id, resumed=session.resumed))
        words = self._said.take()
        text = prompts.with_words(turn.prompt, words) if words else turn.prompt
        while True:
            for each in words:
                await self._on_event(TurnSteered(text=each))
            response = await self._prompt(connection, climb, session.id, text)
            await self._talk.flush()
            self._stop_reason = "cancelled"
            if response is not None:
                self._talk.note_usage(response)
                self._stop_reason = response.stop_reason
            words = [] if self._ending else self._said.take()
            if not words:
                return
            text = prompts.steering_prompt(turn.prompt, words, self._said.times)

    async def _prompt(
        self, connection: Any, climb: ladder.Ladder, session_id: str, text: str
    ) -> PromptResponse | None:
        """One prompt to its answer, cancelled when a person says something; Ended when it is deaf to that.

        None when it answers the cancel with an error, as if it were one to be told to stop.
        """
        self._talk.begin_prompt()
        answer = asyncio.ensure_future(connection.prompt(session_id=session_id, prompt=[text_block(text)]))
        spoken = asyncio.ensure_future(self._said.wait())
        try:
            await asyncio.wait({answer, spoken}, return_when=asyncio.FIRST_COMPLETED)
            if not answer.done():
                self._transcript.add("note", "a person has something to say: the prompt is cancelled")
                self._talk.cancel_requests()
                if not await climb.interrupt(lambda: connection.cancel(session_id=session_id), answer):
                    raise ending.deaf(self._agent, self._agent.stop_seconds[0])
            response: PromptResponse = await answer
            return response
        except RequestError as error:
            if not spoken.done():
                raise
            self._transcript.add("note", f"the cancelled prompt ended with an error: {error}")
            return None
        finally:
            self._talk.prompting = False
            spoken.cancel()
            answer.cancel()
            await asyncio.gather(answer, spoken, return_exceptions=True)

    # Supervision

    async def _supervise(
        self, work: asyncio.Future[None], climb: ladder.Ladder, wire: Wire, silence: Silence
    ) -> Ended | None:
        """Wait for the conversation, its death, its time-outs, or our wish to end it."""
        began = time.monotonic()
        wish = asyncio.ensure_future(self._cancel.wait())
        try:
            while True:
                waited: set[asyncio.Future[Any]] = {work, wish, climb.exited}
                await silence.look()
                left, ended = self._patience(began)
                if left <= 0:
                    return ended
                if silence.seconds() >= self._turn.stall_cancel_seconds and not work.done():
                    return ending.silent(self._agent, silence.seconds(), await silence.doing())
                # The patience changes with what it says, so look again before it is over.
                pause = min(left, silence.next_look(), _LOOK_SECONDS)
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

    def _patience(self, began: float) -> tuple[float, Ended]:
        """The seconds that this stage may still take, and what it means when they are over."""
        now, turn, name = time.monotonic(), self._turn, self._agent.name
        if self._stage != "prompt":
            ended = ending.too_slow(self._agent, self._stage, turn.start_seconds, self._last_words())
            return began + turn.start_seconds - now, ended
        left = began + turn.timeout_seconds + self._talk.asked_seconds() - now
        hint = "Raise the turn time-out, or make the story smaller."
        return left, ending.failed(f"{name} did not end its turn in {turn.timeout_seconds:g} s.", hint)

    async def _result(self, work: asyncio.Future[None], climb: ladder.Ladder, wire: Wire) -> Ended | None:
        name = self._agent.name
        try:
            work.result()
        except Ended as ended:
            return ended
        except ConnectionError:
            return await self._died(climb, wire)
        except RequestError as error:
            fault = request_fault(name, error.code, str(error), error.data, self._now())
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
        self._ending = True
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
            outcome = ending.from_answer(
                self._agent, self._stop_reason, text, did_something=done, now=self._now()
            )
        usage = {}
        if self._talk.usage:
            meaning = [quirk[6:] for quirk in self._agent.quirks if quirk.startswith("usage:")]
            usage = {"source": "the agent's word", "meaning": "".join(meaning), **self._talk.usage}
        return TurnEnd(
            kind=outcome.kind,
            text=self._talk.all_words(),
            session_id=self._session_id,
            usage=usage,
            error=outcome.error,
            hint=outcome.hint.strip(),
            limited_until=outcome.until,
            stop_reason=self._stop_reason,
            rungs=tuple(climb.rungs),
            exit_code=climb.exit_code,
            seconds=seconds,
            tools=self._talk.tools_seen,
            malformed=wire.malformed,
        )

    def _now(self) -> datetime:
        return self._clock.now().astimezone()  # agents say times of day in the machine's zone

"""Runs one turn with an agent's program, and always ends it.

    run_turn: start -> the conversation (ACP, or a plain command) -> stop ladder -> what it meant

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
from typing import Any

from core.agents import confined, ending, ladder, model_traffic, opening
from core.agents.acp_adapter import AcpAdapter
from core.agents.adapter import Adapter
from core.agents.command import CommandAdapter
from core.agents.conversation import Conversation
from core.agents.ending import Ended
from core.agents.roles import Rights
from core.agents.setup import AgentSetup
from core.agents.silence import Silence
from core.agents.stderr import StderrLog
from core.agents.steering import Steering
from core.agents.transcript import Transcript
from core.agents.turn import AskPeople, OnEvent, OnStalled, Turn, TurnEnd, TurnKind
from core.clock import Clock, SystemClock
from core.domain.session import How
from core.errors import OrchardError
from core.isolation.launch import ContainedProcess
from core.isolation.plan import DEFAULT_PATH, Level

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
    if agent.kind == "command":  # it has no session: each of its turns is a new one
        prompt, how = await opening.first_prompt(turn, How.FRESH)
        turn = replace(turn, prompt=prompt, how=how)
    try:
        with Transcript(turn.transcript, clock, redactor=turn.redactor) as transcript:
            if turn.heading:
                transcript.add("note", {"turn": dict(turn.heading)})
            adapter = _adapter(
                agent, turn, transcript, said, rights=rights, level=level, on_event=on_event, ask=ask
            )
            run = _Run(
                agent,
                turn,
                adapter,
                clock,
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


def _adapter(
    agent: AgentSetup,
    turn: Turn,
    transcript: Transcript,
    said: Steering,
    *,
    rights: Rights,
    level: Level,
    on_event: OnEvent,
    ask: AskPeople,
) -> Adapter:
    if agent.kind == "command":
        return CommandAdapter(agent, turn, transcript, said, on_event=on_event)
    talk = Conversation(turn, rights=rights, level=level, on_event=on_event, ask=ask)
    return AcpAdapter(agent, turn, transcript, talk, said, on_event=on_event)


class _Run:
    """One program, from its start to the proof that nothing of it is left."""

    def __init__(
        self,
        agent: AgentSetup,
        turn: Turn,
        adapter: Adapter,
        clock: Clock,
        *,
        on_stalled: OnStalled | None,
        cancel: asyncio.Event,
        changed: Changed | None,
    ) -> None:
        self._agent = agent
        self._turn = turn
        self._adapter = adapter
        self._clock = clock
        self._on_stalled = on_stalled
        self._cancel = cancel
        self._changed = changed
        self._stderr = StderrLog(turn.transcript.with_suffix(".stderr"), turn.redactor)

    async def play(self, start: Start) -> TurnEnd:
        began, adapter = time.monotonic(), self._adapter
        try:
            process = await self._start(start)
        except Ended as ended:
            return TurnEnd(kind=ended.kind, error=ended.error, hint=ended.hint, began=False)
        if process.stdin is None or process.stdout is None:
            await process.kill_tree()
            raise TypeError("an agent must be started with pipes for stdin and stdout")
        climb = ladder.Ladder(process, self._agent.stop_seconds)
        draining = self._drain(process)
        adapter.attach(process, climb)
        work = asyncio.ensure_future(adapter.converse())
        silence = Silence(self._turn, adapter.signs, process.pid, self._on_stalled)
        outcome: Ended | None = None
        try:
            outcome = await self._supervise(work, climb, silence)
        finally:
            await ladder.to_the_end(self._finish(work, climb, draining))
        if adapter.fault is not None:
            raise adapter.fault
        return await self._judge(outcome, climb, time.monotonic() - began)

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
            return await start(self._adapter.argv(), environment, turn.home)
        except (OrchardError, OSError) as error:
            hint = error.hint if isinstance(error, OrchardError) else ""
            raise ending.failed(f"{agent.name} could not be started: {error}", hint) from error

    def _drain(self, process: ContainedProcess) -> asyncio.Task[None] | None:
        if process.stderr is None:
            return None
        return asyncio.create_task(self._stderr.drain(process.stderr), name=f"stderr of {process.pid}")

    # Supervision

    async def _supervise(
        self, work: asyncio.Future[None], climb: ladder.Ladder, silence: Silence
    ) -> Ended | None:
        """Wait for the conversation, its death, its time-outs, or our wish to end it."""
        began = time.monotonic()
        wish = asyncio.ensure_future(self._cancel.wait())
        waited: set[asyncio.Future[Any]] = {work, wish, climb.exited}
        if self._adapter.ends_by_exit:
            waited.discard(climb.exited)
        try:
            while True:
                await silence.look()
                left, ended = self._patience(began, silence)
                if left <= 0:
                    return ended
                if not work.done() and (found := await self._stuck(silence)) is not None:
                    return found
                # The patience changes with what it says, so look again before it is over.
                pause = min(left, silence.next_look(), _LOOK_SECONDS)
                await asyncio.wait(waited, timeout=pause, return_when=asyncio.FIRST_COMPLETED)
                await self._adapter.signs.flush()  # live views want text that nothing follows for a while
                if wish.done():
                    return Ended(TurnKind.CANCELLED)
                if climb.exited in waited and climb.exited.done() and not work.done():
                    await asyncio.wait({work}, timeout=2.0)  # what it said last may still be in the pipe
                    if not work.done():
                        return await self._died(climb)
                if work.done():
                    return await self._result(work, climb)
        finally:
            wish.cancel()

    async def _stuck(self, silence: Silence) -> Ended | None:
        """Why there is nothing to wait for any longer; None while there is."""
        if (stopped := silence.stopped()) is not None:
            return ending.provider_stopped(self._agent, stopped)
        if (refused := silence.refused()) is not None:
            return ending.retrying_silently(self._agent, *refused, self._now())
        if silence.seconds() >= self._turn.stall_cancel_seconds:
            return ending.silent(self._agent, silence.seconds(), await silence.doing())
        return None

    def _patience(self, began: float, silence: Silence) -> tuple[float, Ended]:
        """The seconds that this stage may still take, and what it means when they are over."""
        now, turn, name = time.monotonic(), self._turn, self._agent.name
        if self._adapter.stage != "prompt":
            ended = ending.too_slow(self._agent, self._adapter.stage, turn.start_seconds, self._last_words())
            return began + turn.start_seconds - now, ended
        waited = self._adapter.signs.asked_seconds() + silence.held_seconds
        hint = "Raise the turn time-out, or make the story smaller."
        ended = ending.failed(f"{name} did not end its turn in {turn.timeout_seconds:g} s.", hint)
        return began + turn.timeout_seconds + waited - now, ended

    async def _result(self, work: asyncio.Future[None], climb: ladder.Ladder) -> Ended | None:
        try:
            work.result()
        except Ended as ended:
            return ended
        except ConnectionError:
            return await self._died(climb)
        except Exception as error:
            if climb.exited.done() and climb.exited.exception() is error:
                return await self._died(climb)  # a command's end is its exit, and there was none
            found = self._adapter.meaning(error, self._now(), self._last_words())
            if found is None:
                raise
            return found
        return None

    async def _died(self, climb: ladder.Ladder) -> Ended:
        name, adapter = self._agent.name, self._adapter
        if adapter.flooded:
            return ending.failed(f"{name} was stopped: {adapter.flooded}.")
        if adapter.fault is None:
            await asyncio.wait({climb.exited}, timeout=2.0)
        if not climb.exited.done():
            return ending.failed(f"{name} closed its output in the middle ({adapter.stage}).")
        if (error := climb.exited.exception()) is not None:
            return ending.failed(f"{name}: {error}", error.hint if isinstance(error, OrchardError) else "")
        await self._stderr.settle()
        return ending.exited(self._agent, adapter.stage, climb.exited.result(), self._last_words())

    def _last_words(self) -> str:
        words = self._stderr.last_words()
        return f" Its stderr ended with: {words}" if words else ""

    # The end

    async def _finish(
        self, work: asyncio.Future[None], climb: ladder.Ladder, draining: asyncio.Task[None] | None
    ) -> None:
        await self._adapter.ask_to_end(work)
        if not work.done():
            work.cancel()
        await asyncio.gather(work, return_exceptions=True)
        try:
            await climb.down(end_of_input=self._adapter.takes_end_of_input)
        finally:
            await self._adapter.close()
            if draining is not None:
                await asyncio.wait({draining}, timeout=1.0)
                draining.cancel()

    async def _judge(self, outcome: Ended | None, climb: ladder.Ladder, seconds: float) -> TurnEnd:
        adapter = self._adapter
        told = adapter.told()
        if climb.left is not None:
            outcome = ending.failed(climb.left.message, climb.left.hint)
        elif outcome is None:
            done = told["changed"] or (self._changed is not None and await self._changed())
            outcome = adapter.verdict(
                did_something=done,
                exit_code=climb.exit_code,
                last_words=self._stderr.last_words(),
                now=self._now(),
            )
        if climb.left is None and outcome.kind in (TurnKind.FAILED, TurnKind.BLOCKED):
            outcome = await self._provider_stopped() or outcome
        return TurnEnd(
            kind=outcome.kind,
            text=told["text"],
            session_id=adapter.session_id,
            usage=told["usage"],
            error=outcome.error,
            hint=outcome.hint.strip(),
            limited_until=outcome.until,
            stop_reason=adapter.stop_reason,
            rungs=tuple(climb.rungs),
            exit_code=climb.exit_code,
            seconds=seconds,
            tools=told["tools"],
            malformed=adapter.malformed,
            began=adapter.stage == "prompt" and not outcome.at_once,
        )

    async def _provider_stopped(self) -> Ended | None:
        """By the gateway's word, where the agent asks it."""
        traffic = await model_traffic.ask(self._turn.model) if self._turn.model is not None else None
        if traffic is None or not traffic.stopped:
            return None
        return ending.provider_stopped(self._agent, traffic)

    def _now(self) -> datetime:
        return self._clock.now().astimezone()  # agents say times of day in the machine's zone

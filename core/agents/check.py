"""Runs a tiny story with a real agent, by the driver and in the sandbox of every other turn, and says what of
it works: starts, session, edits, asks, reports usage, resumes, cancels, leaves nothing behind.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

from core.agents import conformance, remains
from core.agents.conformance import Conformance, Mark, Metered, Outcome, Step
from core.agents.roles import Rights, Role
from core.agents.setup import AgentSetup
from core.agents.turn import (
    PermissionAsked,
    PermissionDecided,
    Turn,
    TurnEnd,
    TurnEvent,
    TurnKind,
    TurnStarted,
)
from core.clock import Clock, SystemClock
from core.domain.approval import PermissionAnswer
from core.errors import Unavailable
from core.isolation.launch import PIPE, ContainedProcess, launch
from core.isolation.plan import Level, Machine, plan_launch
from core.worker.agentbox import agent_sandbox
from core.worker.contract import ProjectSetup
from core.worker.environment import Environment

_STORY = "check-1"
_COMMAND_SECONDS = 8.0  # how long a command without tools may think before it is stopped


class Lane(Protocol):
    """How the agent reaches its model."""

    @property
    def by(self) -> str:
        """For people."""
        ...

    async def begin(self, setup: AgentSetup, turn: str) -> AgentSetup:
        """The agent as it is to be started for one turn."""
        ...

    async def end(self, turn: str) -> Metered | None:
        """What was counted since; None where nothing counts."""
        ...


@dataclass(frozen=True, slots=True)
class Direct:
    """The agent asks its provider itself, with what its setup says."""

    by: str = "directly"

    async def begin(self, setup: AgentSetup, turn: str) -> AgentSetup:
        return setup

    async def end(self, turn: str) -> Metered | None:
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What is checked: a resolved row. `sessions`: how it takes up an old one (None: unknown)."""

    setup: AgentSetup
    sessions: str | None = None
    usage: str = "none"
    versions: Mapping[str, str] = field(default_factory=dict)


OnOutcome = Callable[[Outcome], None]


async def check_agent(
    subject: Subject,
    *,
    machine: Machine,
    lane: Lane = Direct(),
    level: Level | None = None,
    turn_seconds: float = 300.0,
    keep: Path | None = None,
    quick: bool = False,
    on_outcome: OnOutcome = lambda _: None,
    clock: Clock | None = None,
) -> Conformance:
    """Three turns in a repository made for them, only the first when `quick`, and a look at what is left.

    Faults of the agent are rows of the answer; raises OrchardError only when the check itself cannot be made.
    Nothing of it is left, but for the turns' transcripts and the agent's stderr where `keep` names a folder.
    """
    began = time.monotonic()
    level = level or machine.strongest
    # Not below /tmp: a sandbox has a /tmp of its own, and one agent refuses to work from there.
    with TemporaryDirectory(prefix="orchard-check-", dir=_roomy()) as folder:
        place = await _Place.make(Path(folder).resolve())
        check = _Check(subject, place, machine, lane, level, turn_seconds, on_outcome, clock or SystemClock())
        try:
            outcomes = await check.play(quick=quick)
        finally:
            if keep is not None:
                await asyncio.to_thread(_keep, place.transcript.parent, keep)
    return Conformance(
        agent=subject.setup.name,
        versions=subject.versions,
        by=lane.by,
        isolation=str(level),
        outcomes=outcomes,
        seconds=time.monotonic() - began,
    )


def _keep(transcripts: Path, folder: Path) -> None:
    try:
        shutil.copytree(transcripts, folder, dirs_exist_ok=True)
    except (OSError, shutil.Error) as error:
        raise Unavailable(f"The transcripts could not be kept in {folder}.", why=str(error)) from error


def _roomy() -> str | None:
    return "/var/tmp" if os.access("/var/tmp", os.W_OK | os.X_OK) else None  # noqa: S108 - made by tempfile


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    top: Path

    @property
    def repository(self) -> Path:
        return self.top / "repository"

    @property
    def worktree(self) -> Path:
        return self.top / "worktree"

    @property
    def home(self) -> Path:
        return self.top / "home"

    @property
    def transcript(self) -> Path:
        return self.top / "transcripts" / "check.jsonl"

    @classmethod
    async def make(cls, top: Path) -> _Place:
        place = cls(top=top)
        for each in (place.repository, place.home):
            each.mkdir()
        (place.repository / "README.md").write_text("# A repository made to check an agent\n")
        await place.git("init", "-q", "-b", "main")
        await place.git("add", "README.md")
        await place.git(
            "-c", "user.name=Orchard", "-c", "user.email=orchard@localhost", "commit", "-q", "-m", "One"
        )
        await place.git("worktree", "add", "-q", "-b", f"orchard/{_STORY}", str(place.worktree))
        return place

    async def git(self, *words: str) -> str:
        environment = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(self.home)}
        environment |= {"GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0"}
        process = await asyncio.create_subprocess_exec(
            "git", *words,
            cwd=self.repository,
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        said, _ = await process.communicate()
        if process.returncode:
            raise Unavailable(
                f"git could not make a repository for the check: {said.decode(errors='replace').strip()}"
            )
        return said.decode(errors="replace")


@dataclass(slots=True)
class _Heard:
    """What one turn showed."""

    began: float
    session_seconds: float | None = None
    resumed: bool = False
    asked: int = 0
    end: TurnEnd | None = None
    metered: Metered | None = None


class _Check:
    def __init__(
        self,
        subject: Subject,
        place: _Place,
        machine: Machine,
        lane: Lane,
        level: Level,
        turn_seconds: float,
        on_outcome: OnOutcome,
        clock: Clock,
    ) -> None:
        self._subject = subject
        self._place = place
        self._machine = machine
        self._lane = lane
        self._level = level
        self._turn_seconds = turn_seconds
        self._on_outcome = on_outcome
        self._clock = clock
        self._outcomes: list[Outcome] = []

    async def play(self, *, quick: bool) -> tuple[Outcome, ...]:
        before = await asyncio.to_thread(remains.files, self._place.top, self._level)
        first = await self._turn("first", conformance.editing_prompt())
        if self._judge_start(first):
            self._judge_edits(first)
            if not quick:
                await self._resume(first)
                await self._cancel()
        else:
            for step in (Step.EDITS, Step.ASKS, Step.USAGE, Step.RESUMES, Step.CANCELS):
                self._add(step, Mark.SKIPPED, "it has no session")
        await self._look_behind(before)
        return tuple(self._outcomes)

    def _add(self, step: Step, mark: Mark, found: str, mend: str = "") -> None:
        self._put(Outcome(step=step, mark=mark, found=found, mend=mend))

    def _put(self, outcome: Outcome) -> None:
        self._outcomes.append(outcome)
        self._on_outcome(outcome)

    # The turns

    async def _turn(
        self,
        name: str,
        prompt: str,
        *,
        session_id: str | None = None,
        cancel: asyncio.Event | None = None,
    ) -> _Heard:
        place, heard = self._place, _Heard(began=time.monotonic())
        rights = Rights(role=Role.CODE, story_id=_STORY, is_test=lambda path: path.startswith("tests/"))

        async def on_event(event: TurnEvent) -> None:
            if isinstance(event, TurnStarted):
                heard.session_seconds = time.monotonic() - heard.began
                heard.resumed = event.resumed
            elif isinstance(event, PermissionDecided):
                heard.asked += 1

        # Here, since it brings the protocol's library (0.8 s, 42 MB), which no control plane needs for else.
        from core.agents.driver import run_turn

        async def ask(asked: PermissionAsked) -> PermissionAnswer:
            return PermissionAnswer(allowed=True, reason="a check of this agent")

        setup = await self._lane.begin(self._subject.setup, name)
        try:
            heard.end = await run_turn(
                setup,
                Turn(
                    prompt=prompt,
                    cwd=place.worktree,
                    home=place.home,
                    transcript=place.transcript.with_name(f"{name}.jsonl"),
                    session_id=session_id,
                    timeout_seconds=self._turn_seconds,
                    stall_seconds=self._turn_seconds,
                    stall_cancel_seconds=self._turn_seconds,
                ),
                start=lambda argv, variables, home: self._start(setup, argv, variables, home, rights),
                rights=rights,
                level=self._level,
                on_event=on_event,
                ask=ask,
                cancel=cancel,
                changed=self._changed,
                clock=self._clock,
            )
        finally:
            heard.metered = await self._lane.end(name)
        return heard

    async def _start(
        self,
        setup: AgentSetup,
        argv: tuple[str, ...],
        variables: Mapping[str, str],
        home: Path,
        rights: Rights,
    ) -> ContainedProcess:
        place = self._place
        sandbox = agent_sandbox(
            ProjectSetup(
                name="check",
                path=place.repository,
                main_branch="main",
                state_path=place.top,
                isolation=str(self._level),
                memory_mb=4096,
            ),
            setup,
            Environment(key="none", description="none"),
            rights,
            worktree=place.worktree,
            git_folder=place.repository / ".git",
            home=home,
            protected=(),
            variables=variables,
        )
        plan = plan_launch(argv, sandbox, self._machine)
        return await launch(plan, stdin=PIPE, stdout=PIPE, stderr=PIPE)

    async def _changed(self) -> bool:
        return (self._place.worktree / conformance.GREETING_FILE).exists()

    # What they show

    def _judge_start(self, heard: _Heard) -> bool:
        end = heard.end
        assert end is not None
        first = _first_answer_seconds(self._place.transcript.with_name("first.jsonl"))
        if heard.session_seconds is None:
            if first is not None:
                self._add(Step.STARTS, Mark.OK, f"answered after {first:.1f} s")
                self._add(Step.SESSION, Mark.FAILED, end.error, end.hint)
            else:
                self._add(Step.STARTS, Mark.FAILED, end.error, end.hint)
                self._add(Step.SESSION, Mark.SKIPPED, "it did not start")
            return False
        seconds = heard.session_seconds
        if self._subject.setup.kind == "command":
            self._add(Step.STARTS, Mark.OK, f"{seconds:.1f} s")
            self._add(Step.SESSION, Mark.OK, "none: a command is started for each turn")
            return True
        self._add(Step.STARTS, Mark.OK, f"answered after {first or seconds:.1f} s")
        self._add(
            Step.SESSION,
            Mark.OK,
            f"ready after {seconds:.1f} s, mode {self._subject.setup.mode or 'its own'}",
        )
        return True

    def _judge_edits(self, heard: _Heard) -> None:
        end = heard.end
        assert end is not None
        said = _read(self._place.worktree / conformance.GREETING_FILE)
        mend = end.hint or _SEE
        if end.kind is not TurnKind.IDLE:
            self._add(Step.EDITS, Mark.FAILED, end.error or f"its turn ended: {end.kind}", mend)
        elif said is None:
            self._add(Step.EDITS, Mark.FAILED, f"{conformance.GREETING_FILE} was not made", mend)
        elif said.strip() != conformance.GREETING:
            self._add(Step.EDITS, Mark.FAILED, f"{conformance.GREETING_FILE} holds {said[:80]!r}", mend)
        else:
            self._add(Step.EDITS, Mark.OK, f"one file as asked, {end.tools} tool calls, {end.seconds:.1f} s")
        if heard.asked:
            self._add(Step.ASKS, Mark.OK, f"{heard.asked} requests reached Orchard")
        elif self._subject.setup.kind == "command":
            self._add(Step.ASKS, Mark.NOTE, "never: a command cannot; the sandbox and the gate confine it")
        else:
            self._add(
                Step.ASKS,
                Mark.NOTE,
                f"not in mode {self._subject.setup.mode or 'its own'}; the sandbox and the gate confine it",
            )
        self._put(conformance.usage_outcome(heard.metered, end.usage, self._subject.usage))

    async def _resume(self, first: _Heard) -> None:
        wanted = self._subject.sessions
        assert first.end is not None
        if self._subject.setup.kind == "command" or wanted == "none" or first.end.session_id is None:
            self._add(Step.RESUMES, Mark.NOTE, "never: each turn is fresh, told what went before")
            return
        heard = await self._turn("second", conformance.remembering_prompt(), session_id=first.end.session_id)
        end = heard.end
        assert end is not None
        how = _how_taken_up(self._place.transcript.with_name("second.jsonl"))
        said = (_read(self._place.worktree / conformance.MEMORY_FILE) or "").strip()
        if end.kind is not TurnKind.IDLE:
            self._add(Step.RESUMES, Mark.FAILED, end.error or f"its turn ended: {end.kind}", end.hint)
        elif not heard.resumed:
            fresh = "fresh_session" in self._subject.setup.quirks
            mend = "" if fresh else f"Give its row 'quirks: [fresh_session]'. {_SEE}"
            self._add(Step.RESUMES, Mark.NOTE if fresh else Mark.FAILED, "a fresh session each time", mend)
        elif said != conformance.GREETING_FILE:
            mend = "Its old session does not carry what was said: give its row 'quirks: [fresh_session]'."
            self._add(Step.RESUMES, Mark.FAILED, f"by {how}, but it wrote {said[:80]!r}", mend)
        else:
            self._add(Step.RESUMES, Mark.OK, f"by {how}, and it knows what went before")

    async def _cancel(self) -> None:
        cancel = asyncio.Event()
        turn = asyncio.ensure_future(self._turn("third", conformance.waiting_prompt(), cancel=cancel))
        try:
            seen = await self._until_running(turn)
            asked = time.monotonic()
            cancel.set()
            heard = await turn
        finally:
            cancel.set()
            with suppress(Exception):
                await turn
        end = heard.end
        assert end is not None
        seconds = time.monotonic() - asked
        left = await asyncio.to_thread(remains.running, "tail", self._place.top)
        rungs = ", ".join(end.rungs) or "nothing more"
        if left:
            self._add(Step.CANCELS, Mark.FAILED, f"its command still runs: {left[0]}", _OURS)
        elif end.kind is TurnKind.IDLE and self._subject.setup.kind == "command":
            self._add(Step.CANCELS, Mark.NOTE, "it ended by itself before it could be stopped")
        elif end.kind is not TurnKind.CANCELLED:
            found = f"its turn ended before it was cancelled: {end.error or end.text[:160] or end.kind}"
            self._add(Step.CANCELS, Mark.FAILED, found, end.hint)
        elif not seen and self._subject.setup.kind != "command":
            self._add(Step.CANCELS, Mark.FAILED, f"it never ran its command, and ended in {seconds:.1f} s")
        else:
            what = "its tools ended" if seen else "it ended; it had run no command"
            self._add(Step.CANCELS, Mark.OK, f"in {seconds:.1f} s ({rungs}); {what}")

    async def _until_running(self, turn: asyncio.Future[_Heard]) -> bool:
        """Whether its command runs; False when the turn is over, or nothing came of it in time."""
        patience = self._turn_seconds
        if self._subject.setup.kind == "command":
            patience = _COMMAND_SECONDS
        try:
            async with asyncio.timeout(patience):
                while not turn.done():
                    if await asyncio.to_thread(remains.running, "tail", self._place.top):
                        return True
                    await asyncio.wait({turn}, timeout=0.1)
        except TimeoutError:
            pass
        return False

    async def _look_behind(self, before: frozenset[str]) -> None:
        found: tuple[str, ...] = ()
        for _ in range(20):
            found = await asyncio.to_thread(remains.left_since, before, self._place.top, self._level)
            if not found:
                break
            await asyncio.sleep(0.25)  # a killed process is in /proc until its parent has reaped it
        changed = await self._place.git("status", "--short")
        refs = await self._place.git("for-each-ref", "--format=%(refname)")
        own = {"refs/heads/main", f"refs/heads/orchard/{_STORY}"}
        found += tuple(f"a git reference {ref}" for ref in refs.split() if ref not in own)
        found += tuple(f"in the repository's checkout: {line}" for line in changed.splitlines())
        if found:
            self._add(Step.LEAVES, Mark.FAILED, "; ".join(found[:6]), _OURS)
        else:
            self._add(Step.LEAVES, Mark.OK, "no process, no file outside its home and its worktree")


_SEE = "Check it again with --keep FOLDER, and read what it said and what it wrote to stderr there."
_OURS = "Orchard's containment should have ended that: please report it with the output of 'orchard doctor'."


def _read(path: Path) -> str | None:
    try:
        return path.read_text("utf-8", errors="replace")
    except OSError:
        return None


def _entries(transcript: Path) -> list[Mapping[str, object]]:
    try:
        return [json.loads(line) for line in transcript.read_text("utf-8").splitlines()]
    except (OSError, ValueError):
        return []


def _first_answer_seconds(transcript: Path) -> float | None:
    """From our first message to the agent's first; None when it said nothing."""
    entries = _entries(transcript)
    out = next((entry for entry in entries if entry["way"] == "out"), None)
    came = next((entry for entry in entries if entry["way"] == "in"), None)
    if out is None or came is None:
        return None
    at = [datetime.fromisoformat(str(entry["at"])) for entry in (out, came)]
    return max((at[1] - at[0]).total_seconds(), 0.0)


def _how_taken_up(transcript: Path) -> str:
    asked = []
    for entry in _entries(transcript):
        message = entry.get("message")
        if entry["way"] == "out" and isinstance(message, dict):
            asked.append(message.get("method"))
    return next((f"session/{how}" for how in ("resume", "load") if f"session/{how}" in asked), "session/new")

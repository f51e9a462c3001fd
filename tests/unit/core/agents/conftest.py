from __future__ import annotations

import asyncio
import json
import os
import secrets
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from core.agents.driver import run_turn
from core.agents.presets import REPLAY
from core.agents.roles import Rights, Role
from core.agents.setup import AgentSetup
from core.agents.turn import PermissionAsked, Turn, TurnEnd, TurnEvent
from core.domain.approval import PermissionAnswer
from core.domain.lifecycles import Phase
from core.isolation.launch import PIPE, ContainedProcess, launch
from core.isolation.machine import probe_machine, program_folders
from core.isolation.plan import Launch, Level, Machine, Sandbox, plan_launch

HEADER = (
    "Orchard-Story: demo-1\nOrchard-Title: A story\nOrchard-Phase: {phase}\nOrchard-Attempt: {attempt}\n\n"
)


@pytest.fixture(scope="session")
def machine() -> Machine:
    return asyncio.run(probe_machine(programs=(Path(sys.executable),)))


CODE = Rights(role=Role.CODE, story_id="demo-1", is_test=lambda path: path.startswith("tests/"))


@dataclass
class Stage:
    """A worktree, a HOME and a way to play a script through the real driver in a real sandbox."""

    root: Path
    machine: Machine
    level: Level
    events: list[TurnEvent] = field(default_factory=list)
    asked: list[PermissionAsked] = field(default_factory=list)
    answer: PermissionAnswer = field(default_factory=lambda: PermissionAnswer(allowed=True))
    on_event: Callable[[TurnEvent], None] | None = None
    rights: Rights = field(default_factory=lambda: CODE)

    @property
    def worktree(self) -> Path:
        return self.root / "worktree"

    @property
    def home(self) -> Path:
        return self.root / "home"

    @property
    def transcript(self) -> Path:
        return self.root / "runs" / "turn.jsonl"

    def script(self, text: str) -> Path:
        path = self.root / f"script-{secrets.token_hex(3)}.yaml"
        path.write_text(text)
        return path

    def steps(self, *steps: Any, **top: Any) -> Path:
        """A script that plays these steps whatever the story and phase."""
        path = self.root / f"script-{secrets.token_hex(3)}.json"
        path.write_text(json.dumps({**top, "stories": {"*": {"*": list(steps) or [{"say": "nothing"}]}}}))
        return path

    def replay(self, script: Path, **changes: Any) -> AgentSetup:
        setup = AgentSetup(
            name="replay",
            kind="acp",
            argv=(sys.executable, "-I", str(REPLAY), "--script", str(script)),
            read_only_paths=(REPLAY, script),
            stop_seconds=(20, 20, 20),
        )
        return replace(setup, **changes)

    def program(self, source: str) -> AgentSetup:
        """An agent written for one test."""
        path = self.root / "agent.py"
        path.write_text(source)
        argv = (sys.executable, "-I", "-S", str(path))
        return AgentSetup(
            name="odd", kind="acp", argv=argv, read_only_paths=(path,), stop_seconds=(20, 20, 20)
        )

    def turn(
        self, *, phase: Phase = Phase.CODE_GREEN, attempt: int = 1, body: str = "", **changes: Any
    ) -> Turn:
        prompt = HEADER.format(phase=phase.value, attempt=attempt) + body
        turn = Turn(
            prompt=prompt,
            cwd=self.worktree,
            home=self.home,
            transcript=self.transcript,
            timeout_seconds=40,
            stall_seconds=40,
            stall_cancel_seconds=40,
            start_seconds=20,
        )
        return replace(turn, **changes)

    async def play(self, agent: AgentSetup, turn: Turn | None = None, **options: Any) -> TurnEnd:
        async def heard(event: TurnEvent) -> None:
            self.events.append(event)
            if self.on_event is not None:
                self.on_event(event)

        async def ask(question: PermissionAsked) -> PermissionAnswer:
            self.asked.append(question)
            return self.answer

        async def start(
            argv: tuple[str, ...], environment: Mapping[str, str], home: Path
        ) -> ContainedProcess:
            planned = self.plan(agent, argv, environment, home)
            return await launch(planned, stdin=PIPE, stdout=PIPE, stderr=PIPE)

        return await run_turn(
            agent,
            turn or self.turn(),
            **{
                "start": start,
                "rights": self.rights,
                "level": self.level,
                "on_event": heard,
                "ask": ask,
                **options,
            },
        )

    def plan(
        self, agent: AgentSetup, argv: tuple[str, ...], environment: Mapping[str, str], home: Path
    ) -> Launch:
        sandbox = Sandbox(
            level=self.level,
            cwd=self.worktree,
            home=home,
            writable=(self.worktree,),
            read_only=(*agent.read_only_paths, *program_folders(Path(sys.executable))),
            environment=environment,
        )
        return plan_launch(argv, sandbox, self.machine)

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


def _stage(tmp_path: Path, machine: Machine, level: Level) -> Stage:
    if level not in machine.levels:
        pytest.skip(machine.reasons[level])
    stage = Stage(root=tmp_path, machine=machine, level=level)
    stage.worktree.mkdir()
    return stage


@pytest.fixture
def stage(tmp_path: Path, machine: Machine) -> Stage:
    """Level `process`: the weaker cage, where ending everything is the harder."""
    return _stage(tmp_path, machine, Level.PROCESS)


@pytest.fixture(params=[Level.PROCESS, pytest.param(Level.FILESYSTEM, marks=pytest.mark.bwrap)])
def caged(request: pytest.FixtureRequest, tmp_path: Path, machine: Machine) -> Stage:
    """Both levels."""
    return _stage(tmp_path, machine, request.param)


@pytest.fixture
def alive() -> Callable[[str], list[int]]:
    """Processes of this machine, in any namespace, whose command line holds a text."""

    def find(text: str) -> list[int]:
        found = []
        for entry in os.listdir("/proc"):  # noqa: PTH208
            if entry.isdigit():
                try:
                    line = Path("/proc", entry, "cmdline").read_bytes()
                except OSError:
                    continue
                if text.encode() in line:
                    found.append(int(entry))
        return found

    return find


@pytest.fixture
def token() -> str:
    """A number of seconds that no other process sleeps."""
    return f"600.{secrets.randbelow(10**9):09d}"

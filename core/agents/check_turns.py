"""Turns of an agent that is checked: by the driver and in the sandbox of every other turn."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from core.agents import conformance
from core.agents.check_place import STORY, Place
from core.agents.conformance import Metered
from core.agents.driver import run_turn
from core.agents.roles import Rights, Role
from core.agents.setup import AgentSetup
from core.agents.turn import PermissionAsked, PermissionDecided, Turn, TurnEnd, TurnEvent, TurnStarted
from core.clock import Clock
from core.domain.approval import PermissionAnswer
from core.isolation.launch import PIPE, ContainedProcess, launch
from core.isolation.plan import Door, Level, Machine, plan_launch
from core.worker.agentbox import agent_sandbox, loopback_ports, network_rules
from core.worker.contract import ProjectSetup
from core.worker.environment import Environment
from core.worker.network import NetworkWatch
from core.worker.ways_out import open_ways


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


@dataclass(slots=True)
class Heard:
    """What one turn showed."""

    began: float
    session_seconds: float | None = None
    resumed: bool = False
    asked: int = 0
    end: TurnEnd | None = None
    metered: Metered | None = None


async def _allow(asked: PermissionAsked) -> PermissionAnswer:
    return PermissionAnswer(allowed=True, reason="a check of this agent")


class CheckTurns:
    def __init__(
        self,
        subject: Subject,
        place: Place,
        machine: Machine,
        lane: Lane,
        level: Level,
        turn_seconds: float,
        clock: Clock,
    ) -> None:
        self._subject = subject
        self._place = place
        self._machine = machine
        self._lane = lane
        self._level = level
        self._turn_seconds = turn_seconds
        self._clock = clock
        self._project = ProjectSetup(
            name="check",
            path=place.repository,
            main_branch="main",
            state_path=place.top,
            isolation=str(level),
            memory_mb=4096,
        )

    async def take(
        self,
        name: str,
        prompt: str,
        *,
        session_id: str | None = None,
        cancel: asyncio.Event | None = None,
    ) -> Heard:
        """`name` is that of its transcript."""
        place, heard = self._place, Heard(began=time.monotonic())
        rights = Rights(role=Role.CODE, story_id=STORY, is_test=lambda path: path.startswith("tests/"))

        async def on_event(event: TurnEvent) -> None:
            if isinstance(event, TurnStarted):
                heard.session_seconds = time.monotonic() - heard.began
                heard.resumed = event.resumed
            elif isinstance(event, PermissionDecided):
                heard.asked += 1

        setup = await self._lane.begin(self._subject.setup, name)
        refused = NetworkWatch(None, what="agent")
        ways = open_ways(
            level=self._level,
            state_path=place.top,
            key=name,
            rules=network_rules(self._project, setup, at_gateway=False),
            ports=loopback_ports(setup, None),
            denied=refused.denied,
        )
        try:
            async with ways as opened:
                heard.end = await run_turn(
                    setup,
                    Turn(
                        prompt=prompt,
                        cwd=place.worktree,
                        home=place.home,
                        transcript=place.transcript(name),
                        session_id=session_id,
                        timeout_seconds=self._turn_seconds,
                        stall_seconds=self._turn_seconds,
                        stall_cancel_seconds=self._turn_seconds,
                    ),
                    start=lambda argv, variables, home: self._start(
                        setup, argv, variables, home, rights, opened.doors
                    ),
                    rights=rights,
                    level=self._level,
                    on_event=on_event,
                    ask=_allow,
                    cancel=cancel,
                    changed=self._changed,
                    clock=self._clock,
                )
            if refused.hint and heard.end.error:
                heard.end = replace(heard.end, hint=f"{heard.end.hint} {refused.hint}".strip())
        finally:
            with suppress(OSError):
                (place.top / "doors").rmdir()  # what the agent leaves is looked for there
            heard.metered = await self._lane.end(name)
        return heard

    async def _start(
        self,
        setup: AgentSetup,
        argv: tuple[str, ...],
        variables: Mapping[str, str],
        home: Path,
        rights: Rights,
        doors: tuple[Door, ...],
    ) -> ContainedProcess:
        place = self._place
        sandbox = agent_sandbox(
            self._project,
            setup,
            Environment(key="none", description="none"),
            rights,
            worktree=place.worktree,
            git_folder=place.repository / ".git",
            home=home,
            protected=(),
            variables=variables,
            doors=doors,
        )
        plan = plan_launch(argv, sandbox, self._machine)
        return await launch(plan, stdin=PIPE, stdout=PIPE, stderr=PIPE)

    async def _changed(self) -> bool:
        return (self._place.worktree / conformance.GREETING_FILE).exists()

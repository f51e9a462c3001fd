"""A provider's usage limit holds whatever depends on that provider, at once: no project has to run into it
by itself, and each is told once. Kept in the store, so that a restart asks nobody anew.

A project whose fallback agent asks another provider goes on with that one.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import datetime, timedelta

from core.agents.roles import ROLE_OF, Role
from core.bus import Bus
from core.clock import Clock
from core.domain.event import Event, EventKind
from core.domain.lifecycles import Phase, WorkflowState
from core.gateway.contract import ProviderHold
from core.gateway.refusal import RefusalKind
from core.orchestrator.usage_limit import Dependent, UsagePolicy, next_try, pause_for_usage
from core.store import projects, usage
from core.store.database import Store, Transaction
from core.store.usage import Hold

log = logging.getLogger(__name__)

_IN_A_ROW = timedelta(hours=1)  # a hold that begins so soon after one has ended is the next in a row
_PHASES = list(Phase)
_TRIED_NOW = frozenset({EventKind.USAGE_RESET, EventKind.EPIC_ASKED, EventKind.PROJECT_STARTED})
_SAID = {
    RefusalKind.CREDIT.value: "has no credit left",
    RefusalKind.AUTH.value: "refuses its key",
}


class ProviderHolds:
    """`able`: agents that could work in a role of a project, the one asked for first, whoever is held;
    `provider_of`: whom an agent asks; `policy`: how the project goes on. They may raise nothing."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        *,
        able: Callable[[str, Role], tuple[str, ...]],
        provider_of: Callable[[str], str],
        policy: Callable[[str], UsagePolicy],
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._able = able
        self.provider_of = provider_of
        self._policy = policy
        self.wake = wake
        self.on_lifted: Callable[[tuple[str, ...]], Awaitable[None]] = _nobody
        self._holds: Mapping[str, Hold] = {}
        self._agents: dict[tuple[str, Role], tuple[str, ...]] = {}  # while something is held
        self._loading = asyncio.Lock()  # a reading that was begun earlier never comes over a later one

    async def load(self) -> None:
        async with self._loading:
            found = await self._store.read(usage.holds)
            self._holds = {one.provider: one for one in found}
            self._agents.clear()

    # -- asked -------------------------------------------------------------------------------

    def _in_force(self) -> Mapping[str, Hold]:
        if not self._holds:
            return self._holds
        now = self._clock.now()
        return {name: one for name, one in self._holds.items() if one.until > now}

    def sentence(self, provider: str) -> str:
        """Such as "anthropic is at its usage limit until 14:00 UTC"; empty when it takes work."""
        held = self._in_force().get(provider)
        return "" if held is None else f"{_name(provider)} {_said(held)}"

    def held_agent(self, agent: str) -> str:
        """Why the agent cannot reach its model now, in a sentence; empty when it can."""
        return self.sentence(self.provider_of(agent)) if self._holds else ""

    def why_not(self, project: str, role: Role) -> str:
        """Why no agent of the project can work in the role now, as "waits: ..."; empty when one can."""
        held = self._in_force()
        if not held or (agent := self._stopped(project, role, held)) is None:
            return ""
        said = self.sentence(self.provider_of(agent))
        return f"waits: {said}, and no other agent of {project} can work; next when that is over."

    def _stopped(self, project: str, role: Role, held: Iterable[str]) -> str | None:
        """The agent asked for, when neither it nor a fallback can reach its model; None when one can."""
        if (project, role) not in self._agents:
            self._agents[project, role] = self._able(project, role)
        able = self._agents[project, role]
        return able[0] if able and all(self.provider_of(agent) in held for agent in able) else None

    # -- told --------------------------------------------------------------------------------

    async def held(self, said: ProviderHold) -> None:
        """The gateway met it, for whichever run."""
        dependents = await self.dependents(said.provider)
        await self._store.write(
            lambda tx: self.meet(
                tx, said.provider, kind=said.kind.value, reason=said.reason, said=said.until, by=dependents
            )
        )
        await self.settle()

    async def met(self, agent: str, *, reason: str, said: datetime | None) -> None:
        """An agent met it itself, and says so."""
        provider = self.provider_of(agent)
        dependents = await self.dependents(provider)
        kind = RefusalKind.QUOTA.value
        await self._store.write(
            lambda tx: self.meet(tx, provider, kind=kind, reason=reason, said=said, by=dependents)
        )
        await self.settle()

    async def dependents(self, provider: str) -> tuple[Dependent, ...]:
        """The projects whose sprint cannot go on to its end once this provider is held."""
        self._agents.clear()
        held = {*self._in_force(), provider}
        at_work = await self._store.read(_roles_to_come)
        found = []
        for project, roles in at_work.items():
            agents = [agent for role in roles if (agent := self._stopped(project, role, held))]
            mine = [agent for agent in agents if self.provider_of(agent) == provider]
            if agents:
                found.append(
                    Dependent(project=project, agent=[*mine, *agents][0], policy=self._policy(project))
                )
        return tuple(found)

    def meet(
        self,
        tx: Transaction,
        provider: str,
        *,
        kind: str,
        reason: str,
        said: datetime | None,
        by: Iterable[Dependent],
    ) -> None:
        """Within a transaction: keeps the hold, and pauses who depends on it. `settle` follows it."""
        known = {one.provider: one for one in usage.holds(tx.conn)}.get(provider)
        tries = known.tries + 1 if known is not None and tx.now - known.until < _IN_A_ROW else 1
        if known is not None and known.until > tx.now:
            tries = known.tries  # the same one, met once more
            if known.kind in _SAID:  # what the gateway saw: an agent does not know a limit from a wrong key
                kind, reason, said = known.kind, known.reason, said or known.until
        until = next_try(tx.now, said, tries)
        usage.hold(tx, provider, kind=kind, reason=reason, until=until, tries=tries)
        others = f"All that depends on {_name(provider)} waits with it."
        reason = _to_people(provider, kind, reason)
        for one in by:
            pause_for_usage(
                tx,
                one.project,
                agent=one.agent,
                reason=reason,
                said=said,
                policy=one.policy,
                others=others,
            )

    async def settle(self) -> None:
        """After `meet`: what is held is known here, too."""
        await self.load()
        for one in self._in_force().values():
            log.info("%s %s: %s", one.provider, _said(one), one.reason)
        self.wake()

    async def listen(self, bus: Bus) -> None:
        """For ever: a person who lets something go on, or asks for it, wants its agents to be tried now."""
        with bus.subscribe() as events:
            async for event in events:
                if event.kind in _TRIED_NOW and event.actor != "orchard":
                    await self._lift(event)

    async def _lift(self, event: Event) -> None:
        project = event.project
        if project is None:
            return
        await self.load()  # what was met a moment ago may be kept, and not known here yet
        if not self._holds:
            return
        wanted = {self.provider_of(agent) for role in Role for agent in self._able(project, role)}
        lifted = sorted(wanted & self._holds.keys())
        if lifted:
            await self._store.write(lambda tx: usage.lift(tx, lifted))
            await self.load()
            await self.on_lifted(tuple(lifted))
            self.wake()


async def _nobody(providers: tuple[str, ...]) -> None:
    """Nobody else keeps back what asks these providers."""


def _roles_to_come(conn: sqlite3.Connection) -> Mapping[str, frozenset[Role]]:
    """By project with a sprint that runs, or that waits for a limit already: what its stories at work still
    need agents for."""
    found: dict[str, frozenset[Role]] = {}
    for project in projects.every(conn):
        waits = project.workflow is WorkflowState.SPRINT_PAUSED and usage.find(conn, project.name) is not None
        if project.workflow is not WorkflowState.SPRINT_ACTIVE and not waits:
            continue
        states = conn.execute(
            "SELECT DISTINCT cycles.state FROM cycles JOIN stories ON stories.id = cycles.story_id"
            " WHERE stories.project = ? AND stories.state = 'active'",
            (project.name,),
        )
        phases = [Phase(row["state"]) for row in states if row["state"] in set(Phase)]
        first = min((_PHASES.index(phase) for phase in phases), default=len(_PHASES))
        roles = frozenset(ROLE_OF[phase] for phase in _PHASES[first:] if phase in ROLE_OF)
        if roles:
            found[project.name] = roles
    return found


def _to_people(provider: str, kind: str, reason: str) -> str:
    """What the provider said, and what is to be done where waiting does not help."""
    said = f": {reason.rstrip('. ')}." if reason else "."
    if kind == RefusalKind.AUTH.value:
        return (
            f"{_name(provider)} refuses Orchard's key{said} Put a good one into .env and start Orchard anew."
        )
    if kind == RefusalKind.CREDIT.value:
        return f"{_name(provider)} has no credit left{said} Pay, or raise its limit with the provider."
    return reason


def _name(provider: str) -> str:
    return provider or "its provider"


def _said(one: Hold) -> str:
    return f"{_SAID.get(one.kind, 'is at its usage limit')} until {one.until:%Y-%m-%d %H:%M} UTC"

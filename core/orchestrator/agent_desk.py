"""Agents of this machine: which there are, fetching them, checking them. Needs no running Orchard."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from config.loader import Configuration
from core.agents.conformance import Conformance, OnOutcome
from core.agents.install import OnFetching, install_agent, uninstall_agent
from core.agents.installed import Installed, agents_folder
from core.agents.presets import check_preset, find_installed, resolve
from core.agents.roles import Role
from core.agents.rows import AgentRow, Rows, load_rows, row_named
from core.errors import InvalidInput
from core.gateway.addresses import providers_in_force
from core.isolation.container.probe import with_container
from core.isolation.machine import probe_machine
from core.isolation.plan import Level, Machine


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentView:
    """One row. `where`: "orchard" (installed by it), "path", or "" (not there). `model`: how it reaches its
    model now, "gateway", "directly" or "" (it has no key). `used_by`: projects; `fallback_of`: likewise."""

    name: str
    kind: str
    description: str
    where: str
    program: str
    versions: Mapping[str, str]
    tried: tuple[str, ...]
    provider: str
    model: str
    used_by: tuple[str, ...]
    fallback_of: tuple[str, ...]
    problem: str
    hint: str

    @property
    def version(self) -> str:
        return next((each for name, each in self.versions.items() if name not in ("node", "python")), "")


class AgentDesk:
    """`environ`: where keys come from, the process's environment over `.env`."""

    def __init__(self, configuration: Configuration, environ: Mapping[str, str]) -> None:
        self._configuration = configuration
        self._environ = environ
        self._folder = agents_folder(configuration.state_path)

    # Looking

    def views(self) -> tuple[AgentView, ...]:
        """Every row, by name. Reads a few small files."""
        rows = self._rows()
        used, fallbacks = self._users()
        return tuple(self._view(name, rows, used, fallbacks) for name in sorted(rows))

    def _view(
        self,
        name: str,
        rows: Rows,
        used: Mapping[str, tuple[str, ...]],
        fallbacks: Mapping[str, tuple[str, ...]],
    ) -> AgentView:
        row = rows[name]
        preset = check_preset(name, rows, environ=self._environ, installed=self._folder)
        own = find_installed(name, row, self._folder)
        ours = own is not None and preset.found
        keyed = row.has_key(self._environ)
        through = row.gateway is not None and self._gateway_asks(row.gateway.provider)
        return AgentView(
            name=name,
            kind=row.kind,
            description=row.description,
            where="orchard" if ours else "path" if preset.found else "",
            program=preset.program,
            versions=own.versions if own is not None and ours else {},
            tried=row.tried,
            provider=row.gateway.provider if row.gateway is not None else "",
            model="gateway" if through else "directly" if keyed else "",
            used_by=used.get(name, ()),
            fallback_of=fallbacks.get(name, ()),
            problem=preset.problem if not (through and preset.found) else "",
            hint=preset.hint if not (through and preset.found) else "",
        )

    def _users(self) -> tuple[dict[str, tuple[str, ...]], dict[str, tuple[str, ...]]]:
        settings = self._configuration.settings
        used: dict[str, tuple[str, ...]] = {}
        fallbacks: dict[str, tuple[str, ...]] = {}
        for name, project in settings.projects.items():
            asked: set[str] = set()
            agent = project.agent or settings.global_.default_agent
            asked.update(each for role in Role if (each := project.agents_by_role.get(role.value) or agent))
            for each in sorted(asked):
                used[each] = (*used.get(each, ()), name)
            for each in project.agent_fallbacks:
                fallbacks[each] = (*fallbacks.get(each, ()), name)
        return used, fallbacks

    def _gateway_asks(self, provider: str) -> bool:
        settings = self._configuration.settings.global_.model_gateway
        return any(each.name == provider for each in providers_in_force(settings, self._environ))

    def _rows(self) -> Rows:
        return load_rows(self._configuration.settings.agents)

    def _row(self, name: str) -> AgentRow:
        return row_named(name, self._rows())

    # Fetching

    async def install(
        self, name: str, *, version: str | None = None, on_progress: OnFetching = lambda _: None
    ) -> Installed:
        """Fetches an agent; see `core.agents.install.install_agent`."""
        row = self._row(name)
        self._folder.mkdir(parents=True, exist_ok=True)
        return await install_agent(
            row.family or name,
            row,
            self._folder,
            version=version,
            environ=self._environ,
            on_progress=on_progress,
        )

    async def uninstall(self, name: str) -> None:
        """Removes what was fetched; raises NotFound when nothing was."""
        row = self._row(name)
        await asyncio.to_thread(uninstall_agent, row.family or name, self._folder)

    # Checking

    async def check(
        self,
        name: str,
        *,
        direct: bool = False,
        upstream: str | None = None,
        model: str | None = None,
        isolation: str | None = None,
        turn_seconds: float = 300.0,
        keep: Path | None = None,
        quick: bool = False,
        on_outcome: OnOutcome = lambda _: None,
    ) -> Conformance:
        """A tiny story with the agent: see `core.agents.check`. By a model gateway made for it, unless it is
        to be `direct` or its row has none. `upstream`: a model server in place of the agent's provider.
        `model`: in place of the one in its row. `keep`: a folder for its transcripts.
        `quick`: its first turn only.

        Raises OrchardError when it cannot be tried: not installed, no key, no such isolation.
        """
        # Here, since only a check needs them: a turn's sandbox, and the protocol's library (0.8 s, 42 MB).
        from core.agents.check import check_agent
        from core.agents.check_turns import Subject
        from core.orchestrator.agent_lanes import lane_of

        rows, row = self._with_model(name, model), self._row(name)
        machine = await probe_machine()
        if isolation == Level.CONTAINER:
            machine = await with_container(machine)
        level = _level(isolation, machine)
        ready = self._reach(row, direct=direct, upstream=upstream)
        setup = resolve(name, rows, environ=self._environ, installed=self._folder, gateway=lambda _: ready)
        own = find_installed(name, row, self._folder)
        if not ready:
            self._need_key(name, row)
        subject = Subject(
            setup=setup, sessions=row.sessions, usage=row.usage, versions=own.versions if own else {}
        )
        lane = lane_of(self._configuration, self._environ, row, ready=ready, direct=direct, upstream=upstream)
        async with lane as by:
            return await check_agent(
                subject,
                machine=machine,
                lane=by,
                level=level,
                turn_seconds=turn_seconds,
                keep=keep,
                quick=quick,
                on_outcome=on_outcome,
            )

    def _need_key(self, name: str, row: AgentRow) -> None:
        if not row.has_key(self._environ):
            raise InvalidInput(
                f"{name} has no key: none of {', '.join(row.key_variables)} is set.",
                hint=f"Put {row.key_variables[0]} into Orchard's environment or .env, or name an --upstream.",
            )

    def _with_model(self, name: str, model: str | None) -> Rows:
        rows = self._rows()
        if model is None:
            return rows
        if "model" not in self._row(name).variables:
            raise InvalidInput(
                f"The row of {name} takes no model.", hint="Leave --model away: it chooses its own."
            )
        custom = dict(self._configuration.settings.agents)
        own = dict(custom.get(name) or {})
        custom[name] = {**own, "variables": {**(own.get("variables") or {}), "model": model}}
        return load_rows(custom)

    def _reach(self, row: AgentRow, *, direct: bool, upstream: str | None) -> bool:
        """Whether it is told another address than its provider's."""
        if row.gateway is None:
            if upstream is not None:
                raise InvalidInput(
                    "This agent cannot be pointed at another model server: its row has no gateway.",
                    hint="Leave --upstream away.",
                )
            return False
        return upstream is not None or (not direct and self._gateway_asks(row.gateway.provider))


def _level(isolation: str | None, machine: Machine) -> Level:
    if isolation is None:
        return machine.strongest
    try:
        level = Level(isolation)
    except ValueError:
        raise InvalidInput(
            f"{isolation!r} is no isolation.", hint=f"Choices: {', '.join(machine.levels)}."
        ) from None
    if level not in machine.levels:
        raise InvalidInput(f"This machine does not give isolation '{level}'.", hint="See 'orchard doctor'.")
    return level

"""What a project's sandboxes would be, for a reviewer to read, and a quick try of what they hold."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from config.settings import Settings
from core.agents.roles import Rights, Role
from core.agents.setup import AgentSetup
from core.errors import InvalidInput, NotFound, OrchardError, Unavailable
from core.isolation.attacks.catalogue import Finding, Outcome
from core.isolation.attacks.trial import attack_level, hidden_names
from core.isolation.egress.named_hosts import expand, loopback_doors
from core.isolation.egress.rules import parse_egress
from core.isolation.launch import run
from core.isolation.plan import (
    Door,
    Launch,
    Level,
    Machine,
    Mount,
    Sandbox,
    ordered_mounts,
    plan_launch,
)
from core.isolation.seccomp import REFUSALS
from core.orchestrator.setups import Setups
from core.worker.agentbox import agent_sandbox, loopback_ports, network_rules
from core.worker.contract import ProjectSetup
from core.worker.environment import Environment
from core.worker.ways_out import has_own_network, open_ways

_STORY = "STORY"
GATEWAY_DOOR = 65535  # stands for the model gateway's port, which is known when it runs
_TRY = Path(__file__).with_name("sandbox_try.py")
_SECONDS = 60.0
# Of the worktree, what the role may not write.
_FORBIDDEN = {
    Role.DESIGN: "new.txt",
    Role.QA: ".git",
    Role.CODE: ".orch-state/new",
    Role.DATA: ".orch-state/new",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxView:
    """`rules`: of the allow-list proxy; `doors`: what is reached inside."""

    project: str
    role: str
    level: Level
    argv: tuple[str, ...]
    mounts: tuple[Mount, ...]
    doors: tuple[Door, ...]
    rules: tuple[str, ...]
    limits: Mapping[str, int | float | None]
    variables: tuple[str, ...]  # names only
    network: str
    user: str  # whom it runs as
    refused_calls: int  # of the kernel, by the filter; 0: there is none


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """`held`: it did not get through. `expected`: the level promises so."""

    topic: str
    level: Level
    name: str
    held: bool
    expected: bool
    found: str


class Reviewer:
    """Of one configured project. Raises NotFound for another, Unavailable without its level."""

    def __init__(
        self,
        name: str,
        settings: Settings,
        *,
        state_path: Path,
        machine: Machine,
        environ: Mapping[str, str],
    ) -> None:
        if name not in settings.projects:
            known = ", ".join(settings.projects)
            hint = f"Known: {known}." if known else "There is none yet: orchard register NAME PATH."
            raise NotFound(f"There is no project {name}.", hint=hint)
        self._name = name
        self._settings = settings.projects[name]
        self._setups = Setups(lambda: settings, state_path=state_path, machine=machine, environ=environ)
        self._machine = machine
        self._setup = ProjectSetup(
            name=name,
            path=Path(self._settings.path),
            main_branch="main",
            state_path=state_path,
            isolation=self._setups.level(name),
            isolation_by_role=self._setups.levels_by_role(name),
            network_allow=expand(self._settings.network_allow),
            setup_network_allow=expand(self._settings.setup_network_allow),
            memory_mb=self._settings.resource_limits.max_memory_mb,
            container_image=self._settings.container_image or "",
        )

    def at(self, level: str) -> Reviewer:
        """As if every role had this level. Raises InvalidInput for none, Unavailable for one that the machine
        does not give."""
        try:
            wanted = Level(level)
        except ValueError:
            known = ", ".join(Level)
            raise InvalidInput(f"There is no isolation level {level!r}.", hint=f"Choices: {known}.") from None
        if wanted not in self._machine.levels:
            raise Unavailable(
                f"This machine does not give isolation level '{wanted}'.",
                why=self._machine.reasons.get(wanted, ""),
                hint="Run `orchard doctor`.",
            )
        other = copy(self)
        other._setup = replace(self._setup, isolation=wanted, isolation_by_role={})
        return other

    def show(self, role: str) -> SandboxView:
        """The plan of an agent in the role, as it is before the disk is asked which paths there are."""
        setup, state = self._setup, self._setup.state_path.resolve()
        worktree = state / "worktrees" / self._name / _STORY
        chosen, agent = _role(role), self._agent(_role(role))
        rules = network_rules(setup, agent, at_gateway=agent.gateway is not None)
        level = Level(setup.isolation_of(chosen))
        doors: tuple[Door, ...] = ()
        if has_own_network(level):
            ports = [*loopback_ports(agent, None), *loopback_doors(parse_egress(rules))]
            ports += [GATEWAY_DOOR] if agent.gateway is not None else []
            folder = state / "doors" / _STORY
            doors = (
                Door(socket=folder / "proxy", port=3128, proxy=True),
                *(Door(socket=folder / str(port), port=port) for port in dict.fromkeys(ports)),
            )
        box = self._box(chosen, agent, worktree, setup.path / ".git", state / "homes" / _STORY, doors)
        launch = plan_launch(agent.argv, box, self._machine)
        return SandboxView(
            project=self._name,
            role=chosen,
            level=level,
            argv=launch.argv,
            mounts=() if level is Level.PROCESS else ordered_mounts(box),
            doors=doors,
            rules=rules if has_own_network(level) else (),
            limits={
                "memory_mb": box.limits.memory_mb,
                "processes": box.limits.processes,
                "open_files": box.limits.open_files,
                "file_size_mb": box.limits.file_size_mb,
                "cpus": box.limits.cpus,
            },
            variables=tuple(sorted(launch.environment)),
            network=_network(level),
            user=_user(launch),
            refused_calls=len(REFUSALS) if launch.seccomp else 0,
        )

    def shown(self, role: str | None = None) -> tuple[SandboxView, ...]:
        """Of one role, or of all."""
        return tuple(self.show(each) for each in ([*Role] if role is None else [role]))

    async def test(self, role: str | None = None) -> tuple[Attempt, ...]:
        """The attack suite at each level that the project's agents have (or those of one role), and a try
        from inside of each role's own sandbox. Of what is made for it nothing is left.

        Raises InvalidInput for what is no role, Unavailable when it could not be tried.
        """
        roles = list(Role) if role is None else [_role(role)]
        found: list[Attempt] = []
        for level in dict.fromkeys(Level(self._setup.isolation_of(each)) for each in roles):
            with TemporaryDirectory(prefix="orchard-isolation-", dir=_roomy()) as folder:
                findings = await attack_level(self._machine, level, Path(folder).resolve())
            found += map(_of_finding, findings)
        for each in roles:
            found += await self._try_own(each)
        return tuple(found)

    async def _try_own(self, chosen: Role) -> tuple[Attempt, ...]:
        """From inside of the role's own sandbox, in a repository made for it."""
        level = Level(self._setup.isolation_of(chosen))
        with TemporaryDirectory(prefix="orchard-isolation-", dir=_roomy()) as folder:
            top = Path(folder).resolve()
            box, git = _make_place(top)
            secret = top / "secret.txt"
            beside = top / "beside.txt"
            secret.write_text("secret")
            with socket.create_server(("127.0.0.1", 0)) as other:
                agent = AgentSetup(name="try", kind="command", argv=(), read_only_paths=(_TRY,))
                async with open_ways(
                    level=level,
                    state_path=top,
                    key="try",
                    rules=self._setup.network_allow,
                    denied=lambda _: None,
                ) as ways:
                    planned = self._box(chosen, agent, box, git, top / "home", ways.doors)
                    proxy = next((door.port for door in ways.doors if door.proxy), 0)
                    told = {
                        "secret": str(secret),
                        "state": str(self._setup.state_path.resolve()),
                        "beside": str(beside),
                        "home": str(Path.home()),
                        "private": hidden_names(self._machine),
                        "git": str(git),
                        "port": other.getsockname()[1],
                        "proxy": proxy,
                        "forbidden": str(box / _FORBIDDEN[chosen]),
                    }
                    argv = [str(self._machine.python), "-I", "-S", str(_TRY), json.dumps(told)]
                    done = await run(plan_launch(argv, planned, self._machine), timeout_seconds=_SECONDS)
            came_out = beside.exists()
        try:
            found = json.loads(done.output.splitlines()[-1])
        except (IndexError, ValueError):
            said = done.output.decode(errors="replace").strip()[-2000:]
            raise Unavailable(
                "The trial did not come to its end.", why=said or f"It ended with code {done.exit_code}."
            ) from None
        return tuple(_judge(each, chosen, level, came_out=came_out) for each in found)

    def _agent(self, role: Role) -> AgentSetup:
        try:
            choice = self._setups.choice(self._name, role)
            return self._setups.agent_named(choice.name)
        except OrchardError:  # the sandbox is the same, but for the program
            return AgentSetup(name="AGENT", kind="acp", argv=("/usr/bin/AGENT",))

    def _box(
        self,
        role: Role,
        agent: AgentSetup,
        worktree: Path,
        git: Path,
        home: Path,
        doors: tuple[Door, ...],
    ) -> Sandbox:
        return agent_sandbox(
            self._setup,
            agent,
            Environment(key="none", description="none"),
            Rights(role=role, story_id=_STORY, is_test=lambda path: path.startswith("tests/")),
            worktree=worktree,
            git_folder=git,
            home=home,
            protected=(),
            variables=dict(agent.environment),
            doors=doors,
        )


def _role(text: str) -> Role:
    try:
        return Role(text)
    except ValueError:
        known = ", ".join(Role)
        raise InvalidInput(f"{text!r} is no role.", hint=f"Choices: {known}.") from None


def _user(launch: Launch) -> str:
    if launch.becoming is not None:
        return f"the project's own, {launch.becoming.uid}; what it writes is root's on the disk"
    if launch.level is Level.CONTAINER:
        return "who owns the worktree, without any capability"
    return "Orchard's" if launch.level is Level.PROCESS else "Orchard's, without any capability"


def _of_finding(finding: Finding) -> Attempt:
    expected = finding.attack.outcome(finding.level) is not Outcome.OPEN
    return Attempt(
        topic=finding.attack.topic,
        level=finding.level,
        name=finding.attack.what,
        held=not finding.succeeded,
        expected=expected,
        found=finding.said,
    )


def _network(level: Level) -> str:
    if has_own_network(level):
        return "Its own, empty but for the doors. Tests have none; set-up has its own allow-list."
    return "This machine's: everything that this machine reaches."


def _roomy() -> str | None:
    return "/var/tmp" if os.access("/var/tmp", os.W_OK | os.X_OK) else None  # noqa: S108 - made by tempfile


def _make_place(top: Path) -> tuple[Path, Path]:
    """A worktree, and the git folder of its repository."""
    repository, worktree = top / "repository", top / "worktree"
    (top / "home").mkdir()
    git = shutil.which("git") or "git"
    who = ("-c", "user.name=Orchard", "-c", "user.email=orchard@localhost")
    for words in (
        ("init", "-q", "-b", "main", str(repository)),
        ("-C", str(repository), *who, "commit", "-q", "--allow-empty", "-m", "first"),
        ("-C", str(repository), "worktree", "add", "-q", "-b", "try", str(worktree)),
    ):
        subprocess.run([git, *words], check=True, capture_output=True)
    spec = worktree / ".orch-state" / "stories"
    spec.mkdir(parents=True)
    return worktree, repository / ".git"


def _judge(each: Mapping[str, str], role: Role, level: Level, *, came_out: bool) -> Attempt:
    order = list(Level)
    expected = order.index(level) >= order.index(Level(each["from"]))
    held, found = each["held"] == "yes", each["found"]
    if found == "written" and each["name"] == "write beside the worktree" and not came_out:
        held, found = True, "it stayed inside"
    topic = f"An agent of role {role}"
    return Attempt(topic=topic, level=level, name=each["name"], held=held, expected=expected, found=found)

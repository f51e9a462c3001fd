"""What a project's sandboxes would be, for a reviewer to read, and a quick try of what they hold."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from config.settings import Settings
from core.agents.roles import ROLE_OF, Rights, Role
from core.agents.setup import AgentSetup
from core.errors import InvalidInput, NotFound, OrchardError, Unavailable
from core.isolation.egress import parse_egress
from core.isolation.launch import run
from core.isolation.named_hosts import expand, loopback_doors
from core.isolation.plan import Door, Level, Machine, Mount, Sandbox, ordered_mounts, plan_launch
from core.orchestrator.setups import Setups
from core.worker.agentbox import agent_sandbox, loopback_ports, network_rules
from core.worker.contract import ProjectSetup
from core.worker.environment import Environment
from core.worker.ways_out import has_own_network, open_ways

_STORY = "STORY"
_GATEWAY_DOOR = 65535  # stands for the model gateway's port, which is known when it runs
_TRY = Path(__file__).with_name("sandbox_try.py")
_SECONDS = 60.0


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """`held`: it did not get through. `expected`: the level promises so."""

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
            raise NotFound(f"There is no project {name}.", hint=f"Known: {', '.join(settings.projects)}.")
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
        )

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
            ports += [_GATEWAY_DOOR] if agent.gateway is not None else []
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
            },
            variables=tuple(sorted(launch.environment)),
            network=_network(level),
        )

    async def test(self, role: str) -> tuple[Attempt, ...]:
        """Tries from inside of such a sandbox, in a repository made for it. Nothing of it is left."""
        chosen = _role(role)
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
                        "private": self._private_names(),
                        "git": str(git),
                        "port": other.getsockname()[1],
                        "proxy": proxy,
                        "pid": os.getpid(),
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
        return tuple(_judge(each, level, came_out=came_out) for each in found)

    def _private_names(self) -> list[str]:
        """What of the user's home no sandbox is shown, not even as a folder on the way to something."""
        home = Path.home()
        shown = [mount.target for mount in self._machine.system]
        return [each.name for each in home.iterdir() if not any(path.is_relative_to(each) for path in shown)]

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
        known = ", ".join(dict.fromkeys(ROLE_OF.values()))
        raise InvalidInput(f"{text!r} is no role.", hint=f"Choices: {known}.") from None


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


def _judge(each: Mapping[str, str], level: Level, *, came_out: bool) -> Attempt:
    order = list(Level)
    expected = order.index(level) >= order.index(Level(each["from"]))
    held, found = each["held"] == "yes", each["found"]
    if found == "written" and each["name"] == "write beside the worktree" and not came_out:
        held, found = True, "it stayed inside"
    return Attempt(name=each["name"], held=held, expected=expected, found=found)

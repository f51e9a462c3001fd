"""`orchard doctor`: what Orchard needs here, what was found, and how to mend what is missing."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import socket
import stat
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from bot.cli.discordcheck import check_discord
from bot.cli.findings import Check, Report
from bot.cli.githubcheck import check_github
from bot.cli.session import open_session, running_pid
from bot.cli.sharecheck import check_shares
from config.loader import Configuration, load
from config.settings import Settings
from config.web_settings import WebSettings
from core.agents.installed import agents_folder
from core.agents.presets import check_preset, load_rows
from core.agents.templates import read_own
from core.doctor.own_user import becomes_own_user
from core.doctor.project import examine_project
from core.domain.project import Project
from core.errors import OrchardError
from core.folder import variables
from core.gateway.addresses import known_providers, providers_of
from core.isolation.limits import Enforcement, Means, Resource
from core.isolation.machine import probe_enforcement, probe_machine
from core.isolation.plan import Level, Machine

OLDEST_GIT = (2, 38)  # merge-tree --write-tree
FREE_DISK_GB = 2


async def examine(root: Path, project: str | None, environ: Mapping[str, str]) -> Report:
    """Looks at the machine, the configuration, the agents and, when named, one project. Changes nothing."""
    checks = [_python(), await _git()]
    machine = await probe_machine()
    checks += [_isolation(machine), _limits(await asyncio.to_thread(probe_enforcement))]
    try:
        configuration = load(root, environ=environ)
    except OrchardError as error:
        checks.append(_fault("configuration", error))
        return Report(checks=tuple(checks))
    checks += [*_configuration(configuration), _folder(configuration)]
    checks += await _own_user(machine, configuration)
    store, registered = await _store(configuration, root)
    checks += [*store, *_secrets(configuration), *await check_discord(configuration.settings)]
    checks += await check_github(configuration, root)
    checks += [
        _web(configuration.settings.global_.web),
        _providers(configuration),
        *_agents(configuration),
        *_prompts(configuration),
        *await check_shares(configuration),
    ]
    if project is not None:
        checks += await _project(configuration, machine, project.strip().lower(), registered)
    return Report(checks=tuple(checks))


def _fault(name: str, error: OrchardError) -> Check:
    """With every line of what is wrong: a configuration error lists its mistakes in `why`."""
    said = "\n".join(part for part in (error.message, error.why.strip("\n")) if part)
    return Check(name=name, state="missing", found=said, mend=error.hint)


def _python() -> Check:
    found = ".".join(map(str, sys.version_info[:3]))
    return Check(name="python", state="ok", found=f"{found} at {sys.executable}")


async def _git() -> Check:
    program = shutil.which("git")
    if program is None:
        return Check(name="git", state="missing", found="not found", mend="Install git 2.38 or newer.")
    process = await asyncio.create_subprocess_exec(program, "--version", stdout=asyncio.subprocess.PIPE)
    said = (await process.communicate())[0].decode(errors="replace").strip()
    match = re.search(r"(\d+)\.(\d+)", said)
    if match is None or (int(match[1]), int(match[2])) < OLDEST_GIT:
        return Check(
            name="git", state="missing", found=said or "no version", mend="Install git 2.38 or newer."
        )
    return Check(name="git", state="ok", found=said.removeprefix("git version "))


def _isolation(machine: Machine) -> Check:
    levels = ", ".join(machine.levels)
    if Level.FILESYSTEM in machine.levels:
        found = f"{levels} (bubblewrap at {machine.bubblewrap}); used: {machine.strongest}"
        if Level.NETWORK in machine.levels:
            return Check(name="isolation", state="ok", found=found)
        return Check(
            name="isolation",
            state="note",
            found=f"{found}. Agents reach whatever this machine reaches: {machine.reasons[Level.NETWORK]}",
            mend="Mend that, so that agents reach their models and the allow-list only.",
        )
    reason = machine.reasons.get(Level.FILESYSTEM, "")
    return Check(
        name="isolation",
        state="note",
        found=f"{levels} only: agents and tests see the whole file system. {reason}",
        mend="Install bubblewrap (Debian: apt-get install bubblewrap)."
        if machine.bubblewrap is None
        else "Mend that, so that agents see their own worktree only.",
    )


async def _own_user(machine: Machine, configuration: Configuration) -> list[Check]:
    """Where Orchard is root: by the file systems that sandboxes are made on."""
    state = configuration.state_path
    if not machine.own_user or not state.is_dir():
        return []
    named = [Path(one.path) for one in configuration.settings.projects.values()]
    folders = {folder.stat().st_dev: folder.resolve() for folder in (*named, state) if folder.is_dir()}
    try:
        root = [each for each in folders.values() if not await becomes_own_user(machine, state, each)]
    except (OSError, OrchardError) as error:
        return [Check(name="own user", state="note", found=f"could not be tried: {error}")]
    if root:
        places = ", ".join(map(str, root))
        found = (
            f"programs of the projects stay root by number: ids cannot be mapped at {places}. They have no "
            "capability and get device nodes of their own, but their limit of processes is not held."
        )
        mend = "Run Orchard as an ordinary user, or put these folders on a local file system (Linux 5.12+)."
        return [Check(name="own user", state="note", found=found, mend=mend)]
    return [Check(name="own user", state="ok", found="each project's programs run as a user of their own")]


def _limits(enforcement: Sequence[Enforcement]) -> Check:
    """By what projects are held to their shares of this machine."""
    weak = any(one.means is Means.WATCHDOG and one.resource is not Resource.DISK for one in enforcement)
    return Check(
        name="limits",
        state="note" if weak else "ok",
        found="; ".join(map(str, enforcement)) + ".",
        mend="Let Orchard write cgroups: start it as a systemd service with Delegate=yes, or by"
        " `systemd-run --user --scope -p Delegate=yes`."
        if weak
        else "",
    )


def _configuration(configuration: Configuration) -> list[Check]:
    count = len(configuration.settings.projects)
    here = Path(__file__).resolve().parents[2]
    files = [
        str(path) for path in configuration.sources if not path.resolve().is_relative_to(here / "config")
    ]
    later = sorted({key for keys in configuration.not_in_force.values() for key in keys})
    projects = f"{count} {'project' if count == 1 else 'projects'}"
    found = f"{projects}; {', '.join(files) or f'defaults only: there is no {configuration.config_file}'}"
    checks = [Check(name="configuration", state="ok", found=found)]
    if later:
        checks.append(
            Check(
                name="configuration",
                state="note",
                found=f"Read and checked, but not yet in force: {', '.join(later)}.",
            )
        )
    checks += [Check(name="configuration", state="note", found=note) for note in configuration.notes]
    checks += [_fault(name, error) for name, error in configuration.broken.items()]
    return checks


def _folder(configuration: Configuration) -> Check:
    """The state folder, or the one in which it would be made."""
    path = configuration.state_path
    there = next(place for place in (path, *path.parents) if os.path.lexists(place))
    if not there.is_dir():
        return Check(
            name="state folder",
            state="missing",
            found=f"{there} is not a folder",
            mend="Move it away, or set global.global_state_path.",
        )
    if not os.access(there, os.W_OK | os.X_OK):
        return Check(
            name="state folder",
            state="missing",
            found=f"{there} cannot be written by this user",
            mend="Mend its rights, or set global.global_state_path.",
        )
    free = shutil.disk_usage(there).free / 1e9
    new = "" if there == path else ", made at the first start"
    enough = free >= FREE_DISK_GB
    return Check(
        name="state folder",
        state="ok" if enough else "note",
        found=f"{path}{new}; {free:.0f} GB free",
        mend="" if enough else "Make room: worktrees and environments live there.",
    )


async def _store(configuration: Configuration, root: Path) -> tuple[list[Check], dict[str, Project]]:
    """Whether Orchard runs, what it holds, and what it could not take in."""
    try:
        async with open_session(root, looking=True) as session:
            view = await session.commands.system()
    except OrchardError as error:
        return [_fault("store", error)], {}
    pid = running_pid(configuration.state_path) if view.running else None
    runs = f"Orchard runs (pid {pid})" if pid else "Orchard does not run"
    count = len(view.projects)
    checks = [
        Check(
            name="store",
            state="ok",
            found=f"{runs}; {count} {'project' if count == 1 else 'projects'} registered",
        )
    ]
    if view.refused_settings:
        said = f"the changed settings are not in force: {' '.join(view.refused_settings.split())}"
        checks.append(Check(name="configuration", state="missing", found=said))
    checks += [
        Check(name=name, state="missing", found=" ".join(why.split()))
        for name, why in view.unusable.items()
        if name not in configuration.broken
    ]
    checks += [
        Check(name=each.project.name, state="missing", found=" ".join(each.problem.split()))
        for each in view.projects
        if each.problem and each.project.name not in configuration.broken
    ]
    return checks, {each.project.name: each.project for each in view.projects}


def _secrets(configuration: Configuration) -> list[Check]:
    path = configuration.root / ".env"
    try:
        mode = path.stat().st_mode
    except OSError:
        return []
    if not mode & (stat.S_IRWXG | stat.S_IRWXO):
        return [Check(name="secrets", state="ok", found=f"only you can read {path}")]
    return [
        Check(
            name="secrets",
            state="note",
            found=f"other users of this machine can read {path}",
            mend=f"chmod 600 {path}",
        )
    ]


def _web(settings: WebSettings) -> Check:
    """Whether its port can be had; a running Orchard has it already."""
    if not settings.enabled:
        return Check(name="web server", state="ok", found="switched off")
    place = f"{settings.host}:{settings.port}"
    try:
        places = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)
        family, kind, _, _, address = places[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        return Check(
            name="web server",
            state="note",
            found=f"{place} cannot be used now: {error.strerror}",
            mend="If that is not Orchard itself (orchard status), set another web.port or end what has it.",
        )
    return Check(name="web server", state="ok", found=f"{place} is free")


def _providers(configuration: Configuration) -> Check:
    """Which providers of models have a key for the gateway to add."""
    settings = configuration.settings.global_.model_gateway
    if not settings.enabled:
        return Check(
            name="model gateway", state="note", found="switched off: agents hold their keys themselves"
        )
    known = known_providers(settings)
    keyed = [each.name for each in providers_of(known, variables(configuration.root))]
    if keyed:
        rest = sorted(known.keys() - set(keyed))
        none = f"; none for {', '.join(rest)}" if rest else ""
        return Check(name="model gateway", state="ok", found=f"keys for {', '.join(keyed)}{none}")
    wanted = ", ".join(variable for each in known.values() for variable in each.key_variables)
    return Check(
        name="model gateway",
        state="note",
        found="no provider has a key: agents ask theirs directly, by their own login",
        mend=f"Put a key into Orchard's environment or .env: {wanted}.",
    )


def _agents(configuration: Configuration) -> list[Check]:
    """Each agent that is there or that a project wants. One that a project uses must be there."""
    settings = configuration.settings
    try:
        rows = load_rows(settings.agents)
    except OrchardError as error:
        return [_fault("agents", error)]
    users = _users(settings)
    fallbacks = {name for project in settings.projects.values() for name in project.agent_fallbacks}
    environ, installed = variables(configuration.root), agents_folder(configuration.state_path)
    checks = []
    absent = []  # of those that nobody asked for
    for name in sorted(rows):
        preset = check_preset(name, rows, environ=environ, installed=installed)
        if not preset.found and name not in users and name not in fallbacks:
            absent.append(name)
            continue
        usable = preset.found and not preset.problem
        found = f"{preset.program}. {preset.problem}" if preset.found and preset.problem else ""
        checks.append(
            Check(
                name=f"agent {name}",
                state="ok" if usable else "missing" if name in users else "note",
                found=found or (preset.program if preset.found else preset.problem),
                mend=preset.hint,
            )
        )
    if absent:
        checks.append(
            Check(
                name="other agents",
                state="note",
                found=f"not ready, and nobody uses them: {', '.join(absent)}",
                mend="orchard agents install NAME fetches one; orchard agents list says more of each.",
            )
        )
    if without := users.get(None):
        checks.append(
            Check(
                name="agents",
                state="missing",
                found=f"no agent is chosen for {', '.join(without)}",
                mend="Set 'global.default_agent', or the project's 'agent', in orch-config.yaml.",
            )
        )
    return checks


def _users(settings: Settings) -> dict[str | None, list[str]]:
    """Which projects use each agent, for whichever role; under None those that have none."""
    default = settings.global_.default_agent
    users: dict[str | None, list[str]] = {default: []}
    for name, project in settings.projects.items():
        for agent in (project.agent or default, *project.agents_by_role.values()):
            users.setdefault(agent, []).append(name)
    return users


def _prompts(configuration: Configuration) -> list[Check]:
    """Projects' own prompts that cannot be used; what is wrong is said before a turn meets it."""
    return [
        Check(
            name=f"{name}: prompts",
            state="missing",
            found="; ".join(problems),
            mend="Until then the prompts that come with Orchard are used in their place.",
        )
        for name, project in configuration.settings.projects.items()
        if project.prompts_path is not None and (problems := read_own(project.prompts_path).problems)
    ]


async def _project(
    configuration: Configuration, machine: Machine, name: str, registered: Mapping[str, Project]
) -> list[Check]:
    if name in configuration.broken:
        return []  # said with the configuration
    if name in configuration.unregistered:
        return [
            Check(
                name=name,
                state="missing",
                found="configured, but without a path",
                mend=f"orchard register {name} PATH",
            )
        ]
    if name not in configuration.settings.projects:
        known = ", ".join(configuration.settings.projects) or "none"
        if name in registered:
            return []  # the store's findings have it
        return [
            Check(
                name=name,
                state="missing",
                found="there is no such project",
                mend=f"Known: {known}. A new one: orchard register NAME PATH",
            )
        ]
    findings = await examine_project(
        name,
        configuration.settings,
        state_path=configuration.state_path,
        machine=machine,
        environ=variables(configuration.root),
        registered=registered,
    )
    return [
        Check(name=f"{name}: {each.topic}", state=each.state, found=each.found, mend=each.mend)
        for each in findings
    ]

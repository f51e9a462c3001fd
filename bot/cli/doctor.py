"""`orchard doctor`: what Orchard needs here, what was found, and how to mend what is missing."""

from __future__ import annotations

import asyncio
import re
import shutil
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from config.loader import Configuration, load
from core.agents.presets import check_preset, load_rows
from core.errors import OrchardError
from core.isolation.machine import probe_machine
from core.isolation.plan import Level, Machine
from core.projects.doctor import examine_project
from core.runtime import state_folder, variables

OLDEST_GIT = (2, 38)  # merge-tree --write-tree
FREE_DISK_GB = 2
WEB_PORT = 8765


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    name: str
    state: str  # "ok" | "note" (works, less well) | "missing" (must be mended)
    found: str
    mend: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    checks: tuple[Check, ...]

    @property
    def healthy(self) -> bool:
        return all(check.state != "missing" for check in self.checks)


async def examine(root: Path, project: str | None, environ: Mapping[str, str]) -> Report:
    """Looks at the machine, the configuration, the agents and, when named, one project."""
    checks = [_python(), await _git()]
    machine = await probe_machine()
    checks.append(_isolation(machine))
    try:
        configuration = load(root, environ=environ)
    except OrchardError as error:
        checks.append(Check(name="configuration", state="missing", found=str(error.message), mend=error.hint))
        return Report(checks=tuple(checks))
    checks += [_configuration(configuration), _folder(configuration), _discord(configuration), _port()]
    checks += _agents(configuration)
    if project is not None:
        checks += await _project(configuration, machine, project)
    return Report(checks=tuple(checks))


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
        return Check(name="git", state="missing", found=said, mend="Install git 2.38 or newer.")
    return Check(name="git", state="ok", found=said)


def _isolation(machine: Machine) -> Check:
    levels = ", ".join(machine.levels)
    if Level.FILESYSTEM in machine.levels:
        return Check(name="isolation", state="ok", found=f"{levels}; used: {machine.strongest}")
    reason = machine.reasons.get(Level.FILESYSTEM, "")
    return Check(
        name="isolation",
        state="note",
        found=f"{levels} only: agents and tests see the whole file system. {reason}",
        mend="Install bubblewrap (Debian: apt-get install bubblewrap).",
    )


def _configuration(configuration: Configuration) -> Check:
    count = len(configuration.settings.projects)
    files = ", ".join(str(path) for path in configuration.sources[1:]) or "defaults only"
    later = sorted({key for keys in configuration.not_in_force.values() for key in keys})
    mend = f"Read, but not yet in force: {', '.join(later)}." if later else ""
    return Check(name="configuration", state="ok", found=f"{count} projects; {files}", mend=mend)


def _folder(configuration: Configuration) -> Check:
    try:
        path = state_folder(configuration)
    except OrchardError as error:
        return Check(name="state folder", state="missing", found=str(error), mend=error.hint)
    free = shutil.disk_usage(path).free / 1e9
    state = "ok" if free >= FREE_DISK_GB else "note"
    mend = "" if state == "ok" else "Make room: worktrees and environments live there."
    return Check(name="state folder", state=state, found=f"{path}, {free:.0f} GB free", mend=mend)


def _discord(configuration: Configuration) -> Check:
    settings = configuration.settings
    if settings.discord_token is None:
        return Check(
            name="discord",
            state="note",
            found="no token: Orchard runs without Discord",
            mend="Put DISCORD_TOKEN into .env; the README says how to make a bot.",
        )
    server = settings.discord_api_url or "discord.com"
    guild = settings.global_.global_discord_guild or "the only one that the bot is in"
    return Check(name="discord", state="ok", found=f"token set, server {server}, guild {guild}")


def _port() -> Check:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", WEB_PORT))
        except OSError as error:
            return Check(
                name=f"port {WEB_PORT}",
                state="note",
                found=f"in use: {error.strerror}",
                mend="Nothing needs it yet; the web face will. Stop what holds it.",
            )
    return Check(name=f"port {WEB_PORT}", state="ok", found="free on 127.0.0.1, for the web face to come")


def _agents(configuration: Configuration) -> list[Check]:
    settings = configuration.settings
    try:
        rows = load_rows(settings.agents)
    except OrchardError as error:
        return [Check(name="agents", state="missing", found=error.message, mend=error.hint)]
    chosen = {project.agent or settings.global_.default_agent for project in settings.projects.values()}
    checks = []
    for name in sorted(rows):
        preset = check_preset(name, rows, environ=variables(configuration.root))
        state = "ok" if preset.found and not preset.problem else "missing" if name in chosen else "note"
        found = preset.program if preset.found else preset.problem
        if preset.found and preset.problem:
            found = f"{preset.program}. {preset.problem}"
        checks.append(Check(name=f"agent {name}", state=state, found=found, mend=preset.hint))
    if None in chosen:
        checks.append(
            Check(
                name="agents",
                state="missing",
                found="a project has no agent",
                mend="Set 'global.default_agent', or the project's 'agent', in orch-config.yaml.",
            )
        )
    return checks


async def _project(configuration: Configuration, machine: Machine, name: str) -> list[Check]:
    name = name.strip().lower()
    if name not in configuration.settings.projects:
        known = ", ".join(configuration.settings.projects) or "none"
        return [Check(name=name, state="missing", found="not configured", mend=f"Configured: {known}.")]
    findings = await examine_project(
        name,
        configuration.settings,
        state_path=configuration.state_path,
        machine=machine,
        environ=variables(configuration.root),
    )
    return [
        Check(name=f"{name}: {each.topic}", state=each.state, found=each.found, mend=each.mend)
        for each in findings
    ]

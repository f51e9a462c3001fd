"""One project under examination: what Orchard would work with here, why, and what keeps it from working.

Nothing is changed and nothing is built: what the project would need made is described.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from config.settings import ProjectSettings, Settings
from core.agents.installed import agents_folder
from core.agents.presets import check_preset, load_rows
from core.agents.templates import read_own
from core.clock import SystemClock
from core.doctor.finding import Finding, State, fault
from core.doctor.runner import examine_runner
from core.domain.lifecycles import ProjectStatus, WorkflowState
from core.domain.project import Project
from core.errors import OrchardError
from core.isolation.plan import Machine
from core.orchestrator.setups import Setups
from core.projects.registration import Checkout, inspect_checkout
from core.worker.checkouts import fresh_checkout
from core.worker.contract import ProjectSetup
from core.worker.environment import Environment, of_python
from core.worker.environments import Environments, Recipe, find_python
from core.worker.git import Repository
from core.worker.runners import detect
from core.worker.toolchains import with_toolchains

_HEAD_DIGITS = 10


async def examine_project(
    name: str,
    settings: Settings,
    *,
    state_path: Path,
    machine: Machine,
    environ: Mapping[str, str],
    registered: Mapping[str, Project] | None = None,
) -> tuple[Finding, ...]:
    """Findings on a configured project, each topic by itself, so one fault does not hide the next.

    `settings.projects` must hold `name`. `registered`: all registered projects, by name. `environ` is where
    agents' keys come from. Raises nothing for what is wrong with the project.
    """
    configured = settings.projects[name]
    known = (registered or {}).get(name)
    isolation = _isolation(name, settings, machine, state_path)
    findings = [isolation, _agent(name, settings, environ, state_path), *_prompts(configured.prompts_path)]
    try:
        checkout = await inspect_checkout(
            Path(configured.path) if known is None else known.path,
            registered={other: each.path for other, each in (registered or {}).items() if other != name},
            main_branch=configured.main_branch if known is None else known.main_branch,
            test_command=configured.test_command,
            state_path=state_path,
        )
        repository = await Repository.open(checkout.path)
    except OrchardError as error:
        return (fault("checkout", error), *findings)
    if isolation.state is State.MISSING:
        settings = _with_any_isolation(name, settings)  # it must not hide what there is to say of the tests
    setup = _setup(name, checkout, settings, machine, state_path)
    tests = await _tests(repository, checkout, setup, machine)
    return (*await _checkout(repository, checkout), *tests, *findings)


async def _checkout(repository: Repository, checkout: Checkout) -> list[Finding]:
    answer = await repository.git(
        "symbolic-ref", "--quiet", "--short", "HEAD", git_dir=repository.git_dir, ok=(0, 1)
    )
    current = os.fsdecode(answer.stdout).strip()
    main, head = checkout.main_branch, checkout.head[:_HEAD_DIGITS]
    clean = "" if checkout.dirty_files else ", clean"
    findings = [
        Finding(topic="checkout", state=State.OK, found=f"{checkout.path}, branch {main} at {head}{clean}")
    ]
    if current != main and not any(note.startswith("The checkout ") for note in checkout.notes):
        where = f"is on branch {current}" if current else "has a detached HEAD"
        findings.append(
            Finding(
                topic="checkout",
                state=State.NOTE,
                found=f"It {where}: stories are merged into {main}, and its files stay as they are.",
                mend=f"To see merged stories there: git -C {checkout.path} switch {main}",
            )
        )
    findings += [Finding(topic="checkout", state=State.NOTE, found=note) for note in checkout.notes]
    return findings


def _setup(
    name: str, checkout: Checkout, settings: Settings, machine: Machine, state_path: Path
) -> ProjectSetup:
    setups = Setups(lambda: settings, state_path=state_path, machine=machine, environ={})
    setups.learn(
        Project(
            name=name,
            path=checkout.path,
            main_branch=checkout.main_branch,
            status=ProjectStatus.INITIALIZING,
            workflow=WorkflowState.IDLE,
            registered_at=SystemClock().now(),
        )
    )
    return setups.project(name)


def _with_any_isolation(name: str, settings: Settings) -> Settings:
    project = settings.projects[name].model_copy(update={"isolation": None})
    return settings.model_copy(update={"projects": {**settings.projects, name: project}})


async def _tests(
    repository: Repository, checkout: Checkout, setup: ProjectSetup, machine: Machine
) -> list[Finding]:
    """What the tests would be run with."""
    try:
        environment, findings = await _environment(repository, checkout, setup, machine)
    except OrchardError as error:
        return [fault("environment", error)]
    try:
        with TemporaryDirectory(prefix="orchard-doctor-") as folder:
            async with fresh_checkout(repository, checkout.head, Path(folder)) as tree:
                if not (tree / setup.folder).is_dir():
                    return [*findings, _no_folder(setup, checkout)]
                runner = detect(tree / setup.folder, setup, environment or _stand_in(setup))
    except OrchardError as error:
        return [*findings, fault("tests", error)]
    used = environment or _stand_in(setup)
    findings += await examine_runner(runner, used, setup, machine, made=environment is not None)
    return findings


def _no_folder(setup: ProjectSetup, checkout: Checkout) -> Finding:
    return Finding(
        topic="tests",
        state=State.MISSING,
        found=f"Branch {checkout.main_branch} has no folder '{setup.folder}'.",
        mend="Correct the project's 'folder', or commit it.",
    )


def _stand_in(setup: ProjectSetup) -> Environment:
    """In place of an environment that is not made yet: one with an interpreter."""
    python, description = find_python()
    bare = of_python(python, root=setup.path, folder=setup.folder, description=description)
    return with_toolchains(bare, setup.path / setup.folder)


async def _environment(
    repository: Repository, checkout: Checkout, setup: ProjectSetup, machine: Machine
) -> tuple[Environment | None, list[Finding]]:
    """None: it would have to be made first. Raises EnvironmentFailed."""
    environments = Environments(repository, setup, machine)
    choice = await environments.choose(checkout.head)
    because = _BECAUSE[setup.environment]
    if isinstance(choice, Environment):
        inherited = choice.description.startswith("inherited")
        why = because if inherited or setup.environment == "none" else _NOTHING_TO_MAKE
        return choice, [Finding(topic="environment", state=State.OK, found=f"{choice.description}. {why}")]
    source = "setup_command" if setup.setup_command else ", ".join(entry.path for entry in choice.inputs)
    if environments.is_made(choice):
        made = await environments.find(checkout.head)
        found = f"made from {source} with `{choice.command}`"
        return made, [Finding(topic="environment", state=State.OK, found=found)]
    return None, [_to_be_made(choice, source)]


_BECAUSE = {
    "auto": "The checkout has one of its own.",
    "inherit": "The project asks for the checkout's own ('environment: inherit').",
    "make": "The project asks for one to be made ('environment: make').",
    "none": "The project asks for none ('environment: none').",
}
_NOTHING_TO_MAKE = (
    "The checkout has no .venv, venv or node_modules, and no setup_command or lock file says how to make one."
)


def _to_be_made(recipe: Recipe, source: str) -> Finding:
    absent = [program for program in recipe.programs if shutil.which(program) is None]
    found = f"not made yet; the first story makes it from {source} with `{recipe.command}`"
    if not absent:
        return Finding(topic="environment", state=State.OK, found=found)
    return Finding(
        topic="environment",
        state=State.MISSING,
        found=f"{found}, but {' and '.join(absent)} {'is' if len(absent) == 1 else 'are'} not installed",
        mend=f"Install {' and '.join(absent)}, set 'setup_command', or make a .venv in the checkout.",
    )


def _isolation(name: str, settings: Settings, machine: Machine, state_path: Path) -> Finding:
    setups = Setups(lambda: settings, state_path=state_path, machine=machine, environ={})
    try:
        level = setups.level(name)
    except OrchardError as error:
        return fault("isolation", error)
    if settings.projects[name].isolation is not None:
        return Finding(topic="isolation", state=State.OK, found=f"{level}, as the project asks")
    if level is machine.strongest:
        found = f"{level}, the strongest that this machine gives"
        return Finding(topic="isolation", state=State.OK, found=found)
    return Finding(
        topic="isolation",
        state=State.NOTE,
        found=f"{level}, since 'global.enable_project_isolation' is off; {machine.strongest} is possible",
        mend="Switch it on, or set 'isolation' for the project.",
    )


def _prompts(folder: Path | None) -> list[Finding]:
    """Nothing where the project has none of its own."""
    if folder is None:
        return []
    found = read_own(folder)
    topic, mend = "prompts", "Until then the prompts that come with Orchard are used in their place."
    if found.problems:
        return [Finding(topic=topic, state=State.MISSING, found="; ".join(found.problems), mend=mend)]
    told = ", ".join(f"{name} (version {one.version})" for name, one in found.templates.items())
    return [Finding(topic=topic, state=State.OK, found=f"its own in {folder}: {told}")]


def _agent(name: str, settings: Settings, environ: Mapping[str, str], state_path: Path) -> Finding:
    project: ProjectSettings = settings.projects[name]
    chosen = project.agent or settings.global_.default_agent
    if chosen is None:
        return Finding(
            topic="agent",
            state=State.MISSING,
            found="none is chosen: neither the project's 'agent' nor 'global.default_agent' is set",
            mend="Set one in orch-config.yaml; 'orchard doctor' lists the agents found here.",
        )
    because = "the project's 'agent'" if project.agent else "'global.default_agent'"
    try:
        preset = check_preset(
            chosen, load_rows(settings.agents), environ=environ, installed=agents_folder(state_path)
        )
    except OrchardError as error:
        return fault("agent", error)
    if preset.found and not preset.problem:
        return Finding(topic="agent", state=State.OK, found=f"{chosen} ({because}): {preset.program}")
    return Finding(
        topic="agent", state=State.MISSING, found=f"{chosen} ({because}): {preset.problem}", mend=preset.hint
    )

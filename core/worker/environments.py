"""Finds a project's environment, or makes it once.

    inherit   the registered checkout's own: .venv, venv, node_modules make      by the project's set-up
    command, or from its lock files; kept below <state_path>/environments/<project>/ by the hash of the lock
    files and the command, so a story that changes a lock file gets its own none      a python that has
    pytest auto      the first of these that there is something for

A made environment's folder counts only once its `ready.json` is there, which is written last: one that a
crash left half-built is built anew. Two that want the same one at the same time wait for one build.
"""

from __future__ import annotations

import asyncio
import fcntl
import functools
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from core.errors import Unavailable
from core.isolation.launch import ContainedProcess, run
from core.isolation.machine import program_folders
from core.isolation.plan import DEFAULT_PATH, Level, Limits, Machine, Sandbox, plan_launch
from core.removal import discard_tree, temporary_folder
from core.worker import toolchains
from core.worker.contract import ProjectSetup
from core.worker.environment import Environment, installed_in, of_python
from core.worker.git import Repository
from core.worker.gitobjects import Entry
from core.worker.network import NetworkWatch, TellNetwork
from core.worker.toolchains import with_toolchains
from core.worker.ways_out import jvm_variables, open_ways

OnStart = Callable[[ContainedProcess], Awaitable[None]]

_RECIPE = "1"  # rises when the way of making changes
_BUILD_SECONDS = 1800.0
_BUILD_OUTPUT_BYTES = 64 << 20
_TAIL_LINES = 30
_KEPT = 5  # made environments of a project; the least recently used go

_REQUIREMENTS = (
    "requirements.txt",
    "requirements-dev.txt",
    "requirements-test.txt",
    "requirements-tests.txt",
    "requirements_dev.txt",
    "requirements_test.txt",
    "dev-requirements.txt",
    "test-requirements.txt",
)
_PIP = ".venv/bin/python -m pip --disable-pip-version-check --no-input"
# Lock file -> (the program it needs, command)
_LOCKS = {
    "uv.lock": ("uv", "uv sync --frozen --no-install-project"),
    "poetry.lock": ("poetry", "POETRY_VIRTUALENVS_IN_PROJECT=true poetry install --no-root --no-interaction"),
    "pdm.lock": ("pdm", "pdm sync --no-self"),
}
_NODE_LOCKS = {
    "package-lock.json": ("npm", "npm ci --no-audit --no-fund"),
    "npm-shrinkwrap.json": ("npm", "npm ci --no-audit --no-fund"),
    "pnpm-lock.yaml": ("pnpm", "pnpm install --frozen-lockfile"),
    "yarn.lock": ("yarn", "yarn install --frozen-lockfile"),
}
_MANIFESTS = frozenset(
    {"pyproject.toml", "setup.py", "setup.cfg", "package.json", *_REQUIREMENTS, *_LOCKS, *_NODE_LOCKS}
)


class EnvironmentFailed(Unavailable):
    """A project's environment is missing or could not be made. `why` holds the end of the output."""

    slug = "environment_failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How to make an environment, and what it depends on."""

    command: str
    programs: tuple[str, ...]
    inputs: tuple[Entry, ...]
    key: str


class Environments:
    """The environments of one project."""

    def __init__(
        self,
        repository: Repository,
        setup: ProjectSetup,
        machine: Machine,
        *,
        on_start: OnStart | None = None,
        tell: TellNetwork | None = None,
    ) -> None:
        self._repository = repository
        self._setup = setup
        self._machine = machine
        self._on_start = on_start
        self._tell = tell
        self._folder = setup.state_path.resolve() / "environments" / setup.name

    async def find(self, tree: str) -> Environment:
        """The environment for a tree. Raises EnvironmentFailed with the end of the output and a next step."""
        choice = await self.choose(tree)
        if isinstance(choice, Recipe):
            made = await self._make(choice, tree)
            return with_toolchains(made, self._setup.path / self._setup.folder)
        return choice

    async def choose(self, tree: str) -> Environment | Recipe:
        """What `find` would give, or how it would make it; makes nothing. Raises EnvironmentFailed."""
        mode = self._setup.environment
        root, folder = self._setup.path, self._setup.folder
        if mode in ("auto", "inherit"):
            if found := installed_in(root, folder):
                found = with_toolchains(found, root / folder)
                return replace(found, description=f"inherited from {found.description}")
            if mode == "inherit":
                raise EnvironmentFailed(
                    f"{root} has no environment to inherit.",
                    why="There is no .venv, venv or node_modules in it.",
                    hint="Make one there, or set the project's `environment` to make or none.",
                )
        if mode in ("auto", "make"):
            recipe = await self._recipe(tree)
            if recipe is not None:
                return recipe
            if mode == "make":
                raise EnvironmentFailed(
                    f"Nothing says how to make the environment of {self._setup.name}.",
                    why="There is no setup_command, and no lock or requirements file.",
                    hint="Set the project's `setup_command`.",
                )
        python, description = find_python()
        bare = of_python(python, root=root, folder=folder, description=description)
        return with_toolchains(bare, root / folder)

    def is_made(self, recipe: Recipe) -> bool:
        return (self._folder / recipe.key / "ready.json").exists()

    # --- what to make

    async def _recipe(self, tree: str) -> Recipe | None:
        entries = await self._repository.entries(tree)
        folder = PurePosixPath(self._setup.folder)
        inputs = tuple(
            entry
            for entry in entries
            if PurePosixPath(entry.path).name in _MANIFESTS
            and PurePosixPath(entry.path).parent in (folder, PurePosixPath("."))
        )
        here = {
            PurePosixPath(entry.path).name: entry
            for entry in inputs
            if PurePosixPath(entry.path).parent == folder
        }
        if self._setup.setup_command:
            return _recipe(self._setup.setup_command, _programs_in(self._setup.setup_command), inputs)
        requirements = [name for name in _REQUIREMENTS if name in here]
        stated = await self._repository.read_files(tree, [here[name].path for name in requirements])
        if not any(_asks_for_something(content) for content in stated.values()):
            requirements = []
        return plan_recipe(here, requirements)

    # --- making

    async def _make(self, recipe: Recipe, tree: str) -> Environment:
        place = self._folder / recipe.key
        if not (place / "ready.json").exists():
            self._folder.mkdir(parents=True, exist_ok=True)
            async with _alone(self._folder / f"{recipe.key}.lock"):
                if not (place / "ready.json").exists():
                    await self._build(recipe, tree, place)
        os.utime(place / "ready.json")
        checkout = place / "checkout"
        if found := installed_in(checkout, self._setup.folder):
            return replace(found, key=recipe.key, description=f"made by `{recipe.command}`")
        python, description = find_python()
        made = of_python(python, root=checkout, folder=self._setup.folder, description=description)
        return replace(made, key=hashlib.sha256(f"{made.key}{recipe.key}".encode()).hexdigest())

    async def _build(self, recipe: Recipe, tree: str, place: Path) -> None:
        discard_tree(place)
        checkout = place / "checkout"
        cache = self._folder / ".cache"
        cache.mkdir(exist_ok=True)
        began = time.time()
        try:
            await self._repository.checkout(tree, checkout)
            await self._run(recipe, checkout, cache)
        except BaseException:
            discard_tree(place)
            raise
        facts = {"command": recipe.command, "tree": tree, "seconds": round(time.time() - began, 1)}
        fresh = place / "ready.json.new"
        fresh.write_text(json.dumps(facts))
        fresh.replace(place / "ready.json")
        self.prune()

    async def _run(self, recipe: Recipe, checkout: Path, cache: Path) -> None:
        python, _ = find_python()
        programs = [python, *(Path(found) for name in recipe.programs if (found := shutil.which(name)))]
        command = recipe.command.replace("{python}", str(python))
        java = toolchains.of_command(command)
        folders = (*(program.parent for program in programs), *java.path_dirs)
        level = Level(self._setup.isolation)
        watch = NetworkWatch(self._tell, what="setup")
        with temporary_folder("orchard-setup-") as home:
            sandbox = Sandbox(
                level=level,
                cwd=checkout / self._setup.folder,
                home=home.resolve(),
                writable=(checkout, cache),
                read_only=(*(path for each in programs for path in program_folders(each)), *java.read_only),
                environment={
                    "PATH": ":".join([*dict.fromkeys(map(str, folders)), DEFAULT_PATH]),
                    "LANG": "C.UTF-8",
                    "CI": "1",
                    "PIP_CACHE_DIR": str(cache / "pip"),
                    "UV_CACHE_DIR": str(cache / "uv"),
                    "npm_config_cache": str(cache / "npm"),
                },
                image=self._setup.container_image,
                network=True,
                limits=Limits(open_files=4096),
                project=self._setup.name,
            )
            async with open_ways(
                level=level,
                state_path=self._setup.state_path,
                key=f"{self._setup.name}/setup/{recipe.key}",
                rules=self._setup.setup_network_allow,
                denied=watch.denied,
            ) as ways:
                if java.path_dirs:
                    own = {**java.variables, **jvm_variables(ways.doors, home=sandbox.home, cache=cache)}
                    sandbox = replace(sandbox, environment={**sandbox.environment, **own})
                sandbox = replace(sandbox, doors=ways.doors)
                done = await run(
                    plan_launch(["/bin/sh", "-ec", command], sandbox, self._machine),
                    timeout_seconds=_BUILD_SECONDS,
                    output_limit_bytes=_BUILD_OUTPUT_BYTES,
                    on_start=self._on_start,
                )
            await watch.end(ways.traffic)
        if done.exit_code == 0:
            return
        if done.timed_out:
            what = f"did not end within {_BUILD_SECONDS:.0f} s"
        else:
            what = "printed too much" if done.flooded else f"ended with code {done.exit_code}"
        tail = "\n".join(done.output.decode(errors="replace").strip().splitlines()[-_TAIL_LINES:])
        raise EnvironmentFailed(
            f"The environment of {self._setup.name} could not be made: `{command}` {what}.",
            why=tail,
            hint=watch.hint or "Mend that, set another `setup_command`, or make a .venv in the checkout.",
        )

    # --- keeping

    def made(self) -> tuple[Path, ...]:
        """The folders of the made environments, the last used first."""
        ready = sorted(self._folder.glob("*/ready.json"), key=lambda path: path.stat().st_mtime, reverse=True)
        return tuple(path.parent for path in ready)

    def prune(self, keep: int = _KEPT) -> tuple[Path, ...]:
        """Remove all but the `keep` last used ones; the removed folders."""
        removed = self.made()[keep:]
        for place in removed:
            (place / "ready.json").unlink(missing_ok=True)  # first: what is half gone must not be used
            discard_tree(place)
        return removed


def depends_on(path: str) -> bool:
    """Whether a made environment may depend on the file at `path`."""
    return PurePosixPath(path).name in _MANIFESTS


def plan_recipe(here: dict[str, Entry], requirements: Iterable[str]) -> Recipe | None:
    """How to make an environment from the lock files of the project's folder, or None without one.

    `here` is what there is, by name; `requirements` are those of pip's files that ask for something.
    """
    steps: list[str] = []
    programs: list[str] = []
    inputs: list[Entry] = []
    for name, (program, command) in _LOCKS.items():
        if name in here:
            steps, programs, inputs = [command], [program], [here[name]]
            break
    else:
        if files := list(requirements):
            listed = " ".join(f"-r {name}" for name in files)
            steps = [
                "{python} -m venv .venv",
                f"{_PIP} install {listed}",
                f".venv/bin/python -c 'import pytest' 2>/dev/null || {_PIP} install pytest",
            ]
            inputs = [here[name] for name in files]
    for name, (program, command) in _NODE_LOCKS.items():
        if name in here:
            steps.append(command)
            programs += [program, "node"]
            inputs.append(here[name])
            break
    return (
        _recipe(" && ".join(f"({step})" for step in steps), tuple(programs), tuple(inputs)) if steps else None
    )


def _recipe(command: str, programs: tuple[str, ...], inputs: tuple[Entry, ...]) -> Recipe:
    facts = [_RECIPE, command, sys.version, [[entry.path, entry.oid] for entry in inputs]]
    key = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]
    return Recipe(command=command, programs=programs, inputs=inputs, key=key)


def _programs_in(command: str) -> tuple[str, ...]:
    """Programs of this machine that a shell command names: the sandbox must show them to it."""
    words = dict.fromkeys(re.findall(r"[A-Za-z][\w.+-]*", command))
    found = [word for word in words if shutil.which(word)]
    return tuple([*found, "node"] if {"npm", "npx", "pnpm", "yarn"} & words.keys() else found)


def _asks_for_something(content: bytes) -> bool:
    lines = (line.strip() for line in content.splitlines())
    return any(line and not line.startswith(b"#") for line in lines)


@functools.lru_cache(maxsize=1)
def find_python() -> tuple[Path, str]:
    """An interpreter that has pytest, and a word on which: the first on PATH, else Orchard's own."""
    for name in ("python3", "python"):
        if (found := shutil.which(name)) and (python := _with_pytest(found)) is not None:
            return python, f"{python} (it has pytest)"
    return Path(sys.executable), "Orchard's own interpreter"


def _with_pytest(command: str) -> Path | None:
    """The interpreter behind `command`, which may be a shim that no sandbox can run; None without pytest."""
    look = (
        "import importlib.util, sys\n"
        "sys.exit('no pytest') if importlib.util.find_spec('pytest') is None else print(sys.executable)"
    )
    try:
        done = subprocess.run([command, "-I", "-c", look], capture_output=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    python = Path(os.fsdecode(done.stdout.strip()))
    return python if done.returncode == 0 and python.is_absolute() and python.exists() else None


@asynccontextmanager
async def _alone(lock: Path) -> AsyncIterator[None]:
    """One holder over all tasks and processes; a holder that dies lets go."""
    with lock.open("ab") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                await asyncio.sleep(0.05)
        yield

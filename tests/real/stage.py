"""Two releases turned into what Orchard works on: repository, environment, script, configuration."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from core.worker.runners.pytest import PytestRunner
from tests.real.release import RealInputError, Tree, read_tree, write_tree
from tests.real.split import Split, replay_script, split_change, with_person
from tests.real.table import Pair

_EXTRAS = ("test", "tests", "testing")
_REQUIREMENTS = (
    "requirements-test.txt",
    "requirements-tests.txt",
    "test-requirements.txt",
    "requirements/tests.txt",
)
_IDENTITY = ("-c", "user.name=A person", "-c", "user.email=person@localhost", "-c", "commit.gpgsign=false")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    pair: Pair
    folder: Path  # holds orch-config.yaml
    checkout: Path
    split: Split
    base_commit: str
    later_tree: str  # git's hash of the later release
    notes: tuple[str, ...]


def set_stage(
    pair: Pair, old: Path, new: Path, folder: Path, say: Callable[[str], None], *, install: bool = True
) -> Stage:
    """Makes everything below `folder` from two unpacked releases. Raises RealInputError.

    Without `install` the tests run with whatever Python has pytest.
    """
    before, after = read_tree(old), read_tree(new)
    checkout = folder / "checkout"
    checkout.mkdir(parents=True)
    git(checkout, "init", "--quiet", "--initial-branch=main")
    git(checkout, "config", "core.autocrlf", "false")
    _commit(checkout, before, f"{pair.name} {pair.old}")
    runner = PytestRunner(None, python=Path(sys.executable), settings=PytestRunner.settings_of(new))
    later = folder / "later"
    later.mkdir()
    write_tree(after, later)
    fresh = [path for path in after if path not in before]
    ignored = _ignored(checkout, checkout, fresh) | _ignored(checkout, later, fresh)
    split = split_change(before, after, runner, ignored=ignored.__contains__)
    if not split.red:
        raise RealInputError(f"{pair.name}: no test differs between {pair.old} and {pair.new}.")
    if split.by_person:
        _commit(checkout, with_person(before, after, split), "What no agent may change")
    notes: tuple[str, ...] = ()
    if install:
        say("installing what its tests need")
        notes = make_environment(pair, old, new, checkout)
    (folder / "script.json").write_text(json.dumps(replay_script(split)))
    configuration = _configuration(pair, folder, checkout, "inherit" if install else "none")
    (folder / "orch-config.yaml").write_text(yaml.safe_dump(configuration))
    return Stage(
        pair=pair,
        folder=folder,
        checkout=checkout,
        split=split,
        base_commit=git(checkout, "rev-parse", "HEAD"),
        later_tree=_tree_of(checkout, later),
        notes=notes,
    )


def git(checkout: Path, *arguments: str, **variables: str) -> str:
    command = ["git", "-C", str(checkout), *_IDENTITY, *arguments]
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", **variables}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        raise RealInputError(f"git {arguments[0]} failed: {done.stderr.strip()}")
    return done.stdout.strip()


def _commit(checkout: Path, tree: Tree, message: str) -> None:
    """What .gitignore names is taken in too: a release may hold made files that its tests need."""
    write_tree(tree, checkout)
    git(checkout, "add", "--force", "--all")
    git(checkout, "commit", "--quiet", "--allow-empty", "--message", message)


def _tree_of(checkout: Path, folder: Path) -> str:
    index = {"GIT_INDEX_FILE": str(folder.parent / "later.index")}
    git(checkout, f"--work-tree={folder}", "add", "--force", "--all", **index)
    return git(checkout, "write-tree", **index)


def _ignored(checkout: Path, tree: Path, paths: Sequence[str]) -> frozenset[str]:
    """Those of `paths` that the rules in `tree` leave out: no agent's work takes them in."""
    place = [f"--git-dir={checkout / '.git'}", f"--work-tree={tree}"]
    done = subprocess.run(
        ["git", "-C", str(tree), *place, "check-ignore", "--no-index", "--stdin", "-z"],
        input="\0".join(paths).encode(),
        capture_output=True,
    )
    return frozenset(path for path in done.stdout.decode().split("\0") if path)


def _configuration(pair: Pair, folder: Path, checkout: Path, environment: str) -> dict[str, object]:
    name = project_name(pair)
    return {
        "global": {"default_agent": "replay", "scheduling_interval_seconds": 5},
        "agents": {"replay": {"variables": {"script": str(folder / "script.json")}}},
        "projects": {
            name: {
                "name": name,
                "path": str(checkout),
                "environment": environment,
                # The recorded session has one attempt: a second would play the same edits again.
                "ai_settings": {"max_auto_retry": 0},
                "resource_limits": {"max_memory_mb": 4096},
            }
        },
    }


def project_name(pair: Pair) -> str:
    return pair.name.lower().replace("_", "-").replace(".", "-")


def make_environment(pair: Pair, old: Path, new: Path, checkout: Path) -> tuple[str, ...]:
    """A virtual environment of the project's own in its checkout, with the old release installed for its
    metadata: Orchard puts the judged files before it. Returns what people should know.
    """
    with (checkout / ".git" / "info" / "exclude").open("a") as file:
        file.write("/.venv/\n")
    venv = checkout / ".venv"
    _run([sys.executable, "-m", "venv", str(venv)], "make an environment")
    pip = [str(venv / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "--quiet", "install"]
    notes = [f"environment: {', '.join(pair.needs) or 'pytest and what the release asks for'}"]
    _run([*pip, *(pair.needs or ("pytest",))], "install the requirements of its tests")
    for words in () if pair.needs else _own_requirements(new):
        try:
            _run([*pip, *words], "install")
        except RealInputError as error:
            notes.append(f"not installed: {' '.join(words)} ({str(error).splitlines()[-1]})")
    for release, options in ((new, ()), (old, ("--no-deps", "--force-reinstall"))):
        copy = checkout.parent / "install" / release.name  # building leaves its own files in the folder
        shutil.copytree(release, copy, symlinks=True)
        try:
            _run([*pip, *options, str(copy)], "install")
        except RealInputError as error:
            notes.append(f"{release.name} itself could not be installed ({str(error).splitlines()[-1]})")
    return tuple(notes)


def _own_requirements(new: Path) -> list[list[str]]:
    """pip's words for what the release itself says that its tests need."""
    found = [["-r", str(new / name)] for name in _REQUIREMENTS if (new / name).is_file()]
    try:
        document = tomllib.loads((new / "pyproject.toml").read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError):
        return found
    extras = document.get("project", {}).get("optional-dependencies", {})
    found += [[*extras[name]] for name in _EXTRAS if extras.get(name)]
    groups = document.get("dependency-groups", {})
    for name in _EXTRAS:
        if words := [word for word in groups.get(name, ()) if isinstance(word, str)]:
            found.append(words)
    return found


def _run(command: Sequence[str], what: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RealInputError(f"could not {what}: {done.stderr.strip()[-2000:]}")

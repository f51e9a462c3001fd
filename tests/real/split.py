"""PURE: a real change, taken apart into what a person must do first, red's edits and green's."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from core.agents.roles import Rights, Role
from core.worker.runners.contract import Runner
from tests.real.release import File, Tree

STORY = "any"  # rights depend on a story's id for its spec only, which no release holds


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """`by_person`: path to why no agent may change it. The others: path to its new file, None deletes."""

    by_person: Mapping[str, str]
    red: Mapping[str, File | None]
    green: Mapping[str, File | None]


def split_change(old: Tree, new: Tree, runner: Runner, *, ignored: Callable[[str], bool]) -> Split:
    """`runner` is the project's, `ignored` tells paths that git would not take in by itself."""
    configuration = _changed_configuration(old, new, runner)
    may_qa = Rights(role=Role.QA, story_id=STORY, is_test=runner.is_test_path).may_write
    may_code = Rights(role=Role.CODE, story_id=STORY, is_test=runner.is_test_path).may_write
    by_person: dict[str, str] = {}
    red: dict[str, File | None] = {}
    green: dict[str, File | None] = {}
    for path in sorted(old.keys() | new.keys()):
        before, after = old.get(path), new.get(path)
        if before == after:
            continue
        if reason := _why_person(path, before, after, ignored):
            by_person[path] = reason
        elif may_qa(path):
            red[path] = after
        elif path in configuration:
            by_person[path] = "configures the test runner"
        elif may_code(path):
            green[path] = after
        else:
            by_person[path] = "no role may write it (CI, or Orchard's own files)"
    return Split(by_person=by_person, red=red, green=green)


def _why_person(path: str, before: File | None, after: File | None, ignored: Callable[[str], bool]) -> str:
    if (before and before.link) or (after and after.link):
        return "is a symbolic link"
    if before is None and ignored(path):
        return "is new, and .gitignore leaves it out"
    return ""


def _changed_configuration(old: Tree, new: Tree, runner: Runner) -> set[str]:
    before, after = (
        runner.config_digests(
            list(tree), {path: file.content for path, file in tree.items() if runner.is_runner_config(path)}
        )
        for tree in (old, new)
    )
    return {path for path in {*before, *after} if before.get(path) != after.get(path)}


def with_person(old: Tree, new: Tree, split: Split) -> dict[str, File]:
    """The old release with what a person did first: the base of the story."""
    base = dict(old)
    for path in split.by_person:
        if path in new:
            base[path] = new[path]
        else:
            base.pop(path, None)
    return base


def replay_script(split: Split) -> dict[str, Any]:
    """What the replay agent plays: red's edits in test_red, green's in code_green, nothing in refactor."""
    return {
        "stories": {
            "*": {
                "design": [{"say": "The release notes are the design."}],
                "test_red": [{"say": "The later release's tests."}, {"files": _edits(split.red)}],
                "code_green": [{"say": "The later release's code."}, {"files": _edits(split.green)}],
                "refactor": [{"say": "Nothing to do: the release is as its authors left it."}],
            }
        }
    }


def _edits(changes: Mapping[str, File | None]) -> dict[str, Any]:
    """Deletions first: a folder may take the place of a file."""
    gone = {path: None for path, file in changes.items() if file is None}
    return {**gone, **{path: _content(file) for path, file in changes.items() if file is not None}}


def _content(file: File) -> dict[str, Any]:
    try:
        return {"text": file.content.decode(), "executable": file.executable}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(file.content).decode(), "executable": file.executable}

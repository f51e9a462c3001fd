"""Collects the facts for a gate and has them judged: the way from git trees to a verdict.

    evaluate_gate(...)   design -> judge_design, test_red -> judge_red, the others -> judge_green

Raises Unavailable when the base itself cannot be measured: no agent can mend that, people must.
"""

from __future__ import annotations

import dataclasses
import posixpath
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from core.domain.evidence import Evidence, RunState, SuiteRun, Verdict
from core.domain.lifecycles import Phase
from core.domain.risk import FileChange
from core.errors import Unavailable
from core.worker.gates import green, red
from core.worker.gates.design import judge_design
from core.worker.gates.green import GreenFacts, judge_green
from core.worker.gates.project import describe_project
from core.worker.gates.red import RedFacts, judge_red
from core.worker.gitobjects import SYMLINK, Change, Entry
from core.worker.runners.contract import Runner
from core.worker.suite import Suite

_RERUNS = 2  # of tests that passed at the base and fail now: one flip is enough to call them flaky


class Trees(Protocol):
    """What a gate reads of a repository; `core.worker.git.Repository` has it."""

    async def checkout(self, tree: str, folder: Path) -> None: ...

    async def tree_of(self, commit: str) -> str: ...

    async def entries(self, tree: str, *paths: str) -> tuple[Entry, ...]: ...

    async def read_file(self, tree: str, path: str) -> bytes | None: ...

    async def read_files(self, tree: str, paths: Sequence[str]) -> dict[str, bytes]: ...

    async def changes(self, old: str, new: str) -> tuple[Change, ...]: ...


async def evaluate_gate(
    suite: Suite,
    repository: Trees,
    *,
    phase: Phase,
    base_commit: str,
    candidate_tree: str,
    red_commit: str | None = None,
    red_evidence: Evidence | None = None,
    spec: str = "",
    story: str = "",
    criteria: Sequence[str] = (),
    spec_paths: Sequence[str] = (),
) -> Verdict:
    """The verdict on `candidate_tree`.

    `base_commit` is what the story stands on: for `commit` the main branch's tip, with `red_commit` the
    story's red as rebased onto it. `red_evidence` is that of the passed red gate; both are needed from
    `code_green` on. `spec` and `story` are the texts that people and the design agent wrote; `spec_paths` are
    where a spec may be committed.
    """
    if phase is Phase.DESIGN:
        changes = await file_changes(repository, suite.runner, base_commit, candidate_tree)
        return judge_design(spec=spec, changes=changes, allowed=spec_paths, criteria=criteria)
    if phase is Phase.TEST_RED:
        return await _red(suite, repository, base_commit, candidate_tree, f"{story}\n{spec}", spec_paths)
    if red_commit is None or red_evidence is None:
        raise ValueError(f"The gate of {phase} needs red's commit and evidence")
    return await _green(suite, repository, phase, base_commit, candidate_tree, red_commit, red_evidence)


async def file_changes(
    repository: Trees, runner: Runner, old: str, new: str, *, ignore: Sequence[str] = ()
) -> tuple[FileChange, ...]:
    """The files that differ between two commits or trees, each told to be a test or not.

    A symbolic link is a test only when what it points to is one: else red could link a test to code.
    """
    found = []
    for change in await repository.changes(old, new):
        if change.path in ignore:
            continue
        is_test = runner.is_test_path(change.path)
        if is_test and change.new_mode == SYMLINK:
            content = await repository.read_file(new, change.path) or b""
            target = posixpath.normpath(
                posixpath.join(posixpath.dirname(change.path), content.decode(errors="replace"))
            )
            is_test = not target.startswith(("/", "..")) and runner.is_test_path(f"{target}/x")
            is_test = is_test or (not target.startswith(("/", "..")) and runner.is_test_path(target))
        found.append(
            FileChange(
                path=change.path,
                added=change.added,
                removed=change.removed,
                deleted=change.status == "D",
                is_test=is_test,
            )
        )
    return tuple(found)


async def _red(
    suite: Suite, repository: Trees, base_commit: str, tree: str, story: str, spec_paths: Sequence[str]
) -> Verdict:
    changes = await file_changes(repository, suite.runner, base_commit, tree, ignore=spec_paths)
    if refusals := red.judge_changes(changes):
        evidence = Evidence(tree=tree, changed_files=tuple(change.path for change in changes))
        return Verdict(phase=Phase.TEST_RED, refusals=refusals, evidence=evidence)
    base = await _base(suite, repository, base_commit)
    first, second = await suite.run_twice(tree)
    project = await describe_project(suite, repository, tree, story)
    facts = RedFacts(
        changes=changes,
        base=base,
        first=first,
        second=second,
        project=project,
        folder=suite.bench.setup.folder,
    )
    usable = _usable(first) and _usable(second)
    for _ in range(_RERUNS):
        if not usable or not (files := red.suspects(facts)):
            break
        again = await suite.run_again(tree, select=_from_top(suite, files))
        facts = dataclasses.replace(facts, again=(*facts.again, again))
    return judge_red(facts)


async def _green(
    suite: Suite,
    repository: Trees,
    phase: Phase,
    base_commit: str,
    tree: str,
    red_commit: str,
    evidence: Evidence,
) -> Verdict:
    since_red = await file_changes(repository, suite.runner, red_commit, tree)
    config_changed = await _config_changed(suite, repository, red_commit, tree)
    if refusals := green.judge_changes(since_red, config_changed):
        kept = Evidence(tree=tree, changed_files=tuple(change.path for change in since_red))
        return Verdict(phase=phase, refusals=refusals, evidence=kept)
    base = await _base(suite, repository, base_commit)
    cached = suite.was_cached(tree)
    again: tuple[SuiteRun, ...] = ()
    if phase is Phase.CODE_GREEN and (own := _own_tests(suite, evidence)):
        # A red test that flips is easiest to see now: the phases after this one run it again anyway.
        now, *rest = await suite.run_twice(tree, second=own)
        again = tuple(rest)
    else:
        now = await suite.run(tree)
    facts = GreenFacts(
        phase=phase,
        red=evidence,
        since_red=since_red,
        config_changed=config_changed,
        base=base,
        now=now,
        is_test_path=suite.runner.is_test_path,
        again=again,
        cached=cached,
    )
    if _usable(now) and not now.exit_code_only:
        facts = await _settle(suite, repository, facts, base_commit, tree)
    return judge_green(facts)


async def _settle(
    suite: Suite, repository: Trees, facts: GreenFacts, base_commit: str, tree: str
) -> GreenFacts:
    """Further runs of what seems broken, here and then at the base: one flip tells a flaky test."""
    for _ in range(_RERUNS):
        if not (files := green.suspects(facts)):
            return facts
        again = await suite.run_again(tree, select=_from_top(suite, files))
        facts = dataclasses.replace(facts, again=(*facts.again, again))
    for _ in range(_RERUNS):
        if not (files := green.suspects(facts)):
            return facts
        base_tree = await repository.tree_of(base_commit)
        again = await suite.run_again(base_tree, select=_from_top(suite, files))
        facts = dataclasses.replace(facts, base_again=(*facts.base_again, again))
    return facts


def _own_tests(suite: Suite, evidence: Evidence) -> tuple[str, ...]:
    """The files in which red's tests are, from the repository's top."""
    return tuple(path for path in evidence.changed_files if suite.runner.is_test_path(path))


async def _base(suite: Suite, repository: Trees, commit: str) -> SuiteRun:
    """The base's run. Raises Unavailable when it cannot be used: not a story's fault."""
    run = await suite.run(await repository.tree_of(commit))
    if _usable(run):
        return run
    name = suite.bench.setup.name
    hints = {
        RunState.TIMED_OUT: "Mend what hangs, raise the test time-out, or set another `test_command`.",
        RunState.FLOODED: "Mend what prints without end, or set another `test_command`.",
        RunState.CRASHED: "Run the test command by hand in a fresh clone, and mend it or set `test_command`.",
        RunState.COMPLETED: "Take it out on the main branch, or set another `test_command`.",
    }
    why = " ".join(run.tampering) or f"{' '.join(run.command)}: {run.problem or run.state}."
    raise Unavailable(
        f"The tests of {name} give no usable result on the commit that stories start from.",
        why=why,
        hint=hints[run.state],
    )


def _usable(run: SuiteRun) -> bool:
    return run.state is RunState.COMPLETED and not run.tampering


async def _config_changed(suite: Suite, repository: Trees, red_commit: str, tree: str) -> tuple[str, ...]:
    before = await _config(suite, repository, red_commit)
    after = await _config(suite, repository, tree)
    return tuple(sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path)))


async def _config(suite: Suite, repository: Trees, tree: str) -> Mapping[str, str]:
    runner = suite.runner
    paths = [entry.path for entry in await repository.entries(tree)]
    files = await repository.read_files(tree, [path for path in paths if runner.is_runner_config(path)])
    return runner.config_digests(paths, files, folder=suite.bench.setup.folder)


def _from_top(suite: Suite, files: Sequence[str]) -> tuple[str, ...]:
    """Runs select by paths from the repository's top."""
    return tuple(posixpath.normpath(posixpath.join(suite.bench.setup.folder, file)) for file in files)

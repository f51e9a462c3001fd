"""Small real repositories, real pytest runs in the sandbox, judged by the real gates.

Runs are kept in one cache for the whole session, so a base or a red that many tests share is measured once.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from core.domain.evidence import Evidence, RefusalCode, SuiteRun, Verdict
from core.domain.lifecycles import Phase
from core.isolation.machine import Machine, probe_machine, program_folders
from core.worker.contract import ProjectSetup
from core.worker.environment import Environment
from core.worker.gates.evaluate import evaluate_gate
from core.worker.git import Repository
from core.worker.runners import detect
from core.worker.runs import RunCache
from core.worker.suite import Bench, Suite
from core.worker.toolchains import with_toolchains

Files = Mapping[str, str | None]  # None deletes

_QUICK = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # the installed plugins are for the tests that want them
_machine: list[Machine] = []
_reds: dict[str, Red] = {}  # those of the small project, judged once a session


@dataclass(frozen=True, slots=True, kw_only=True)
class Red:
    """A red that passed its gate."""

    base: str
    commit: str
    evidence: Evidence


class Lab:
    """One repository. Commits are made from files; gates are asked about them."""

    def __init__(self, folder: Path, state_path: Path, machine: Machine) -> None:
        self.folder = folder
        self.machine = machine
        self.setup = ProjectSetup(
            name="shop",
            path=folder,
            main_branch="main",
            state_path=state_path,
            isolation=machine.strongest.value,
            test_timeout_seconds=150,  # only a failing test waits for so long
        )
        self.python = Path(sys.executable)
        self.variables: dict[str, str] = dict(_QUICK)
        self.output_limit_bytes = 256 << 20

    def commit(self, files: Files, *, on: str | None = None) -> str:
        """A commit with these files changed from `on`. The same files give the same commit."""
        stream = [b"commit refs/heads/made\nmark :1\ncommitter t <t@t> 1700000000 +0000\ndata 0\n"]
        stream += [f"from {on}\n".encode()] if on else []
        for path, text in files.items():
            where = path.removesuffix(".symlink")
            if text is None:
                stream.append(f"D {where}\n".encode())
                continue
            content = dedent(text).lstrip("\n").encode()
            mode = "120000" if path.endswith(".symlink") else "100644"
            stream.append(f"M {mode} inline {where}\ndata {len(content)}\n".encode() + content + b"\n")
        done = subprocess.run(
            ["git", "fast-import", "--quiet", "--force", "--date-format=raw"],
            cwd=self.folder,
            input=b"".join([*stream, b"get-mark :1\n"]),
            capture_output=True,
            check=True,
        )
        return done.stdout.decode().strip()

    async def suite(self, commit: str) -> tuple[Suite, Repository]:
        repository = await Repository.open(self.folder)
        checkout = self.setup.state_path / "seen" / commit
        if not checkout.exists():
            await repository.checkout(commit, checkout)
        environment = Environment(
            key=f"test {self.python} {sorted(self.variables.items())}",
            description="the tests' own",
            python=self.python,
            variables=self.variables,
            read_only=(*program_folders(self.python), *program_folders(Path(sys.executable))),
        )
        bench = Bench(
            setup=self.setup,
            environment=environment,
            machine=self.machine,
            runner=detect(checkout / self.setup.folder, self.setup, environment),
            output_limit_bytes=self.output_limit_bytes,
        )
        return Suite(
            repository=repository, bench=bench, cache=RunCache(self.setup.state_path / "runs")
        ), repository

    async def judge(
        self, phase: Phase, base: str, candidate: str, red: Red | None = None, **rest: Any
    ) -> Verdict:
        suite, repository = await self.suite(base)
        return await evaluate_gate(
            suite,
            repository,
            phase=phase,
            base_commit=base,
            candidate_tree=await repository.tree_of(candidate),
            red_commit=red.commit if red else None,
            red_evidence=red.evidence if red else None,
            **rest,
        )

    async def judge_red(self, base: str, changes: Files, **rest: Any) -> Verdict:
        return await self.judge(Phase.TEST_RED, base, self.commit(changes, on=base), **rest)

    async def red(self, base: str, changes: Files, **rest: Any) -> Red:
        """A red that must pass."""
        commit = self.commit(changes, on=base)
        verdict = await self.judge(Phase.TEST_RED, base, commit, **rest)
        assert verdict.passed, verdict.explain()
        return Red(base=base, commit=commit, evidence=verdict.evidence)

    async def judge_green(self, red: Red, changes: Files, phase: Phase = Phase.CODE_GREEN) -> Verdict:
        return await self.judge(phase, red.base, self.commit(changes, on=red.commit), red)

    def configure(self, **changes: Any) -> None:
        self.setup = replace(self.setup, **changes)


@pytest.fixture(scope="session")
def gate_state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("gates").resolve()


@pytest.fixture
async def machine() -> Machine:
    if not _machine:
        _machine.append(await probe_machine())
    return _machine[0]


@pytest.fixture(scope="session")
def gate_repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all tests: they only add commits, and each knows its own by name."""
    folder = tmp_path_factory.mktemp("repository").resolve()
    subprocess.run(["git", "init", "-q", "-b", "main", str(folder)], check=True)
    return folder


@pytest.fixture
async def lab(gate_repository: Path, gate_state: Path, machine: Machine) -> Lab:
    return Lab(gate_repository, gate_state, machine)


class ToolchainLab(Lab):
    """With the compilers of this machine in place of a Python."""

    async def suite(self, commit: str) -> tuple[Suite, Repository]:
        repository = await Repository.open(self.folder)
        checkout = self.setup.state_path / "seen" / commit
        if not checkout.exists():
            await repository.checkout(commit, checkout)
        bare = Environment(key="toolchain", description="the tests' own")
        environment = with_toolchains(bare, checkout / self.setup.folder)
        runner = detect(checkout / self.setup.folder, self.setup, environment)
        bench = Bench(setup=self.setup, environment=environment, machine=self.machine, runner=runner)
        return Suite(
            repository=repository, bench=bench, cache=RunCache(self.setup.state_path / "runs")
        ), repository

    async def run(self, files: Files) -> SuiteRun:
        commit = self.commit(files)
        suite, repository = await self.suite(commit)
        return await suite.run(await repository.tree_of(commit))


@pytest.fixture
async def toolchain_lab(gate_repository: Path, gate_state: Path, machine: Machine) -> ToolchainLab:
    return ToolchainLab(gate_repository, gate_state, machine)


SHOP: dict[str, str | None] = {
    "shop/__init__.py": "",
    "shop/price.py": """
        def gross(net):
            return net * 2
        """,
    "tests/test_price.py": """
        from shop.price import gross

        def test_gross():
            assert gross(2) == 4

        def test_zero():
            assert gross(0) == 0
        """,
}

# The red that most tests of green start from: a new function, so its file cannot be collected at first.
RED: dict[str, str | None] = {
    "tests/test_discount.py": """
        from shop.price import discount

        def test_discount():
            assert discount(100, 10) == 90

        def test_no_discount():
            assert discount(100, 0) == 100
        """,
}

GREEN: dict[str, str | None] = {
    "shop/price.py": """
        def gross(net):
            return net * 2

        def discount(net, percent):
            return net * (100 - percent) / 100
        """,
}


@pytest.fixture
def shop(lab: Lab) -> str:
    """The base commit of the small project."""
    return lab.commit(SHOP)


@pytest.fixture
def red_files() -> dict[str, str | None]:
    return dict(RED)


@pytest.fixture
def green_files() -> dict[str, str | None]:
    return dict(GREEN)


@pytest.fixture
async def red(lab: Lab, shop: str) -> Red:
    if shop not in _reds:
        _reds[shop] = await lab.red(shop, RED)
    return _reds[shop]


@pytest.fixture
def codes() -> Any:
    def of(verdict: Verdict) -> set[RefusalCode]:
        return {refusal.code for refusal in verdict.refusals}

    return of


JS_TOOLS = Path(__file__).parents[2] / "tools" / "js" / "node_modules"


@pytest.fixture
def js_lab(lab: Lab) -> Lab:
    """The lab, with jest and vitest installed as a project's node_modules and without Python."""
    if shutil.which("node") is None:
        pytest.skip("needs node on this machine")
    if not (JS_TOOLS / ".orchard-installed").exists():
        pytest.skip("needs jest and vitest: make test-tools")
    environment = Environment(
        key="js",
        description="the tests' own",
        read_only=(JS_TOOLS,),
        modules=((JS_TOOLS, "node_modules"),),
    )

    async def suite(commit: str) -> tuple[Suite, Repository]:
        repository = await Repository.open(lab.folder)
        checkout = lab.setup.state_path / "seen" / commit
        if not checkout.exists():
            await repository.checkout(commit, checkout)
        runner = detect(checkout / lab.setup.folder, lab.setup, environment)
        bench = Bench(setup=lab.setup, environment=environment, machine=lab.machine, runner=runner)
        return Suite(
            repository=repository, bench=bench, cache=RunCache(lab.setup.state_path / "runs")
        ), repository

    lab.suite = suite  # type: ignore[method-assign]
    return lab

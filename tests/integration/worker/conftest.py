"""Real repositories, with everything in them that real repositories have."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from core.agents.presets import REPLAY
from core.agents.setup import AgentSetup
from core.domain.approval import PermissionAnswer
from core.domain.lifecycles import Phase
from core.domain.story import StoryBrief
from core.isolation.machine import Machine, probe_machine, program_folders
from core.isolation.plan import Level
from core.worker.contract import (
    CallsRefused,
    ChildProcess,
    NetworkDenied,
    NetworkUsed,
    PermissionQuestion,
    PhaseEnd,
    PhaseJob,
    PhaseReport,
    Progress,
    ProjectSetup,
    Salvage,
    Stalled,
    Touched,
)
from core.worker.git import Repository
from core.worker.phases import run_phase
from core.worker.workshop import Services
from core.worker.worktree import Worktrees

_PERSON = {
    "GIT_AUTHOR_NAME": "Person",
    "GIT_AUTHOR_EMAIL": "person@example.org",
    "GIT_COMMITTER_NAME": "Person",
    "GIT_COMMITTER_EMAIL": "person@example.org",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
}


@dataclass(frozen=True)
class Checkout:
    """A person's checkout, handled as a person would: with plain git."""

    path: Path

    def git(self, *arguments: str, at: Path | None = None) -> str:
        done = subprocess.run(
            ["git", *arguments],
            cwd=at or self.path,
            env={**os.environ, **_PERSON},
            capture_output=True,
            text=True,
            check=True,
            errors="surrogateescape",
        )
        return done.stdout.strip()

    def write(self, files: dict[str, str | bytes | None], *, at: Path | None = None) -> None:
        """Files by name; None removes one."""
        for name, content in files.items():
            path = (at or self.path) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if content is None:
                path.unlink()
            elif isinstance(content, bytes):
                path.write_bytes(content)
            else:
                path.write_text(content)

    def commit(self, files: dict[str, str | bytes | None], message: str = "change") -> str:
        self.write(files)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """An initialised repository without a commit."""
    path = tmp_path / "project"
    path.mkdir()
    made = Checkout(path)
    made.git("init", "-q", "-b", "main")
    return made


@pytest.fixture
def state_path(tmp_path: Path) -> Path:
    path = tmp_path / "state"
    path.mkdir()
    return path


@pytest.fixture
def odd_files() -> dict[str, str | bytes | None]:
    """What real trees hold: names, types and bytes that are not plain text files."""
    return {
        "plain.txt": "one\ntwo\n",
        "crlf.txt": b"one\r\ntwo\r\n",
        "image.bin": bytes(range(256)),
        "dir/inner.py": "x = 1\n",
        "with space\tand tab\nand line.txt": "odd\n",
        "\u00fcml\u00e4ut \U0001f333.txt": "tree\n",
        "-dash": "looks like an option\n",
        ":(top)magic": "looks like a pathspec\n",
        os.fsdecode(b"not-\xff-unicode"): "bytes\n",
        ".gitattributes": "hidden.txt export-ignore\n*.sub export-subst\n",
        "hidden.txt": "must not be dropped\n",
        "version.sub": "$Format:%H$\n",
        ".gitignore": "ignored/\n*.pyc\n",
    }


@pytest.fixture
def odd_checkout(checkout: Checkout, odd_files: dict[str, str | bytes | None]) -> Checkout:
    """`odd_files`, an executable and two symlinks, committed."""
    checkout.write({**odd_files, "run.sh": "#!/bin/sh\necho run\n"})
    (checkout.path / "run.sh").chmod(0o755)
    (checkout.path / "link").symlink_to("plain.txt")
    (checkout.path / "dangling").symlink_to("/nonexistent/place")
    checkout.commit({}, "first")
    return checkout


@pytest.fixture
async def repository(odd_checkout: Checkout) -> Repository:
    return await Repository.open(odd_checkout.path)


@pytest.fixture
def worktrees(repository: Repository, state_path: Path) -> Worktrees:
    return Worktrees(repository, project="shop", state_path=state_path)


@pytest.fixture
def tree_of_folder() -> Callable[[Path], dict[str, tuple[str, bytes]]]:
    """What a folder holds: kind and content by relative name, `.git` left out."""

    def look(folder: Path) -> dict[str, tuple[str, bytes]]:
        found = {}
        for path in folder.rglob("*"):
            name = str(path.relative_to(folder))
            if name == ".git" or name.startswith(".git/"):
                continue
            if path.is_symlink():
                found[name] = ("link", os.fsencode(path.readlink()))
            elif path.is_file():
                found[name] = ("run" if path.stat().st_mode & 0o100 else "file", path.read_bytes())
        return found

    return look


class Heard:
    """The control plane's side of a worker's talk: notes everything, answers questions with `answer`."""

    def __init__(self) -> None:
        self.steps: list[Progress] = []
        self.salvages: list[Salvage] = []
        self.started: list[ChildProcess] = []
        self.ended: list[int] = []
        self.questions: list[PermissionQuestion] = []
        self.files: list[Touched] = []
        self.silences: list[Stalled] = []
        self.denials: list[NetworkDenied] = []
        self.network: list[NetworkUsed] = []
        self.refused: list[CallsRefused] = []
        self.answer = PermissionAnswer(allowed=True)

    async def progress(self, progress: Progress) -> None:
        self.steps.append(progress)

    async def salvaged(self, salvage: Salvage) -> None:
        self.salvages.append(salvage)

    async def process_started(self, process: ChildProcess) -> None:
        self.started.append(process)

    async def process_ended(self, pid: int) -> None:
        self.ended.append(pid)

    async def touched(self, touched: Touched) -> None:
        self.files.append(touched)

    async def stalled(self, stalled: Stalled) -> None:
        self.silences.append(stalled)

    async def network_denied(self, denied: NetworkDenied) -> None:
        self.denials.append(denied)

    async def network_used(self, used: NetworkUsed) -> None:
        self.network.append(used)

    async def calls_refused(self, refused: CallsRefused) -> None:
        self.refused.append(refused)

    async def ask(self, question: PermissionQuestion) -> PermissionAnswer:
        self.questions.append(question)
        return self.answer


@pytest.fixture(scope="session")
def machine() -> Machine:
    return asyncio.run(probe_machine())


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def services(machine: Machine, heard: Heard) -> Services:
    return Services(machine=machine, tell=heard)


@pytest.fixture(params=["filesystem", "process"])
def level(request: pytest.FixtureRequest, machine: Machine) -> str:
    """Each isolation level that this machine gives."""
    if request.param not in machine.levels:
        pytest.skip(machine.reasons[Level(request.param)])
    return str(request.param)


# Runs each test file as a script, in a tenth of the time that pytest takes: these tests are about what is
# around a test run. Those with the real runner set `test_command` to None.
_QUICK_RUNNER = """
code=0
{
  echo '<testsuite>'
  for file in tests/test_*.py; do
    if python3 -S "$file"; then
      echo "<testcase classname='tests' name='$file'/>"
    else
      code=1
      echo "<testcase classname='tests' name='$file'><failure message='AssertionError: no'/></testcase>"
    fi
  done
  echo '</testsuite>'
} > "$1"
exit $code
"""


@pytest.fixture
def calculator(checkout: Checkout) -> Checkout:
    """A small Python project with one passing test, committed on main."""
    checkout.commit(
        {
            "run-tests.sh": _QUICK_RUNNER,
            "calc.py": "def add(a, b):\n    return a + b\n",
            "tests/test_calc.py": "from calc import add\n\n\ndef test_add():\n    assert add(1, 2) == 3\n",
            "pyproject.toml": '[project]\nname = "calc"\nversion = "1"\n',
            ".gitignore": "__pycache__/\n.pytest_cache/\n",
        },
        "first",
    )
    return checkout


@pytest.fixture
def setup(checkout: Checkout, state_path: Path, machine: Machine) -> ProjectSetup:
    return ProjectSetup(
        name="shop",
        path=checkout.path,
        main_branch="main",
        state_path=state_path,
        environment="none",
        test_command="sh run-tests.sh {junit}",
        isolation=machine.strongest.value,
        test_timeout_seconds=300.0,  # neither ends by itself what a test waits for on a busy machine
        turn_timeout_seconds=300.0,
    )


@pytest.fixture
def play(tmp_path: Path) -> Callable[..., AgentSetup]:
    """A replay agent that plays these steps by phase; a list of lists is one list an attempt."""

    def make(**phases: object) -> AgentSetup:
        script = tmp_path / f"script-{len(list(tmp_path.iterdir()))}.yaml"
        text = json.dumps({"stories": {"*": phases}})
        script.write_text(text)
        return AgentSetup(
            name="replay",
            kind="acp",
            argv=(sys.executable, "-I", str(REPLAY), "--script", str(script)),
            read_only_paths=(script, REPLAY, *program_folders(Path(sys.executable))),
            # One that hears is waited for, however busy the machine: its turn fails when it does not stop.
            stop_seconds=(0.3, 0.3, 0.3) if '"hang"' in text else (30.0, 30.0, 30.0),
        )

    return make


STORY = StoryBrief(
    id="shop-1",
    title="Multiply numbers",
    body="The calculator multiplies.",
    acceptance_criteria=("mul(2, 3) is 6",),
)


@pytest.fixture
def story() -> StoryBrief:
    return STORY


@pytest.fixture
def job_of(setup: ProjectSetup, story: StoryBrief) -> Callable[..., PhaseJob]:
    """A phase job with plain defaults."""

    def make(agent: AgentSetup, phase: Phase = Phase.TEST_RED, **changes: object) -> PhaseJob:
        job = PhaseJob(
            project=setup,
            agent=agent,
            story=story,
            phase=phase,
            attempt=1,
            generation=1,
            base_commit=None,
            red_commit=None,
            head_commit=None,
            red_evidence=None,
        )
        return replace(job, **changes)  # type: ignore[arg-type]

    return make


@pytest.fixture
def red() -> list[object]:
    """Steps that write an honest failing test."""
    test = "from calc import mul\n\n\ndef test_mul():\n    assert mul(2, 3) == 6\n"
    return [{"write": {"path": "tests/test_mul.py", "text": test}}, {"say": "A failing test."}]


@pytest.fixture
def green() -> list[object]:
    """Steps that write the code for it."""
    return [
        {"append": {"path": "calc.py", "text": "\n\ndef mul(a, b):\n    return a * b\n"}},
        {"say": "Done."},
    ]


class SamePlace:
    """A folder that each test of a module finds at the same path, as it was kept: many paths are written into
    a repository with worktrees, so that it cannot be used elsewhere."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "here"
        self.kept_with: PhaseReport | None = None
        self._kept = folder / "kept"

    def clear(self) -> Path:
        shutil.rmtree(self.path, ignore_errors=True)
        self.path.mkdir()
        return self.path

    def keep(self, report: PhaseReport) -> None:
        shutil.copytree(self.path, self._kept, symlinks=True)
        self.kept_with = report

    def restore(self) -> None:
        shutil.rmtree(self.path)
        shutil.copytree(self._kept, self.path, symlinks=True)


@pytest.fixture(scope="module")
def same_place(tmp_path_factory: pytest.TempPathFactory) -> SamePlace:
    return SamePlace(tmp_path_factory.mktemp("same"))


@pytest.fixture
async def red_passed(
    same_place: SamePlace,
    calculator: Checkout,
    job_of: Callable[..., PhaseJob],
    play: Callable[..., AgentSetup],
    services: Services,
    heard: Heard,
    red: list[object],
) -> PhaseReport:
    """Of a story whose red has passed, once for all tests of a module: its `tmp_path` is the same place."""
    if same_place.kept_with is None:
        first = await run_phase(job_of(play(test_red=red)), services, asyncio.Event())
        assert first.end is PhaseEnd.PASSED, first
        same_place.keep(first)
        heard.__init__()  # type: ignore[misc]
    same_place.restore()
    assert same_place.kept_with is not None
    return same_place.kept_with


@pytest.fixture
def lives() -> Callable[[int], bool]:
    """Whether a process does anything any more: one that only waits to be read about does not."""

    def look(pid: int) -> bool:
        try:
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
        except OSError:
            return False

    return look

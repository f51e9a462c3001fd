"""Orchard as a process of its own, over small git projects, to be killed and started again."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import pytest
import yaml

from core.orchestrator.commands import Commands
from core.orchestrator.control import connect, socket_path
from tests.integration.nursery import Forked
from tests.integration.quick import QUICK_COMMAND, QUICK_FILES
from tests.waiting import wait_until

T = TypeVar("T")
CONTROL_PLANE = Path(__file__).with_name("control_plane.py")
SECONDS = 240.0  # for anything to happen: two busy cores are slow

FILES = {
    "calc.py": "def add(a, b):\n    return a + b\n",
    "tests/test_add.py": "from calc import add\n\n\ndef test_adds():\n    assert add(1, 2) == 3\n",
}
RED = {
    "write": {
        "path": "tests/test_double.py",
        "text": "from double import double\n\n\ndef test_double():\n    assert double(4) == 8\n",
    }
}
GREEN = {"write": {"path": "double.py", "text": "def double(number):\n    return number * 2\n"}}


def honest() -> dict[str, list[Any]]:
    """What an honest agent does for any of the stories here."""
    spec = "# Double\n\n## Acceptance criteria\n\n- doubles a number\n"
    return {
        "design": [{"write": {"path": ".orch-state/stories/design-1.md", "text": spec}}],
        "test_red": [RED],
        "code_green": [GREEN],
        "refactor": [{"say": "Nothing to say better."}],
    }


def git(folder: Path, *arguments: str) -> str:
    result = subprocess.run(["git", "-C", folder, *arguments], check=True, capture_output=True, text=True)
    return result.stdout.strip()


@dataclass
class Orchard:
    """One state folder and what lives in it. `process` is the control plane that runs now."""

    root: Path
    projects: dict[str, Path] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    own_settings: dict[str, dict[str, Any]] = field(default_factory=dict)  # of one project, over those
    global_settings: dict[str, Any] = field(default_factory=dict)
    agent_row: dict[str, Any] = field(default_factory=dict)  # more keys of the replay agent's row
    times: dict[str, float] = field(default_factory=dict)
    process: subprocess.Popen[str] | None = None

    @property
    def state(self) -> Path:
        return self.root / ".orch-global"

    def add(self, name: str, files: Mapping[str, str] = FILES) -> Path:
        """Its tests are run by a script."""
        folder = self.projects[name] = self.root / name
        for path, text in {**QUICK_FILES, **files}.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
        git(folder, "init", "-q", "-b", "main")
        git(folder, "config", "user.name", "Dev")
        git(folder, "config", "user.email", "dev@example.org")
        git(folder, "add", "-A")
        git(folder, "commit", "-q", "-m", "First commit")
        return folder

    def play(self, stories: Mapping[str, Any]) -> None:
        """The agents' script from now on: an agent that runs has read the one before."""
        fresh = self.root / "replay.fresh"
        fresh.write_text(yaml.safe_dump({"stories": dict(stories)}))
        fresh.replace(self.root / "replay.yaml")

    def configure(self) -> None:
        configuration = {
            "global": {
                "default_agent": "replay",
                "scheduling_interval_seconds": 1,
                "max_total_agents": 50,
                "max_concurrent_projects": 50,
                "max_load_per_core": None,
                "global_state_path": str(self.state),
                **self.global_settings,
            },
            "agents": {"replay": {"variables": {"script": str(self.root / "replay.yaml")}, **self.agent_row}},
            "projects": {
                name: {
                    "name": name,
                    "path": str(path),
                    "resource_limits": {"agent_memory_mb": 128, "agent_cpu_cores": 0.01},
                    "test_command": QUICK_COMMAND,
                    **self.settings,
                    **self.own_settings.get(name, {}),
                }
                for name, path in self.projects.items()
            },
        }
        (self.root / "orch-config.yaml").write_text(yaml.safe_dump(configuration))

    # --- the control plane

    def spawn(self) -> subprocess.Popen[str]:
        """Starts it and does not wait."""
        self.configure()
        with (self.root / "control-plane.log").open("a") as log:
            self.process = Forked(
                [sys.executable, "-P", str(CONTROL_PLANE), str(self.root), json.dumps(self.times)],
                ("core.runtime", "config.loader"),
                stdout=subprocess.PIPE,
                stderr=log,
                env={
                    "PYTHONPATH": str(CONTROL_PLANE.parents[2]),
                    "PATH": os.environ["PATH"],
                    "HOME": "/root",
                },
                text=True,
            )
        return self.process

    def start(self) -> None:
        process = self.spawn()
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n", (self.root / "control-plane.log").read_text()[-3000:]

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.end()

    def terminate(self) -> None:
        """TERM. It must end well, and not when a turn does: those here hang for good."""
        assert self.process is not None
        self.process.terminate()
        assert self.process.wait(SECONDS) == 0, (self.root / "control-plane.log").read_text()[-3000:]
        self.end()

    def end(self) -> None:
        assert self.process is not None
        self.process.wait(SECONDS)
        assert self.process.stdout is not None
        self.process.stdout.close()

    def ask(self, work: Callable[[Commands], Awaitable[T]]) -> T:
        """Through the control socket, as the command line does."""

        async def asked() -> T:
            async with connect(socket_path(self.state)) as commands:
                return await work(commands)

        return asyncio.run(asked())

    def sprint(self, *projects: str, criteria: Mapping[str, tuple[str, ...]] | None = None) -> None:
        """A sprint of one story, of the project's own name, in each project."""

        async def begin(commands: Commands) -> None:
            for project in projects:
                wanted = (criteria or {}).get(project, ("it doubles",))
                await commands.add_story(project, project, acceptance_criteria=wanted, actor="cli")
                await commands.plan_sprint(project, actor="cli")
                await commands.start_sprint(project, actor="cli")

        self.ask(begin)

    # --- looking

    def rows(self, query: str, *parameters: object) -> list[sqlite3.Row]:
        """Of the store, from outside."""
        with sqlite3.connect(f"file:{self.state / 'orchard.db'}?mode=ro", uri=True, timeout=30) as connection:
            connection.row_factory = sqlite3.Row
            rows = connection.execute(query, parameters).fetchall()
        connection.close()
        return rows

    def events(self, kind: str, story: str | None = None) -> list[dict[str, Any]]:
        """The data of the events of a kind."""
        rows = self.rows("SELECT story_id, data FROM events WHERE kind = ? ORDER BY seq", kind)
        return [json.loads(row["data"]) for row in rows if story in (None, row["story_id"])]

    def wait_for_event(self, kind: str, story: str | None = None) -> dict[str, Any]:
        def found() -> list[dict[str, Any]]:
            if story is not None and kind != "story_blocked":
                assert not (blocked := self.events("story_blocked", story)), blocked
            return self.events(kind, story)

        return self.wait_until(found, f"{kind} of {story}")[-1]

    def wait_until(self, condition: Callable[[], T], what: str) -> T:
        """What the condition gives once it is true."""
        try:
            return wait_until(condition, what, SECONDS)
        except AssertionError as error:
            rows = self.rows(
                "SELECT at, story_id, kind, substr(data, 1, 200) AS data FROM events ORDER BY seq"
            )
            told = [f"{row['at']} {row['story_id']} {row['kind']} {row['data']}" for row in rows]
            log = (self.root / "control-plane.log").read_text()[-2000:]
            raise AssertionError("\n".join([str(error), *told[-60:], log])) from None

    def agent_hangs(self, project: str) -> bool:
        """Whether the project's agent has come to a `hang` step."""
        transcripts = self.state / "transcripts" / project
        return any('"Hang, ignoring' in path.read_text() for path in transcripts.rglob("*.jsonl"))

    def left(self) -> dict[int, str]:
        """Every process, of anybody's, that has to do with this folder: pid to command line."""
        found = {}
        needle = os.fsencode(self.root)
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                with suppress(OSError):
                    command = (entry / "cmdline").read_bytes()
                    texts = (
                        command,
                        (entry / "environ").read_bytes(),
                        os.fsencode((entry / "cwd").readlink()),
                    )
                    if any(needle in text for text in texts) or self._is_ours(int(entry.name)):
                        found[int(entry.name)] = command.replace(b"\0", b" ").decode(errors="replace")
        return found

    def _is_ours(self, pid: int) -> bool:
        """Of a control plane, worker or template, which are forked: by the log that it writes."""
        return os.fspath(self.root) in os.fspath(Path(f"/proc/{pid}/fd/2").readlink())

    def wait_until_nothing_is_left(self) -> None:
        seen: dict[int, str] = {}

        def empty() -> bool:
            seen.clear()
            seen.update(self.left())
            return not seen

        try:
            wait_until(empty, "processes left", SECONDS)
        except AssertionError:
            raise AssertionError(f"left behind: {seen}") from None

    def clean_up(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.kill()
        for pid in self.left():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@pytest.fixture
def in_memory(tmp_path: Path) -> Iterator[Path]:
    """A folder for who is killed at each of many steps, in memory where there is some: what a killed process
    wrote stays on any file system, and thousands of waits for a disk take a minute."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield tmp_path
        return
    with TemporaryDirectory(prefix="orchard-crash-", dir=memory) as name:
        yield Path(name)


@pytest.fixture
def orchard(tmp_path: Path) -> Iterator[Orchard]:
    found = Orchard(root=tmp_path)
    yield found
    found.clean_up()


@pytest.fixture(scope="module")
def new_orchard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Orchard]]:
    """Makes one; all are ended after the module."""
    made: list[Orchard] = []

    def make() -> Orchard:
        made.append(Orchard(root=tmp_path_factory.mktemp("orchard")))
        return made[-1]

    yield make
    for each in made:
        each.clean_up()


@pytest.fixture(scope="module")
def play_honestly() -> Callable[[], dict[str, list[Any]]]:
    return honest


@pytest.fixture(scope="module", name="git")
def git_in() -> Callable[..., str]:
    return git

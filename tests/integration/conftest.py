"""A whole headless Orchard over small real git projects, driven by the replay agent."""

from __future__ import annotations

import asyncio
import copy
import subprocess
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from config.loader import load
from core.domain.event import EventKind
from core.domain.lifecycles import Phase
from core.orchestrator.supervisor import SupervisionTimes
from core.runtime import Runtime, open_runtime
from tests.integration.nursery import forked_templates
from tests.integration.quick import QUICK_COMMAND, QUICK_FILES
from tests.waiting import SECONDS

BASE_FILES = {
    "calc.py": "def add(a, b):\n    return a + b\n",
    "tests/test_add.py": "from calc import add\n\n\ndef test_adds():\n    assert add(1, 2) == 3\n",
}

# What a replayed agent is counted with, so that a small machine has place for many.
SMALL = {"agent_memory_mb": 128, "agent_cpu_cores": 0.01}

RED = {
    "write": {
        "path": "tests/test_{name}.py",
        "text": "from {name} import {name}\n\n\ndef test_{name}():\n    assert {name}(6, 2) == {result}\n",
    }
}
GREEN = {"write": {"path": "{name}.py", "text": "def {name}(a, b):\n    return a {sign} b\n"}}


def git(folder: Path, *arguments: str) -> str:
    result = subprocess.run(["git", "-C", folder, *arguments], check=True, capture_output=True, text=True)
    return result.stdout.strip()


def make_project(folder: Path, files: Mapping[str, str] = BASE_FILES) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    git(folder, "init", "-q", "-b", "main")
    git(folder, "config", "user.name", "Dev")
    git(folder, "config", "user.email", "dev@example.org")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "First commit")
    return folder


def _replace(path: Path, text: str) -> None:
    """As a whole: an agent that starts meanwhile, or a watch, reads the one or the other."""
    new = path.with_suffix(".new")
    new.write_text(text)
    new.replace(path)


def _filled(template: Any, **values: Any) -> Any:
    if isinstance(template, str):
        for key, value in values.items():
            template = template.replace("{" + key + "}", str(value))
        return template
    return {key: _filled(value, **values) for key, value in template.items()}


def honest(name: str, sign: str, result: int) -> dict[str, Any]:
    """What an honest agent does for the story 'a function NAME'."""
    values = {"name": name, "sign": sign, "result": result}
    return {
        "test_red": [_filled(RED, **values)],
        "code_green": [_filled(GREEN, **values)],
        "refactor": [{"say": "Nothing to say better."}],
    }


HONEST = {
    "Multiply": honest("multiply", "*", 12),
    "Subtract": honest("subtract", "-", 4),
    "Divide": honest("divide", "//", 3),
}


@dataclass
class Farm:
    """A folder with projects, a replay script and a configuration."""

    root: Path
    projects: dict[str, Path] = field(default_factory=dict)
    script: dict[str, Any] = field(default_factory=lambda: {"stories": copy.deepcopy(HONEST)})
    settings: dict[str, Any] = field(default_factory=dict)  # of every project
    own_settings: dict[str, dict[str, Any]] = field(default_factory=dict)  # of one, over those
    global_settings: dict[str, Any] = field(default_factory=dict)
    agent_row: dict[str, Any] = field(default_factory=dict)  # more keys of the replay agent's row
    agents: dict[str, dict[str, Any]] = field(default_factory=dict)  # other rows
    quick: bool = False  # tests run by a script: for what is around a test run
    seconds: float = SECONDS  # that `until` of a running one waits

    def add(self, name: str, files: Mapping[str, str] = BASE_FILES) -> Path:
        if self.quick:
            files = {**files, **QUICK_FILES}
        self.projects[name] = make_project(self.root / name, files)
        return self.projects[name]

    def write(self) -> None:
        script = self.root / "replay.yaml"
        _replace(script, yaml.safe_dump(self.script))
        configuration = {
            "global": {
                "default_agent": "replay",
                "scheduling_interval_seconds": 1,
                "max_load_per_core": None,  # the machine that tests run on may be as busy as it likes
                **self.global_settings,
            },
            "agents": {"replay": {"variables": {"script": str(script)}, **self.agent_row}, **self.agents},
            "projects": {
                name: {
                    "name": name,
                    "path": str(path),
                    "resource_limits": dict(SMALL),
                    **({"test_command": QUICK_COMMAND} if self.quick else {}),
                    **self.settings,
                    **self.own_settings.get(name, {}),
                }
                for name, path in self.projects.items()
            },
        }
        _replace(self.root / "orch-config.yaml", yaml.safe_dump(configuration))

    @asynccontextmanager
    async def running(self, times: SupervisionTimes | None = None) -> AsyncIterator[Running]:
        self.write()
        with forked_templates():
            async with open_runtime(lambda: load(self.root, environ={}), times=times) as runtime:
                yield Running(runtime, self.seconds)


@dataclass
class Running:
    runtime: Runtime
    seconds: float = SECONDS

    async def sprint(
        self, project: str, *titles: str, criteria: tuple[str, ...] = ("it works",)
    ) -> list[str]:
        """Adds stories, plans and starts a sprint of them; returns their ids."""
        commands = self.runtime.commands
        stories = [
            await commands.add_story(project, title, acceptance_criteria=criteria, actor="cli")
            for title in titles
        ]
        await commands.plan_sprint(project, actor="cli")
        await commands.start_sprint(project, actor="cli")
        return [story.id for story in stories]

    async def until(
        self,
        *kinds: EventKind,
        story: str | None = None,
        phase: str | None = None,
        after: int = 0,
        seconds: float | None = None,
    ) -> Any:
        """The first event of these kinds, past ones included. Says what happened when none comes."""
        seen = after
        told: list[str] = []
        try:
            async with asyncio.timeout(seconds or self.seconds):
                with self.runtime.bus.subscribe() as events:
                    while True:
                        page = await self.runtime.commands.events(after=seen, limit=1000)
                        for event in page:
                            seen = event.seq
                            if (
                                event.kind in kinds
                                and story in (None, event.story_id)
                                and phase in (None, event.data.get("phase"))
                            ):
                                return event
                            told.append(f"{event.at:%M:%S} {event.story_id} {event.kind} {event.data}"[:300])
                        if len(page) < 1000:  # else there are more, and perhaps nothing follows them
                            await anext(events)
        except TimeoutError:
            views = await self.runtime.commands.stories()
            told += [f"{view.story.id}: {view.status}, {view.why}" for view in views]
            raise AssertionError("\n".join([f"no {', '.join(kinds)} came:", *told])) from None

    async def green(self, story: str) -> Any:
        """The first word of the gate on the story's code, which it lets pass: for tests that are not about
        what comes then."""
        said = await self.until(
            EventKind.GATE_PASSED, EventKind.GATE_REFUSED, story=story, phase=Phase.CODE_GREEN
        )
        assert said.kind is EventKind.GATE_PASSED, said.data
        return said


@pytest.fixture
def farm(request: pytest.FixtureRequest, tmp_path: Path) -> Farm:
    """One event may be waited for nearly as long as the test may take: then it is said which did not come."""
    own = request.node.get_closest_marker("timeout")
    return Farm(root=tmp_path, seconds=own.args[0] - 20 if own else SECONDS)


@pytest.fixture
def quick_farm(farm: Farm) -> Farm:
    """Its projects' tests are run by a script, for tests that are not about test runs."""
    farm.quick = True
    return farm


@pytest.fixture(scope="module")
def new_farm(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Farm]:
    return lambda: Farm(root=tmp_path_factory.mktemp("farm"))


@pytest.fixture(scope="session")
def git_in() -> Callable[..., str]:
    return git

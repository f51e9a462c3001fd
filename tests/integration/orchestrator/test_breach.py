"""A project over its memory, in a whole running Orchard: what is ended, what is not, and who is told."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from core.domain.event import EventKind
from core.isolation import fences
from core.isolation.cgroup_probe import probe_enforcement
from core.isolation.limits import Means, Resource

pytestmark = pytest.mark.timeout(120)

PYTHON = str(Path(sys.base_prefix, "bin", "python3"))  # every sandbox shows it
# Two that are too much together, though neither is alone: each program is limited for itself as well.
HOG = (
    "import os, time; os.fork(); kept = []\n"
    "for _ in range(200): kept.append(bytearray(1 << 20)); time.sleep(0.002)\n"
    "time.sleep(600)\n"
)
# With the one beside it more than half of what they may have, long enough to be seen who runs below whom.
GROWING_TEST = """
import subprocess, sys, time

def test_grows():
    beside = [sys.executable, "-c", "kept = bytearray(110 << 20); import time; time.sleep(600)"]
    with subprocess.Popen(beside):
        time.sleep(3)
        kept = []
        for _ in range(220):
            kept.append(bytearray(1 << 20))
            time.sleep(0.002)
    assert False
"""
# It is waited for until it has left the group, which an agent ends with its command.
DAEMON = (
    "import os, sys; left, leave = os.pipe()\n"
    "if os.fork(): os.close(leave); os.read(left, 1); sys.exit()\n"
    "os.setsid(); os.close(leave)\n"
    "if os.fork(): sys.exit()\n"
)
WHY = "It was ended for memory: shop may use 256 MB"


@pytest.fixture(scope="module")
def by_cgroup() -> None:
    memory = next(one for one in probe_enforcement() if one.resource is Resource.MEMORY)
    if memory.means is Means.WATCHDOG:
        pytest.skip(f"cgroups cannot be written here: {memory.why}")


def hogging(script: str) -> list[dict[str, Any]]:
    """A turn that starts a program, and would go on long after that has ended."""
    return [{"run": {"command": [PYTHON, "-I", "-S", "-c", script]}}, {"sleep": 600}]


@pytest.fixture
def hungry(farm):
    """`shop` may use 256 MB, and its agents want more; `post` is at work meanwhile."""
    for name in ("shop", "post"):
        farm.add(name)
    farm.own_settings = {"shop": {"resource_limits": {"max_memory_mb": 256}}}
    again = {"when": f'feedback contains "{WHY}"', "then": hogging(DAEMON + HOG), "else": [{"say": "What?"}]}
    farm.script["stories"]["Grow"] = {"test_red": [hogging(HOG), [again]]}
    farm.script["stories"]["Multiply"]["test_red"].insert(0, {"sleep": 3})
    return farm


async def test_who_takes_too_much_memory_loses_its_agent_and_its_neighbour_does_not(
    by_cgroup: None, hungry
) -> None:
    hungry.settings = {"ai_settings": {"max_auto_retry": 1}}
    async with hungry.running() as orchard:
        await orchard.sprint("post", "Multiply")
        (story,) = await orchard.sprint("shop", "Grow")
        breach = await orchard.until(EventKind.LIMIT_BREACHED)
        failed = await orchard.until(EventKind.AGENT_FAILED)
        blocked = await orchard.until(EventKind.STORY_BLOCKED)
        merged = await orchard.until(EventKind.STORY_MERGED, EventKind.STORY_BLOCKED, story="post-1")
        kinds = [event.kind for event in await orchard.runtime.commands.events(after=0, limit=1000)]
    assert (breach.project, breach.story_id) == ("shop", story)
    assert breach.data["resource"] == "memory"
    assert breach.data["ended"] >= 1
    assert breach.data["program"].startswith("python")
    assert "of its 256 MB of memory" in breach.data["text"]
    assert (failed.story_id, WHY in failed.data["summary"]) == (story, True)
    assert "tried 2 times" in blocked.data["reason"]
    assert WHY in blocked.data["reason"]  # of the daemon, too, which the second attempt started
    assert merged.kind is EventKind.STORY_MERGED, merged.data
    assert kinds.count(EventKind.AGENT_FAILED) == 2
    assert kinds.count(EventKind.LIMIT_BREACHED) == 1  # the second is too soon to be told again
    assert EventKind.WORKER_LOST not in kinds


async def test_the_same_holds_where_no_cgroup_can_be_written(hungry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fences, "homes", dict)
    hungry.settings = {"ai_settings": {"max_auto_retry": 0}}
    async with hungry.running() as orchard:
        await orchard.sprint("post", "Multiply")
        (story,) = await orchard.sprint("shop", "Grow")
        breach = await orchard.until(EventKind.LIMIT_BREACHED)
        blocked = await orchard.until(EventKind.STORY_BLOCKED)
        kinds = [event.kind for event in await orchard.runtime.commands.events(after=0, limit=1000)]
    assert (breach.story_id, blocked.story_id) == (story, story)
    assert WHY in blocked.data["reason"]
    assert kinds.count(EventKind.AGENT_FAILED) == 1
    assert EventKind.WORKER_LOST not in kinds


async def test_a_test_run_that_was_ended_for_memory_is_refused_for_it(by_cgroup: None, farm) -> None:
    farm.add("shop")
    farm.settings = {
        "ai_settings": {"max_auto_retry": 0},
        "resource_limits": {"max_memory_mb": 256},
        "isolation": "process",
    }
    test = {"path": "tests/test_grow.py", "text": GROWING_TEST}
    farm.script["stories"]["Grow"] = {"test_red": [{"write": test}]}
    async with farm.running() as orchard:
        (story,) = await orchard.sprint("shop", "Grow")
        breach = await orchard.until(EventKind.LIMIT_BREACHED)
        blocked = await orchard.until(EventKind.STORY_BLOCKED)
    assert breach.story_id == story
    assert WHY in blocked.data["reason"]

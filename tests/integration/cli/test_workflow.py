"""A sprint from an epic to what people said of it, by the command line beside a running Orchard."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.integration.quick import QUICK_COMMAND, QUICK_FILES
from tests.waiting import wait_until

pytestmark = pytest.mark.timeout(400)

SPEC = """\
## Count the things
Estimate: 3
Acceptance criteria:
- Two things are 2.

## Name the first thing
Needs: 1
Acceptance criteria:
- It has a name.
"""
RED = """\
from more import more


def test_more():
    assert more() == 2


if __name__ == "__main__":
    test_more()
"""
# A runner of its own, for a test in which it is no matter how tests are run.
QUICK = QUICK_FILES | {
    "tests/test_it.py": "",
    ".orch-state/config.yaml": f"test_command: {QUICK_COMMAND!r}\n",
}
SCRIPT = {
    "stories": {
        "*": {
            "epic": [{"spec": SPEC}, {"say": "Two stories."}],
            "test_red": [{"write": {"path": "tests/test_more.py", "text": RED}}, {"say": "A test."}],
            "code_green": [
                {
                    "steered": {
                        "seconds": 300,
                        "then": [{"say": "Heard."}],
                        "else": [{"say": "Nobody spoke."}],
                    }
                },
                {"write": {"path": "more.py", "text": "def more():\n    return 2\n"}},
            ],
            "refactor": [{"say": "Nothing to say better."}],
        }
    }
}


@pytest.fixture
def settings(orchard, tmp_path):
    script = tmp_path / "replay.yaml"
    script.write_text(yaml.safe_dump(SCRIPT))
    settings = {
        "global": {"default_agent": "replay", "max_load_per_core": None},
        "agents": {"replay": {"variables": {"script": str(script)}}},
    }
    (orchard.root / "orch-config.yaml").write_text(yaml.safe_dump(settings))


def until(look, wanted):
    wait_until(lambda: wanted(look()), "what is wanted", 150, pause=1)  # each look is a process


def is_played(view):
    cycle = view["cycle"]  # None until it is begun
    return cycle is not None and cycle["state"] == "code_green" and "Playing" in view["why"]


def test_an_epic_becomes_a_reviewed_sprint(orchard, settings, checkout):
    shop = checkout("shop", QUICK)
    with orchard.running("--no-discord"):
        assert orchard("register", "shop", shop).returncode == 0
        assert orchard("start", "shop").returncode == 0
        assert orchard("do", "epic", "shop", "Count things").returncode == 0
        until(lambda: orchard.json("do", "epics", "shop-e1")["epic"]["state"], lambda s: s == "proposed")
        assert "• Two things are 2." in orchard("do", "proposals", "shop").stdout
        [approved] = orchard.json("approve", "shop-1")
        assert approved["status"] == "backlog"
        assert "shop-2: Name the first thing" in orchard("approve", "shop-e1").stdout
        assert orchard("do", "plan", "shop", "shop-1", "goal", "Count").returncode == 0
        assert orchard("do", "sprint", "shop").returncode == 0

        def view():
            return orchard.json("story", "shop-1")["view"]

        until(view, is_played)
        assert "code_green" in orchard("do", "cycles", "shop").stdout
        assert "✓ shop-1 is told" in orchard("do", "steer", "shop-1", "Return 2").stdout
        until(view, lambda view: view["status"] == "done")
        log = orchard("log", "shop-1", "--all").stdout
        assert "story steered by cli: Return 2" in log
        assert "Heard." in log
        assert "story merged" in log
        tests = orchard("do", "tests", "shop")
        assert (tests.returncode, "2 passed, 0 failed" in tests.stdout) == (0, True)
        assert "3 of 3 points done" in orchard("do", "review", "shop").stdout
        assert orchard("do", "feedback", "shop", "Quick enough").returncode == 0
        assert "Quick enough" in orchard("do", "history", "quick").stdout


def test_a_story_is_taken_over_and_handed_back_by_hand(orchard, settings, checkout):
    shop = checkout("shop", {"tests/test_it.py": "def test_it(): pass\n", "conftest.py": ""})
    with orchard.running("--no-discord"):
        orchard("register", "shop", shop)
        orchard("start", "shop")
        orchard("do", "add", "shop", "Count the things", "criteria", "Two things are 2.")
        orchard("do", "plan", "shop")
        orchard("do", "sprint", "shop")

        def view():
            return orchard.json("story", "shop-1")["view"]

        until(view, is_played)
        taken = orchard("do", "takeover", "shop-1")
        assert taken.returncode == 0, taken.stderr
        [folder] = [line[3:] for line in taken.stdout.splitlines() if line.startswith("cd ")]
        assert (Path(folder) / "tests" / "test_more.py").exists()
        assert "with a person (by cli)" in orchard("status", "shop").stdout
        (Path(folder) / "more.py").write_text("def more():\n    return 2\n")
        ran = orchard("do", "tests", "shop-1")
        assert (ran.returncode, "2 passed" in ran.stdout) == (0, True), ran.stdout
        (Path(folder) / "more.py").write_text("def more():\n    return 3\n")
        failed = orchard("do", "tests", "shop-1")
        assert (failed.returncode, "1 failed" in failed.stdout) == (1, True)
        (Path(folder) / "more.py").write_text("def more():\n    return 2\n")
        assert orchard("do", "handback", "shop-1", "done by hand").returncode == 0
        until(view, lambda view: view["status"] == "done")

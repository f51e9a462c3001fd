"""What steps do to real files, through whole turns."""

from __future__ import annotations

import base64
import itertools
import resource
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from core.agents.presets import REPLAY
from core.agents.turn import ToolEnded, TurnKind, TurnLimited

PATCH = """\
diff --git a/src/a.py b/src/a.py
--- a/src/a.py
+++ b/src/a.py
@@ -1,2 +1,2 @@
 one
-two
+TWO
diff --git a/gone.txt b/gone.txt
deleted file mode 100644
--- a/gone.txt
+++ /dev/null
@@ -1 +0,0 @@
-bye
diff --git a/new.txt b/new.txt
new file mode 100644
--- /dev/null
+++ b/new.txt
@@ -0,0 +1 @@
+hi
"""


def git(stage, *arguments):
    command = ["git", "-C", str(stage.worktree), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


async def test_file_steps(stage):
    (stage.worktree / "a").write_text("one two")
    (stage.worktree / "old").write_text("x")
    binary = bytes(range(256))
    script = stage.steps(
        {"read": "a"},
        {"replace": {"path": "a", "old": "two", "new": "2"}},
        {"append": {"path": "a", "text": "\r\nthree"}},
        {"delete": "old"},
        {"write": {"path": "bin/x", "base64": base64.b64encode(binary).decode(), "executable": True}},
        {"files": {"deep/b": "b", "deep/c": {"text": "c", "executable": True}}},
        {"files": {"deep/b": None}},
    )
    end = await stage.play(stage.replay(script))

    assert end.kind is TurnKind.IDLE
    files = {str(p.relative_to(stage.worktree)) for p in stage.worktree.rglob("*") if p.is_file()}
    assert files == {"a", "bin/x", "deep/c"}
    assert (stage.worktree / "a").read_bytes() == b"one 2\r\nthree"
    assert (stage.worktree / "bin/x").read_bytes() == binary
    assert (stage.worktree / "deep/c").stat().st_mode & 0o111


@pytest.mark.parametrize("broken_git", [False, True])
async def test_a_patch_applies_also_where_the_repository_is_out_of_sight(caged, broken_git):
    (caged.worktree / "src").mkdir()
    (caged.worktree / "src/a.py").write_text("one\ntwo\n")
    (caged.worktree / "gone.txt").write_text("bye\n")
    if broken_git:
        (caged.worktree / ".git").write_text("gitdir: /no/such/place\n")

    end = await caged.play(caged.replay(caged.steps({"patch": PATCH})))

    assert (end.kind, end.error) == (TurnKind.IDLE, "")
    assert (caged.worktree / "src/a.py").read_text() == "one\nTWO\n"
    assert (caged.worktree / "new.txt").read_text() == "hi\n"
    assert not (caged.worktree / "gone.txt").exists()


async def test_a_patch_that_does_not_apply_ends_the_turn_with_the_reason(stage):
    end = await stage.play(stage.replay(stage.steps({"patch": PATCH})))

    assert end.kind is TurnKind.FAILED
    assert "patch: does not apply" in end.error


async def test_a_file_that_may_not_be_written_is_a_failed_tool_and_the_turn_goes_on(stage):
    (stage.worktree / "a").mkdir()
    script = stage.steps({"write": {"path": "a", "text": "x"}}, {"say": "went on"})

    end = await stage.play(stage.replay(script))

    assert [event.failed for event in stage.of(ToolEnded)] == [True]
    assert end.text.endswith("went on")


async def test_a_command_shows_its_output_and_code_and_has_a_time_out(stage):
    script = stage.steps(
        {"run": "echo out; echo err >&2; exit 3"},
        {"run": {"command": [sys.executable, "-c", "print('listed')"]}},
        {"run": {"command": "sleep 600", "timeout_seconds": 0.2}},
    )
    await stage.play(stage.replay(script))

    transcript = stage.transcript.read_text()
    assert "out\\nerr\\n\\n[exit code 3]" in transcript
    assert "listed" in transcript
    assert "not done in 0.2 s" in transcript
    assert [event.failed for event in stage.of(ToolEnded)] == [False, False, True]


async def test_lies_say_nothing_of_themselves(stage):
    git(stage, "init", "-q")
    (stage.worktree / "a").write_text("x")
    script = stage.steps(
        {"commit": {"message": "mine", "branch": "sneaky"}},
        {"write_outside": {"path": "../outside.txt", "text": "x"}},
    )
    end = await stage.play(stage.replay(script))

    assert git(stage, "log", "--format=%s", "sneaky") == "mine\n"
    assert (stage.root / "outside.txt").exists()
    assert end.tools == 0


@pytest.mark.bwrap
async def test_the_sandbox_stops_a_write_outside(caged):
    script = caged.steps(
        {"write_outside": {"path": str(caged.root / "outside.txt"), "text": "x"}}, {"say": "ok"}
    )

    end = await caged.play(caged.replay(script))

    assert end.kind is TurnKind.IDLE
    assert (caged.root / "outside.txt").exists() is (caged.level == "process")


def test_it_starts_at_once(tmp_path):
    """At most 150 ms. Processor time, best of several: other programs work on this machine too."""
    script = tmp_path / "x.yaml"
    script.write_text('stories: {"*": {"*": [{say: x}]}}')
    request = b'{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":1}}\n'
    used = [0.0]
    for _ in range(5):
        argv = [sys.executable, "-I", str(REPLAY), "--script", str(script)]
        done = subprocess.run(argv, input=request, capture_output=True, check=True)
        assert b'"protocolVersion":1' in done.stdout
        spent = resource.getrusage(resource.RUSAGE_CHILDREN)
        used.append(spent.ru_utime + spent.ru_stime)
    assert min(after - before for before, after in itertools.pairwise(used[1:])) < 0.15


def test_it_imports_nothing_of_orchard_and_nothing_heavy(tmp_path):
    code = (
        "import sys, runpy; sys.argv = ['x', '--script', '/none.yaml']\n"
        "sys.stdin.close(); sys.stdin = open('/dev/null')\n"
        "import os; os._exit = sys.exit\n"
        f"try: runpy.run_path({str(REPLAY)!r}, run_name='__main__')\n"
        "except SystemExit: pass\n"
        "print(sorted(set(sys.modules) & {'asyncio', 'acp', 'pydantic', 'core', 'logging'}))"
    )
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


def test_it_is_a_module_too(tmp_path):
    root = Path(REPLAY).parents[2]
    argv = [sys.executable, "-m", "core.agents.replay"]

    done = subprocess.run(argv, capture_output=True, text=True, cwd=root, check=False)

    assert done.returncode == 2
    assert "usage: python -m core.agents.replay --script FILE" in done.stderr


# Troubles of honest agents, and what they write of a story


async def test_a_spec_stands_under_the_storys_own_name(stage):
    end = await stage.play(stage.replay(stage.steps({"spec": "## A story\n"})))

    assert end.kind is TurnKind.IDLE
    assert (stage.worktree / ".orch-state/stories/demo-1.md").read_text() == "## A story\n"


async def test_no_spec_is_written_for_a_story_that_names_a_path(stage):
    turn = stage.turn(prompt="Orchard-Story: ../../x\nOrchard-Phase: design\n\nGo.")

    end = await stage.play(stage.replay(stage.steps({"spec": "x"})), turn)

    assert "no file can be named after the story '../../x'" in end.error


@pytest.mark.parametrize("error", [False, True])
async def test_a_usage_limit_with_its_reset_also_after_work(stage, error):
    limit = {"text": "Claude AI usage limit reached", "seconds": 3600, "error": error}
    script = stage.steps({"write": {"path": "a", "text": "x"}}, {"limit": limit}, {"say": "never said"})

    end = await stage.play(stage.replay(script))

    assert end.kind is TurnKind.LIMITED
    assert end.limited_until is not None
    assert abs(end.limited_until - datetime.now(UTC) - timedelta(hours=1)) < timedelta(minutes=1)
    assert "replay ran into a usage limit: [replay] " in end.error
    assert "never said" not in end.text
    [limited] = stage.of(TurnLimited)
    assert (limited.error, limited.until) == (end.error, end.limited_until)


async def test_a_usage_limit_that_says_no_end(stage):
    end = await stage.play(stage.replay(stage.steps({"limit": "Weekly limit reached"})))

    assert (end.kind, end.limited_until) == (TurnKind.LIMITED, None)


async def test_a_usage_limit_is_over_after_some_times_also_for_another_process(stage):
    script = stage.steps({"limit": {"text": "usage limit reached", "times": 2}}, {"say": "It works again."})

    kinds = [(await stage.play(stage.replay(script))).kind for _ in range(3)]

    assert kinds == [TurnKind.LIMITED, TurnKind.LIMITED, TurnKind.IDLE]


async def test_nobody_steers_in_time(stage):
    steps = [{"steered": {"seconds": 0.1, "then": [{"say": "steered"}], "else": [{"say": "left alone"}]}}]

    end = await stage.play(stage.replay(stage.steps(*steps)))

    assert end.text.endswith("[replay] left alone")

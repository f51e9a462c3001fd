"""After a turn nothing of its agent is left: no process, no tmux server, no temporary file, no writer."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from core.agents.setup import AgentSetup
from core.isolation.machine import program_folders
from core.worker.contract import PhaseEnd
from core.worker.phases import run_phase
from tests.waiting import until

pytestmark = pytest.mark.timeout(120)

# Each has left its session before its step ends: a step's end kills what is still in the step's group.
# Leaves its session, its group and its parent, twice, and has none of the turn's environment.
DAEMON = "setsid -w env -i PATH=$PATH sh -c '(setsid sleep {token} &) ; exit 0' </dev/null >/dev/null 2>&1"
TMUX = "env -u TMUX tmux -L {token} new-session -d 'sleep {token}'"
WRITER = (
    "(setsid sh -c 'while :; do date +%N > $1; sleep 0.02; done' sh $PWD/beat {token} >/dev/null 2>&1 &); "
    "until test -s beat; do sleep 0.01; done"
)
SOCKET = (
    "python3 -c 'import os, socket, tempfile; s = socket.socket(socket.AF_UNIX); "
    'os.chdir(tempfile.gettempdir()); s.bind("{token}.sock")\''
)
FILES = (
    "t=$(python3 -c 'import tempfile; print(tempfile.gettempdir())'); mkdir -p $t/{token}/deep; "
    "echo x > $t/{token}/deep/file; chmod 500 $t/{token}/deep $t/{token}"
)


@pytest.fixture
def token() -> str:
    """A number of seconds that no other process sleeps, and no other file is called."""
    return f"600.{secrets.randbelow(10**9):09d}"


@pytest.fixture
def left(token: str) -> Iterator[Callable[[], list[str]]]:
    """Processes and temporary files that bear the token, anywhere on this machine."""

    def processes() -> list[psutil.Process]:
        found = []
        for process in psutil.process_iter():
            try:
                if token in " ".join(process.cmdline()) and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
            except psutil.Error:
                continue
        return found

    def look() -> list[str]:
        words = []
        for process in processes():
            with contextlib.suppress(psutil.Error):
                words.append(" ".join(process.cmdline()))
        return words + [path for place in ("/tmp", "/var/tmp", "/dev/shm", "/run") for path in named(place)]

    def named(place: str) -> list[str]:
        """Down to the second folder. `os.walk` bears what others remove meanwhile."""
        found = []
        for folder, folders, files in os.walk(place):
            found += [f"{folder}/{name}" for name in (*folders, *files) if token in name]
            if folder != place:
                folders.clear()
        return found

    yield look
    for process in processes():
        process.kill()


def rude_steps(token: str) -> list[str]:
    mess = [DAEMON, WRITER, SOCKET, FILES]
    if shutil.which("tmux"):
        mess.append(TMUX)
    return [step.replace("{token}", token) for step in mess]


@pytest.mark.parametrize("way", ["dies", "is cancelled", "command"])
async def test_a_rude_agent_leaves_nothing(
    calculator, job_of, play, services, heard, setup, level, token, left, way, tmp_path
) -> None:
    project = replace(setup, isolation=level)
    rude = rude_steps(token)
    worktree = setup.state_path / "worktrees" / "shop" / "shop-1"
    cancel = asyncio.Event()
    if way == "command":
        script = tmp_path / "rude.sh"
        script.write_text("\n".join(rude))
        agent = AgentSetup(
            name="rude", kind="command", argv=("/bin/sh", str(script)), read_only_paths=(script,)
        )
    else:
        last = {"dies": {"crash": True}, "is cancelled": {"hang": {}}}[way]
        agent = play(test_red=[*({"run": step} for step in rude), last])

    running = asyncio.create_task(run_phase(job_of(agent, project=project), services, cancel))
    if way == "is cancelled":
        await until(lambda: (worktree / "beat").exists() and any("sleep" in one for one in left()))
        cancel.set()
    report = await running

    ends = {"dies": PhaseEnd.AGENT_FAILED, "is cancelled": PhaseEnd.CANCELLED}
    assert report.end is ends.get(way, PhaseEnd.REFUSED), report  # it wrote `beat`, which is no test
    assert left() == []
    assert set(heard.ended) == {child.pid for child in heard.started}
    if (worktree / "beat").exists():
        before = (worktree / "beat").read_bytes()
        await asyncio.sleep(0.1)  # five times the writer's pause
        assert (worktree / "beat").read_bytes() == before


async def test_the_next_turn_s_worktree_is_its_own(
    calculator, job_of, play, services, setup, level, token, left, red
) -> None:
    """What an earlier agent left running would write into the next one's files."""
    project = replace(setup, isolation=level)
    rude = [{"run": step} for step in rude_steps(token)]
    first = job_of(play(test_red=[*rude, {"crash": True}]), project=project)
    await run_phase(first, services, asyncio.Event())

    quiet = play(test_red=[{"run": "test ! -e beat && ls -a > seen.txt; sleep 0.2; rm -f seen.txt"}, *red])
    report = await run_phase(job_of(quiet, project=project, attempt=2), services, asyncio.Event())

    assert report.end is PhaseEnd.PASSED, report
    assert left() == []
    assert calculator.git("ls-tree", "-r", "--name-only", str(report.head_commit)).split() == sorted(
        [*calculator.git("ls-files").split(), "tests/test_mul.py"]
    )


async def test_temporary_files_of_a_turn_that_a_crash_cut_off_go_with_the_next(
    calculator, job_of, play, services, setup, token, left, red
) -> None:
    project = replace(setup, isolation="process")
    places: list[str] = []
    show = [{"run": "echo $TMPDIR > where.txt"}, {"crash": True}]
    await run_phase(job_of(play(test_red=show), project=project), services, asyncio.Event())
    places = (setup.state_path / "worktrees/shop/shop-1/where.txt").read_text().split()
    folder = Path(places[0])
    assert not folder.exists()
    folder.mkdir()
    (folder / token).write_text("of a worker that was killed")

    await run_phase(job_of(play(test_red=red), project=project, attempt=2), services, asyncio.Event())

    assert not folder.exists()
    assert len(str(folder)) < 60  # room for a socket's name


async def test_a_command_that_commits_by_itself_is_judged_by_its_tree(
    calculator, job_of, services, setup, tmp_path
) -> None:
    """As aider does. Level `process`: in a sandbox with its own files the repository is read-only."""
    script = tmp_path / "commits.sh"
    script.write_text(
        "set -e\n"
        "printf 'from calc import mul\\n\\n\\ndef test_mul():\\n    assert mul(2, 3) == 6\\n' "
        "> tests/test_mul.py\n"
        "git add -A; git commit -q -m 'feat: of my own'; git commit -q --allow-empty -m another\n"
    )
    seen = (script, *program_folders(Path(sys.executable)))
    agent = AgentSetup(name="committer", kind="command", argv=("/bin/sh", str(script)), read_only_paths=seen)
    job = job_of(agent, project=replace(setup, isolation="process"))

    report = await run_phase(job, services, asyncio.Event())

    assert report.end is PhaseEnd.PASSED, report
    log = calculator.git("log", "--format=%s", f"main..{report.head_commit}").splitlines()
    assert len(log) == 1
    assert "of my own" not in log[0]
    assert calculator.git("show", f"{report.head_commit}:tests/test_mul.py").startswith(
        "from calc import mul"
    )

"""Nothing outlives its launch: daemons, fork storms, killed keepers, a killed Orchard."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from core.isolation.launch import PIPE, launch, run
from core.isolation.plan import plan_launch
from tests.waiting import until

pytestmark = pytest.mark.timeout(120)
PROGRAMS = Path(__file__).parent / "programs"
ROOT = Path(__file__).parents[3]


def daemon(seconds: str) -> str:
    """Leaves its session, its group, its parent and its environment; as agents' tmux servers do."""
    return f"(setsid env -i PATH=$PATH sh -c '(sleep {seconds} &) ; exit 0' </dev/null >/dev/null 2>&1 &)"


async def test_a_daemon_ends_with_the_program(sh, box, tag) -> None:
    done = await sh(box, f"{daemon(tag.seconds)}; sleep 0.3; exit 4")
    assert done.exit_code == 4
    assert tag.alive() == []


async def test_a_daemon_that_holds_the_output_delays_nothing(sh, box, tag) -> None:
    done = await sh(box, f"(setsid sleep {tag.seconds} &); echo done")
    assert done.output == b"done\n"
    assert done.seconds < 20
    assert tag.alive() == []


async def test_kill_tree_ends_daemons_of_a_running_program(machine, box, tag) -> None:
    script = f"{daemon(tag.seconds)}; {daemon(tag.seconds)}; sleep {tag.seconds}"
    process = await launch(plan_launch(["/bin/sh", "-c", script], box, machine), stdout=PIPE)
    await tag.wait_until(3)
    await process.kill_tree()
    assert tag.alive() == []
    await process.kill_tree()
    assert await process.wait() >= 128


async def test_a_stopped_program_is_ended_too(machine, box, tag) -> None:
    script = f"sleep {tag.seconds} & wait"
    process = await launch(plan_launch(["/bin/sh", "-c", script], box, machine))
    await tag.wait_until(1)
    os.kill(tag.alive()[0], signal.SIGSTOP)
    await process.kill_tree()
    assert tag.alive() == []


async def test_cancelling_a_run_ends_its_tree(machine, box, tag) -> None:
    planned = plan_launch(["/bin/sh", "-c", f"{daemon(tag.seconds)}; sleep {tag.seconds}"], box, machine)
    running = asyncio.create_task(run(planned, timeout_seconds=60))
    await tag.wait_until(2)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert tag.alive() == []


async def test_a_fork_storm_is_ended(machine, box, tag) -> None:
    script = (
        f"i=0; while [ $i -lt 150 ]; do i=$((i+1)); setsid sh -c 'sleep {tag.seconds} & wait' & done; wait"
    )
    process = await launch(plan_launch(["/bin/sh", "-c", script], box, machine))
    await tag.wait_until(150)
    await process.kill_tree()
    assert tag.alive() == []


async def test_programs_that_replace_themselves_all_the_time_are_ended(machine, box, tag) -> None:
    """Each generation forks the next and exits: a walk without freezing would chase it for ever."""
    script = (
        "import os, sys\n"
        "while True:\n"
        "    if os.fork(): os._exit(0)\n"
        "    os.setsid()\n"
        "    open('beat', 'w').write(str(os.getpid()))\n"
    )
    shell = f'{machine.python} -I -S -c "$0" & sleep {tag.seconds}'
    process = await launch(plan_launch(["/bin/sh", "-c", shell, script], box, machine))
    beat = box.cwd / "beat"
    await until(lambda: beat.exists() and beat.read_text(), "a first generation")
    await process.kill_tree()
    last = beat.stat().st_mtime_ns
    await asyncio.sleep(0.1)
    assert beat.stat().st_mtime_ns == last
    assert tag.alive() == []


async def test_a_program_that_kills_its_keeper_leaves_nothing(sh, box, tag) -> None:
    done = await sh(
        box, f"(setsid sleep {tag.seconds} &) ; kill -KILL $PPID; sleep {tag.seconds}", timeout_seconds=1
    )
    assert done.exit_code is None or done.exit_code >= 128
    assert tag.alive() == []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_a_killed_orchard_takes_the_tree_with_it(tmp_path, box, level, tag, number) -> None:
    script = f"{daemon(tag.seconds)}; sleep {tag.seconds}"
    parent = subprocess.Popen(  # noqa: ASYNC220
        [sys.executable, str(PROGRAMS / "parent.py"), str(level), str(tmp_path), script],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    try:
        await tag.wait_until(2)
    finally:
        parent.send_signal(number)
        parent.wait(50)
    await tag.wait_until(0)

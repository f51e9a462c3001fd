"""Where Orchard is root: each project's programs are a user of its own, who owns nothing of the machine."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from core.isolation import own_user
from core.isolation.bubblewrap import user_of
from core.isolation.launch import PIPE, launch, run
from core.isolation.orphans import end_orphans
from core.isolation.plan import Machine, Sandbox, plan_launch

PROGRAMS = Path(__file__).parent / "programs"
ROOT = Path(__file__).parents[3]

pytestmark = [
    pytest.mark.bwrap,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user"),
]


def mounts() -> list[str]:
    """Without those of containers, which other tests have meanwhile."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return [line for line in lines if "/containers/" not in line]


async def test_what_is_written_belongs_to_root_and_is_shared_both_ways(sh, closed_box: Sandbox) -> None:
    given = closed_box.cwd / "given"
    given.write_text("from outside")
    given.chmod(0o600)
    done = await sh(
        closed_box, "cat given && echo more >> given && mkdir -p a/b && echo x > a/b/c && ls -n a/b"
    )
    assert done.exit_code == 0, done.output
    assert done.output.split()[5:7] == [b"0", b"0"]  # inside, too, it is its own
    for path in (closed_box.cwd / "a", closed_box.cwd / "a" / "b" / "c", given):
        assert (path.stat().st_uid, path.stat().st_gid) == (0, 0)
    assert given.read_text() == "from outsidemore\n"


async def test_git_trusts_the_folder_on_both_sides(sh, closed_box: Sandbox) -> None:
    inside = (
        "git init -q . && git -c user.name=a -c user.email=a@b commit -q --allow-empty -m one && git log -1"
    )
    assert (await sh(closed_box, inside)).exit_code == 0
    outside = ["git", "-C", str(closed_box.cwd), "-c", "safe.directory=", "log", "--format=%s"]
    assert subprocess.check_output(outside) == b"one\n"  # noqa: ASYNC221


async def test_the_kernel_knows_it_by_the_projects_number(machine: Machine, closed_box: Sandbox) -> None:
    seen: list[int] = []

    async def look(process) -> None:
        seen.append(Path(f"/proc/{process.root[0]}").stat().st_uid)
        (closed_box.cwd / "seen").touch()

    box = replace(closed_box, project="shop")
    wait = ["/bin/sh", "-c", "while [ ! -e seen ]; do sleep 0.02; done"]
    done = await run(plan_launch(wait, box, machine), timeout_seconds=40, on_start=look)
    assert done.exit_code == 0
    assert seen == [user_of("shop")]


async def test_no_descriptor_and_no_path_leads_to_a_device_of_its_own(sh, closed_box: Sandbox) -> None:
    """The right is asked for, never used: the nodes are the machine's."""
    done = await sh(
        closed_box, "for n in /dev/null /dev/zero /dev/tty /proc/self/fd/0; do stat -Lc %u $n; done"
    )
    assert done.output.split() == [b"65534"] * 4


async def test_files_of_somebody_else_stay_theirs(sh, closed_box: Sandbox) -> None:
    theirs = closed_box.cwd / "theirs"
    theirs.write_text("readable")
    os.chown(theirs, 1234, 1234)
    theirs.chmod(0o644)
    done = await sh(
        closed_box, "cat theirs; echo x >> theirs || echo refused; chmod 777 theirs || echo refused"
    )
    assert done.output.startswith(b"readable")
    assert done.output.count(b"refused") == 2
    assert (theirs.stat().st_uid, theirs.stat().st_mode & 0o777) == (1234, 0o644)


async def test_a_group_that_is_not_roots_is_no_obstacle(sh, closed_box: Sandbox) -> None:
    os.chown(closed_box.cwd, 0, 1234)
    closed_box.cwd.chmod(0o2775)
    assert (await sh(closed_box, "echo x > new && echo y >> new")).exit_code == 0
    assert (closed_box.cwd / "new").stat().st_gid == 1234


async def test_pipes_of_ours_that_it_is_not_given_stay_ours(machine: Machine, closed_box: Sandbox) -> None:
    """Between fork and exec all of them are open: those of another project's sandbox, say."""
    ours, given = os.pipe(), os.pipe()
    try:
        code = "import os; print(sorted(map(int, os.listdir('/proc/self/fd'))), os.fstat(%d).st_uid)"
        argv = [str(machine.python), "-I", "-S", "-c", code % given[1]]
        for fd in ours:
            os.set_inheritable(fd, True)
        planned = plan_launch(argv, closed_box, machine)
        done = await run(planned, timeout_seconds=30, stdin=b"", pass_fds=(given[1],))
        # 3 is that of the listing itself
        assert done.output.decode().split("]") == [f"[0, 1, 2, 3, {given[1]}", " 0\n"], done.output
        assert [os.fstat(fd).st_uid for fd in ours] == [0, 0]
        assert os.fstat(given[1]).st_uid == user_of(closed_box.project)
    finally:
        for fd in (*ours, *given):
            os.close(fd)


async def test_one_mapping_serves_every_launch_of_a_project_and_old_ones_are_closed(
    machine: Machine, closed_box: Sandbox
) -> None:
    planned = plan_launch(["/bin/true"], closed_box, machine)
    await run(planned, timeout_seconds=30)
    first = own_user.mapping_to(user_of(closed_box.project))
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    await run(planned, timeout_seconds=30)
    assert own_user.mapping_to(user_of(closed_box.project)) == first
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
    for number in range(own_user.MOST_MAPPINGS + 2):
        assert own_user.mapping_to(user_of(f"other-{number}")) is not None
    assert len(own_user._mappings) == own_user.MOST_MAPPINGS
    assert (await run(planned, timeout_seconds=30)).exit_code == 0


async def test_it_leaves_no_mount_of_ours(machine: Machine, closed_box: Sandbox) -> None:
    before = mounts()
    done = await run(plan_launch(["/bin/true"], closed_box, machine), timeout_seconds=30)
    assert done.exit_code == 0
    assert mounts() == before


@pytest.mark.parametrize("milliseconds", [0, 2, 4, 7, 11, 16])
async def test_whenever_orchard_is_killed_meanwhile_nothing_goes_on(
    machine: Machine, closed_box: Sandbox, tag, milliseconds: int
) -> None:
    """A thread of the launcher kills it that much after the launch began: while the stage is made, while
    bubblewrap makes the sandbox and has not tied it to anybody yet, or behind that."""
    before = mounts()
    script = f"exec sleep {tag.seconds}"
    argv = [sys.executable, str(PROGRAMS / "killed.py"), str(closed_box.cwd.parent), script]
    parent = await asyncio.create_subprocess_exec(
        *argv, str(milliseconds), env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    async with asyncio.timeout(50):
        assert await parent.wait() == -signal.SIGKILL
    mark = f"sleep {tag.seconds}".encode()
    deadline = time.monotonic() + 50
    while left := [pid for pid in psutil.pids() if mark in _words(pid)]:
        end_orphans()
        assert time.monotonic() < deadline, left
        await asyncio.sleep(0.01)
    assert mounts() == before


async def test_who_has_a_launcher_is_no_orphan(machine: Machine, closed_box: Sandbox) -> None:
    process = await launch(plan_launch(["/bin/cat"], closed_box, machine), stdin=PIPE)
    end_orphans()
    assert process.stdin is not None
    process.stdin.close()
    assert await process.wait() == 0
    await process.kill_tree()


def _words(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ")
    except OSError:
        return b""


def test_where_ids_cannot_be_mapped_the_devices_are_its_own(machine: Machine, tmp_path: Path) -> None:
    """/proc has no mapping of ids: what a file system without it comes to."""
    code = (
        "import json, os; names = ['/dev/null', '/dev/zero', '/dev/urandom', '/proc/self/fd/0'];"
        "print(json.dumps([os.geteuid(), [os.stat(name).st_dev for name in names]]))"
    )
    argv = [str(machine.python), "-I", "-S", own_user.__file__, str(user_of("shop")), "/run"]
    argv += [
        str(os.getpid()),
        "/proc",
        str(tmp_path),
        "--",
        str(machine.python),
        "-I",
        "-S",
        "-c",
        code,
    ]
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=PIPE, check=True)
    uid, devices = json.loads(done.stdout)
    assert uid == 0
    assert os.stat("/dev/null").st_dev not in devices  # noqa: PTH116
    assert len(set(devices)) == 1
    assert not Path("/run/dev").exists()  # laid over for that program alone


def test_one_who_is_gone_leaves_nothing_to_start(machine: Machine) -> None:
    argv = [str(machine.python), "-I", "-S", own_user.__file__, str(user_of("shop")), "/run"]
    done = subprocess.run([*argv, "1", "--", "/bin/echo", "began"], stdout=PIPE, check=False)
    assert done.returncode == 137
    assert done.stdout == b""


def test_a_launcher_that_is_not_there_is_named(machine: Machine) -> None:
    argv = [str(machine.python), "-I", "-S", own_user.__file__, str(user_of("shop")), "/run"]
    argv += [str(os.getpid()), "--", "/nowhere/bwrap"]
    done = subprocess.run(argv, stderr=PIPE, check=False)
    assert done.returncode == 1
    assert b"/nowhere/bwrap" in done.stderr or b"/run/0" in done.stderr

"""run(): exit codes, input, output, time-outs, limits, at both levels."""

import asyncio
import gc
import hashlib
import itertools
import os
import resource
import signal
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from core.errors import InvalidInput, Unavailable
from core.isolation.launch import PIPE, STDOUT, launch, run
from core.isolation.machine import probe_machine
from core.isolation.plan import Level, Limits, plan_launch


@pytest.mark.parametrize("code", [0, 1, 7, 255])
async def test_the_exit_code_comes_back(sh, box, code) -> None:
    assert (await sh(box, f"exit {code}")).exit_code == code


async def test_a_signal_is_128_and_its_number(sh, box) -> None:
    assert (await sh(box, "kill -SEGV $$")).exit_code == 128 + signal.SIGSEGV


async def test_output_and_error_come_in_order(sh, box) -> None:
    done = await sh(box, "echo one; echo two >&2; echo three")
    assert done.output == b"one\ntwo\nthree\n"


async def test_input_is_fed_whole(sh, box) -> None:
    done = await sh(box, "sha1sum", stdin=b"x" * 3_000_000)
    assert done.output.split()[0].decode() == hashlib.sha1(b"x" * 3_000_000).hexdigest()


async def test_a_program_that_ignores_its_input_is_fine(sh, box) -> None:
    done = await sh(box, "exec <&-; echo no thanks", stdin=b"x" * 3_000_000)
    assert (done.exit_code, done.output) == (0, b"no thanks\n")


async def test_without_input_it_reads_the_end_not_ours(sh, box) -> None:
    assert (await sh(box, "cat; echo end")).output == b"end\n"


async def test_a_program_that_does_not_end_is_ended(sh, box, tag) -> None:
    for seconds in (0.5, 5, 40):  # the first is enough where the machine has nothing else to do
        done = await sh(box, f"echo begun; sleep {tag.seconds}", timeout_seconds=seconds)
        assert done.timed_out
        assert done.exit_code is None
        assert tag.alive() == []
        if done.output:
            break
    assert done.output == b"begun\n"


async def test_a_program_that_ignores_term_is_ended(sh, box, tag) -> None:
    done = await sh(
        box, f"trap '' TERM INT HUP; sleep {tag.seconds}; sleep {tag.seconds}", timeout_seconds=0.5
    )
    assert done.timed_out
    assert tag.alive() == []


async def test_closing_its_output_is_not_its_end(sh, box) -> None:
    done = await sh(box, "exec >&- 2>&-; sleep 0.2; exit 5")
    assert done.exit_code == 5


async def test_a_flood_is_stopped_in_bounded_memory(sh, box) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    done = await sh(box, "echo first; yes abcdefgh | head -c 1000000000", output_limit_bytes=64 << 20)
    grown_mb = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert done.flooded
    assert done.exit_code is None
    assert done.output.startswith(b"first\nabcdefgh")
    assert len(done.output) < 100_000
    assert grown_mb < 20


async def test_much_output_below_the_limit_keeps_both_ends(sh, box) -> None:
    done = await sh(box, "echo first; yes abcdefgh | head -c 5000000; echo last")
    assert done.exit_code == 0
    assert not done.flooded
    assert done.output.startswith(b"first\n")
    assert done.output.endswith(b"last\n")
    assert done.output_bytes == 5_000_000 + len("first\nlast\n")


async def test_an_extra_file_descriptor_survives_into_the_program(machine, box) -> None:
    read, write = os.pipe()
    try:
        script = f"import os; os.write({write}, b'second channel')"
        planned = plan_launch([str(machine.python), "-I", "-S", "-c", script], box, machine)
        done = await run(planned, timeout_seconds=20, pass_fds=(write,))
        os.close(write)
        write = -1
        with os.fdopen(read, "rb") as pipe:
            read = -1
            assert pipe.read() == b"second channel"  # and its end: nobody keeps it open
        assert done.exit_code == 0
    finally:
        for fd in (read, write):
            if fd >= 0:
                os.close(fd)


async def test_no_other_file_descriptor_does(machine, box) -> None:
    read, write = os.pipe()
    os.set_inheritable(write, True)
    try:
        script = "import os; print(sorted(map(int, os.listdir('/proc/self/fd')))[:-1])"
        planned = plan_launch([str(machine.python), "-I", "-S", "-c", script], box, machine)
        done = await run(planned, timeout_seconds=20)
        assert done.output.strip() == b"[0, 1, 2]"
    finally:
        os.close(read)
        os.close(write)


async def test_the_environment_is_exactly_what_was_given(sh, box, monkeypatch) -> None:
    monkeypatch.setenv("DISCORD_TOKEN", "s3cret")
    done = await sh(replace(box, environment={"GIVEN": "yes", "LD_BIND_NOW": "1"}), "env")
    names = {line.split("=")[0] for line in done.output.decode().splitlines()}
    assert names - {"PWD", "_", "SHLVL", "OLDPWD"} == {
        "GIVEN",
        "HOME",
        "PATH",
        "LD_BIND_NOW",
        "ORCHARD_CONTAINED",
    }


async def test_it_runs_in_its_folder(sh, box) -> None:
    assert (await sh(box, "pwd -P")).output.decode().strip() == str(box.cwd)


async def test_a_command_that_does_not_exist_is_127(machine, box) -> None:
    done = await run(plan_launch(["/no/such/program"], box, machine), timeout_seconds=20)
    assert done.exit_code == 127
    assert b"/no/such/program" in done.output


async def test_a_folder_that_is_not_there_is_said(sh, box) -> None:
    with pytest.raises(InvalidInput, match="is not there"):
        await sh(replace(box, writable=(box.cwd / "gone",)), "true")


@pytest.mark.parametrize(
    ("script", "limits"),
    [
        ("bytearray(600 << 20)", Limits(memory_mb=300)),
        ("[open('/dev/null') for _ in range(100)]", Limits(open_files=50)),
        ("open('big', 'wb').write(bytes(3 << 20))", Limits(file_size_mb=2)),
    ],
    ids=["memory", "open files", "file size"],
)
async def test_limits_hold(machine, box, script, limits) -> None:
    argv = [str(machine.python), "-I", "-S", "-c", script]
    assert (await run(plan_launch(argv, box, machine), timeout_seconds=30)).exit_code == 0
    limited = replace(box, limits=limits)
    assert (await run(plan_launch(argv, limited, machine), timeout_seconds=30)).exit_code != 0


async def test_on_start_sees_the_running_process(machine, box) -> None:
    seen = []

    async def note(process) -> None:
        fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
        seen.append((process.start_ticks == int(fields[19]), process.group == os.getpgid(process.pid)))
        (box.cwd / "seen").touch()

    script = "while [ ! -e seen ]; do sleep 0.02; done"
    await run(plan_launch(["/bin/sh", "-c", script], box, machine), timeout_seconds=40, on_start=note)
    assert seen == [(True, True)]


async def test_talking_to_a_running_program(machine, box) -> None:
    process = await launch(plan_launch(["/bin/cat"], box, machine), stdin=PIPE, stdout=PIPE, stderr=STDOUT)
    process.stdin.write(b"hello\n")
    assert await process.stdout.readline() == b"hello\n"
    process.stdin.close()
    assert await process.stdout.read() == b""
    assert await process.wait() == 0
    assert process.returncode == 0
    await process.kill_tree()


async def test_a_line_longer_than_usual_can_be_read(machine, box) -> None:
    script = "head -c 5000000 /dev/zero | tr '\\0' x; echo"
    process = await launch(plan_launch(["/bin/sh", "-c", script], box, machine), stdout=PIPE)
    assert len(await process.stdout.readline()) == 5_000_001
    await process.kill_tree()


async def test_terminate_asks_the_program_itself(machine, box) -> None:
    script = "trap 'echo bye; exit 3' TERM; echo up; while :; do sleep 0.05; done"
    process = await launch(plan_launch(["/bin/sh", "-c", script], box, machine), stdout=PIPE)
    assert await process.stdout.readline() == b"up\n"
    process.terminate()
    assert await process.stdout.readline() == b"bye\n"
    assert await process.wait() == 3
    await process.kill_tree()


async def test_a_start_that_is_cancelled_leaves_no_pipe_open(machine, box, tag, recwarn) -> None:
    planned = plan_launch(["sleep", tag.seconds], box, machine)
    for steps in itertools.count(1):  # wherever it is when it happens
        start = asyncio.ensure_future(launch(planned, stdin=PIPE, stdout=PIPE, stderr=PIPE))
        for _ in range(steps):
            await asyncio.sleep(0)
        if start.done():
            break
        start.cancel()
        with pytest.raises(asyncio.CancelledError):
            await start
        assert tag.alive() == []
    await start.result().kill_tree()
    del start
    gc.collect()
    assert [str(each.message) for each in recwarn.list] == []
    assert steps > 3


async def test_a_machine_without_bubblewrap_gives_process_and_says_why(tmp_path) -> None:
    machine = await probe_machine(search_path=str(tmp_path))
    assert machine.levels == (Level.PROCESS,)
    assert machine.strongest is Level.PROCESS
    assert "not installed" in machine.reasons[Level.FILESYSTEM]


@pytest.mark.parametrize(
    ("says", "expected"),
    [
        (
            "echo 'bwrap: Creating new namespace failed: Operation not permitted' >&2; exit 1",
            "forbids user namespaces",
        ),
        ("echo 'bwrap: Unknown option --disable-userns' >&2; exit 1", "0.8 or newer"),
        ("exit 0", "does not work here"),
    ],
)
async def test_a_bubblewrap_that_does_not_work_is_not_believed(tmp_path, says, expected) -> None:
    for name, script in (("bwrap", says), ("prlimit", "exit 0")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{says if name == 'bwrap' else script}\n")
        (tmp_path / name).chmod(0o755)
    machine = await probe_machine(search_path=str(tmp_path))
    assert Level.FILESYSTEM not in machine.levels
    assert expected in machine.reasons[Level.FILESYSTEM]


async def test_a_sandbox_that_cannot_be_made_is_told_from_a_failing_program(machine, closed_box) -> None:
    broken = replace(machine, links=((Path("/etc/passwd"), "nonsense"),))
    with pytest.raises(Unavailable, match="could not be made") as caught:
        await run(plan_launch(["/bin/true"], closed_box, broken), timeout_seconds=20)
    assert "bwrap" in caught.value.why


async def test_our_own_python_runs_inside(machine, box) -> None:
    done = await run(
        plan_launch([str(Path(sys.executable).resolve()), "-I", "-S", "-c", "print(6 * 7)"], box, machine),
        timeout_seconds=20,
    )
    assert done.output == b"42\n"

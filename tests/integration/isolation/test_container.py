"""Real containers: what is inside, what ends them, and that nothing of them stays. Needs Podman."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from core.errors import Unavailable
from core.isolation.container.engine import command
from core.isolation.container.plan import Container, Engine
from core.isolation.container.probe import with_container
from core.isolation.launch import PIPE, Completed, launch, run
from core.isolation.machine import probe_machine
from core.isolation.plan import Door, Level, Limits, Machine, Sandbox, plan_launch
from tests.waiting import until

ROOT = Path(__file__).parents[3]

InContainer = Callable[..., Awaitable[Completed]]


@pytest.fixture(scope="module")
def able() -> Machine:
    """One probe for all: it starts a container."""

    async def probe() -> Machine:
        return await with_container(await probe_machine(), engines=(Engine.PODMAN,))

    found = asyncio.run(probe())
    if Level.CONTAINER not in found.levels:
        pytest.skip(found.reasons[Level.CONTAINER])
    return found


@pytest.fixture
def tmp_path(not_in_memory: Path) -> Path:
    return not_in_memory


@pytest.fixture
def engine(able: Machine) -> Container:
    assert able.container is not None
    return able.container


@pytest.fixture
def box(tmp_path: Path) -> Sandbox:
    tree, home = tmp_path / "tree", tmp_path / "home"
    (tree / ".git" / "hooks").mkdir(parents=True)
    home.mkdir()
    (tmp_path / "secret").write_text("not for you")
    return Sandbox(level=Level.CONTAINER, cwd=tree, home=home, writable=(tree,), network=False)


@pytest.fixture
def inside(able: Machine) -> InContainer:
    async def run_it(box: Sandbox, script: str, *, seconds: float = 120, **options: object) -> Completed:
        planned = plan_launch(["/bin/sh", "-c", script], box, able)
        return await run(planned, timeout_seconds=seconds, **options)  # type: ignore[arg-type]

    return run_it


@pytest.fixture
def ours(engine: Container) -> Callable[[str], Awaitable[bool]]:
    """Whether a container of that name is there, in whatever state."""

    async def is_there(name: str) -> bool:
        return (await command(engine.program, engine.options, "container", "exists", name)).fine

    return is_there


async def test_what_a_program_finds_inside(box: Sandbox, inside: InContainer, tmp_path: Path) -> None:
    script = f"""
        grep -E '^(Cap|NoNew)' /proc/self/status
        for place in /x /etc/x /usr/x {box.cwd}/.git/hooks/x; do
            touch $place 2>/dev/null && echo wrote $place
        done
        cat {tmp_path}/secret 2>/dev/null && echo read it
        ls {Path.home()}/.ssh 2>/dev/null && echo keys
        unshare --user true 2>/dev/null && echo a namespace
        mount -t tmpfs none /mnt 2>/dev/null && echo mounted
        echo x > /proc/sys/kernel/core_pattern && echo core
        touch /tmp/fine worked "$HOME/kept" && echo token $TOKEN
    """
    done = await inside(replace(box, environment={"TOKEN": "t0ken"}), script + "exit 7\n")
    said = done.output.decode()
    assert done.exit_code == 7, said
    assert "token t0ken" in said
    lines = dict(line.split(":\t") for line in said.splitlines() if line.startswith(("Cap", "NoNew")))
    assert set(lines.values()) == {"0" * 16, "1"}
    for bad in ("wrote", "read it", "keys", "a namespace", "mounted", "\ncore"):
        assert bad not in said, said
    assert (box.cwd / "worked").stat().st_uid == box.cwd.stat().st_uid
    assert (box.home / "kept").exists()


async def test_limits_of_processes_and_memory_hold(able: Machine, box: Sandbox, inside: InContainer) -> None:
    assert able.container is not None
    if not able.container.holds_limits:
        pytest.skip("this engine ignores limits here")
    box = replace(box, limits=Limits(memory_mb=96, processes=20))
    bomb = "for n in $(seq 200); do sleep 100 & done 2>&1 | grep -c -i -m1 fork"
    many = await inside(box, bomb)
    assert b"1" in many.output or many.exit_code != 0, many.output
    eat = f"{able.python} -c 'held = bytearray(300 << 20); print(len(held))'"
    much = await inside(box, eat)
    assert much.exit_code == 137
    assert b"314572800" not in much.output


async def test_streams_descriptors_and_a_polite_end(able: Machine, box: Sandbox) -> None:
    reading, writing = os.pipe()
    script = (
        "trap 'echo asked; exit 3' TERM; read line; echo got $line; echo oops >&2;"
        f"echo five > /proc/self/fd/{writing}; while :; do sleep 0.1; done"
    )
    planned = plan_launch(["/bin/sh", "-c", script], box, able)
    try:
        process = await launch(planned, stdin=PIPE, stdout=PIPE, stderr=PIPE, pass_fds=(writing,))
    finally:
        os.close(writing)
    try:
        assert process.stdin
        assert process.stdout
        assert process.stderr
        process.stdin.write(b"hello\n")
        async with asyncio.timeout(60):
            assert await process.stdout.readline() == b"got hello\n"
            assert await process.stderr.readline() == b"oops\n"
            assert os.read(reading, 5) == b"five\n"
            process.terminate()
            assert await process.stdout.readline() == b"asked\n"
            assert await process.wait() == 3
    finally:
        os.close(reading)
        await process.kill_tree()


async def test_kill_tree_leaves_no_process_and_no_container(able: Machine, box: Sandbox, tag, ours) -> None:
    script = f"setsid sleep {tag.seconds} & sleep {tag.seconds}"
    process = await launch(plan_launch(["/bin/sh", "-c", script], box, able))
    await tag.wait_until(2)
    await process.kill_tree()
    assert tag.alive() == []
    assert not await ours(process.name)
    assert process.returncode == 137


async def test_a_killed_client_takes_its_container_along(able: Machine, box: Sandbox, tag, ours) -> None:
    process = await launch(plan_launch(["sleep", tag.seconds], box, able))
    await tag.wait_until(1)
    os.kill(process.pid, signal.SIGKILL)
    async with asyncio.timeout(60):
        assert await process.wait() == 137
    assert tag.alive() == []
    await process.kill_tree()
    assert not await ours(process.name)


LAUNCHER = """
import asyncio, sys
from pathlib import Path
from core.isolation.container.plan import Engine
from core.isolation.container.probe import with_container
from core.isolation.launch import launch
from core.isolation.machine import probe_machine
from core.isolation.plan import Level, Sandbox, plan_launch

async def main(tree, home, seconds):
    machine = await with_container(await probe_machine(), engines=(Engine.PODMAN,))
    box = Sandbox(level=Level.CONTAINER, cwd=tree, home=home, writable=(tree,), network=False)
    words = ["/bin/sh", "-c", f"setsid sleep {seconds} & sleep {seconds}"]
    process = await launch(plan_launch(words, box, machine))
    print(process.name, flush=True)
    await asyncio.sleep(600)

asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]))
"""


async def test_a_killed_launcher_leaves_no_container(able: Machine, box: Sandbox, tag, ours) -> None:
    words = [sys.executable, "-c", LAUNCHER, str(box.cwd), str(box.home), tag.seconds]
    launcher = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True)  # noqa: ASYNC220
    try:
        assert launcher.stdout
        name = (await asyncio.to_thread(launcher.stdout.readline)).strip()
        assert name
        await tag.wait_until(2)
    finally:
        launcher.kill()
        launcher.wait()
        assert launcher.stdout
        launcher.stdout.close()
    await tag.wait_until(0)

    async def gone() -> bool:
        return not await ours(name)

    await until(gone, f"container {name} is still there")


async def test_too_slow_is_ended_and_reported(box: Sandbox, inside: InContainer) -> None:
    done = await inside(box, "echo begun; sleep 1000", seconds=4)
    assert done.timed_out
    assert done.exit_code is None


async def test_a_door_is_the_only_way_out(
    box: Sandbox, able: Machine, inside: InContainer, tmp_path: Path
) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"from outside\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_unix_server(answer, tmp_path / "door")
    (tmp_path / "door").chmod(0o666)
    other = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = other.sockets[0].getsockname()[1]
    asking = f"""
import json, socket
found = {{}}
places = {{"door": ("127.0.0.1", 18080), "host": ("127.0.0.1", {port}), "out": ("192.0.2.1", 80)}}
for name, place in places.items():
    try:
        with socket.create_connection(place, 5) as made:
            made.sendall(b"hi\\n")
            found[name] = made.recv(100).decode()
    except OSError as error:
        found[name] = type(error).__name__
print(json.dumps(found))
"""
    (box.cwd / "ask.py").write_text(asking)
    box = replace(box, network=True, doors=(Door(socket=tmp_path / "door", port=18080),))
    try:
        done = await inside(box, f"{able.python} ask.py")
    finally:
        server.close()
        other.close()
    found = json.loads(done.output)
    assert found["door"] == "from outside\n"
    assert found["host"] == "ConnectionRefusedError"
    assert found["out"] == "OSError"


async def test_an_unknown_program_is_said_plainly(box: Sandbox, able: Machine) -> None:
    done = await run(plan_launch(["no-such-program"], box, able), timeout_seconds=60)
    assert done.exit_code == 127
    assert b"cannot run no-such-program" in done.output


async def test_an_image_that_is_not_there_is_told_of(box: Sandbox, able: Machine) -> None:
    planned = plan_launch(["true"], replace(box, image="localhost/orchard-nowhere:1"), able)
    with pytest.raises(Unavailable, match="orchard-nowhere"):
        await run(planned, timeout_seconds=60)


async def test_the_probe_says_what_is_missing(able: Machine, tmp_path: Path) -> None:
    bare = replace(able, levels=(Level.PROCESS,), container=None)
    nothing = await with_container(bare, search_path=str(tmp_path))
    assert Level.CONTAINER not in nothing.levels
    assert "apt-get install podman" in nothing.reasons[Level.CONTAINER]
    unknown = await with_container(bare, image="localhost/orchard-nowhere:1", engines=(Engine.PODMAN,))
    assert "podman pull localhost/orchard-nowhere:1" in unknown.reasons[Level.CONTAINER]


async def test_an_engine_that_does_not_answer_is_no_engine(able: Machine, tmp_path: Path) -> None:
    broken = tmp_path / "docker"
    broken.write_text("#!/bin/sh\necho 'Cannot connect to the Docker daemon' >&2\nexit 1\n")
    broken.chmod(0o755)
    found = await with_container(able, engines=(Engine.DOCKER,), search_path=str(tmp_path))
    assert "Cannot connect to the Docker daemon" in found.reasons[Level.CONTAINER]

"""Level network, attacked from inside of real sandboxes."""

from __future__ import annotations

import asyncio
import json
import platform
import socket
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from core.errors import InvalidInput
from core.isolation.egress.proxy import Denial, EgressProxy
from core.isolation.egress.rules import parse_egress
from core.isolation.egress.tunnel import open_passage
from core.isolation.launch import PIPE, Completed, launch, run
from core.isolation.plan import Door, Level, Limits, Machine, Mount, Sandbox, plan_launch
from core.isolation.seccomp import REFUSALS, Argument, filter_for

pytestmark = pytest.mark.bwrap

PROGRAMS = Path(__file__).with_name("programs")
PROXY_PORT = 13128
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"
ODD_ERRNO = 121  # no call of the list gives it by itself

InPython = Callable[..., Awaitable[Completed]]


@pytest.fixture
def net_box(closed_box: Sandbox, machine: Machine) -> Sandbox:
    if Level.NETWORK not in machine.levels:
        pytest.skip(machine.reasons[Level.NETWORK])
    shown = (Mount(source=PROGRAMS, target=PROGRAMS),)
    return replace(closed_box, level=Level.NETWORK, network=False, mounts=shown)


@pytest.fixture
def in_python(machine: Machine) -> InPython:
    """`await in_python(box, program or code, *words)`, by the interpreter that every sandbox sees."""

    async def run_it(box: Sandbox, what: str | Path, *words: str, on: Machine = machine) -> Completed:
        code = [str(what)] if isinstance(what, Path) else ["-c", what]
        planned = plan_launch([str(machine.python), "-I", *code, *words], box, on)
        return await run(planned, timeout_seconds=60)

    return run_it


@pytest.fixture
async def echo_port() -> AsyncIterator[int]:
    """A server of this machine that says all that it heard back, behind an answer of HTTP."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(ANSWER)
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()


@pytest.fixture
async def opened(
    net_box: Sandbox, echo_port: int, tmp_path: Path
) -> AsyncIterator[tuple[Sandbox, list[Denial], EgressProxy]]:
    """With a proxy that allows site.example and the echo server, and that server as the gateway."""
    told: list[Denial] = []

    async def resolve(host: str) -> list[str]:
        return {"site.example": ["127.0.0.1"], "inward.example": ["10.0.0.1"]}[host]

    rules = [f"site.example:{echo_port}", f"127.0.0.1:{echo_port}", "inward.example:443"]
    proxy_path, gateway_path = tmp_path / "p", tmp_path / "g"
    async with AsyncExitStack() as stack:
        proxy = await stack.enter_async_context(
            EgressProxy.open(proxy_path, parse_egress(rules), told.append, resolve=resolve)
        )
        await stack.enter_async_context(open_passage(gateway_path, "127.0.0.1", echo_port))
        doors = (
            Door(socket=proxy_path, port=PROXY_PORT, proxy=True),
            Door(socket=gateway_path, port=echo_port),
        )
        yield replace(net_box, network=True, doors=doors), told, proxy


@pytest.fixture
def attempts() -> Iterator[dict[str, list[object]]]:
    """Ways out that are no door."""
    name = f"orchard-{uuid.uuid4().hex}"
    with socket.socket(socket.AF_UNIX) as secret, socket.socket() as api:
        secret.bind("\0" + name)
        secret.listen()
        api.bind(("127.0.0.1", 0))
        api.listen()
        yield {
            "this machine's service": ["tcp", "127.0.0.1", api.getsockname()[1]],
            "the same by IPv6": ["tcp", "::1", api.getsockname()[1]],
            "an address of the internet": ["tcp", "192.0.2.1", 443],
            "the metadata service": ["tcp", "169.254.169.254", 80],
            "a name server": ["udp", "192.0.2.53", 53],
            "a name": ["resolve", "index.example"],
            "an abstract socket": ["abstract", name],
        }


CLOSED = {"ECONNREFUSED", "ENETUNREACH", "EADDRNOTAVAIL", "gaierror", "EAFNOSUPPORT"}


async def test_without_network_nothing_is_reached(net_box, in_python, attempts) -> None:
    done = await in_python(net_box, PROGRAMS / "reach.py", json.dumps(list(attempts.values())))
    found = dict(zip(attempts, json.loads(done.output), strict=True))
    assert {what: result for what, result in found.items() if result not in CLOSED | {"EAI_AGAIN"}} == {}


async def test_with_doors_only_the_doors_are_reached(opened, in_python, attempts, echo_port) -> None:
    box, told, _ = opened
    doors = {
        "gateway": ["said", echo_port, "GET /v1"],
        "allowed": ["said", PROXY_PORT, f"CONNECT site.example:{echo_port} HTTP/1.1\r\n\r\nping"],
        "other": ["said", PROXY_PORT, "CONNECT evil.example:443 HTTP/1.1\r\n\r\n"],
        "metadata": ["said", PROXY_PORT, "GET http://169.254.169.254/latest HTTP/1.1\r\n\r\n"],
        "private": ["said", PROXY_PORT, "CONNECT inward.example:443 HTTP/1.1\r\n\r\n"],
        "port": ["said", PROXY_PORT, "CONNECT site.example:22 HTTP/1.1\r\n\r\n"],
    }
    ways = [*attempts.values(), *doors.values()]
    done = await in_python(box, PROGRAMS / "reach.py", json.dumps(ways))
    found = dict(zip([*attempts, *doors], json.loads(done.output), strict=True))
    assert {what: found[what] for what in attempts if found[what] not in CLOSED | {"EAI_AGAIN"}} == {}
    assert found["gateway"] == ANSWER.decode() + "GET /v1"
    assert found["allowed"].endswith("established\r\n\r\n" + ANSWER.decode() + "ping")
    assert [found[what][9:12] for what in ("other", "metadata", "private", "port")] == ["403"] * 4
    assert [one.host for one in told] == [
        "evil.example",
        "169.254.169.254",
        "inward.example",
        "site.example",
    ]


async def test_programs_find_the_proxy_by_their_environment_and_the_gateway_without(
    opened, in_python, echo_port
) -> None:
    box, told, proxy = opened
    code = (
        "import urllib.request as r\n"
        f"for host in ('site.example', '127.0.0.1'):\n"
        f"    print(r.urlopen(f'http://{{host}}:{echo_port}/', timeout=20).read())\n"
    )
    done = await in_python(box, code)
    assert done.output.decode().splitlines() == ["b'hello'"] * 2, done.output
    assert list(proxy.traffic.hosts) == ["site.example"]
    assert told == []


async def test_much_is_carried_unharmed_in_many_connections_at_once(opened, in_python, echo_port) -> None:
    box, _, _ = opened
    code = f"""
import hashlib, random, socket, threading
def one(n, size):
    data = random.Random(n).randbytes(size)
    with socket.create_connection(("127.0.0.1", {echo_port}), timeout=60) as s:
        def send():
            s.sendall(data)
            s.shutdown(socket.SHUT_WR)
        threading.Thread(target=send).start()
        back = b"".join(iter(lambda: s.recv(65536), b""))
    good.append(back[{len(ANSWER)}:] == data)
good = []
threads = [threading.Thread(target=one, args=(n, 4_000_000 if n == 0 else 20_000)) for n in range(60)]
for t in threads: t.start()
for t in threads: t.join()
print(good.count(True))
"""
    assert (await in_python(box, code)).output == b"60\n"


@pytest.mark.parametrize(
    ("script", "code"), [("exit 7", 7), ("kill -9 $$", 137), ("kill -TERM 0", 143), ("exec /nowhere", 127)]
)
async def test_the_relay_ends_as_the_program_does(sh, opened, script: str, code: int) -> None:
    assert (await sh(opened[0], script)).exit_code == code


async def test_what_is_asked_of_the_sandbox_reaches_the_program(opened, machine) -> None:
    script = 'trap "echo told; exit 3" TERM; echo ready; while :; do read x || :; done'
    process = await launch(
        plan_launch(["/bin/bash", "-c", script], opened[0], machine), stdin=PIPE, stdout=PIPE
    )
    try:
        async with asyncio.timeout(60):
            assert await process.stdout.readline() == b"ready\n"
            process.terminate()
            process.stdin.write(b"\n")
            assert await process.stdout.readline() == b"told\n"
            assert await process.wait() == 3
    finally:
        await process.kill_tree()


async def test_output_ends_with_the_program_and_the_limits_are_its_own(sh, opened) -> None:
    box = replace(opened[0], limits=Limits(open_files=64, memory_mb=256))
    done = await sh(box, "ulimit -n; ls /proc/self/fd | wc -l; (sleep 5000 &) ; echo end")
    assert done.exit_code == 0
    assert done.output.split() == [b"64", b"4", b"end"]
    assert done.seconds < 30


async def test_ending_the_relay_ends_the_program(sh, opened, tag) -> None:
    done = await sh(opened[0], f"kill -9 $PPID; sleep {tag.seconds}")
    assert done.exit_code == 137
    await tag.wait_until(0)


async def test_a_door_that_is_not_there_is_said_before_anything_starts(sh, opened, tmp_path) -> None:
    box = replace(opened[0], doors=(Door(socket=tmp_path / "none", port=4000),))
    with pytest.raises(InvalidInput, match="none is not there"):
        await sh(box, "true")


def _worst(argument: Argument) -> int:
    """A value of the argument that the filter refuses."""
    if argument.inverted:
        return 17  # neither of a family nor of a protocol that is allowed
    return argument.values[0] if argument.values else argument.mask


async def test_the_kernel_refuses_each_call_of_the_filter(net_box, in_python, machine) -> None:
    calls: dict[str, tuple[int, list[int]]] = {}
    for place, refusal in enumerate(REFUSALS):
        number = refusal.numbers[0 if platform.machine() == "x86_64" else 1]
        if number is not None:
            words = [-1] * 6  # no descriptor, no address: harmless, should the filter let it pass
            for argument in refusal.arguments:
                words[argument.index] = _worst(argument)
            calls[f"{place} {refusal.name}"] = (number, words)
    odd = filter_for(platform.machine(), errno=ODD_ERRNO)
    assert odd is not None
    words = json.dumps(list(calls.values()))
    done = await in_python(net_box, PROGRAMS / "refused_calls.py", words, on=replace(machine, seccomp=odd))
    found = dict(zip(calls, json.loads(done.output), strict=True))
    assert {name: errno for name, errno in found.items() if errno != ODD_ERRNO} == {}


async def test_what_programs_need_still_works_under_the_filter(net_box, in_python, machine) -> None:
    code = """
import os, socket, subprocess, threading, multiprocessing, tempfile
t = threading.Thread(target=lambda: None); t.start(); t.join()
subprocess.run(["/bin/true"], check=True)
socket.socketpair(); socket.if_nameindex(); socket.socket(socket.AF_INET6).close()
p = multiprocessing.get_context("fork").Process(target=int); p.start(); p.join()
with tempfile.TemporaryFile() as f: f.write(b"x")
os.mkdir("d"); os.chmod("d", 0o2775); os.chmod("d", 0o755)
print("fine")
"""
    assert (await in_python(net_box, code)).output == b"fine\n"


async def test_a_file_that_runs_as_its_owner_cannot_be_left_outside(net_box, in_python) -> None:
    code = """
import os
for make in (lambda: os.close(os.open("a", os.O_CREAT | os.O_WRONLY, 0o4755)),
             lambda: (open("b", "w").close(), os.chmod("b", 0o4755)),
             lambda: os.mknod("c", 0o104755)):
    try:
        make()
        print("done")
    except PermissionError:
        print("refused")
"""
    assert (await in_python(net_box, code)).output.split() == [b"refused"] * 3
    assert [path.name for path in net_box.cwd.iterdir() if path.stat().st_mode & 0o6000] == []

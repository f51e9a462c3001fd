"""The proxy on its unix socket, with servers of ours behind it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from core.errors import InvalidInput
from core.isolation.egress.proxy import Bounds, Denial, EgressProxy
from core.isolation.egress.rules import parse_egress
from core.isolation.egress.tunnel import open_passage

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"


class Site:
    """Keeps what each connection said; answers when a request's head and its stated body are there."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.heard.append(b"")
        place = len(self.heard) - 1
        answered = False
        while data := await reader.read(65536):
            self.heard[place] += data
            if not answered and self.heard[place].endswith((b"\r\n\r\n", b"BODY", b"0\r\n\r\n")):
                answered = True
                writer.write(ANSWER)
                writer.write_eof()
        writer.close()


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    made = Site()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    yield made
    server.close()


class Names:
    """A name server of ours: each time the next answer, the last one again and again."""

    def __init__(self, **answers: Sequence[Sequence[str]]) -> None:
        self._answers = {name.replace("_", "."): list(given) for name, given in answers.items()}
        self.asked: list[str] = []

    async def __call__(self, host: str) -> Sequence[str]:
        self.asked.append(host)
        given = self._answers.get(host)
        if not given:
            raise OSError("Name or service not known")
        return given.pop(0) if len(given) > 1 else given[0]


Outside = Callable[..., AbstractAsyncContextManager[tuple[EgressProxy, list[Denial]]]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "p.sock"


@pytest.fixture
def outside(path: Path) -> Outside:
    @asynccontextmanager
    async def open_one(
        *rules: str, names: Names | None = None, bounds: Bounds | None = None
    ) -> AsyncIterator[tuple[EgressProxy, list[Denial]]]:
        told: list[Denial] = []
        resolve = names or Names()
        async with EgressProxy.open(
            path, parse_egress(rules), told.append, resolve=resolve, bounds=bounds
        ) as proxy:
            yield proxy, told

    return open_one


async def ask(path: Path, data: bytes, *, end: bool = False) -> bytes:
    """All that comes back."""
    reader, writer = await asyncio.open_unix_connection(path)
    try:
        writer.write(data)
        if end:
            writer.write_eof()
        async with asyncio.timeout(50):
            return await reader.read()
    finally:
        writer.close()


def connect(target: str) -> bytes:
    return f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode()


def get(target: str, *lines: str) -> bytes:
    return "\r\n".join([f"GET {target} HTTP/1.1", *lines, "", ""]).encode()


async def test_a_tunnel_to_what_is_named_carries_both_ways_and_is_counted(outside, path, site) -> None:
    names = Names(site_example=[["127.0.0.1"]])
    async with outside(f"site.example:{site.port}", f"127.0.0.1:{site.port}", names=names) as (proxy, told):
        said = await ask(path, connect(f"site.example:{site.port}") + b"GET / HTTP/1.1\r\n\r\n", end=True)
    assert said == b"HTTP/1.1 200 Connection established\r\n\r\n" + ANSWER
    assert site.heard == [b"GET / HTTP/1.1\r\n\r\n"]
    assert (proxy.traffic.sent_bytes, proxy.traffic.received_bytes) == (18, len(ANSWER))
    assert proxy.traffic.hosts == {"site.example": 18 + len(ANSWER)}
    assert told == []


async def test_a_plain_request_arrives_with_the_host_that_was_judged(outside, path, site) -> None:
    names = Names(site_example=[["127.0.0.1"]])
    async with outside(f"site.example:{site.port}", f"127.0.0.1:{site.port}", names=names):
        said = await ask(path, get(f"http://site.example:{site.port}/a?b", "Host: other.example", "X: y"))
    assert said == ANSWER
    host = f"site.example:{site.port}"
    assert site.heard == [f"GET /a?b HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nX: y\r\n\r\n".encode()]


async def test_what_no_rule_names_is_refused_unresolved_and_told_once(outside, path) -> None:
    names = Names(evil_example=[["127.0.0.1"]])
    async with outside("good.example", names=names) as (proxy, told):
        answers = [await ask(path, connect("Evil.example.:443")) for _ in range(3)]
    assert {answer.split(b"\r\n")[0] for answer in answers} == {b"HTTP/1.1 403 Forbidden"}
    assert b"Add 'evil.example:443'" in answers[0]
    assert [(one.host, one.port) for one in told] == [("evil.example", 443)]
    assert names.asked == []
    assert proxy.traffic.denied == 3


@pytest.mark.parametrize("port", [22, 25, 8080, 65535])
async def test_a_tunnel_to_another_port_of_an_allowed_host_is_refused(outside, path, port: int) -> None:
    async with outside("good.example") as (_, told):
        assert b" 403 " in await ask(path, connect(f"good.example:{port}"))
    assert told[0].hint == f"Add 'good.example:{port}' to the project's allow-list."


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "::ffff:127.0.0.1", "fd00:ec2::254", "0.0.0.0"],
)
async def test_an_allowed_name_leads_to_no_private_address(outside, path, site, address: str) -> None:
    names = Names(good_example=[[address]])
    async with outside(f"good.example:{site.port}", names=names) as (_, told):
        assert b" 403 " in await ask(path, connect(f"good.example:{site.port}"))
        assert b" 403 " in await ask(path, get(f"http://good.example:{site.port}/"))
    assert "not a public" in told[0].why or "own" in told[0].why
    assert site.heard == []


@pytest.mark.parametrize(
    "target",
    [
        "127.0.0.1",
        "0x7f.1",
        "2130706433",
        "127.1",
        "localhost",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "127。0。0。1",
    ],
)
async def test_this_machine_is_not_reached_however_it_is_written(outside, path, site, target: str) -> None:
    async with outside("*:1-65535", names=Names(localhost=[["127.0.0.1"]])) as (_, told):
        for request in (connect(f"{target}:{site.port}"), get(f"http://{target}:{site.port}/")):
            assert (await ask(path, request)).split(b" ")[1] in (b"403", b"400")
    assert told
    assert site.heard == []


async def test_a_name_that_changes_its_address_is_judged_again_and_resolved_once_a_connection(
    outside, path, site
) -> None:
    names = Names(rebind_example=[["127.0.0.1"], ["127.0.0.2"]])
    async with outside(f"rebind.example:{site.port}", f"127.0.0.1:{site.port}", names=names) as (_, told):
        assert await ask(path, get(f"http://rebind.example:{site.port}/")) == ANSWER
        assert names.asked == ["rebind.example"]
        assert b" 403 " in await ask(path, get(f"http://rebind.example:{site.port}/"))
    assert "127.0.0.2" in told[0].why


async def test_of_several_addresses_only_the_allowed_are_tried(outside, path, site) -> None:
    names = Names(mixed_example=[["10.0.0.1", "127.0.0.1"]])
    async with outside(f"mixed.example:{site.port}", f"127.0.0.1:{site.port}", names=names):
        assert await ask(path, get(f"http://mixed.example:{site.port}/")) == ANSWER


EVIL = b"GET http://evil.example/ HTTP/1.1\r\nHost: evil.example\r\n\r\n"


@pytest.mark.parametrize(
    ("framing", "body", "arrives"),
    [
        (b"Content-Length: 4\r\n", b"BODY", b"BODY"),
        (b"Transfer-Encoding: chunked\r\n", b"4\r\nBODY\r\n0\r\n\r\n", b"4\r\nBODY\r\n0\r\n\r\n"),
    ],
)
async def test_a_second_request_behind_the_first_goes_nowhere(
    outside, path, site, framing: bytes, body: bytes, arrives: bytes
) -> None:
    async with outside(f"127.0.0.1:{site.port}"):
        head = f"POST http://127.0.0.1:{site.port}/ HTTP/1.1\r\n".encode() + framing + b"\r\n"
        assert (await ask(path, head + body + EVIL)).startswith(b"HTTP/1.1 200 OK")
    assert len(site.heard) == 1
    assert site.heard[0].partition(b"\r\n\r\n")[2] == arrives
    assert b"evil" not in site.heard[0]


@pytest.mark.parametrize(
    "framing",
    [
        b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
        b"Content-Length: 4\r\nContent-Length: 60\r\n",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        b"Transfer-Encoding : chunked\r\n",
        b"Content-Length: 4\nX: y\r\n",
        b"X: a\r\n b\r\n",
    ],
)
async def test_an_ambiguous_request_never_reaches_the_site(outside, path, site, framing: bytes) -> None:
    async with outside(f"127.0.0.1:{site.port}") as (_, told):
        head = f"POST http://127.0.0.1:{site.port}/ HTTP/1.1\r\n".encode() + framing + b"\r\n"
        assert (await ask(path, head + b"BODY" + EVIL)).startswith(b"HTTP/1.1 400 ")
    assert site.heard == []
    assert len(told) == 1


async def test_a_head_without_end_is_refused_and_a_silent_client_is_not_waited_for(outside, path) -> None:
    async with outside(bounds=Bounds(head_bytes=2048)) as (proxy, _):
        assert b" 431 " in (await ask(path, b"GET http://a/ HTTP/1.1\r\nX: " + b"a" * 8192)).split(b"\r\n")[0]
        assert await ask(path, b"GET http://a", end=True) == b""
    assert proxy.traffic.connections == 2
    async with outside(bounds=Bounds(head_seconds=1.0)):
        assert b" 408 " in (await ask(path, b"GET http://a")).split(b"\r\n")[0]


async def test_more_connections_than_allowed_are_cut(outside, path) -> None:
    async with outside(bounds=Bounds(connections=2)):
        held = [await asyncio.open_unix_connection(path) for _ in range(2)]
        assert await ask(path, b"") == b""
        for _, writer in held:
            writer.close()


async def test_a_tunnel_on_which_nothing_moves_is_closed(outside, path, site) -> None:
    async with outside(f"127.0.0.1:{site.port}", bounds=Bounds(idle_seconds=0.2)):
        assert (await ask(path, connect(f"127.0.0.1:{site.port}"))).endswith(b"established\r\n\r\n")


async def test_a_host_that_cannot_be_reached_is_no_denial(outside, path) -> None:
    async with outside("gone.example") as (proxy, told):
        said = await ask(path, connect("gone.example:443"))
    assert said.startswith(b"HTTP/1.1 502 ")
    assert b"gone.example cannot be reached" in said
    assert (told, proxy.traffic.denied) == ([], 0)


async def test_the_end_of_the_proxy_cuts_what_is_open_and_removes_its_socket(outside, path, site) -> None:
    async with outside(f"127.0.0.1:{site.port}"):
        assert path.stat().st_mode & 0o777 == 0o600
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(connect(f"127.0.0.1:{site.port}"))
        assert await reader.readuntil(b"\r\n\r\n")
    async with asyncio.timeout(50):
        assert await reader.read() == b""
    writer.close()
    assert not path.exists()


async def test_a_leftover_socket_is_replaced_and_nothing_else_is(outside, path, tmp_path) -> None:
    server = await asyncio.start_unix_server(lambda _r, _w: None, path)
    server.close()
    assert path.exists()
    async with outside():
        assert b" 400 " in await ask(path, b"nonsense\r\n\r\n")
    path.write_text("mine")
    with pytest.raises(InvalidInput, match="in the way"):
        async with outside():
            pass
    assert path.read_text() == "mine"
    with pytest.raises(InvalidInput, match="too long"):
        async with open_passage(tmp_path / ("x" * 120), "127.0.0.1", 1):
            pass


async def test_a_passage_leads_to_one_place(path, site) -> None:
    async with open_passage(path, "127.0.0.1", site.port):
        assert await ask(path, b"GET /v1 HTTP/1.1\r\n\r\n", end=True) == ANSWER
    assert site.heard == [b"GET /v1 HTTP/1.1\r\n\r\n"]


# Attacks on the proxy itself


@pytest.mark.parametrize(
    "target",
    [
        "user@good.example:443",
        "good.example@evil.example:443",
        "good.example:443@evil.example:443",
        "good.example:443:443",
        "good.example:0443443",
        "good.example:-443",
        "good.example: 443",
        "good.example%2eevil.example:443",
        "good.example\\.evil.example:443",
        "[good.example]:443",
        "[::1%25lo]:443",
        "[fe80::1%eth0]:443",
        "::1:443",
        "good.example.:65536",
        "good..example:443",
        ".good.example:443",
        "good.example..:443",
        "xn--.example:443",
        "a" * 64 + ".example:443",
        "good.example/:443",
        "good.example?x:443",
        "*.example:443",
        "",
    ],
)
async def test_tricks_with_the_target_of_a_tunnel_lead_nowhere(outside, path, target: str) -> None:
    names = Names(good_example=[["192.0.2.1"]])
    async with outside("good.example", names=names) as (proxy, _):
        status = (await ask(path, connect(target))).split(b" ")[1]
    assert status in (b"400", b"403")
    assert names.asked == []
    assert proxy.traffic.denied == 1


async def test_names_of_other_scripts_are_judged_as_they_are_resolved(outside, path, site) -> None:
    names = Names(**{"xn--bcher-kva_example": [["127.0.0.1"]]})
    rules = (f"bücher.example:{site.port}", f"127.0.0.1:{site.port}")
    async with outside(*rules, names=names):
        for host in ("xn--bcher-kva.example", "XN--BCHER-KVA.Example."):
            assert await ask(path, get(f"http://{host}:{site.port}/")) == ANSWER
        # Looks alike: a Cyrillic letter, which is another name.
        homograph = "b\u00fcch\u0435r.example".encode("idna").decode()
        assert b" 403 " in await ask(path, get(f"http://{homograph}:{site.port}/"))
    assert set(names.asked) == {"xn--bcher-kva.example"}


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET http://good.example/ HTTP/1.1\r\n" + b"X: a\r\n" * 200 + b"\r\n", b"400"),
        (b"GET http://good.example/ HTTP/1.1\r\n" + b"X: a\r\n" * 20_000 + b"\r\n", b"431"),
        (b"GET http://good.example/" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n", b"431"),
        (b"A" * 1_000_000, b"431"),
        (b"\0" * 1000 + b"\r\n\r\n", b"400"),
        (b"\x16\3\1\0\xa5\r\n\r\n", b"400"),
        (b"\r\n\r\n", b"400"),
    ],
)
async def test_floods_of_headers_and_endless_lines_are_refused(outside, path, head: bytes, status) -> None:
    async with outside("good.example"):
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(head)
        async with asyncio.timeout(50):
            assert (await reader.readuntil(b"\r\n")).split(b" ")[1] == status
        writer.transport.abort()
        assert b" 403 " in await ask(path, connect("evil.example:443"))  # it serves on


async def served_again(path: Path) -> None:
    """Places that were taken are free a moment later."""
    async with asyncio.timeout(50):
        while True:
            with contextlib.suppress(ConnectionError):
                if b" 403 " in await ask(path, connect("evil.example:443")):
                    return
            await asyncio.sleep(0.01)


async def test_slow_clients_hold_their_places_for_a_time_only(outside, path) -> None:
    async with outside(bounds=Bounds(connections=20, head_seconds=1.0)) as (proxy, _):
        slow = []
        for _ in range(20):
            reader, writer = await asyncio.open_unix_connection(path)
            writer.write(b"GET http://a")  # and never on
            slow.append((reader, writer))
        async with asyncio.timeout(50):
            for reader, _ in slow:
                assert b" 408 " in await reader.read()
        for _, writer in slow:
            writer.close()
        await served_again(path)
    assert proxy.traffic.denied >= 21


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208


async def test_two_thousand_connections_leave_nothing(outside, path) -> None:
    async with outside() as (proxy, _):
        await ask(path, connect("evil.example:443"))
        tasks, files = len(asyncio.all_tasks()), open_files()
        for _ in range(2_000):
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as near:
                while near.connect_ex(str(path)):  # noqa: ASYNC110  # the kernel's queue is full
                    await asyncio.sleep(0)
        async with asyncio.timeout(50):
            await served_again(path)
            while len(asyncio.all_tasks()) > tasks or open_files() > files:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    assert proxy.traffic.connections > 256


async def test_a_half_closed_tunnel_carries_the_other_way_on(outside, path) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        said = await reader.read()  # to the end of what the client says, and only then
        writer.write(b"heard " + said)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with outside(f"127.0.0.1:{port}"):
        said = await ask(path, connect(f"127.0.0.1:{port}") + b"all of it", end=True)
    server.close()
    assert said.endswith(b"\r\n\r\nheard all of it")


HOLD = """
import socket, sys, time
near = socket.socket(socket.AF_UNIX); near.connect(sys.argv[1])
near.sendall(f"CONNECT 127.0.0.1:{sys.argv[2]} HTTP/1.1\\r\\n\\r\\nhello".encode())
print(near.recv(100), flush=True)
time.sleep(300)
"""


async def test_a_client_that_is_killed_amid_its_tunnel_leaves_nothing(outside, path) -> None:
    said, gone = asyncio.Event(), asyncio.Event()
    heard = bytearray()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(100):
            heard.extend(data)
            said.set()
        gone.set()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with outside(f"127.0.0.1:{port}"):
        client = await asyncio.create_subprocess_exec(
            sys.executable, "-S", "-c", HOLD, str(path), str(port), stdout=asyncio.subprocess.PIPE
        )
        assert client.stdout is not None
        async with asyncio.timeout(50):
            assert b"200" in await client.stdout.readline()
            await said.wait()
            client.send_signal(signal.SIGKILL)
            await client.wait()
            await gone.wait()
    server.close()
    assert bytes(heard) == b"hello"

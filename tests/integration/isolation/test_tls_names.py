"""A TLS client's first words in a tunnel: real clients, real servers, and hellos that were tampered with."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from core.isolation.egress.client_hello import UNRECOGNISED_NAME
from core.isolation.egress.proxy import Bounds, Denial, EgressProxy
from core.isolation.egress.rules import parse_egress

HOSTS = ("front.example", "other.example")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, HOSTS[0])])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host) for host in HOSTS]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


class Site:
    """Echoes, in TLS; keeps the raw bytes of nothing and the count of what connected."""

    port = 0
    said = b""


@pytest.fixture
async def site(certificate: Path) -> AsyncIterator[Site]:
    made = Site()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        made.said += await reader.readline()
        writer.write(b"heard\n")
        writer.close()

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    made.port = server.sockets[0].getsockname()[1]
    yield made
    server.close()


class Raw:
    """Keeps what it hears."""

    port = 0
    heard = b""


@pytest.fixture
async def raw() -> AsyncIterator[Raw]:
    made = Raw()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 ready\r\n")
        while data := await reader.read(65536):
            made.heard += data
            writer.write(b"heard\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    yield made
    server.close()


async def loopback(_: str) -> Sequence[str]:
    return ["127.0.0.1"]


@asynccontextmanager
async def proxied(
    path: Path, port: int, *rules: str, only_tls: bool = True, seconds: float = 20.0
) -> AsyncIterator[tuple[EgressProxy, list[Denial]]]:
    told: list[Denial] = []
    bounds = Bounds(only_tls=(port,) if only_tls else (), head_seconds=seconds)
    egress = parse_egress([f"127.0.0.1:{port}", *rules])
    async with EgressProxy.open(path, egress, told.append, resolve=loopback, bounds=bounds) as proxy:
        yield proxy, told


async def tunnel(path: Path, host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(f"CONNECT {host}:{port} HTTP/1.1\r\n\r\n".encode())
    assert b" 200 " in await reader.readuntil(b"\r\n\r\n")
    return reader, writer


async def fetch(path: Path, certificate: Path, host: str, port: int, *, name: str | None) -> bytes:
    """As a program does: a tunnel to `host`, and in it TLS for `name`."""
    context = ssl.create_default_context(cafile=certificate)
    if name is None:
        context.check_hostname = False
    reader, writer = await tunnel(path, host, port)
    try:
        async with asyncio.timeout(50):
            await writer.start_tls(context, server_hostname=name or "")
            writer.write(b"hello\n")
            return await reader.readline()
    finally:
        writer.transport.abort()


async def answer(path: Path, host: str, port: int, *pieces: bytes, end: bool = False) -> bytes:
    reader, writer = await tunnel(path, host, port)
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        if end:
            writer.write_eof()
        async with asyncio.timeout(50):
            return await reader.read()
    finally:
        writer.transport.abort()


def hello(name: str | None) -> bytes:
    out = ssl.MemoryBIO()
    context = ssl.create_default_context()
    context.check_hostname = False
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), out, server_hostname=name).do_handshake()
    return out.read()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "p.sock"


@pytest.mark.parametrize("only_tls", [True, False])
async def test_a_client_that_names_its_host_is_served(path, site, certificate, only_tls: bool) -> None:
    rule = f"front.example:{site.port}"
    async with proxied(path, site.port, rule, only_tls=only_tls) as (proxy, told):
        assert await fetch(path, certificate, "front.example", site.port, name="front.example") == b"heard\n"
    assert site.said == b"hello\n"
    assert told == []
    assert proxy.traffic.hosts["front.example"] > 500  # the hello, too


@pytest.mark.parametrize("only_tls", [True, False])
async def test_another_hosts_name_is_refused_before_anything_is_sent_on(path, raw, only_tls: bool) -> None:
    async with proxied(path, raw.port, f"front.example:{raw.port}", only_tls=only_tls) as (proxy, told):
        said = await answer(path, "front.example", raw.port, hello("other.example"))
    assert said.endswith(UNRECOGNISED_NAME)
    assert raw.heard == b""
    assert [(each.host, each.port) for each in told] == [("front.example", raw.port)]
    assert "asked for front.example and wants other.example there" in told[0].why
    assert told[0].hint == f"Add 'other.example:{raw.port}' to the project's allow-list."
    assert proxy.traffic.denied == 1


async def test_the_client_says_why_it_was_refused(path, site, certificate) -> None:
    async with proxied(path, site.port, f"front.example:{site.port}"):
        with pytest.raises(ssl.SSLError, match=r"(?i)unrecognized.name"):
            await fetch(path, certificate, "front.example", site.port, name="other.example")


async def test_another_name_that_a_rule_names_is_served(path, site, certificate) -> None:
    rules = (f"front.example:{site.port}", f"other.example:{site.port}")
    async with proxied(path, site.port, *rules):
        assert await fetch(path, certificate, "front.example", site.port, name="other.example") == b"heard\n"


async def test_no_name_is_refused_for_a_host_and_is_usual_for_an_address(
    path, site, raw, certificate
) -> None:
    async with proxied(path, site.port):
        assert await fetch(path, certificate, "127.0.0.1", site.port, name=None) == b"heard\n"
    async with proxied(path, raw.port, f"front.example:{raw.port}") as (_, told):
        assert (await answer(path, "front.example", raw.port, hello(None))).endswith(UNRECOGNISED_NAME)
    assert "does not say that it wants front.example" in told[0].why
    assert raw.heard == b""


async def test_a_hidden_name_is_refused(path, raw) -> None:
    plain = hello("front.example")
    body = plain[9:]
    at = 35 + body[34]
    at += 2 + int.from_bytes(body[at : at + 2], "big")
    at += 1 + body[at]
    extensions = body[at + 2 :] + b"\xfe\x0d\0\4\0\0\0\0"
    body = body[:at] + len(extensions).to_bytes(2, "big") + extensions
    message = b"\1" + len(body).to_bytes(3, "big") + body
    hiding = b"\x16\3\1" + len(message).to_bytes(2, "big") + message
    async with proxied(path, raw.port, f"front.example:{raw.port}") as (_, told):
        assert (await answer(path, "front.example", raw.port, hiding)).endswith(UNRECOGNISED_NAME)
    assert "encrypted ClientHello" in told[0].why
    assert raw.heard == b""


@pytest.mark.parametrize("size", [1, 3, 100])
async def test_a_hello_in_pieces_is_put_together_before_it_is_judged(path, raw, size: int) -> None:
    said = hello("other.example")
    message = said[5:]
    records = [message[at : at + size] for at in range(0, len(message), size)]
    pieces = [b"\x16\3\1" + len(part).to_bytes(2, "big") + part for part in records]
    async with proxied(path, raw.port, f"front.example:{raw.port}"):
        assert (await answer(path, "front.example", raw.port, *pieces)).endswith(UNRECOGNISED_NAME)
    assert raw.heard == b""


@pytest.mark.parametrize(
    "said", [b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n", b"SSH-2.0-x\r\n", b"\x80\x2e\1\3\1"]
)
async def test_what_is_no_tls_is_refused_on_its_port_and_carried_by_a_raw_rule(
    path, raw, said: bytes
) -> None:
    async with proxied(path, raw.port, f"front.example:{raw.port}") as (_, told):
        assert (await answer(path, "front.example", raw.port, said)).endswith(UNRECOGNISED_NAME)
        assert raw.heard == b""
        assert "is no TLS" in told[0].why
        assert f"'front.example:{raw.port} raw'" in told[0].hint
    async with proxied(path, raw.port, f"front.example:{raw.port} raw"):
        assert (await answer(path, "front.example", raw.port, said, end=True)).startswith(
            b"220 ready\r\nheard"
        )
    assert raw.heard == said


async def test_on_other_ports_the_host_may_speak_first_and_anything_is_carried(path, raw) -> None:
    async with proxied(path, raw.port, f"front.example:{raw.port}", only_tls=False, seconds=1.0):
        reader, writer = await tunnel(path, "front.example", raw.port)
        assert await reader.readline() == b"220 ready\r\n"
        await asyncio.sleep(1.2)  # longer than a TLS client may take
        writer.write(b"\x16not TLS")
        assert await reader.readline() == b"heard\r\n"
        writer.transport.abort()
    assert raw.heard == b"\x16not TLS"


@pytest.mark.parametrize("said", [b"", b"\x16\3\1\2\0\1", b"\x16\3\1\0\1\1"])
async def test_a_hello_that_does_not_come_is_not_waited_for(path, raw, said: bytes) -> None:
    async with proxied(path, raw.port, f"front.example:{raw.port}", seconds=1.0):
        assert (await answer(path, "front.example", raw.port, said)).endswith(UNRECOGNISED_NAME)
    assert raw.heard == b""


async def test_a_hello_without_end_is_refused(path, raw) -> None:
    record = b"\x16\3\1\x40\0" + b"\1\0\xff\xff" + bytes(16380)
    async with proxied(path, raw.port, f"front.example:{raw.port}") as (_, told):
        assert (await answer(path, "front.example", raw.port, record)).endswith(UNRECOGNISED_NAME)
    assert "longer than 32768 bytes" in told[0].why
    assert raw.heard == b""

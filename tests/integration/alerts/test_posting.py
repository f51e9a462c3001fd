"""One POST to receivers that fail, hang, drip, flood and redirect."""

from __future__ import annotations

import asyncio
import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from core.monitoring.delivery.posting import WORDS_BYTES, NoAnswer, post
from tests.discord.ports import kept_port
from tests.integration.alerts.conftest import OpenReceiver, Received, Streams, answering, hanging


async def test_what_is_sent_arrives_as_it_is(receiver: OpenReceiver) -> None:
    hook = await receiver()
    answer = await post(hook.url + "?key=a b&x=é", b'{"a": 1}', {"X-Own": "yes"})
    assert answer.status == 200
    assert [each.body for each in hook.received] == [b'{"a": 1}']
    assert hook.received[0].path == "/hook?key=a%20b&x=%C3%A9"
    assert hook.received[0].headers["x-own"] == "yes"
    assert hook.received[0].headers["host"] == hook.url.removeprefix("http://").removesuffix("/hook")


async def test_one_that_hangs_is_given_up(receiver: OpenReceiver) -> None:
    hook = await receiver(hanging)
    with pytest.raises(NoAnswer, match=r"did not answer within 0.2 s"):
        await post(hook.url, b"{}", {}, seconds=0.2)


async def test_one_that_sends_a_byte_now_and_then_is_given_up_as_well(receiver: OpenReceiver) -> None:
    async def drip(_: Received, streams: Streams) -> None:
        for byte in b"HTTP/1.1 200 OK\r\n" + b"X-Long: aaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n" * 1000:
            streams[1].write(bytes([byte]))
            await streams[1].drain()
            await asyncio.sleep(0.02)

    hook = await receiver(drip)
    with pytest.raises(NoAnswer, match="did not answer"):
        await post(hook.url, b"{}", {}, seconds=0.3)


async def test_one_that_never_reads_is_given_up(receiver: OpenReceiver) -> None:
    async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reader._transport.pause_reading()  # type: ignore[attr-defined]
        await closed.wait()
        writer.transport.abort()

    closed = asyncio.Event()
    server = await asyncio.start_server(deaf, "127.0.0.1", 0)
    try:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(NoAnswer, match="did not answer"):
            await post(f"http://127.0.0.1:{port}/", b"x" * 30_000_000, {}, seconds=0.4)
    finally:
        closed.set()
        server.close()


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (b"", "does not answer in HTTP"),
        (b"220 mail.example ESMTP ready\r\n", "does not answer in HTTP"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"a" * 100_000, "does not answer in HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Le", "does not answer in HTTP"),
        (b"\x16\x03\x01\x02\x00\x01" * 10, "does not answer in HTTP"),
    ],
)
async def test_what_is_no_http_is_no_answer(receiver: OpenReceiver, said: bytes, words: str) -> None:
    async def say(_: Received, streams: Streams) -> None:
        streams[1].write(said)
        await streams[1].drain()

    with pytest.raises(NoAnswer, match=words):
        await post((await receiver(say)).url, b"{}", {})


async def test_of_a_flood_only_the_beginning_is_read(receiver: OpenReceiver) -> None:
    async def flood(_: Received, streams: Streams) -> None:
        streams[1].write(b"HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            streams[1].write(b"1000\r\n" + b"a" * 0x1000 + b"\r\n")
            await streams[1].drain()

    answer = await post((await receiver(flood)).url, b"{}", {})
    assert answer.status == 500
    assert answer.words == "a" * WORDS_BYTES


async def test_heads_that_only_say_to_wait_are_passed_over(receiver: OpenReceiver) -> None:
    async def patient(_: Received, streams: Streams) -> None:
        streams[1].write(b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 202 Taken\r\nContent-Length: 0\r\n\r\n")

    assert (await post((await receiver(patient)).url, b"{}", {})).status == 202


async def test_a_redirect_on_the_same_origin_is_followed_with_the_body(receiver: OpenReceiver) -> None:
    hook = await receiver(answering(307, location="/elsewhere"), answering(200))
    assert (await post(hook.url, b'{"a": 1}', {})).status == 200
    assert [(each.path, each.body) for each in hook.received] == [
        ("/hook", b'{"a": 1}'),
        ("/elsewhere", b'{"a": 1}'),
    ]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_to_another_origin_is_never_followed(receiver: OpenReceiver, status: int) -> None:
    other = await receiver()
    hook = await receiver(answering(status, location=other.url))
    assert (await post(hook.url, b"{}", {})).status == status
    assert other.received == []


async def test_a_redirect_that_loses_the_body_is_not_followed(receiver: OpenReceiver) -> None:
    hook = await receiver(answering(302, location="/elsewhere"))
    assert (await post(hook.url, b"{}", {})).status == 302
    assert len(hook.received) == 1


@pytest.mark.parametrize("location", ["http://[", "//[", "javascript:1", "\x00", ""])
async def test_a_redirect_to_nowhere_is_the_answer(receiver: OpenReceiver, location: str) -> None:
    hook = await receiver(answering(307, location=location))
    try:
        assert (await post(hook.url, b"{}", {})).status == 307
    except NoAnswer:
        assert location == "\x00"  # no head may hold it


async def test_a_redirect_in_a_circle_ends(receiver: OpenReceiver) -> None:
    hook = await receiver(answering(307, location="/hook"))
    with pytest.raises(NoAnswer, match="in a circle"):
        await post(hook.url, b"{}", {})
    assert len(hook.received) == 4


async def test_where_nobody_listens_it_says_so_without_the_path() -> None:
    with kept_port() as port, pytest.raises(NoAnswer) as told:
        await post(f"http://127.0.0.1:{port}/secret/path", b"{}", {})
    assert "is not reached" in told.value.reason
    assert "secret" not in told.value.reason


def certificate(folder: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "receiver")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    where = folder / "cert.pem", folder / "key.pem"
    where[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    where[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return where


async def test_only_a_certificate_that_is_trusted_gets_it(receiver: OpenReceiver, tmp_path: Path) -> None:
    cert, key = certificate(tmp_path)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(cert, key)
    more: dict[str, Any] = {"ssl": server}
    hook = await receiver(answering(), **more)
    with pytest.raises(NoAnswer, match="certificate that is not trusted"):
        await post(hook.url, b"{}", {})
    assert hook.received == []
    trust = ssl.create_default_context(cafile=str(cert))
    assert (await post(hook.url, b"{}", {}, trust=trust)).status == 200
    assert len(hook.received) == 1

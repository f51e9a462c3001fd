"""What the gateway does not pass on, in the shape that each agent reads."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests.model_server.client import WIRES

pytestmark = pytest.mark.asyncio(loop_scope="module")

OF = {"anthropic": "anthropic", "openai_responses": "openai", "openai_chat": "openai", "gemini": "gemini"}


@pytest.mark.parametrize("wire", WIRES)
async def test_tokens_that_are_none_other_providers_and_ended_runs(front: Any, wire: str) -> None:
    run_id, token = await front.run(OF[wire])
    client = front.client(OF[wire])
    path, body = client.request(wire, "hi", True, [])
    other = "gemini" if OF[wire] != "gemini" else "openai"
    answers = [
        await client.post(path, body, "orch-guessed"),
        await front.client(other).post(path, body, token),
    ]
    await front.gateway.close_run(run_id)
    answers.append(await client.post(path, body, token))
    assert [status for status, _, _ in answers] == [401, 403, 401]
    for _, raw, headers in answers:
        error = json.loads(raw)
        assert error["error"]["message"]
        assert headers["x-should-retry"] == "false"
        assert ("type" in error) == (wire == "anthropic")
        assert ("status" in error["error"]) == (wire == "gemini")
    assert front.model.seen.calls == []
    assert front.calls == {}


@pytest.mark.parametrize(
    "target",
    [
        "/openai/v1/files",
        "/openai/../anthropic/v1/messages",
        "/openai/v1/%2e%2e/messages",
        "/openai/v1/chat/completions/../../../admin",
        "/openai//v1/chat/completions",
        "http://169.254.169.254/openai/v1/chat/completions",
        "/",
        "/openai",
    ],
)
async def test_paths_that_lead_elsewhere(front: Any, target: str) -> None:
    _, token = await front.run("openai")
    status, _ = await _raw(front, f"POST {target} HTTP/1.1", f"authorization: Bearer {token}")
    assert status in (403, 404)
    assert front.model.seen.calls == []


async def test_headers_and_bodies_without_measure(front: Any) -> None:
    _, token = await front.run("openai")
    line = "POST /openai/v1/chat/completions HTTP/1.1"
    assert (await _raw(front, line, f"x-long: {'x' * 100_000}"))[0] == 400
    status, body = await _raw(
        front, line, f"authorization: Bearer {token}", f"content-length: {33 << 20}", body=b"x"
    )
    assert status == 413
    assert "longer than 32 MB" in json.loads(body)["error"]["message"]
    status, _ = await _raw(
        front, line, f"authorization: Bearer {token}", "content-length: 9", body=b"{not json"
    )
    assert status == 400  # the provider's own word
    long = b"[" * 100_000
    status, _ = await _raw(
        front, line, f"authorization: Bearer {token}", f"content-length: {len(long)}", body=long
    )
    assert status >= 400
    client = front.client("openai")
    path, asked = client.request("openai_chat", "word " * 180_000, True, [])
    assert (await client.post(path, asked, token))[0] == 200  # 0.9 MB is a long conversation


_LENGTH, _CHUNKED = "content-length: 2", "transfer-encoding: chunked"


@pytest.mark.parametrize(
    "headers",
    [
        (_LENGTH, _CHUNKED),
        (_CHUNKED, _LENGTH),
        (_LENGTH, "content-length: 3"),
        ("content-length: +2",),
        ("content-length: -2",),
        ("transfer-encoding: xchunked",),
        (_CHUNKED, "transfer-encoding: identity"),
        (_LENGTH, "x-a: b\r\n folded"),
        (_LENGTH, "x-a: b\rx-admin: c"),
        (_LENGTH, "x-a: b\nx-admin: c"),
        (_LENGTH, "x-a: b\0c"),
        (_LENGTH, f"x-a: {'x' * 20_000}"),
    ],
)
async def test_requests_that_two_readers_may_read_otherwise_are_none(
    front: Any, headers: tuple[str, ...]
) -> None:
    """And what they hold stands in no log: the library's own complaints repeat it."""
    _, token = await front.run("openai")
    bearer = f"authorization: Bearer {token}"
    line = "POST /openai/v1/chat/completions HTTP/1.1"
    assert (await _raw(front, line, bearer, *headers, body=b"{}"))[0] == 400
    assert (await _raw(front, line, f"{bearer}\0", *headers, body=b"{}"))[0] == 400
    assert front.model.seen.calls == []
    log = (front.state / "logs" / "gateway.log").read_text()
    assert token not in log
    assert "Traceback" not in log


async def test_what_costs_nothing_is_passed_on_and_not_counted(front: Any) -> None:
    run_id, token = await front.run("anthropic")
    client = front.client("anthropic")
    _, asked = client.request("anthropic", "hi there", False, [])
    status, body, _ = await client.post("/v1/messages/count_tokens", asked, token)
    assert (status, json.loads(body)["input_tokens"] > 0) == (200, True)
    headers = {"x-api-key": token}
    async with front.http.get(f"{client.url}/v1/models", headers=headers) as answer:
        assert (answer.status, (await answer.json())["object"]) == (200, "list")
    await front.gateway.close_run(run_id)
    assert front.calls == {}


async def test_the_same_at_the_unix_socket(front: Any) -> None:
    _, token = await front.run("openai")
    reader, writer = await asyncio.open_unix_connection(front.state / "gateway.sock")
    writer.write(
        f"GET /openai/_orchard/run HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\r\n".encode()
    )
    assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    writer.close()
    await writer.wait_closed()


async def test_no_process_is_told_a_key_where_others_can_read_it(front: Any) -> None:
    _, token = await front.run("openai")
    folder = Path(f"/proc/{front.gateway.pid}")
    for name in ("cmdline", "environ"):
        data = (folder / name).read_bytes()
        assert b"sk-real" not in data
        assert token.encode() not in data


async def _raw(front: Any, line: str, *headers: str, body: bytes = b"") -> tuple[int, bytes]:
    host, port = front.gateway.base_url("x").removeprefix("http://").removesuffix("/x").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        head = [line, "host: x", "connection: close", "content-type: application/json", *headers]
        if not any(each.startswith("content-length") for each in headers):
            head.append("content-length: 0")
        writer.write("\r\n".join(head).encode() + b"\r\n\r\n" + body)
        async with asyncio.timeout(50):
            status = int((await reader.readline()).split()[1])
            while (await reader.readline()).strip():
                pass
            return status, await reader.read()
    finally:
        writer.close()

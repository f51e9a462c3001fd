"""Providers that are slow, break off, lie, refuse, or are gone."""

from __future__ import annotations

import asyncio
import json
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from core.gateway.contract import Times
from core.gateway.refusal import RefusalKind
from core.store.ledger import CallStatus
from tests.model_server.client import WIRES
from tests.model_server.script import ALWAYS, Fault, Malformed, WrongUsage
from tests.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="module")

OF = {"anthropic": "anthropic", "openai_responses": "openai", "openai_chat": "openai", "gemini": "gemini"}


async def _post(
    front: Any, wire: str, token: str, *, stream: bool = True
) -> tuple[int, bytes, dict[str, str]]:
    client = front.client(OF[wire])
    path, body = client.request(wire, "hi", stream, [])
    found: tuple[int, bytes, dict[str, str]] = await client.post(path, body, token)
    return found


@pytest.mark.parametrize("wire", WIRES)
async def test_a_stream_that_breaks_off_breaks_off_for_the_agent_and_counts_as_cut(
    front: Any, wire: str
) -> None:
    run_id, token = await front.run(OF[wire])
    front.model.fail_next(Fault(cut_after=2))
    with pytest.raises(aiohttp.ClientError):
        await _post(front, wire, token)
    assert (await front.facts(OF[wire], token))["refused_in_a_row"] == 1
    await front.gateway.close_run(run_id)
    (call,) = front.calls.values()
    told = front.model.seen.calls[0].told_so_far
    assert (call.status, call.input_tokens, call.output_tokens) == (CallStatus.CUT, told.fresh, told.output)
    assert len(front.model.seen.calls) == 1  # not sent again


async def test_a_provider_that_says_nothing_is_given_up(tmp_path: Path, open_front: Any) -> None:
    async with open_front(tmp_path, times=Times(first_byte=3, idle=0.4)) as front:
        run_id, token = await front.run("anthropic")
        front.model.fail_next(Fault(hang_after=0))
        status, body, _ = await _post(front, "anthropic", token)
        assert status == 504
        assert "anthropic has not begun to answer within 3 s" in json.loads(body)["error"]["message"]
        front.model.fail_next(Fault(hang_after=2))
        with pytest.raises(aiohttp.ClientError):
            await _post(front, "anthropic", token)
        await front.gateway.close_run(run_id)
        assert [call.status for call in front.calls.values()] == [CallStatus.CUT] * 2


async def test_an_agent_that_reads_slowly_is_not_its_provider_s_silence(
    tmp_path: Path, open_front: Any
) -> None:
    piece = b"data: {}" + b" " * 100_000 + b"\n\n"

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
        writer.write(head)
        with suppress(ConnectionError):
            for _ in range(200):
                writer.write(piece)
                await writer.drain()
        writer.close()

    async with (
        await asyncio.start_server(talk, "127.0.0.1", 0) as provider,
        open_front(
            tmp_path,
            times=Times(idle=3.0),
            base_url=f"http://127.0.0.1:{provider.sockets[0].getsockname()[1]}",
        ) as front,
    ):
        _, token = await front.run("anthropic")
        url = f"{front.gateway.base_url('anthropic')}/v1/messages"
        async with front.http.post(url, json={}, headers={"x-api-key": token}) as answer:
            await answer.content.readany()
            await asyncio.sleep(3.5)  # 20 MB are more than the kernel keeps for it
            left = await answer.read()
        assert len(left) > 15_000_000
        assert (await front.facts("anthropic", token))["last_refusal"].endswith("before it was complete.")


async def test_a_provider_that_is_gone_is_said_and_nothing_is_charged(
    tmp_path: Path, open_front: Any
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and not listening: refused
        async with open_front(tmp_path, base_url=f"http://127.0.0.1:{taken.getsockname()[1]}") as front:
            run_id, token = await front.run("openai")
            status, body, headers = await _post(front, "openai_responses", token)
            assert status == 502
            assert "cannot be reached" in json.loads(body)["error"]["message"]
            assert int(headers["retry-after"]) >= 1
            await front.gateway.close_run(run_id)
            (call,) = front.calls.values()
            assert (call.status, call.took.tokens) == (CallStatus.FAILED, 0)


async def test_a_provider_without_tls_gets_no_key(tmp_path: Path, model: Any, open_front: Any) -> None:
    async with open_front(tmp_path, base_url=model.url.replace("http://", "https://")) as front:
        _, token = await front.run("openai")
        status, body, _ = await _post(front, "openai_responses", token)
        assert (status, model.seen.calls) == (502, [])
        assert "it speaks no TLS" in json.loads(body)["error"]["message"]


@pytest.mark.parametrize("wrong", [WrongUsage.MISSING, WrongUsage.NEGATIVE, WrongUsage.TEXT, WrongUsage.HUGE])
async def test_figures_that_cannot_be_are_not_believed(front: Any, wrong: WrongUsage) -> None:
    for wire in WIRES:
        _, token = await front.run(OF[wire])
        front.model.fail_next(Fault(usage=wrong))
        assert (await _post(front, wire, token, stream=False))[0] == 200
    await until(lambda: len(front.calls) == len(WIRES))
    assert all(0 <= call.took.tokens < 10**6 for call in front.calls.values())
    assert {call.status for call in front.calls.values()} == {CallStatus.ANSWERED}


@pytest.mark.parametrize("kind", list(Malformed))
async def test_whatever_the_bytes_are_they_pass_as_they_are(front: Any, kind: Malformed) -> None:
    _, token = await front.run("openai")
    front.model.fail_next(Fault(malformed=kind))
    status, body, _ = await _post(front, "openai_responses", token)
    assert status == 200
    assert len(body) > (2 << 20 if kind is Malformed.HUGE_LINE else 20)
    await until(lambda: front.calls)


async def test_a_refusal_is_waited_for_by_all_who_use_the_key(front: Any) -> None:
    one, other = await front.run("anthropic"), await front.run("anthropic", story="shop-2")
    front.model.fail_next(Fault(status=529, retry_after=5))
    began = asyncio.get_running_loop().time()
    status, body, headers = await _post(front, "anthropic", one[1])
    assert (status, headers["retry-after"]) == (529, "5")
    assert json.loads(body)["error"]["type"] == "overloaded_error"
    asked = asyncio.create_task(_post(front, "anthropic", other[1]))

    async def waits() -> bool:
        return bool((await front.facts("anthropic", other[1]))["held"] == "back-off")

    await until(waits)
    assert len(front.model.seen.calls) == 1
    assert (await asked)[0] == 200
    assert asyncio.get_running_loop().time() - began >= 4.5
    assert (await front.facts("anthropic", one[1]))["last_refusal"]
    assert (await front.facts("anthropic", other[1]))["refused_in_a_row"] == 0


async def test_a_quota_is_told_once_with_its_end_and_later_calls_are_answered_at_once(
    tmp_path: Path, open_front: Any
) -> None:
    async with open_front(tmp_path) as front:
        await _meet_quota(front)


async def _meet_quota(front: Any) -> None:
    _, token = await front.run("openai")
    front.model.fail_next(Fault(status=429, retry_after=7200, times=ALWAYS))
    for _ in range(3):
        status, _, headers = await _post(front, "openai_chat", token)
        assert status == 429
        assert int(headers["retry-after"]) > 3600
    assert len(front.model.seen.calls) == 1
    await until(lambda: front.holds)
    (hold,) = front.holds
    assert (hold.provider, hold.kind) == ("openai", RefusalKind.QUOTA)
    assert hold.until is not None
    assert (await front.gateway.view()).holds["openai"] == hold
    front.model.forget()
    await front.gateway.lift(("openai",))  # a person says that it can be asked again
    assert (await _post(front, "openai_chat", token))[0] == 200
    assert (await front.gateway.view()).holds == {}


async def test_a_key_that_is_refused_is_not_shown_to_the_agent(front: Any) -> None:
    _, token = await front.run("anthropic")
    front.model.fail_next(Fault(status=401, message="invalid x-api-key sk-real-0123456789"))
    status, body, _ = await _post(front, "anthropic", token)
    assert status == 401
    assert b"sk-real" not in body
    await until(lambda: front.holds)
    assert front.holds[0].kind is RefusalKind.AUTH
    assert "sk-real" not in front.holds[0].reason
    for path in front.state.rglob("*"):
        assert not path.is_file() or b"sk-real" not in path.read_bytes()


async def test_who_leaves_ends_the_call_at_the_provider_too(front: Any) -> None:
    run_id, token = await front.run("anthropic")
    front.model.fail_next(Fault(hang_after=1))
    asked = asyncio.create_task(_post(front, "anthropic", token))
    await front.model.until(lambda seen: bool(seen.calls) and seen.calls[0].status == 200)
    asked.cancel()
    await until(lambda: front.calls)
    async with asyncio.timeout(50):
        await front.model.until(lambda seen: seen.calls[0].outcome.value == "client_gone")
    await front.gateway.close_run(run_id)
    assert front.twice == []

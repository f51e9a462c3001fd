"""Lines of JSON from another process: an agent's, a worker's, a face's. Through the real readers."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.agents.replay.script import ScriptError, load
from core.agents.transcript import Transcript
from core.agents.wire import Wire
from core.clock import SystemClock
from core.errors import OrchardError
from core.gateway.calls import read_line
from core.orchestrator.session_turns import _notes_of
from core.rpc import Peer, RpcError

ODD = st.text(st.one_of(st.characters(), st.sampled_from("\0\n\x1b\u202e\ud800")), max_size=12)
METHODS = st.sampled_from(
    [
        "initialize",
        "session/new",
        "session/update",
        "session/request_permission",
        "session/prompt",
        "fs/write_text_file",
        "fs/read_text_file",
        "terminal/create",
        "$/cancel",
        "",
    ]
)
KEYS = st.sampled_from(
    [
        "jsonrpc",
        "id",
        "method",
        "params",
        "result",
        "error",
        "sessionId",
        "update",
        "sessionUpdate",
        "content",
        "toolCall",
        "toolCallId",
        "options",
        "optionId",
        "kind",
        "stopReason",
        "path",
        "code",
        "message",
        "data",
        "slug",
    ]
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), ODD, METHODS),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.one_of(KEYS, ODD), inner, max_size=5)
    ),
    max_leaves=10,
)
MESSAGES = st.builds(
    lambda rest, more: {**rest, **more},
    st.dictionaries(KEYS, VALUES, max_size=5),
    st.one_of(st.just({}), st.fixed_dictionaries({"method": METHODS})),
)
LINES = st.lists(
    st.one_of(
        MESSAGES.map(lambda message: json.dumps(message).encode()),
        VALUES.map(lambda value: json.dumps(value, ensure_ascii=False).encode(errors="surrogatepass")),
        st.binary(max_size=30).filter(lambda data: b"\n" not in data),
        st.sampled_from(
            [b"[" * 5_000, b'{"a":' * 5_000, b"x" * 5_000, b"1e999", b"NaN", b"9" * 5_000, b"\xef\xbb\xbf{}"]
        ),
    ),
    max_size=6,
)


class Ear:
    """What is written to the other side."""

    def __init__(self) -> None:
        self.said = bytearray()

    def write(self, data: bytes) -> None:
        self.said += data

    async def drain(self) -> None:
        await asyncio.sleep(0)

    def close(self) -> None:
        return

    def messages(self) -> list[Any]:
        return [json.loads(line) for line in self.said.splitlines()]


def reader_of(lines: list[bytes], limit: int) -> asyncio.StreamReader:
    reader = asyncio.StreamReader(limit=limit)
    reader.feed_data(b"\n".join(lines) + b"\n")
    reader.feed_eof()
    return reader


@pytest.fixture(scope="module")
def transcript(tmp_path_factory):
    path = tmp_path_factory.mktemp("wire") / "t.jsonl"
    with Transcript(path, SystemClock(), size_limit=1 << 30) as opened:
        yield opened


@given(lines=LINES)
def test_any_output_of_an_agent_is_read_to_its_end(transcript, lines: list[bytes]) -> None:
    async def read() -> None:
        updates, ear = [], Ear()

        async def update(params: object) -> None:
            updates.append(params)

        wire = Wire(
            reader_of(lines, 2048),
            ear,  # type: ignore[arg-type]
            transcript=transcript,
            on_update=update,
            on_heard=lambda: None,
            output_limit_bytes=1 << 20,
        )
        async with asyncio.timeout(50):
            given_on = []
            while (message := await wire.receive()) is not None:
                given_on.append(message)
        assert wire.error is None
        assert not wire.flooded
        for message in given_on:
            json.dumps(message).encode()
            assert not isinstance(message.get("id"), dict | list)
            assert message.get("method") in (
                None,
                "session/request_permission",
                "fs/write_text_file",
                "fs/read_text_file",
            )
        for answer in ear.messages():
            assert answer["error"]["code"] == -32601
        assert wire.malformed + len(given_on) + len(updates) + len(ear.messages()) <= 3 * len(lines) + 3

    asyncio.run(read())


@given(lines=LINES)
def test_any_lines_of_the_other_side_are_answered_or_told(lines: list[bytes]) -> None:
    async def talk() -> None:
        ear = Ear()
        peer = Peer(reader_of(lines, 2048), ear, {})
        open_call = asyncio.create_task(peer.call("ask"))
        await asyncio.sleep(0)
        async with asyncio.timeout(50):
            await peer.run()
            with contextlib.suppress(OrchardError, RpcError):
                await open_call
        for message in ear.messages():
            assert message.get("method") == "ask" or isinstance(message["error"]["code"], int)

    asyncio.run(talk())


@given(line=st.one_of(MESSAGES.map(lambda message: json.dumps(message).encode()), st.binary(max_size=60)))
def test_any_line_of_the_gateways_journal_is_read_or_passed_over(line: bytes) -> None:
    found = read_line(line)
    assert found is None or len(found) == 2


@given(text=st.lists(st.one_of(MESSAGES.map(json.dumps), ODD), max_size=4).map('\n{"way": "note"}\n'.join))
def test_any_head_of_a_transcript_has_notes(text: str) -> None:
    assert isinstance(_notes_of(text), dict)


@given(
    text=st.one_of(VALUES.map(json.dumps), ODD, st.just("[" * 20_000)),
    ending=st.sampled_from(["json", "yaml"]),
)
def test_any_script_is_played_or_refused(tmp_path_factory, text: str, ending: str) -> None:
    path = tmp_path_factory.getbasetemp() / f"script.{ending}"
    path.write_bytes(text.encode(errors="surrogatepass"))
    with contextlib.suppress(ScriptError):
        load(str(path))

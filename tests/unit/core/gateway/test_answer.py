from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.gateway.answer import Answer, AnswerReader
from core.gateway.chat import asking_for_usage
from core.gateway.usage import Usage
from core.gateway.wire import READERS, WireFormat


def event(data: Any, name: str = "", newline: str = "\n") -> bytes:
    head = f"event: {name}{newline}" if name else ""
    return f"{head}data: {json.dumps(data, ensure_ascii=False)}{newline}{newline}".encode()


ANTHROPIC = b"".join(
    (
        b": hello\n\n",
        event(
            {
                "type": "message_start",
                "message": {
                    "model": "claude-opus-5-5",
                    "usage": {
                        "input_tokens": 10,
                        "cache_read_input_tokens": 700,
                        "cache_creation_input_tokens": 50,
                        "cache_creation": {"ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 30},
                        "output_tokens": 1,
                    },
                },
            },
            "message_start",
        ),
        event({"type": "ping"}, "ping", "\r\n"),
        event({"type": "content_block_delta", "delta": {"text": 'Grüße "usage": {"output_tokens": 9}'}}),
        event({"type": "message_delta", "delta": {}, "usage": {"output_tokens": 40}}),
        event(
            {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 90}}
        ),
        event({"type": "message_stop"}, "message_stop"),
    )
)
RESPONSES = b"".join(
    (
        event({"type": "response.created", "response": {"model": "gpt-6-sol", "usage": None}}),
        event({"type": "response.output_text.delta", "delta": "x"}, "", "\r"),
        event(
            {
                "type": "response.completed",
                "response": {
                    "model": "gpt-6-sol",
                    "status": "completed",
                    "error": None,
                    "usage": {
                        "input_tokens": 760,
                        "input_tokens_details": {"cached_tokens": 700, "cache_write_tokens": 50},
                        "output_tokens": 90,
                        "output_tokens_details": {"reasoning_tokens": 60},
                    },
                },
            }
        ),
    )
)
CHAT = b"".join(
    (
        event(
            {
                "model": "gpt-6-sol",
                "choices": [{"delta": {"content": "a"}, "finish_reason": None}],
                "usage": None,
            }
        ),
        event({"model": "gpt-6-sol", "choices": [{"delta": {}, "finish_reason": "stop"}], "usage": None}),
        event(
            {
                "model": "gpt-6-sol",
                "choices": [],
                "usage": {
                    "prompt_tokens": 760,
                    "prompt_tokens_details": {"cached_tokens": 700},
                    "completion_tokens": 90,
                    "completion_tokens_details": {"reasoning_tokens": 60},
                },
            }
        ),
        b"data: [DONE]\n\n",
    )
)
GEMINI_CHUNKS = [
    {"modelVersion": "gemini-3.8-flash", "usageMetadata": {"promptTokenCount": 700, "totalTokenCount": 700}},
    {
        "modelVersion": "gemini-3.8-flash",
        "candidates": [{"finishReason": "STOP"}],
        "usageMetadata": {
            "promptTokenCount": 760,
            "cachedContentTokenCount": 700,
            "candidatesTokenCount": 30,
            "thoughtsTokenCount": 60,
            "toolUsePromptTokenCount": 5,
        },
    },
]
GEMINI = b"".join(event(chunk, "", "\r\n") for chunk in GEMINI_CHUNKS)

STREAMS = {
    WireFormat.ANTHROPIC: ANTHROPIC,
    WireFormat.RESPONSES: RESPONSES,
    WireFormat.CHAT: CHAT,
    WireFormat.GEMINI: GEMINI,
}
WANTED = {
    WireFormat.ANTHROPIC: Answer(
        model="claude-opus-5-5",
        stop_reason="end_turn",
        complete=True,
        usage=Usage(
            input_tokens=10,
            cache_read_tokens=700,
            cache_write_tokens=20,
            cache_write_long_tokens=30,
            output_tokens=90,
        ),
    ),
    WireFormat.RESPONSES: Answer(
        model="gpt-6-sol",
        stop_reason="completed",
        complete=True,
        usage=Usage(
            input_tokens=10,
            cache_read_tokens=700,
            cache_write_tokens=50,
            output_tokens=90,
            reasoning_tokens=60,
        ),
    ),
    WireFormat.CHAT: Answer(
        model="gpt-6-sol",
        stop_reason="stop",
        complete=True,
        usage=Usage(input_tokens=60, cache_read_tokens=700, output_tokens=90, reasoning_tokens=60),
    ),
    WireFormat.GEMINI: Answer(
        model="gemini-3.8-flash",
        stop_reason="STOP",
        complete=True,
        usage=Usage(input_tokens=65, cache_read_tokens=700, output_tokens=90, reasoning_tokens=60),
    ),
}
FORMATS = st.sampled_from(list(WireFormat))


def read(
    wire_format: WireFormat, pieces: list[bytes], *, streamed: bool = True, most: int = 1 << 20
) -> Answer:
    reader = AnswerReader(READERS[wire_format], streamed=streamed, most_bytes=most)
    for piece in pieces:
        reader.feed(piece)
    return reader.end()


def cut(body: bytes, at: list[int]) -> list[bytes]:
    places = [0, *sorted(place % (len(body) + 1) for place in at), len(body)]
    return [body[start:stop] for start, stop in pairwise(places)]


@pytest.mark.parametrize("wire_format", list(WireFormat))
def test_a_stream_is_read_the_same_whole_and_byte_by_byte(wire_format: WireFormat) -> None:
    body = STREAMS[wire_format]
    assert read(wire_format, [body]) == WANTED[wire_format]
    assert read(wire_format, [bytes([each]) for each in body]) == WANTED[wire_format]


@given(FORMATS, st.lists(st.integers(0, 5_000), max_size=40))
def test_any_splitting_gives_the_same(wire_format: WireFormat, at: list[int]) -> None:
    assert read(wire_format, cut(STREAMS[wire_format], at)) == WANTED[wire_format]


@given(FORMATS, st.integers(0, 5_000))
def test_a_stream_cut_off_never_claims_more_than_the_whole(wire_format: WireFormat, at: int) -> None:
    body = STREAMS[wire_format]
    answer = read(wire_format, [body[: at % len(body)]])
    whole = WANTED[wire_format].usage
    assert answer.usage.total_tokens <= whole.total_tokens
    assert answer.complete or not answer.usage.known


@given(FORMATS, st.binary(max_size=400), st.booleans(), st.lists(st.integers(0, 400), max_size=5))
def test_no_bytes_raise(wire_format: WireFormat, body: bytes, streamed: bool, at: list[int]) -> None:
    assert not read(wire_format, cut(body, at), streamed=streamed).usage.known


NONSENSE = st.one_of(
    st.integers(max_value=-1),
    st.integers(min_value=10**9 + 1),
    st.floats(),
    st.text(max_size=3),
    st.booleans(),
    st.lists(st.none(), max_size=1),
)
FIGURES = [
    (WireFormat.ANTHROPIC, {"type": "message"}, "usage", ("input_tokens", "output_tokens")),
    (WireFormat.RESPONSES, {"object": "response"}, "usage", ("input_tokens", "output_tokens")),
    (
        WireFormat.CHAT,
        {"choices": [{"finish_reason": "stop"}]},
        "usage",
        ("prompt_tokens", "completion_tokens"),
    ),
    (
        WireFormat.GEMINI,
        {"candidates": [{"finishReason": "STOP"}]},
        "usageMetadata",
        ("promptTokenCount", "candidatesTokenCount"),
    ),
]


@pytest.mark.parametrize(("wire_format", "body", "place", "names"), FIGURES)
@given(value=NONSENSE, which=st.integers(0, 1))
def test_a_nonsense_count_is_marked_unknown(
    wire_format: WireFormat, body: dict[str, Any], place: str, names: tuple[str, str], value: Any, which: int
) -> None:
    said = {names[0]: 5, names[1]: 7}
    assert read(wire_format, [json.dumps({**body, place: said}).encode()], streamed=False).usage == Usage(
        input_tokens=5, output_tokens=7
    )
    answer = read(
        wire_format, [json.dumps({**body, place: {**said, names[which]: value}}).encode()], streamed=False
    )
    assert answer.usage == Usage(input_tokens=5 if which else 0, output_tokens=0 if which else 7, known=False)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(FORMATS, st.data())
def test_any_value_in_any_place_of_an_event_never_raises(
    wire_format: WireFormat, data: st.DataObject
) -> None:
    def spoiled(value: Any) -> Any:
        if data.draw(st.integers(0, 7)) == 0:
            return data.draw(JSON)
        if isinstance(value, dict):
            return {key: spoiled(each) for key, each in value.items()}
        return [spoiled(each) for each in value] if isinstance(value, list) else value

    lines = [line for line in STREAMS[wire_format].splitlines() if line.startswith(b"data: {")]
    body = b"".join(event(spoiled(json.loads(line[6:]))) for line in lines)
    usage = read(wire_format, [body]).usage
    assert usage.reasoning_tokens >= 0
    assert min(usage.input_tokens, usage.output_tokens, usage.cache_write_tokens) >= 0


@pytest.mark.parametrize("wire_format", list(WireFormat))
@pytest.mark.parametrize(
    "body",
    [b"[" * 100_000, b'{"usage": ' + b"9" * 5_000 + b"}", b"null", b"", b"<html>", b"\xff\xfe", b"[1]"],
    ids=["deep", "long number", "null", "nothing", "html", "no text", "list"],
)
def test_a_body_that_is_no_answer_is_unknown(wire_format: WireFormat, body: bytes) -> None:
    for streamed in (True, False):
        assert not read(
            wire_format, [b"data: " + body + b"\n\n" if streamed else body], streamed=streamed
        ).usage.known


def test_what_is_longer_than_allowed_is_left_out_and_the_usage_unknown() -> None:
    long = event({"type": "content_block_delta", "delta": {"text": "x" * 3_000}})
    pieces = cut(ANTHROPIC.replace(b"event: ping", long + b"event: ping"), list(range(0, 5_000, 100)))
    answer = read(WireFormat.ANTHROPIC, pieces, most=1_000)
    assert (answer.usage.output_tokens, answer.usage.known, answer.complete) == (90, False, True)
    body = json.dumps({"type": "message", "usage": {"input_tokens": 1, "output_tokens": 1}, "x": "y" * 2_000})
    assert not read(WireFormat.ANTHROPIC, [body.encode()], streamed=False, most=1_000).usage.known


def test_a_gemini_stream_as_an_array_is_read_too() -> None:
    body = json.dumps(GEMINI_CHUNKS).encode()
    assert read(WireFormat.GEMINI, [body], streamed=False) == WANTED[WireFormat.GEMINI]


@pytest.mark.parametrize(
    ("wire_format", "sent"),
    [
        (
            WireFormat.ANTHROPIC,
            {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}},
        ),
        (WireFormat.RESPONSES, {"type": "response.failed", "response": {"error": {"code": "server_error"}}}),
        (WireFormat.CHAT, {"error": {"message": "gone"}}),
        (WireFormat.GEMINI, {"error": {"status": "UNAVAILABLE"}}),
    ],
)
def test_an_error_amid_a_stream_is_found(wire_format: WireFormat, sent: dict[str, Any]) -> None:
    first = STREAMS[wire_format].replace(b"\r\n", b"\n").split(b"\n\n", 1)[0]
    answer = read(wire_format, [first + b"\n\n" + event(sent)])
    wanted = sent.get("error") or sent["response"]["error"]
    assert answer.error == wanted
    assert not answer.usage.known


@given(JSON)
def test_only_a_stream_is_made_to_say_its_usage(request: Any) -> None:
    body = json.dumps(request).encode()
    assert asking_for_usage(body) == body
    asked = {"stream": True, "messages": [request], "stream_options": {"include_obfuscation": False}}
    out = json.loads(asking_for_usage(json.dumps(asked).encode()))
    assert out["stream_options"] == {"include_obfuscation": False, "include_usage": True}
    assert json.dumps(out["messages"]) == json.dumps([request])

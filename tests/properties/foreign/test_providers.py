"""What providers answer and what agents ask the model gateway for, cut at any byte."""

from __future__ import annotations

import contextlib
import json
from datetime import UTC, datetime

import yaml
from hypothesis import given
from hypothesis import strategies as st

from core.agents.faults import hidden_fault, request_fault
from core.agents.resets import reset_time
from core.gateway.answer import AnswerReader
from core.gateway.chat import asking_for_usage
from core.gateway.metering import model_in
from core.gateway.prices import price_rows
from core.gateway.refusal import refusal_amid, refusal_of
from core.gateway.sse import EventSplitter
from core.gateway.wire import READERS, WireFormat, lists_models, placeholder_of, route_of, with_key

NOW = datetime(2026, 11, 21, tzinfo=UTC)
FORMATS = st.sampled_from(list(WireFormat))
KEYS = st.sampled_from(
    [
        "type",
        "message",
        "model",
        "modelVersion",
        "usage",
        "usageMetadata",
        "input_tokens",
        "output_tokens",
        "prompt_tokens",
        "completion_tokens",
        "promptTokenCount",
        "cachedContentTokenCount",
        "prompt_tokens_details",
        "cached_tokens",
        "delta",
        "stop_reason",
        "response",
        "status",
        "error",
        "code",
        "details",
        "retryDelay",
        "violations",
        "quotaId",
        "resets_at",
        "choices",
        "candidates",
        "finish_reason",
        "object",
        "stream",
        "stream_options",
        "incomplete_details",
    ]
)
WORDS = st.sampled_from(
    [
        "message_start",
        "message_delta",
        "message_stop",
        "response.completed",
        "error",
        "response",
        "stop",
        "34.07s",
        "1e400",
    ]
)
VALUES = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(-(10**20), 10**20), st.floats(), WORDS, st.text(max_size=6)
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=6)),
    max_leaves=12,
)
BODIES = st.one_of(
    VALUES.map(lambda value: json.dumps(value).encode()), st.binary(max_size=40), st.just(b"[" * 9000)
)
PIECES = st.lists(
    st.one_of(
        BODIES.map(lambda body: b"data: " + body),
        st.sampled_from(
            [b"\n", b"\r", b"\r\n", b"\n\n", b"data:", b"event: x", b": c", b"\xef\xbb\xbf", b"data: [DONE]"]
        ),
        st.binary(max_size=6),
    ),
    max_size=12,
)


@given(pieces=PIECES, cuts=st.lists(st.integers(0, 200), max_size=8))
def test_a_stream_has_the_same_events_wherever_it_is_cut(pieces: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(pieces)
    whole = EventSplitter()
    expected = whole.feed(stream) + whole.end()
    parts, splitter, last = [], EventSplitter(), 0
    for cut in [*sorted(cuts), len(stream)]:
        parts += splitter.feed(stream[last:cut])
        last = max(last, cut)
    assert parts + splitter.end() == expected
    bytewise = EventSplitter()
    assert [event for byte in stream for event in bytewise.feed(bytes((byte,)))] + bytewise.end() == expected


@given(pieces=PIECES, most=st.integers(1, 40))
def test_an_event_that_is_too_long_is_left_out_and_counted(pieces: list[bytes], most: int) -> None:
    stream, bounded, free = b"".join(pieces), EventSplitter(most), EventSplitter()
    kept = bounded.feed(stream) + bounded.end()
    every = free.feed(stream) + free.end()
    assert all(len(event) <= most for event in kept)
    assert [event for event in every if event in kept][: len(kept)] == kept
    assert bounded.dropped or kept == every


@given(of=FORMATS, streamed=st.booleans(), pieces=PIECES)
def test_any_answer_is_read(of: WireFormat, streamed: bool, pieces: list[bytes]) -> None:
    reader = AnswerReader(READERS[of], streamed=streamed)
    for piece in pieces:
        reader.feed(piece)
        reader.so_far()
    answer = reader.end()
    usage = answer.usage
    counts = (usage.input_tokens, usage.output_tokens, usage.cache_read_tokens, usage.cache_write_tokens)
    assert all(isinstance(count, int) and count >= 0 for count in counts)
    if answer.error is not None:
        assert refusal_amid(of, answer.error, NOW).message


HEADERS = st.dictionaries(
    st.sampled_from(["retry-after", "Retry-After", "retry-after-ms", "anthropic-ratelimit-unified-reset"]),
    st.one_of(st.text(max_size=12), st.just("Sat, 21 Nov 2026 08:00:00 GMT"), st.just("nan"), st.just("-1")),
)


@given(of=FORMATS, status=st.integers(100, 999), headers=HEADERS, body=BODIES)
def test_any_refusal_is_understood(of: WireFormat, status: int, headers: dict[str, str], body: bytes) -> None:
    refusal = refusal_of(of, status, headers, body, NOW)
    assert refusal.retry_after_seconds is None or refusal.retry_after_seconds >= 0
    assert refusal.until is None or refusal.until > NOW
    assert len(refusal.message) < 2000


SAID = st.lists(
    st.one_of(
        st.sampled_from(
            [
                "limit",
                " resets at ",
                "usage limit reached",
                "429",
                "3pm",
                "(Europe/Berlin)",
                "(../../etc/passwd)",
                " in ",
                "99999999h",
            ]
        ),
        st.text(max_size=8),
        st.integers(0, 10**14).map(str),
    ),
    max_size=8,
).map("".join)


@given(text=SAID, code=st.integers(), data=VALUES)
def test_any_words_of_an_agents_fault_have_a_meaning(text: str, code: int, data: object) -> None:
    until = reset_time(text, NOW)
    assert until is None or abs((until - NOW).days) < 40
    hidden_fault("a", text, NOW)
    assert request_fault("a", code, text, data, NOW).error


PATHS = st.lists(
    st.one_of(
        st.sampled_from(
            ["/v1", "/messages", "/models", "/x:generateContent", "/..", "//", "%2e", "?", "#", "/responses"]
        ),
        st.text(max_size=4),
    ),
    max_size=5,
).map("".join)


@given(
    method=st.sampled_from(["GET", "POST", "PUT", ""]), path=PATHS, query=st.text(max_size=20), body=BODIES
)
def test_any_request_has_a_route_or_none(method: str, path: str, query: str, body: bytes) -> None:
    route = route_of(method, path)
    assert not (route and lists_models(method, path))
    if route is not None:
        assert not {"..", "//", "?", "#", "%"} & {
            path[at : at + size] for at in range(len(path)) for size in (1, 2)
        }
        assert isinstance(model_in(body, route), str)
    assert isinstance(asking_for_usage(body), bytes)
    told = placeholder_of([("Authorization", query), ("x-api-key", query)], query)
    assert told is None or told


@given(of=FORMATS, names=st.lists(st.tuples(st.text(max_size=12), st.text(max_size=8)), max_size=5))
def test_no_credential_of_an_agents_own_goes_on(of: WireFormat, names: list[tuple[str, str]]) -> None:
    given_headers = [*names, ("Cookie", "own"), ("X-Api-Key", "own"), ("AUTHORIZATION", "Bearer own")]
    passed = with_key(of, given_headers, "real")
    assert not [value for name, value in passed if name.lower() in ("cookie",)]
    keys = [
        value for name, value in passed if name.lower() in ("x-api-key", "authorization", "x-goog-api-key")
    ]
    assert keys
    assert all("real" in value and "own" not in value for value in keys)


@given(document=VALUES, text=st.text(max_size=60))
def test_any_price_list_is_read_or_refused(document: object, text: str) -> None:
    for found in (document, {"prices": [document, {"model": "x", "since": text, "input": document}]}):
        with contextlib.suppress(ValueError):
            price_rows(found)
    with contextlib.suppress(ValueError, yaml.YAMLError):
        price_rows(yaml.safe_load(text))

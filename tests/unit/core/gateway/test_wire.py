from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.gateway.wire import (
    CREDENTIALS,
    Route,
    WireFormat,
    lists_models,
    placeholder_of,
    route_of,
    with_key,
    without_key,
)


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("/v1/messages", Route(format=WireFormat.ANTHROPIC, metered=True)),
        ("/v1/messages/count_tokens", Route(format=WireFormat.ANTHROPIC, metered=False)),
        ("/v1/responses", Route(format=WireFormat.RESPONSES, metered=True)),
        ("/responses/compact", Route(format=WireFormat.RESPONSES, metered=True)),
        ("/chat/completions", Route(format=WireFormat.CHAT, metered=True)),
        (
            "/v1beta/models/gemini-3.8-flash:streamGenerateContent",
            Route(format=WireFormat.GEMINI, metered=True, model="gemini-3.8-flash"),
        ),
        ("/v1beta/models/m:countTokens", Route(format=WireFormat.GEMINI, metered=False, model="m")),
    ],
)
def test_a_path_leads_to_its_format(path: str, wanted: Route) -> None:
    assert route_of("POST", path) == wanted
    assert route_of("GET", path) is None


@pytest.mark.parametrize(
    "path",
    [
        "/v1/files",
        "/v1/messages/",
        "/v1/messages/batches",
        "/v1/messages/../files",
        "/v1/messages%2f..",
        "/v1/responses/resp_1",
        "//v1/messages",
        "/v1beta/models/../x:generateContent",
        "/v1beta/models/a/b:generateContent",
        "/v1/messages\n",
        "",
    ],
)
def test_no_other_path_is_passed_on(path: str) -> None:
    assert route_of("POST", path) is None
    assert not lists_models("GET", path)


def test_asking_for_models_is_told_apart() -> None:
    assert lists_models("GET", "/v1/models")
    assert lists_models("GET", "/v1beta/models/gemini-3.8-flash")
    assert not lists_models("POST", "/v1/models")


@pytest.mark.parametrize(
    ("headers", "query", "wanted"),
    [
        ([("X-Api-Key", "run-1")], "", "run-1"),
        ([("authorization", "Bearer run-1")], "beta=true", "run-1"),
        ([("x-goog-api-key", "run-1")], "alt=sse", "run-1"),
        ([], "alt=sse&key=run-1", "run-1"),
        ([("authorization", "Basic abc")], "", None),
        ([("x-api-key", " ")], "key=", None),
        ([], "", None),
    ],
)
def test_the_placeholder_is_found_wherever_an_agent_puts_it(
    headers: list[tuple[str, str]], query: str, wanted: str | None
) -> None:
    assert placeholder_of(headers, query) == wanted


NAMES = st.sampled_from(
    ["Authorization", "X-API-Key", "x-goog-api-key", "API-KEY", "Cookie", "Connection", "Host",
     "anthropic-version", "Accept-Encoding", "Content-Type", "X-Mine"]
)  # fmt: skip


@given(st.sampled_from(list(WireFormat)), st.lists(st.tuples(NAMES, st.just("run-1")), max_size=12))
def test_nothing_that_an_agent_holds_reaches_a_provider(
    wire_format: WireFormat, headers: list[tuple[str, str]]
) -> None:
    sent = with_key(wire_format, headers, "sk-real")
    credentials = [(name, value) for name, value in sent if name.lower() in CREDENTIALS]
    assert len(credentials) == 1
    assert credentials[0][1].removeprefix("Bearer ") == "sk-real"
    assert ("Accept-Encoding", "identity") in sent
    assert not {"host", "connection"} & {name.lower() for name, _ in sent}
    for kept in ("anthropic-version", "Content-Type"):
        assert [pair for pair in sent if pair[0] == kept] == [pair for pair in headers if pair[0] == kept]


def test_the_key_stands_where_its_provider_looks() -> None:
    places = {each: with_key(each, [], "k")[0] for each in WireFormat}
    assert places == {
        WireFormat.ANTHROPIC: ("x-api-key", "k"),
        WireFormat.RESPONSES: ("Authorization", "Bearer k"),
        WireFormat.CHAT: ("Authorization", "Bearer k"),
        WireFormat.GEMINI: ("x-goog-api-key", "k"),
    }


def test_headers_that_a_connection_names_stay_with_it() -> None:
    sent = with_key(
        WireFormat.CHAT, [("Connection", "close, X-Mine"), ("x-mine", "1"), ("x-other", "2")], "k"
    )
    assert [name for name, _ in sent] == ["x-other", "Authorization", "Accept-Encoding"]


@pytest.mark.parametrize("key", ["", "a b", "a\nX-Evil: 1", "schlüssel"])
def test_a_key_that_no_header_may_hold_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match="Set it again") as refused:
        with_key(WireFormat.ANTHROPIC, [], key)
    assert not key or key not in str(refused.value)


def test_a_query_loses_its_key_and_keeps_the_rest_as_it_was() -> None:
    assert without_key("alt=sse&key=run-1&KEY=x&k%65y=y&$f=a%20b&&beta") == "alt=sse&$f=a%20b&beta"

"""The scripted model server over real HTTP: shapes, steps, tools, faults, and figures that add up."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.model_server.client import WIRES, Client, events_of, streamed_usage, text_of, usage_of
from tests.model_server.conversation import Usage
from tests.model_server.script import ALWAYS, Fault, Malformed, Script, WrongUsage, parse_book, parse_steps
from tests.model_server.seen import Outcome
from tests.model_server.server import ModelServer

ROOT = Path(__file__).parents[3]
BASH = {"name": "Bash", "schema": {"type": "object", "properties": {"command": {"type": "string"}}}}
WRITE = {
    "name": "Write",
    "schema": {
        "type": "object",
        "properties": {"file_path": {"type": "string"}, "content": {"type": "string"}},
        "required": ["file_path", "content"],
    },
}
SAYING = {"steps": [{"text": "One two three four five six seven eight nine."}]}


class Scripted(Client):
    """A client together with the server it speaks to."""

    def __init__(self, server: ModelServer, http: aiohttp.ClientSession) -> None:
        super().__init__(server.url, http)
        self.server = server


@pytest.fixture
async def client() -> AsyncIterator[Scripted]:
    async with ModelServer(book=parse_book(SAYING)) as server, aiohttp.ClientSession() as http:
        yield Scripted(server, http)


def follow(client: Scripted, *steps: Any, **rest: Any) -> None:
    client.server.book = parse_book({"steps": list(steps), **rest})


@pytest.mark.parametrize("wire", WIRES)
async def test_stream_and_whole_answer_say_and_count_the_same(client: Scripted, wire: str) -> None:
    follow(client, {"text": SAYING["steps"][0]["text"], "tokens": {"output": 50, "reasoning": 20}})
    events = await client.ask(wire)
    whole = await client.ask(wire, stream=False)
    assert text_of(wire, events) == SAYING["steps"][0]["text"]
    assert SAYING["steps"][0]["text"] in json.dumps(whole)
    assert streamed_usage(wire, events) == usage_of(wire, whole)
    first, second = client.server.seen.calls
    assert (first.outcome, first.told, first.used) == (Outcome.ANSWERED, True, second.used)
    seen = first.used if wire != "anthropic" else Usage(fresh=1, output=50)
    assert usage_of(wire, whole) == seen
    assert first.used.output == 50


@pytest.mark.parametrize("wire", WIRES)
async def test_totals_are_the_sum_of_what_clients_read_per_key(client: Scripted, wire: str) -> None:
    prompts = [("a", "x" * 37), ("b", "y" * 400), ("a", "z" * 5)]
    read = [
        (key, usage_of(wire, await client.ask(wire, prompt=prompt, stream=False, key=key)))
        for key, prompt in prompts
    ]
    async with client.http.get(client.server.url + "/_seen") as answer:
        seen = await answer.json()
    assert seen["keys"] == {"a": 2, "b": 1}
    for key in "ab":
        total = Usage()
        for whose, usage in read:
            total = total.plus(usage) if whose == key else total
        assert Usage(**seen["told_by_key"][key]) == total == client.server.seen.usage(key=key)


async def test_chat_stream_tells_usage_only_when_asked_to(client: Scripted) -> None:
    path, body = client.request("openai_chat", "hi", True, [])
    del body["stream_options"]
    _, raw, _ = await client.post(path, body)
    assert not any(event.get("usage") for event in events_of(raw))
    call = client.server.seen.calls[0]
    assert call.outcome is Outcome.ANSWERED
    assert not call.told
    assert raw.endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize("wire", WIRES)
async def test_tool_calls_are_streamed_with_the_arguments_the_tool_names(client: Scripted, wire: str) -> None:
    follow(client, [{"write": ["a b.txt", 'say "hi" é']}, {"run": "ls"}])
    events = await client.ask(wire, tools=[BASH, WRITE])
    whole = await client.ask(wire, tools=[BASH, WRITE], stream=False)
    wanted = [("Write", {"file_path": "a b.txt", "content": 'say "hi" é'}), ("Bash", {"command": "ls"})]
    assert streamed_calls(wire, events) == wanted
    assert whole_calls(wire, whole) == wanted


def whole_calls(wire: str, answer: dict[str, Any]) -> list[tuple[str, Any]]:
    if wire == "anthropic":
        assert answer["stop_reason"] == "tool_use"
        return [(block["name"], block["input"]) for block in answer["content"]]
    if wire == "openai_responses":
        return [(item["name"], json.loads(item["arguments"])) for item in answer["output"]]
    if wire == "openai_chat":
        functions = [call["function"] for call in answer["choices"][0]["message"]["tool_calls"]]
        return [(function["name"], json.loads(function["arguments"])) for function in functions]
    calls = [part["functionCall"] for part in answer["candidates"][0]["content"]["parts"]]
    return [(call["name"], call["args"]) for call in calls]


def streamed_calls(wire: str, events: list[dict[str, Any]]) -> list[tuple[str, Any]]:
    names: dict[int, str] = {}
    pieces: dict[int, str] = {}
    if wire == "gemini":
        return whole_calls(wire, events[-1])
    for event in events:
        if wire == "anthropic" and event["type"] == "content_block_start":
            names[event["index"]] = event["content_block"]["name"]
            assert event["content_block"]["input"] == {}
        elif wire == "anthropic" and event["type"] == "content_block_delta":
            pieces[event["index"]] = pieces.get(event["index"], "") + event["delta"]["partial_json"]
        elif wire == "openai_responses" and event["type"] == "response.output_item.added":
            names[event["output_index"]] = event["item"]["name"]
        elif wire == "openai_responses" and event["type"] == "response.function_call_arguments.delta":
            pieces[event["output_index"]] = pieces.get(event["output_index"], "") + event["delta"]
        elif wire == "openai_chat":
            deltas = [choice["delta"].get("tool_calls", []) for choice in event["choices"]]
            for call in [call for delta in deltas for call in delta]:
                names.setdefault(call["index"], call["function"].get("name", ""))
                pieces[call["index"]] = pieces.get(call["index"], "") + call["function"]["arguments"]
    return [(names[index], json.loads(pieces[index])) for index in sorted(names)]


async def test_script_goes_on_by_the_turns_of_the_conversation(client: Scripted) -> None:
    prompt = 'Please.\nMODEL-SCRIPT:[[{"run":"ls"},{"run":"pwd"}],{"text":"finished"}] thanks'
    path, body = client.request("openai_responses", prompt, False, [BASH])
    _, raw, _ = await client.post(path, body)
    for call in json.loads(raw)["output"]:  # one by one, as if each had been a turn of its own
        result = {"type": "function_call_output", "call_id": call["call_id"], "output": "MODEL-SCRIPT:[]"}
        body["input"] += [call, result]
    _, raw, _ = await client.post(path, body)
    assert json.loads(raw)["output"][0]["content"][0]["text"] == "finished"
    body["input"] += [json.loads(raw)["output"][0], {"role": "user", "content": "MODEL-SCRIPT:@other"}]
    client.server.book = parse_book({"scripts": [{"name": "other", "steps": [{"text": "anew"}]}]})
    _, raw, _ = await client.post(path, body)
    assert json.loads(raw)["output"][0]["content"][0]["text"] == "anew"


@pytest.mark.parametrize("wire", WIRES)
async def test_side_call_without_tools_does_not_run_the_script_again(client: Scripted, wire: str) -> None:
    prompt = 'MODEL-SCRIPT:[{"http":429},{"run":"ls"}]'
    assert text_of(wire, await client.ask(wire, prompt=prompt)) == "A short summary"
    path, body = client.request(wire, prompt, True, [BASH])
    assert (await client.post(path, body))[0] == 429


async def test_answer_bound_to_a_schema_fills_it(client: Scripted) -> None:
    path, body = client.request("openai_responses", "transcript", False, [BASH])
    outcome = {"type": "string", "enum": ["deny", "allow"]}
    shape = {"type": "object", "properties": {"outcome": outcome}, "required": ["outcome"]}
    body["text"] = {"format": {"type": "json_schema", "name": "x", "schema": shape}}
    _, raw, _ = await client.post(path, body)
    assert json.loads(json.loads(raw)["output"][0]["content"][0]["text"]) == {"outcome": "allow"}


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("status", [401, 429, 529])
async def test_error_comes_its_times_and_then_the_answer(client: Scripted, wire: str, status: int) -> None:
    follow(client, {"http": status, "retry_after": 1.5, "times": 2}, {"text": "done"})
    path, body = client.request(wire, "hi", False, [])
    for _ in range(2):
        got, raw, headers = await client.post(path, body)
        assert (got, headers["retry-after"]) == (status, "1.5")
        assert json.loads(raw)["error"]["message"] == f"scripted {status}"
    assert (await client.post(path, body))[0] == 200
    outcomes = [call.outcome for call in client.server.seen.calls]
    assert outcomes == [Outcome.REFUSED, Outcome.REFUSED, Outcome.ANSWERED]


async def test_overload_is_named_as_the_provider_names_it(client: Scripted) -> None:
    client.server.fail_next(Fault(status=529, headers={"x-reset": "soon"}))
    _, raw, headers = await client.post(*client.request("anthropic", "hi", True, []))
    assert json.loads(raw)["error"]["type"] == "overloaded_error"
    assert headers["x-reset"] == "soon"


async def test_keys_are_read_wherever_clients_put_them_and_unknown_ones_refused(client: Scripted) -> None:
    follow(client, {"text": "x"}, keys=["good"])
    path, body = client.request("gemini", "hi", False, [])
    places: list[tuple[dict[str, str], str]] = [
        ({"x-api-key": "good"}, ""),
        ({"x-goog-api-key": "good"}, ""),
        ({"authorization": "Bearer good"}, ""),
        ({}, "?key=good"),
        ({}, "?key=bad"),
        ({}, ""),
    ]
    got = []
    for headers, query in places:
        async with client.http.post(client.server.url + path + query, json=body, headers=headers) as answer:
            got.append(answer.status)
    assert got == [200, 200, 200, 200, 401, 401]
    assert client.server.seen.by_key() == {"good": 4, "bad": 1, "": 1}


@pytest.mark.parametrize("wire", WIRES)
async def test_cut_stream_breaks_off_and_what_it_told_is_known(client: Scripted, wire: str) -> None:
    client.server.fail_next(Fault(cut_after=2))
    with pytest.raises(aiohttp.ClientPayloadError):
        await client.ask(wire)
    call = client.server.seen.calls[0]
    assert (call.outcome, call.told) == (Outcome.BROKEN, False)
    assert (call.told_so_far.input > 0) == (wire in ("anthropic", "gemini"))
    assert call.told_so_far.output < call.used.output
    assert client.server.seen.usage() == Usage()
    await client.ask(wire)


@pytest.mark.parametrize("fault", [Fault(drop=True), Fault(cut_after=0)], ids=["drop", "cut"])
async def test_broken_connection_without_an_answer(client: Scripted, fault: Fault) -> None:
    client.server.fail_next(fault)
    with pytest.raises(aiohttp.ClientError):
        await client.ask("anthropic", stream=False)
    assert client.server.seen.calls[0].outcome is Outcome.BROKEN


@pytest.mark.parametrize("wire", WIRES)
async def test_error_event_in_the_middle_of_a_stream(client: Scripted, wire: str) -> None:
    client.server.fail_next(Fault(error_after=2, message="Overloaded now"))
    last = (await client.ask(wire))[-1]
    error = last["response"]["error"] if wire == "openai_responses" else last["error"]
    assert error["message"] == "Overloaded now"
    assert client.server.seen.calls[0].outcome is Outcome.BROKEN


@pytest.mark.parametrize("wire", WIRES)
async def test_wrong_usage_is_told_and_the_truth_kept(client: Scripted, wire: str) -> None:
    client.server.fail_next(Fault(usage=WrongUsage.DOUBLED))
    client.server.fail_next(Fault(usage=WrongUsage.MISSING))
    doubled = usage_of(wire, await client.ask(wire, stream=False))
    assert not {"usage", "usageMetadata"} & {
        k for k, v in (await client.ask(wire, stream=False)).items() if v
    }
    first, second = client.server.seen.calls
    assert doubled == first.used.plus(first.used)
    assert (first.told, first.wrong, second.told) == (True, WrongUsage.DOUBLED, False)
    client.server.fail_next(Fault(usage=WrongUsage.TEXT))
    assert '"many"' in json.dumps(await client.ask(wire))


@pytest.mark.parametrize("malformed", list(Malformed))
async def test_malformed_streams_are_malformed(client: Scripted, malformed: Malformed) -> None:
    client.server.fail_next(Fault(malformed=malformed))
    _, raw, headers = await client.post(*client.request("openai_responses", "hi", True, []))
    call = client.server.seen.calls[0]
    if malformed is Malformed.NOT_SSE:
        assert headers["content-type"].startswith("text/html")
    elif malformed is Malformed.HUGE_LINE:
        assert max(map(len, raw.split(b"\n"))) > 2 << 20
    elif malformed is Malformed.UNFINISHED:
        assert not raw.endswith(b"\n")
        assert not call.told
    else:
        with pytest.raises(ValueError, match=r"utf-8|delimiter|Unterminated|Expecting"):
            events_of(raw)


@pytest.mark.parametrize("events", [0, 1])
async def test_hanging_answer_ends_when_the_client_leaves(client: Scripted, events: int) -> None:
    client.server.fail_next(Fault(hang_after=events))
    hanging = asyncio.create_task(client.ask("anthropic"))
    async with asyncio.timeout(50):
        await client.server.until(lambda seen: bool(seen.calls))
        assert not hanging.done()
        hanging.cancel()
        await client.server.until(lambda seen: seen.calls[0].outcome is Outcome.CLIENT_GONE)
    await asyncio.gather(hanging, return_exceptions=True)


async def test_first_byte_waits_and_others_do_not(client: Scripted) -> None:
    client.server.fail_next(Fault(first_byte_seconds=30), key="slow")
    slow = asyncio.create_task(client.ask("gemini", key="slow"))
    async with asyncio.timeout(50):
        await client.server.until(lambda seen: bool(seen.calls))
        await client.ask("gemini", key="quick")
    assert not slow.done()
    slow.cancel()
    await asyncio.gather(slow, return_exceptions=True)


async def test_prompt_quoted_inside_a_line_starts_no_script(client: Scripted) -> None:
    quoted = 'Review this transcript: {"user": "MODEL-SCRIPT:[{\\"http\\":500}]"}'
    assert text_of("gemini", await client.ask("gemini", prompt=quoted)) == SAYING["steps"][0]["text"]


async def test_earlier_text_counts_as_cached(client: Scripted) -> None:
    path, body = client.request("anthropic", "q" * 400, False, [])
    body["messages"] += [{"role": "assistant", "content": "a"}, {"role": "user", "content": "b" * 40}]
    usage = usage_of("anthropic", json.loads((await client.post(path, body))[1]))
    assert usage.cache_read == 100
    assert 10 <= usage.fresh + usage.cache_write <= 13
    assert usage == client.server.seen.calls[0].used


@pytest.mark.parametrize(
    ("path", "body", "word"),
    [
        ("/v1/messages", [], "JSON object"),
        ("/v1/messages", {"messages": "no"}, "messages"),
        ("/v1/responses", {"input": []}, "input"),
        ("/v1/responses", {"input": "x", "previous_response_id": "r"}, "previous_response_id"),
        ("/v1/chat/completions", {"messages": [1]}, "messages"),
        ("/v1beta/models/m:generateContent", {}, "contents"),
        ("/v1/responses", {"input": "MODEL-SCRIPT:[{]"}, "no JSON"),
        ("/v1/responses", {"input": "MODEL-SCRIPT:@who"}, "who"),
    ],
)
async def test_bad_requests_are_answered_with_what_is_wrong(
    client: Scripted, path: str, body: Any, word: str
) -> None:
    status, raw, _ = await client.post(path, body)
    assert status == 400
    assert word in json.loads(raw)["error"]["message"]
    assert client.server.seen.calls[0].outcome is Outcome.REFUSED


async def test_faults_and_counts_by_http(client: Scripted) -> None:
    status, _, _ = await client.post("/_faults", [{"http": 503, "times": "always", "key": "k"}])
    assert status == 200
    path, body = client.request("openai_chat", "hi", False, [])
    assert [(await client.post(path, body))[0] for _ in range(3)] == [503] * 3
    assert (await client.post(path, body, key="other"))[0] == 200
    await client.post("/_reset", {})
    assert (await client.post(path, body))[0] == 200
    assert len(client.server.seen.calls) == 1
    assert (await client.post("/_faults", [{"htp": 503}]))[0] == 400


@pytest.mark.parametrize(
    ("source", "status", "word"),
    [
        ("steps: [{text: hello}]", 0, ""),
        ("steps: [{txt: hello}]", 2, "step 1"),
        ("a: [", 2, "cannot be read"),
    ],
)
async def test_runs_as_a_program(tmp_path: Path, source: str, status: int, word: str) -> None:
    script = tmp_path / "script.yaml"
    script.write_text(source)
    words = [sys.executable, "-m", "tests.model_server", "--script", str(script), "--key", "k"]
    pipe = asyncio.subprocess.PIPE
    program = await asyncio.create_subprocess_exec(
        *words, cwd=ROOT, stdout=pipe, stderr=pipe, env=dict(os.environ)
    )
    try:
        if status == 0:
            assert program.stdout
            where = json.loads(await program.stdout.readline())
            async with aiohttp.ClientSession() as http:
                body = {"model": "m", "input": "hi"}
                headers = {"authorization": "Bearer k"}
                async with http.post(where["url"] + "/v1/responses", json=body, headers=headers) as answer:
                    assert "hello" in await answer.text()
            program.terminate()
        _, errors = await program.communicate()
        assert program.returncode == status
        assert word in errors.decode()
        assert "Traceback" not in errors.decode()
    finally:
        if program.returncode is None:
            program.kill()
            await program.wait()


def test_faults_belong_to_the_step_after_them() -> None:
    steps = parse_steps([{"text": "a"}, {"http": 429, "times": "always"}, {"run": "ls"}, {"drop": True}])
    assert [len(step.faults) for step in steps] == [0, 1, 1]
    assert steps[1].faults[0].times == ALWAYS
    assert Script(name="x", steps=steps).uses_tools

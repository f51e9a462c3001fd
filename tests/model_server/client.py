"""A plain client of the four wire formats, for tests of the server and of what stands before it."""

from __future__ import annotations

import json
from typing import Any

import aiohttp

from tests.model_server.conversation import Usage

WIRES = ("anthropic", "openai_responses", "openai_chat", "gemini")


class Client:
    """Speaks all four formats plainly: no retries, so that every request is one call."""

    def __init__(self, url: str, http: aiohttp.ClientSession) -> None:
        self.url, self.http = url, http

    def request(
        self, wire: str, prompt: str, stream: bool, tools: list[dict[str, Any]]
    ) -> tuple[str, dict[str, Any]]:
        """The path and body that ask a model of that format."""
        said = [{"role": "user", "content": prompt}]
        if wire == "anthropic":
            offered = [{"name": tool["name"], "input_schema": tool["schema"]} for tool in tools]
            return "/v1/messages", {"model": "m", "messages": said, "stream": stream, "tools": offered}
        if wire == "openai_responses":
            offered = [{"type": "function", "name": t["name"], "parameters": t["schema"]} for t in tools]
            return "/v1/responses", {"model": "m", "input": said, "stream": stream, "tools": offered}
        if wire == "openai_chat":
            functions = [{"name": t["name"], "parameters": t["schema"]} for t in tools]
            offered = [{"type": "function", "function": function} for function in functions]
            body = {"model": "m", "messages": said, "stream": stream, "tools": offered}
            return "/v1/chat/completions", body | {"stream_options": {"include_usage": True}}
        offered = [{"name": tool["name"], "parametersJsonSchema": tool["schema"]} for tool in tools]
        verb = "streamGenerateContent?alt=sse" if stream else "generateContent"
        contents = [{"role": "user", "parts": [{"text": prompt}]}]
        declared = {"contents": contents, "tools": [{"functionDeclarations": offered}]}
        return f"/v1beta/models/m:{verb}", declared

    async def post(self, path: str, body: Any, key: str = "k") -> tuple[int, bytes, dict[str, str]]:
        """Status, whole body, headers with lower-case names."""
        headers = {"authorization": f"Bearer {key}"}
        async with self.http.post(self.url + path, json=body, headers=headers) as answer:
            found = {name.lower(): value for name, value in answer.headers.items()}
            return answer.status, await answer.read(), found

    async def ask(
        self, wire: str, *, prompt: str = "hi", stream: bool = True, tools: Any = (), key: str = "k"
    ) -> Any:
        """The events of a stream, or the whole answer."""
        path, body = self.request(wire, prompt, stream, list(tools))
        status, raw, _ = await self.post(path, body, key)
        assert status == 200, raw
        return events_of(raw) if stream else json.loads(raw)


def events_of(raw: bytes) -> list[dict[str, Any]]:
    """The JSON of each event; ValueError on one that cannot be read."""
    blocks = [block for block in raw.decode().split("\n\n") if block]
    data = [line[6:] for block in blocks for line in block.split("\n") if line.startswith("data: ")]
    return [json.loads(text) for text in data if text != "[DONE]"]


def text_of(wire: str, events: list[dict[str, Any]]) -> str:
    """The streamed text put together from its deltas."""
    if wire == "anthropic":
        return "".join(event.get("delta", {}).get("text", "") for event in events)
    if wire == "openai_responses":
        return "".join(e["delta"] for e in events if e["type"] == "response.output_text.delta")
    if wire == "openai_chat":
        choices = [choice for event in events for choice in event["choices"]]
        return "".join(choice["delta"].get("content") or "" for choice in choices)
    parts = [part for event in events for part in event["candidates"][0]["content"]["parts"]]
    return "".join(part.get("text", "") for part in parts)


def usage_of(wire: str, answer: dict[str, Any]) -> Usage:
    """The usage as the provider's documentation says to read it, from a whole answer."""
    if wire == "gemini":
        told = answer["usageMetadata"]
        read, thought = told.get("cachedContentTokenCount", 0), told.get("thoughtsTokenCount", 0)
        output = told["candidatesTokenCount"] + thought
        assert told["totalTokenCount"] == told["promptTokenCount"] + output
        return Usage(fresh=told["promptTokenCount"] - read, cache_read=read, output=output, reasoning=thought)
    told = answer["usage"]
    if wire == "anthropic":
        return Usage(
            fresh=told["input_tokens"],
            cache_read=told["cache_read_input_tokens"],
            cache_write=told["cache_creation_input_tokens"],
            output=told["output_tokens"],
        )
    into, out = ("input", "output") if wire == "openai_responses" else ("prompt", "completion")
    read = told[f"{into}_tokens_details"]["cached_tokens"]
    assert told["total_tokens"] == told[f"{into}_tokens"] + told[f"{out}_tokens"]
    return Usage(
        fresh=told[f"{into}_tokens"] - read,
        cache_read=read,
        output=told[f"{out}_tokens"],
        reasoning=told[f"{out}_tokens_details"]["reasoning_tokens"],
    )


def streamed_usage(wire: str, events: list[dict[str, Any]]) -> Usage:
    """The usage from the place where each format's stream has it."""
    if wire == "anthropic":
        return usage_of(wire, next(e for e in events if e["type"] == "message_delta"))
    return usage_of(wire, events[-1]["response"] if wire == "openai_responses" else events[-1])

"""The replay agent against the protocol itself: every message that it sends is valid ACP, and the
library's own client, unmodified, can drive it."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from acp import PROTOCOL_VERSION, RequestError, connect_to_agent, text_block
from acp.schema import (
    AllowedOutcome,
    DeniedOutcome,
    InitializeResponse,
    LoadSessionResponse,
    NewSessionResponse,
    PromptResponse,
    ReadTextFileRequest,
    ReadTextFileResponse,
    RequestPermissionRequest,
    RequestPermissionResponse,
    ResumeSessionResponse,
    SessionNotification,
    SetSessionModeResponse,
    WriteTextFileRequest,
    WriteTextFileResponse,
)

from core.agents.presets import REPLAY
from tests.waiting import SECONDS

PROMPT = "Orchard-Story: s-1\nOrchard-Title: T\nOrchard-Phase: design\nOrchard-Attempt: 1\n\nGo."
RESULTS = {
    "initialize": InitializeResponse,
    "session/new": NewSessionResponse,
    "session/load": LoadSessionResponse,
    "session/resume": ResumeSessionResponse,
    "session/set_mode": SetSessionModeResponse,
    "session/prompt": PromptResponse,
}
PARAMS = {
    "session/update": SessionNotification,
    "session/request_permission": RequestPermissionRequest,
    "fs/write_text_file": WriteTextFileRequest,
    "fs/read_text_file": ReadTextFileRequest,
}


class Client:
    """Says yes to everything, and keeps every raw message."""

    def __init__(self) -> None:
        self.raw: list[tuple[str, dict[str, Any]]] = []
        self.updates: list[str] = []
        self.files: dict[str, str] = {}
        self.allow = True
        self.heard = asyncio.Event()

    def observe(self, event: Any) -> None:
        self.raw.append((event.direction.value, event.message))

    async def session_update(self, session_id: str, update: Any, **_: Any) -> None:
        self.updates.append(update.session_update)
        self.heard.set()

    async def request_permission(self, session_id: str, tool_call: Any, options: Any, **_: Any) -> Any:
        if not self.allow:
            return RequestPermissionResponse(outcome=DeniedOutcome(outcome="cancelled"))
        chosen = AllowedOutcome(outcome="selected", option_id=options[0].option_id)
        return RequestPermissionResponse(outcome=chosen)

    async def write_text_file(self, session_id: str, path: str, content: str, **_: Any) -> Any:
        self.files[path] = content
        return WriteTextFileResponse()

    async def read_text_file(self, session_id: str, path: str, **_: Any) -> Any:
        if path not in self.files:
            raise RequestError.resource_not_found(path)
        return ReadTextFileResponse(content=self.files[path])

    def check(self) -> set[str]:
        """Validate everything that the agent sent; the kinds of update that were among it."""
        sent = [message for way, message in self.raw if way == "outgoing" and "method" in message]
        asked = {message["id"]: message["method"] for message in sent if "id" in message}
        kinds = set()
        for way, message in self.raw:
            assert message["jsonrpc"] == "2.0"
            if way == "outgoing":
                continue
            if "method" in message:
                PARAMS[message["method"]].model_validate(message["params"])
                if message["method"] == "session/update":
                    kinds.add(message["params"]["update"]["sessionUpdate"])
            elif "result" in message:
                RESULTS[asked[message["id"]]].model_validate(message["result"])
            else:
                assert isinstance(message["error"]["code"], int)
                assert isinstance(message["error"]["message"], str)
        return kinds


class Session:
    """The library's client on a real process."""

    def __init__(self, folder: Path, steps: list[Any], **top: Any) -> None:
        self.folder = folder
        self.client = Client()
        self.script = folder / "script.json"
        self.script.write_text(json.dumps({**top, "stories": {"*": {"*": steps}}}))

    async def __aenter__(self) -> Any:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-I", str(REPLAY), "--script", str(self.script),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=50 << 20,
            env={"HOME": str(self.folder / "home"), "PATH": os.environ["PATH"]},
        )  # fmt: skip
        assert self._process.stdin is not None
        self.connection = connect_to_agent(
            self.client, self._process.stdin, self._process.stdout, observers=[self.client.observe]
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.connection.close()
        self._process.stdin.close()
        self.code = await asyncio.wait_for(self._process.wait(), SECONDS)

    async def open(self) -> str:
        await self.connection.initialize(protocol_version=PROTOCOL_VERSION)
        return (await self.connection.new_session(cwd=str(self.folder), mcp_servers=[])).session_id

    async def prompt(self, session_id: str) -> PromptResponse:
        return await self.connection.prompt(session_id=session_id, prompt=[text_block(PROMPT)])


EVERYTHING = [
    {"think": "let me see"},
    {"plan": ["first", "second"]},
    {"say": "hällo"},
    {"write": {"path": "a.txt", "text": "one\n"}},
    {"append": {"path": "a.txt", "text": "two\n"}},
    {"replace": {"path": "a.txt", "old": "one", "new": "1"}},
    {"read": "a.txt"},
    {"run": {"command": "cat a.txt", "ask": True}},
    {"ask": {"title": "Odd", "kind": "fetch", "paths": ["a.txt"], "bare": True, "then": [{"say": "yes"}]}},
    {"client_write": {"path": "b.txt", "text": "b"}},
    {"client_read": "b.txt"},
    {"client_read": "none.txt"},
    {"delete": "a.txt"},
    {"usage": {"input": 3, "output": 4, "cost": 0.5, "used": 7, "size": 100}},
]


async def test_every_message_of_every_step_is_valid_acp(tmp_path):
    async with Session(tmp_path, EVERYTHING) as session:
        response = await session.prompt(await session.open())

    assert response.stop_reason == "end_turn"
    assert response.usage.total_tokens == 7
    assert session.client.check() == {
        "agent_thought_chunk", "agent_message_chunk", "plan", "tool_call", "tool_call_update", "usage_update",
    }  # fmt: skip
    assert session.client.files == {str(tmp_path / "b.txt"): "b"}
    assert session.code == 0


@pytest.mark.parametrize("way", ["load_session", "resume_session"])
async def test_a_session_outlives_the_program(tmp_path, way):
    async with Session(tmp_path, [{"say": "first"}]) as session:
        session_id = await session.open()
        await session.prompt(session_id)
    async with Session(tmp_path, [{"when": "resumed", "then": [{"end": "max_tokens"}]}]) as session:
        await session.connection.initialize(protocol_version=PROTOCOL_VERSION)
        await getattr(session.connection, way)(cwd=str(tmp_path), session_id=session_id, mcp_servers=[])
        replayed = list(session.client.updates)
        response = await session.prompt(session_id)

    assert response.stop_reason == "max_tokens"
    assert ("user_message_chunk" in replayed) is (way == "load_session")
    session.client.check()


async def test_cancel_ends_a_turn_and_the_session_goes_on(tmp_path):
    async with Session(tmp_path, [{"say": "x"}, {"sleep": 600}]) as session:
        session_id = await session.open()
        turn = asyncio.ensure_future(session.prompt(session_id))
        await asyncio.wait_for(session.client.heard.wait(), SECONDS)
        with pytest.raises(RequestError, match="A turn is running"):
            await session.prompt(session_id)
        await session.connection.cancel(session_id=session_id)
        response = await asyncio.wait_for(turn, SECONDS)

    assert response.stop_reason == "cancelled"
    session.client.check()


async def test_modes_are_offered_and_asking_asks_first(tmp_path):
    async with Session(tmp_path, [{"write": {"path": "a", "text": ""}}]) as session:
        session_id = await session.open()
        with pytest.raises(RequestError, match="There is no mode 'yolo'"):
            await session.connection.set_session_mode(session_id=session_id, mode_id="yolo")
        await session.connection.set_session_mode(session_id=session_id, mode_id="ask")
        session.client.allow = False
        await session.prompt(session_id)

    assert not (tmp_path / "a").exists()
    session.client.check()


async def test_faults_are_json_rpc_errors(tmp_path):
    error_step = {"error": {"code": -32042, "message": "out of order", "data": {"a": 1}}}
    async with Session(tmp_path, [error_step]) as session:
        session_id = await session.open()
        with pytest.raises(RequestError, match="out of order") as error:
            await session.prompt(session_id)
        assert (error.value.code, error.value.data) == (-32042, {"a": 1})
        with pytest.raises(RequestError, match="There is no session 'none'"):
            await session.prompt("none")
        with pytest.raises(RequestError, match="Resource not found"):
            await session.connection.load_session(cwd=str(tmp_path), session_id="../x", mcp_servers=[])
        with pytest.raises(RequestError, match="not an absolute path of a folder"):
            await session.connection.new_session(cwd="relative", mcp_servers=[])
        with pytest.raises(RequestError, match="Method not found"):
            await session.connection.list_sessions()

    session.client.check()


async def test_lines_that_are_no_messages_are_answered_as_json_rpc_says(tmp_path):
    script = tmp_path / "x.json"
    script.write_text("{}")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-I", str(REPLAY), "--script", str(script),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    lines = b'{not json\n[1]\n{"jsonrpc":"2.0","id":1,"result":{}}\n\n{"jsonrpc":"2.0","method":"odd"}\n'

    output, _ = await asyncio.wait_for(process.communicate(lines), SECONDS)

    assert [json.loads(line)["error"]["code"] for line in output.splitlines()] == [-32700, -32600]

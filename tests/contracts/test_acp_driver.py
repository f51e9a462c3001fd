"""What our driver sends is valid ACP too, judged by the library's models on its own transcript."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest
from acp.schema import (
    CancelNotification,
    InitializeRequest,
    LoadSessionRequest,
    NewSessionRequest,
    PromptRequest,
    RequestPermissionResponse,
    ResumeSessionRequest,
    SetSessionModeRequest,
)

from core.agents.driver import run_turn
from core.agents.presets import REPLAY
from core.agents.roles import Rights, Role
from core.agents.setup import AgentSetup
from core.agents.turn import ToolStarted, Turn, TurnKind
from core.domain.approval import PermissionAnswer
from core.isolation.launch import PIPE, launch
from core.isolation.machine import probe_machine
from core.isolation.plan import Level, Sandbox, plan_launch

PROMPT = "Orchard-Story: s-1\nOrchard-Phase: design\n\nGo."
SENT = {
    "initialize": InitializeRequest,
    "session/new": NewSessionRequest,
    "session/load": LoadSessionRequest,
    "session/resume": ResumeSessionRequest,
    "session/set_mode": SetSessionModeRequest,
    "session/prompt": PromptRequest,
    "session/cancel": CancelNotification,
}


async def drive(folder: Path, steps: list[object], *, sessions: str = "resume", **changes: object) -> object:
    machine = await probe_machine(programs=(Path(sys.executable),))
    script = folder / "script.json"
    script.write_text(json.dumps({"sessions": sessions, "stories": {"*": {"*": steps}}}))
    cancel = asyncio.Event()
    steering: asyncio.Queue[str] = asyncio.Queue()

    async def on_event(event: object) -> None:
        if isinstance(event, ToolStarted) and event.title == "sleep 600":
            cancel.set()
        if isinstance(event, ToolStarted) and event.title == "sleep 500":
            steering.put_nowait("That is enough sleep.")

    async def ask(_question: object) -> PermissionAnswer:
        return PermissionAnswer(allowed=True)

    async def start(argv, environment, home):
        sandbox = Sandbox(level=Level.PROCESS, cwd=folder, home=home, environment=environment)
        return await launch(plan_launch(argv, sandbox, machine), stdin=PIPE, stdout=PIPE, stderr=PIPE)

    turn = Turn(prompt=PROMPT, cwd=folder, home=folder / "home", transcript=folder / "turn.jsonl", **changes)
    argv = (sys.executable, "-I", str(REPLAY), "--script", str(script))
    return await run_turn(
        AgentSetup(name="replay", kind="acp", argv=argv, mode="ask"),
        turn,
        start=start,
        rights=Rights(role=Role.CODE, story_id="s-1", is_test=lambda path: False),
        level=Level.PROCESS,
        on_event=on_event,
        ask=ask,
        cancel=cancel,
        steering=steering,
    )


@pytest.mark.parametrize("sessions", ["resume", "load"])
async def test_all_that_the_driver_says_is_valid(tmp_path, sessions):
    steps = [{"write": {"path": "a", "text": ""}}, {"ask": {"title": "x"}}, {"run": "sleep 500"}]
    steps.append({"run": "sleep 600"})
    first = await drive(tmp_path, steps, sessions=sessions)
    second = await drive(tmp_path, steps, sessions=sessions, session_id=first.session_id)

    assert (first.kind, second.kind) == (TurnKind.CANCELLED, TurnKind.CANCELLED)
    assert first.steered == second.steered == ("That is enough sleep.",)
    seen = set()
    for line in (tmp_path / "turn.jsonl").read_text().splitlines():
        entry = json.loads(line)
        if entry["way"] != "out":
            continue
        message = entry["message"]
        assert message["jsonrpc"] == "2.0"
        if "method" in message:
            SENT[message["method"]].model_validate(message["params"])
            assert ("id" in message) is (message["method"] != "session/cancel")
            seen.add(message["method"])
        else:
            RequestPermissionResponse.model_validate(message["result"])
            seen.add("answer")
    assert seen == (set(SENT) | {"answer"}) - {"session/load" if sessions == "resume" else "session/resume"}


async def test_the_file_system_is_never_offered(tmp_path):
    await drive(tmp_path, [{"say": "x"}])

    first = json.loads((tmp_path / "turn.jsonl").read_text().splitlines()[0])["message"]
    capabilities = InitializeRequest.model_validate(first["params"]).client_capabilities
    assert not capabilities.fs.read_text_file
    assert not capabilities.fs.write_text_file
    assert not capabilities.terminal

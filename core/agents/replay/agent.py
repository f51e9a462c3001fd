"""The program: answers the client's requests; one thread reads, one plays the turn."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import threading
from typing import Any

from . import acts, lies, trouble
from .link import Link, Refused
from .player import STEPS, Behaviour, Cancelled, Failed, Player
from .script import SHAPES, Script, ScriptError, load

__all__ = ["acts", "lies", "main", "trouble"]  # imported for the steps that they register

_USAGE = "usage: python -m core.agents.replay --script FILE"
_MODES = (("play", "Play"), ("ask", "Ask before every change and command"))


class Agent:
    def __init__(self, link: Link, file: str) -> None:
        self._link = link
        self._behaviour = Behaviour()
        self._sessions: dict[str, dict[str, Any]] = {}
        self._turn: Player | None = None
        self._busy = False  # a prompt is not answered yet
        self._error = ""
        try:
            self._script = load(file)
        except ScriptError as error:
            self._error = str(error)
            self._script = Script(file, {})
        signal.signal(signal.SIGTERM, self._on_term)

    def serve(self) -> int:
        """Until the end of stdin."""
        for message in self._link.messages():
            self._handle(message)
        if "eof" in self._behaviour.ignored:
            threading.Event().wait()
        self._stop_tool()
        return 0

    def _on_term(self, _number: int, _frame: Any) -> None:
        if "term" not in self._behaviour.ignored:
            self._stop_tool()
            os._exit(128 + signal.SIGTERM)

    def _stop_tool(self) -> None:
        turn = self._turn
        if turn is not None and turn.kill_tool is not None:
            turn.kill_tool()

    def _handle(self, message: dict[str, Any]) -> None:
        method, params, request_id = message["method"], message.get("params") or {}, message.get("id")
        if not isinstance(params, dict):
            params = {}
        if "id" not in message:
            if method == "session/cancel" and self._turn is not None:
                self._turn.cancelled.set()
            return
        handler = _METHODS.get(str(method))
        if handler is None:
            self._link.fail(request_id, -32601, "Method not found", {"method": method})
            return
        try:
            result = handler(self, params, request_id)
        except Failed as failed:
            self._link.fail(request_id, failed.code, failed.message, failed.data)
        else:
            if result is not None:
                self._link.answer(request_id, result)

    def initialize(self, params: dict[str, Any], _id: Any) -> dict[str, Any]:
        if self._script.start:
            here = {"cwd": os.getcwd(), "asking": False, "resumed": False}  # noqa: PTH109
            self._player("", here, "").run(self._script.start)
        offered = self._script.sessions
        return {
            "protocolVersion": 1,
            "agentInfo": {"name": "orchard-replay", "title": "Replay (no model)", "version": "1"},
            "agentCapabilities": {
                "loadSession": offered != "none",
                "sessionCapabilities": _SESSIONS.get(offered, {}),
            },
            "authMethods": [],
            **self._script.initialize,
        }

    def authenticate(self, _params: dict[str, Any], _id: Any) -> dict[str, Any]:
        return {}

    def new_session(self, params: dict[str, Any], _id: Any) -> dict[str, Any]:
        self._check_script()
        session = f"replay-{os.urandom(8).hex()}"
        self._sessions[session] = {"cwd": _folder(params), "turns": [], "asking": False, "resumed": False}
        self._save(session)
        return {"sessionId": session, "modes": _modes(asking=False)}

    def load_session(self, params: dict[str, Any], _id: Any) -> dict[str, Any]:
        session = self._take_up(params)
        for turn in self._sessions[session]["turns"]:
            for kind, texts in (
                ("user_message_chunk", [turn["prompt"]]),
                ("agent_message_chunk", turn["said"]),
            ):
                for text in texts:
                    update = {"sessionUpdate": kind, "content": {"type": "text", "text": text}}
                    self._link.notify("session/update", {"sessionId": session, "update": update})
        return {"modes": _modes(asking=False)}

    def resume_session(self, params: dict[str, Any], _id: Any) -> dict[str, Any]:
        self._take_up(params)
        return {"modes": _modes(asking=False)}

    def fork_session(self, params: dict[str, Any], _id: Any) -> dict[str, Any]:
        turns = list(self._sessions[self._take_up(params)]["turns"])
        self._sessions.pop(params["sessionId"])
        session = f"replay-{os.urandom(8).hex()}"
        self._sessions[session] = {"cwd": _folder(params), "turns": turns, "asking": False, "resumed": True}
        self._save(session)
        return {"sessionId": session, "modes": _modes(asking=False)}

    def close_session(self, params: dict[str, Any], _id: Any) -> dict[str, Any]:
        self._sessions.pop(self._session(params), None)
        return {}

    def set_mode(self, params: dict[str, Any], _id: Any) -> dict[str, Any]:
        mode = params.get("modeId")
        if mode not in [name for name, _ in _MODES]:
            raise Failed(-32602, f"There is no mode {mode!r}")
        self._sessions[self._session(params)]["asking"] = mode == "ask"
        return {}

    def prompt(self, params: dict[str, Any], request_id: Any) -> None:
        session = self._session(params)
        self._check_script()
        if self._busy:
            raise Failed(-32600, "A turn is running")
        blocks = params.get("prompt")
        if not isinstance(blocks, list):
            raise Failed(-32602, "prompt is a list of content blocks")
        text = "".join(str(block.get("text", "")) for block in blocks if isinstance(block, dict))
        known = self._sessions[session]
        self._turn = self._player(session, known, text)
        self._busy = True
        turn = self._turn
        threading.Thread(target=self._play, args=(turn, request_id), name="turn", daemon=True).start()

    def _player(self, session: str, known: dict[str, Any], prompt: str) -> Player:
        return Player(
            self._link,
            self._script,
            self._behaviour,
            session=session,
            cwd=known["cwd"],
            prompt=prompt,
            resumed=known["resumed"],
            asking=known["asking"],
            left=known.get("left"),
            words_used=known.get("words_used", False),
            tools=known.get("tools", 0),
        )

    def _play(self, turn: Player, request_id: Any) -> None:
        result: dict[str, Any] = {}
        refusal: tuple[int, str, Any] | None = None
        try:
            result["stopReason"] = turn.play()
        except Cancelled:
            result["stopReason"] = "cancelled"
        except Failed as failed:
            refusal = (failed.code, failed.message, failed.data)
        except (ScriptError, Refused) as error:
            refusal = (-32603, f"replay: {error}", None)
        except Exception as error:
            refusal = (-32603, f"replay: {type(error).__name__}: {error}", None)
        if refusal is None:
            self._sessions[turn.session] |= {
                "left": turn.left,
                "words_used": turn.called,
                "tools": turn.tools,
            }
            self._sessions[turn.session]["turns"].append({"prompt": turn.prompt, "said": turn.said})
            self._save(turn.session)
        if turn.usage:
            spent = {name: int(turn.usage.get(name, 0)) for name in ("input", "output")}
            result["usage"] = {
                "inputTokens": spent["input"],
                "outputTokens": spent["output"],
                "totalTokens": spent["input"] + spent["output"],
            }
        self._busy = False  # before the answer, behind which the next prompt may come at once
        if refusal is None:
            self._link.answer(request_id, result)
        else:
            self._link.fail(request_id, *refusal)

    def _check_script(self) -> None:
        if self._error:
            raise Failed(-32603, f"replay: {self._error}")

    def _session(self, params: dict[str, Any]) -> str:
        session = params.get("sessionId")
        if not isinstance(session, str) or session not in self._sessions:
            raise Failed(-32602, f"There is no session {session!r}")
        return session

    # Sessions outlive the program in its HOME, as real agents' do.

    def _take_up(self, params: dict[str, Any]) -> str:
        self._check_script()
        session = params.get("sessionId")
        if not isinstance(session, str) or not re.fullmatch(r"replay-[0-9a-f]{16}", session):
            raise Failed(-32002, "Resource not found", {"session": session})
        try:
            with open(_session_file(session), encoding="utf-8") as file:  # noqa: PTH123
                turns = json.load(file)["turns"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise Failed(-32002, "Resource not found", {"session": session}) from error
        self._sessions[session] = {"cwd": _folder(params), "turns": turns, "asking": False, "resumed": True}
        return session

    def _save(self, session: str) -> None:
        path = _session_file(session)
        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)  # noqa: PTH103, PTH120
            with open(f"{path}.new", "w", encoding="utf-8") as file:  # noqa: PTH123
                json.dump({"turns": self._sessions[session]["turns"]}, file)
            os.replace(f"{path}.new", path)  # noqa: PTH105
        except OSError as error:
            print(f"replay: the session cannot be kept: {error}", file=sys.stderr)


_SESSIONS: dict[str, dict[str, Any]] = {
    "resume": {"resume": {}, "close": {}},
    "fork": {"resume": {}, "close": {}, "fork": {}},
}

_METHODS: dict[str, Any] = {
    "initialize": Agent.initialize,
    "authenticate": Agent.authenticate,
    "session/new": Agent.new_session,
    "session/load": Agent.load_session,
    "session/resume": Agent.resume_session,
    "session/fork": Agent.fork_session,
    "session/close": Agent.close_session,
    "session/set_mode": Agent.set_mode,
    "session/prompt": Agent.prompt,
}


def _modes(*, asking: bool) -> dict[str, Any]:
    return {
        "currentModeId": "ask" if asking else "play",
        "availableModes": [{"id": mode, "name": name} for mode, name in _MODES],
    }


def _folder(params: dict[str, Any]) -> str:
    cwd = params.get("cwd")
    if not isinstance(cwd, str) or not os.path.isabs(cwd) or not os.path.isdir(cwd):  # noqa: PTH112, PTH117
        raise Failed(-32602, f"cwd is not an absolute path of a folder: {cwd!r}")
    return cwd


def _session_file(session: str) -> str:
    return os.path.join(os.path.expanduser("~"), ".orchard-replay", f"{session}.json")  # noqa: PTH111, PTH118


def main(arguments: list[str]) -> int:
    """Serve ACP on stdin and stdout until stdin ends."""
    if len(arguments) != 2 or arguments[0] != "--script":
        print(_USAGE, file=sys.stderr)
        return 2
    assert set(SHAPES) == set(STEPS), set(SHAPES) ^ set(STEPS)
    code = Agent(Link(), arguments[1]).serve()
    sys.stdout.buffer.flush()
    os._exit(code)  # a turn's thread may still be asleep

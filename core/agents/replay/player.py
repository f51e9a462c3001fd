"""Plays the steps of one turn: what it says and asks. What it does is in `acts`, its lies in `lies`."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

from .link import Link, Refused
from .script import Script, ScriptError, Step, Steps, holds, steering_of

SAYS_SO = "[replay]"


class Cancelled(Exception):
    """The client wants the turn to end."""


class Ended(Exception):
    """The turn is over, for a stop reason."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Failed(Exception):
    """The turn ends with a JSON-RPC error."""

    def __init__(self, code: int, message: str, data: Any = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data


class Behaviour:
    """What the whole program ignores from now on."""

    def __init__(self) -> None:
        self.ignored: set[str] = set()


class Player:
    """One turn. `said` collects its texts; `usage` what it claims to have used."""

    def __init__(
        self,
        link: Link,
        script: Script,
        behaviour: Behaviour,
        *,
        session: str,
        cwd: str,
        prompt: str,
        resumed: bool,
        asking: bool,
        left: Steps | None = None,
        words_used: bool = False,
        tools: int = 0,
    ) -> None:
        self.link = link
        self.script = script
        self.behaviour = behaviour
        self.session = session
        self.cwd = cwd
        self.prompt = prompt
        self.resumed = resumed
        self.said: list[str] = []
        self.usage: dict[str, float] = {}
        self.cancelled = threading.Event()
        self.kill_tool: Callable[[], None] | None = None
        self._asking = {"edit", "delete", "execute"} if asking else set(script.ask)
        self.tools = tools  # calls so far in this session: their ids are never used twice
        self.header = header_of(prompt)
        self._before = left  # of the turn that a person has just steered
        self.left: Steps = []  # what is still to be played
        self.words_used = words_used  # a `steered` step has had the words of this prompt
        self.called = False  # a `steered` step was cut short: the next prompt's words are for it

    def play(self) -> str:
        """The whole turn; its stop reason. Raises Cancelled, Failed, ScriptError."""
        header = self.header
        missing = [name for name in ("Story", "Phase") if name not in header]
        if missing:
            raise ScriptError(f"{self.script.file}: the prompt has no line Orchard-{missing[0]}")
        story, title, phase = header["Story"], header.get("Title", ""), header["Phase"]
        attempt = int(header.get("Attempt", "1")) if header.get("Attempt", "1").isdigit() else 1
        if self._before is not None and "Steered" in header:
            self.say("A person steers this recorded session; no model has read it.")
            steps = self._before
        else:
            steps = self.script.find(story, title, phase, attempt)
            self.say(
                f"Playing a recorded {phase} session of {title or story}, attempt {attempt}; "
                "no model is at work."
            )
        try:
            self.run(steps)
        except Ended as ended:
            return ended.reason
        return "end_turn"

    def run(self, steps: Steps) -> None:
        """Steps in order, until the end or a cancel; what is `left` then, a steered turn goes on with."""
        self.left = list(steps)
        while self.left:
            self.check_cancelled()
            step = self.left.pop(0)
            STEPS[step.name](self, step)

    def next(self, steps: Steps) -> None:
        """Play these before what is left."""
        self.left[:0] = steps

    def check_cancelled(self) -> None:
        if self.cancelled.is_set() and "cancel" not in self.behaviour.ignored:
            raise Cancelled

    def update(self, update: str, /, *, by_byte: bool = False, **fields: Any) -> None:
        body = {"sessionUpdate": update, **fields}
        self.link.notify("session/update", {"sessionId": self.session, "update": body}, by_byte=by_byte)

    def say(self, text: str, *, kind: str = "agent_message_chunk", by_byte: bool = False) -> None:
        whole = f"{SAYS_SO} {text.rstrip()}\n"
        if kind == "agent_message_chunk":
            self.said.append(whole)
        self.update(kind, by_byte=by_byte, content={"type": "text", "text": whole})

    # Tool calls

    def tool(
        self,
        title: str,
        kind: str,
        act: Callable[[], str],
        *,
        paths: tuple[str, ...] = (),
        content: list[dict[str, Any]] | None = None,
        raw: dict[str, Any] | None = None,
        ask: bool = False,
    ) -> bool:
        """Announce, ask if need be, act, report. False when it was refused or did not work.

        `act` returns what to show; its OSError is shown as the tool's failure, as a real agent's would be.
        """
        call = self.open_tool(title, kind, paths=paths, content=content, raw=raw)
        if (ask or kind in self._asking) and not self.may(call, title, kind, raw=raw, content=content):
            self.close_tool(call, "failed", "refused")
            return False
        self.update("tool_call_update", toolCallId=call, status="in_progress")
        try:
            shown = act()
        except OSError as error:
            self.close_tool(call, "failed", str(error))
            return False
        except BaseException as error:
            self.close_tool(call, "failed", str(error) or "ended")
            raise
        self.close_tool(call, "completed", shown)
        return True

    def open_tool(
        self,
        title: str,
        kind: str,
        *,
        paths: tuple[str, ...] = (),
        content: list[dict[str, Any]] | None = None,
        raw: dict[str, Any] | None = None,
    ) -> str:
        self.tools += 1
        call = f"call-{self.tools}"
        fields: dict[str, Any] = {"toolCallId": call, "title": title, "kind": kind, "status": "pending"}
        if paths:
            fields["locations"] = [{"path": os.path.join(self.cwd, path)} for path in paths]  # noqa: PTH118
        if content:
            fields["content"] = content
        if raw is not None:
            fields["rawInput"] = raw
        self.update("tool_call", **fields)
        return call

    def close_tool(self, call: str, status: str, shown: str) -> None:
        fields: dict[str, Any] = {"toolCallId": call, "status": status}
        if shown:
            fields["content"] = [{"type": "content", "content": {"type": "text", "text": shown[-10_000:]}}]
        self.update("tool_call_update", **fields)

    def may(
        self,
        call: str,
        title: str | None,
        kind: str | None,
        *,
        raw: dict[str, Any] | None = None,
        content: list[dict[str, Any]] | None = None,
        options: list[dict[str, Any]] | None = None,
    ) -> bool:
        """Whether the client chose an option of an allowing kind."""
        offered = options or [
            {"optionId": "go-ahead", "name": "Go ahead", "kind": "allow_once"},
            {"optionId": "leave-it", "name": "Leave it", "kind": "reject_once"},
        ]
        fields = {"title": title, "kind": kind, "rawInput": raw, "content": content}
        told = {key: value for key, value in fields.items() if value is not None}
        params = {"sessionId": self.session, "toolCall": {"toolCallId": call, **told}, "options": offered}
        answer = self.link.request("session/request_permission", params)
        outcome = answer.get("outcome", {}) if isinstance(answer, dict) else {}
        if outcome.get("outcome") != "selected":
            self.check_cancelled()
            return False
        chosen = [option for option in offered if option["optionId"] == outcome.get("optionId")]
        return bool(chosen) and chosen[0]["kind"].startswith("allow")


Act = Callable[[Player, Step], None]
STEPS: dict[str, Act] = {}


def step(act: Act) -> Act:
    """Register a step under its function's name, without a trailing underscore."""
    STEPS[act.__name__.rstrip("_")] = act
    return act


def header_of(prompt: str) -> dict[str, str]:
    """The `Orchard-...: ...` lines that a prompt begins with."""
    found = {}
    for line in prompt.splitlines():
        name, colon, value = line.partition(":")
        if not name.startswith("Orchard-") or not colon:
            break
        found[name.removeprefix("Orchard-")] = value.strip()
    return found


@step
def say(player: Player, each: Step) -> None:
    value = each.value if isinstance(each.value, dict) else {"text": each.value}
    player.say(value["text"], by_byte=bool(value.get("split")))


@step
def think(player: Player, each: Step) -> None:
    player.say(each.value, kind="agent_thought_chunk")


@step
def plan(player: Player, each: Step) -> None:
    entries = [{"content": str(text), "priority": "medium", "status": "pending"} for text in each.value]
    player.update("plan", entries=entries)


@step
def usage(player: Player, each: Step) -> None:
    for name in ("input", "output"):
        player.usage[name] = player.usage.get(name, 0) + each.value.get(name, 0)
    fields: dict[str, Any] = {"used": each.value.get("used", 0), "size": each.value.get("size", 0)}
    if "cost" in each.value:
        fields["cost"] = {"amount": each.value["cost"], "currency": "USD"}
    player.update("usage_update", **fields)


@step
def sleep(player: Player, each: Step) -> None:
    if "cancel" in player.behaviour.ignored:
        threading.Event().wait(each.value)
    else:
        player.cancelled.wait(each.value)
    player.check_cancelled()


@step
def steered(player: Player, each: Step) -> None:
    """A person's words come as a cancel and another prompt of this session, or stood in this one."""
    value = each.value if isinstance(each.value, dict) else {}
    if steering_of(player.prompt) and not player.words_used:
        player.words_used = found = True
    else:
        player.called = found = player.cancelled.wait(value.get("seconds"))
    player.next(each.then if found else each.other)
    player.check_cancelled()


@step
def when(player: Player, each: Step) -> None:
    title = player.header.get("Title", "")
    held = holds(each.value, prompt=player.prompt, title=title, resumed=player.resumed)
    player.next(each.then if held else each.other)


@step
def ask(player: Player, each: Step) -> None:
    value = each.value
    title, kind = value.get("title", "Something unusual"), value.get("kind", "other")
    raw = {"command": value["command"]} if "command" in value else None
    call = player.open_tool(title, kind, paths=tuple(value.get("paths", ())), raw=raw)
    options = [
        {"optionId": str(option["id"]), "name": str(option.get("name", option["id"])), "kind": option["kind"]}
        for option in value.get("options", ())
    ]
    shown = (None, None, None) if value.get("bare") else (title, kind, raw)
    allowed = player.may(call, shown[0], shown[1], raw=shown[2], options=options or None)
    player.close_tool(call, "completed" if allowed else "failed", "allowed" if allowed else "refused")
    player.next(each.then if allowed else each.other)


@step
def client_write(player: Player, each: Step) -> None:
    path = os.path.join(player.cwd, each.value["path"])  # noqa: PTH118
    params = {"sessionId": player.session, "path": path, "content": each.value["text"]}
    _through_client(player, f"Write {each.value['path']}", "edit", "fs/write_text_file", params)


@step
def client_read(player: Player, each: Step) -> None:
    path = os.path.join(player.cwd, each.value)  # noqa: PTH118
    params = {"sessionId": player.session, "path": path}
    _through_client(player, f"Read {each.value}", "read", "fs/read_text_file", params)


def _through_client(player: Player, title: str, kind: str, method: str, params: dict[str, Any]) -> None:
    call = player.open_tool(title, kind)
    try:
        result = player.link.request(method, params)
    except Refused as refused:
        player.close_tool(call, "failed", str(refused))
        player.say(f"{title} was refused: {refused}")
        return
    player.close_tool(call, "completed", str((result or {}).get("content", "")))


@step
def send(player: Player, each: Step) -> None:
    player.link.send(_with_session(each.value, player.session))


def _with_session(value: Any, session: str) -> Any:
    if isinstance(value, dict):
        return {key: _with_session(each, session) for key, each in value.items()}
    if isinstance(value, list):
        return [_with_session(each, session) for each in value]
    return session if value == "$SESSION" else value


@step
def error(player: Player, each: Step) -> None:
    value = each.value if isinstance(each.value, dict) else {"message": each.value}
    raise Failed(int(value.get("code", -32603)), value["message"], value.get("data"))


@step
def end(player: Player, each: Step) -> None:
    raise Ended(each.value)

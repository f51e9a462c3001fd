"""A transcript's JSON lines as text for people: prompts, words, tools, permissions, the end. Pure."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator, Mapping
from typing import Any

from core.agents import tools

_PROMPT_SHOWN, _WORDS_SHOWN, _TOOL_SHOWN, _LINE_SHOWN = 8_000, 20_000, 3_000, 500  # characters
_TEXT_KINDS = {"agent_message_chunk": "agent", "agent_thought_chunk": "thought"}


def readable(jsonl: str, limit_characters: int = 200_000) -> str:
    """The whole transcript, one part a paragraph with its time (UTC); of a long one, the end.

    `jsonl` may hold anything: what is no entry is said to be none, and control characters are left out.
    """
    text = "\n".join(_Reader().read(jsonl)).strip()
    text = "".join(char for char in text if char in "\n\t" or unicodedata.category(char) not in _HIDDEN)
    if len(text) <= limit_characters:
        return text
    head = f"[{len(text)} characters; the first are left out]\n"
    room = max(limit_characters - len(head), 0)
    return (head + text[len(text) - room :])[:limit_characters]


def since_last_prompt(text: str) -> str:
    """What stands behind the last prompt in what `readable` made; all of it when it holds none."""
    lines = text.split("\n")
    begin = 0
    for number, line in enumerate(lines):
        if _PROMPT.match(line):
            begin = number + 1
            while begin < len(lines) and lines[begin].startswith(_INDENT):
                begin += 1
    return "\n".join(lines[begin:])


_PROMPT = re.compile(r"(?:\d\d:\d\d:\d\d)? ?prompt: ")
_INDENT = "    "
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co"})  # also what turns the direction of writing


class _Reader:
    def __init__(self) -> None:
        self._tools: dict[str, tools.Tool] = {}
        self._methods: dict[Any, str] = {}  # of our requests that are not answered yet
        self._questions: dict[Any, list[Any]] = {}  # of the agent's: the options
        self._time = ""
        self._who = ""
        self._said: list[str] = []

    def read(self, jsonl: str) -> Iterator[str]:
        for line in jsonl.split("\n"):
            if not line.strip():
                continue
            try:
                entry = json.loads(line)
            except (ValueError, RecursionError):
                entry = None
            if not isinstance(entry, dict):
                yield from self._part("?", "a line that is no entry")
                continue
            yield from self._entry(entry)
        yield from self._words()

    def _entry(self, entry: Mapping[str, Any]) -> Iterator[str]:
        at, way, message = entry.get("at"), entry.get("way"), entry.get("message")
        if isinstance(at, str) and len(at) >= 19:
            self._time = at[11:19]
        if "cut" in entry:
            shown = _cut(str(entry["cut"]), _TOOL_SHOWN)
            yield from self._part(f"{way}, cut", f"{shown}\n[{entry.get('characters')} characters in all]")
        elif way == "note":
            yield from self._note(message)
        elif isinstance(message, dict):
            yield from self._out(message) if way == "out" else self._in(message)

    def _note(self, note: Any) -> Iterator[str]:
        if isinstance(note, dict) and "end" in note:
            error = f": {note['error']}" if note.get("error") else ""
            yield from self._part("end", f"{note['end']}{error}")
        else:
            yield from self._part("note", note if isinstance(note, str) else json.dumps(note))

    # What we sent

    def _out(self, message: Mapping[str, Any]) -> Iterator[str]:
        method, params, identity = message.get("method"), message.get("params"), _key(message.get("id"))
        if isinstance(method, str) and "id" in message:
            self._methods[identity] = method
        if method == "session/prompt":
            blocks = params.get("prompt") if isinstance(params, dict) else None
            texts = [str(block.get("text", "")) for block in tools.entries(blocks)]
            yield from self._part("prompt", _cut("".join(texts), _PROMPT_SHOWN))
        elif method == "session/cancel":
            yield from self._part("cancel", "Orchard asks the agent to stop.")
        elif method is None and identity in self._questions:
            yield from self._answered(self._questions.pop(identity), message.get("result"))

    def _answered(self, options: list[Any], result: Any) -> Iterator[str]:
        outcome = result.get("outcome") if isinstance(result, dict) else None
        chosen = outcome.get("optionId") if isinstance(outcome, dict) else None
        kinds = [option.get("kind") for option in tools.entries(options) if option.get("optionId") == chosen]
        if chosen is None or not kinds:
            yield from self._part("answer", "cancelled")
            return
        meta = result.get("_meta")
        orchards = meta.get("orchard") if isinstance(meta, dict) else None
        reason = orchards.get("reason") if isinstance(orchards, dict) else None
        word = "allowed" if str(kinds[0]).startswith("allow") else "not allowed"
        yield from self._part("answer", f"{word}: {reason}" if reason else word)

    # What the agent sent

    def _in(self, message: Mapping[str, Any]) -> Iterator[str]:
        method, params = message.get("method"), message.get("params")
        if method == "session/update" and isinstance(params, dict):
            update = params.get("update")
            if isinstance(update, dict) and "session/load" not in self._methods.values():
                yield from self._update(update)
        elif method == "session/request_permission" and isinstance(params, dict):
            tool = params.get("toolCall")
            if isinstance(tool, dict):
                merged = tools.merge(self._tools.get(str(tool.get("toolCallId"))), tool)
                request = tools.request_of(merged, str)
                self._questions[_key(message.get("id"))] = params.get("options") or []
                yield from self._part("asks", f"{request.title}\n{_cut(request.detail, _TOOL_SHOWN)}")
        elif method is None:
            yield from self._result(self._methods.pop(_key(message.get("id")), ""), message)

    def _result(self, method: str, message: Mapping[str, Any]) -> Iterator[str]:
        result, error = message.get("result"), message.get("error")
        if error is not None:
            said = error.get("message") if isinstance(error, dict) else error
            yield from self._part("error", f"{method}: {said}")
        elif method == "session/prompt" and isinstance(result, dict):
            yield from self._part("stops", str(result.get("stopReason", "without a reason")))

    def _update(self, update: Mapping[str, Any]) -> Iterator[str]:
        kind = str(update.get("sessionUpdate"))
        if who := _TEXT_KINDS.get(kind):
            content = update.get("content")
            text = content.get("text") if isinstance(content, dict) else None
            if isinstance(text, str):
                if who != self._who:
                    yield from self._words()
                self._who = who
                self._said.append(text)
        elif kind in ("tool_call", "tool_call_update") and isinstance(update.get("toolCallId"), str):
            yield from self._tool(update["toolCallId"], update)

    def _tool(self, identity: str, update: Mapping[str, Any]) -> Iterator[str]:
        known = self._tools.get(identity)
        tool = self._tools[identity] = tools.merge(known, update)
        title = tool.title or tool.command or tool.kind or "an action without a name"
        if known is None:
            detail = tool.diff or (tool.command if tool.command != title else "")
            yield from self._part("tool", f"{title}\n{_cut(detail, _TOOL_SHOWN)}")
        if tool.over and not (known and known.over):
            texts = [
                content["text"]
                for part in tools.entries(update.get("content"))
                if isinstance(content := part.get("content"), dict) and isinstance(content.get("text"), str)
            ]
            shown = _cut("\n".join(texts), _TOOL_SHOWN)
            yield from self._part("done" if tool.status == "completed" else "failed", f"{title}\n{shown}")

    # Parts

    def _words(self) -> Iterator[str]:
        who, text = self._who, "".join(self._said)
        self._who, self._said = "", []
        if text.strip():
            yield from self._part(who, _cut(text, _WORDS_SHOWN))

    def _part(self, who: str, text: str) -> Iterator[str]:
        """What was gathered of the agent's words, then this."""
        yield from self._words()
        lines = [line if len(line) <= _LINE_SHOWN else f"{line[:_LINE_SHOWN]}…" for line in text.splitlines()]
        first, *rest = [line.rstrip() for line in lines if line.strip()] or [""]
        yield f"{self._time} {who}: {first}"
        yield from (f"{_INDENT}{line}" for line in rest)


def _cut(text: str, limit: int) -> str:
    text = text.strip()
    return text if len(text) <= limit else f"{text[:limit]}\n[{len(text) - limit} characters more]"


def _key(identity: Any) -> Any:
    return identity if isinstance(identity, str | int) else None

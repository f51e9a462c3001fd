"""What earlier turns came to, read from their transcripts, for an agent that did not see them. PURE.

    digest(turns) -> text      what was asked, done, and said last; the newest turn at most length

All of it is data that agents and repositories wrote: whoever puts it into a prompt marks it as such.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.agents import tools

SHOWN = 8_000  # characters of a digest
_ASKED, _SAID, _TOOLS, _TITLE = 700, 1_800, 25, 160
_BRIEF = 600  # characters of an older turn's words


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadTurn:
    """`heading`: which turn it was. `jsonl`: its transcript, or the end of it."""

    heading: str
    jsonl: str


def digest(turns: Sequence[ReadTurn], limit: int = SHOWN) -> str:
    """At most `limit` characters, oldest first; "" where no turn left anything to tell."""
    parts: list[str] = []
    room = limit
    for age, turn in enumerate(reversed(turns)):
        told = _told(turn, brief=age > 0)
        if not told:
            continue
        if len(told) > room:
            if not parts:
                parts.append(told[:room])
            break
        parts.append(told)
        room -= len(told) + 2
    return "\n\n".join(reversed(parts))


def _told(turn: ReadTurn, *, brief: bool) -> str:
    seen = _Seen()
    for line in turn.jsonl.split("\n"):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            continue  # a line that was cut off
        if isinstance(entry, dict):
            seen.look(entry)
    lines = []
    if seen.asked:
        lines.append(f"Asked: {_tail(seen.asked, _BRIEF // 2 if brief else _ASKED)}")
    if done := seen.done():
        shown = done[-5:] if brief else done[-_TOOLS:]
        lines.append("Did:" if len(shown) == len(done) else f"Did {len(done)} things, the last of them:")
        lines += [f"- {each}" for each in shown]
    if said := seen.said.strip():
        lines.append(f"Said last: {_tail(said, _BRIEF if brief else _SAID)}")
    if seen.end:
        lines.append(f"Ended: {seen.end}")
    return "\n".join([f"[{turn.heading}]", *lines]) if lines else ""


class _Seen:
    """What one transcript holds."""

    def __init__(self) -> None:
        self.asked = ""
        self.said = ""
        self.end = ""
        self._tools: dict[str, tools.Tool] = {}
        self._fresh = True  # the next words are the last ones so far

    def look(self, entry: Mapping[str, Any]) -> None:
        way, message = entry.get("way"), entry.get("message")
        if not isinstance(message, Mapping):
            return
        params = message.get("params")
        if way == "note" and "end" in message:
            error = message.get("error")
            self.end = f"{message['end']}: {error}"[:400] if error else str(message["end"])[:400]
        elif way == "out" and message.get("method") == "session/prompt" and isinstance(params, Mapping):
            texts = [str(block.get("text", "")) for block in tools.entries(params.get("prompt"))]
            self.asked, self.said, self._fresh = _wish("".join(texts)), "", True
        elif self.asked and way == "in" and message.get("method") == "session/update":
            update = params.get("update") if isinstance(params, Mapping) else None
            if isinstance(update, Mapping):
                self._update(update)

    def _update(self, update: Mapping[str, Any]) -> None:
        kind, identity = update.get("sessionUpdate"), update.get("toolCallId")
        if kind == "agent_message_chunk":
            content = update.get("content")
            text = content.get("text") if isinstance(content, Mapping) else None
            if isinstance(text, str):
                self.said = (text if self._fresh else self.said + text)[-4 * _SAID :]
                self._fresh = False
        elif kind in ("tool_call", "tool_call_update") and isinstance(identity, str):
            self._fresh = True
            self._tools[identity] = tools.merge(self._tools.get(identity), update)

    def done(self) -> list[str]:
        found = []
        for tool in self._tools.values():
            title = " ".join((tool.title or tool.command or tool.kind or "an action").split())[:_TITLE]
            found.append(f"{title} (failed)" if tool.status == "failed" else title)
        return found


def _wish(prompt: str) -> str:
    """Which phase, and what was said of the work, where the prompt holds such a thing."""
    lines = prompt.split("\n")
    count = next((at for at, line in enumerate(lines) if not line.startswith("Orchard-")), len(lines))
    fields = dict(line.split(": ", 1) for line in lines[:count] if ": " in line)
    phase = f"{fields.get('Orchard-Phase', 'its task')}, attempt {fields.get('Orchard-Attempt', '1')}."
    body = "\n".join(lines[count:]).strip()
    for name in ("feedback", "a person says"):
        opened = body.rfind(f" {name}: begin ")
        if opened >= 0:
            return f"{phase} It was told: {_marked(body, opened)}"
    return phase


def _marked(body: str, opened: int) -> str:
    """What stands between the marks that begin there."""
    begin = body.find("\n", opened)
    end = body.rfind("\n=====")
    return body[begin + 1 : end if end > begin else None].strip()


def _tail(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"… {text[-limit:]}"

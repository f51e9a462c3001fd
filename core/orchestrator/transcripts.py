"""An agent's turn as people read it, made of the messages that its transcript keeps."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

TEXT_AT_MOST = 200_000  # characters; of a longer turn its end


def last_transcript(folder: Path) -> Path | None:
    """The newest of a story's transcripts; None when there is none."""
    try:
        found = [(path.stat().st_mtime_ns, path) for path in folder.glob("*.jsonl")]
    except OSError:
        return None
    return max(found)[1] if found else None


def readable(path: Path) -> str:
    """Prompt, words, tools and end, in order. Lines that cannot be read are left out; they are counted."""
    parts: list[str] = [f"# {path.stem}"]
    words, unread = "", 0
    for entry in _entries(path):
        if entry is None:
            unread += 1
            continue
        spoken = _words(entry)
        if spoken is not None:
            words += spoken
            continue
        if line := _line(entry):
            parts += [words.strip(), line]
            words = ""
    parts.append(words.strip())
    if unread:
        parts.append(f"(lines of the transcript that could not be read: {unread})")
    text = "\n\n".join(part for part in parts if part)
    return text if len(text) <= TEXT_AT_MOST else f"(its beginning is left out)\n\n{text[-TEXT_AT_MOST:]}"


def _entries(path: Path) -> Iterator[Mapping[str, Any] | None]:
    with path.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            try:
                entry = json.loads(line)
            except ValueError:
                entry = None
            yield entry if isinstance(entry, dict) else None


def _words(entry: Mapping[str, Any]) -> str | None:
    """What the agent says, in pieces; None for anything else."""
    update = _update(entry)
    if update.get("sessionUpdate") != "agent_message_chunk":
        return None
    return _text(update.get("content"))


def _line(entry: Mapping[str, Any]) -> str:
    if entry.get("way") == "note":
        return f"[{_note(entry.get('message'))}]"
    message = _object(entry.get("message"))
    if message.get("method") == "session/prompt":
        blocks = _object(message.get("params")).get("prompt")
        said = "\n".join(_text(block) for block in blocks) if isinstance(blocks, list) else ""
        return f"## Orchard\n\n{said}\n\n## Agent"
    if message.get("method") == "session/request_permission":
        call = _object(_object(message.get("params")).get("toolCall"))
        return f"[asks: {call.get('title') or 'a permission'}]"
    update = _update(entry)
    match update.get("sessionUpdate"):
        case "tool_call":
            return f"[{update.get('title') or update.get('kind') or 'a tool'}]"
        case "tool_call_update" if update.get("status") == "failed":
            return f"[failed: {update.get('title') or update.get('toolCallId') or 'a tool'}]"
        case _:
            return ""


def _note(message: Any) -> str:
    if not isinstance(message, dict):
        return str(message)
    end, error = message.get("end"), message.get("error")
    return f"{end}: {error}" if error else str(end) if end else json.dumps(message, ensure_ascii=False)


def _update(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    message = _object(entry.get("message"))
    if entry.get("way") != "in" or message.get("method") != "session/update":
        return {}
    return _object(_object(message.get("params")).get("update"))


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(block: Any) -> str:
    return str(_object(block).get("text") or "")

"""What a provider's answer says of itself: model, stop reason, usage, error. PURE."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from core.gateway.sse import MOST_BYTES, EventSplitter
from core.gateway.usage import UNKNOWN, Usage

_LONGEST_NAME = 200
Object = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """`complete`: the provider said that it was done. `error`: its error object, sent amid a stream too."""

    model: str = ""
    stop_reason: str = ""
    usage: Usage = UNKNOWN
    complete: bool = False
    error: Object | None = None


@dataclass(slots=True, kw_only=True)
class Findings:
    """What was found so far; a format's `take` adds to it."""

    model: str = ""
    stop_reason: str = ""
    counts: dict[str, Any] = field(default_factory=dict)  # the provider's own usage fields
    complete: bool = False
    error: Object | None = None
    faulty: bool = False

    def name(self, model: object) -> None:
        if isinstance(model, str) and model and not self.model:
            self.model = model[:_LONGEST_NAME]

    def stop(self, reason: object) -> None:
        if isinstance(reason, str) and reason:
            self.stop_reason = reason[:_LONGEST_NAME]

    def count(self, usage: object) -> None:
        """Later figures replace earlier ones: all formats say totals so far, none says differences."""
        if usage is None:
            return
        if isinstance(usage, Mapping):
            self.counts.update({name: value for name, value in usage.items() if value is not None})
        else:
            self.faulty = True


class Format(Protocol):
    """How one wire format says it."""

    def take(self, findings: Findings, event: Object) -> None:
        """Add what one event of a stream, or a whole answer, says."""

    def usage(self, counts: Object) -> Usage: ...

    def worth_reading(self, event: bytes) -> bool:
        """False for an event that cannot say anything of this: most carry a few words of text."""


def parsed(text: bytes) -> Any:
    """JSON, or None for what is none: malformed, too deep, or with a number too long to be one."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def obj(value: object) -> Object:
    """`value` when it is a JSON object, and else an empty one."""
    return value if isinstance(value, Mapping) else {}


def first(value: object) -> Object:
    """The first of a JSON array of objects, or an empty one."""
    return obj(value[0]) if isinstance(value, list) and value else {}


class AnswerReader:
    """Reads along while an answer passes through. `feed` and `end` never raise, whatever the bytes are.

    A stream is read event by event; any other body is kept up to `most_bytes`, and beyond that unknown.
    """

    def __init__(self, of: Format, *, streamed: bool, most_bytes: int = MOST_BYTES) -> None:
        self._of = of
        self._findings = Findings()
        self._most = most_bytes
        self._splitter = EventSplitter(most_bytes) if streamed else None
        self._body = bytearray()
        self._too_long = False
        self._ended = False

    def feed(self, piece: bytes) -> None:
        if self._splitter is not None:
            for event in self._splitter.feed(piece):
                self._event(event)
        elif len(self._body) + len(piece) > self._most:
            self._too_long = True
            self._body.clear()
        elif not self._too_long:
            self._body += piece

    @property
    def told(self) -> bool:
        """Whether the provider has said anything of what the call takes."""
        return bool(self._findings.counts)

    @property
    def complete(self) -> bool:
        """Whether it has said that it is done; of a body that is no stream this is known at its end."""
        return self._findings.complete

    def end(self) -> Answer:
        """The answer, once the last byte was fed or the connection is gone."""
        if not self._ended:
            self._ended = True
            if self._splitter is not None:
                for event in self._splitter.end():
                    self._event(event)
            else:
                self._whole()
        return self.so_far()

    def so_far(self) -> Answer:
        found = self._findings
        usage = self._of.usage(found.counts) if found.counts else UNKNOWN
        dropped = self._splitter is not None and self._splitter.dropped > 0
        if usage.known and (found.faulty or dropped or not found.complete):
            usage = usage + UNKNOWN
        return Answer(
            model=found.model,
            stop_reason=found.stop_reason,
            usage=usage,
            complete=found.complete,
            error=found.error,
        )

    def _event(self, event: bytes) -> None:
        if event == b"[DONE]" or (self._findings.model and not self._of.worth_reading(event)):
            return
        value = parsed(event)
        if isinstance(value, Mapping):
            self._of.take(self._findings, value)
        else:
            self._findings.faulty = True

    def _whole(self) -> None:
        value = None if self._too_long else parsed(bytes(self._body))
        self._body.clear()
        # Gemini answers a stream that was not asked for as events with an array of the same objects.
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, Mapping):
                self._of.take(self._findings, each)
            else:
                self._findings.faulty = True

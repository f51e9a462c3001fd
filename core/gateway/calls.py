"""A metered call as the journal has it: each line the whole call as far as it is known. PURE."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields, replace
from datetime import datetime
from enum import StrEnum

from core.domain.budget import MOST, Amounts
from core.gateway.usage import Usage


class Stage(StrEnum):
    BEGUN = "begun"  # written before it is sent: whatever happens now, it is known of
    TOLD = "told"  # the provider said something of what it takes
    ENDED = "ended"


class Ending(StrEnum):
    """The values of core.store.ledger.CallStatus, which the gateway's own process does not load."""

    ANSWERED = "answered"
    CUT = "cut"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class MeteredCall:
    """`at`: aware UTC, when this was known. `microdollars`: what the usage costs by known prices."""

    call_id: str
    run_id: str
    project: str
    story_id: str | None
    phase: str
    agent: str
    provider: str
    wire: str
    model: str
    at: datetime
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    microdollars: int = 0
    first_byte_ms: int | None = None
    total_ms: int | None = None
    ending: Ending = Ending.CUT  # what it is if nothing more is heard of it

    @property
    def took(self) -> Amounts:
        tokens = self.input_tokens + self.output_tokens + self.cache_read_tokens + self.cache_write_tokens
        return Amounts(tokens=tokens, microdollars=self.microdollars)

    def using(self, usage: Usage, microdollars: int) -> MeteredCall:
        return replace(
            self,
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cache_read_tokens=usage.cache_read_tokens,
            cache_write_tokens=min(usage.cache_write_tokens + usage.cache_write_long_tokens, MOST),
            reasoning_tokens=usage.reasoning_tokens,
            microdollars=min(microdollars, MOST),
        )


_COUNTS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens")
_TEXTS = ("call_id", "run_id", "project", "phase", "agent", "provider", "wire", "model")
_FIELDS = tuple(each.name for each in fields(MeteredCall))


def line_of(stage: Stage, call: MeteredCall) -> bytes:
    value = {name: getattr(call, name) for name in _FIELDS}
    value |= {"stage": stage.value, "at": call.at.isoformat(), "ending": call.ending.value}
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"


def read_line(line: bytes) -> tuple[Stage, MeteredCall] | None:
    """None for a line that is torn or not ours."""
    try:
        value = json.loads(line)
        stage = Stage(value.pop("stage"))
        value["at"] = datetime.fromisoformat(value["at"])
        value["ending"] = Ending(value["ending"])
        call = MeteredCall(**{name: each for name, each in value.items() if name in _FIELDS})
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    sound = all(isinstance(getattr(call, name), str) for name in _TEXTS) and call.at.tzinfo is not None
    counts = [getattr(call, name) for name in (*_COUNTS, "microdollars")]
    times = [each for each in (call.first_byte_ms, call.total_ms) if each is not None]
    sound = sound and all(type(each) is int and 0 <= each <= MOST for each in (*counts, *times))
    return (stage, call) if sound and call.call_id and isinstance(call.story_id, str | None) else None

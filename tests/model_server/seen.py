"""What the server saw and told, exact to the token, so that a ledger can be compared with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from tests.model_server.conversation import Usage
from tests.model_server.script import WrongUsage


class Outcome(StrEnum):
    """How a call ended."""

    OPEN = "open"  # still being answered
    ANSWERED = "answered"  # all of it was sent, usage with it where the format and the script tell it
    REFUSED = "refused"  # an HTTP error
    BROKEN = "broken"  # cut, dropped, or ended by an error event, as the script wanted
    CLIENT_GONE = "client_gone"  # the other side left first


@dataclass(kw_only=True, slots=True)
class SeenCall:
    """One request. `used` is what the model truly used; `told` is whether the client could read it whole."""

    number: int
    wire: str
    model: str
    key: str
    stream: bool
    headers: Mapping[str, str] = field(default_factory=dict)  # lower-case names
    body: Mapping[str, Any] = field(default_factory=dict)
    status: int = 0
    outcome: Outcome = Outcome.OPEN
    used: Usage = field(default_factory=Usage)
    told: bool = False
    told_so_far: Usage = field(default_factory=Usage)  # of a stream that broke: what its events had told
    wrong: WrongUsage | None = None  # the figures that were told are false in this way
    step: int | None = None
    tools: tuple[str, ...] = ()  # called, not offered
    complaint: str | None = None  # what kept the script from being followed


@dataclass(kw_only=True, slots=True)
class Seen:
    """All calls, in the order they came."""

    calls: list[SeenCall] = field(default_factory=list)

    def by_key(self) -> Counter[str]:
        """Calls per key."""
        return Counter(call.key for call in self.calls)

    def usage(self, *, wire: str | None = None, key: str | None = None, told: bool = True) -> Usage:
        """Tokens of the calls that told their usage (`told=False`: of all that used any), filtered."""
        total = Usage()
        for call in self.calls:
            if (wire in (None, call.wire)) and (key in (None, call.key)) and (call.told or not told):
                total = total.plus(call.used)
        return total

    def as_json(self) -> dict[str, Any]:
        """Counts, totals per wire and key, and each call without its headers and body."""
        brief = []
        for call in self.calls:
            row = asdict(call)
            del row["headers"], row["body"]
            brief.append(row)
        wires = sorted({call.wire for call in self.calls})
        keys = sorted({call.key for call in self.calls})
        return {
            "count": len(self.calls),
            "open": sum(call.outcome is Outcome.OPEN for call in self.calls),
            "keys": dict(self.by_key()),
            "outcomes": dict(Counter(call.outcome for call in self.calls)),
            "told": asdict(self.usage()),
            "used": asdict(self.usage(told=False)),
            "told_by_wire": {wire: asdict(self.usage(wire=wire)) for wire in wires},
            "told_by_key": {key: asdict(self.usage(key=key)) for key in keys},
            "calls": brief,
        }

"""Faults on demand: what goes wrong on which route, how often."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any


class FaultKind(StrEnum):
    RATE_LIMITED = "rate_limited"  # 429 with Via header and JSON body
    BANNED = "banned"  # 429 from the edge: no Via header, no JSON
    SERVER_ERROR = "server_error"  # 500 or 502, nothing done
    ANSWER_LOST = "answer_lost"  # the request is carried out, then answered 500
    SLOW = "slow"  # carried out after some seconds
    REFUSED = "refused"  # a Discord error code, such as 50013
    HANG_UP = "hang_up"  # the connection is cut without an answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One planned fault.

    `route` is a pattern over "METHOD /template", such as "POST /channels/{channel_id}/messages" or
    "* /webhooks/*"; `times` is None for every time.
    """

    kind: FaultKind
    route: str = "*"
    times: int | None = 1
    status: int = 500
    code: int = 50013
    seconds: float = 0.5  # retry_after of a rate limit, delay of a slow answer
    is_global: bool = False

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Fault:
        """Raises TypeError or ValueError for unknown fields and kinds."""
        return cls(**{**data, "kind": FaultKind(data["kind"])})


class Faults:
    """The planned faults of REST requests, used up in the order of planning."""

    def __init__(self) -> None:
        self._planned: list[Fault] = []

    def plan(self, fault: Fault) -> None:
        self._planned.append(fault)

    def clear(self) -> None:
        self._planned.clear()

    @property
    def planned(self) -> tuple[Fault, ...]:
        return tuple(self._planned)

    def take(self, method: str, template: str) -> Fault | None:
        """The next fault for this request, counted down."""
        route = f"{method} {template}"
        for place, fault in enumerate(self._planned):
            if not fnmatchcase(route, _escaped(fault.route)):
                continue
            if fault.times is None:
                return fault
            if fault.times == 1:
                del self._planned[place]
            else:
                self._planned[place] = replace(fault, times=fault.times - 1)
            return fault
        return None


def _escaped(pattern: str) -> str:
    return pattern.replace("[", "[[]")

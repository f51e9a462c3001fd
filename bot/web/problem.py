"""What went wrong, as an answer: what happened, why, what next. Never a trace, never what was sent."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from core.errors import (
    InvalidInput,
    InvalidTransition,
    LostRace,
    NotAllowed,
    NotFound,
    OrchardError,
    Unavailable,
)
from core.security.logins import NotLoggedIn
from core.security.rate_limit import TooManyTries
from core.security.tokens import BadToken


class Changed(LostRace):
    """What is there is not what the caller saw (If-Match)."""

    slug = "changed"


class KeyReused(InvalidInput):
    """An Idempotency-Key that came with another request before."""

    slug = "key_reused"


class StillAnswering(LostRace):
    slug = "still_answering"


# The first that fits.
_STATUS: tuple[tuple[type[OrchardError], int], ...] = (
    (NotLoggedIn, 401),
    (BadToken, 401),
    (TooManyTries, 429),
    (NotAllowed, 403),
    (NotFound, 404),
    (KeyReused, 422),
    (InvalidInput, 400),
    (Changed, 412),
    (InvalidTransition, 409),
    (LostRace, 409),
    (Unavailable, 503),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    status: int
    slug: str
    message: str
    why: str = ""
    hint: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def body(self) -> bytes:
        said = {
            "status": self.status,
            "slug": self.slug,
            "message": self.message,
            "why": self.why,
            "hint": self.hint,
        }
        return json.dumps(said, ensure_ascii=False).encode()


def problem_of(error: OrchardError) -> Problem:
    status = next((status for kind, status in _STATUS if isinstance(error, kind)), 500)
    headers: dict[str, str] = {}
    if status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="Orchard"'
    if isinstance(error, TooManyTries):
        headers["Retry-After"] = str(error.wait_seconds)
    return Problem(
        status=status,
        slug=error.slug,
        message=error.message,
        why=error.why,
        hint=error.hint,
        headers=headers,
    )


def fault(number: str) -> Problem:
    """Of a bug: the log says more under that number."""
    return Problem(
        status=500,
        slug="fault",
        message="Something went wrong in Orchard.",
        why=f"The log has it as {number}.",
        hint="Try again; if it stays, look into the log.",
    )

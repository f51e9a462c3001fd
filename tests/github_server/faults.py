"""What goes wrong on demand: answers that fail, come late, or are cut off."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field

ALWAYS = -1


@dataclass(eq=False, kw_only=True, slots=True)
class Fault:
    """Meets the next `times` requests that fit; the first queued one that fits is the one."""

    method: str = ""  # "": any
    path: str = ""  # a regular expression found in the path; "": any
    times: int = 1  # ALWAYS
    status: int | None = None  # answered without doing anything
    message: str = "Server Error"
    headers: dict[str, str] = field(default_factory=dict)
    html: bool = False  # a page in place of JSON, as from what stands before the API
    delay_seconds: float = 0.0  # before anything is done
    delay_after_seconds: float = 0.0  # between what is done and its answer
    begins: asyncio.Event | None = None  # nothing is done before this
    answers: asyncio.Event | None = None  # it was done; no answer comes before this
    cut_before: bool = False  # the connection is cut, nothing was done
    cut_after: bool = False  # it was done; the connection is cut before the answer
    hang: bool = False  # no answer comes, nothing was done
    hang_after: bool = False  # no answer comes, it was done

    def fits(self, method: str, path: str) -> bool:
        if not self.times or (self.method and self.method != method):
            return False
        return self.fits_path(path)

    def fits_path(self, path: str) -> bool:
        return bool(re.search(self.path, path))

    def take(self) -> None:
        self.times -= 1 if self.times != ALWAYS else 0


def primary_limit(reset: int, *, status: int = 403, times: int = 1) -> Fault:
    """As when the hour's requests are used up; `reset` in seconds since 1970."""
    return Fault(
        status=status,
        times=times,
        message="API rate limit exceeded for user ID 1. (But here's the good news: it ends.)",
        headers={"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(reset)},
    )


def secondary_limit(retry_after: float | None = 1, *, status: int = 403, times: int = 1) -> Fault:
    """As when too much is asked at once. `retry_after` None: GitHub says no time."""
    return Fault(
        status=status,
        times=times,
        message="You have exceeded a secondary rate limit. Please wait a few minutes before you try again.",
        headers={} if retry_after is None else {"retry-after": f"{retry_after:g}"},
    )

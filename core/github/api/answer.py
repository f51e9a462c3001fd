"""What came back of one request, and what it means that nothing did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """`headers` have small letters. `status` is GitHub's, but for 301, which is told as 308."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def etag(self) -> str:
        return self.headers.get("etag", "")

    @property
    def has_next(self) -> bool:
        """Whether a listing goes on (RFC 8288)."""
        return 'rel="next"' in self.headers.get("link", "")


class NoAnswer(Exception):
    """`sent`: the request may have reached GitHub and may have taken effect."""

    def __init__(self, why: str, *, sent: bool) -> None:
        super().__init__(why)
        self.why = why
        self.sent = sent

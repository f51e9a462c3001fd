"""What an address answered, as far as anybody has to know, and how an address is named. PURE."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """`headers` by their names in lower case, the last of a name; `words`: the beginning of the body, as far
    as it came; of a success, nothing is read."""

    status: int
    headers: Mapping[str, str]
    words: str = ""


def origin_of(url: str) -> str:
    """What may be said of an address: its path may be a secret. Raises nothing."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or "?"
        port = "" if parts.port is None else f":{parts.port}"
    except ValueError:
        return "the address"
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{port}"

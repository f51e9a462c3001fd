"""How Python values stand in columns. One form for each, used everywhere.

Times are ISO-8601 UTC text with microseconds, always 32 characters, so that text order is time order.
Lists and mappings are JSON in ASCII: a lone surrogate in somebody's test output survives as an escape.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from core.domain.evidence import Evidence, Refusal, RefusalCode, Verdict
from core.domain.lifecycles import Phase

_encode = json.JSONEncoder(separators=(",", ":")).encode  # json.dumps would make an encoder a call
_EVIDENCE_FIELDS = frozenset(field.name for field in dataclasses.fields(Evidence))


def to_time(at: datetime) -> str:
    """Raises ValueError for a time without a zone: it would sort wrongly."""
    if at.tzinfo is None:
        raise ValueError(f"{at!r} has no time zone")
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def from_time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def from_optional_time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def to_text(text: str) -> str:
    """Text from outside as valid UTF-8: what cannot be encoded (a lone surrogate) is shown escaped."""
    if text.isascii():
        return text
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def to_list(values: Iterable[str]) -> str:
    return _encode(list(values))


def from_list(text: str) -> tuple[str, ...]:
    return tuple(json.loads(text)) if text != "[]" else ()


def to_object(data: Mapping[str, Any]) -> str:
    """Raises TypeError for what JSON does not know."""
    return _encode(dict(data))


def from_object(text: str) -> dict[str, Any]:
    value = json.loads(text)
    assert isinstance(value, dict)
    return value


def to_verdict(verdict: Verdict) -> str:
    return to_object(dataclasses.asdict(verdict))


def from_verdict(text: str) -> Verdict:
    """Fields that this program does not know are left out, missing ones take their default."""
    data = from_object(text)
    return Verdict(
        phase=Phase(data["phase"]),
        refusals=tuple(
            Refusal(
                code=RefusalCode(refusal["code"]),
                sentence=refusal["sentence"],
                tests=tuple(refusal.get("tests", ())),
                files=tuple(refusal.get("files", ())),
            )
            for refusal in data.get("refusals", ())
        ),
        evidence=_evidence(data.get("evidence", {})),
    )


def _evidence(data: Mapping[str, Any]) -> Evidence:
    known: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in data.items()
        if name in _EVIDENCE_FIELDS
    }
    return Evidence(**known)

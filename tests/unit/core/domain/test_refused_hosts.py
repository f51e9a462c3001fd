from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from core.domain.event import Event, EventKind
from core.domain.refused_hosts import first_of_each, told_together

AT = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)


def denied(seq: int, host: str, *, minutes: float = 0.0, story: str | None = "shop-1", **data: Any) -> Event:
    return Event(
        kind=EventKind.NETWORK_DENIED,
        at=AT + timedelta(minutes=minutes),
        project="shop",
        story_id=story,
        data={"host": host, "port": 443, "what": "agent", **data},
        seq=seq,
    )


def seqs(events: tuple[Event, ...]) -> list[int]:
    return [event.seq for event in events]


def test_a_host_counts_once_a_story_and_port() -> None:
    seen = [denied(1, "a"), denied(2, "b"), denied(3, "a"), denied(4, "a", port=80)]
    assert seqs(first_of_each(seen)) == [1, 2, 4]
    assert told_together(seen, seen[2]) == ()


def test_a_thousand_hosts_within_an_hour_are_told_together() -> None:
    seen = [denied(number, f"h{number}", minutes=number / 20) for number in range(1000)]
    assert seqs(told_together(seen, seen[0])) == list(range(1000))
    assert told_together(seen, seen[999]) == told_together(seen, seen[0])


def test_what_comes_later_is_told_anew_without_what_was_told() -> None:
    seen = [
        denied(1, "a"),
        denied(2, "b", minutes=59),
        denied(3, "c", minutes=61),
        denied(4, "a", minutes=62),
    ]
    assert seqs(told_together(seen, seen[1])) == [1, 2]
    assert seqs(told_together(seen, seen[2])) == [3]
    assert told_together(seen, seen[3]) == ()


def test_each_story_epic_and_set_up_has_its_own() -> None:
    seen = [
        denied(1, "a"),
        denied(2, "a", story="shop-2"),
        denied(3, "a", story=None, what="setup"),
        denied(4, "a", story=None, epic="shop-e1"),
    ]
    assert [seqs(told_together(seen, event)) for event in seen] == [[1], [2], [3], [4]]

"""What the runs of a story were refused of the network, told to people once each. PURE.

A host and port counts once a story. What comes within an hour of a telling joins it: an agent that tries a
thousand hosts makes one post.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from core.domain.event import Event

TOGETHER = timedelta(hours=1)


def same_teller(one: Event, other: Event) -> bool:
    """Whether both are of one story; outside of stories, of one epic or of set-ups."""
    return (one.project, one.story_id) == (other.project, other.story_id) and (
        one.story_id is not None or _about(one) == _about(other)
    )


def _about(event: Event) -> tuple[object, object]:
    return event.data.get("epic"), event.data.get("what")


def first_of_each(denials: Iterable[Event]) -> tuple[Event, ...]:
    """Of denials of one teller, oldest first: those of a host and port that was not refused before."""
    found: dict[tuple[str, str], Event] = {}
    for event in denials:
        found.setdefault((str(event.data.get("host", "")), str(event.data.get("port", ""))), event)
    return tuple(found.values())


def told_together(denials: Iterable[Event], event: Event) -> tuple[Event, ...]:
    """Those that are told in one post with `event`, which is one of them, oldest first; empty when its host
    was told before. `denials`: oldest first, of any teller of the project."""
    together: list[Event] = []
    for one in first_of_each(each for each in denials if same_teller(each, event)):
        if together and one.at - together[0].at > TOGETHER:
            if event in together:
                break
            together = []
        together.append(one)
    return tuple(together) if event in together else ()

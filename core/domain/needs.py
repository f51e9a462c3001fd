"""Stories that wait for others: no story may wait for itself, by whatever way. PURE."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence

from core.domain.story import Story, StoryState

_NEVER_DONE = {
    StoryState.REMOVED: "removed",
    StoryState.SKIPPED: "skipped",
    StoryState.ABORTED: "aborted",
}


def find_cycle(start: str, needs: Mapping[str, Iterable[str]]) -> tuple[str, ...]:
    """The shortest way from a story over what it needs back to itself, both ends included; else empty."""
    came_from: dict[str, str] = {}
    waiting = deque([start])
    while waiting:
        story = waiting.popleft()
        for needed in needs.get(story, ()):
            if needed == start:
                way = [start, story]
                while way[-1] != start:
                    way.append(came_from[way[-1]])
                return tuple(reversed(way))
            if needed not in came_from:
                came_from[needed] = story
                waiting.append(needed)
    return ()


def layers_of(needs: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """How many needs stand above each story at most: the longest way up. The store keeps circles away; were
    there one, its stories would stand in the order in which they come."""
    found: dict[str, int] = {}
    for begin in needs:
        todo = [begin]
        on_way: set[str] = set()
        while todo:
            name = todo[-1]
            open_ = [one for one in needs[name] if one not in found and one not in on_way]
            if name not in found and open_:
                on_way.add(name)
                todo += open_
                continue
            todo.pop()
            if name not in found:
                found[name] = 1 + max((found[one] for one in needs[name] if one in found), default=-1)
    return found


def why_not_needed(story: Story) -> str:
    """Why nothing can wait for this story, as half a sentence; empty when it can."""
    return f"{story.id} was {word}" if (word := _NEVER_DONE.get(story.state)) else ""


def why_held(unmet: Sequence[Story]) -> str:
    """What a story waits for, in one sentence; `unmet` are those of its needs that are not done."""
    if not unmet:
        return ""
    if never := [story for story in unmet if story.state in _NEVER_DONE]:
        gone = ", ".join(f"{story.id} ({story.state})" for story in never[:5])
        return f"waits for {gone}, which will never be done: take the need away with /backlog edit."
    listed = ", ".join(f"{story.id} ({story.state})" for story in unmet[:5])
    more = f" and {len(unmet) - 5} more" if len(unmet) > 5 else ""
    return f"waits for {listed}{more} to be done first."

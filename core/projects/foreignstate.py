"""Another tool's `.orch-state`, read as stories, epics and sprints of ours. PURE.

Lenient: a field that is missing or of an unexpected shape is left out and said in `notes`; only what cannot
be a story at all (no title) is passed over. Nothing here is trusted: the texts are somebody's words.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from core.domain.needs import find_cycle
from core.domain.story import Priority
from core.domain.wording import NEEDS
from core.projects.orchstate import BACKLOG, MARK, OWN, SPRINTS

STORIES_LIMIT = 10_000
NOTES_LIMIT = 50

_PRIORITY_WORDS: Mapping[str, Priority] = {
    "critical": Priority.CRITICAL,
    "urgent": Priority.CRITICAL,
    "highest": Priority.CRITICAL,
    "high": Priority.HIGH,
    "medium": Priority.NORMAL,
    "normal": Priority.NORMAL,
    "low": Priority.LOW,
    "lowest": Priority.LOW,
}
_PRIORITY_NUMBERS: Mapping[int, Priority] = {
    1: Priority.CRITICAL,
    2: Priority.HIGH,
    3: Priority.NORMAL,
    4: Priority.LOW,
    5: Priority.LOW,
}
_DONE = frozenset({"done", "completed", "complete", "closed"})
_AT_WORK = frozenset({"sprint", "in_progress", "in progress", "review", "blocked", "planned", "active"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignStory:
    """`key` is the other tool's id."""

    key: str
    title: str
    body: str
    acceptance_criteria: tuple[str, ...]
    priority: Priority
    estimate: int | None
    labels: tuple[str, ...]
    needs: tuple[str, ...]  # keys
    epic: str | None  # key
    sprint: str | None  # key
    done: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignEpic:
    key: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignSprint:
    """Only sprints that are over: what was planned or at work starts again from the backlog."""

    key: str
    goal: str
    started_at: datetime
    ended_at: datetime
    retrospective: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignState:
    epics: tuple[ForeignEpic, ...]
    stories: tuple[ForeignStory, ...]  # in the order in which they were written down
    sprints: tuple[ForeignSprint, ...]  # oldest first
    notes: tuple[str, ...]  # sentences: what was left out or changed, and why


def is_own(document: object) -> bool:
    """Whether Orchard wrote it."""
    return isinstance(document, Mapping) and document.get(MARK) == OWN


def read_state(documents: Mapping[str, object]) -> ForeignState:
    """From parsed JSON by path below `.orch-state`; files that Orchard wrote are passed over."""
    reader = _Reader()
    backlog = documents.get(BACKLOG)
    if backlog is not None and not isinstance(backlog, Mapping | list):
        reader.note(f"{BACKLOG} holds no object and no list: it was left out")
    top: Mapping[str, Any] = backlog if isinstance(backlog, Mapping) and not is_own(backlog) else {}
    listed = backlog if isinstance(backlog, list) else reader.items(top, "stories", "backlog", "items")
    stories = reader.stories(listed)
    epics = reader.epics(reader.items(top, "epics"))
    files = [
        document
        for path, document in sorted(documents.items())
        if path.startswith(f"{SPRINTS}/") and not is_own(document)
    ]
    sprints = reader.sprints([*reader.items(top, "sprints"), *files])
    return ForeignState(epics=epics, stories=stories, sprints=sprints, notes=reader.told())


class _Reader:
    def __init__(self) -> None:
        self._notes: list[str] = []

    def note(self, sentence: str) -> None:
        self._notes.append(sentence)

    def told(self) -> tuple[str, ...]:
        unique = tuple(dict.fromkeys(self._notes))
        if len(unique) <= NOTES_LIMIT:
            return unique
        return (*unique[:NOTES_LIMIT], f"and {len(unique) - NOTES_LIMIT} more such things")

    def items(self, holder: Mapping[str, Any], *names: str) -> Sequence[object]:
        """The first of the names that is there, as a list; an object's values count as one."""
        for name in names:
            value = holder.get(name)
            if isinstance(value, list):
                return value
            if isinstance(value, Mapping):
                return list(value.values())
            if value is not None:
                self.note(f"{name} is no list: it was left out")
        return ()

    def stories(self, listed: Iterable[object]) -> tuple[ForeignStory, ...]:
        found: dict[str, ForeignStory] = {}
        for number, raw in enumerate(listed, start=1):
            if len(found) >= STORIES_LIMIT:
                self.note(f"only the first {STORIES_LIMIT} stories were taken")
                break
            story = self._story(number, raw)
            if story is None:
                continue
            if story.key in found:
                self.note(f"story {story.key} is there twice: the first was taken")
                continue
            found[story.key] = story
        needs: dict[str, tuple[str, ...]] = {}
        for story in found.values():
            self._take_needs(story, found, needs)
        return tuple(replace(story, needs=needs[story.key]) for story in found.values())

    def _story(self, number: int, raw: object) -> ForeignStory | None:
        if not isinstance(raw, Mapping):
            self.note(f"story {number} is no object: it was left out")
            return None
        key = _text(raw, "id", "key", "story_id") or f"number {number}"
        title = " ".join((_text(raw, "title", "name", "summary") or "").split())
        body = _text(raw, "description", "body", "text") or ""
        if not title:
            first, _, rest = body.strip().partition("\n")
            title, body = first.strip(), rest.strip()
        if not title:
            self.note(f"story {key} has no title: it was left out")
            return None
        status = (_text(raw, "status", "state") or "backlog").strip().lower()
        if status in _AT_WORK:
            self.note(f"story {key} was {status} there: it waits in the backlog now")
        return ForeignStory(
            key=key,
            title=title,
            body=body,
            acceptance_criteria=_texts(raw, "acceptance_criteria", "criteria"),
            priority=self._priority(key, raw.get("priority")),
            estimate=self._estimate(key, raw),
            labels=_texts(raw, "labels", "tags"),
            needs=_texts(raw, "dependencies", "depends_on", "blocked_by"),
            epic=_text(raw, "epic_id", "epic"),
            sprint=_text(raw, "sprint_id", "sprint"),
            done=status in _DONE,
        )

    def _priority(self, key: str, raw: object) -> Priority:
        if isinstance(raw, str) and raw.strip().isdigit():
            raw = int(raw)
        if isinstance(raw, str) and (word := _PRIORITY_WORDS.get(raw.strip().lower())) is not None:
            return word
        if isinstance(raw, int) and not isinstance(raw, bool) and raw in _PRIORITY_NUMBERS:
            return _PRIORITY_NUMBERS[raw]
        if raw is not None:
            self.note(f"story {key} has the priority {raw!r:.40}: normal was taken")
        return Priority.NORMAL

    def _estimate(self, key: str, raw: Mapping[str, Any]) -> int | None:
        value = next((raw[name] for name in ("story_points", "estimate", "points") if raw.get(name)), None)
        if value is None:
            return None
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1000:
            return round(value)
        self.note(f"story {key} has the estimate {value!r:.40}: it was left out")
        return None

    def _take_needs(
        self, story: ForeignStory, found: Mapping[str, ForeignStory], taken: dict[str, tuple[str, ...]]
    ) -> None:
        """Into `taken`: those of its needs that are there and make no circle with what was taken before."""
        kept: tuple[str, ...] = ()
        taken[story.key] = kept
        for key in dict.fromkeys(story.needs):
            if key not in found:
                self.note(f"story {story.key} needs {key:.100}, which is not there: left out")
                continue
            if len(kept) == NEEDS:
                break
            taken[story.key] = (*kept, key)
            if key == story.key or find_cycle(story.key, taken):
                taken[story.key] = kept
                self.note(f"story {story.key} and {key:.100} need each other: the second need was left out")
            kept = taken[story.key]

    def epics(self, listed: Iterable[object]) -> tuple[ForeignEpic, ...]:
        found: dict[str, ForeignEpic] = {}
        for number, raw in enumerate(listed, start=1):
            if not isinstance(raw, Mapping):
                self.note(f"epic {number} is no object: it was left out")
                continue
            title, text = _text(raw, "title", "name") or "", _text(raw, "description", "text") or ""
            whole = text if text.startswith(title) else f"{title}\n\n{text}".strip()
            key = _text(raw, "id", "key") or f"number {number}"
            if not whole.strip():
                self.note(f"epic {key} has no text: it was left out")
                continue
            found.setdefault(key, ForeignEpic(key=key, text=whole.strip()))
        return tuple(found.values())

    def sprints(self, listed: Iterable[object]) -> tuple[ForeignSprint, ...]:
        found: dict[str, ForeignSprint] = {}
        for raw in listed:
            if not isinstance(raw, Mapping):
                self.note("a sprint is no object: it was left out")
                continue
            key = _text(raw, "id", "key") or ""
            status = (_text(raw, "status", "state") or "").strip().lower()
            ended = _time(raw, "end_date", "ended_at", "completed_at")
            started = _time(raw, "start_date", "started_at", "created_at") or ended
            if status not in _DONE or started is None:
                if key not in found:
                    self.note(f"sprint {key or '?'} is not over there, or has no date: plan a new one")
                continue
            found.setdefault(
                key,
                ForeignSprint(
                    key=key,
                    goal=" ".join((_text(raw, "goal", "name", "description") or "").split()),
                    started_at=started,
                    ended_at=max(ended or started, started),
                    retrospective=_retrospective(raw),
                ),
            )
        return tuple(sorted(found.values(), key=lambda sprint: (sprint.started_at, sprint.key)))


def _retrospective(raw: Mapping[str, Any]) -> str:
    parts = list(_texts(raw, "retrospective_notes"))
    kept = raw.get("retrospective")
    if isinstance(kept, str):
        parts.append(kept)
    elif isinstance(kept, Mapping):
        for name, words in (
            ("what_went_well", "Went well"),
            ("what_could_improve", "Could improve"),
            ("action_items", "To do"),
        ):
            parts += [f"{words}: {line}" for line in _texts(kept, name)]
    return "\n".join(parts)


def _text(raw: Mapping[str, Any], *names: str) -> str | None:
    """The first of the names that holds text or a number."""
    for name in names:
        value = raw.get(name)
        if isinstance(value, str) and value.strip():
            return value.strip()
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
    return None


def _texts(raw: Mapping[str, Any], *names: str) -> tuple[str, ...]:
    for name in names:
        value = raw.get(name)
        if isinstance(value, str) and value.strip():
            return tuple(line.strip() for line in value.splitlines() if line.strip())
        if isinstance(value, list) and value:
            return tuple(
                str(item).strip() for item in value if isinstance(item, str | int) and str(item).strip()
            )
    return ()


def _time(raw: Mapping[str, Any], *names: str) -> datetime | None:
    """A time without a zone counts as UTC."""
    for name in names:
        value = raw.get(name)
        if not isinstance(value, str):
            continue
        try:
            at = datetime.fromisoformat(value.strip())
        except ValueError:
            continue
        return at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    return None

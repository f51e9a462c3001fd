"""What charts are made of: how long stories took, what projects used and spent, what waits for what. PURE."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime

from core.domain.story import StoryStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class StoryTime:
    """A merged story. `seconds`: from the beginning of its first phase to its merge."""

    story_id: str
    project: str
    finished_at: datetime
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleTimes:
    since: datetime
    until: datetime
    stories: tuple[StoryTime, ...]  # oldest first


@dataclass(frozen=True, slots=True, kw_only=True)
class UsePoint:
    """Means over a span that begins at `at`. `used`: as measured, where it was, else what runs was admitted
    with. None of `..._allocated`: there was no limit for at least a part of the span."""

    at: datetime
    agents: float
    cpu: float  # cores
    memory_mb: float
    agents_allocated: float | None
    cpu_allocated: float | None
    memory_mb_allocated: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectUse:
    """A span in which nothing was sampled has no point: Orchard did not run."""

    project: str
    points: tuple[UsePoint, ...]  # oldest first


@dataclass(frozen=True, slots=True, kw_only=True)
class UseHistory:
    since: datetime
    until: datetime
    span_seconds: int
    projects: tuple[ProjectUse, ...]  # by name


@dataclass(frozen=True, slots=True, kw_only=True)
class Spending:
    """What calls of one model took on one day (UTC)."""

    project: str
    day: date
    model: str
    calls: int
    tokens: int
    microdollars: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SpendingHistory:
    since: date
    until: date  # the last day, as far as it has come
    spent: tuple[Spending, ...]  # by day, project and model


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphStory:
    id: str
    title: str
    status: StoryStatus

    @property
    def project(self) -> str:
        return self.id.rpartition("-")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """`story` waits for `needs`, or waited."""

    story: str
    needs: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NeedsGraph:
    """Stories that are not over and need another or are needed, and what they need, done or not."""

    stories: tuple[GraphStory, ...]  # by project and number
    needs: tuple[Need, ...]

    def among(self, names: Collection[str]) -> dict[str, list[str]]:
        """By story what it needs, as far as both are among these."""
        found: dict[str, list[str]] = {name: [] for name in names}
        for need in self.needs:
            if need.story in found and need.needs in found:
                found[need.story].append(need.needs)
        return found

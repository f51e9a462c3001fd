"""What all projects' gates add up to. PURE."""

from __future__ import annotations

from dataclasses import dataclass

from core.domain.lifecycles import Phase


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseFigures:
    phase: Phase
    judged: int  # gates that spoke
    refused: int
    median_seconds: float | None  # from a phase's start to its gate's word; None: no pair is known


@dataclass(frozen=True, slots=True, kw_only=True)
class ReasonFigures:
    phase: Phase
    reason: str  # a RefusalCode's words
    times: int
    projects: int  # how many projects it was seen in


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectFigures:
    project: str
    stories: int  # that a gate has judged
    judged: int
    refused: int
    blocked: int  # how often a story ran out of retries


@dataclass(frozen=True, slots=True, kw_only=True)
class Insights:
    """Over the latest `judged` verdicts; reasons and projects by how often."""

    judged: int
    phases: tuple[PhaseFigures, ...]
    reasons: tuple[ReasonFigures, ...]
    projects: tuple[ProjectFigures, ...]

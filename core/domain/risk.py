"""Whether a change is small and plain enough to go in without a person. Pure; prints its reasons."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class FileChange:
    path: str
    added: int  # lines
    removed: int
    deleted: bool = False
    is_test: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskLimits:
    max_lines: int = 200  # added and removed, tests not counted
    max_files: int = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Risk:
    low: bool
    reasons: tuple[str, ...]  # why it is not low, or why it is


def _paths(*patterns: str) -> re.Pattern[str]:
    """Matches a path of which a whole part, or an end made of whole parts, fits one of the patterns."""
    return re.compile(rf"(?:^|/)(?:{'|'.join(patterns)})", re.IGNORECASE)


_SENSITIVE = (
    (
        "continuous integration",
        _paths(
            r"\.(github|gitlab|circleci|ci)/", r"\.gitlab-ci\.yml$", r"Jenkinsfile$", r"azure-pipelines\.yml$"
        ),
    ),
    (
        "dependencies",
        _paths(
            r"(pyproject\.toml|setup\.(py|cfg)|requirements[^/]*\.(txt|lock|in)|Pipfile(\.lock)?)$",
            r"(poetry|uv|pdm|Cargo)\.lock$",
            r"(package(-lock)?\.json|yarn\.lock|pnpm-lock\.yaml)$",
            r"(Cargo\.toml|go\.(mod|sum)|pom\.xml)$",
        ),
    ),
    ("secrets", _paths(r"\.env[^/]*$", r"[^/]*(secret|credential)[^/]*$", r"[^/]*\.(pem|key|p12)$")),
    ("migrations", _paths(r"(migrations?|alembic)/", r"[^/]*\.sql$")),
    (
        "build or deployment",
        _paths(r"(Dockerfile|docker-compose)[^/]*$", r"Makefile$", r"[^/]*\.tf$", r"(k8s|helm)/"),
    ),
)


def assess(changes: tuple[FileChange, ...], limits: RiskLimits) -> Risk:
    """Low when the change is small, deletes no test and touches no sensitive path."""
    reasons: list[str] = []
    for label, pattern in _SENSITIVE:
        hit = [change.path for change in changes if pattern.search(change.path)]
        if hit:
            reasons.append(f"touches {label}: {', '.join(hit[:3])}")
    if gone := [change.path for change in changes if change.is_test and change.deleted]:
        reasons.append(f"deletes tests: {', '.join(gone[:3])}")
    lines = sum(change.added + change.removed for change in changes if not change.is_test)
    if lines > limits.max_lines:
        reasons.append(f"changes {lines} lines of code, more than {limits.max_lines}")
    if len(changes) > limits.max_files:
        reasons.append(f"changes {len(changes)} files, more than {limits.max_files}")
    if reasons:
        return Risk(low=False, reasons=tuple(reasons))
    return Risk(low=True, reasons=(f"{lines} lines in {len(changes)} files, no sensitive path",))

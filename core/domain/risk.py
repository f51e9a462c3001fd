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


_SENSITIVE = (
    ("continuous integration", re.compile(r"(^|/)(\.github|\.gitlab|\.circleci|\.ci)/|(^|/)(\.gitlab-ci\.yml|Jenkinsfile|azure-pipelines\.yml)$")),
    ("dependencies", re.compile(r"(^|/)(pyproject\.toml|setup\.(py|cfg)|requirements[^/]*\.(txt|lock|in)|Pipfile(\.lock)?|poetry\.lock|uv\.lock|package(-lock)?\.json|yarn\.lock|pnpm-lock\.yaml|Cargo\.(toml|lock)|go\.(mod|sum)|pom\.xml)$")),
    ("secrets", re.compile(r"(^|/)(\.env[^/]*|[^/]*secret[^/]*|[^/]*credential[^/]*|[^/]*\.(pem|key|p12))$", re.IGNORECASE)),
    ("migrations", re.compile(r"(^|/)(migrations?|alembic)/|\.sql$")),
    ("build or deployment", re.compile(r"(^|/)(Dockerfile[^/]*|docker-compose[^/]*|Makefile|.*\.tf|k8s/.*|helm/.*)$")),
)  # fmt: skip


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

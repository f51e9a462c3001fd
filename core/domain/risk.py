"""Whether a change is small and plain enough to go in without a person. PURE; prints its reasons."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from core.domain.globs import matches


@dataclass(frozen=True, slots=True, kw_only=True)
class FileChange:
    """A renamed file is two: one deleted, and one added under its new name, so that both names count."""

    path: str
    added: int  # lines
    removed: int
    deleted: bool = False
    is_test: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskLimits:
    """`sensitive_paths`: globs below a label, beside the built-in rules. `ignore`: labels of built-in rules
    that are switched off."""

    max_lines: int = 200  # added and removed, tests not counted
    max_files: int = 10
    sensitive_paths: Mapping[str, Sequence[str]] = field(default_factory=dict)
    ignore: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Risk:
    low: bool
    reasons: tuple[str, ...]  # why it is not low, or why it is


DELETED_TESTS: Final = "deleted_tests"
CHANGED_TESTS: Final = "changed_tests"


def _paths(*patterns: str) -> re.Pattern[str]:
    """Matches a path of which a whole part, or an end made of whole parts, fits one of the patterns."""
    return re.compile(rf"(?:^|/)(?:{'|'.join(patterns)})", re.IGNORECASE)


_SENSITIVE: Mapping[str, tuple[str, re.Pattern[str]]] = {
    "ci": (
        "continuous integration",
        _paths(
            r"\.(github|gitlab|gitea|forgejo|circleci|ci|buildkite|woodpecker|semaphore|teamcity|husky)/",
            r"\.(gitlab-ci|travis|drone|appveyor|cirrus|pre-commit-config)\.ya?ml$",
            r"(azure|bitbucket)-pipelines\.ya?ml$",
            r"(action|appveyor|cloudbuild)\.ya?ml$",  # an action of its own stands anywhere
            r"Jenkinsfile[^/]*$",
        ),
    ),
    "dependencies": (
        "dependencies",
        _paths(
            r"(pyproject\.toml|setup\.(py|cfg)|[^/]*requirements[^/]*\.(txt|lock|in)|Pipfile(\.lock)?)$",
            r"requirements/[^/]*\.(txt|in)$",
            r"(poetry|uv|pdm|Cargo|Gemfile|composer)\.lock$",
            r"(environment\.ya?ml|Gemfile|composer\.json|mix\.(exs|lock))$",
            r"(package|package-lock|npm-shrinkwrap)\.json$",
            r"(yarn\.lock|pnpm-(lock|workspace)\.yaml|bun\.lockb?|\.npmrc|\.yarnrc(\.yml)?)$",
            r"(Cargo\.toml|go\.(mod|sum|work)|pom\.xml|[^/]*\.gradle(\.kts)?|[^/]*\.csproj|libs\.versions\.toml)$",
            r"(\.gitmodules|pip\.conf)$",
        ),
    ),
    "secrets": (
        "secrets",
        _paths(
            r"\.env[^/]*$",
            r"[^/]*(secret|credential|passwd|password)[^/]*$",
            r"(secrets|credentials)/",
            r"[^/]*\.(pem|key|p12|pfx|jks|keystore|kdbx)$",
            r"(id_(rsa|dsa|ecdsa|ed25519)[^/]*|\.netrc|\.pgpass|\.htpasswd)$",
        ),
    ),
    "migrations": ("migrations", _paths(r"(migrations?|migrate|alembic)/", r"[^/]*\.sql$")),
    "build": (
        "build or deployment",
        _paths(
            r"[^/]*(Dockerfile|Containerfile)[^/]*$",
            r"(docker-)?compose[^/]*\.ya?ml$",
            r"((GNU)?Makefile|[^/]*\.mk|CMakeLists\.txt|Procfile|Vagrantfile|fly\.toml|vercel\.json)$",
            r"[^/]*\.(tf|tfvars|hcl|bicep)$",
            r"(k8s|kubernetes|helm|charts|ansible|terraform|deploy|deployment)/",
        ),
    ),
    "agents": (
        "what agents are told and Orchard decides by",
        _paths(
            r"\.orch-state/config\.yaml$",
            r"(AGENTS|CLAUDE|GEMINI)\.md$",
            r"\.(claude|codex|cursor|gemini)/",
            r"(\.cursorrules|\.mcp\.json)$",
        ),
    ),
}

LABELS: Final = (*_SENSITIVE, DELETED_TESTS, CHANGED_TESTS)
"""The built-in rules, as `risk_limits.ignore` names them."""


def assess(changes: tuple[FileChange, ...], limits: RiskLimits) -> Risk:
    """Low when the change is small, takes nothing out of older tests and touches no sensitive path."""
    reasons = [
        *_touched(changes, limits),
        *_tests(changes, limits.ignore),
        *_size(changes, limits),
    ]
    if reasons:
        return Risk(low=False, reasons=tuple(reasons))
    return Risk(
        low=True,
        reasons=(
            f"{_count(_lines(changes), 'line')} of code in {_count(len(changes), 'file')} "
            f"(at most {limits.max_lines} and {limits.max_files})",
            "no sensitive path, nothing taken out of older tests",
        ),
    )


def _touched(changes: Sequence[FileChange], limits: RiskLimits) -> Iterable[str]:
    for label, (words, pattern) in _SENSITIVE.items():
        if label not in limits.ignore and (
            hit := [change.path for change in changes if pattern.search(change.path)]
        ):
            yield f"touches {words}: {_listed(hit)}"
    for label, globs in limits.sensitive_paths.items():
        # Upper and lower case alike: on some machines they are the same file.
        if hit := [
            change.path
            for change in changes
            if any(matches(change.path.lower(), glob.lower()) for glob in globs)
        ]:
            yield f"touches {label}: {_listed(hit)}"


def _tests(changes: Sequence[FileChange], ignored: frozenset[str]) -> Iterable[str]:
    tests = [change for change in changes if change.is_test]
    if DELETED_TESTS not in ignored and (gone := [each.path for each in tests if each.deleted]):
        yield f"deletes tests: {_listed(gone)}"
    # A file of the story's own has nothing to lose: only one that was there before can.
    if CHANGED_TESTS not in ignored and (
        cut := [f"{each.path} (-{each.removed})" for each in tests if each.removed and not each.deleted]
    ):
        yield f"takes lines out of tests that were there before: {_listed(cut)}"


def _size(changes: Sequence[FileChange], limits: RiskLimits) -> Iterable[str]:
    if (lines := _lines(changes)) > limits.max_lines:
        yield f"changes {_count(lines, 'line')} of code, more than {limits.max_lines}"
    if len(changes) > limits.max_files:
        yield f"changes {_count(len(changes), 'file')}, more than {limits.max_files}"


def _lines(changes: Sequence[FileChange]) -> int:
    return sum(change.added + change.removed for change in changes if not change.is_test)


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{', '.join(names[:3])}{more}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"

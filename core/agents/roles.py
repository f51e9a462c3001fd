"""What an agent is for in a phase, and which files it may write. Pure.

Rights are enforced three times: by the sandbox's mounts, by the permission policy, by the gate. This
is the one place that says what they are.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath

from core.domain.lifecycles import Phase


class Role(StrEnum):
    DESIGN = "design"  # writes the story's spec
    QA = "qa"  # writes tests
    CODE = "code"  # writes anything but tests, CI and Orchard's own files
    DATA = "data"  # writes under data and notebook folders


ROLE_OF: dict[Phase, Role] = {
    Phase.DESIGN: Role.DESIGN,
    Phase.TEST_RED: Role.QA,
    Phase.CODE_GREEN: Role.CODE,
    Phase.REFACTOR: Role.CODE,
}

# Compared in small letters and without what some file systems leave out: see _folded.
_ORCHARDS = re.compile(r"^(\.orch-state(/|$)|\.orch-global(/|$)|orch-config\.ya?ml$)")
_GITS = re.compile(r"(^|/)(\.git|git~\d+)(/|$)")
_CI = re.compile(
    r"(^|/)(\.github|\.gitlab|\.circleci|\.ci|\.buildkite|\.woodpecker|\.gitea|\.forgejo|\.teamcity|\.semaphore"
    r"|\.azure-pipelines|\.tekton)(/|$)"
    r"|(^|/)(\.gitlab-ci\.ya?ml|\.travis\.ya?ml|jenkinsfile|azure-pipelines\.ya?ml|bitbucket-pipelines\.ya?ml"
    r"|\.drone\.ya?ml|\.cirrus\.ya?ml|\.?appveyor\.ya?ml|buildspec\.ya?ml|cloudbuild\.ya?ml|\.woodpecker\.ya?ml)$"
)
# What HFS+ does not see in a name (git's CVE-2014-9390), and what nobody sees.
_UNSEEN = re.compile("[\x00-\x1f\x7f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")
_DATA_FOLDERS = frozenset({"data", "datasets", "notebooks", "notebook"})


def spec_path(story_id: str) -> str:
    """Where a story's spec is mirrored, relative to the worktree."""
    return f".orch-state/stories/{story_id}.md"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rights:
    """`is_test` says of a path relative to the worktree, with `/`, whether it counts as a test."""

    role: Role
    story_id: str
    is_test: Callable[[str], bool]

    def may_write(self, path: str) -> bool:
        """Whether the role may write `path`: relative to the worktree, no `..`; anything else is outside."""
        pure = PurePosixPath(path)
        if pure.is_absolute() or not pure.parts or ".." in pure.parts:
            return False
        name = str(pure)
        if self.role is Role.DESIGN:
            return name == spec_path(self.story_id)
        folded = _folded(pure.parts)
        if _ORCHARDS.search(folded) or _GITS.search(folded) or _CI.search(folded):
            return False
        if self.role is Role.QA:
            return self.is_test(name)
        if self.role is Role.DATA:
            return bool(_DATA_FOLDERS.intersection(pure.parts[:-1])) and not self.is_test(name)
        return not self.is_test(name)

    def describe(self) -> str:
        """The rights in a sentence, for prompts and for a denial's reason."""
        if self.role is Role.DESIGN:
            return f"the design role writes only {spec_path(self.story_id)}"
        if self.role is Role.QA:
            return "the qa role writes tests only"
        if self.role is Role.DATA:
            return "the data role writes only below data and notebook folders"
        return "the code role writes anything but tests, CI configuration and Orchard's own files"


def _folded(parts: tuple[str, ...]) -> str:
    """As Windows and macOS find it: small letters, no blanks or dots at an end, no stream, nothing unseen."""
    names = (_UNSEEN.sub("", part).lower().partition(":")[0].rstrip(" .") for part in parts)
    return "/".join(name or part for name, part in zip(names, parts, strict=True))

"""What Orchard knows of a project's repository on GitHub: the link, its issues, its pull requests. PURE."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class LinkState(StrEnum):
    """How the repository answered last; all but LINKED say in `trouble` what is wrong and what to do."""

    NEW = "new"  # named, not asked yet
    LINKED = "linked"
    UNAUTHORIZED = "unauthorized"  # no credential, or GitHub refuses it
    FORBIDDEN = "forbidden"  # the credential may not do what is needed
    GONE = "gone"  # deleted, or out of the credential's sight
    UNREACHABLE = "unreachable"  # no answer, or only faults; tried again


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A project's repository. `repository_id` is GitHub's and survives renames and transfers."""

    project: str
    repository: str  # "owner/name", as it is called now
    repository_id: int | None  # None until GitHub answered
    default_branch: str  # "" until GitHub answered
    clone_url: str
    html_url: str
    state: LinkState
    trouble: str  # a sentence and what to do; "" while LINKED
    linked_by: str
    linked_at: datetime
    synced_at: datetime | None  # the last time that all of it was read
    cursor: str  # GitHub's `updated_at` up to which issues were read; ""
    comments_cursor: str  # the same of comments
    configured: bool  # named in orch-config.yaml, not by `/github link`
    named: str = ""  # as people or the settings call it; GitHub may have renamed it since


class ChecksState(StrEnum):
    NONE = "none"  # none were reported
    RUNNING = "running"
    PASSED = "passed"
    FAILED = "failed"


class ReviewState(StrEnum):
    NONE = "none"
    WAITING = "waiting"  # asked for, not given
    APPROVED = "approved"
    CHANGES_REQUESTED = "changes requested"


class PullState(StrEnum):
    WANTED = "wanted"  # a candidate is there; nothing outside knows of it, or knows all of it
    OPEN = "open"  # pushed and opened; its checks and reviews are awaited
    LANDABLE = "landable"  # the merge queue may land it
    MERGED = "merged"
    CLOSED = "closed"  # a person closed it, or its story is over


class CheckConclusion(StrEnum):
    """Of GitHub's conclusions and statuses, what counts here."""

    RUNNING = "running"
    PASSED = "passed"  # success, neutral, skipped
    FAILED = "failed"  # failure, error, timed_out, cancelled, action_required, stale, startup_failure


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A check run or a commit status of one commit, the newest of its name."""

    name: str
    conclusion: CheckConclusion
    summary: str  # what it says in a line; ""
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pull:
    """A story's pull request. `candidate` is what should be on its branch, `head` what is there."""

    story_id: str
    project: str
    branch: str
    candidate: str  # the commit that passed the commit gate
    tree: str
    base: str  # the main branch's commit that the candidate stands on
    head: str  # what was pushed last; "" before
    number: int | None  # None until it was opened
    url: str
    state: PullState
    checks: tuple[Check, ...]
    checks_state: ChecksState
    review: ReviewState
    approvals: int
    failures: int  # how often in a row its checks failed
    merge_commit: str | None
    opened_at: datetime | None
    pushed_at: datetime | None
    updated_at: datetime
    waits: str = ""  # for what, in a sentence, by the last look outside; "": nobody has looked, or nothing
    repository_id: int | None = None  # None: not known when it was wanted, or not kept


def checks_state(checks: Sequence[Check]) -> ChecksState:
    """All of them together: one failed fails, one running runs."""
    found = {check.conclusion for check in checks}
    if not found:
        return ChecksState.NONE
    if CheckConclusion.FAILED in found:
        return ChecksState.FAILED
    return ChecksState.RUNNING if CheckConclusion.RUNNING in found else ChecksState.PASSED


@dataclass(frozen=True, slots=True, kw_only=True)
class IssueLink:
    """Which issue a story is, and what Orchard has made of it there."""

    story_id: str
    project: str
    number: int
    issue_id: int
    url: str
    updated_at: str  # GitHub's, of the version that was taken in last
    seen: str  # SHA-256 of what was taken in last: an edit of ours is no news
    comment_id: int | None  # of the progress comment
    told: str  # SHA-256 of what Orchard wanted said there when it was last said: comment, labels, state
    is_open: bool
    repository_id: int | None = None  # None: from before this was kept


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a story can be looked at on GitHub."""

    what: str  # "issue" or "pull request"
    number: int
    url: str

"""What GitHub says of a repository, as plain values. PURE.

Times are ISO 8601 in UTC with seconds ("2026-11-22T09:00:00Z"), as GitHub writes them, so they compare as
texts and serve as cursors; "" where GitHub gave none. Texts are from outside: untrusted, but valid UTF-8.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Generic, TypeVar

from config.github_settings import Permission
from core.domain.github import Check

Item = TypeVar("Item", covariant=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """An account. `login` is "ghost" for one that was deleted."""

    login: str
    id: int | None
    is_bot: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Rights:
    """What the credential that asks may do in the repository."""

    pull: bool
    triage: bool
    push: bool
    maintain: bool
    admin: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryFacts:
    """`id` survives renames and transfers; `full_name` is how it is called now."""

    id: int
    full_name: str
    default_branch: str
    clone_url: str
    html_url: str
    is_private: bool
    is_archived: bool  # everything in it is read-only
    is_disabled: bool
    has_issues: bool  # False: the repository's issues are switched off
    allows_squash: bool | None  # None: the credential may not see it
    allows_rebase: bool | None
    allows_merge: bool | None
    rights: Rights | None  # None: GitHub does not say so of this kind of credential


@dataclass(frozen=True, slots=True, kw_only=True)
class MilestoneFacts:
    number: int
    id: int | None
    title: str
    description: str
    is_open: bool
    due_on: str
    url: str
    open_issues: int
    closed_issues: int
    updated_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IssueFacts:
    """`is_pull`: GitHub lists pull requests among the issues."""

    number: int
    id: int
    title: str
    body: str
    is_open: bool
    state_reason: str  # completed, not_planned, duplicate, reopened, ""
    labels: tuple[str, ...]
    milestone: MilestoneFacts | None
    assignees: tuple[str, ...]  # logins
    author: Person
    association: str  # OWNER, MEMBER, COLLABORATOR, CONTRIBUTOR, NONE, ...
    url: str
    comments: int
    is_pull: bool
    is_locked: bool
    created_at: str
    updated_at: str
    closed_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CommentFacts:
    """A comment of an issue, or of a pull request's conversation."""

    id: int
    issue_number: int | None  # None: the answer does not say
    body: str
    author: Person
    association: str
    url: str
    created_at: str
    updated_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PullFacts:
    number: int
    id: int
    title: str
    body: str
    is_open: bool
    is_draft: bool
    is_merged: bool
    merge_commit: str  # where it is merged; "" else, also for GitHub's trial merge
    is_mergeable: bool | None  # None: GitHub is still working it out
    mergeable_state: str  # clean, dirty, blocked, behind, unstable, draft, unknown, ...
    head_branch: str
    head_sha: str
    head_repository_id: int | None  # None: the fork that it came from is gone
    base_branch: str
    base_sha: str
    merged_by: str  # a login; ""
    closed_at: str
    author: Person
    url: str
    updated_at: str


class ReviewVerdict(StrEnum):
    APPROVED = "approved"
    CHANGES_REQUESTED = "changes requested"
    COMMENTED = "commented"
    DISMISSED = "dismissed"
    PENDING = "pending"  # not sent off yet
    UNKNOWN = "unknown"  # one that Orchard does not know


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewFacts:
    id: int
    author: Person
    association: str
    verdict: ReviewVerdict
    body: str
    commit: str  # the head that was reviewed
    url: str
    submitted_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewCommentFacts:
    """A remark on a line of the change."""

    id: int
    review_id: int | None
    in_reply_to: int | None
    author: Person
    association: str
    body: str
    path: str
    line: int | None  # None: the line is not in the newest change any more
    commit: str
    diff_hunk: str
    url: str
    created_at: str
    updated_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotation:
    """What a check run says of a place in the files."""

    path: str
    line: int | None
    level: str  # notice, warning, failure
    title: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckRun:
    """A check run or a commit status with all that it says of itself."""

    check: Check
    id: int | None  # None: a commit status
    app: str  # the app's slug; "" for a commit status
    suite: int | None  # its check suite's id: one an app, of GitHub Actions one a workflow run
    raw: str  # GitHub's own word: its conclusion, status or state
    title: str
    text: str  # its summary and text, Markdown
    annotations: int  # how many there are
    started_at: str
    completed_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckSuite:
    """All that one app checks of a commit; of GitHub Actions one workflow run."""

    app: str  # its name, as people know it
    is_done: bool
    runs: int  # check runs that it has made so far


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelFacts:
    name: str
    color: str
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseFacts:
    id: int
    tag: str
    name: str
    body: str
    is_draft: bool
    is_prerelease: bool
    target: str
    url: str
    published_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HookFacts:
    """A webhook of the repository. `url`: where it delivers to."""

    id: int
    url: str
    events: tuple[str, ...]


class MergeResult(StrEnum):
    MERGED = "merged"
    HEAD_MOVED = "head moved"  # the branch holds another commit than the one that was to be merged (409)
    REFUSED = "refused"  # GitHub's rules, or a conflict: `why` says which (405, 422)


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeOutcome:
    result: MergeResult
    commit: str  # of the merge; "" where there was none
    why: str  # GitHub's words; ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageKey:
    """Where a listing goes on: all that changed since `since`, the page of that."""

    since: str
    page: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[Item]):
    """A page of a listing by time of change, oldest first.

    An item may come again on the next page (and does, at the seams): what changes while the listing is read
    moves to its end, so pages are read by time, not by number, and none is passed over."""

    items: tuple[Item, ...]
    path: str  # under which its `etag` is kept (github_links.keep_etag)
    etag: str  # "" where GitHub gave none
    cursor: str  # the newest change in it: where to go on another day, once it was taken in; never earlier
    next: PageKey | None  # None: it was the last


@dataclass(frozen=True, slots=True, kw_only=True)
class NotModified:
    """Nothing has changed since the ETag was given (304); it cost nothing of the limit."""

    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """How a credential stands with GitHub's limits."""

    credential: (
        str  # what it is, never its value: "GITHUB_TOKEN", "the secret GH_TOKEN of shop", "app 12 (34)"
    )
    limit: int | None  # requests an hour; None: not heard yet
    remaining: int | None
    resets_at: datetime | None
    waits_until: datetime | None  # set while GitHub has us wait
    requests: int  # sent, since the start
    counted: int  # of those, what GitHub counts: not the 304s
    retries: int


__all__ = [
    "Annotation",
    "Check",
    "CheckRun",
    "CommentFacts",
    "HookFacts",
    "IssueFacts",
    "LabelFacts",
    "MergeOutcome",
    "MergeResult",
    "MilestoneFacts",
    "NotModified",
    "Page",
    "PageKey",
    "Permission",
    "Person",
    "PullFacts",
    "Rate",
    "ReleaseFacts",
    "RepositoryFacts",
    "ReviewCommentFacts",
    "ReviewFacts",
    "ReviewVerdict",
    "Rights",
]

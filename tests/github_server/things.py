"""What is in a repository, besides its commits."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tests.github_server.world import Account


@dataclass(eq=False, kw_only=True, slots=True)
class Label:
    id: int
    name: str
    color: str = "ededed"
    description: str | None = None


@dataclass(eq=False, kw_only=True, slots=True)
class Milestone:
    id: int
    number: int
    title: str
    creator: Account | None
    created_at: datetime
    updated_at: datetime
    description: str | None = None
    state: str = "open"
    due_on: datetime | None = None
    closed_at: datetime | None = None


@dataclass(eq=False, kw_only=True, slots=True)
class Comment:
    id: int
    issue: Issue
    author: Account | None  # None: deleted since
    body: str
    created_at: datetime
    updated_at: datetime
    reactions: list[Reaction] = field(default_factory=list)


@dataclass(eq=False, kw_only=True, slots=True)
class Reaction:
    id: int
    user: Account | None
    content: str
    created_at: datetime


@dataclass(eq=False, kw_only=True, slots=True)
class Issue:
    """An issue, or what a pull request has in common with one."""

    id: int
    number: int
    title: str
    body: str | None
    author: Account | None
    created_at: datetime
    updated_at: datetime
    state: str = "open"
    state_reason: str | None = None
    labels: list[Label] = field(default_factory=list)
    milestone: Milestone | None = None
    assignees: list[Account] = field(default_factory=list)
    comments: list[Comment] = field(default_factory=list)
    reactions: list[Reaction] = field(default_factory=list)
    locked: bool = False
    closed_at: datetime | None = None
    closed_by: Account | None = None
    pull: Pull | None = None


@dataclass(eq=False, kw_only=True, slots=True)
class Pull:
    """What a pull request has besides. `head` and `base` are branches, `head_sha` the last commit seen."""

    id: int
    issue: Issue
    head: str
    base: str
    head_sha: str
    base_sha: str
    draft: bool = False
    merged_at: datetime | None = None
    merged_by: Account | None = None
    merge_commit: str | None = None
    reviews: list[Review] = field(default_factory=list)
    comments: list[ReviewComment] = field(default_factory=list)
    requested: list[Account] = field(default_factory=list)


@dataclass(eq=False, kw_only=True, slots=True)
class Review:
    id: int
    author: Account | None
    state: str  # APPROVED, CHANGES_REQUESTED, COMMENTED, DISMISSED, PENDING
    body: str
    commit: str
    submitted_at: datetime


@dataclass(eq=False, kw_only=True, slots=True)
class ReviewComment:
    id: int
    review: Review | None
    author: Account | None
    body: str
    path: str
    line: int | None
    commit: str
    created_at: datetime
    updated_at: datetime
    reply_to: int | None = None


@dataclass(eq=False, kw_only=True, slots=True)
class CheckRun:
    id: int
    name: str
    sha: str
    app: str
    started_at: datetime
    status: str = "completed"  # queued, in_progress, completed
    conclusion: str | None = "success"
    title: str | None = None
    summary: str | None = None
    text: str | None = None
    details_url: str = ""
    completed_at: datetime | None = None
    annotations: list[dict[str, Any]] = field(default_factory=list)


@dataclass(eq=False, kw_only=True, slots=True)
class Status:
    id: int
    sha: str
    context: str
    state: str  # error, failure, pending, success
    description: str | None
    target_url: str | None
    creator: Account
    created_at: datetime


@dataclass(eq=False, kw_only=True, slots=True)
class Release:
    id: int
    tag_name: str
    target: str
    name: str | None
    body: str | None
    draft: bool
    prerelease: bool
    author: Account
    created_at: datetime
    published_at: datetime | None = None


@dataclass(eq=False, kw_only=True, slots=True)
class Hook:
    id: int
    url: str
    secret: str
    events: tuple[str, ...]  # ("*",): all
    content_type: str = "json"  # or form
    active: bool = True
    created_at: datetime | None = None


@dataclass(eq=False, kw_only=True, slots=True)
class Protection:
    """Of a branch. What it asks holds for pushes and for merges by the API."""

    checks: tuple[str, ...] = ()  # have to have passed on the commit
    approvals: int = 0
    require_pull: bool = False  # nobody pushes to it
    allow_force: bool = False
    strict: bool = False  # a pull's branch has to contain the base's newest commit

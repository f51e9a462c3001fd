"""What the faces show of GitHub. PURE."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from core.domain.github import Link, Pull


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundRepository:
    """Who answers to a repository's name."""

    repository: str  # "owner/name", as GitHub calls it now
    repository_id: int
    default_branch: str
    clone_url: str
    html_url: str
    credential: str = ""  # with which it was asked; never itself
    faults: tuple[str, ...] = ()  # what keeps Orchard from its work there, in a few words each


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookCounts:
    """Deliveries to this Orchard since it started, of any repository."""

    taken: int = 0
    replayed: int = 0
    ignored: int = 0  # signed, and of nothing that is looked at
    refused: int = 0  # not signed, or wrongly


@dataclass(frozen=True, slots=True, kw_only=True)
class RateView:
    """A credential and what GitHub lets it ask."""

    credential: str  # where it is from, never itself
    remaining: int | None  # requests until `resets_at`; None: GitHub has not said
    limit: int | None
    resets_at: datetime | None
    requests: int  # asked since Orchard started


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepingView:
    """How a running Orchard keeps a repository."""

    doing: str  # a few words; "" while it waits
    next_at: datetime | None  # when it looks by itself
    rate: RateView | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GithubView:
    """A project's repository. `keeping` is None where no Orchard runs."""

    link: Link
    issues: int  # stories that are issues
    pulls: tuple[Pull, ...]  # at work, the oldest first
    delivered_at: datetime | None  # when its last webhook came
    delivered: int  # its webhooks of the last 24 hours
    webhooks: WebhookCounts | None  # None: no web server runs
    keeping: KeepingView | None
    default_branch_differs: str  # the project's own main branch, where GitHub's default is another; else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncView:
    """What one look took in, and how the repository stands after it."""

    view: GithubView
    added: int
    edited: int
    closed: int
    reopened: int
    seconds: float
    held: str = ""  # why no issue was taken in


@dataclass(frozen=True, slots=True, kw_only=True)
class NotesView:
    """Release notes as Markdown. `url`: of the draft release where one was made."""

    project: str
    heading: str
    text: str
    url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HookView:
    """What GitHub is to be told for its webhooks to come. `problem`: why they could not come; "" if none."""

    project: str
    repository: str
    settings_url: str  # the page at GitHub
    payload_url: str
    content_type: str
    events: tuple[str, ...]
    secret: str  # where it is from, never itself; "": there is none
    problem: str
    made: bool

"""What can go wrong between Orchard and GitHub, each with the state that the project's link then has.

GithubError (Unavailable)
├── GithubUnauthorized   no credential, or GitHub refuses it
├── GithubForbidden      the credential may not do it
├── GithubGone           no such repository, or out of the credential's sight
├── GithubMissing        the repository is there, the issue, comment or branch is not (its link is LINKED)
├── GithubRefused        GitHub will not do it: a value or rule of its own (422, 409, 410; its link is LINKED)
├── GithubLimited        its limits are used up; `retry_at` says until when
└── GithubUnreachable    no answer in time, or only faults; `unknown` when a change may have taken effect
"""

from __future__ import annotations

from datetime import datetime

from core.domain.github import LinkState
from core.errors import Unavailable


class GithubError(Unavailable):
    """`state`: what the link is by this. `status`: the HTTP answer, None without one. `unknown`: the request
    may have been carried out all the same: look before it is made again."""

    slug = "github"
    state = LinkState.UNREACHABLE

    def __init__(
        self,
        message: str,
        *,
        why: str = "",
        hint: str = "",
        status: int | None = None,
        unknown: bool = False,
        retry_at: datetime | None = None,
    ) -> None:
        super().__init__(message, why=why, hint=hint)
        self.status = status
        self.unknown = unknown
        self.retry_at = retry_at


class GithubUnauthorized(GithubError):
    slug = "github_unauthorized"
    state = LinkState.UNAUTHORIZED


class GithubForbidden(GithubError):
    slug = "github_forbidden"
    state = LinkState.FORBIDDEN


class GithubGone(GithubError):
    slug = "github_gone"
    state = LinkState.GONE


class GithubMissing(GithubError):
    slug = "github_missing"
    state = LinkState.LINKED


class GithubRefused(GithubError):
    slug = "github_refused"
    state = LinkState.LINKED


class GithubLimited(GithubError):
    slug = "github_limited"


class GithubUnreachable(GithubError):
    slug = "github_unreachable"

"""What a worker is asked about the project's repository elsewhere, in the manner of core.worker.contract.

control plane -> worker   fetch_main(FetchMain) -> FetchReport, push(Push) -> PushReport
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from core.worker.contract import ProjectSetup


@dataclass(frozen=True, slots=True, kw_only=True)
class Remote:
    """Where a project's commits go. The checkout's own configuration is not asked."""

    repository: str  # "owner/name", for people
    url: str  # of its git, without a credential in it
    header: str = field(default="", repr=False)  # "Authorization: Basic ..."; empty: none is sent


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchMain:
    """The project's main branch is to follow the branch of the same name there."""

    project: ProjectSetup
    remote: Remote


class FetchEnd(StrEnum):
    FOLLOWED = "followed"  # both hold the same commit now
    AHEAD = "ahead"  # here are commits that are not there
    DIVERGED = "diverged"  # so they are, and the other way round
    REWRITTEN = "rewritten"  # what was on it there is not any more: force-pushed
    MISSING = "missing"  # the branch is not there: renamed or deleted, or nothing was ever pushed
    BLOCKED = "blocked"  # the checkout's own uncommitted changes are in the way
    DENIED = "denied"  # the credential is refused, or the repository is out of its sight
    UNREACHABLE = "unreachable"  # no answer, or only faults: to be tried again


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchReport:
    """Whatever the end, the remote's commits are here when `remote_commit` says which."""

    end: FetchEnd
    main_commit: str = ""  # of the main branch here, now
    remote_commit: str = ""  # of the main branch there; "" when it is not known
    error: str = ""  # one sentence for people, unless FOLLOWED
    hint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Push:
    """`commit` is to be on `branch` there.

    With `story_id` it is a story's own branch: it is put there in the place of nothing, or of one of `known`,
    which Orchard's store says were made for the story; never in the place of anything else. What the
    checkout's refs say of that does not count: other programs may have written them. Without, it only ever
    goes forward.
    """

    project: ProjectSetup
    remote: Remote
    branch: str
    commit: str
    story_id: str = ""
    known: tuple[str, ...] = ()


class PushEnd(StrEnum):
    PUSHED = "pushed"  # the branch holds it; also when it did already
    MOVED = "moved"  # somebody else's commit is there: `found`
    REFUSED = "refused"  # the repository does not take it: protected branch, hook, size
    DENIED = "denied"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True, kw_only=True)
class PushReport:
    end: PushEnd
    found: str = ""  # what is on the branch there, as far as it is known
    error: str = ""  # one sentence for people, unless PUSHED
    hint: str = ""


# What a line can carry.
REMOTE_MESSAGES = (FetchMain, FetchReport, Push, PushReport)

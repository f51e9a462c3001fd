"""One repository at GitHub: what is read of it and written to it."""

from __future__ import annotations

from collections.abc import Collection

from config.github_settings import MergeMethod, Permission
from core.domain.github import Check, Link
from core.github.facts import (
    Annotation,
    CheckRun,
    CommentFacts,
    IssueFacts,
    MergeOutcome,
    MilestoneFacts,
    NotModified,
    Page,
    PageKey,
    PullFacts,
    ReleaseFacts,
    RepositoryFacts,
    ReviewCommentFacts,
    ReviewFacts,
)


class Repo:
    """Bound to a link. Every method raises GithubError (core/github/trouble.py says which), and waits for
    GitHub's limits by itself where they end soon."""

    link: Link

    async def about(self) -> RepositoryFacts:
        """A renamed one answers with its new name. Raises GithubGone for one that is deleted or hidden."""
        raise NotImplementedError

    async def me(self) -> str:
        """The login that Orchard acts as; of a GitHub App: its slug with "[bot]"."""
        raise NotImplementedError

    async def permission(self, login: str) -> Permission:
        """A person's; NONE for who is no collaborator."""
        raise NotImplementedError

    # --- listings by time of change -------------------------------------------------------------------------

    async def issues(
        self, since: str = "", etag: str = "", *, after: PageKey | None = None
    ) -> Page[IssueFacts] | NotModified:
        """Issues and pull requests that changed at or after `since` (a cursor; "": all), oldest change first,
        100 a page. `after`: the last page's `next`. NotModified only for the first page, with an `etag`."""
        raise NotImplementedError

    async def comments(
        self, since: str = "", etag: str = "", *, after: PageKey | None = None
    ) -> Page[CommentFacts] | NotModified:
        """Likewise the comments of all its issues and pull requests."""
        raise NotImplementedError

    def issues_path(self, since: str = "") -> str:
        """The path under which the ETag of the first page is kept."""
        raise NotImplementedError

    def comments_path(self, since: str = "") -> str:
        raise NotImplementedError

    # --- issues ---------------------------------------------------------------------------------------------

    async def issue(self, number: int) -> IssueFacts:
        """Raises GithubMissing for one that was deleted, or is in another repository by now (transferred)."""
        raise NotImplementedError

    async def issue_comments(self, number: int) -> tuple[CommentFacts, ...]:
        """All, oldest first."""
        raise NotImplementedError

    async def create_issue(
        self, title: str, body: str, *, labels: Collection[str] = (), milestone: int | None = None
    ) -> IssueFacts:
        raise NotImplementedError

    async def edit_issue(
        self,
        number: int,
        *,
        title: str | None = None,
        body: str | None = None,
        is_open: bool | None = None,
        state_reason: str | None = None,
        milestone: int | None = None,
        no_milestone: bool = False,
    ) -> IssueFacts:
        """What is None stays."""
        raise NotImplementedError

    async def set_labels(
        self, number: int, *, add: Collection[str] = (), remove: Collection[str] = ()
    ) -> None:
        """Other labels stay. A label that is to be removed and is not there is no error."""
        raise NotImplementedError

    async def ensure_label(self, name: str, *, color: str, description: str) -> None:
        """Makes the label where there is none of the name; one that is there stays as it is."""
        raise NotImplementedError

    async def create_comment(self, number: int, body: str) -> CommentFacts:
        raise NotImplementedError

    async def edit_comment(self, comment_id: int, body: str) -> CommentFacts:
        """Raises GithubMissing for one that was deleted."""
        raise NotImplementedError

    async def delete_comment(self, comment_id: int) -> None:
        """One that is gone is no error."""
        raise NotImplementedError

    async def react(self, comment_id: int, content: str) -> None:
        """ "+1", "eyes", "confused", ... to an issue's comment; a second time changes nothing."""
        raise NotImplementedError

    # --- milestones and releases ----------------------------------------------------------------------------

    async def milestones(self) -> tuple[MilestoneFacts, ...]:
        """All, open and closed, by number."""
        raise NotImplementedError

    async def create_milestone(
        self, title: str, *, description: str = "", due_on: str = ""
    ) -> MilestoneFacts:
        """Raises GithubRefused when there is one of the title."""
        raise NotImplementedError

    async def edit_milestone(
        self,
        number: int,
        *,
        title: str | None = None,
        description: str | None = None,
        is_open: bool | None = None,
        due_on: str | None = None,
    ) -> MilestoneFacts:
        raise NotImplementedError

    async def releases(self) -> tuple[ReleaseFacts, ...]:
        """The newest 100, drafts among them."""
        raise NotImplementedError

    async def create_release(
        self, tag: str, *, name: str, body: str, draft: bool = True, target: str = ""
    ) -> ReleaseFacts:
        raise NotImplementedError

    async def edit_release(
        self, release_id: int, *, name: str | None = None, body: str | None = None, draft: bool | None = None
    ) -> ReleaseFacts:
        raise NotImplementedError

    # --- pull requests --------------------------------------------------------------------------------------

    async def pull(self, number: int) -> PullFacts:
        raise NotImplementedError

    async def pull_of_branch(self, branch: str) -> PullFacts | None:
        """The open pull request of the repository's own branch, else the newest closed one, else None."""
        raise NotImplementedError

    async def open_pull(
        self, *, title: str, body: str, branch: str, base: str, draft: bool = False
    ) -> PullFacts:
        """Raises GithubRefused when there is an open one of the branch, or nothing to merge."""
        raise NotImplementedError

    async def edit_pull(
        self, number: int, *, title: str | None = None, body: str | None = None, base: str | None = None
    ) -> PullFacts:
        raise NotImplementedError

    async def close_pull(self, number: int) -> PullFacts:
        raise NotImplementedError

    async def merge_pull(
        self, number: int, *, sha: str, method: MergeMethod, title: str = "", message: str = ""
    ) -> MergeOutcome:
        """Merges only while the head is `sha`. A refusal is an outcome, not an error."""
        raise NotImplementedError

    async def reviews(self, number: int) -> tuple[ReviewFacts, ...]:
        """All, oldest first."""
        raise NotImplementedError

    async def review_comments(self, number: int) -> tuple[ReviewCommentFacts, ...]:
        raise NotImplementedError

    async def checks(self, sha: str) -> tuple[Check, ...]:
        """Check runs and commit statuses of a commit, the newest of each name, by name."""
        raise NotImplementedError

    async def check_runs(self, sha: str) -> tuple[CheckRun, ...]:
        """The same with all that they say of themselves."""
        raise NotImplementedError

    async def annotations(self, check_run_id: int) -> tuple[Annotation, ...]:
        raise NotImplementedError

    async def delete_branch(self, branch: str) -> bool:
        """Whether it was there."""
        raise NotImplementedError

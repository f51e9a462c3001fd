"""Pull requests: opened, reviewed, merged."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from typing import Any

from tests.github_server import shapes
from tests.github_server.bare import GitError
from tests.github_server.branch_desk import BranchDesk
from tests.github_server.things import Protection, Pull, Review, ReviewComment
from tests.github_server.world import PERMISSIONS, Account, Refusal, invalid

METHODS = ("merge", "squash", "rebase")


class PullDesk(BranchDesk):
    def open_pull(
        self,
        head: str,
        base: str | None = None,
        *,
        title: str = "A pull request",
        body: str | None = None,
        draft: bool = False,
        by: str | Account | None = None,
    ) -> Pull:
        """Raises Refusal (422): no such branch, nothing to merge, or one is open already."""
        base, heads = base or self.default_branch, self.git.heads()
        head = head.removeprefix(f"{self.owner.login}:")
        for name, branch in (("head", head), ("base", base)):
            if branch not in heads:
                raise invalid("PullRequest", name, "invalid")
        if any(pull.head == head and pull.base == base for pull in self.open_pulls()):
            message = f"A pull request already exists for {self.owner.login}:{head}."
            error = {"resource": "PullRequest", "code": "custom", "message": message}
            raise Refusal(422, "Validation Failed", errors=[error])
        if self.git.is_ancestor(heads[head], heads[base]):
            message = f"No commits between {base} and {head}"
            error = {"resource": "PullRequest", "code": "custom", "message": message}
            raise Refusal(422, "Validation Failed", errors=[error])
        issue = self.new_issue(title, body, self.actor(by))
        issue.pull = Pull(
            id=self.next_id(),
            issue=issue,
            head=head,
            base=base,
            head_sha=heads[head],
            base_sha=heads[base],
            draft=draft,
        )
        self.issues[issue.number] = issue
        self._told(issue, "opened", issue.author)
        return issue.pull

    def pull(self, number: int) -> Pull:
        """Raises Refusal (404)."""
        issue = self.issues.get(number)
        if issue is None or issue.pull is None:
            raise Refusal(404, "Not Found")
        return issue.pull

    def set_pull_state(self, number: int, state: str, by: str | Account | None = None) -> Pull:
        """Raises Refusal: a merged one, or one whose branch is gone, is not opened again."""
        pull = self.pull(number)
        if state == "open" and pull.issue.state == "closed":
            if pull.merged_at or pull.head not in self.git.heads():
                raise invalid("PullRequest", "state", "invalid")
            pull.head_sha = self.head(pull.head)
        self.edit_issue(number, state=state, by=by)
        return pull

    def size_of(self, pull: Pull) -> dict[str, int]:
        try:
            commits = int(self.git.run("rev-list", "--count", f"{pull.base_sha}..{pull.head_sha}"))
            names = self.git.run("diff", "--name-only", f"{pull.base_sha}...{pull.head_sha}").splitlines()
        except GitError:
            return {"commits": 0, "changed_files": 0, "additions": 0, "deletions": 0}
        return {"commits": commits, "changed_files": len(names), "additions": len(names), "deletions": 0}

    def mergeable(self, pull: Pull) -> tuple[bool | None, str]:
        """GitHub's `mergeable` and `mergeable_state`."""
        base = self.git.heads().get(pull.base)
        if pull.issue.state == "closed" or base is None:
            return None, "unknown"
        if self.git.merged_tree(base, pull.head_sha) is None:
            return False, "dirty"
        if pull.draft:
            return True, "draft"
        rules = self.protections.get(pull.base)
        if rules and self.unmet(pull, rules):
            return True, "blocked"
        if rules and rules.strict and not self.git.is_ancestor(base, pull.head_sha):
            return True, "behind"
        names = [check.name for check in self.checks_of(pull.head_sha)]
        return True, "unstable" if self.missing_checks(pull.head_sha, names) else "clean"

    def unmet(self, pull: Pull, rules: Protection) -> str:
        """Why the base's protection does not let it in; "" when it does."""
        for name in self.missing_checks(pull.head_sha, rules.checks):
            return f'Required status check "{name}" is expected.'
        latest: dict[int, str] = {}
        for review in pull.reviews:
            if review.author and review.state in ("APPROVED", "CHANGES_REQUESTED", "DISMISSED"):
                level = PERMISSIONS.index(self.level_of(review.author))
                if level >= PERMISSIONS.index("write"):
                    latest[review.author.id] = review.state
        states = list(latest.values())
        if rules.approvals and "CHANGES_REQUESTED" in states:
            return "Changes have been requested."
        if states.count("APPROVED") < rules.approvals:
            wanted = rules.approvals
            return f"At least {wanted} approving review is required by reviewers with write access."
        return ""

    def merge_pull(
        self,
        number: int,
        *,
        sha: str | None = None,
        method: str = "merge",
        title: str | None = None,
        message: str | None = None,
        by: str | Account | None = None,
    ) -> str:
        """The merge's commit. Raises Refusal: 405 it cannot be, 409 its head is another one."""
        pull, sender = self.pull(number), self.actor(by)
        if method not in METHODS:
            raise invalid("PullRequest", "merge_method", "invalid")
        if pull.issue.state == "closed" or pull.draft:
            raise Refusal(
                405, "Pull Request is still a draft" if pull.draft else "Pull Request is not mergeable"
            )
        if not self.allows[method]:
            names = {"merge": "Merge commits", "squash": "Squash merges", "rebase": "Rebase merges"}
            raise Refusal(405, f"{names[method]} are not allowed on this repository.")
        if sha is not None and sha != pull.head_sha:
            raise Refusal(409, "Head branch was modified. Review and try the merge again.")
        base, (can, state) = self.head(pull.base), self.mergeable(pull)
        rules = self.protections.get(pull.base)
        if not can:
            raise Refusal(405, "Pull Request is not mergeable")
        if rules and (why := self.unmet(pull, rules)):
            raise Refusal(405, why)
        if state == "behind":
            raise Refusal(409, "Head branch is out of date. Review and try the merge again.")
        title = title or f"{pull.issue.title} (#{number})"
        commit = self._merge_commit(pull, base, method, f"{title}\n\n{message or ''}".strip() + "\n")
        self.git.run("update-ref", f"refs/heads/{pull.base}", commit, base)
        self._merged(pull, commit, sender)
        self.look_at_heads(sender)
        if self.delete_branch_on_merge and pull.head in self.git.heads():
            self.delete_branch(pull.head, sender)
        return commit

    def _merge_commit(self, pull: Pull, base: str, method: str, message: str) -> str:
        if method == "rebase":
            return self._rebased(pull, base)
        tree = self.git.merged_tree(base, pull.head_sha)
        assert tree, "asked before"
        return self.git.commit_tree(tree, (base,) if method == "squash" else (base, pull.head_sha), message)

    def _rebased(self, pull: Pull, base: str) -> str:
        """Each commit anew: GitHub never fast-forwards. Raises Refusal (405)."""
        shared = self.git.run("merge-base", base, pull.head_sha)
        with tempfile.TemporaryDirectory(dir=self.git.path) as name:
            try:
                self.git.run("worktree", "add", "-q", "--detach", name, pull.head_sha)
                onto = ("rebase", "-q", "--no-ff", "--onto", base, shared)
                self.git.run("-C", name, *onto)
                return self.git.run("-C", name, "rev-parse", "HEAD")
            except GitError:
                raise Refusal(405, "This branch can't be rebased") from None
            finally:
                self.git.run("worktree", "remove", "--force", name)

    # Reviews

    def review(
        self,
        number: int,
        author: str | Account,
        state: str = "APPROVED",
        body: str = "",
        comments: Sequence[dict[str, Any]] = (),
    ) -> Review:
        """`comments` have path, line and body. Raises Refusal (422): nobody approves their own."""
        pull, by = self.pull(number), self.actor(author)
        if by is pull.issue.author and state in ("APPROVED", "CHANGES_REQUESTED"):
            what = "approve" if state == "APPROVED" else "request changes on"
            raise Refusal(422, "Unprocessable Entity", errors=[f"Can not {what} your own pull request"])
        if state not in ("APPROVED", "CHANGES_REQUESTED", "COMMENTED"):
            raise invalid("PullRequestReview", "event", "invalid")
        review = Review(
            id=self.next_id(),
            author=by,
            state=state,
            body=body,
            commit=pull.head_sha,
            submitted_at=self.world.now(),
        )
        pull.reviews.append(review)
        told = shapes.of_pull(self, pull)
        shape = shapes.of_review(self, pull, review)
        shape["state"] = shape["state"].lower()  # only in webhooks
        self.tell("pull_request_review", "submitted", by, review=shape, pull_request=told)
        for row in comments:
            self.review_comment(
                number, by, row["body"], path=row["path"], line=row.get("line"), review=review
            )
        return review

    def dismiss_review(self, number: int, review_id: int, by: str | Account | None = None) -> Review:
        pull = self.pull(number)
        review = next((each for each in pull.reviews if each.id == review_id), None)
        if review is None:
            raise Refusal(404, "Not Found")
        review.state = "DISMISSED"
        shape = shapes.of_review(self, pull, review) | {"state": "dismissed"}
        told = shapes.of_pull(self, pull)
        self.tell("pull_request_review", "dismissed", self.actor(by), review=shape, pull_request=told)
        return review

    def review_comment(
        self,
        number: int,
        author: str | Account,
        body: str,
        *,
        path: str,
        line: int | None = None,
        review: Review | None = None,
        reply_to: int | None = None,
    ) -> ReviewComment:
        pull, now = self.pull(number), self.world.now()
        comment = ReviewComment(
            id=self.next_id(),
            review=review,
            author=self.actor(author),
            body=body,
            path=path,
            line=line,
            commit=pull.head_sha,
            created_at=now,
            updated_at=now,
            reply_to=reply_to,
        )
        pull.comments.append(comment)
        pull.issue.updated_at = now
        self.tell(
            "pull_request_review_comment",
            "created",
            comment.author,
            comment=shapes.of_review_comment(self, pull, comment),
            pull_request=shapes.of_pull(self, pull),
        )
        return comment

"""Branches: commits of other people, pushes and what follows from them, protection."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from typing import Any

from tests.github_server import shapes
from tests.github_server.bare import NOTHING
from tests.github_server.check_desk import CheckDesk
from tests.github_server.things import Hook, Protection, Pull
from tests.github_server.world import Account, Refusal, invalid


class BranchDesk(CheckDesk):
    """What is on the branches is read from git; what was told of them is in `heads`."""

    def head(self, branch: str | None = None) -> str:
        """The commit of a branch (the default one). Raises GitError."""
        return self.git.run("rev-parse", "--verify", "-q", f"refs/heads/{branch or self.default_branch}")

    def commit(
        self,
        branch: str,
        files: Mapping[str, str | None],
        message: str = "A commit of somebody else",
        *,
        onto: str | None = None,
        by: str | None = None,
    ) -> str:
        """Somebody else's push: a commit on top of the branch, or of `onto` (then the branch is forced)."""
        parent = onto or self.git.heads().get(branch)
        sha = self.git.commit(parent, dict(files), message)
        self.git.run("update-ref", f"refs/heads/{branch}", sha)
        self.look_at_heads(self.actor(by))
        return sha

    def force_push(
        self, branch: str, files: Mapping[str, str | None], message: str = "History was rewritten"
    ) -> str:
        """The branch becomes one commit that has nothing in common with what was there."""
        sha = self.git.commit(None, dict(files), message)
        self.git.run("update-ref", f"refs/heads/{branch}", sha)
        self.look_at_heads(self.owner)
        return sha

    def delete_branch(self, branch: str, by: Account | None = None) -> None:
        """Raises Refusal: 422 when there is none, or it is the default one."""
        if branch not in self.git.heads():
            raise Refusal(422, "Reference does not exist")
        if branch == self.default_branch or branch in self.protections:
            raise Refusal(422, "Cannot delete this branch")
        self.git.run("update-ref", "-d", f"refs/heads/{branch}")
        self.look_at_heads(by)

    def rename_branch(self, old: str, new: str) -> None:
        """Pull requests follow; so does being the default branch."""
        self.git.run("branch", "-m", old, new)
        if old in self.protections:
            self.protections[new] = self.protections.pop(old)
        for pull in self.open_pulls():
            pull.base = new if pull.base == old else pull.base
            pull.head = new if pull.head == old else pull.head
        if self.default_branch == old:
            self.default_branch = new
            self.git.run("symbolic-ref", "HEAD", f"refs/heads/{new}")
            changes = {"default_branch": {"from": old}}
            self.tell("repository", "edited", None, changes=changes)
        self.heads[new] = self.heads.pop(old)
        self.look_at_heads(None)

    def protect(self, branch: str, **rules: Any) -> Protection:
        """See Protection."""
        self.protections[branch] = Protection(**rules)
        return self.protections[branch]

    def write_rules(self) -> None:
        """For git's hook: what holds for the next push."""
        folder = self.git.path / "protect"
        shutil.rmtree(folder, ignore_errors=True)
        for branch, rules in self.protections.items():
            place = folder / "refs/heads" / branch
            place.mkdir(parents=True)
            if rules.require_pull:
                (place / "pull").touch()
            if rules.allow_force:
                (place / "force").touch()
            if rules.checks:
                shas = {check.sha for check in self.checks.values()} | {each.sha for each in self.statuses}
                green = [sha for sha in shas if not self.missing_checks(sha, rules.checks)]
                (place / "green").write_text("".join(f"{sha}\n" for sha in green))
                names = ", ".join(f'"{name}"' for name in rules.checks)
                (place / "checks").write_text(f"Required status check {names} is")

    def look_at_heads(self, sender: Account | None) -> None:
        """Tells of what was pushed, and has the pull requests follow."""
        before, self.heads = self.heads, self.git.heads()
        for branch in sorted({*before, *self.heads}):
            old, new = before.get(branch, NOTHING), self.heads.get(branch, NOTHING)
            if old == new:
                continue
            self.pushed_at = self.world.now()
            self._tell_push(branch, old, new, sender)
            for pull in self.open_pulls():
                if pull.head == branch:
                    self._head_moved(pull, new, sender)
        for pull in self.open_pulls():
            base = self.heads.get(pull.base)
            if base and pull.head_sha != pull.base_sha and self.git.is_ancestor(pull.head_sha, base):
                self._merged(pull, base, sender)

    def _tell_push(self, branch: str, old: str, new: str, sender: Account | None) -> None:
        by = sender or self.owner
        forced = NOTHING not in (old, new) and not self.git.is_ancestor(old, new)
        author = {"name": by.login, "email": f"{by.login}@example.org", "username": by.login}
        head = None
        if new != NOTHING:
            message = self.git.run("log", "-1", "--format=%B", new)
            head = {"id": new, "message": message, "author": author, "committer": author, "distinct": True}
            head |= {"url": f"{self.html}/commit/{new}", "added": [], "removed": [], "modified": []}
        self.tell(
            "push",
            None,
            by,
            ref=f"refs/heads/{branch}",
            before=old,
            after=new,
            base_ref=None,
            compare=f"{self.html}/compare/{old[:12]}...{new[:12]}",
            commits=[head] if head else [],
            head_commit=head,
            created=old == NOTHING,
            deleted=new == NOTHING,
            forced=forced,
            pusher={"name": author["name"], "email": author["email"]},
        )

    def _head_moved(self, pull: Pull, new: str, sender: Account | None) -> None:
        if new == NOTHING:
            self.edit_issue(pull.issue.number, state="closed", by=sender)
            return
        before, pull.head_sha = pull.head_sha, new
        pull.issue.updated_at = self.world.now()
        told = shapes.of_pull(self, pull)
        self.tell(
            "pull_request",
            "synchronize",
            sender,
            number=pull.issue.number,
            before=before,
            after=new,
            pull_request=told,
        )

    def _merged(self, pull: Pull, commit: str, sender: Account | None) -> None:
        """Also when its commits came to the base by a push."""
        pull.merged_at, pull.merged_by = self.world.now(), sender or self.owner
        pull.merge_commit = commit
        self.edit_issue(pull.issue.number, state="closed", by=sender)

    # Hooks

    def add_hook(
        self, url: str, *, secret: str = "", events: tuple[str, ...] = ("*",), content_type: str = "json"
    ) -> Hook:
        """Raises Refusal. A ping is sent at once."""
        if content_type not in ("json", "form"):
            raise invalid("Hook", "content_type", "invalid")
        hook = Hook(
            id=self.next_id(),
            url=url,
            secret=secret,
            events=events,
            content_type=content_type,
            created_at=self.world.now(),
        )
        self.hooks[hook.id] = hook
        self.ping(hook)
        return hook

    def ping(self, hook: Hook) -> None:
        self.tell(
            "ping",
            None,
            None,
            zen="Keep it logically awesome.",
            hook_id=hook.id,
            hook=shapes.of_hook(self, hook),
        )

"""Issues, comments, labels and milestones: what can be done with them, by the API and by tests alike."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from tests.github_server import shapes
from tests.github_server.ground import Ground
from tests.github_server.things import Comment, Issue, Label, Milestone, Reaction
from tests.github_server.world import Account, Refusal, invalid

REASONS = ("completed", "not_planned", "reopened", "duplicate")
UNSET: Any = object()


class IssueDesk(Ground):
    """Each change is dated, and told of as GitHub's webhooks do."""

    # Labels

    def label(self, name: str) -> Label | None:
        return self.labels.get(name.lower())

    def add_label(self, name: str, color: str = "ededed", description: str | None = None) -> Label:
        """Raises Refusal: one of that name exists, or it is no name or colour."""
        if not name.strip() or len(name) > 50:
            raise invalid("Label", "name", "invalid")
        if not re.fullmatch(r"[0-9a-fA-F]{6}", color):
            raise invalid("Label", "color", "invalid")
        if self.label(name):
            raise invalid("Label", "name", "already_exists")
        label = Label(id=self.next_id(), name=name, color=color, description=description)
        self.labels[name.lower()] = label
        self.tell("label", "created", None, label=shapes.of_label(self, label))
        return label

    def delete_label(self, name: str) -> None:
        """Takes it from all issues, too. Raises Refusal (404)."""
        label = self.labels.pop(name.lower(), None)
        if label is None:
            raise Refusal(404, "Not Found")
        for issue in self.issues.values():
            if label in issue.labels:
                issue.labels.remove(label)
        self.tell("label", "deleted", None, label=shapes.of_label(self, label))

    def set_labels(self, number: int, names: Sequence[str], by: str | Account | None = None) -> Issue:
        """Exactly these; what does not exist is made, as by GitHub."""
        issue, sender = self.issue(number), self.actor(by)
        wanted = [self.label(name) or self.add_label(name) for name in dict.fromkeys(names)]
        for label in [each for each in issue.labels if each not in wanted]:
            issue.labels.remove(label)
            self._told(issue, "unlabeled", sender, label=shapes.of_label(self, label))
        for label in [each for each in wanted if each not in issue.labels]:
            issue.labels.append(label)
            self._told(issue, "labeled", sender, label=shapes.of_label(self, label))
        return issue

    def add_labels(self, number: int, *names: str, by: str | Account | None = None) -> Issue:
        return self.set_labels(number, [each.name for each in self.issue(number).labels] + list(names), by)

    def remove_label(self, number: int, name: str, by: str | Account | None = None) -> Issue:
        """Raises Refusal: 404 when the issue does not have it."""
        kept = [each.name for each in self.issue(number).labels if each.name.lower() != name.lower()]
        if len(kept) == len(self.issue(number).labels):
            raise Refusal(404, "Label does not exist")
        return self.set_labels(number, kept, by)

    # Milestones

    def add_milestone(
        self, title: str, description: str | None = None, due_on: datetime | None = None, state: str = "open"
    ) -> Milestone:
        """Raises Refusal: no title, or one of that title exists."""
        if not title.strip():
            raise invalid("Milestone", "title", "missing_field")
        if any(each.title == title for each in self.milestones.values()):
            raise invalid("Milestone", "title", "already_exists")
        now = self.world.now()
        milestone = Milestone(
            id=self.next_id(),
            number=max(self.milestones, default=0) + 1,
            title=title,
            creator=self.owner,
            created_at=now,
            updated_at=now,
            description=description,
            due_on=due_on,
        )
        self.milestones[milestone.number] = milestone
        self.tell("milestone", "created", None, milestone=shapes.of_milestone(self, milestone))
        return self.edit_milestone(milestone.number, state=state) if state != "open" else milestone

    def milestone(self, number: int) -> Milestone:
        """Raises Refusal (404)."""
        if number not in self.milestones:
            raise Refusal(404, "Not Found")
        return self.milestones[number]

    def edit_milestone(
        self,
        number: int,
        *,
        title: str | None = None,
        description: Any = UNSET,
        state: str | None = None,
        due_on: Any = UNSET,
    ) -> Milestone:
        milestone, action = self.milestone(number), "edited"
        milestone.title = title or milestone.title
        milestone.description = milestone.description if description is UNSET else description
        milestone.due_on = milestone.due_on if due_on is UNSET else due_on
        milestone.updated_at = self.world.now()
        if state is not None and state not in ("open", "closed"):
            raise invalid("Milestone", "state", "invalid")
        if state and state != milestone.state:
            milestone.state, action = state, "closed" if state == "closed" else "opened"
            milestone.closed_at = self.world.now() if state == "closed" else None
        self.tell("milestone", action, None, milestone=shapes.of_milestone(self, milestone), changes={})
        return milestone

    def delete_milestone(self, number: int) -> None:
        milestone = self.milestone(number)
        for issue in self.issues.values():
            if issue.milestone is milestone:
                issue.milestone = None
        del self.milestones[number]
        self.tell("milestone", "deleted", None, milestone=shapes.of_milestone(self, milestone))

    # Issues

    def add_issue(
        self,
        title: str,
        body: str | None = None,
        *,
        labels: Sequence[str] = (),
        milestone: int | None = None,
        assignees: Sequence[str] = (),
        author: str | Account | None = None,
    ) -> Issue:
        """Raises Refusal: no title, an unknown milestone."""
        if not self.has_issues:
            raise Refusal(410, "Issues has been disabled in this repository.")
        issue = self.new_issue(title, body, self.actor(author))
        issue.milestone = self.milestone(milestone) if milestone is not None else None
        issue.labels = [self.label(name) or self.add_label(name) for name in dict.fromkeys(labels)]
        issue.assignees = [self.world.account(login) for login in assignees]
        self.issues[issue.number] = issue
        self._told(issue, "opened", issue.author)
        for label in issue.labels:
            self._told(issue, "labeled", issue.author, label=shapes.of_label(self, label))
        return issue

    def new_issue(self, title: str, body: str | None, author: Account) -> Issue:
        """With a number of its own; not yet in the repository."""
        if not title.strip():
            raise invalid("Issue", "title", "missing_field")
        if len(title) > 256:
            raise invalid("Issue", "title", "too_long", "title is too long (maximum is 256 characters)")
        check_body("Issue", body)
        now = self.world.now()
        return Issue(
            id=self.next_id(),
            number=self.next_number(),
            title=title,
            body=body,
            author=author,
            created_at=now,
            updated_at=now,
        )

    def edit_issue(
        self,
        number: int,
        *,
        title: str | None = None,
        body: Any = UNSET,
        state: str | None = None,
        state_reason: str | None = None,
        milestone: Any = UNSET,
        assignees: Sequence[str] | None = None,
        labels: Sequence[str] | None = None,
        by: str | Account | None = None,
    ) -> Issue:
        """What is left out stays. Raises Refusal."""
        issue, sender = self.issue(number), self.actor(by)
        if title is not None and not title.strip():
            raise invalid("Issue", "title", "missing_field")
        if state not in (None, "open", "closed"):
            raise invalid("Issue", "state", "invalid")
        check_body("Issue", None if body is UNSET else body)
        changes: dict[str, Any] = {}
        if title is not None and title != issue.title:
            changes["title"], issue.title = {"from": issue.title}, title
        if body is not UNSET and body != issue.body:
            changes["body"], issue.body = {"from": issue.body or ""}, body
        if changes:
            self._told(issue, "edited", sender, changes=changes)
        if milestone is not UNSET:
            self._set_milestone(issue, milestone, sender)
        if assignees is not None:
            self._set_assignees(issue, assignees, sender)
        if labels is not None:
            self.set_labels(number, labels, sender)
        if state and state != issue.state:
            self._set_state(issue, state, state_reason, sender)
        return issue

    def _set_milestone(self, issue: Issue, number: int | None, sender: Account) -> None:
        wanted = self.milestones.get(number) if number is not None else None
        if number is not None and wanted is None:
            raise invalid("Issue", "milestone", "invalid")
        if issue.milestone is not None and wanted is not issue.milestone:
            before, issue.milestone = issue.milestone, None
            self._told(issue, "demilestoned", sender, milestone=shapes.of_milestone(self, before))
        if wanted is not None and issue.milestone is not wanted:
            issue.milestone = wanted
            self._told(issue, "milestoned", sender, milestone=shapes.of_milestone(self, wanted))

    def _set_assignees(self, issue: Issue, logins: Sequence[str], sender: Account) -> None:
        wanted = [self.world.account(login) for login in logins]
        for account in [each for each in issue.assignees if each not in wanted]:
            issue.assignees.remove(account)
            self._told(issue, "unassigned", sender, assignee=shapes.of_account(self.world, account))
        for account in [each for each in wanted if each not in issue.assignees]:
            issue.assignees.append(account)
            self._told(issue, "assigned", sender, assignee=shapes.of_account(self.world, account))

    def _set_state(self, issue: Issue, state: str, reason: str | None, sender: Account) -> None:
        issue.state = state
        if state == "closed":
            issue.state_reason = reason or (None if issue.pull else "completed")
            issue.closed_at, issue.closed_by = self.world.now(), sender
        else:
            issue.state_reason, issue.closed_at, issue.closed_by = reason or "reopened", None, None
        self._told(issue, "closed" if state == "closed" else "reopened", sender)

    def close_issue(
        self, number: int, *, reason: str | None = None, by: str | Account | None = None
    ) -> Issue:
        return self.edit_issue(number, state="closed", state_reason=reason, by=by)

    def reopen_issue(self, number: int, *, by: str | Account | None = None) -> Issue:
        return self.edit_issue(number, state="open", by=by)

    def delete_issue(self, number: int, *, by: str | Account | None = None) -> None:
        """410 from now on; its number is not given again."""
        issue = self.issue(number)
        del self.issues[number]
        self.gone[number] = ""
        self.tell("issues", "deleted", self.actor(by), issue=shapes.of_issue(self, issue))

    def transfer_issue(self, number: int, to: IssueDesk, *, by: str | Account | None = None) -> Issue:
        """To another repository, under its next number; 301 from now on."""
        issue, sender = self.issue(number), self.actor(by)
        before = shapes.of_issue(self, issue)
        del self.issues[number]
        issue.number, issue.milestone = to.next_number(), None
        issue.labels = [to.label(each.name) or to.add_label(each.name) for each in issue.labels]
        to.issues[issue.number] = issue
        issue.updated_at = self.world.now()
        self.gone[number] = f"{to.api}/issues/{issue.number}"
        changes = {
            "new_issue": shapes.of_issue(to, issue),
            "new_repository": shapes.of_repository(self.world, to),
        }
        self.tell("issues", "transferred", sender, issue=before, changes=changes)
        to.tell("issues", "opened", sender, issue=shapes.of_issue(to, issue))
        return issue

    # Comments

    def comment(self, number: int, body: str, author: str | Account | None = None) -> Comment:
        """Raises Refusal: an empty text, or too long a one, or a locked issue."""
        issue = self.issue(number)
        if not body.strip():
            raise invalid("IssueComment", "body", "missing_field")
        check_body("IssueComment", body)
        if issue.locked:
            raise Refusal(403, "Unable to create comment because issue is locked.")
        now = self.world.now()
        comment = Comment(
            id=self.next_id(),
            issue=issue,
            author=self.actor(author),
            body=body,
            created_at=now,
            updated_at=now,
        )
        issue.comments.append(comment)
        self._told_comment(comment, "created", comment.author)
        return comment

    def find_comment(self, comment_id: int) -> Comment:
        """Raises Refusal (404)."""
        for issue in self.issues.values():
            for comment in issue.comments:
                if comment.id == comment_id:
                    return comment
        raise Refusal(404, "Not Found")

    def edit_comment(self, comment_id: int, body: str, by: str | Account | None = None) -> Comment:
        comment = self.find_comment(comment_id)
        if not body.strip():
            raise invalid("IssueComment", "body", "missing_field")
        check_body("IssueComment", body)
        before, comment.body = comment.body, body
        comment.updated_at = self.world.now()
        self._told_comment(comment, "edited", self.actor(by), changes={"body": {"from": before}})
        return comment

    def delete_comment(self, comment_id: int, by: str | Account | None = None) -> None:
        comment = self.find_comment(comment_id)
        comment.issue.comments.remove(comment)
        self._told_comment(comment, "deleted", self.actor(by))

    def react(
        self, to: Issue | Comment, content: str, by: str | Account | None = None
    ) -> tuple[Reaction, bool]:
        """The reaction, and whether it is new: a person gives each but once."""
        if content not in ("+1", "-1", "laugh", "confused", "heart", "hooray", "rocket", "eyes"):
            raise invalid("Reaction", "content", "invalid")
        user = self.actor(by)
        for reaction in to.reactions:
            if reaction.user is user and reaction.content == content:
                return reaction, False
        to.reactions.append(
            Reaction(id=self.next_id(), user=user, content=content, created_at=self.world.now())
        )
        return to.reactions[-1], True

    # Telling

    def _told(self, issue: Issue, action: str, sender: Account | None, **more: Any) -> None:
        issue.updated_at = self.world.now()
        if issue.pull:
            pull = shapes.of_pull(self, issue.pull)
            self.tell("pull_request", action, sender, number=issue.number, pull_request=pull, **more)
        else:
            self.tell("issues", action, sender, issue=shapes.of_issue(self, issue), **more)

    def _told_comment(self, comment: Comment, action: str, sender: Account | None, **more: Any) -> None:
        comment.issue.updated_at = self.world.now()
        issue, told = shapes.of_issue(self, comment.issue), shapes.of_comment(self, comment)
        self.tell("issue_comment", action, sender, issue=issue, comment=told, **more)


def check_body(resource: str, body: str | None) -> None:
    """GitHub's bound on texts, in characters. Raises Refusal."""
    if body is not None and len(body) > 65536:
        raise invalid(resource, "body", "too_long", "body is too long (maximum is 65536 characters)")

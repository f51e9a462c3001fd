"""What all parts of a repository stand on: its names, who may do what, and telling of changes."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tests.github_server import shapes
from tests.github_server.bare import Bare
from tests.github_server.things import (
    CheckRun,
    Hook,
    Issue,
    Label,
    Milestone,
    Protection,
    Pull,
    Release,
    Status,
)
from tests.github_server.world import PERMISSIONS, Account, Refusal, World


@dataclass(eq=False, kw_only=True)
class Ground:
    """A repository's state. The desks above it change it; nothing else does."""

    id: int
    owner: Account
    name: str
    world: World
    git: Bare
    created_at: datetime
    private: bool = False
    archived: bool = False
    has_issues: bool = True
    default_branch: str = "main"
    pushed_at: datetime | None = None
    permissions: dict[str, str] = field(default_factory=dict)  # by login in lower case
    allows: dict[str, bool] = field(default_factory=lambda: {"merge": True, "squash": True, "rebase": True})
    delete_branch_on_merge: bool = False
    labels: dict[str, Label] = field(default_factory=dict)  # by name in lower case
    milestones: dict[int, Milestone] = field(default_factory=dict)
    issues: dict[int, Issue] = field(default_factory=dict)  # pull requests among them
    gone: dict[int, str] = field(default_factory=dict)  # deleted: ""; transferred: the new address
    checks: dict[int, CheckRun] = field(default_factory=dict)
    suites: dict[tuple[str, str], int] = field(default_factory=dict)  # of a commit and an app
    suite_states: dict[tuple[str, str], str] = field(default_factory=dict)  # likewise: not what its runs say
    statuses: list[Status] = field(default_factory=list)
    releases: dict[int, Release] = field(default_factory=dict)
    hooks: dict[int, Hook] = field(default_factory=dict)
    protections: dict[str, Protection] = field(default_factory=dict)  # by branch
    heads: dict[str, str] = field(default_factory=dict)  # branches as last told of
    last_number: int = 0

    @property
    def full_name(self) -> str:
        return f"{self.owner.login}/{self.name}"

    @property
    def api(self) -> str:
        return f"{self.world.api}/repos/{self.full_name}"

    @property
    def html(self) -> str:
        return f"{self.world.web}/{self.full_name}"

    @property
    def clone_url(self) -> str:
        return f"{self.html}.git"

    def next_id(self) -> int:
        return next(self.world.ids)

    def next_number(self) -> int:
        self.last_number += 1
        return self.last_number

    # Who may

    def grant(self, login: str, permission: str) -> None:
        """One of PERMISSIONS; `none` takes it away."""
        assert permission in PERMISSIONS, permission
        self.permissions[self.world.account(login).login.lower()] = permission

    def level_of(self, account: Account | None) -> str:
        """What the account may here; everybody may read what is public."""
        least = "none" if self.private else "read"
        if account is None:
            return least
        if account is self.owner:
            return "admin"
        return max(least, self.permissions.get(account.login.lower(), "none"), key=PERMISSIONS.index)

    # Telling

    def tell(self, event: str, action: str | None, sender: Account | None, **payload: Any) -> None:
        """A webhook's event, with what every event carries."""
        body: dict[str, Any] = {"action": action} if action else {}
        body |= payload
        body["repository"] = shapes.of_repository(self.world, self)
        if self.owner.kind == "Organization":
            body["organization"] = {"login": self.owner.login, "id": self.owner.id}
        body["sender"] = shapes.of_account(self.world, sender or self.owner)
        self.world.emit(self, event, body)

    def actor(self, login: str | Account | None) -> Account:
        """The account of a login; None: the repository's owner."""
        if isinstance(login, Account):
            return login
        return self.world.account(login) if login else self.owner

    def issue(self, number: int) -> Issue:
        """Raises Refusal: 404, 410 deleted, 301 transferred."""
        found = self.issues.get(number)
        if found is not None:
            return found
        if number not in self.gone:
            raise Refusal(404, "Not Found")
        if address := self.gone[number]:
            raise Refusal(301, "Moved Permanently", url=address)
        raise Refusal(410, "This issue was deleted")

    def open_pulls(self) -> list[Pull]:
        return [i.pull for i in self.issues.values() if i.pull and i.state == "open"]

"""What every topic of the commands stands on: the store, the settings, the running engine."""

from __future__ import annotations

import asyncio
import copy
import sqlite3
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Self, cast

from core.domain.lifecycles import (
    WORKFLOW,
    WorkflowCommand,
    WorkflowState,
)
from core.domain.machine import allowed_commands, next_state
from core.domain.project import Project
from core.domain.wording import TEXT_CHARACTERS, cleaned
from core.errors import InvalidInput, InvalidTransition, NotAllowed, Unavailable
from core.gateway.service import GatewayView
from core.known_secrets import known_secrets
from core.orchestrator.budgets import Budgets
from core.orchestrator.github_desk import GithubDesk
from core.orchestrator.github_views import WebhookCounts
from core.orchestrator.registry import Registry
from core.orchestrator.resource_views import Optimization, ResourcesView
from core.orchestrator.views import (
    WorkerView,
)
from core.store import projects
from core.store.bound import After, Before, BoundStore
from core.store.database import Store
from core.worker.contract import SuiteReport

if TYPE_CHECKING:  # it imports ciphers, which a command line that only looks does without
    from core.security.vault import Vault

TEXT_LIMIT = TEXT_CHARACTERS
_FILE_LOOKS = 2  # at stories' files, at the same time


class Engine(Protocol):
    """What runs the stories, where it runs; absent for a command line beside no running Orchard."""

    @property
    def budgets(self) -> Budgets: ...
    async def gateway(self) -> GatewayView: ...
    def why(self, story_id: str) -> str: ...
    def worker_view(self, project: str) -> WorkerView: ...
    async def prepare(self, project: Project) -> None:
        """Checks that the project can work here (agent, isolation) and starts its worker."""
        ...

    async def halt(self, project: str) -> None: ...
    async def cancel(self, project: str, story_id: str) -> None: ...
    def nudge(self, story_id: str) -> None:
        """Whatever back-off the story waits for is over."""
        ...

    def worktree(self, project: str, story_id: str) -> Path:
        """Where the story's files are, or will be."""
        ...

    def is_open(self, project: str, story_id: str) -> bool:
        """Whether the folder was made ready for a person, who may be at work in it."""
        ...

    async def open_worktree(self, project: str, story_id: str) -> Path:
        """The story's folder, ready for a person once nothing works in it any more. Raises OrchardError."""
        ...

    async def steer(self, project: str, story_id: str, text: str) -> bool:
        """Whether a running turn got the text."""
        ...

    async def run_tests(self, project: str, story_id: str | None) -> SuiteReport:
        """Raises OrchardError when no worker can run them."""
        ...

    async def stop_tests(self, project: str, story_id: str | None) -> bool:
        """Ends such a run; False when there is none."""
        ...

    async def resources(self) -> ResourcesView:
        """Shares, limits, locks and what holds starts back, as of now."""
        ...

    async def optimize(self, strategy: str | None, dry_run: bool, by: str) -> Optimization:
        """Shares resources anew; with `dry_run` touches nothing. None: the configured strategy. Raises
        OrchardError when the strategy cannot be used."""
        ...

    async def explain(self, story_id: str) -> tuple[str, tuple[str, ...], str]:
        """Of a story that could start, or runs: a sentence, what is behind it, what has to happen next.
        Empty: nothing is known."""
        ...


class Topic:
    """`actor` names who asks, everywhere: "discord:<user id>", "cli", "shell"."""

    def __init__(
        self,
        store: Store,
        registry: Registry,
        engine: Engine | None,
        *,
        started_at: datetime | None = None,
        isolation: str = "",
        vault: Vault | None = None,
        github: GithubDesk | None = None,
        discord_status: Callable[[], str] = lambda: "",
    ) -> None:
        self._store = store
        self._registry = registry
        self._engine = engine
        self._started_at = started_at
        self._isolation = isolation
        self._vault_of = vault
        self._github = github
        self._file_looks = asyncio.Semaphore(_FILE_LOOKS)  # each is some runs of git
        self.discord_status = discord_status
        self.web_status: Callable[[], str] = lambda: ""
        self.webhook_counts: Callable[[], WebhookCounts | None] = lambda: None

    def bound(self, *, before: Before | None = None, after: After | None = None) -> Self:
        """For one command: its first transaction has these around its work."""
        made = copy.copy(self)
        made._store = cast(Store, BoundStore(self._store, before=before, after=after))
        return made

    @property
    def _vault(self) -> Vault:
        if self._vault_of is None:
            raise Unavailable("This Orchard was opened without its key.", hint="Ask the running one.")
        return self._vault_of

    def _why(self, story_id: str) -> str:
        return self._engine.why(story_id) if self._engine is not None else ""

    def _running(self, what: str) -> Engine:
        """Raises Unavailable where nothing runs; `what` goes before "by a running Orchard only"."""
        if self._engine is None:
            raise Unavailable(f"{what} by a running Orchard only.", hint="Start it: orchard run.")
        return self._engine


def find(conn: sqlite3.Connection, name: str) -> Project:
    return projects.get(conn, name.strip().lower())


def allowed(conn: sqlite3.Connection, project: str, command: WorkflowCommand) -> Project:
    """The project, when its state allows the command; else NotAllowed with what it allows."""
    found = find(conn, project)
    try:
        next_state(WORKFLOW, found.workflow, command, entity=found.name)
    except InvalidTransition:
        allowed = ", ".join(f"/{c}" for c in allowed_commands(found.workflow))
        raise NotAllowed(
            f"{found.name} is {found.workflow}: /{command} is not possible now.",
            why=_REASONS.get((found.workflow, command), ""),
            hint=f"Possible now: {allowed}.",
        ) from None
    return found


_REASONS = {
    (WorkflowState.IDLE, WorkflowCommand.SPRINT_PLAN): "The backlog is empty: add a story first.",
    (WorkflowState.BACKLOG_READY, WorkflowCommand.SPRINT_START): "No sprint is planned yet.",
    (WorkflowState.SPRINT_ACTIVE, WorkflowCommand.SPRINT_PLAN): "A sprint runs already.",
    (WorkflowState.SPRINT_ACTIVE, WorkflowCommand.SPRINT_START): "The sprint runs already.",
    (WorkflowState.SPRINT_REVIEW, WorkflowCommand.SPRINT_PLAN): "The last sprint waits for its review.",
    (WorkflowState.SPRINT_REVIEW, WorkflowCommand.BACKLOG_ADD_STORY): "The last sprint waits for its review.",
    (WorkflowState.BLOCKED, WorkflowCommand.SPRINT_START): "A story is out of retries and needs a person.",
}


def checked(what: str, text: str, limit: int, *, required: bool = True) -> str:
    # People paste, too; it would be kept, shown to others and told to agents.
    said = known_secrets.redactor.without_known(cleaned(text))
    if required and not said:
        raise InvalidInput(f"The {what} is empty.", hint=f"Say something as {what}.")
    if len(said) > limit:
        raise InvalidInput(
            f"The {what} has {len(said)} characters; {limit} are possible.", hint="Make it shorter."
        )
    return said

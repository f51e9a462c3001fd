"""A project that is linked with the GitHub-like server's repository, and what becomes of its stories."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from config.github_settings import ProjectGithub
from core.clock import SystemClock
from core.domain.evidence import Evidence, Refusal, RefusalCode, Verdict
from core.domain.lifecycles import CycleEvent, Phase, ProjectStatus, WorkflowState
from core.domain.project import Project
from core.domain.story import Priority, Story, StoryState
from core.github.api.gateway import GithubGateway
from core.github.inward.issue_labels import parse_marks
from core.github.inward.issue_text import parse_words, seen_of
from core.github.outward.outbound import Brought, Outbound
from core.store import cycles, gates, github_issues, github_links, projects, sprints, stories
from core.store.database import Store, Transaction
from tests.github_server.repository import Repository
from tests.github_server.server import GithubServer


@dataclass(kw_only=True)
class Shop:
    """The project `shop`, linked with acme/shop."""

    store: Store
    gateway: GithubGateway
    server: GithubServer
    here: Repository  # the repository, as the server has it
    settings: ProjectGithub = field(default_factory=ProjectGithub)
    gap_seconds: float = 0.0
    outbound: Outbound = field(init=False)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """What a process kept in memory is gone."""
        self.outbound = Outbound(
            self.store, self.gateway, lambda name: self.settings, SystemClock(), gap_seconds=self.gap_seconds
        )

    def use(self, **settings: object) -> None:
        self.settings = ProjectGithub(**settings)  # type: ignore[arg-type]

    async def bring(self, *ids: str) -> Brought:
        return await self.outbound.bring("shop", ids or None)

    async def do(self, work: Callable[[Transaction], object]) -> None:
        await self.store.write(work)

    async def story(self, title: str = "Totals", *, body: str = "Sum it up.") -> Story:
        return await self.store.write(
            lambda tx: stories.add(
                tx,
                "shop",
                title=title,
                body=body,
                acceptance_criteria=("it sums",),
                priority=Priority.NORMAL,
                added_by="cli",
            )
        )

    async def taken_in(
        self,
        title: str = "Totals",
        body: str = "Sum it up.\n\n- [ ] it sums",
        *,
        milestone: int | None = None,
    ) -> Story:
        """A story that an issue is, as if it had just been read."""
        issue = self.here.add_issue(title, body, author="mia", labels=["orchard"], milestone=milestone)
        words = parse_words(title, body, number=issue.number)
        seen = seen_of(words, parse_marks(("orchard",), own="orchard"), milestone=milestone, wanted=True)
        story = await self.story(words.title, body=words.body)

        def link(tx: Transaction) -> None:
            github_issues.link(
                tx,
                story.id,
                project="shop",
                number=issue.number,
                issue_id=issue.id,
                url=f"{self.server.url}/acme/shop/issues/{issue.number}",
                updated_at=issue.updated_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
                seen=seen.to_text(),
            )

        await self.do(link)
        return story

    async def at_work(self, story: Story) -> None:
        """In a sprint that runs, its first phase begun."""

        def work(tx: Transaction) -> None:
            sprint = sprints.plan(tx, "shop", [story.id], "Totals for @everybody", "cli")
            sprints.start(tx, sprint.id)
            stories.move(tx, story.id, StoryState.PLANNED, StoryState.ACTIVE)
            cycles.begin(tx, stories.get(tx.conn, story.id))

        await self.do(work)

    async def gate(self, story: Story, *, refused: str = "") -> None:
        """The present phase's gate passes, or refuses with this sentence."""

        def work(tx: Transaction) -> None:
            cycle = cycles.get(tx.conn, story.id)
            assert cycle is not None
            phase = cycle.state.phase
            assert phase is not None
            refusals = (Refusal(code=RefusalCode.STILL_RED, sentence=refused),) if refused else ()
            verdict = Verdict(phase=phase, refusals=refusals, evidence=Evidence())
            gates.add(tx, story.id, phase=phase, attempt=cycle.attempt, verdict=verdict)
            if refused:
                cycles.retry(tx, story.id, state=cycle.state, feedback=refused)
                return
            merged = {"merge_commit": "d" * 40} if phase is Phase.COMMIT else {}
            cycles.move(tx, story.id, CycleEvent.PASSED, state=cycle.state, **merged)  # type: ignore[arg-type]
            if phase is Phase.COMMIT:
                stories.move(tx, story.id, StoryState.ACTIVE, StoryState.DONE)

        await self.do(work)

    def comments(self, number: int = 1) -> list[str]:
        return [comment.body for comment in self.here.issue(number).comments]

    def labels(self, number: int = 1) -> set[str]:
        return {label.name for label in self.here.issue(number).labels}

    def writes(self) -> int:
        return sum(seen.method != "GET" for seen in self.server.requests)


def set_up(tx: Transaction, here: Repository) -> None:
    projects.add(
        tx,
        Project(
            name="shop",
            path=Path("/srv/shop"),
            main_branch="main",
            status=ProjectStatus.ACTIVE,
            workflow=WorkflowState.SPRINT_ACTIVE,
            registered_at=datetime(2026, 3, 1, tzinfo=UTC),
        ),
    )
    link_with(tx, here)


def link_with(tx: Transaction, here: Repository) -> None:
    github_links.put(tx, "shop", here.full_name, by="cli", configured=False)
    github_links.answered(
        tx,
        "shop",
        repository=here.full_name,
        repository_id=here.id,
        default_branch="main",
        clone_url=here.clone_url,
        html_url=here.html,
    )

"""Stories' pull requests against the GitHub-like server, with real git: what a look does, and does once."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar, cast

import pytest
import pytest_asyncio
from pydantic import SecretStr

from config.settings import Settings
from core.bus import Bus
from core.domain.event import Event, EventKind
from core.domain.github import Pull, PullState
from core.domain.lifecycles import CycleEvent, CycleState, Phase, ProjectStatus, WorkflowFact, WorkflowState
from core.domain.project import Project
from core.domain.story import Cycle, Hold, Priority, Story, StoryState
from core.github.api.gateway import GithubGateway
from core.github.api.trouble import GithubError, GithubUnauthorized
from core.github.pulls.watch import Pulls
from core.isolation.machine import probe_machine
from core.orchestrator import repository_links
from core.orchestrator.merge_reports import record_landed
from core.orchestrator.publishing import Publishing
from core.orchestrator.setups import Setups
from core.store import cycles, events, github_issues, github_links, leases, projects, pulls, stories
from core.store.database import Store, Transaction
from core.worker import remote
from core.worker.found import MADE
from core.worker.git import Repository
from tests.github_server.faults import Fault
from tests.github_server.server import GithubServer

T = TypeVar("T")
BRANCH = "orchard/shop-1"
pytestmark = pytest.mark.timeout(120)


class SteppingClock:
    def __init__(self) -> None:
        self.at = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()


class WorkerHere:
    """What the supervisor is to `Publishing`, with the worker's own functions in this process."""

    async def ensure(self, project: str) -> str:
        return f"{project}#1"

    async def request(self, kind: type[T], owner: str, method: str, job: Any) -> T:
        repository = await Repository.open(job.project.path)
        done = {"push": remote.push, "fetch_main": remote.fetch_main}[method]
        return cast(T, await done(repository, job))


@dataclass
class Rig:
    store: Store
    gateway: GithubGateway
    server: GithubServer
    checkout: Path
    clock: SteppingClock
    github: dict[str, Any] = field(default_factory=dict)
    ended: list[str] = field(default_factory=list)  # stories whose agent was told to stop
    pulls: Pulls = field(init=False)

    @property
    def repo(self) -> Any:
        return self.server.repo("acme/shop")

    def git(self, *arguments: str, text: str | None = None) -> str:
        return subprocess.run(
            ["git", "-c", "user.name=O", "-c", "user.email=o@x", *arguments],
            cwd=self.checkout,
            input=text,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()

    async def want(self, text: str, story: str = "shop-1") -> str:
        """A candidate as the merge queue makes one: a commit on the main branch that no branch holds."""
        base = self.git("rev-parse", "main")
        blob = self.git("hash-object", "-w", "--stdin", text=text)
        tree = self.git(
            "mktree", text=f"{self.git('ls-tree', 'main')}\n100644 blob {blob}\t{story}.txt\n".lstrip()
        )
        commit = self.git("commit-tree", tree, "-p", base, "-m", text)
        self.git("update-ref", f"{MADE}/{story}/{commit}", commit)
        await self.store.write(
            lambda tx: pulls.want(
                tx,
                story,
                project="shop",
                branch=f"orchard/{story}",
                candidate=commit,
                tree=tree,
                base=base,
            )
        )
        return commit

    async def look(self) -> Pull:
        await self.pulls.look("shop")
        return await self.store.read(lambda conn: pulls.get(conn, "shop-1"))

    async def cycle(self) -> Cycle:
        found = await self.store.read(lambda conn: cycles.get(conn, "shop-1"))
        assert found is not None
        return found

    async def mended(self) -> None:
        """The agent has done what it was sent back for."""
        while (now := await self.cycle()).state is not CycleState.COMMIT:
            await self.store.write(lambda tx: cycles.move(tx, "shop-1", CycleEvent.PASSED, state=now.state))

    async def told(self, kind: EventKind) -> list[Event]:
        return list(await self.store.read(lambda conn: events.since(conn, 0, kinds=[kind])))

    async def story_state(self) -> StoryState:
        return (await self.store.read(lambda conn: stories.get(conn, "shop-1"))).state


@pytest_asyncio.fixture
async def rig(github_server: GithubServer, tmp_path: Path) -> AsyncIterator[Rig]:
    server, clock = github_server, SteppingClock()
    repo = server.repo("acme/shop")
    for name, right in (("ann", "write"), ("bob", "read")):
        repo.grant(name, right)
    checkout = tmp_path / "shop"
    _clone(repo, checkout)
    state = tmp_path / "state"
    state.mkdir()
    own: dict[str, Any] = {}

    def settings() -> Settings:
        return Settings.model_validate(
            {
                "global": {"github": {"api_url": server.api_url}},
                "projects": {
                    "shop": {
                        "name": "shop",
                        "path": str(checkout),
                        "github": {"checks_begin_seconds": 0, **own},
                    }
                },
                "github_token": SecretStr("good-token"),
            }
        )

    async with Store.open(state / "orchard.db", clock=clock, bus=Bus()) as store:
        project = await store.write(lambda tx: _begun(tx, checkout, repo))
        setups = Setups(settings, state_path=state, machine=await probe_machine(), environ={})
        setups.learn(project)
        gateway = GithubGateway(store, settings, cast(Any, None), root=tmp_path, clock=clock)
        publishing = Publishing(store, cast(Any, WorkerHere()), setups)
        publishing.access = gateway
        rig = Rig(store, gateway, server, checkout, clock, own)

        async def end_run(story: Story) -> None:
            rig.ended.append(story.id)

        rig.pulls = Pulls(store, gateway, publishing, setups, clock, end_run=end_run)
        yield rig
        await gateway.close()


def _clone(repo: Any, folder: Path) -> None:
    subprocess.run(["git", "clone", "-q", str(repo.git.path), str(folder)], check=True)


def _begun(tx: Any, checkout: Path, repo: Any) -> Project:
    """shop, linked, with shop-1 in COMMIT."""
    project = projects.add(
        tx,
        Project(
            name="shop",
            path=checkout,
            main_branch="main",
            status=ProjectStatus.ACTIVE,
            workflow=WorkflowState.SPRINT_ACTIVE,
            registered_at=tx.now,
        ),
    )
    github_links.put(tx, "shop", "acme/shop", by="cli", configured=False)
    github_links.answered(
        tx,
        "shop",
        repository="acme/shop",
        repository_id=repo.id,
        default_branch="main",
        clone_url=repo.clone_url,
        html_url=repo.html,
    )
    _added(tx)
    return project


def _added(tx: Any) -> None:
    """The next story, in COMMIT."""
    story = stories.add(
        tx,
        "shop",
        title="Sell pears",
        body="",
        acceptance_criteria=("a sale is kept",),
        priority=Priority.NORMAL,
        added_by="cli",
    )
    stories.move(tx, story.id, StoryState.BACKLOG, StoryState.ACTIVE)
    cycle = cycles.begin(tx, story)
    while cycle.state is not CycleState.COMMIT:
        cycle = cycles.move(tx, story.id, CycleEvent.PASSED, state=cycle.state)


async def test_a_wanted_candidate_is_pushed_and_opened_once(rig: Rig) -> None:
    rig.github["checks_begin_seconds"] = 60
    issue = rig.repo.add_issue("Sell pears")
    await rig.store.write(
        lambda tx: github_issues.link(
            tx,
            "shop-1",
            project="shop",
            number=issue.number,
            issue_id=issue.id,
            url="",
            updated_at="",
            seen="",
        )
    )
    candidate = await rig.want("one")
    for _ in range(3):
        now = await rig.look()
    assert (now.state, now.head) == (PullState.OPEN, candidate)
    [pull] = rig.repo.open_pulls()
    assert pull.issue.number == now.number
    assert rig.repo.head(BRANCH) == candidate
    assert "a sale is kept" in pull.issue.body
    assert f"Closes #{issue.number}" in pull.issue.body
    assert len(await rig.told(EventKind.PULL_OPENED)) == 1
    assert rig.pulls.again_in("shop") == pytest.approx(61)


async def test_one_that_waits_in_another_repository_by_now_is_not_looked_for_in_this_one(rig: Rig) -> None:
    await rig.want("one")
    number = (await rig.look()).number
    market = rig.server.add_repository("acme/market")
    assert market.add_issue("Of the same number", "").number == number

    def link_anew(tx: Transaction) -> None:
        repository_links.link(tx, "shop", "acme/market", by="cli")
        github_links.answered(
            tx,
            "shop",
            repository="acme/market",
            repository_id=market.id,
            default_branch="main",
            clone_url=market.clone_url,
            html_url=market.html,
        )
        stories.move(tx, "shop-1", StoryState.ACTIVE, StoryState.SKIPPED)

    await rig.store.write(link_anew)
    asked = len(rig.server.requests)
    await rig.look()
    assert len(rig.server.requests) == asked
    assert rig.repo.open_pulls()


async def test_a_call_whose_answer_was_lost_opens_no_second_one(rig: Rig) -> None:
    await rig.want("one")
    rig.server.fail(Fault(method="POST", path=r"/pulls$", cut_after=True))
    with pytest.raises(GithubError):
        await rig.look()
    now = await rig.look()
    assert now.state in (PullState.OPEN, PullState.LANDABLE)
    assert [pull.issue.number for pull in rig.repo.open_pulls()] == [now.number]
    assert len(await rig.told(EventKind.PULL_OPENED)) == 1


async def test_one_that_meets_a_fault_keeps_no_other_one_waiting(rig: Rig) -> None:
    await rig.store.write(_added)
    await rig.want("one")
    await rig.want("two", "shop-2")
    rig.server.fail(Fault(method="POST", path=r"/pulls$", cut_after=True))
    with pytest.raises(GithubError):
        await rig.look()
    second = await rig.store.read(lambda conn: pulls.get(conn, "shop-2"))
    assert second.state is PullState.LANDABLE
    assert (await rig.look()).state is PullState.LANDABLE
    assert len(rig.repo.open_pulls()) == 2


async def test_checks_pass_and_the_merge_queue_may_have_it(rig: Rig) -> None:
    candidate = await rig.want("one")
    rig.repo.set_check(candidate, "unit", None)
    rig.repo.set_status(candidate, "lint", "success")
    assert (await rig.look()).state is PullState.OPEN
    rig.repo.set_check(candidate, "unit", "success")
    now = await rig.look()
    assert now.state is PullState.LANDABLE
    assert {check.name for check in now.checks} == {"unit", "lint"}
    assert [event.data["state"] for event in await rig.told(EventKind.CHECKS_CHANGED)] == [
        "running",
        "passed",
    ]


async def test_checks_that_are_still_to_come_are_waited_for(rig: Rig) -> None:
    candidate = await rig.want("one")
    rig.repo.set_suite(candidate, "linter", "queued")  # as of each app that could check, and never does
    rig.repo.set_check(candidate, "unit")
    rig.repo.set_suite(candidate, "github-actions", "in_progress")  # `deploy` needs `unit`
    now = await rig.look()
    assert now.state is PullState.OPEN
    assert now.waits == (
        "waits for the checks of pull request #1: 1 of 2 has passed; next when more of github-actions is"
        " done."
    )
    rig.repo.set_suite(candidate, "github-actions", "")
    rig.repo.set_check(candidate, "deploy", "failure")
    assert (await rig.look()).state is PullState.CLOSED
    assert (await rig.cycle()).state is CycleState.CODE_GREEN


async def test_failed_checks_come_back_with_their_words_and_the_next_candidate_is_pushed(rig: Rig) -> None:
    candidate = await rig.want("one")
    rig.repo.set_check(
        candidate,
        "unit",
        "failure",
        title="1 failed",
        summary="test_pears failed",
        text="AssertionError: 2 != 3",
        annotations=[
            {
                "path": "till.py",
                "start_line": 7,
                "end_line": 7,
                "annotation_level": "failure",
                "message": "wrong sum",
            }
        ],
    )
    await rig.look()
    cycle = await rig.cycle()
    assert cycle.state is CycleState.CODE_GREEN
    for said in ("unit", "test_pears failed", "AssertionError: 2 != 3", "till.py:7", "wrong sum"):
        assert said in cycle.feedback
    await rig.mended()
    second = await rig.want("two")
    rig.repo.set_check(second, "unit")
    now = await rig.look()
    assert (now.state, now.head, now.failures) == (PullState.LANDABLE, second, 0)
    assert rig.repo.head(BRANCH) == second
    assert len(rig.repo.open_pulls()) == 1
    assert len(await rig.told(EventKind.PULL_UPDATED)) == 1


async def test_three_failures_in_a_row_ask_people(rig: Rig) -> None:
    for text in ("one", "two", "three"):
        candidate = await rig.want(text)
        rig.repo.set_check(candidate, "unit", "failure")
        await rig.look()
        blocked = (await rig.cycle()).blocked_reason
        assert bool(blocked) == (text == "three")
        if not blocked:
            await rig.mended()
    assert "3 times in a row" in blocked


async def test_reviews_of_those_who_may_count_and_go_to_the_agent(rig: Rig) -> None:
    rig.github["approvals"] = 1
    candidate = await rig.want("one")
    rig.repo.set_check(candidate, "unit")
    number = cast(int, (await rig.look()).number)
    rig.repo.review(number, "bob", "CHANGES_REQUESTED", "I am nobody here.")
    rig.repo.review(number, "bob", "APPROVED", "Still nobody.")
    now = await rig.look()
    assert (now.state, now.approvals) == (PullState.OPEN, 0)
    comment = {"path": "shop-1.txt", "line": 1, "body": "Say pears here."}
    rig.repo.review(number, "ann", "CHANGES_REQUESTED", "Not yet.", [comment])
    await rig.look()
    cycle = await rig.cycle()
    assert cycle.state is CycleState.CODE_GREEN
    assert "ann, shop-1.txt:1" in cycle.feedback
    assert "Say pears here." in cycle.feedback
    assert "nobody" not in cycle.feedback
    await rig.mended()
    second = await rig.want("two")
    rig.repo.set_check(second, "unit")
    again = await rig.look()
    assert again.state is PullState.OPEN  # until ann has looked at it again
    assert "ann wanted changes" in again.waits
    rig.repo.review(number, "ann", "APPROVED", "Yes.")
    now = await rig.look()
    assert (now.state, now.approvals) == (PullState.LANDABLE, 1)
    verdicts = [event.data["verdict"] for event in await rig.told(EventKind.PULL_REVIEWED)]
    assert verdicts == ["changes requested", "approved"]


async def test_github_merges_and_the_checkout_follows(rig: Rig) -> None:
    rig.github["merge_by"] = "github"
    candidate = await rig.want("one")
    rig.repo.set_check(candidate, "unit")
    await rig.look()
    assert await rig.story_state() is StoryState.DONE
    commit = rig.repo.head("main")
    assert (await rig.cycle()).merge_commit == commit
    assert rig.git("rev-parse", "main") == commit
    await rig.look()
    assert BRANCH not in rig.repo.git.heads()
    assert len(await rig.told(EventKind.STORY_MERGED)) == 1
    assert len(rig.server.asked("PUT", r".*/merge")) == 1


async def test_github_merges_only_what_stands_on_the_newest_main_branch(rig: Rig) -> None:
    rig.github |= {"merge_by": "github", "up_to_date": True}
    candidate = await rig.want("one")
    rig.repo.set_check(candidate, "unit", None)
    await rig.look()
    rig.repo.commit("main", {"other.txt": "another\n"})
    rig.repo.set_check(candidate, "unit")
    assert (await rig.look()).state is PullState.CLOSED  # the queue proves it again
    second = await rig.want("two")  # on the main branch that has been fetched
    rig.repo.set_check(second, "unit")
    await rig.look()
    assert await rig.story_state() is StoryState.DONE


async def test_what_github_s_rules_refuse_is_said_at_once_and_once(rig: Rig) -> None:
    rig.github["merge_by"] = "github"
    rig.repo.protect("main", checks=["security"])
    candidate = await rig.want("one")
    rig.repo.set_check(candidate, "unit")
    for _ in range(3):
        now = await rig.look()
    assert now.state is PullState.OPEN
    assert now.waits.startswith("waits: GitHub does not merge pull request #1: ")
    assert 'Required status check "security" is expected' in now.waits
    [told] = await rig.told(EventKind.PULL_REFUSED)
    assert 'Required status check "security" is expected' in told.data["why"]
    rig.repo.set_check(candidate, "security")
    await rig.look()
    assert await rig.story_state() is StoryState.DONE


async def test_one_that_is_behind_a_strict_branch_is_proven_on_top_of_it(rig: Rig) -> None:
    rig.github["merge_by"] = "github"
    rig.repo.protect("main", checks=["unit"], strict=True)
    candidate = await rig.want("one")
    rig.repo.set_check(candidate, "unit", None)
    await rig.look()
    rig.repo.commit("main", {"other.txt": "another\n"})
    rig.repo.set_check(candidate, "unit")
    assert (await rig.look()).state is PullState.CLOSED  # the queue proves it again
    second = await rig.want("two")
    assert rig.git("rev-parse", f"{second}^") == rig.repo.head("main")
    await rig.look()
    rig.repo.set_check(second, "unit")
    await rig.look()
    assert await rig.story_state() is StoryState.DONE
    assert len(rig.repo.open_pulls()) == 0


async def test_a_merge_whose_answer_was_lost_is_found(rig: Rig) -> None:
    rig.github["merge_by"] = "github"
    candidate = await rig.want("one")
    rig.repo.set_check(candidate, "unit")
    rig.server.fail(Fault(method="PUT", path=r"/merge$", cut_after=True))
    await rig.look()
    await rig.look()
    assert await rig.story_state() is StoryState.DONE
    assert len(rig.server.asked("PUT", r".*/merge")) == 1


async def test_a_way_of_merging_that_is_not_allowed_asks_people(rig: Rig) -> None:
    rig.github["merge_by"] = "github"
    rig.repo.allows["squash"] = False
    candidate = await rig.want("one")
    rig.repo.set_check(candidate, "unit")
    await rig.look()
    assert "github.merge_method" in (await rig.cycle()).blocked_reason


async def test_merged_by_hand_it_is_done(rig: Rig) -> None:
    candidate = await rig.want("one")
    rig.repo.set_check(candidate, "unit", None)
    number = cast(int, (await rig.look()).number)
    commit = rig.repo.merge_pull(number, by="ann")
    await rig.look()
    assert await rig.story_state() is StoryState.DONE
    assert (await rig.cycle()).merge_commit == commit
    [closed] = await rig.told(EventKind.PULL_CLOSED)
    assert (closed.data["by"], closed.data["why"]) == ("ann", "merged")


async def test_merge_that_the_queue_records_meanwhile_was_nobody_elses(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    candidate = await rig.want("one")
    rig.repo.set_check(candidate, "unit")
    number = cast(int, (await rig.look()).number)
    commit = rig.repo.merge_pull(number, by="orch-bot")
    request = WorkerHere.request

    async def slow(self: WorkerHere, kind: type[T], owner: str, method: str, job: Any) -> T:
        done = await request(self, kind, owner, method, job)
        cycle = await rig.cycle()
        await rig.store.write(lambda tx: record_landed(tx, cycle, commit))
        return done

    monkeypatch.setattr(WorkerHere, "request", slow)
    assert (await rig.look()).state is PullState.MERGED
    assert len(await rig.told(EventKind.STORY_MERGED)) == 1
    assert await rig.told(EventKind.PULL_CLOSED) == []


async def test_merged_by_hand_a_blocked_story_is_done_and_its_project_goes_on(rig: Rig) -> None:
    rig.github["checks_minutes"] = 1
    candidate = await rig.want("one")
    rig.repo.set_check(candidate, "unit", None)
    number = cast(int, (await rig.look()).number)
    rig.clock.at += timedelta(minutes=2)
    await rig.look()
    assert "take longer" in (await rig.cycle()).blocked_reason
    await rig.store.write(
        lambda tx: projects.move_workflow(tx, "shop", WorkflowFact.SPRINT_STUCK, actor="orchard")
    )
    rig.repo.merge_pull(number, by="ann")
    await rig.look()
    assert await rig.story_state() is StoryState.DONE
    shop = await rig.store.read(lambda conn: projects.get(conn, "shop"))
    assert shop.workflow is WorkflowState.SPRINT_ACTIVE


async def test_merged_by_hand_while_its_agent_mends_it_it_is_done(rig: Rig) -> None:
    candidate = await rig.want("one")
    rig.repo.set_check(candidate, "unit", "failure")
    number = cast(int, (await rig.look()).number)
    await rig.store.write(
        lambda tx: leases.claim(tx, "shop-1", phase=Phase.CODE_GREEN, owner="shop#1", lease_seconds=60)
    )
    assert (await rig.look()).state is PullState.CLOSED
    commit = rig.repo.merge_pull(number, by="ann")
    now = await rig.look()
    assert (now.state, now.merge_commit) == (PullState.MERGED, commit)
    assert await rig.story_state() is StoryState.DONE
    assert (await rig.cycle()).merge_commit == commit
    assert await rig.store.read(lambda conn: leases.held(conn, "shop")) == ()
    assert rig.ended == ["shop-1"]
    assert len(await rig.told(EventKind.STORY_MERGED)) == 1


async def test_merged_while_a_person_works_on_it_it_stays_with_them(rig: Rig) -> None:
    candidate = await rig.want("one")
    rig.repo.set_check(candidate, "unit", "failure")
    number = cast(int, (await rig.look()).number)
    hold = {"hold": Hold.TAKEN.value, "held_by": "ann"}
    await rig.store.write(lambda tx: cycles.patch(tx, "shop-1", state=CycleState.CODE_GREEN, **hold))
    rig.repo.merge_pull(number, by="ann")
    await rig.look()
    assert await rig.story_state() is StoryState.ACTIVE
    await rig.store.write(lambda tx: cycles.patch(tx, "shop-1", state=CycleState.CODE_GREEN, hold=""))
    await rig.look()
    assert await rig.story_state() is StoryState.DONE


async def test_merged_by_hand_into_another_branch_it_is_not_done(rig: Rig) -> None:
    candidate = await rig.want("one")
    rig.repo.set_check(candidate, "unit", None)
    number = cast(int, (await rig.look()).number)
    rig.repo.git.run("branch", "develop", "main")
    rig.repo.pull(number).base = "develop"
    rig.repo.merge_pull(number, by="ann")
    await rig.look()
    assert await rig.story_state() is StoryState.ACTIVE
    assert "develop" in (await rig.cycle()).blocked_reason
    await rig.look()
    assert await rig.story_state() is StoryState.ACTIVE


@pytest.mark.parametrize("how", ["closed", "deleted"])
async def test_closed_or_without_its_branch_it_asks_and_is_opened_anew(rig: Rig, how: str) -> None:
    await rig.want("one")
    first = await rig.look()
    if how == "closed":
        rig.repo.set_pull_state(cast(int, first.number), "closed", by="ann")
    else:
        rig.repo.delete_branch(BRANCH)
    await rig.look()
    assert "was closed on GitHub" in (await rig.cycle()).blocked_reason
    await rig.store.write(lambda tx: cycles.unblock(tx, "shop-1", ""))
    candidate = await rig.want("two")
    second = await rig.look()
    assert second.state is PullState.LANDABLE
    assert second.number != first.number
    assert rig.repo.head(BRANCH) == candidate


async def test_opened_again_by_hand_it_goes_on(rig: Rig) -> None:
    candidate = await rig.want("one")
    rig.repo.set_check(candidate, "unit", None)
    number = cast(int, (await rig.look()).number)
    rig.repo.set_pull_state(number, "closed", by="ann")
    await rig.look()
    assert (await rig.cycle()).blocked_reason
    rig.repo.set_pull_state(number, "open", by="ann")
    assert (await rig.look()).state is PullState.OPEN
    assert not (await rig.cycle()).blocked_reason
    rig.repo.set_check(candidate, "unit")
    now = await rig.look()
    assert (now.state, now.number) == (PullState.LANDABLE, number)


async def test_somebody_elses_commits_are_never_overwritten(rig: Rig) -> None:
    await rig.want("one")
    await rig.look()
    theirs = rig.repo.commit(BRANCH, {"theirs.txt": "mine\n"}, by="ann")
    assert (await rig.look()).state is not PullState.CLOSED  # GitHub may lag behind a push
    rig.clock.at += timedelta(seconds=61)
    await rig.look()
    assert "Somebody else pushed" in (await rig.cycle()).blocked_reason
    await rig.store.write(lambda tx: cycles.unblock(tx, "shop-1", ""))
    await rig.want("two")
    await rig.look()
    assert "Nothing was overwritten" in (await rig.cycle()).blocked_reason
    assert rig.repo.head(BRANCH) == theirs


async def test_a_renamed_main_branch_is_said(rig: Rig) -> None:
    await rig.want("one")
    await rig.look()
    rig.repo.rename_branch("main", "trunk")
    await rig.look()
    assert "main_branch: trunk" in (await rig.cycle()).blocked_reason


async def test_a_main_branch_that_is_not_there_is_said(rig: Rig) -> None:
    rig.repo.rename_branch("main", "trunk")
    await rig.want("one")
    await rig.look()
    reason = (await rig.cycle()).blocked_reason
    assert "opened no pull request" in reason
    assert "main_branch: trunk" in reason


async def test_what_no_longer_fits_is_proven_again(rig: Rig) -> None:
    await rig.want("one")
    await rig.look()
    rig.repo.commit("main", {"shop-1.txt": "another\n"})
    now = await rig.look()
    assert now.state is PullState.CLOSED
    assert not (await rig.cycle()).blocked_reason
    assert [c.story_id for c in await rig.store.read(lambda conn: cycles.runnable(conn, "shop"))] == [
        "shop-1"
    ]


async def test_a_skipped_storys_pull_request_is_closed_and_its_branch_deleted(rig: Rig) -> None:
    await rig.want("one")
    number = cast(int, (await rig.look()).number)
    await rig.store.write(lambda tx: stories.move(tx, "shop-1", StoryState.ACTIVE, StoryState.SKIPPED))
    await rig.look()
    await rig.look()
    assert rig.repo.pull(number).issue.state == "closed"
    assert BRANCH not in rig.repo.git.heads()
    [closed] = await rig.told(EventKind.PULL_CLOSED)
    assert closed.data["by"] == "orchard"


async def test_a_refused_push_says_why(rig: Rig) -> None:
    hook = rig.repo.git.path / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho 'no agents here' >&2\nexit 1\n")
    hook.chmod(0o755)
    await rig.want("one")
    await rig.look()
    reason = (await rig.cycle()).blocked_reason
    assert "could not be pushed" in reason
    assert "no agents here" in reason


async def test_a_revoked_token_blocks_no_story(rig: Rig) -> None:
    candidate = await rig.want("one")
    rig.repo.set_check(candidate, "unit", None)
    await rig.look()
    rig.server.revoke("good-token")
    with pytest.raises(GithubUnauthorized):
        await rig.look()
    assert not (await rig.cycle()).blocked_reason
    waits = (await rig.store.read(lambda conn: pulls.get(conn, "shop-1"))).waits
    assert "refuses" in waits


async def test_looking_again_at_what_is_unchanged_costs_nothing(rig: Rig) -> None:
    candidate = await rig.want("one")
    rig.repo.set_check(candidate, "unit", None)
    await rig.look()
    await rig.look()
    before = rig.server.counted()
    await rig.look()
    assert rig.server.counted() == before

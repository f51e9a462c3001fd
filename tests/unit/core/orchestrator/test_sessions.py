"""Sessions beside a real store and real files: what goes on from what, what is shown, kept and removed."""

from __future__ import annotations

import json
import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from config.loader import load
from core.agents.redaction import Redactor
from core.agents.setup import AgentSetup, ModelAccess
from core.bus import Bus
from core.clock import SystemClock
from core.domain.event import EventKind
from core.domain.lifecycles import Phase, ProjectStatus, WorkflowState
from core.domain.project import Project
from core.domain.session import How, TurnOutcome
from core.domain.story import Priority, StoryBrief, StoryState
from core.errors import InvalidInput, NotAllowed, NotFound
from core.orchestrator.commands import Commands
from core.orchestrator.registry import Registry
from core.orchestrator.session_turns import record_turn, recover_turns, with_past
from core.orchestrator.transcript_keeping import TranscriptKeeping
from core.store import agent_sessions, cycles, events, leases, projects, stories
from core.store.agent_sessions import Kept
from core.store.database import Store
from core.worker.contract import PhaseEnd, PhaseJob, PhaseReport, ProjectSetup, TurnFacts

KEY = "sk-ant-api03-" + "Zz9_" * 12


class Desk:
    """Two projects with stories at work, and turns as workers would report them."""

    def __init__(self, root: Path, store: Store) -> None:
        self.root, self.store = root, store
        self.state = root / ".orch-global"
        self.commands = Commands(store, Registry(store, self.read(), self.read), None)
        self.keeping = TranscriptKeeping(
            store,
            SystemClock(),
            state_path=self.state,
            retention_days=lambda: 90,
            redactor=lambda: Redactor((KEY,)),
        )

    def read(self):
        return load(self.root, environ={})

    def job(
        self, story: str, generation: int, *, agent: str = "codex", session: str | None = None
    ) -> PhaseJob:
        project = story.rpartition("-")[0]
        return PhaseJob(
            project=ProjectSetup(name=project, path=self.root, main_branch="main", state_path=self.state),
            agent=AgentSetup(name=agent, kind="acp", argv=("/bin/true",)),
            story=StoryBrief(id=story, title="T", body="", acceptance_criteria=()),
            phase=Phase.DESIGN,
            attempt=1,
            generation=generation,
            base_commit=None,
            red_commit=None,
            head_commit=None,
            red_evidence=None,
            session_id=session,
            model=ModelAccess(base_url="http://x", token="t", run_id=f"run-{story}-{generation}"),
        )

    async def had(self, job: PhaseJob, text: str = "All done.", **changes) -> str:
        """A turn of the job that was had, with its transcript; its id."""
        name = f"{job.project.name}/{job.story.id}/design-1.{job.generation}.jsonl"
        self.write(name, job, text)
        facts = {
            "agent": job.agent.name,
            "kind": "idle",
            "started_at": datetime.now(UTC) - timedelta(seconds=5),
            "seconds": 4.0,
            "transcript": name,
            "session_id": f"s-{job.agent.name}-{job.story.id}",
            "how": "fresh",
            "template": "design",
            "template_version": 1,
            "prompt_sha256": "ab" * 32,
        }
        report = PhaseReport(
            story_id=job.story.id,
            phase=job.phase,
            generation=job.generation,
            end=PhaseEnd.PASSED,
            turn=TurnFacts(**{**facts, **changes}),
        )
        turn = await self.store.write(lambda tx: record_turn(tx, job, report))
        return turn.turn_id

    def write(self, name: str, job: PhaseJob, text: str, *, cut: bool = False) -> Path:
        heading = {
            "story": job.story.id, "phase": "design", "attempt": 1, "generation": job.generation,
            "agent": job.agent.name, "run": "r", "template": "design", "template_version": 1,
        }  # fmt: skip
        session = {"session": f"cut-{job.story.id}", "how": "fresh", "why": "", "prompt_sha256": "cd" * 32}
        task = f"Orchard-Phase: design\nOrchard-Attempt: 1\n\nThe task of {job.story.id}."
        blocks = [{"type": "text", "text": task}]
        update = {"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": text}}
        entries = [
            ("note", {"turn": heading}),
            ("note", session),
            ("out", {"method": "session/prompt", "id": 1, "params": {"prompt": blocks}}),
            ("in", {"method": "session/update", "params": {"update": update}}),
            *([] if cut else [("note", {"end": "idle", "error": ""})]),
        ]
        path = self.state / "transcripts" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        at = datetime.now(UTC).isoformat()
        path.write_text(
            "".join(json.dumps({"at": at, "way": way, "message": message}) + "\n" for way, message in entries)
        )
        return path

    async def past(self, job: PhaseJob, shares=lambda name: True) -> PhaseJob:
        return await self.store.read(lambda conn: with_past(conn, job, shares=shares))

    async def over(self, story: str) -> None:
        def end(tx):
            stories.move(tx, story, StoryState.ACTIVE, StoryState.SKIPPED)

        await self.store.write(end)


@pytest_asyncio.fixture
async def desk(tmp_path):
    async with Store.open(tmp_path / ".orch-global" / "orchard.db", clock=SystemClock(), bus=Bus()) as store:

        def begin(tx):
            for name in ("shop", "blog"):
                projects.add(
                    tx,
                    Project(
                        name=name,
                        path=Path(f"/srv/{name}"),
                        main_branch="main",
                        status=ProjectStatus.ACTIVE,
                        workflow=WorkflowState.SPRINT_ACTIVE,
                        registered_at=tx.now,
                    ),
                )
                for title in ("Sell", "Buy", "Give"):
                    story = stories.add(
                        tx,
                        name,
                        title=f"{title} things",
                        body="",
                        acceptance_criteria=(),
                        priority=Priority.NORMAL,
                        added_by="cli",
                    )
                    stories.move(tx, story.id, StoryState.BACKLOG, StoryState.ACTIVE)
                    cycles.begin(tx, story)

        await store.write(begin)
        yield Desk(tmp_path, store)


# What a turn goes on from


async def test_a_storys_own_session_is_taken_up_by_the_agent_whose_it_is(desk):
    await desk.had(desk.job("shop-1", 1))
    session = "s-codex-shop-1"

    same = await desk.past(desk.job("shop-1", 2, session=session))
    other = await desk.past(desk.job("shop-1", 2, agent="claude", session=session))

    assert same.session_id == session
    assert other.session_id is None
    assert [turn.transcript for turn in other.past] == ["shop/shop-1/design-1.1.jsonl"]
    assert (await desk.past(desk.job("shop-2", 1))).past == ()


async def test_a_turn_that_was_cut_off_is_found_and_its_session_taken_up(desk):
    lease = await desk.store.write(
        lambda tx: leases.claim(tx, "shop-1", phase=Phase.DESIGN, owner="shop#1", lease_seconds=60)
    )
    job = desk.job("shop-1", lease.generation)
    desk.write(f"shop/shop-1/design-1.{lease.generation}.jsonl", job, "I am in the mid", cut=True)
    assert await recover_turns(desk.store, desk.state) == 0  # it runs
    await desk.store.write(lambda tx: leases.release(tx, "shop-1", lease.generation))

    assert await recover_turns(desk.store, desk.state) == 1
    assert await recover_turns(desk.store, desk.state) == 0
    (turn,) = await desk.store.read(lambda conn: agent_sessions.turns_of(conn, "shop-1"))
    again = await desk.past(desk.job("shop-1", lease.generation + 1))
    other = await desk.past(desk.job("shop-1", lease.generation + 1, agent="claude"))

    assert (turn.outcome, turn.session_id, turn.how) == (TurnOutcome.CUT, "cut-shop-1", How.FRESH)
    assert (turn.template, turn.template_version, turn.prompt_sha256) == ("design", 1, "cd" * 32)
    assert again.session_id == "cut-shop-1"
    assert other.session_id is None
    assert [past.outcome for past in other.past] == ["cut"]


@pytest.mark.parametrize("text", ["", "no json\n", '{"way": "note", "message": {"turn": {"phase": "x"}}}\n'])
async def test_what_does_not_say_whose_it_is_becomes_no_turn(desk, text):
    job = desk.job("shop-1", 1)
    path = desk.state / "transcripts" / "shop" / "shop-1" / "design-1.1.jsonl"
    path.parent.mkdir(parents=True)
    path.write_text(text)

    assert await recover_turns(desk.store, desk.state, job) == 0


async def test_a_fork_goes_on_from_another_storys_session_once(desk):
    await desk.had(desk.job("shop-1", 1))
    source = await desk.had(desk.job("shop-1", 2))
    await desk.commands.fork_session("shop-1", "shop-2", actor="cli")
    await desk.had(desk.job("shop-1", 3))  # what comes later is not part of it

    first = await desk.past(desk.job("shop-2", 1))
    with_another = await desk.past(desk.job("shop-2", 1, agent="claude"))
    await desk.had(desk.job("shop-2", 1))
    second = await desk.past(desk.job("shop-2", 2, session="s-codex-shop-2"))

    assert source == "shop-1.2"
    assert (first.fork.story_id, first.fork.session_id) == ("shop-1", "s-codex-shop-1")
    assert [turn.transcript[-7:-6] for turn in first.past] == ["1", "2"]
    assert with_another.fork is None
    assert with_another.past == first.past
    assert (second.fork, second.session_id) == (None, "s-codex-shop-2")
    assert {turn.story_id for turn in second.past} == {"shop-2"}


async def test_a_fork_that_makes_no_sense_is_refused_with_the_reason(desk):
    fork = desk.commands.fork_session
    with pytest.raises(NotFound, match="No agent has worked on shop-1 yet"):
        await fork("shop-1", "shop-2", actor="cli")
    await desk.had(desk.job("shop-1", 1))
    with pytest.raises(InvalidInput, match="by itself"):
        await fork("shop-1.1", "shop-1", actor="cli")
    with pytest.raises(NotAllowed, match="belongs to shop, blog-1 to blog") as refused:
        await fork("shop-1", "blog-1", actor="cli")
    assert "orchard sessions link blog-1 shop-1" in refused.value.hint
    await desk.had(desk.job("shop-2", 1))
    with pytest.raises(NotAllowed, match=r"shop-2 has begun already: its turn shop-2\.1"):
        await fork("shop-1", "shop-2", actor="cli")
    with pytest.raises(NotFound):
        await fork("shop-1", "shop-99", actor="cli")


async def test_links_are_told_where_both_projects_share(desk):
    await desk.had(desk.job("blog-1", 1), "The lock was the cause.")
    (desk.root / "orch-config.yaml").write_text(CONFIG.format(shop="true", blog="true"))
    commands = Commands(desk.store, Registry(desk.store, desk.read(), desk.read), None)

    view = await commands.link_session("shop-1", "BLOG-1", actor="cli")
    told = await desk.past(desk.job("shop-1", 1))
    closed = await desk.past(desk.job("shop-1", 1), shares=lambda name: name != "blog")
    await commands.unlink_session("shop-1", "blog-1", actor="cli")

    assert [link.linked_id for link in view.links] == ["blog-1"]
    assert [(one.project, one.story_id, one.title) for one in told.linked] == [
        ("blog", "blog-1", "Sell things")
    ]
    assert closed.linked == ()
    assert (await desk.past(desk.job("shop-1", 1))).linked == ()
    with pytest.raises(NotFound, match="not linked to blog-1"):
        await commands.unlink_session("shop-1", "blog-1", actor="cli")


CONFIG = """
projects:
  shop: {{name: shop, path: shop, ai_settings: {{context_sharing_enabled: {shop}}}}}
  blog: {{name: blog, path: blog, ai_settings: {{context_sharing_enabled: {blog}}}}}
"""


@pytest.mark.parametrize(("shop", "blog", "named"), [("true", "false", "blog"), ("false", "true", "shop")])
async def test_a_project_that_does_not_share_is_not_linked(desk, shop, blog, named):
    (desk.root / "orch-config.yaml").write_text(CONFIG.format(shop=shop, blog=blog))
    commands = Commands(desk.store, Registry(desk.store, desk.read(), desk.read), None)

    with pytest.raises(NotAllowed, match=f"done in {named} is not shared"):
        await commands.link_session("shop-1", "blog-1", actor="cli")
    await commands.link_session("shop-1", "shop-2", actor="cli")  # its own project's is its own
    with pytest.raises(InvalidInput):
        await commands.link_session("shop-1", "shop-1", actor="cli")


async def test_prompts_that_were_not_used_are_told_once_a_turn(desk):
    problem = "/p/design.md:5: nobody fills $nobody"
    await desk.had(desk.job("shop-1", 1), template_problem=problem)

    (told,) = await desk.store.read(
        lambda conn: events.latest(conn, kinds=(EventKind.PROMPTS_REFUSED,), story_id="shop-1", limit=5)
    )
    assert told.data == {"problems": [problem]}


# What people see


async def test_sessions_are_listed_latest_first_and_shown_with_prompt_and_words(desk):
    await desk.had(desk.job("shop-1", 1), "I begin.")
    await desk.had(desk.job("blog-1", 1))
    await desk.had(desk.job("shop-1", 2), f"The key is {KEY}.")

    everything = await desk.commands.sessions()
    assert [view.id for view in everything] == ["shop-1.2", "blog-1.1"]
    assert [view.id for view in await desk.commands.sessions("blog")] == ["blog-1.1"]
    assert [view.id for view in await desk.commands.sessions("SHOP-1")] == ["shop-1.2"]
    assert everything[0].title == "Sell things"
    with pytest.raises(NotFound, match="no project, story or epic 'nobody'"):
        await desk.commands.sessions("nobody")

    detail = await desk.commands.session("shop-1")
    assert detail.turns[-1].prompt.endswith("The task of shop-1.")
    assert [turn.turn.generation for turn in detail.turns] == [1, 2]
    assert "[redacted: an Anthropic key]" in detail.transcript
    assert KEY not in detail.transcript
    assert (await desk.commands.session("s-codex-shop-1")).view.id == "shop-1.2"
    early = await desk.commands.session("shop-1.1")
    assert (early.view.id, "I begin." in early.transcript) == ("shop-1.1", True)
    with pytest.raises(NotFound, match="No agent has worked on shop-3"):
        await desk.commands.session("shop-3")
    with pytest.raises(NotFound, match="There is no session 'x'"):
        await desk.commands.session("x")


async def test_a_transcript_that_is_gone_is_said(desk):
    await desk.had(desk.job("shop-1", 1))
    (desk.state / "transcripts/shop/shop-1/design-1.1.jsonl").unlink()

    detail = await desk.commands.session("shop-1")

    assert "cannot be read" in detail.gone
    assert detail.turns[-1].prompt == ""


# Searching and keeping


async def test_what_was_said_is_found_once_it_is_indexed(desk):
    await desk.had(desk.job("shop-1", 1), f"The lock was held by {KEY} twice.")
    await desk.had(desk.job("blog-1", 1), "No lock here.")
    before = await desk.commands.search_sessions("lock")
    assert (before.hits, before.indexed, before.waiting) == ((), 0, 2)

    await desk.keeping.tick()
    await desk.keeping.tick()
    found = await desk.commands.search_sessions("lock held")

    assert [hit.turn.turn_id for hit in found.hits] == ["shop-1.1"]
    assert "[lock] was [held]" in found.hits[0].snippet
    assert (found.indexed, found.waiting) == (2, 0)
    assert KEY[8:] not in (desk.state / "transcripts.db").read_bytes().decode("latin-1")
    only = await desk.commands.search_sessions("lock", project="blog")
    assert [hit.turn.turn_id for hit in only.hits] == ["blog-1.1"]
    assert (await desk.commands.search_sessions("Zz9_Zz9")).hits == ()


async def test_indexing_goes_on_where_another_left_off_and_takes_in_what_is_gone(desk):
    await desk.had(desk.job("shop-1", 1), "first words")
    await desk.keeping.tick()
    await desk.had(desk.job("shop-1", 2), "second words")
    (desk.state / "transcripts/shop/shop-1/design-1.2.jsonl").unlink()
    await desk.had(desk.job("shop-1", 3), "third words")

    await Desk(desk.root, desk.store).keeping.tick()

    found = await desk.commands.search_sessions("words")
    assert sorted(hit.turn.generation for hit in found.hits) == [1, 3]
    assert found.waiting == 0


async def test_old_transcripts_go_and_those_of_stories_at_work_stay(desk):
    long_ago = datetime.now(UTC) - timedelta(days=200)
    for story in ("shop-1", "shop-2"):
        await desk.had(desk.job(story, 1), "old words", started_at=long_ago)
    await desk.had(desk.job("shop-2", 2), "new words")
    folder = desk.state / "transcripts" / "shop"
    (folder / "shop-2" / "design-1.1.stderr").write_text("noise")
    orphan = folder / "shop-2" / "design-1.jsonl"
    orphan.write_text("of an older Orchard")
    os.utime(orphan, (time.time() - 200 * 86400,) * 2)
    await desk.over("shop-2")

    await desk.keeping.tick()

    assert sorted(path.name for path in folder.rglob("*.*")) == ["design-1.1.jsonl", "design-1.2.jsonl"]
    assert (folder / "shop-1" / "design-1.1.jsonl").exists()
    gone = await desk.commands.session("shop-2.1")
    assert (gone.turns[0].turn.transcript_state, gone.gone != "") == (Kept.PRUNED, True)
    found = await desk.commands.search_sessions("words")
    assert sorted(hit.turn.turn_id for hit in found.hits) == ["shop-1.1", "shop-2.2"]
    assert [turn.outcome for turn in (await desk.past(desk.job("shop-2", 3))).past] == ["idle"]


async def test_a_row_that_leads_elsewhere_removes_nothing(desk):
    victim = desk.root / "precious.jsonl"
    victim.write_text("mine")
    await desk.had(
        desk.job("shop-1", 1),
        started_at=datetime.now(UTC) - timedelta(days=200),
        transcript="../../precious.jsonl",
    )
    await desk.over("shop-1")

    await desk.keeping.prune()

    assert victim.exists()

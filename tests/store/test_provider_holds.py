"""A provider's limit reaches all that depends on it, each told once, and is kept until it is over."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from config.settings import WorkHours
from core.agents.roles import Role
from core.domain.event import EventKind
from core.domain.lifecycles import CycleState, ProjectStatus, WorkflowState
from core.domain.project import Project
from core.gateway.contract import ProviderHold
from core.gateway.refusal import RefusalKind
from core.orchestrator.project_terms import hours_of
from core.orchestrator.provider_holds import ProviderHolds
from core.orchestrator.reconciler import Reconciler
from core.orchestrator.usage_limit import UsagePolicy
from core.scheduler.workhours import work_time
from core.store import cycles, events, projects, stories, usage

PROVIDERS = {"claude": "anthropic", "codex": "openai", "vibe": "mistral"}


class House:
    """`agents`: by project and role, who can work; a project without an entry has claude alone."""

    def __init__(self, store, clock) -> None:
        self.store, self.clock, self.woken = store, clock, 0
        self.agents: dict[tuple[str, Role], tuple[str, ...]] = {}
        self.policies: dict[str, UsagePolicy] = {}
        self.open()

    def open(self) -> None:
        """As after a restart."""

        def wake() -> None:
            self.woken += 1

        self.holds = ProviderHolds(
            self.store,
            self.clock,
            able=lambda project, role: self.agents.get((project, role), ("claude",)),
            provider_of=PROVIDERS.__getitem__,
            policy=lambda project: self.policies.get(project, UsagePolicy()),
            wake=wake,
        )

    async def sprint(self, name: str, state: CycleState = CycleState.CODE_GREEN) -> None:
        """A running sprint of one story that stands there."""

        def begin(tx) -> None:
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
            story = stories.add(tx, name, title="Sell", added_by="cli", **_STORY)
            tx.conn.execute("UPDATE stories SET state = 'active' WHERE id = ?", (story.id,))
            cycles.begin(tx, story)
            tx.conn.execute("UPDATE cycles SET state = ? WHERE story_id = ?", (state.value, story.id))

        await self.store.write(begin)

    async def hold(self, provider: str = "anthropic", *, hours: float | None = 1, **facts) -> None:
        until = None if hours is None else self.clock.now() + timedelta(hours=hours)
        said = {"kind": RefusalKind.QUOTA, "reason": "5-hour limit", "key_id": "k", **facts}
        await self.holds.held(ProviderHold(provider=provider, until=until, **said))

    async def paused(self) -> list[str]:
        found = await self.store.read(projects.every)
        return sorted(each.name for each in found if each.workflow is WorkflowState.SPRINT_PAUSED)

    async def told(self) -> list[str]:
        found = await self.store.read(lambda conn: events.latest(conn, kinds=[EventKind.USAGE_LIMITED]))
        return sorted(event.project for event in found)


_STORY = {"body": "", "acceptance_criteria": (), "priority": stories.Priority.NORMAL}


@pytest.fixture
async def house(store, clock):
    made = House(store, clock)
    for name in ("bank", "depot", "shop"):
        await made.sprint(name)
    return made


async def test_all_that_depend_on_it_pause_at_once_each_told_once(house):
    house.agents["bank", Role.CODE] = ("codex",)
    await house.hold()
    await house.hold(hours=2)
    assert await house.paused() == ["depot", "shop"]
    assert await house.told() == ["depot", "shop"]
    assert house.woken == 2
    pauses = await house.store.read(lambda conn: usage.find(conn, "shop"))
    assert pauses.until == house.clock.now() + timedelta(hours=2)


async def test_who_has_a_fallback_at_another_provider_goes_on_until_that_is_held_too(house):
    house.agents["bank", Role.CODE] = ("claude", "codex")
    await house.hold()
    assert "bank" not in await house.paused()
    assert house.holds.why_not("bank", Role.CODE) == ""
    await house.hold("openai", kind=RefusalKind.CREDIT)
    assert await house.paused() == ["bank", "depot", "shop"]
    assert house.holds.why_not("bank", Role.CODE).startswith("waits: anthropic is at its usage limit until")


async def test_only_what_is_still_to_come_counts(house):
    """Its tests are written; who would have written others is no matter."""
    house.agents["shop", Role.QA] = ("vibe",)
    house.agents["depot", Role.QA] = ("vibe",)
    await house.store.write(
        lambda tx: tx.conn.execute("UPDATE cycles SET state = 'design' WHERE story_id = 'depot-1'")
    )
    await house.hold("mistral")
    assert await house.paused() == ["depot"]


async def test_a_hold_outlives_a_restart_and_ends_by_itself(house, clock):
    await house.hold(hours=1)
    house.open()
    assert house.holds.held_agent("claude") == ""  # before it is read
    await house.holds.load()
    assert house.holds.held_agent("claude") == "anthropic is at its usage limit until 2026-03-01 13:00 UTC"
    assert house.holds.held_agent("codex") == ""
    clock.advance(3601)
    assert house.holds.held_agent("claude") == ""
    assert house.holds.why_not("shop", Role.CODE) == ""


async def test_a_person_who_is_quicker_than_what_is_known_here_has_it_tried_now(house):
    """They resume when they hear of the limit; that it is held is read here a moment later."""
    await house.hold()
    house.open()

    def resume(tx) -> None:
        tx.emit(EventKind.USAGE_RESET, project="shop", actor="cli", data={"by": "cli"})

    await house.store.write(resume)
    (event,) = await house.store.read(lambda conn: events.latest(conn, kinds=[EventKind.USAGE_RESET]))
    await house.holds._lift(event)
    assert await house.store.read(usage.holds) == ()
    assert house.holds.held_agent("claude") == ""


async def test_an_unsaid_end_is_a_back_off_that_grows(house, clock):
    ends = []
    for _ in range(3):
        await house.hold(hours=None)
        (held,) = await house.store.read(usage.holds)
        ends.append((held.until - clock.now()).total_seconds())
        await house.hold(hours=None)  # met once more before it is over
        (again,) = await house.store.read(usage.holds)
        assert again.tries == held.tries
        clock.at = again.until + timedelta(seconds=1)
    assert ends == [60, 120, 240]


async def test_each_project_goes_on_as_it_asked_for(house):
    house.policies["shop"] = UsagePolicy(resumes=True)
    await house.hold()
    found = await house.store.read(lambda conn: [usage.find(conn, name) for name in ("shop", "depot")])
    assert [pause.resumes for pause in found] == [True, False]


@pytest.mark.parametrize(
    ("kind", "said"),
    [(RefusalKind.AUTH, "anthropic refuses its key"), (RefusalKind.CREDIT, "anthropic has no credit left")],
)
async def test_what_is_wrong_with_it_is_said(house, kind, said):
    await house.hold(kind=kind, hours=None)
    assert house.holds.sentence("anthropic").startswith(said)


async def test_a_project_that_a_person_paused_is_left_alone(house):
    def pause(tx) -> None:
        tx.conn.execute("UPDATE projects SET workflow = 'SPRINT_PAUSED' WHERE name = 'shop'")

    await house.store.write(pause)
    await house.hold()
    assert await house.told() == ["bank", "depot"]
    assert await house.store.read(lambda conn: usage.find(conn, "shop")) is None


async def test_a_sprint_goes_on_by_itself_within_its_work_hours_only(house, clock, tmp_path):
    """Bank works around the clock, shop by day in Berlin; both waited for the same limit, until midnight."""
    hours = {"shop": hours_of(WorkHours(timezone="Europe/Berlin", start="09:00", end="17:00"))}

    class Floor:
        """Of the dispatcher, what the reconciler asks here."""

        def __init__(self) -> None:
            self.clock = clock

        def in_work_hours(self, project, now):
            return work_time(now, hours.get(project)).allowed

    reconciler = Reconciler(house.store, Floor(), crew=None, state_path=tmp_path)
    resumes = UsagePolicy(resumes=True)
    house.policies = {"bank": resumes, "shop": resumes}
    midnight = datetime(2026, 3, 11, 0, 0, tzinfo=UTC)  # a Wednesday
    clock.advance((midnight - timedelta(hours=4) - clock.now()).total_seconds())
    await house.hold(hours=4)
    assert await house.paused() == ["bank", "depot", "shop"]
    passed = {}
    for hour in (3.9, 4.1, 8, 11.9, 12.1):
        clock.advance((midnight + timedelta(hours=hour - 4) - clock.now()).total_seconds())
        await reconciler._end_usage_pauses()
        passed[hour] = await house.paused()
    assert passed == {
        3.9: ["bank", "depot", "shop"],
        4.1: ["depot", "shop"],
        8: ["depot", "shop"],
        11.9: ["depot", "shop"],
        12.1: ["depot"],  # that one's people have to say so
    }


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (
            RefusalKind.AUTH,
            "anthropic refuses Orchard's key: invalid x-api-key. Put a good one into .env and start Orchard "
            "anew.",
        ),
        (
            RefusalKind.CREDIT,
            "anthropic has no credit left: invalid x-api-key. Pay, or raise its limit with the provider.",
        ),
    ],
)
async def test_what_the_gateway_saw_is_not_taken_for_a_limit_when_the_agent_says_so(house, kind, said):
    await house.hold(hours=None, kind=kind, reason="invalid x-api-key.")
    before = await house.store.read(usage.holds)
    await house.holds.met("claude", reason="claude ran into a usage limit", said=None)
    assert await house.store.read(usage.holds) == before
    found = await house.store.read(lambda conn: events.latest(conn, kinds=[EventKind.USAGE_LIMITED]))
    assert {event.data["reason"] for event in found} == {said}
    assert len(found) == 3

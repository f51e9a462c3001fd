"""Why a story does what it does: every state that it can be in, on a real store, beside a running Orchard and
beside none."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from config.loader import load
from core.bus import Bus
from core.clock import SystemClock
from core.domain.access import AccessLevel
from core.domain.approval import ApprovalKind, Asking, Circle, Unanswered
from core.domain.event import EventKind
from core.domain.lifecycles import (
    CycleEvent,
    CycleState,
    Phase,
    ProjectCommand,
    ProjectStatus,
    WorkflowCommand,
    WorkflowFact,
    WorkflowState,
)
from core.domain.project import Project
from core.domain.story import Hold, Priority, StoryState, StoryStatus
from core.errors import NotFound
from core.orchestrator.blocking import block
from core.orchestrator.commands import Commands
from core.orchestrator.registry import Registry
from core.store import approvals, cycles, leases, needs, projects, sprints, stories, usage
from core.store.database import Store

DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
# The third day from now is another one in every time zone of the world.
OTHER_DAY = DAYS[(datetime.now(UTC) + timedelta(days=3)).weekday()]
COMMITS = {"base_commit": "base", "red_commit": "red", "head_commit": "head"}


class Scheduler:
    """What a running one would say: of what it has to decide, and of what runs."""

    def why(self, story_id):
        return "code_green: writes shop.py" if story_id == "shop-2" else ""

    async def explain(self, story_id):
        return (
            "waits: memory is full, shop holds 42 % of its 33 %.",
            ("bank holds 12 % of its 33 %.",),
            "shop or bank ends a phase.",
        )


class Stage:
    """Projects and stories, each in a state of its own; `names` tells which story is which."""

    def __init__(self, tx):
        self.tx = tx
        self.names: dict[str, str] = {}

    def project(self, name, workflow=WorkflowState.SPRINT_ACTIVE):
        projects.add(
            self.tx,
            Project(
                name=name,
                path=Path("/srv") / name,
                main_branch="main",
                status=ProjectStatus.ACTIVE,
                workflow=workflow,
                registered_at=self.tx.now,
            ),
        )

    def story(self, project, name, state=StoryState.ACTIVE, at=None):
        made = stories.add(
            self.tx,
            project,
            title=name,
            body="",
            acceptance_criteria=("it works",),
            priority=Priority.NORMAL,
            added_by="cli",
            state=StoryState.PROPOSED if state is StoryState.PROPOSED else StoryState.BACKLOG,
        )
        self.names[name] = made.id
        if state not in (StoryState.PROPOSED, StoryState.BACKLOG):
            stories.move(self.tx, made.id, StoryState.BACKLOG, state)
        if state is StoryState.ACTIVE:
            cycle = cycles.begin(self.tx, made)
            while cycle.state is not (at or CycleState.DESIGN):
                cycle = cycles.move(self.tx, made.id, CycleEvent.PASSED, state=cycle.state, **COMMITS)
        return made.id

    def hold(self, story, hold, kind):
        state = cycles.get(self.tx.conn, story).state
        cycles.patch(self.tx, story, state=state, hold=hold.value, held_by="discord:7")
        self.tx.emit(kind, project="shop", story_id=story, actor="discord:7", data={"by": "discord:7"})

    def ask(self, story, asking=None):
        approvals.ask(
            self.tx,
            project="shop",
            story_id=story,
            kind=ApprovalKind.MERGE,
            subject=f"merge:{story}",
            question=f"Merge {story}?",
            detail="",
            reasons=("It changes a migration.",),
            asking=asking,
        )

    def refused(self, story, host):
        about = {"host": host, "port": 443, "what": "agent"}
        self.tx.emit(EventKind.NETWORK_DENIED, project="shop", story_id=story, data=about)
        if host.startswith("old"):  # and then it got on
            self.tx.emit(EventKind.GATE_PASSED, project="shop", story_id=story, data={"phase": "test_red"})

    def claim(self, story, phase):
        leases.claim(self.tx, story, phase=phase, owner="shop#1", lease_seconds=600)
        data = {"phase": str(phase), "attempt": 1, "agent": "replay"}
        self.tx.emit(EventKind.PHASE_STARTED, project="shop", story_id=story, data=data)

    def end(self, story, state, kind):
        stories.move(self.tx, story, StoryState.ACTIVE, state)
        self.tx.emit(
            kind, project="shop", story_id=story, actor="cli", data={"by": "cli", "reason": "too dear"}
        )


def set_up(tx):
    stage = Stage(tx)
    stage.project("shop")
    green = CycleState.CODE_GREEN
    stage.story("shop", "waiting", at=green)
    running = stage.story("shop", "running", at=green)
    stage.claim(running, Phase.CODE_GREEN)
    stepping = stage.story("shop", "stepping", at=green)
    stage.claim(stepping, Phase.CODE_GREEN)
    stage.hold(stepping, Hold.STEP, EventKind.STORY_STOPPED)
    merging = stage.story("shop", "merging", at=CycleState.COMMIT)
    stage.claim(merging, Phase.COMMIT)
    blocked = stage.story("shop", "blocked", at=green)
    for story, host in ((blocked, "old"), (blocked, "a"), (blocked, "b"), (blocked, "a"), (running, "c")):
        stage.refused(story, f"{host}.example")
    stage.hold(stage.story("shop", "stopped", at=green), Hold.STOPPED, EventKind.STORY_STOPPED)
    stage.hold(stage.story("shop", "taken", at=green), Hold.TAKEN, EventKind.STORY_TAKEN)
    stage.ask(
        stage.story("shop", "asked", at=CycleState.REFACTOR),
        Asking(
            circle=Circle(level=AccessLevel.MAINTAINER, roles=("Leads",)),
            within=timedelta(days=3),
            unanswered=Unanswered.DENY,
        ),
    )
    parked = stage.story("shop", "parked", at=green)
    cycles.patch(tx, parked, state=green, parked=True)
    told = {"phase": "code_green", "taker": "bank", "reason": "bank takes back what it is guaranteed."}
    tx.emit(EventKind.STORY_PARKED, project="shop", story_id=parked, data=told)
    stage.project("api")
    needed = stage.story("api", "needed", at=green)
    needs.replace(tx, stage.story("shop", "needing", at=green), [needed, running])
    gone = stage.story("shop", "skipped")
    needs.replace(tx, stage.story("shop", "hopeless", at=green), [gone])
    stage.end(gone, StoryState.SKIPPED, EventKind.STORY_SKIPPED)
    stage.end(stage.story("shop", "aborted"), StoryState.ABORTED, EventKind.STORY_ABORTED)
    stage.end(stage.story("shop", "removed"), StoryState.REMOVED, EventKind.STORY_REMOVED)
    done = stage.story("shop", "done", at=CycleState.COMMIT)
    cycles.move(tx, done, CycleEvent.PASSED, state=CycleState.COMMIT, merge_commit="c0ffee0123456789")
    stories.move(tx, done, StoryState.ACTIVE, StoryState.DONE)
    stage.story("shop", "backlog", StoryState.BACKLOG)
    stage.story("shop", "proposed", StoryState.PROPOSED)
    block(tx, cycles.get(tx.conn, blocked), "the gate said no 3 times\nThe last time: 1 test failed.")
    other_projects(stage, tx)
    return stage.names


def other_projects(stage, tx):
    stage.project("later", WorkflowState.BACKLOG_READY)
    planned = stage.story("later", "planned", StoryState.BACKLOG)
    sprints.plan(tx, "later", [planned], "", "cli")
    projects.move_workflow(tx, "later", WorkflowCommand.SPRINT_PLAN, actor="cli")
    stage.project("idle", WorkflowState.BACKLOG_READY)
    stage.story("idle", "unplanned", StoryState.BACKLOG)
    stage.project("calm")
    stage.story("calm", "sprint paused")
    stuck = stage.story("calm", "blocked in a pause", at=CycleState.CODE_GREEN)
    block(tx, cycles.get(tx.conn, stuck), "the gate said no 3 times")
    halt = stage.story("calm", "stopped in a pause", at=CycleState.CODE_GREEN)
    stage.hold(halt, Hold.STOPPED, EventKind.STORY_STOPPED)
    projects.move_workflow(tx, "calm", WorkflowCommand.SPRINT_PAUSE, actor="discord:7")
    stage.project("spent")
    stage.story("spent", "usage limit")
    projects.move_workflow(tx, "spent", WorkflowFact.USAGE_LIMITED, actor="orchard")
    until = tx.now + timedelta(days=1)
    usage.begin(
        tx, "spent", agent="claude", reason="5-hour limit reached", until=until, resumes=True, tries=1
    )
    stage.project("halted")
    stage.story("halted", "project paused")
    projects.move_status(tx, "halted", ProjectCommand.PAUSE)
    tx.emit(EventKind.PROJECT_STOPPED, project="halted", actor="cli")
    stage.project("stuck", WorkflowState.BLOCKED)
    stage.story("stuck", "project blocked")
    stage.project("night")
    stage.story("night", "outside hours")
    stage.project("gone")
    stage.story("gone", "not configured")


@asynccontextmanager
async def commands_of(root, engine):
    listed = ("shop", "api", "later", "idle", "calm", "spent", "halted", "stuck")
    lines = [f"  {name}: {{path: {name}}}" for name in listed]
    hours = f"{{timezone: Asia/Tokyo, start: '09:00', end: '17:00', days: [{OTHER_DAY}]}}"
    text = "\n".join(["projects:", *lines, f"  night: {{path: night, work_hours: {hours}}}", ""])
    (root / "orch-config.yaml").write_text(text)

    def read():
        return load(root, environ={})

    async with Store.open(root / "orchard.db", clock=SystemClock(), bus=Bus()) as store:
        yield store, Commands(store, Registry(store, read(), read), engine)


async def every_view(root):
    """Of each story: beside a running Orchard, and beside none."""
    async with commands_of(root, Scheduler()) as (store, running):
        names = await store.write(set_up)
        at_rest = Commands(store, running._registry, None)
        return {name: (await running.why(story), await at_rest.why(story)) for name, story in names.items()}


@pytest.fixture(scope="module")
def views(tmp_path_factory):
    return asyncio.run(every_view(tmp_path_factory.mktemp("why")))


def test_every_status_is_walked(views):
    assert {view.status for view, _ in views.values()} == set(StoryStatus)


# The sentence, something of the details, and what has to happen.
EXPECTED = {
    "waiting": (
        "waits: memory is full, shop holds 42 % of its 33 %.",
        "bank holds 12 % of its 33 %.",
        "shop or bank ends a phase.",
    ),
    "running": ("is in code_green, attempt 1, since ", "Its agent is replay.", ""),
    "stepping": ("is in code_green", "It is stopped after this phase, as discord:7 asked.", ""),
    "merging": ("is being merged, since ", "", ""),
    "blocked": (
        "is blocked in code_green: the gate said no 3 times",
        "The last time: 1 test failed.",
        "A person helps: /suggest_fix shop-5, /tdd code shop-5, /story takeover shop-5, /skip_task shop-5 or "
        "/tdd abort shop-5.",
    ),
    "stopped": (
        "is stopped in code_green by discord:7 since ",
        "",
        "Let it go on: /tdd start shop-6; or one phase of it: /tdd next shop-6.",
    ),
    "taken": ("is with discord:7, who works in its folder since ", "", "/story handback shop-7"),
    "asked": ("waits for an answer: Merge ", "It changes a migration.", "Answer it: /approve shop-"),
    "parked": ("waits: memory is full", "It was parked in code_green at ", "shop or bank ends a phase."),
    "needing": (
        "waits: api-1 (waiting), shop-2 (running) have to be done first.",
        "It needs api-1",
        "All of",
    ),
    "hopeless": ("will never be done", "It needs shop-", "Take the need away: /backlog edit shop-12."),
    "skipped": ("was skipped by cli at ", "", ""),
    "aborted": ("was aborted by cli at ", "", ""),
    "removed": ("was removed by cli at ", "", ""),
    "done": ("is done: merged as c0ffee0123", "", ""),
    "backlog": (
        "is in the backlog, in no sprint.",
        "",
        "Let it join the sprint that runs: /tdd start shop-16.",
    ),
    "unplanned": ("is in the backlog, in no sprint.", "", "Choose it for a sprint: /sprint plan idle."),
    "proposed": ("is proposed: nobody has approved it yet.", "", "Approve it: /approve shop-17."),
    "planned": ("is chosen for sprint 1, which has not started.", "", "Start it: /sprint start later."),
    "sprint paused": ("waits: the sprint of calm is paused by discord:7 at ", "", "/sprint resume calm."),
    "blocked in a pause": (
        "is blocked in code_green: the gate said no 3 times",
        "he sprint of calm is paused by discord:7 at ",
        "Let it go on: /sprint resume calm. Then: A person helps: /suggest_fix calm-2, ",
    ),
    "stopped in a pause": (
        "is stopped in code_green by discord:7 since ",
        "he sprint of calm is paused by discord:7 at ",
        "Let it go on: /sprint resume calm. Then: Let it go on: /tdd start calm-3; ",
    ),
    "usage limit": ("waits: claude takes no more work since ", "", "The sprint goes on by itself at "),
    "project paused": ("waits: halted is paused since ", "", "Start it: /project_start halted."),
    "project blocked": ("waits: stuck stands still", "", "/suggest_fix or /skip_task"),
    "outside hours": (
        "waits: it is outside the work hours of night (09:00-17:00 Asia/Tokyo); next on "
        f"{OTHER_DAY.capitalize()}",
        "",
        "Work hours begin; then it goes on by itself.",
    ),
    "not configured": ("waits: ", "", "Mend that, then: /project_start gone."),
    "needed": ("waits: memory is full", "", "shop or bank ends a phase."),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_the_sentence_says_what_is_so_and_what_has_to_happen(views, name):
    view, _ = views[name]
    sentence, detail, following = EXPECTED[name]
    assert sentence in view.sentence
    assert any(detail in each for each in (*view.details, *([] if detail else [""])))
    assert view.next == "" if following == "" else following in view.next


def test_every_story_of_the_stage_has_its_expectation(views):
    assert views.keys() == EXPECTED.keys()


def test_who_may_answer_and_until_when_is_told(views):
    details = " ".join(views["asked"][0].details)
    assert "may be answered by the role Leads, administrators and higher; asked" in details
    assert "Unanswered by " in details
    assert "it is denied" in details


def test_a_usage_limit_names_what_the_provider_said(views):
    assert "5-hour limit reached" in views["usage limit"][0].sentence


def test_what_its_agent_was_refused_since_it_last_got_on_is_told(views):
    told = {name: [one for one in views[name][0].details if "was refused" in one] for name in views}
    assert {name for name, found in told.items() if found} == {"blocked", "running"}
    assert told["blocked"][0].startswith("Its agent was refused a.example:443, b.example:443: the project's")


def test_a_parked_story_says_for_whom(views):
    [parked, *_] = views["parked"][0].details
    assert "to make place for bank (bank takes back what it is guaranteed); its work is kept" in parked


def test_what_is_needed_is_told_with_its_project_and_how_it_gets_on(views):
    first, second = views["needing"][0].details
    assert first.startswith("It needs api-1 (needed) in api: waiting")
    assert second.startswith("It needs shop-2 (running) in shop: running")


AT_WORK = ("waiting", "parked", "needing", "sprint paused", "usage limit", "project paused", "outside hours")


@pytest.mark.parametrize("name", AT_WORK)
def test_beside_no_running_orchard_that_comes_first_and_the_rest_is_still_told(views, name):
    running, at_rest = views[name]
    assert at_rest.sentence == "waits: Orchard is not running."
    assert at_rest.next.startswith("Start Orchard: orchard run.")
    if name not in ("waiting", "parked", "needing"):
        assert running.sentence.removeprefix("waits: ").lower() in " ".join(at_rest.details).lower()
        assert running.next in at_rest.next


def test_a_phase_that_was_cut_short_says_where_it_goes_on(views):
    _, at_rest = views["running"]
    assert at_rest.sentence == "was in code_green, attempt 1, when Orchard ended. Orchard is not running."
    assert "goes on from its last passed gate" in at_rest.next


@pytest.mark.parametrize("name", ["blocked", "stopped", "taken", "asked"])
def test_what_waits_for_a_person_waits_for_them_first(views, name):
    running, at_rest = views[name]
    assert at_rest.sentence == running.sentence
    assert "Orchard is not running." in at_rest.details


async def test_an_unknown_story_is_refused(tmp_path):
    async with commands_of(tmp_path, None) as (_, commands):
        with pytest.raises(NotFound):
            await commands.why("shop-99")

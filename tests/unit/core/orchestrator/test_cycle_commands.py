"""What people may say to a story at work: every state by every command, on a real store.

What runs is played by an engine that notes what it is asked; the running parts have tests of their own.
"""

import asyncio
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from config.loader import load
from core.agents import prompts
from core.bus import Bus
from core.clock import SystemClock
from core.domain.approval import ApprovalKind, ApprovalState
from core.domain.event import EventKind
from core.domain.lifecycles import CycleEvent, CycleState, Phase, ProjectStatus, WorkflowState
from core.domain.project import Project
from core.domain.story import Hold, Priority, StoryState
from core.errors import NotAllowed, NotFound, Unavailable
from core.orchestrator.blocking import block
from core.orchestrator.commands import Commands
from core.orchestrator.registry import Registry
from core.store import approvals, cycles, leases, merges, projects, sprints, stories, touched, usage
from core.store.database import Store

ALICE, BOB = "discord:1", "discord:2"
COMMITS = {"base_commit": "base", "red_commit": "red", "head_commit": "head"}


class Stage:
    """Notes what the running part is asked for."""

    def __init__(self, root):
        self.root, self.asked, self.hears = root, [], True
        self.died = False  # before a folder was ready for its person

    def why(self, story_id):
        return ""

    async def cancel(self, project, story_id):
        self.asked.append(("cancel", story_id))

    def nudge(self, story_id):
        self.asked.append(("nudge", story_id))

    def worktree(self, project, story_id):
        return self.root / "worktrees" / project / story_id

    def is_open(self, project, story_id):
        return self.worktree(project, story_id).exists() and not self.died

    async def open_worktree(self, project, story_id):
        folder = self.worktree(project, story_id)
        folder.mkdir(parents=True, exist_ok=True)
        self.asked.append(("open", story_id))
        return folder

    async def steer(self, project, story_id, text):
        self.asked.append(("steer", text))
        return self.hears


class Play:
    """One story of a running sprint, and a sibling that keeps the sprint going."""

    def __init__(self, store, commands, stage):
        self.store, self.commands, self.stage = store, commands, stage
        self.story = "shop-1"

    async def write(self, work):
        return await self.store.write(work)

    async def cycle(self):
        return await self.store.read(lambda conn: cycles.get(conn, self.story))

    async def workflow(self):
        return (await self.store.read(lambda conn: projects.get(conn, "shop"))).workflow

    async def told(self, kind):
        log = await self.commands.story_log(self.story)
        return [event for event in log if event.kind is kind]

    async def hold(self, hold, by=ALICE):
        def set_it(tx):
            state = cycles.get(tx.conn, self.story).state
            cycles.patch(tx, self.story, state=state, hold=hold.value, held_by=by)

        await self.write(set_it)

    async def claim(self):
        def claim(tx):
            phase = cycles.get(tx.conn, self.story).state.phase
            return leases.claim(tx, self.story, phase=phase, owner="shop#1", lease_seconds=60)

        return await self.write(claim)

    async def pass_to(self, state):
        def go(tx):
            cycle = cycles.get(tx.conn, self.story)
            while cycle.state is not state:
                cycle = cycles.move(tx, self.story, CycleEvent.PASSED, state=cycle.state, **COMMITS)

        await self.write(go)

    async def block(self):
        await self.write(lambda tx: block(tx, cycles.get(tx.conn, self.story), "out of retries"))

    async def ask_for_merge(self):
        await self.pass_to(CycleState.REFACTOR)
        return await self.write(
            lambda tx: approvals.ask(
                tx,
                project="shop",
                story_id=self.story,
                kind=ApprovalKind.MERGE,
                subject=f"merge:{self.story}",
                question="Merge it?",
                detail="",
                reasons=(),
            )
        )

    async def merge(self, *, candidate):
        await self.pass_to(CycleState.COMMIT)
        lease = await self.claim()

        def begin(tx):
            (merge,) = merges.begin(tx, "shop", [(self.story, lease.generation)])
            if candidate:
                merges.set_candidate(tx, merge.id, "made", "main")

        await self.write(begin)


@asynccontextmanager
async def playing(root, *, engine=True):
    def read():
        return load(root, environ={})

    async with Store.open(root / "orchard.db", clock=SystemClock(), bus=Bus()) as store:
        stage = Stage(root)
        commands = Commands(store, Registry(store, read(), read), stage if engine else None)

        def begin(tx):
            projects.add(
                tx,
                Project(
                    name="shop",
                    path=Path("/srv/shop"),
                    main_branch="main",
                    status=ProjectStatus.ACTIVE,
                    workflow=WorkflowState.SPRINT_ACTIVE,
                    registered_at=tx.now,
                ),
            )
            for title in ("Sell", "Buy"):
                stories.add(
                    tx,
                    "shop",
                    title=title,
                    body="",
                    acceptance_criteria=("it works",),
                    priority=Priority.NORMAL,
                    added_by="cli",
                )
            sprint = sprints.plan(tx, "shop", ["shop-1", "shop-2"], "", "cli")
            sprints.start(tx, sprint.id)
            for each in ("shop-1", "shop-2"):
                cycles.begin(tx, stories.move(tx, each, StoryState.PLANNED, StoryState.ACTIVE))

        await store.write(begin)
        yield Play(store, commands, stage)


@pytest.fixture
async def play(tmp_path):
    async with playing(tmp_path) as found:
        yield found


STATES = {
    "waiting": lambda play: play.pass_to(CycleState.CODE_GREEN),
    "running": None,
    "stopped": lambda play: play.hold(Hold.STOPPED),
    "step": lambda play: play.hold(Hold.STEP),
    "taken": lambda play: play.hold(Hold.TAKEN),
    "blocked": lambda play: play.block(),
    "asked": lambda play: play.ask_for_merge(),
    "proving": lambda play: play.merge(candidate=False),
    "merging": lambda play: play.merge(candidate=True),
}

COMMANDS = {
    "start": lambda play: play.commands.start_story(play.story, actor=BOB),
    "next": lambda play: play.commands.next_phase(play.story, actor=BOB),
    "same phase": None,
    "test_red": lambda play: play.commands.run_phase(play.story, Phase.TEST_RED, actor=BOB),
    "stop": lambda play: play.commands.stop_story(play.story, actor=BOB),
    "steer": lambda play: play.commands.steer_story(play.story, "use a dict", actor=BOB),
    "take over": lambda play: play.commands.take_over(play.story, actor=BOB),
    "hand back": lambda play: play.commands.hand_back(play.story, actor=BOB),
    "suggest": lambda play: play.commands.suggest_fix(play.story, "try this", actor=BOB),
    "skip": lambda play: play.commands.skip_story(play.story, "", actor=BOB),
    "abort": lambda play: play.commands.abort_story(play.story, "wrong", actor=BOB),
}

# What the story is after the command; a capital letter begins why it was refused instead.
EXPECTED = {
    "waiting": {
        "start": "It is not stopped",
        "next": "waiting",
        "same phase": "waiting",
        "test_red": "waiting",
        "stop": "stopped",
        "steer": "waiting",
        "take over": "with a person",
        "hand back": "It is not with a person",
        "suggest": "It is not blocked",
        "skip": "skipped",
        "abort": "aborted",
    },
    "running": {
        "start": "It is not stopped",
        "next": "running",
        "same phase": "It runs this moment",
        "test_red": "waiting",
        "stop": "stopped",
        "steer": "running",
        "take over": "with a person",
        "hand back": "It is not with a person",
        "suggest": "It is not blocked",
        "skip": "skipped",
        "abort": "aborted",
    },
    "stopped": {
        "start": "waiting",
        "next": "waiting",
        "same phase": "waiting",
        "test_red": "waiting",
        "stop": "It is stopped already",
        "steer": "stopped",
        "take over": "with a person",
        "hand back": "It is not with a person",
        "suggest": "It is not blocked",
        "skip": "skipped",
        "abort": "aborted",
    },
    "step": {
        "start": "waiting",
        "next": "waiting",
        "same phase": "waiting",
        "test_red": "waiting",
        "stop": "stopped",
        "steer": "waiting",
        "take over": "with a person",
        "hand back": "It is not with a person",
        "suggest": "It is not blocked",
        "skip": "skipped",
        "abort": "aborted",
    },
    "taken": {
        "start": "It is with a person",
        "next": "It is with a person",
        "same phase": "It is with a person",
        "test_red": "It is with a person",
        "stop": "It is with a person",
        "steer": "with a person",
        "take over": "It is with a person",
        "hand back": "waiting",
        "suggest": "It is not blocked",
        "skip": "skipped",
        "abort": "aborted",
    },
    "blocked": {
        "start": "It is blocked",
        "next": "It is blocked",
        "same phase": "waiting",
        "test_red": "waiting",
        "stop": "It is blocked",
        "steer": "It is blocked",
        "take over": "with a person",
        "hand back": "It is not with a person",
        "suggest": "waiting",
        "skip": "skipped",
        "abort": "aborted",
    },
    "asked": {
        "start": "It is not stopped",
        "next": "It waits for an answer",
        "same phase": "waiting",
        "test_red": "waiting",
        "stop": "awaiting approval",
        "steer": "It waits for an answer",
        "take over": "with a person",
        "hand back": "It is not with a person",
        "suggest": "It is not blocked",
        "skip": "skipped",
        "abort": "aborted",
    },
    "proving": {
        "start": "It is not stopped",
        "next": "running",
        "same phase": "It runs this moment",
        "test_red": "waiting",
        "stop": "stopped",
        "steer": "It is in commit",
        "take over": "with a person",
        "hand back": "It is not with a person",
        "suggest": "It is not blocked",
        "skip": "skipped",
        "abort": "aborted",
    },
    "merging": {
        "start": "It is not stopped",
        "next": "running",
        "same phase": "It runs this moment",
        "test_red": "It is being merged",
        "stop": "It is being merged",
        "steer": "It is in commit",
        "take over": "It is being merged",
        "hand back": "It is not with a person",
        "suggest": "It is not blocked",
        "skip": "It is being merged",
        "abort": "It is being merged",
    },
}


async def bring(play, state):
    if state in ("stopped", "step", "taken", "running", "blocked"):
        await play.pass_to(CycleState.CODE_GREEN)
    if state == "running":
        await play.claim()
    else:
        await STATES[state](play)


async def say(play, command):
    if command == "same phase":
        phase = (await play.cycle()).state.phase
        return await play.commands.run_phase(play.story, phase, actor=BOB)
    return await COMMANDS[command](play)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("state", STATES)
async def test_each_command_in_each_state(play, state, command):
    await bring(play, state)
    before = await play.cycle()
    expected = EXPECTED[state][command]
    if not expected[0].isupper():
        await say(play, command)
        view = (await play.commands.story(play.story)).view
        assert str(view.status) == expected
        return
    with pytest.raises(NotAllowed) as refused:
        await say(play, command)
    words = expected.replace("It ", "", 1)
    assert words in refused.value.message, refused.value.message
    assert refused.value.hint
    assert await play.cycle() == before  # a refusal changes nothing
    assert play.stage.asked == []


# --- what each does beside the state


async def test_a_stop_takes_the_right_to_report_and_ends_the_turn(play):
    lease = await play.claim()
    await play.commands.stop_story(play.story, actor=BOB)
    assert await play.store.read(lambda conn: leases.held(conn)) == ()
    assert play.stage.asked == [("cancel", play.story)]
    with pytest.raises(NotAllowed, match="stopped already, by discord:2"):
        await play.commands.stop_story(play.story, actor=ALICE)
    await play.commands.start_story(play.story, actor=BOB)
    assert (await play.claim()).generation == lease.generation + 1


async def test_going_back_keeps_what_the_gate_there_needs(play):
    await play.pass_to(CycleState.REFACTOR)
    await play.commands.run_phase(play.story, Phase.TEST_RED, "Cover zero.", actor=BOB)
    cycle = await play.cycle()
    assert (cycle.state, cycle.head_commit, cycle.red_commit, cycle.base_commit) == (
        CycleState.TEST_RED,
        "red",
        None,
        "base",
    )
    assert "Cover zero." in cycle.feedback
    (back,) = await play.told(EventKind.STORY_SENT_BACK)
    assert (back.actor, back.data["from"], back.data["to"]) == (BOB, "refactor", "test_red")


async def test_a_later_phase_names_the_gate_that_has_not_passed(play):
    with pytest.raises(NotAllowed) as refused:
        await play.commands.run_phase(play.story, Phase.COMMIT, actor=BOB)
    assert "gate of design has not passed" in refused.value.why
    assert "/tdd design" in refused.value.hint


async def test_a_phase_is_named_by_the_command_for_it(play):
    await play.pass_to(CycleState.CODE_GREEN)
    with pytest.raises(NotAllowed) as refused:
        await play.commands.run_phase(play.story, Phase.COMMIT, actor=BOB)
    assert refused.value.hint == "Possible now: /tdd design, /tdd test, /tdd code, /tdd next."


async def test_a_merge_that_nobody_has_answered_is_named_as_such(play):
    await play.ask_for_merge()
    with pytest.raises(NotAllowed) as refused:
        await play.commands.run_phase(play.story, Phase.COMMIT, actor=BOB)
    assert "no person has answered" in refused.value.why


async def test_a_phase_asked_for_again_withdraws_the_question_about_its_work(play):
    asked = await play.ask_for_merge()
    await play.commands.run_phase(play.story, Phase.REFACTOR, "Rename it.", actor=BOB)
    assert (await play.commands.approval(asked.id)).state is ApprovalState.CANCELLED
    assert "Rename it." in (await play.cycle()).feedback


async def test_refactor_is_not_gone_back_to_from_commit(play):
    await play.pass_to(CycleState.COMMIT)
    with pytest.raises(NotAllowed, match="refactor cannot run now") as refused:
        await play.commands.run_phase(play.story, Phase.REFACTOR, actor=BOB)
    assert "design, test_red, code_green" in refused.value.why


@pytest.mark.parametrize("reached", [True, False])
async def test_steering_is_stored_before_it_is_sent(play, reached):
    play.stage.hears = reached
    await play.commands.steer_story(play.story, "use a dict", actor=BOB)
    assert prompts.said("use a dict") in (await play.cycle()).feedback
    (steered,) = await play.told(EventKind.STORY_STEERED)
    assert steered.data == {"by": BOB, "text": "use a dict", "reached": reached}


async def test_words_that_came_as_the_phase_ended_are_for_the_next_one(play, monkeypatch):
    async def steer(project, story_id, text):
        def end(tx):
            state = cycles.get(tx.conn, story_id).state
            cycles.move(tx, story_id, CycleEvent.PASSED, state=state, feedback="")

        await play.write(end)
        return False

    monkeypatch.setattr(play.stage, "steer", steer)
    await play.commands.steer_story(play.story, "use a dict", actor=BOB)
    assert (await play.cycle()).feedback == prompts.said("use a dict")


async def test_a_taken_story_tells_its_folder_and_again_without_touching_it(play):
    found = await play.commands.take_over(play.story, actor=BOB)
    assert (found.path, found.branch) == (
        str(play.stage.worktree("shop", play.story)),
        "orchard/shop-1",
    )
    assert play.stage.asked == [("cancel", play.story), ("open", play.story)]
    again = await play.commands.take_over(play.story, actor=BOB)
    assert again.path == found.path
    assert len(play.stage.asked) == 2
    with pytest.raises(NotAllowed, match="discord:2 works in its folder"):
        await play.commands.take_over(play.story, actor=ALICE)


async def test_a_folder_that_was_never_made_ready_is_made_so_when_its_person_asks_again(play):
    await play.commands.take_over(play.story, actor=BOB)
    play.stage.died = True  # after it was theirs; the agent's files still lie there
    await play.commands.take_over(play.story, actor=BOB)
    assert play.stage.asked == [("cancel", play.story), ("open", play.story)] * 2


async def test_what_is_handed_back_is_judged_by_hand_with_the_note(play):
    await play.commands.take_over(play.story, actor=BOB)
    await play.commands.hand_back(play.story, "The parser was wrong.", actor=BOB)
    cycle = await play.cycle()
    assert (cycle.by_hand, cycle.hold, cycle.held_by) == (True, Hold.NONE, None)
    assert "The parser was wrong." in cycle.feedback


async def test_a_story_taken_out_of_the_merge_queue_is_judged_before_it_is_merged(play):
    await play.merge(candidate=False)
    await play.commands.take_over(play.story, actor=BOB)
    assert (await play.cycle()).state is CycleState.CODE_GREEN
    assert await play.store.read(lambda conn: merges.open_of(conn)) == ()


async def test_taking_a_blocked_story_over_sets_the_others_free(play):
    await play.block()
    await play.commands.stop_story("shop-2", actor=BOB)
    assert await play.workflow() is WorkflowState.BLOCKED
    await play.commands.take_over(play.story, actor=BOB)
    assert await play.workflow() is WorkflowState.SPRINT_ACTIVE
    assert not (await play.cycle()).blocked_reason


async def test_a_stopped_story_that_goes_on_ends_the_standstill(play):
    await play.block()
    await play.commands.stop_story("shop-2", actor=BOB)
    assert await play.workflow() is WorkflowState.BLOCKED
    await play.commands.start_story("shop-2", actor=BOB)
    assert await play.workflow() is WorkflowState.SPRINT_ACTIVE


async def test_an_aborted_story_is_a_failure_and_the_sprint_goes_to_its_end(play):
    await play.commands.abort_story("shop-2", "Not wanted.", actor=BOB)
    await play.commands.abort_story(play.story, "Not wanted either.", actor=BOB)
    assert (await play.cycle()).state is CycleState.ABORTED
    assert await play.workflow() is WorkflowState.SPRINT_REVIEW
    with pytest.raises(NotAllowed, match="shop-1 is aborted"):
        await play.commands.run_phase(play.story, Phase.DESIGN, actor=BOB)


# --- around the story


@pytest.mark.parametrize("command", ["start", "next", "same phase"])
async def test_nothing_starts_in_a_sprint_that_waits_for_its_agent(play, command):
    await play.hold(Hold.STOPPED)

    def pause(tx):
        usage.begin(tx, "shop", agent="claude", reason="limit", until=None, resumes=False, tries=1)

    await play.commands.pause_sprint("shop", actor=BOB)
    await play.write(pause)
    with pytest.raises(NotAllowed) as refused:
        await say(play, command)
    assert "SPRINT_PAUSED" in refused.value.message
    assert "claude takes no more work" in refused.value.why
    assert "/sprint resume" in refused.value.hint
    limit = (await play.commands.workflow("shop")).limit
    assert (limit.agent, limit.until) == ("claude", None)
    await play.commands.resume_sprint("shop", actor=BOB)
    assert (await play.commands.workflow("shop")).limit is None
    await say(play, command)


async def test_a_story_of_the_backlog_joins_the_sprint_that_runs(play):
    def add(tx):
        return stories.add(
            tx,
            "shop",
            title="Late",
            body="",
            acceptance_criteria=(),
            priority=Priority.NORMAL,
            added_by="cli",
        )

    late = await play.write(add)
    view = await play.commands.start_story(late.id, actor=BOB)
    assert (view.story.state, view.cycle.state) == (StoryState.ACTIVE, CycleState.DESIGN)
    assert late.id in [each.story.id for each in (await play.commands.cycles("shop")).stories]
    await play.commands.pause_sprint("shop", actor=BOB)
    other = await play.write(add)
    with pytest.raises(NotAllowed, match="no sprint to join"):
        await play.commands.start_story(other.id, actor=BOB)


@pytest.mark.parametrize("command", [name for name in COMMANDS if name != "same phase"])
async def test_an_unknown_story_is_said_to_be_unknown(play, command):
    play.story = "shop-99"
    with pytest.raises(NotFound, match="shop-99"):
        await COMMANDS[command](play)


async def test_beside_no_running_orchard_people_may_stop_but_not_take_over(tmp_path):
    async with playing(tmp_path, engine=False) as play:
        await play.commands.steer_story(play.story, "use a dict", actor=BOB)
        await play.commands.stop_story(play.story, actor=BOB)
        for refused in (
            play.commands.take_over(play.story, actor=BOB),
            play.commands.run_tests("shop", actor=BOB),
        ):
            with pytest.raises(Unavailable, match="running Orchard only"):
                await refused
        assert (await play.cycle()).hold is Hold.STOPPED


async def test_two_stops_at_once_are_one(play):
    results = await asyncio.gather(
        *(play.commands.stop_story(play.story, actor=who) for who in (ALICE, BOB)), return_exceptions=True
    )
    assert sum(isinstance(result, NotAllowed) for result in results) == 1
    assert len(await play.told(EventKind.STORY_STOPPED)) == 1


async def test_a_transcript_reads_as_people_speak(play, tmp_path):
    with pytest.raises(NotFound, match="No agent has worked"):
        await play.commands.transcript(play.story)
    folder = load(tmp_path, environ={}).state_path / "transcripts" / "shop" / play.story
    folder.mkdir(parents=True)
    (folder / "code_green-1.jsonl").write_text(
        '{"way": "out", "message": {"method": "session/prompt", "params":'
        ' {"prompt": [{"type": "text", "text": "Make it green."}]}}}\n'
        '{"way": "in", "message": {"method": "session/update", "params": {"update":'
        ' {"sessionUpdate": "agent_message_chunk", "content": {"text": "I wi"}}}}}\n'
        '{"way": "in", "message": {"method": "session/update", "params": {"update":'
        ' {"sessionUpdate": "agent_message_chunk", "content": {"text": "ll."}}}}}\n'
        '{"way": "in", "message": {"method": "session/update", "params": {"update":'
        ' {"sessionUpdate": "tool_call", "toolCallId": "1", "title": "Write shop.py"}}}}\n'
        "half a li\n"
        '{"way": "note", "message": {"end": "idle", "error": ""}}\n'
    )
    text = await play.commands.transcript(play.story)
    assert text.startswith("# code_green-1")
    order = [text.index(part) for part in ("Make it green.", "I will.", "Write shop.py", "no entry", "idle")]
    assert order == sorted(order)


async def test_what_a_story_changed_is_forgotten_with_it(play):
    await play.write(lambda tx: touched.replace(tx, play.story, ["a.py"]))
    await play.commands.skip_story(play.story, "", actor=BOB)
    assert await play.store.read(lambda conn: touched.of_story(conn, play.story)) == frozenset()

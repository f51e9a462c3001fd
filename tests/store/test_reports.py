"""What a phase's report does to the store, end by end."""

from datetime import timedelta
from pathlib import Path

import pytest

from core.agents import prompts
from core.agents.setup import AgentSetup
from core.domain.event import EventKind
from core.domain.evidence import Evidence, Refusal, RefusalCode, Verdict
from core.domain.lifecycles import CycleEvent, CycleState, Phase, WorkflowCommand, WorkflowState
from core.domain.risk import RiskLimits
from core.domain.story import Hold, StoryBrief, StoryState
from core.errors import LostRace
from core.orchestrator.merge_reports import record_merged
from core.orchestrator.parking import parked_sentence, takers_of
from core.orchestrator.reports import ReviewPolicy, record_phase
from core.orchestrator.sprint_end import settle_sprint
from core.orchestrator.usage_limit import UsagePolicy
from core.store import approvals, cycles, events, leases, merges, projects, sprints, stories, usage
from core.worker.contract import PhaseEnd, PhaseJob, PhaseReport, ProjectSetup

POLICY = ReviewPolicy(
    max_auto_retry=1,
    auto_approve_low_risk=True,
    require_human_review=False,
    limits=RiskLimits(),
    max_conflicts=2,
    usage=UsagePolicy(resumes=True),
)


class Desk:
    """One story of a running sprint, claimed and reported as a worker would."""

    def __init__(self, tx, cycle):
        self.tx, self.story = tx, cycle.story_id
        self.lease = None

    @property
    def cycle(self):
        return cycles.get(self.tx.conn, self.story)

    def claim(self):
        cycle = self.cycle
        self.lease = leases.claim(
            self.tx, self.story, phase=cycle.state.phase, owner="shop#1", lease_seconds=60
        )
        self.tx.emit(
            EventKind.PHASE_STARTED, project="shop", story_id=self.story, data={"phase": str(cycle.state)}
        )
        return self.lease

    def job(self, **facts):
        cycle = self.cycle
        return PhaseJob(
            project=ProjectSetup(
                name="shop", path=Path("/srv/shop"), main_branch="main", state_path=Path("/srv/state")
            ),
            agent=AgentSetup(name="claude", kind="acp", argv=("/bin/claude",)),
            story=StoryBrief(id=self.story, title="Sell", body="", acceptance_criteria=()),
            phase=self.lease.phase,
            attempt=cycle.attempt,
            generation=self.lease.generation,
            base_commit=cycle.base_commit,
            red_commit=cycle.red_commit,
            head_commit=cycle.head_commit,
            red_evidence=None,
            rebase_onto=cycle.rebase_onto,
            **facts,
        )

    def report(self, end, *, policy=POLICY, **facts):
        if self.lease is None:
            self.claim()
        job, lease = self.job(), self.lease
        self.lease = None
        said = PhaseReport(
            story_id=self.story, phase=lease.phase, generation=lease.generation, end=end, **facts
        )
        return record_phase(self.tx, job, said, policy)

    def told(self, *kinds):
        return [event.data for event in events.latest(self.tx.conn, story_id=self.story, kinds=kinds)]


def verdict(phase, sentence=""):
    refusals = (Refusal(code=RefusalCode.NO_RED_TEST, sentence=sentence),) if sentence else ()
    return Verdict(phase=phase, refusals=refusals, evidence=Evidence())


@pytest.fixture
def desk(tx, new_project, new_story):
    new_project(tx)
    story = new_story(tx)
    sprint = sprints.plan(tx, "shop", [story.id], "", "cli")
    sprints.start(tx, sprint.id)
    moved = stories.move(tx, story.id, StoryState.PLANNED, StoryState.ACTIVE)
    return Desk(tx, cycles.begin(tx, moved))


@pytest.fixture
def in_green(desk, passed_to):
    passed_to(desk.tx, desk.cycle, CycleState.CODE_GREEN)
    cycles.patch(
        desk.tx,
        desk.story,
        state=CycleState.CODE_GREEN,
        base_commit="base",
        red_commit="red",
        head_commit="red",
        feedback="Go on.",
    )
    return desk


def workflow(desk):
    return projects.get(desk.tx.conn, "shop").workflow


# --- one step


def test_a_step_ends_with_its_gate(in_green):
    cycles.patch(
        in_green.tx, in_green.story, state=CycleState.CODE_GREEN, hold=Hold.STEP.value, held_by="cli"
    )
    after = in_green.report(PhaseEnd.PASSED, verdict=verdict(Phase.CODE_GREEN), head_commit="green")
    assert (after.state, after.hold) == (CycleState.REFACTOR, Hold.STOPPED)
    assert in_green.told(EventKind.STORY_STOPPED) == [{"by": "cli", "after": "code_green"}]
    assert cycles.runnable(in_green.tx.conn) == ()


def test_a_steps_retries_belong_to_it(in_green):
    cycles.patch(in_green.tx, in_green.story, state=CycleState.CODE_GREEN, hold=Hold.STEP.value)
    after = in_green.report(PhaseEnd.REFUSED, verdict=verdict(Phase.CODE_GREEN, "Still red."))
    assert (after.state, after.attempt, after.hold) == (CycleState.CODE_GREEN, 2, Hold.STEP)
    assert cycles.runnable(in_green.tx.conn) == (after,)


def test_a_step_that_asks_people_is_over_too(in_green, passed_to):
    passed_to(in_green.tx, in_green.cycle, CycleState.REFACTOR)
    cycles.patch(in_green.tx, in_green.story, state=CycleState.REFACTOR, hold=Hold.STEP.value)
    asking = ReviewPolicy(
        max_auto_retry=1, auto_approve_low_risk=True, require_human_review=True, limits=RiskLimits()
    )
    after = in_green.report(
        PhaseEnd.PASSED, verdict=verdict(Phase.REFACTOR), head_commit="better", policy=asking
    )
    assert (after.state, after.hold) == (CycleState.REFACTOR, Hold.STOPPED)


# --- by hand


@pytest.mark.parametrize(
    ("end", "stays"), [(PhaseEnd.PASSED, False), (PhaseEnd.REFUSED, False), (PhaseEnd.CANCELLED, True)]
)
def test_an_attempt_by_hand_is_one_attempt(in_green, end, stays):
    cycles.patch(in_green.tx, in_green.story, state=CycleState.CODE_GREEN, by_hand=True)
    said = "Still red." if end is PhaseEnd.REFUSED else ""
    judged = verdict(Phase.CODE_GREEN, said) if end is not PhaseEnd.CANCELLED else None
    assert in_green.report(end, verdict=judged, head_commit="mine").by_hand is stays


# --- what people say meanwhile


def steer(desk, text, *, reached):
    desk.tx.emit(
        EventKind.STORY_STEERED,
        project="shop",
        story_id=desk.story,
        data={"by": "cli", "text": text, "reached": reached},
    )


def test_what_no_turn_heard_outlives_a_passed_gate(in_green):
    steer(in_green, "too old", reached=False)
    in_green.claim()
    steer(in_green, "heard", reached=True)
    steer(in_green, "unheard", reached=False)
    after = in_green.report(PhaseEnd.PASSED, verdict=verdict(Phase.CODE_GREEN), head_commit="green")
    assert after.feedback == prompts.said("unheard")


def test_nothing_is_merged_past_what_no_turn_heard(in_green, passed_to):
    passed_to(in_green.tx, in_green.cycle, CycleState.REFACTOR)
    in_green.claim()
    steer(in_green, "not like that", reached=False)  # while the gate judged
    passed = {"verdict": verdict(Phase.REFACTOR), "head_commit": "tidy"}
    again = in_green.report(PhaseEnd.PASSED, **passed)
    assert (again.state, again.head_commit) == (CycleState.REFACTOR, "tidy")
    assert again.feedback == prompts.said("not like that")
    assert approvals.of_story(in_green.tx.conn, in_green.story) == ()
    assert in_green.report(PhaseEnd.PASSED, **passed).state is CycleState.COMMIT


@pytest.mark.parametrize("end", [PhaseEnd.PASSED, PhaseEnd.REFUSED, PhaseEnd.LIMITED, PhaseEnd.CONFLICT])
def test_a_story_that_was_blocked_while_it_ran_stays_so(in_green, end):
    in_green.claim()
    cycles.block(in_green.tx, in_green.story, state=CycleState.CODE_GREEN, reason="Its need is gone.")
    judged = verdict(Phase.CODE_GREEN, "" if end is PhaseEnd.PASSED else "No.")
    after = in_green.report(end, verdict=judged, head_commit="green")
    assert (after.state, after.blocked_reason) == (CycleState.CODE_GREEN, "Its need is gone.")
    assert leases.held(in_green.tx.conn) == ()
    assert workflow(in_green) is WorkflowState.SPRINT_ACTIVE


def test_a_refusal_keeps_all_that_was_said(in_green):
    in_green.claim()
    steer(in_green, "heard", reached=True)
    steer(in_green, "unheard", reached=False)
    after = in_green.report(PhaseEnd.REFUSED, verdict=verdict(Phase.CODE_GREEN, "Still red."))
    assert "Still red." in after.feedback
    assert after.feedback.endswith(f"{prompts.said('heard')}\n\n{prompts.said('unheard')}")


# --- blocked


def test_people_are_told_what_each_attempt_came_to(in_green):
    in_green.report(PhaseEnd.AGENT_FAILED, error="The agent went away.")
    in_green.report(PhaseEnd.REFUSED, verdict=verdict(Phase.CODE_GREEN, "Still red."))
    (blocked,) = in_green.told(EventKind.STORY_BLOCKED)
    assert [(each["attempt"], each["by"], each["said"]) for each in blocked["tried_list"]] == [
        (1, "agent", "The agent went away."),
        (2, "gate", "Still red."),
    ]
    assert {each["phase"] for each in blocked["tried_list"]} == {"code_green"}
    assert workflow(in_green) is WorkflowState.BLOCKED


def test_the_tries_before_a_persons_help_are_not_told_again(in_green):
    for _ in range(2):
        in_green.report(PhaseEnd.REFUSED, verdict=verdict(Phase.CODE_GREEN, "Old."))
    cycles.unblock(in_green.tx, in_green.story, "Look at the spec.")
    in_green.tx.emit(EventKind.STORY_UNBLOCKED, project="shop", story_id=in_green.story)
    projects.move_workflow(in_green.tx, "shop", WorkflowCommand.SUGGEST_FIX, actor="cli")
    for _ in range(2):
        in_green.report(PhaseEnd.REFUSED, verdict=verdict(Phase.CODE_GREEN, "New."))
    assert {each["said"] for each in in_green.told(EventKind.STORY_BLOCKED)[-1]["tried_list"]} == {"New."}


# --- usage limit


def test_a_usage_limit_pauses_and_costs_no_attempt(in_green):
    until = in_green.tx.now + timedelta(hours=1)
    after = in_green.report(
        PhaseEnd.LIMITED, error="5-hour limit reached.", limited_until=until, session_id="s1"
    )
    assert (after.attempt, after.session_id, after.feedback) == (1, "s1", "Go on.")
    assert workflow(in_green) is WorkflowState.SPRINT_PAUSED
    assert usage.find(in_green.tx.conn, "shop").until == until


# --- making place


def test_a_parked_turn_costs_no_attempt_and_keeps_its_session_and_what_was_said(in_green):
    in_green.claim()
    steer(in_green, "heard", reached=True)
    steer(in_green, "Go on.", reached=False)
    after = in_green.report(
        PhaseEnd.PARKED, parked_for="bank", parked_reason="bank is below its share.", session_id="s2"
    )
    assert (after.state, after.attempt, after.blocked_reason) == (CycleState.CODE_GREEN, 1, "")
    assert after.parked
    assert after.session_id == "s2"
    assert after.feedback.startswith("Go on.")
    assert prompts.said("heard") in after.feedback
    assert leases.held(in_green.tx.conn) == ()
    assert in_green.told(EventKind.STORY_PARKED) == [
        {"phase": "code_green", "taker": "bank", "reason": "bank is below its share."}
    ]
    assert in_green.told(EventKind.AGENT_FAILED) == []
    assert workflow(in_green) is WorkflowState.SPRINT_ACTIVE
    assert takers_of(in_green.tx.conn, [in_green.story, "shop-99"]) == {in_green.story: "bank"}


def test_what_a_person_said_is_not_said_twice_after_a_second_park(in_green):
    for _ in range(2):
        in_green.claim()
        cycles.patch(
            in_green.tx, in_green.story, state=CycleState.CODE_GREEN, feedback=prompts.said("mind 0")
        )
        steer(in_green, "mind 0", reached=True)
        after = in_green.report(PhaseEnd.PARKED)
    assert after.feedback.count("mind 0") == 1


def test_a_story_is_parked_no_longer_once_it_is_claimed_or_moves(in_green):
    in_green.report(PhaseEnd.PARKED)
    in_green.claim()
    assert not in_green.cycle.parked
    in_green.report(PhaseEnd.PARKED)
    moved = cycles.move(in_green.tx, in_green.story, CycleEvent.ABORTED, state=CycleState.CODE_GREEN)
    assert not moved.parked


def test_one_phase_only_is_not_over_when_it_is_parked(in_green):
    cycles.patch(in_green.tx, in_green.story, state=CycleState.CODE_GREEN, hold=Hold.STEP.value)
    assert in_green.report(PhaseEnd.PARKED).hold is Hold.STEP


def test_a_story_that_was_blocked_while_it_was_parked_stays_so_with_its_session(in_green):
    in_green.claim()
    cycles.block(in_green.tx, in_green.story, state=CycleState.CODE_GREEN, reason="Its need is gone.")
    after = in_green.report(PhaseEnd.PARKED, session_id="s2")
    assert (after.blocked_reason, after.session_id, after.parked) == ("Its need is gone.", "s2", True)


def test_a_sprint_that_was_paused_meanwhile_goes_on_with_the_parked_story(in_green):
    in_green.claim()
    projects.move_workflow(in_green.tx, "shop", WorkflowCommand.SPRINT_PAUSE, actor="cli")
    assert in_green.report(PhaseEnd.PARKED).parked
    assert cycles.runnable(in_green.tx.conn) == ()
    projects.move_workflow(in_green.tx, "shop", WorkflowCommand.SPRINT_RESUME, actor="cli")
    assert [cycle.story_id for cycle in cycles.runnable(in_green.tx.conn)] == [in_green.story]


def test_the_files_of_a_first_phase_stay_on_their_commit(in_green):
    cycles.patch(in_green.tx, in_green.story, state=CycleState.CODE_GREEN, base_commit=None)
    assert in_green.report(PhaseEnd.PARKED, base_commit="main1").base_commit == "main1"
    assert in_green.report(PhaseEnd.PARKED, base_commit="main2").base_commit == "main1"


def test_a_rebase_that_was_put_off_is_still_to_be_done(in_green):
    cycles.patch(in_green.tx, in_green.story, state=CycleState.CODE_GREEN, rebase_onto="main2")
    after = in_green.report(
        PhaseEnd.PASSED, verdict=verdict(Phase.CODE_GREEN), head_commit="green", rebase_put_off=True
    )
    assert (after.state, after.rebase_onto) == (CycleState.REFACTOR, "main2")


def test_a_turn_that_took_the_main_branch_in_and_was_parked_stands_there(in_green):
    cycles.patch(in_green.tx, in_green.story, state=CycleState.CODE_GREEN, rebase_onto="main2")
    after = in_green.report(PhaseEnd.PARKED, rebased_base="main2", rebased_red="red2", rebased_head="red2")
    assert (after.base_commit, after.head_commit, after.rebase_onto) == ("main2", "red2", None)


@pytest.mark.parametrize(
    ("taker", "waits", "said"),
    [
        ("bank", "waits: memory is full.", "parked to make place for bank; goes on when it has one again: "
         "memory is full."),
        ("", "", "parked to make place; goes on when it has one again."),
    ],
)  # fmt: skip
def test_a_parked_story_says_for_whom_and_what_it_waits_for(taker, waits, said):
    assert parked_sentence(taker, waits) == said


# --- the main branch moved


def test_a_rebase_moves_the_commits_whatever_the_phase_came_to(in_green):
    cycles.patch(in_green.tx, in_green.story, state=CycleState.CODE_GREEN, rebase_onto="main2")
    after = in_green.report(
        PhaseEnd.REFUSED,
        verdict=verdict(Phase.CODE_GREEN, "Still red."),
        rebased_base="main2",
        rebased_red="red2",
        rebased_head="red2",
    )
    assert (after.base_commit, after.red_commit, after.head_commit) == ("main2", "red2", "red2")
    assert after.rebase_onto is None
    assert in_green.told(EventKind.STORY_REBASED) == [{"onto": "main2", "after": None}]


def test_a_rebase_asked_for_meanwhile_stays_to_be_done(in_green):
    cycles.patch(in_green.tx, in_green.story, state=CycleState.CODE_GREEN, rebase_onto="main2")
    in_green.claim()
    job = in_green.job()
    cycles.patch(in_green.tx, in_green.story, state=CycleState.CODE_GREEN, rebase_onto="main3")
    said = PhaseReport(
        story_id=in_green.story,
        phase=Phase.CODE_GREEN,
        generation=in_green.lease.generation,
        end=PhaseEnd.PASSED,
        verdict=verdict(Phase.CODE_GREEN),
        head_commit="green2",
        rebased_base="main2",
        rebased_red="red2",
        rebased_head="red2",
    )
    after = record_phase(in_green.tx, job, said, POLICY)
    assert (after.state, after.head_commit, after.rebase_onto) == (CycleState.REFACTOR, "green2", "main3")


def conflict(desk):
    return desk.report(
        PhaseEnd.CONFLICT, conflicts=("shop.py",), conflict_detail="<<<<<<<\nours\n=======\ntheirs"
    )


def test_a_conflict_starts_again_at_red_with_both_sides(in_green):
    after = conflict(in_green)
    assert (after.state, after.conflicts, after.attempt) == (CycleState.TEST_RED, 1, 1)
    assert (after.base_commit, after.red_commit, after.head_commit) == (None, None, None)
    assert "theirs" in after.feedback
    assert not after.blocked_reason


def test_after_too_many_conflicts_people_see_both_sides(in_green):
    conflict(in_green)
    after = conflict(in_green)
    assert "2 times" in after.blocked_reason
    (blocked,) = in_green.told(EventKind.STORY_BLOCKED)
    assert "theirs" in blocked["reason"]
    assert blocked["conflicts"] == ["shop.py"]
    assert workflow(in_green) is WorkflowState.BLOCKED


# --- late and lost


@pytest.mark.parametrize("end", PhaseEnd)
def test_a_late_report_changes_nothing(in_green, end):
    lease = in_green.claim()
    leases.release(in_green.tx, in_green.story, lease.generation)
    before = in_green.cycle
    with pytest.raises(LostRace):
        in_green.report(end, verdict=verdict(Phase.CODE_GREEN), head_commit="late")
    assert in_green.cycle == before


# --- the sprint's end


def stop(desk, story, hold=Hold.STOPPED):
    cycle = cycles.get(desk.tx.conn, story)
    cycles.patch(desk.tx, story, state=cycle.state, hold=hold.value)


def test_a_stopped_story_alone_makes_nothing_stuck_nor_finished(in_green):
    stop(in_green, in_green.story)
    settle_sprint(in_green.tx, "shop")
    assert workflow(in_green) is WorkflowState.SPRINT_ACTIVE


def test_a_blocked_one_beside_a_stopped_one_is_stuck(in_green, new_story):
    other = new_story(in_green.tx)
    sprints.join(in_green.tx, sprints.current(in_green.tx.conn, "shop"), other.id)
    cycles.begin(in_green.tx, stories.move(in_green.tx, other.id, StoryState.PLANNED, StoryState.ACTIVE))
    stop(in_green, other.id, Hold.TAKEN)
    settle_sprint(in_green.tx, "shop")
    assert workflow(in_green) is WorkflowState.SPRINT_ACTIVE
    in_green.report(PhaseEnd.BLOCKED, error="git is missing")
    assert workflow(in_green) is WorkflowState.BLOCKED


def test_a_merged_story_is_held_by_nobody(in_green, passed_to):
    passed_to(in_green.tx, in_green.cycle, CycleState.COMMIT)
    cycles.patch(in_green.tx, in_green.story, state=CycleState.COMMIT, hold=Hold.STEP.value)
    lease = in_green.claim()
    (merge,) = merges.begin(in_green.tx, "shop", [(in_green.story, lease.generation)])
    merges.set_candidate(in_green.tx, merge.id, "merged", "main")
    after = record_merged(in_green.tx, in_green.cycle, merge.id, "merged", lease.generation)
    assert (after.state, after.hold) == (CycleState.DONE, Hold.NONE)
    assert workflow(in_green) is WorkflowState.SPRINT_REVIEW

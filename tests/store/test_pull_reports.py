"""What a look at a pull request writes down: one transaction each, however often and late it comes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from core.domain.event import Event, EventKind
from core.domain.evidence import RefusalCode
from core.domain.github import Check, CheckConclusion, Pull, PullState, ReviewState
from core.domain.lifecycles import CycleState, Phase
from core.domain.story import Cycle, Hold, StoryState
from core.errors import LostRace
from core.github.api.facts import Person, PullFacts, ReviewVerdict
from core.github.pulls import reports as pull_reports
from core.github.pulls.judging import Facts, Judgement, Outcome, Standing, Terms, judge
from core.github.pulls.reading import Seen, Vote, Wish
from core.github.pulls.text import FailedCheck, Remark
from core.store import cycles, events, gates, github_links, leases, pulls, stories
from core.store.transaction import Transaction

RUNNING, PASSED, FAILED = CheckConclusion.RUNNING, CheckConclusion.PASSED, CheckConclusion.FAILED
FACTS = PullFacts(
    number=12,
    id=1,
    title="",
    body="",
    is_open=True,
    is_draft=False,
    is_merged=False,
    merge_commit="",
    is_mergeable=True,
    mergeable_state="clean",
    head_branch="orchard/shop-1",
    head_sha="c1",
    head_repository_id=1,
    base_branch="main",
    base_sha="b",
    merged_by="",
    closed_at="",
    author=Person(login="orch", id=1, is_bot=False),
    url="https://gh/12",
    updated_at="",
)
WISH = Wish(kind="review_comment", id=5, remark=Remark(by="ann", said="Not so.", file="till.py", line=3))


@pytest.fixture
def pull(
    tx: Transaction,
    new_project: Callable[..., object],
    new_cycle: Callable[..., Cycle],
    passed_to: Callable[..., Cycle],
) -> Pull:
    """shop-1's, open as #12 of acme/shop."""
    new_project(tx)
    link(tx, "acme/shop", 1)
    passed_to(tx, new_cycle(tx), CycleState.COMMIT)
    return opened(tx, "c1")


def link(tx: Transaction, name: str, repository_id: int) -> None:
    """The project with that one, and with none else."""
    github_links.put(tx, "shop", name, by="cli", configured=False)
    github_links.answered(
        tx,
        "shop",
        repository=name,
        repository_id=repository_id,
        default_branch="main",
        clone_url="",
        html_url="",
    )


def opened(tx: Transaction, candidate: str) -> Pull:
    pulls.want(tx, "shop-1", project="shop", branch="orchard/shop-1", candidate=candidate, tree="t", base="b")
    pull = pulls.pushed(tx, "shop-1", candidate)
    return pull_reports.record_opened(tx, pull, replace(FACTS, head_sha=candidate), new=pull.number is None)


def seen(conclusion: CheckConclusion = PASSED, head: str = "c1", **more: Any) -> Seen:
    check = Check(name="unit", conclusion=conclusion, summary="1 failed", url="https://ci/1")
    failed = (FailedCheck(name="unit", summary="1 failed", text="AssertionError"),)
    return Seen(
        facts=replace(FACTS, head_sha=head),
        checks=(check,),
        failed=failed if conclusion is FAILED else (),
        **more,
    )


def take(tx: Transaction, pull: Pull, what: Seen, *, waited: float = 1, lands: bool = True) -> Pull:
    facts = Facts(number=12, checks=what.checks, standing=what.standing, waited_seconds=waited)
    judged: Judgement = judge(facts, Terms(approvals=0, checks_begin_seconds=60, checks_minutes=120))
    return pull_reports.take_in(tx, pull, what, judged, approvals=0, check_failures=2, lands=lands)


def of_kind(tx: Transaction, kind: EventKind) -> list[Event]:
    return list(events.since(tx.conn, 0, kinds=[kind]))


def cycle_of(tx: Transaction) -> Cycle:
    cycle = cycles.get(tx.conn, "shop-1")
    assert cycle is not None
    return cycle


def again(tx: Transaction, passed_to: Callable[..., Cycle], candidate: str) -> Pull:
    """The agent has mended it and the queue proved it."""
    passed_to(tx, cycle_of(tx), CycleState.COMMIT)
    return opened(tx, candidate)


def test_checks_are_told_as_they_change_and_only_then(tx: Transaction, pull: Pull) -> None:
    take(tx, pull, seen(RUNNING))
    take(tx, pull, seen(RUNNING))
    take(tx, pull, seen(PASSED))
    told = of_kind(tx, EventKind.CHECKS_CHANGED)
    assert [event.data["state"] for event in told] == ["running", "passed"]
    assert told[0].data["checks"] == [{"name": "unit", "conclusion": "running", "url": "https://ci/1"}]


def test_it_is_landable_once_all_is_there_and_not_when_a_check_runs_again(
    tx: Transaction, pull: Pull
) -> None:
    assert take(tx, pull, seen(RUNNING)).state is PullState.OPEN
    assert take(tx, pull, seen(PASSED)).state is PullState.LANDABLE
    assert take(tx, pull, seen(RUNNING)).state is PullState.OPEN


def test_where_github_merges_the_queue_is_offered_nothing(tx: Transaction, pull: Pull) -> None:
    assert take(tx, pull, seen(PASSED), lands=False).state is PullState.OPEN


def test_failed_checks_send_the_story_back_with_what_they_say(tx: Transaction, pull: Pull) -> None:
    now = take(tx, pull, seen(FAILED))
    assert (now.state, now.failures) == (PullState.CLOSED, 1)
    cycle = cycle_of(tx)
    assert cycle.state is CycleState.CODE_GREEN
    assert "AssertionError" in cycle.feedback
    assert not cycle.blocked_reason
    [back] = of_kind(tx, EventKind.STORY_SENT_BACK)
    assert back.data["reason"] == "checks of pull request #12 failed: unit"
    [refused] = [row for row in gates.of_story(tx.conn, "shop-1") if row.phase is Phase.COMMIT]
    assert refused.verdict.refusals[0].code is RefusalCode.CHECKS_FAILED
    with pytest.raises(LostRace):
        take(tx, pull, seen(FAILED))  # a second look that came late
    assert len(of_kind(tx, EventKind.STORY_SENT_BACK)) == 1


def test_failed_in_a_row_asks_people_and_counts_anew_then(
    tx: Transaction, pull: Pull, passed_to: Callable[..., Cycle]
) -> None:
    take(tx, pull, seen(FAILED))
    second = again(tx, passed_to, "c2")
    take(tx, second, seen(FAILED, "c2"))
    assert "failed 2 times in a row" in cycle_of(tx).blocked_reason
    assert len(of_kind(tx, EventKind.STORY_BLOCKED)) == 1
    cycles.unblock(tx, "shop-1", "Try it so.")
    third = again(tx, passed_to, "c3")
    assert third.number == 12
    take(tx, third, seen(FAILED, "c3"))
    assert not cycle_of(tx).blocked_reason


def test_passed_checks_end_the_row(tx: Transaction, pull: Pull, passed_to: Callable[..., Cycle]) -> None:
    take(tx, pull, seen(FAILED))
    second = again(tx, passed_to, "c2")
    take(tx, second, seen(PASSED, "c2"))
    assert pulls.get(tx.conn, "shop-1").failures == 0


def test_what_people_want_goes_to_the_agent_once(
    tx: Transaction, pull: Pull, passed_to: Callable[..., Cycle]
) -> None:
    take(tx, pull, seen(RUNNING, wishes=(WISH,)))
    assert cycle_of(tx).state is CycleState.CODE_GREEN
    assert "ann, till.py:3" in cycle_of(tx).feedback
    second = again(tx, passed_to, "c2")
    assert take(tx, second, seen(PASSED, "c2", wishes=(WISH,))).state is PullState.LANDABLE


def test_wishes_and_failed_checks_go_together(tx: Transaction, pull: Pull) -> None:
    take(tx, pull, seen(FAILED, wishes=(WISH,)))
    feedback = cycle_of(tx).feedback
    assert "Not so." in feedback
    assert "AssertionError" in feedback
    assert len(of_kind(tx, EventKind.STORY_SENT_BACK)) == 1


def test_votes_are_told_once_and_counted(tx: Transaction, pull: Pull) -> None:
    vote = Vote(id=7, by="ann", verdict=ReviewVerdict.APPROVED, text="Good.")
    standing = Standing(approved_by=("ann",), wanting=())
    take(tx, pull, seen(RUNNING, votes=(vote,), standing=standing))
    now = take(tx, pull, seen(RUNNING, votes=(vote,), standing=standing))
    assert (now.approvals, now.review) == (1, ReviewState.APPROVED)
    [told] = of_kind(tx, EventKind.PULL_REVIEWED)
    assert (told.data["by"], told.data["verdict"]) == ("ann", "approved")


def test_checks_that_take_too_long_block_once(tx: Transaction, pull: Pull) -> None:
    take(tx, pull, seen(RUNNING), waited=7201)
    take(tx, pull, seen(RUNNING), waited=7300)
    assert "take longer" in cycle_of(tx).blocked_reason
    assert len(of_kind(tx, EventKind.STORY_BLOCKED)) == 1
    assert pulls.get(tx.conn, "shop-1").state is PullState.OPEN


def test_a_blocked_story_hears_nothing_until_it_is_helped(tx: Transaction, pull: Pull) -> None:
    cycles.block(tx, "shop-1", state=CycleState.COMMIT, reason="why")
    take(tx, pull, seen(FAILED, wishes=(WISH,)))
    assert cycle_of(tx).state is CycleState.COMMIT
    cycles.unblock(tx, "shop-1", "")
    take(tx, pull, seen(PASSED, wishes=(WISH,)))
    assert "Not so." in cycle_of(tx).feedback


def test_a_story_in_the_merge_queues_hands_is_left_alone(tx: Transaction, pull: Pull) -> None:
    pulls.landable(tx, "shop-1", head="c1")
    leases.claim(tx, "shop-1", phase=Phase.COMMIT, owner="shop#1", lease_seconds=60)
    now = take(tx, pull, seen(FAILED, wishes=(WISH,)))
    assert now.state is PullState.LANDABLE
    pull_reports.ask_people(tx, pull, "why")
    pull_reports.prove_again(tx, pull)
    assert pulls.get(tx.conn, "shop-1").state is PullState.LANDABLE
    assert cycle_of(tx).state is CycleState.COMMIT


def test_a_look_at_an_older_head_says_nothing(tx: Transaction, pull: Pull) -> None:
    opened(tx, "c2")
    with pytest.raises(LostRace):
        take(tx, pull, seen(FAILED, "c1"))
    pull_reports.prove_again(tx, pull)
    pull_reports.ask_people(tx, pull, "why")
    assert pulls.get(tx.conn, "shop-1").state is PullState.OPEN


def test_closed_outside_asks_people_and_tells_of_it(tx: Transaction, pull: Pull) -> None:
    pull_reports.ask_people(tx, pull, "It was closed.", closed_by="")
    pull_reports.ask_people(tx, pull, "It was closed.", closed_by="")
    assert cycle_of(tx).blocked_reason == "It was closed."
    assert pulls.get(tx.conn, "shop-1").state is PullState.CLOSED
    assert len(of_kind(tx, EventKind.PULL_CLOSED)) == len(of_kind(tx, EventKind.STORY_BLOCKED)) == 1


def test_proven_again_waits_for_the_queue(tx: Transaction, pull: Pull) -> None:
    pull_reports.prove_again(tx, pull)
    assert pulls.get(tx.conn, "shop-1").state is PullState.CLOSED
    assert [cycle.story_id for cycle in cycles.runnable(tx.conn, "shop")] == ["shop-1"]


@pytest.mark.parametrize("way", ["taken", "skipped"])
def test_who_goes_another_way_is_waited_for_no_more(tx: Transaction, pull: Pull, way: str) -> None:
    assert not pull_reports.leave(tx, pull)
    if way == "taken":
        cycles.patch(tx, "shop-1", state=CycleState.COMMIT, hold=Hold.TAKEN.value)
    else:
        stories.move(tx, "shop-1", StoryState.ACTIVE, StoryState.SKIPPED)
    assert pull_reports.leave(tx, pull)
    assert pulls.get(tx.conn, "shop-1").state is PullState.CLOSED


def test_only_a_story_that_is_over_is_cleared_away_and_once(tx: Transaction, pull: Pull) -> None:
    pulls.close(tx, "shop-1")
    assert pulls.left_over(tx.conn, "shop") == ()
    stories.move(tx, "shop-1", StoryState.ACTIVE, StoryState.SKIPPED)
    assert [each.number for each in pulls.left_over(tx.conn, "shop")] == [12]
    pulls.cleared(tx, "shop-1")
    assert pulls.left_over(tx.conn, "shop") == ()


def test_what_is_known_already_is_no_news(tx: Transaction, pull: Pull) -> None:
    vote = Vote(id=7, by="ann", verdict=ReviewVerdict.APPROVED, text="Good.")
    look = seen(RUNNING, votes=(vote,), standing=Standing(approved_by=("ann",), wanting=()))
    facts = Facts(number=12, checks=look.checks, standing=look.standing, waited_seconds=1)
    waiting = judge(facts, Terms(approvals=0, checks_begin_seconds=60, checks_minutes=120))
    assert pull_reports.is_news(tx.conn, pull, look, waiting, approvals=0)
    now = take(tx, pull, look)
    assert not pull_reports.is_news(tx.conn, now, look, waiting, approvals=0)
    again = replace(look, votes=(replace(vote, id=8),))
    assert pull_reports.is_news(tx.conn, now, again, waiting, approvals=0)
    assert pull_reports.is_news(tx.conn, now, replace(look, wishes=(WISH,)), waiting, approvals=0)
    other = replace(waiting, why="Another.")
    assert pull_reports.is_news(tx.conn, now, look, other, approvals=0)
    landable = Judgement(outcome=Outcome.LANDABLE, why="It may.")
    assert pull_reports.is_news(tx.conn, now, look, landable, approvals=0)


def test_one_of_a_repository_that_was_linked_before_is_none_of_the_new_ones(
    tx: Transaction, pull: Pull
) -> None:
    pulls.close(tx, "shop-1")
    link(tx, "acme/market", 2)
    assert pulls.of_number(tx.conn, "shop", 12) is None
    assert pulls.set_aside(tx.conn, "shop") == ()
    stories.move(tx, "shop-1", StoryState.ACTIVE, StoryState.SKIPPED)
    assert pulls.left_over(tx.conn, "shop") == ()
    link(tx, "acme/shop", 1)
    assert [each.number for each in pulls.left_over(tx.conn, "shop")] == [12]
    found = pulls.of_number(tx.conn, "shop", 12)
    assert found is not None
    assert found.story_id == "shop-1"


def test_what_is_wanted_in_another_repository_begins_anew_there(tx: Transaction, pull: Pull) -> None:
    pulls.close(tx, "shop-1")
    link(tx, "acme/market", 2)
    assert opened(tx, "c2").number == 12
    link(tx, "acme/shop", 1)
    pulls.close(tx, "shop-1")
    wanted = pulls.want(
        tx, "shop-1", project="shop", branch="orchard/shop-1", candidate="c3", tree="t", base="b"
    )
    assert (wanted.number, wanted.url, wanted.head, wanted.repository_id) == (None, "", "", 1)

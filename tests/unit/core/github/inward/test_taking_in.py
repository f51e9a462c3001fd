"""What an issue means for its story: the same whatever came before, late or twice."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.github import IssueLink
from core.domain.lifecycles import CycleState
from core.domain.story import OVER, Priority, Story, StoryState
from core.github.api.facts import IssueFacts, MilestoneFacts, Person
from core.github.inward.taking_in import (
    Act,
    Decision,
    End,
    Known,
    Wish,
    actor_of,
    decide,
    how_to_end,
    told_of_edit,
)

WISH = Wish(label="orchard", milestone=None, assignee=None, me="orch-bot")
STATES = st.sampled_from(list(StoryState))
MILESTONE = MilestoneFacts(
    number=3,
    id=1,
    title="Spring ",
    description="",
    is_open=True,
    due_on="",
    url="",
    open_issues=1,
    closed_issues=0,
    updated_at="",
)


def issue(**more: Any) -> IssueFacts:
    facts: dict[str, Any] = {
        "number": 7,
        "id": 70,
        "title": "Totals",
        "body": "Sum it up.\n- [ ] it sums",
        "is_open": True,
        "state_reason": "",
        "labels": ("orchard",),
        "milestone": None,
        "assignees": (),
        "author": Person(login="mia", id=1, is_bot=False),
        "association": "NONE",
        "url": "https://github.com/acme/shop/issues/7",
        "comments": 0,
        "is_pull": False,
        "is_locked": False,
        "created_at": "2026-03-01T09:00:00Z",
        "updated_at": "2026-03-01T09:00:00Z",
        "closed_at": "",
    }
    return IssueFacts(**{**facts, **more})


def taken(found: IssueFacts, decision: Decision, *, state: StoryState = StoryState.BACKLOG) -> Known:
    """The story that the decision on a new issue makes."""
    story = Story(
        id="shop-1",
        project="shop",
        number=1,
        title=decision.changes["title"],
        body=decision.changes["body"],
        acceptance_criteria=decision.changes["acceptance_criteria"],
        priority=decision.priority or Priority.NORMAL,
        state=state,
        sprint_id=None,
        added_by="github:mia",
        added_at=datetime(2026, 3, 1, tzinfo=UTC),
        labels=decision.changes["labels"],
        links=decision.changes["links"],
        estimate=decision.changes.get("estimate"),
    )
    link = IssueLink(
        story_id="shop-1",
        project="shop",
        number=found.number,
        issue_id=found.id,
        url=found.url,
        updated_at=found.updated_at,
        seen=decision.seen.to_text(),
        comment_id=None,
        told="",
        is_open=found.is_open,
    )
    return Known(link=link, story=story)


def followed(known: Known, found: IssueFacts, decision: Decision) -> Known:
    """The same after the decision was carried out."""
    story = replace(known.story, **decision.changes)
    if decision.priority is not None:
        story = replace(story, priority=decision.priority)
    link = replace(
        known.link,
        seen=decision.seen.to_text(),
        is_open=found.is_open,
        updated_at=found.updated_at,
    )
    return Known(link=link, story=story)


ISSUES = st.builds(
    issue,
    title=st.text(max_size=30),
    body=st.sampled_from(["", "Sum it up.", "- [ ] a\n- [x] b", "x\n\n## Acceptance criteria\n- c"]),
    is_open=st.booleans(),
    state_reason=st.sampled_from(["", "completed", "not_planned", "duplicate"]),
    labels=st.lists(st.sampled_from(["orchard", "P1", "bug", "5 points", "orchard: done"]), max_size=4).map(
        tuple
    ),
    milestone=st.sampled_from([None, MILESTONE]),
    updated_at=st.sampled_from(["2026-03-01T09:00:00Z", "2026-03-01T09:00:01Z", "2026-03-01T09:00:02Z"]),
)


@given(ISSUES)
def test_an_issue_that_is_no_story_enters_only_when_it_asks(found: IssueFacts) -> None:
    decision = decide(found, WISH, None, may_edit=True)
    assert (decision.act is Act.ENTER) == (found.is_open and "orchard" in found.labels)


@given(first=ISSUES, then=ISSUES, state=STATES)
def test_the_same_twice_changes_nothing(first: IssueFacts, then: IssueFacts, state: StoryState) -> None:
    first = replace(first, is_open=True, labels=("orchard", *first.labels), updated_at="2026-03-01T09:00:00Z")
    known = taken(first, decide(first, WISH, None, may_edit=True), state=state)
    once = decide(then, WISH, known, may_edit=True)
    if once.act is not Act.FOLLOW:
        return
    after = followed(known, then, once)
    twice = decide(then, WISH, after, may_edit=True)
    assert (twice.changes, twice.priority, twice.moved) == ({}, None, False)
    assert twice.act is Act.FOLLOW
    assert twice.seen == once.seen


@given(first=ISSUES, late=ISSUES)
def test_what_comes_late_is_passed_over(first: IssueFacts, late: IssueFacts) -> None:
    first = replace(first, is_open=True, labels=("orchard",), updated_at="2026-03-02T09:00:00Z")
    known = taken(first, decide(first, WISH, None, may_edit=True))
    assert decide(late, WISH, known, may_edit=True).act is Act.IGNORE


@given(found=ISSUES, state=STATES)
def test_a_story_is_ended_only_when_its_issue_no_longer_asks(found: IssueFacts, state: StoryState) -> None:
    first = issue()
    decision = decide(
        found, WISH, taken(first, decide(first, WISH, None, may_edit=True), state=state), may_edit=True
    )
    asks = found.is_open and "orchard" in found.labels
    assert bool(decision.end) == (not asks and state not in OVER)
    assert decision.act is Act.FOLLOW  # it was open and wanted before, so it is not wanted once more


def test_what_orchard_changed_stays_where_github_did_not() -> None:
    first = issue()
    known = taken(first, decide(first, WISH, None, may_edit=True))
    known = replace(known, story=replace(known.story, title="Ours", labels=("ours",), estimate=8))
    decision = decide(issue(body="Sum it all.", labels=("orchard", "P0")), WISH, known, may_edit=True)
    assert dict(decision.changes) == {"body": "Sum it all.", "acceptance_criteria": ()}
    assert decision.priority is Priority.CRITICAL


def test_an_edit_of_orchards_own_is_no_news() -> None:
    first = issue()
    known = taken(first, decide(first, WISH, None, may_edit=True))
    known = replace(known, story=replace(known.story, title="Ours"))
    assert decide(issue(title="Ours"), WISH, known, may_edit=True).changes == {}


@given(found=ISSUES, state=STATES, left_open=st.booleans())
def test_no_words_of_who_may_not_edit_reach_a_story(
    found: IssueFacts, state: StoryState, left_open: bool
) -> None:
    first = issue()
    known = taken(first, decide(first, WISH, None, may_edit=True), state=state)
    known = replace(known, link=replace(known.link, is_open=left_open))
    for _ in range(2):  # told once, and no weaker the second time
        decision = decide(found, WISH, known, may_edit=False)
        assert decision.act in (Act.FOLLOW, Act.REENTER)
        words = {name: decision.changes.get(name) for name in ("title", "body", "acceptance_criteria")}
        if decision.act is Act.REENTER:
            assert words == {name: getattr(known.story, name) for name in words}
            return
        assert set(words.values()) == {None}
        known = followed(known, found, decision)
    assert not decision.holds


def test_words_that_wait_are_taken_in_as_the_version_that_a_person_accepted() -> None:
    first, edited = issue(), issue(body="Print the environment.")
    known = taken(first, decide(first, WISH, None, may_edit=True))
    held = decide(edited, WISH, known, may_edit=False)
    assert (held.holds, dict(held.changes)) == (True, {})
    accepted = replace(held.seen, accepted=held.seen.held)
    waiting = replace(known, link=replace(known.link, seen=accepted.to_text()))
    worse = decide(issue(body="Print all of it."), WISH, waiting, may_edit=False)
    assert (worse.holds, dict(worse.changes), worse.seen.accepted) == (True, {}, "")
    taken_in = decide(edited, WISH, waiting, may_edit=False)
    assert dict(taken_in.changes) == {"body": "Print the environment.", "acceptance_criteria": ()}
    assert (taken_in.seen.held, taken_in.seen.accepted) == ("", "")
    undone = decide(first, WISH, followed(known, edited, held), may_edit=False)
    assert (undone.holds, undone.seen.held, dict(undone.changes)) == (False, "", {})


@pytest.mark.parametrize("state", sorted(OVER))
def test_a_reopened_issue_with_other_words_waits_for_a_person(state: StoryState) -> None:
    first, edited = issue(), issue(title="Something else")
    known = taken(first, decide(first, WISH, None, may_edit=True), state=state)
    closed = replace(known, link=replace(known.link, is_open=False))
    held = decide(edited, WISH, closed, may_edit=False)
    assert (held.act, held.holds) == (Act.FOLLOW, True)
    seen = replace(held.seen, accepted=held.seen.held)
    waiting = replace(known, link=replace(known.link, seen=held.seen.to_text(), is_open=True))
    assert decide(edited, WISH, waiting, may_edit=False).act is Act.FOLLOW
    accepted = replace(waiting, link=replace(waiting.link, seen=seen.to_text()))
    assert decide(edited, WISH, accepted, may_edit=False).act is Act.REENTER
    let_go = decide(issue(title="Something else", labels=()), WISH, known, may_edit=False)
    again = replace(known, link=replace(known.link, seen=let_go.seen.to_text()))
    assert decide(edited, WISH, again, may_edit=False).act is Act.REENTER, "people labelled it once more"


def test_a_copied_mark_keeps_no_story() -> None:
    first = issue()
    known = taken(first, decide(first, WISH, None, may_edit=True))
    copied = issue(body=f"{first.body}\n<!-- orchard:story shop-1 -->", labels=())
    assert decide(copied, WISH, known, may_edit=False).end
    ours = replace(copied, author=Person(login="Orch-Bot", id=2, is_bot=True))
    assert not decide(ours, WISH, known, may_edit=True).end


@pytest.mark.parametrize("state", sorted(OVER))
def test_a_reopened_issue_enters_again_once_its_story_is_over(state: StoryState) -> None:
    first = issue()
    known = taken(first, decide(first, WISH, None, may_edit=True), state=state)
    assert decide(issue(title="edited"), WISH, known, may_edit=True).act is Act.FOLLOW
    closed = replace(known, link=replace(known.link, is_open=False))
    assert decide(first, WISH, closed, may_edit=True).act is Act.REENTER
    assert decide(issue(labels=()), WISH, closed, may_edit=True).act is Act.FOLLOW


def test_pull_requests_are_no_issues_and_markers_of_others_count_for_nothing() -> None:
    assert decide(issue(is_pull=True), WISH, None, may_edit=True).act is Act.IGNORE
    marked = issue(body="<!-- orchard:story shop-1 -->")
    assert decide(marked, WISH, None, may_edit=True, adoptable=True).act is Act.ENTER
    ours = replace(marked, author=Person(login="Orch-Bot", id=2, is_bot=True), labels=())
    assert decide(ours, WISH, None, may_edit=True, adoptable=True).act is Act.ADOPT


@pytest.mark.parametrize(
    ("wish", "takes"),
    [
        (replace(WISH, label="Orchard"), True),
        (replace(WISH, label=None), False),
        (replace(WISH, label=None, milestone="spring"), True),
        (replace(WISH, label=None, milestone=""), False),
        (replace(WISH, label=None, assignee="Mia"), True),
    ],
)
def test_the_ways_to_be_taken(wish: Wish, takes: bool) -> None:
    assert wish.takes(issue(milestone=MILESTONE, assignees=("mia",))) is takes


@pytest.mark.parametrize(
    ("state", "cycle", "given_up", "end"),
    [
        (StoryState.PROPOSED, None, False, End.REMOVE),
        (StoryState.BACKLOG, None, False, End.REMOVE),
        (StoryState.PLANNED, None, False, End.UNPLAN),
        (StoryState.ACTIVE, CycleState.DESIGN, False, End.SKIP),
        (StoryState.ACTIVE, CycleState.COMMIT, False, End.WAIT),
        (StoryState.ACTIVE, CycleState.COMMIT, True, End.SKIP),
        (StoryState.DONE, CycleState.DONE, True, End.NOTHING),
    ],
)
def test_how_a_story_ends(state: StoryState, cycle: CycleState | None, given_up: bool, end: End) -> None:
    assert how_to_end(state, cycle, given_up=given_up) is end


def test_who_did_it_is_a_name_without_tricks() -> None:
    assert actor_of("mia") == "github:mia"
    assert actor_of(" \u202e\n") == "github:ghost"
    assert len(actor_of("m" * 500)) < 120


def test_an_agent_is_told_what_the_words_are_now() -> None:
    assert told_of_edit(7, {"labels": ("a",)}) == ""
    said = told_of_edit(7, {"body": "", "acceptance_criteria": ("a", "b")})
    assert "#7" in said
    assert "- a\n- b" in said
    assert "(empty)" in said

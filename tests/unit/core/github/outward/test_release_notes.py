from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from core.domain.story import Priority, Sprint, Story, StoryState, StoryStatus
from core.github.inward.issue_labels import is_own_label
from core.github.markers import SPRINT, marked
from core.github.outward import state_labels
from core.github.outward.release_notes import Merged, release_body, release_name, release_notes

_AT = datetime(2026, 3, 1, tzinfo=UTC)
_SPRINT = Sprint(
    id="sprint_ab12",
    project="shop",
    number=2,
    goal="Totals for @all\n<b>fixes #1</b>",
    planned_at=_AT,
    started_at=_AT,
    ended_at=_AT,
)


def story(title: str, *labels: str, number: int = 3) -> Story:
    return Story(
        id=f"shop-{number}",
        project="shop",
        number=number,
        title=title,
        body="",
        acceptance_criteria=(),
        priority=Priority.NORMAL,
        state=StoryState.DONE,
        sprint_id=None,
        added_by="cli",
        added_at=_AT,
        labels=labels,
    )


def test_stories_stand_by_what_they_are_with_where_they_can_be_seen() -> None:
    merged = [
        Merged(
            story=story("A cart knows its total"),
            commit="d" * 40,
            pull_number=12,
            pull_url="https://h/o/r/pull/12",
            issue_number=7,
            issue_url="https://h/o/r/issues/7",
        ),
        Merged(story=story("Crash on empty cart", "Bug", number=4)),
    ]
    assert release_notes(_SPRINT, merged, html_url="https://h/o/r") == (
        "> Totals for @\u200ball &lt;b&gt;fixes #\u200b1&lt;/b&gt;\n\n".replace(" &lt;b", "\n> &lt;b")
        + "### New and changed\n\n"
        "- A cart knows its total (shop-3, [#12](https://h/o/r/pull/12), [issue #7](https://h/o/r/issues/7), "
        f"[`ddddddd`](https://h/o/r/commit/{'d' * 40}))\n\n"
        "### Fixed\n\n"
        "- Crash on empty cart (shop-4)"
    )


def test_a_sprint_without_a_merge_says_so() -> None:
    assert release_notes(replace(_SPRINT, goal=""), []) == "Nothing was merged."


def test_a_release_is_known_again_and_fits() -> None:
    many = [Merged(story=story("t" * 200, number=number)) for number in range(1, 1001)]
    body = release_body(_SPRINT, release_notes(_SPRINT, many))
    assert marked(body, SPRINT, "sprint_ab12")
    assert len(body) < 125_000
    assert release_name(_SPRINT) == "Sprint 2: Totals for @\u200ball <b>fixes #\u200b1</b>"


def test_every_state_label_is_one_that_github_takes_and_that_is_not_taken_in() -> None:
    for label in state_labels.ALL:
        assert len(label.name) <= 50
        assert len(label.description) <= 100
        assert len(bytes.fromhex(label.color)) == 3
        assert is_own_label(label.name.upper(), None)


def test_every_status_has_a_label_but_for_what_only_waits() -> None:
    bare = {status for status in StoryStatus if state_labels.label_of(status) is None}
    assert bare == {StoryStatus.PROPOSED, StoryStatus.BACKLOG, StoryStatus.REMOVED}
    assert state_labels.label_of(StoryStatus.WAITING, pull_waits=True) is state_labels.IN_REVIEW
    assert state_labels.label_of(StoryStatus.BLOCKED, pull_waits=True) is state_labels.NEEDS_HELP

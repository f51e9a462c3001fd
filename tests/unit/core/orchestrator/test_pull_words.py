from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from core.domain.github import Check, CheckConclusion, ChecksState, Pull, PullState, ReviewState, checks_state
from core.orchestrator.pull_words import pull_wait
from core.orchestrator.scheduling.words import words_of

URL = "https://github.test/o/r/pull/12"
PULL = Pull(
    story_id="shop-3",
    project="shop",
    branch="orchard/shop-3",
    candidate="c",
    tree="t",
    base="b",
    head="c",
    number=12,
    url=URL,
    state=PullState.OPEN,
    checks=(),
    checks_state=ChecksState.NONE,
    review=ReviewState.NONE,
    approvals=0,
    failures=0,
    merge_commit=None,
    opened_at=None,
    pushed_at=None,
    updated_at=datetime(2026, 1, 1, tzinfo=UTC),
)


def given(*conclusions: str, **changes: object) -> Pull:
    checks = tuple(
        Check(name=f"c{number}", conclusion=CheckConclusion(each), summary="", url="")
        for number, each in enumerate(conclusions, 1)
    )
    return replace(PULL, checks=checks, checks_state=checks_state(checks), **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("pull", "approvals", "said"),
    [
        (
            given(state=PullState.WANTED, number=None),
            0,
            "waits to become a pull request; next when it is pushed and opened.",
        ),
        (
            given(state=PullState.WANTED),
            0,
            "waits to be pushed to pull request #12 again; next when it is there.",
        ),
        (
            given("passed", "passed", "running", "running", "running"),
            0,
            "waits for the checks of pull request #12: 2 of 5 have passed; next when c3, c4, c5 are done.",
        ),
        (
            given("passed", "running"),
            1,
            "waits for the checks of pull request #12: 1 of 2 has passed; next when c2 is done.",
        ),
        (
            given(*["running"] * 5),
            0,
            "waits for the checks of pull request #12: 0 of 5 have passed; next when c1, c2, c3 and 2 more"
            " are done.",
        ),
        (
            given("failed", "running"),
            0,
            "waits: the checks of pull request #12 failed (c1); next when its agent has been told.",
        ),
        (
            given("passed", approvals=1),
            2,
            "waits for 2 approving reviews of pull request #12 (1 given); next when somebody approves it"
            f" there: {URL}.",
        ),
        (
            given("passed"),
            1,
            "waits for an approving review of pull request #12; next when somebody approves it there:"
            f" {URL}.",
        ),
        (
            given("passed", review=ReviewState.CHANGES_REQUESTED),
            1,
            "waits: changes were requested of pull request #12; next when its agent has been told.",
        ),
        (
            given(),
            0,
            "waits for the checks of pull request #12: none has begun; next when they have passed, or none"
            " comes.",
        ),
        (given("passed"), 0, "waits for GitHub to merge pull request #12; next when it has."),
        (given("passed", state=PullState.LANDABLE), 0, ""),
        (given("passed", state=PullState.MERGED), 0, ""),
    ],
)
def test_what_a_pull_request_waits_for(pull: Pull, approvals: int, said: str) -> None:
    assert pull_wait(pull, approvals) == said
    if said:
        assert words_of(said).next != ""

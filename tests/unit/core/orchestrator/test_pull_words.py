from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from core.domain.github import ChecksState, Pull, PullState, ReviewState
from core.orchestrator.pull_words import pull_wait
from core.orchestrator.scheduling.words import words_of

CHECKS = "waits for the checks of pull request #12: 2 of 5 have passed; next when lint is done."
PULL = Pull(
    story_id="shop-3",
    project="shop",
    branch="orchard/shop-3",
    candidate="c",
    tree="t",
    base="b",
    head="c",
    number=12,
    url="https://github.test/o/r/pull/12",
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


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"state": PullState.WANTED, "number": None},
            "waits to become a pull request; next when it is pushed and opened.",
        ),
        (
            {"state": PullState.WANTED},
            "waits to be pushed to pull request #12 again; next when it is there.",
        ),
        ({"state": PullState.WANTED, "waits": "waits: GitHub does not answer; next when it does."}, None),
        ({}, "waits for pull request #12; next when GitHub has been asked about it."),
        ({"waits": CHECKS}, None),
        ({"state": PullState.LANDABLE, "waits": CHECKS}, ""),
        ({"state": PullState.CLOSED, "waits": CHECKS}, ""),
        ({"state": PullState.MERGED, "waits": CHECKS}, ""),
    ],
)
def test_what_a_pull_request_waits_for(changes: dict[str, object], said: str | None) -> None:
    pull = replace(PULL, **changes)  # type: ignore[arg-type]
    assert pull_wait(pull) == (pull.waits if said is None else said)
    if found := pull_wait(pull):
        assert words_of(found).next != ""

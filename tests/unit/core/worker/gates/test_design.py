from __future__ import annotations

import pytest

from core.domain.evidence import RefusalCode
from core.worker.gates.design import acceptance_criteria, judge_design


@pytest.mark.parametrize(
    ("spec", "found"),
    [
        (
            "## Acceptance criteria\n- one\n* two\n1. three\n- [ ] four\n\n## Other\n- five",
            ("one", "two", "three", "four"),
        ),
        ("**Acceptance Criteria:**\n\n- one", ("one",)),
        ("Acceptance criteria: it adds", ("it adds",)),
        (
            "Scenario: x\nGiven a cart\nWhen paid\nThen empty",
            ("Scenario: x", "Given a cart", "When paid", "Then empty"),
        ),
        ("# Definition of done\n- shipped", ("shipped",)),
        ("## Acceptance criteria\n- TBD\n- ...\n- <criterion>\n- n/a\n-", ()),
        ("## Acceptance criteria\n\n## Notes\n- not one", ()),
        ("- a list of something", ()),
        ("", ()),
    ],
)
def test_criteria(spec, found):
    assert acceptance_criteria(spec) == found


def test_a_spec_without_criteria_is_refused(made):
    verdict = judge_design(spec="# A plan\nWe shall see.", changes=())
    assert [refusal.code for refusal in verdict.refusals] == [RefusalCode.NO_ACCEPTANCE_CRITERIA]
    assert judge_design(spec="", changes=(), criteria=("it adds",)).passed
    assert not judge_design(spec="", changes=(), criteria=("TODO",)).passed


def test_anything_but_the_spec_is_refused(made):
    spec = "## Acceptance criteria\n- it adds"
    changes = made.changes("docs/design/shop-1.md", "shop/a.py")
    verdict = judge_design(spec=spec, changes=changes, allowed=("docs/design/shop-1.md",))
    assert [refusal.code for refusal in verdict.refusals] == [RefusalCode.CHANGED_OUTSIDE_RIGHTS]
    assert verdict.refusals[0].files == ("shop/a.py",)
    assert judge_design(spec=spec, changes=changes[:1], allowed=("docs/design/shop-1.md",)).passed

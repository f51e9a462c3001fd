from __future__ import annotations

import pytest

from core.domain.github import CheckConclusion
from core.github.api.check_parsers import newest, parse_check_run, parse_status
from core.github.api.facts import CheckRun

_NINE, _TEN = "2026-11-22T09:00:00Z", "2026-11-22T10:00:00Z"


def run(name: str = "unit", **more: object) -> CheckRun:
    found = parse_check_run({"id": 1, "name": name, "status": "completed", "conclusion": "success", **more})
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("status", "conclusion", "counts"),
    [
        ("queued", None, CheckConclusion.RUNNING),
        ("in_progress", None, CheckConclusion.RUNNING),
        ("waiting", None, CheckConclusion.RUNNING),
        *(("completed", word, CheckConclusion.PASSED) for word in ("success", "neutral", "skipped")),
        *(
            ("completed", word, CheckConclusion.FAILED)
            for word in ("failure", "timed_out", "cancelled", "action_required", "stale", "startup_failure")
        ),
        ("completed", None, CheckConclusion.FAILED),
        ("completed", "a word of tomorrow", CheckConclusion.FAILED),
    ],
)
def test_a_run_counts_as(status: str, conclusion: str | None, counts: CheckConclusion) -> None:
    assert run(status=status, conclusion=conclusion).check.conclusion is counts


@pytest.mark.parametrize(
    ("state", "counts"),
    [
        ("success", CheckConclusion.PASSED),
        ("pending", CheckConclusion.RUNNING),
        ("failure", CheckConclusion.FAILED),
        ("error", CheckConclusion.FAILED),
        ("", CheckConclusion.FAILED),
    ],
)
def test_a_status_counts_as(state: str, counts: CheckConclusion) -> None:
    found = parse_status({"context": "ci", "state": state})
    assert found is not None
    assert found.check.conclusion is counts


def test_what_ran_again_counts_by_its_last_run() -> None:
    failed = run(id=1, conclusion="failure", started_at="2026-11-22T09:00:00Z")
    queued = run(id=2, status="queued", conclusion=None, started_at=None)
    assert newest([failed, queued]) == newest([queued, failed]) == (queued,)
    passed = run(id=3, started_at="2026-11-22T09:00:00Z")
    assert newest([passed, failed]) == (passed,)


def test_the_same_name_of_two_apps_is_two_checks() -> None:
    runs = [run(app={"slug": "one"}, conclusion="failure"), run(app={"slug": "two"})]
    assert len(newest(runs)) == 2


def test_the_same_name_of_two_workflows_is_two_checks_and_neither_hides_the_other() -> None:
    actions = {"slug": "github-actions"}
    failed = run(id=1, app=actions, check_suite={"id": 8}, conclusion="failure", started_at=_NINE)
    passed = run(id=2, app=actions, check_suite={"id": 9}, started_at=_TEN)
    assert newest([failed, passed]) == newest([passed, failed]) == (failed, passed)
    again = run(id=3, app=actions, check_suite={"id": 8}, started_at=_TEN)
    assert newest([failed, passed, again]) == (again, passed)


@pytest.mark.parametrize("word", ["cancelled", "stale"])
def test_what_was_given_up_counts_until_the_same_ran_anew(word: str) -> None:
    given_up = run(id=1, check_suite={"id": 8}, conclusion=word, started_at=_NINE)
    assert newest([given_up]) == (given_up,)
    other = run("lint", id=2, check_suite={"id": 9}, started_at=_TEN)
    assert newest([given_up, other]) == (other, given_up)
    passed = run(id=3, check_suite={"id": 9}, started_at=_TEN)
    assert newest([passed, given_up]) == (passed,)
    later = run(id=4, check_suite={"id": 10}, conclusion=word, started_at="2026-11-22T11:00:00Z")
    assert newest([passed, later]) == (passed, later)


def test_its_summary_is_a_line_and_its_text_is_whole() -> None:
    found = run(output={"title": None, "summary": "\n# Two errors\nmore", "text": "x" * 999})
    assert found.check.summary == "# Two errors"
    assert found.text.endswith("x" * 999)
    noted = run(output={"title": "", "summary": '<!-- {"approved": []} -->\n#### Approved\n'})
    assert noted.check.summary == "#### Approved"

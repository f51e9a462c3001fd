from __future__ import annotations

import pytest

from core.domain.github import CheckConclusion
from core.github.api.check_parsers import newest, parse_check_run, parse_status
from core.github.api.facts import CheckRun


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


def test_its_summary_is_a_line_and_its_text_is_whole() -> None:
    found = run(output={"title": None, "summary": "\n# Two errors\nmore", "text": "x" * 999})
    assert found.check.summary == "# Two errors"
    assert found.text.endswith("x" * 999)

"""What makes a red, case by case; real runs are judged in tests/integration/gates."""

from __future__ import annotations

import dataclasses

import pytest

from core.domain.evidence import Failure, RefusalCode, RunState, TestResult
from core.worker.gates.red import judge_red, suspects

C = RefusalCode
BASE = {"a::one": "passed", "a::two": "passed", "old::failing": "failed", "old::skipped": "skipped"}


def _codes(verdict):
    return {refusal.code for refusal in verdict.refusals}


def test_a_new_failing_test_is_red(made):
    verdict = judge_red(made.red(("tests/new.py",), BASE, {**BASE, "new::x": "failed", "new::y": "passed"}))
    assert verdict.passed
    assert verdict.evidence.red == ("new::x",)
    assert verdict.evidence.characterisation == ("new::y",)
    assert verdict.evidence.failing_before == ("old::failing",)
    assert verdict.evidence.skipped == ("old::skipped",)
    assert verdict.evidence.red_collected == (*BASE, "new::x", "new::y")


def test_a_file_that_cannot_be_collected_makes_all_its_tests_red(made):
    after = {"tests/a.py": "error", "old::failing": "failed", "old::skipped": "skipped"}
    verdict = judge_red(made.red(("tests/a.py",), BASE, after))
    assert verdict.passed, verdict.explain()
    assert verdict.evidence.red_files == ("tests/a.py",)
    assert not any("removed" in note for note in verdict.evidence.notes)


@pytest.mark.parametrize(
    ("changed", "after", "code"),
    [
        ((), BASE, C.NO_TEST_ADDED),
        (("-tests/a.py",), {"old::failing": "failed"}, C.NO_TEST_ADDED),
        (("shop/a.py", "tests/new.py"), {**BASE, "new::x": "failed"}, C.CHANGED_OUTSIDE_RIGHTS),
        (("tests/helper.py",), BASE, C.NO_TEST_ADDED),
        (("tests/new.py",), {**BASE, "new::x": "passed"}, C.NO_RED_TEST),
        (("tests/new.py",), {**BASE, "new::x": "skipped"}, C.NO_RED_TEST),
        (("tests/new.py",), {**BASE, "new::x": "xfailed"}, C.NO_RED_TEST),
        (("tests/old.py",), BASE, C.NO_RED_TEST),
        (("tests/new.py",), {**BASE, "new::x": "failed", "a::one": "failed"}, C.BASE_BROKEN),
        (("tests/new.py",), {**BASE, "new::x": "failed", "a::one": "skipped"}, C.TEST_SILENCED),
        (("tests/new.py",), {"a::one": "passed", "new::x": "failed"}, C.BASE_BROKEN),
        (("tests/new.py",), {"tests/a.py": "error", "new::x": "failed"}, C.BASE_BROKEN),
        (("tests/new.py",), {**BASE, "new::x": "error"}, None),
    ],
)
def test_refusals(made, changed, after, code):
    verdict = judge_red(made.red(changed, BASE, after))
    assert _codes(verdict) == ({code} if code else set())
    assert all(refusal.sentence for refusal in verdict.refusals)


def test_a_test_that_flips_is_refused_when_it_is_new(made):
    verdict = judge_red(
        made.red(
            ("tests/new.py",),
            BASE,
            {**BASE, "new::x": "failed", "new::z": "failed"},
            {**BASE, "new::x": "failed", "new::z": "passed"},
        )
    )
    assert _codes(verdict) == {C.FLAKY_TEST}
    assert verdict.refusals[0].tests == ("new::z",)
    assert verdict.evidence.red == ("new::x",)


def test_a_test_that_flips_is_reported_when_it_is_old(made):
    first = {**BASE, "new::x": "failed", "a::one": "failed"}
    verdict = judge_red(made.red(("tests/new.py",), BASE, first, {**BASE, "new::x": "failed"}))
    assert verdict.passed
    assert verdict.evidence.flaky == ("a::one",)


def test_an_old_test_that_fails_twice_and_then_passes_is_flaky(made):
    after = {**BASE, "new::x": "failed", "a::one": "failed"}
    facts = made.red(("tests/new.py",), BASE, after)
    assert suspects(facts) == ("tests/a.py",)
    again = made.red(("tests/new.py",), BASE, after, again=(made.run({"a::one": "passed"}),))
    assert judge_red(again).passed
    assert suspects(again) == ()


def test_failing_by_another_exception_each_time_is_flaky(made):
    other = made.result("new::x", "failed", failure=Failure(exception="KeyError"))
    verdict = judge_red(
        made.red(("tests/new.py",), BASE, {**BASE, "new::x": "failed"}, {**BASE, "new::x": other})
    )
    assert _codes(verdict) == {C.FLAKY_TEST}


def test_groups_that_share_an_exception_are_the_same(made):
    one = made.result(
        "new::x", "failed", failure=Failure(exception="ExceptionGroup", group=("KeyError", "ValueError"))
    )
    two = made.result("new::x", "failed", failure=Failure(exception="ValueError"))
    assert judge_red(
        made.red(("tests/new.py",), BASE, {**BASE, "new::x": one}, {**BASE, "new::x": two})
    ).passed


def test_a_weakened_test_of_a_changed_file_is_shown_but_not_refused(made):
    after = {"a::two": "failed", "a::new": "failed", "old::failing": "failed", "old::skipped": "skipped"}
    verdict = judge_red(made.red(("tests/a.py",), BASE, after))
    assert verdict.passed
    assert any("a::one" in note and "removed" in note for note in verdict.evidence.notes)


def test_cases_of_a_parametrised_test_may_get_other_names(made):
    base = {"p::x[1f3]": "passed", "p::x[77a]": "passed"}
    after = {"p::x[b0b]": "passed", "p::x[c0c]": "passed", "new::x": "failed"}
    assert judge_red(made.red(("tests/new.py",), base, after)).passed
    fewer = {"p::x[b0b]": "passed", "new::x": "failed"}
    assert _codes(judge_red(made.red(("tests/new.py",), base, fewer))) == {C.BASE_BROKEN}


@pytest.mark.parametrize(
    ("state", "code"),
    [(RunState.TIMED_OUT, C.TIMED_OUT), (RunState.FLOODED, C.FLOODED), (RunState.CRASHED, C.NO_REPORT)],
)
@pytest.mark.parametrize("which", ["first", "second"])
def test_an_unusable_run_is_no_evidence(made, state, code, which):
    facts = made.red(("tests/new.py",), BASE, {**BASE, "new::x": "failed"})
    spoiled = dataclasses.replace(facts, **{which: made.run({}, state=state, problem="it went wrong")})
    verdict = judge_red(spoiled)
    assert _codes(verdict) == {code}
    assert "it went wrong" in verdict.explain()


def test_the_folder_of_a_monorepo_is_taken_off(made):
    facts = made.red(
        ("packages/shop/tests/new.py",), BASE, {**BASE, "new::x": "failed"}, folder="packages/shop"
    )
    assert judge_red(facts).evidence.red == ("new::x",)


def test_a_report_without_files_goes_by_names(made):
    def nameless(test: str, outcome: str) -> TestResult:
        return made.result(test, outcome, file=None)

    base = {"a": nameless("tests.test_a.TestA::one", "passed")}
    after = {"a": nameless("tests.test_a.TestA::one", "failed")}
    assert judge_red(made.red(("tests/test_a.py",), base, after)).passed
    assert C.BASE_BROKEN in _codes(judge_red(made.red(("tests/test_b.py",), base, after)))

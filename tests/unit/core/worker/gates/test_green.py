from __future__ import annotations

import dataclasses

import pytest

from core.domain.evidence import RefusalCode, RunState
from core.domain.lifecycles import Phase
from core.worker.gates.green import judge_green, suspects

C = RefusalCode
BASE = {"a::one": "passed", "old::failing": "failed", "old::skipped": "skipped"}
RED = {**BASE, "new::x": "failed", "new::same": "passed", "tests/dark.py": "error"}
GREEN = {**BASE, "new::x": "passed", "new::same": "passed", "dark::y": "passed"}


@pytest.fixture
def red(made):
    return made.red(("tests/new.py", "tests/dark.py"), BASE, RED)


def _codes(verdict):
    return {refusal.code for refusal in verdict.refusals}


def test_green(made, red):
    verdict = judge_green(made.green(red, GREEN))
    assert verdict.passed, verdict.explain()
    assert verdict.evidence.green == ("new::x", "dark::y")
    assert verdict.evidence.failing_before == ("old::failing",)


def _but(**changes):
    after = {**GREEN, **{key.replace("__", "::"): value for key, value in changes.items()}}
    return {test: outcome for test, outcome in after.items() if outcome}


@pytest.mark.parametrize(
    ("after", "code"),
    [
        (_but(new__x="failed"), C.STILL_RED),
        (_but(new__x="skipped"), C.TEST_SILENCED),
        (_but(new__x="xfailed"), C.TEST_SILENCED),
        (_but(new__x=None), C.TESTS_MISSING),
        (_but(dark__y="failed"), C.STILL_RED),
        (_but(dark__y="skipped"), C.TEST_SILENCED),
        (_but(dark__y=None), C.TESTS_MISSING),
        ({**_but(dark__y=None), "tests/dark.py": "error"}, C.STILL_RED),
        ({**_but(dark__y=None), "tests/dark.py": "skipped"}, C.TEST_SILENCED),
        (_but(a__one="failed"), C.BASE_BROKEN),
        (_but(a__one="error"), C.BASE_BROKEN),
        (_but(a__one="skipped"), C.TEST_SILENCED),
        (_but(a__one=None), C.TESTS_MISSING),
        ({**_but(a__one=None), "tests/a.py": "error"}, C.BASE_BROKEN),
        (_but(new__same="failed"), C.BASE_BROKEN),
        (_but(new__same=None), C.TESTS_MISSING),
        (_but(old__failing=None), C.TESTS_MISSING),
        (_but(old__failing="passed"), None),
        (_but(old__skipped="passed"), None),
        (_but(old__skipped=None), None),
        (_but(extra__doctest="failed"), C.BROKEN_TEST),
        (_but(extra__doctest="passed"), None),
    ],
)
def test_what_may_and_may_not_be(made, red, after, code):
    verdict = judge_green(made.green(red, after))
    assert _codes(verdict) == ({code} if code else set()), verdict.explain()


def test_a_file_of_red_that_can_no_longer_be_collected_is_one_refusal(made):
    file = {"file": "tests/test_new.py"}
    red = made.red(
        ("tests/test_new.py",), BASE, {**BASE, "r": made.result("tests.test_new::x", "failed", **file)}
    )
    verdict = judge_green(made.green(red, {**BASE, "tests/test_new.py": "error"}))
    assert _codes(verdict) == {C.STILL_RED}


def test_changed_tests_and_configuration_are_refused_each_by_name(made, red):
    facts = made.green(
        red, GREEN, since_red=made.changes("shop/a.py", "tests/new.py"), config_changed=("tox.ini",)
    )
    verdict = judge_green(facts)
    assert _codes(verdict) == {C.TESTS_CHANGED}
    assert [refusal.files for refusal in verdict.refusals] == [("tests/new.py",), ("tox.ini",)]


def test_nothing_changed_is_said_when_it_is_still_red(made, red):
    verdict = judge_green(made.green(red, RED, since_red=()))
    assert verdict.refusals[0].code is C.NOTHING_CHANGED
    assert judge_green(made.green(red, GREEN, since_red=(), phase=Phase.REFACTOR)).passed


def test_a_red_test_that_flips_is_refused(made, red):
    verdict = judge_green(made.green(red, GREEN, again=(made.run({"new::x": "failed"}),)))
    assert _codes(verdict) == {C.FLAKY_TEST}
    assert verdict.refusals[0].tests == ("new::x",)


@pytest.mark.parametrize("where", ["again", "base_again"])
def test_an_old_test_that_flips_now_or_at_the_base_is_reported(made, red, where):
    facts = made.green(red, _but(a__one="failed"))
    assert suspects(facts) == ("tests/a.py",)
    other = "passed" if where == "again" else "failed"
    settled = dataclasses.replace(facts, **{where: (made.run({"a::one": other}),)})
    verdict = judge_green(settled)
    assert verdict.passed, verdict.explain()
    assert verdict.evidence.flaky == ("a::one",)
    assert suspects(settled) == ()


def test_an_old_test_that_always_fails_now_is_broken(made, red):
    again = (made.run({"a::one": "failed"}),) * 2
    facts = made.green(red, _but(a__one="failed"), again=again, base_again=(made.run({"a::one": "passed"}),))
    assert _codes(judge_green(facts)) == {C.BASE_BROKEN}


def test_what_failed_before_may_fail_in_a_file_that_red_could_not_collect(made):
    base = {**BASE, "dark::old": "failed"}
    first = {
        "a::one": "passed",
        "old::failing": "failed",
        "old::skipped": "skipped",
        "tests/dark.py": "error",
    }
    red = made.red(("tests/dark.py",), base, first)
    verdict = judge_green(made.green(red, {**BASE, "dark::old": "failed", "dark::y": "passed"}))
    assert verdict.passed, verdict.explain()
    assert verdict.evidence.green == ("dark::y",)
    assert verdict.evidence.failing_before == ("old::failing", "dark::old")
    mended = judge_green(made.green(red, {**BASE, "dark::old": "passed", "dark::y": "passed"}))
    assert mended.evidence.green == ("dark::old", "dark::y")
    for proof in ({}, {"dark::y": "failed"}):
        verdict = judge_green(made.green(red, {**BASE, "dark::old": "failed", **proof}))
        assert _codes(verdict) == {C.STILL_RED}, "a file in which no test passes proves nothing"


def test_what_failed_before_and_was_mended_on_the_main_branch_must_stay_mended(made):
    base = {**BASE, "dark::old": "failed"}
    red = made.red(("tests/dark.py",), base, {**BASE, "tests/dark.py": "error"})
    after = {**BASE, "dark::old": "failed", "dark::y": "passed"}
    main = {**base, "dark::old": "passed"}
    verdict = judge_green(made.green(red, after, phase=Phase.COMMIT, base=main))
    assert _codes(verdict) == {C.BASE_BROKEN}


@pytest.mark.parametrize("outcome", ["skipped", "xfailed"])
@pytest.mark.parametrize(
    ("skipped_by", "passes"),
    [("tests/dark.py", True), ("tests/conftest.py", True), ("shop/a.py", False), ("shop/b.py", False),
     ("tests/touched.py", False), ("", False)],
)  # fmt: skip
def test_who_may_skip_a_test_of_a_file_that_red_could_not_collect(made, red, outcome, skipped_by, passes):
    quiet = made.result("dark::quiet", outcome, skipped_by=skipped_by)
    facts = made.green(
        red, {**GREEN, "dark::quiet": quiet}, since_red=made.changes("shop/a.py", "tests/touched.py")
    )
    verdict = judge_green(facts)
    assert (C.TEST_SILENCED in _codes(verdict)) is not passes
    if passes:
        assert "dark::quiet" in verdict.evidence.skipped
        assert any("dark::quiet" in note for note in verdict.evidence.notes)


def test_a_file_of_red_that_skips_every_test_of_its_own_is_refused(made, red):
    quiet = made.result("dark::y", "skipped", skipped_by="tests/dark.py")
    assert _codes(judge_green(made.green(red, {**GREEN, "dark::y": quiet}))) == {C.TEST_SILENCED}


def test_a_test_that_was_red_by_name_may_not_skip_itself(made, red):
    quiet = made.result("new::x", "skipped", skipped_by="tests/new.py")
    assert _codes(judge_green(made.green(red, {**GREEN, "new::x": quiet}))) == {C.TEST_SILENCED}


def test_tampering_in_a_second_run_counts(made, red):
    facts = made.green(red, GREEN, again=(made.run({}, tampering=("The report was changed.",)),))
    assert _codes(judge_green(facts)) == {C.TAMPERED}


@pytest.mark.parametrize(
    ("state", "code"),
    [(RunState.TIMED_OUT, C.TIMED_OUT), (RunState.FLOODED, C.FLOODED), (RunState.CRASHED, C.NO_REPORT)],
)
def test_an_unusable_run_is_refused(made, red, state, code):
    facts = dataclasses.replace(made.green(red, GREEN), now=made.run({}, state=state))
    assert _codes(judge_green(facts)) == {code}


def test_on_the_rebased_tree_the_main_branch_decides_what_must_pass(made, red):
    """Another story removed a::one, added b::new, and left b::broken failing on the main branch."""
    main = {"old::failing": "failed", "b::new": "passed", "b::broken": "failed", "tests/dead.py": "error"}
    after = {**GREEN, **main}
    del after["a::one"], after["old::skipped"]
    assert judge_green(made.green(red, after, phase=Phase.COMMIT, base=main)).passed
    after["b::new"] = "failed"
    verdict = judge_green(made.green(red, after, phase=Phase.COMMIT, base=main))
    assert _codes(verdict) == {C.BASE_BROKEN}
    del after["b::new"]
    verdict = judge_green(made.green(red, after, phase=Phase.COMMIT, base=main))
    assert _codes(verdict) == {C.TESTS_MISSING}


def test_what_red_removed_or_silenced_in_the_open_stays_so(made):
    base = {**BASE, "a::gone": "passed", "a::quiet": "passed"}
    after_red = {**RED, "a::quiet": "skipped", "a::one": "failed"}
    red = made.red(("tests/new.py", "tests/dark.py", "tests/a.py"), base, after_red)
    verdict = judge_green(made.green(red, {**GREEN, "a::quiet": "skipped"}))
    assert verdict.passed, verdict.explain()
    assert any("a::gone" in note for note in verdict.evidence.notes)

"""What holds for the gates' judgement whatever the tests are."""

from __future__ import annotations

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from core.domain.evidence import Failure, Outcome, RunState, SuiteRun, TestResult
from core.domain.lifecycles import Phase
from core.domain.risk import FileChange
from core.worker.gates.green import GreenFacts, judge_green
from core.worker.gates.honesty import Project
from core.worker.gates.red import RedFacts, judge_red
from core.worker.runners.testpaths import is_test_path

BAD = (Outcome.FAILED, Outcome.ERROR)
# A busy machine is no reason to fail.
calm = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])

PROJECT = Project(is_test_path=is_test_path, modules=frozenset({"shop"}), name="shop")

files = st.sampled_from(["tests/test_a.py", "tests/test_b.py", "tests/test_new.py"])
outcomes = st.sampled_from(list(Outcome))
suites = st.dictionaries(st.tuples(files, st.sampled_from("xyz")), outcomes, max_size=9)
phases = st.sampled_from([Phase.CODE_GREEN, Phase.REFACTOR, Phase.COMMIT])


def _run(suite: dict[tuple[str, str], Outcome]) -> SuiteRun:
    results = tuple(
        TestResult(
            id=f"{file.removesuffix('.py').replace('/', '.')}::{name}",
            file=file,
            outcome=outcome,
            failure=Failure(exception="AssertionError") if outcome in BAD else None,
        )
        for (file, name), outcome in suite.items()
    )
    return SuiteRun(
        tree="t", command=("pytest",), runner="pytest", state=RunState.COMPLETED, exit_code=1, results=results
    )


def _changes(*paths: str) -> tuple[FileChange, ...]:
    return tuple(FileChange(path=path, added=1, removed=0, is_test=is_test_path(path)) for path in paths)


def _red(base, first, second) -> RedFacts:
    return RedFacts(
        changes=_changes("tests/test_new.py"),
        base=_run(base),
        first=_run(first),
        second=_run(second),
        project=PROJECT,
    )


@st.composite
def reds(draw: st.DrawFn) -> RedFacts:
    """Reds that pass: built to, since random ones hardly ever do."""
    base = draw(suites)
    old = {key: outcome for key, outcome in base.items() if key[0] != "tests/test_new.py"}
    new = {("tests/test_new.py", name): draw(outcomes) for name in "xyz" if draw(st.booleans())}
    after = {**old, **new, ("tests/test_new.py", "red"): Outcome.FAILED}
    facts = _red(base, after, after)
    assume(judge_red(facts).passed)
    return facts


def _green(red: RedFacts, now: SuiteRun, phase: Phase = Phase.CODE_GREEN) -> GreenFacts:
    return GreenFacts(
        phase=phase,
        red=judge_red(red).evidence,
        since_red=_changes("shop/a.py"),
        config_changed=(),
        base=red.base,
        now=now,
        is_test_path=is_test_path,
    )


def _all_passing(red: RedFacts) -> dict[tuple[str, str], Outcome]:
    return {(result.file or "", result.id.partition("::")[2]): Outcome.PASSED for result in red.first.results}


@calm
@given(suites, suites, suites)
def test_red_passes_only_with_a_test_that_failed_in_both_runs(base, first, second):
    facts = _red(base, first, second)
    verdict = judge_red(facts)
    if verdict.passed:
        assert verdict.evidence.red
    for test in verdict.evidence.red:
        for run in (facts.first, facts.second):
            assert next(result for result in run.results if result.id == test).outcome in BAD


@calm
@given(suites, suites, suites)
def test_red_never_counts_what_passed_at_once(base, first, second):
    evidence = judge_red(_red(base, first, second)).evidence
    assert not set(evidence.red) & set(evidence.characterisation)
    assert not set(evidence.red) & set(evidence.flaky)
    assert not set(evidence.red) & set(evidence.failing_before)


@calm
@given(suites, suites)
def test_a_passed_red_left_all_other_tests_alone(base, after):
    facts = _red(base, after, after)
    if judge_red(facts).passed:
        passed = {result.id for result in facts.first.results if result.outcome is Outcome.PASSED}
        for result in facts.base.results:
            if result.outcome is Outcome.PASSED and result.file != "tests/test_new.py":
                assert result.id in passed


@calm
@given(reds(), phases)
def test_green_passes_when_everything_passes(red, phase):
    assert judge_green(_green(red, _run(_all_passing(red)), phase)).passed


@calm
@given(reds(), phases, st.data())
def test_green_never_passes_without_every_red_test(red, phase, data):
    now = _all_passing(red)
    spoiled = data.draw(st.sampled_from(judge_red(red).evidence.red))
    key = next(key for key in now if spoiled.endswith(f"{key[0][6:-3]}::{key[1]}"))
    how = data.draw(
        st.sampled_from([None, *(outcome for outcome in Outcome if outcome is not Outcome.PASSED)])
    )
    if how is None:
        del now[key]
    else:
        now[key] = how
    verdict = judge_green(_green(red, _run(now), phase))
    assert not verdict.passed
    assert any(spoiled in refusal.tests for refusal in verdict.refusals)


@calm
@given(reds(), suites, phases)
def test_a_passed_green_keeps_all_that_passed_before(red, now, phase):
    facts = _green(red, _run({**_all_passing(red), **now}), phase)
    verdict = judge_green(facts)
    if not verdict.passed:
        return
    at_red = {result.id for result in red.first.results if result.outcome is Outcome.PASSED}
    passing = {result.id for result in facts.now.results if result.outcome is Outcome.PASSED}
    before = {result.id for result in red.base.results if result.outcome is Outcome.PASSED}
    assert before & at_red <= passing
    assert set(facts.red.red) <= passing


@calm
@given(reds(), suites, st.randoms())
def test_the_order_of_tests_and_an_unrelated_passing_test_change_nothing(red, now, random):
    mixed = list({**_all_passing(red), **now}.items())
    plain = judge_green(_green(red, _run(dict(mixed))))
    random.shuffle(mixed)
    more = {**dict(mixed), ("tests/test_unrelated.py", "fine"): Outcome.PASSED}
    again = judge_green(_green(red, _run(more)))
    assert {(refusal.code, frozenset(refusal.tests)) for refusal in plain.refusals} == {
        (refusal.code, frozenset(refusal.tests)) for refusal in again.refusals
    }

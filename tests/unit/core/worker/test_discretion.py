from __future__ import annotations

import pytest

from core.domain.evidence import Failure, Outcome, RunState, SuiteRun, TestResult
from core.domain.lifecycles import Phase
from core.errors import Unavailable
from core.known_secrets import known_secrets
from core.rpc import RpcError
from core.worker.contract import PermissionQuestion
from core.worker.discretion import discreet, of_run, told

VALUE = "worker-secret-of-this-test"


@pytest.fixture(autouse=True)
def _learned():
    known_secrets.learn([VALUE])


def failed(name: str, **fields) -> TestResult:
    return TestResult(id=name, outcome=Outcome.FAILED, **fields)


def test_a_run_of_tests_is_kept_without_secrets():
    run = SuiteRun(
        tree="t",
        command=("pytest",),
        runner="pytest",
        state=RunState.COMPLETED,
        exit_code=1,
        output_tail=f"E {VALUE}",
        problem=VALUE,
        results=(
            failed("tests::plain", message="AssertionError"),
            failed(f"tests::one[{VALUE}]", message=VALUE, detail=f"{VALUE[-9:]} and {VALUE}"),
            failed(f"tests::one[{VALUE}-2]", failure=Failure(exception="KeyError", message=VALUE)),
            failed("tests::cut", detail=f"{VALUE[-9:]}' != 1"),
        ),
    )
    clean = of_run(run)
    assert VALUE not in repr(clean)
    assert VALUE[-9:] not in repr(clean)
    assert clean.results[0] is run.results[0]
    assert len({result.id for result in clean.results}) == 4
    assert of_run(run) == clean
    assert of_run(clean) == clean


async def test_what_a_handler_answers_or_raises_holds_no_secret():
    async def answer(params):
        return {"text": VALUE}

    async def unavailable(params):
        raise Unavailable(f"no {VALUE}", why=VALUE, hint=VALUE)

    async def refused(params):
        raise RpcError(1, VALUE, {"x": VALUE})

    async def broken(params):
        raise KeyError(VALUE)

    handlers = discreet({"a": answer, "u": unavailable, "r": refused, "b": broken})
    assert VALUE not in str(await handlers["a"]({}))
    for name, kind in (("u", Unavailable), ("r", RpcError), ("b", KeyError)):
        with pytest.raises(kind) as raised:
            await handlers[name]({})
        assert VALUE not in f"{raised.value} {vars(raised.value)} {raised.value.args}"


def test_a_question_to_people_holds_no_secret():
    question = PermissionQuestion(
        story_id="s", phase=Phase.DESIGN, generation=1, title=VALUE, detail=f"curl {VALUE}", reasons=(VALUE,)
    )
    assert VALUE not in str(told(question))
    assert told(question)["story_id"] == "s"

"""What a worker tells the control plane holds none of the secrets that came with its jobs.

Here, at the one door, since a secret may stand in any test's output, name or traceback, in a spec, a diff or
an error: whatever goes out is looked through, and so is what is kept of test runs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from core.agents.redaction import secrets_in
from core.domain.evidence import Failure, SuiteRun, TestResult
from core.errors import OrchardError
from core.known_secrets import known_secrets
from core.rpc import Handler, RpcError, encode
from core.worker.contract import PhaseJob, ProjectSetup
from core.worker.remote_contract import FetchMain, Push


def learn(job: object) -> None:
    """Takes note of the secrets of a job that has come in."""
    setup = getattr(job, "project", None)
    if isinstance(setup, ProjectSetup):
        known_secrets.learn(setup.test_variables.values())
    if isinstance(job, FetchMain | Push):
        known_secrets.learn((job.remote.header, job.remote.header.rpartition(" ")[2]))
    if isinstance(job, PhaseJob):
        known_secrets.learn((*job.secrets, *secrets_in(job.agent.environment)))
        if job.model is not None:
            known_secrets.learn((job.model.token,))


def discreet(handlers: Mapping[str, Handler]) -> dict[str, Handler]:
    """The same handlers; their answers and their errors hold no secret."""
    return {name: _discreet(handler) for name, handler in handlers.items()}


def _discreet(handler: Handler) -> Handler:
    async def handle(params: dict[str, Any]) -> Any:
        try:
            answer = await handler(params)
        except RpcError as error:
            error.message, error.data = known_secrets.text(error.message), known_secrets.value(error.data)
            error.args = (error.message,)
            raise
        except OrchardError as error:
            clean = known_secrets.text
            error.message, error.why, error.hint = clean(error.message), clean(error.why), clean(error.hint)
            error.args = (error.message,)
            raise
        except Exception as error:
            # What an unforeseen error says goes to the log, which is discreet, and to the other side.
            error.args = tuple(known_secrets.value(each) for each in error.args)
            raise
        return known_secrets.value(encode(answer))

    return handle


def told(message: object) -> Any:
    """A notification or a question, as it goes out."""
    return known_secrets.value(encode(message))


def of_run(run: SuiteRun) -> SuiteRun:
    """A run as it is judged, kept and shown."""
    text = known_secrets.text
    return replace(
        run,
        results=tuple(map(_result, run.results)),
        output_tail=text(run.output_tail),
        problem=text(run.problem),
        tampering=tuple(map(text, run.tampering)),
    )


def _result(result: TestResult) -> TestResult:
    redactor = known_secrets.redactor
    failure = result.failure
    parts = (result.id, result.message, result.detail, failure.message if failure else "")
    if not redactor.may_hold("\n".join(parts)) and redactor.cut_text(result.detail) == result.detail:
        return result
    name = redactor.text(result.id)
    if name != result.id:  # two that differ in a secret only stay two, and each is the same in every run
        name += f"~{hashlib.sha256(result.id.encode('utf-8', 'surrogatepass')).hexdigest()[:6]}"
    return replace(
        result,
        id=name,
        message=redactor.cut_text(result.message),
        detail=redactor.cut_text(result.detail),
        failure=_failure(failure) if failure else None,
    )


def _failure(failure: Failure) -> Failure:
    text = known_secrets.redactor.cut_text
    return replace(failure, message=text(failure.message), missing=text(failure.missing))

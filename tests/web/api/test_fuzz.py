"""Whatever the API's description allows and forbids is asked of a running Orchard: nothing that it answers is
a fault, and everything is as described. `make fuzz` asks more.
"""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from requests import Session

from core.domain.access import AccessLevel
from core.domain.alert import Alert, AlertFact, Route, Severity
from core.domain.approval import Approval, ApprovalKind
from core.store import alerts, approvals
from core.store.transaction import Transaction

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "0")) // 10 or 6
SECONDS = 400 if EXAMPLES < 20 else 24 * 3600  # with the start of an Orchard of their own, beside others
pytestmark = pytest.mark.timeout(SECONDS)
TAGS = (
    *("alerts", "approvals", "custody", "github", "metrics", "orchestration"),
    *("own", "people", "projects", "system", "tasks"),
)
# What would ask GitHub itself, or end the session that asks.
LEFT_OUT = {"github_link_repository", "github_sync_repository", "own_end_session"}


@pytest.fixture(scope="module")
def known(own_house) -> dict[str, Any]:
    """Names of what there is: half of the requests are about that."""
    commands = own_house.runtime.commands

    async def put() -> str:
        for title in ("Pay by card", "Refunds", "Gift wrapping"):
            story = await commands.add_story("shop", title, actor="cli")
        return str(story.id)

    return {
        "project": "shop",
        "task": own_house.do(put()),
        "username": own_house.person(AccessLevel.VIEWER),
        "name": "PAYMENT_KEY",
    }


@pytest.fixture(scope="module")
def question(own_house, known) -> Approval:
    async def put() -> Approval:
        return await own_house.runtime.store.write(
            lambda tx: approvals.ask(
                tx,
                project="shop",
                story_id=known["task"],
                kind=ApprovalKind.PERMISSION,
                subject="permission:it",
                question="May it?",
                detail="+1",
                reasons=(),
            )
        )

    return own_house.do(put())


@pytest.fixture(scope="module")
def alarm(own_house) -> str:
    """The id of an alert."""

    def put(tx: Transaction) -> Alert:
        made = alerts.begin(
            tx,
            rule="slow",
            project="shop",
            severity=Severity.WARNING,
            summary="It is slow.",
            hint="Look.",
            value=9.0,
            count=1,
            worst="",
            routes=(Route.GUILD,),
        )
        return alerts.move(tx, made, AlertFact.BREACHED, by="orchard")

    return str(own_house.do(own_house.runtime.store.write(put)).id)


@pytest.fixture(scope="module")
def asker(own_house):
    """An operator, so that everything is reached."""
    one = own_house.operator()
    headers = {"X-CSRF-Token": one.get("/api/whoami").json["csrf"], "Origin": one.origin}
    headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in one.cookies.items())
    return headers


# Schemathesis is imported where it is used: every worker of a test run reads this file, and one needs that.


@pytest.fixture(scope="module")
def schema(own_house):
    import schemathesis

    made = schemathesis.openapi.from_dict(own_house.browser().get("/api/openapi.json").json)
    made.config.generation.update(with_security_parameters=False)
    rejection = made.config.checks.negative_data_rejection
    rejection.expected_statuses = [*rejection.expected_statuses, "413"]  # nobody reads what is that long
    return made


@pytest.fixture(scope="module")
def checks() -> list[Any]:
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi import checks

    return [
        checks.negative_data_rejection,
        not_a_server_error,
        checks.status_code_conformance,
        checks.content_type_conformance,
        checks.response_headers_conformance,
        checks.response_schema_conformance,
    ]


@pytest.fixture(scope="module")
def operations(schema):
    return [found.ok() for found in schema.get_all_operations()]


def test_every_operation_is_among_these(operations):
    assert {tag for operation in operations for tag in operation.tags} == set(TAGS)


@pytest.mark.parametrize("tag", TAGS)
def test_nothing_that_is_asked_is_a_fault_or_answered_otherwise_than_described(
    own_house, operations, checks, asker, known, question, alarm, tag
):
    there = {**known, "approval_id": question.id, "alert_id": alarm}
    if tag == "projects":  # which archives it
        there["project"] = "bank"
    base = f"http://127.0.0.1:{own_house.port}"
    tried = 0
    with Session() as session:
        for operation in operations:
            if tag not in operation.tags or operation.definition.raw["operationId"] in LEFT_OUT:
                continue

            @settings(
                max_examples=EXAMPLES,
                deadline=None,
                database=None,
                derandomize=EXAMPLES < 20,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            @given(case=cases(operation, there))
            def ask(case):
                nonlocal tried
                tried += 1
                answer = case.call(base_url=base, session=session, headers=asker, timeout=SECONDS)
                case.validate_response(answer, checks=checks)

            for case in edges(operation, there):
                tried += 1
                answer = case.call(base_url=base, session=session, headers=asker, timeout=SECONDS)
                case.validate_response(answer, checks=checks)
            ask()
    assert tried


def cases(operation, there: dict[str, Any]):
    """As described, as described of what there is, and not as described."""
    from schemathesis import GenerationMode

    names = [one["name"] for one in operation.definition.raw.get("parameters", ()) if one["in"] == "path"]
    fixed = {name: there[name] for name in names if name in there}
    found = [operation.as_strategy(generation_mode=GenerationMode.POSITIVE, path_parameters=fixed or None)]
    if fixed:
        found.append(operation.as_strategy(generation_mode=GenerationMode.POSITIVE))
    if operation.body or operation.query or operation.path_parameters:
        found.append(operation.as_strategy(generation_mode=GenerationMode.NEGATIVE))
    return st.one_of(found)


def edges(operation, there: dict[str, Any]):
    """The least and the most of each value, each left out, each of another type."""
    from schemathesis import GenerationMode

    modes = [GenerationMode.POSITIVE, GenerationMode.NEGATIVE]
    config = operation.schema.config.generation
    for case in operation.schema.iter_coverage_cases(
        operation, generation_modes=modes, generation_config=config
    ):
        if case.method == operation.method.upper():
            case.path_parameters = {
                name: there.get(name, value) for name, value in (case.path_parameters or {}).items()
            }
            yield case

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.gateway.refusal import LONGEST, RefusalKind, refusal_amid, refusal_of
from core.gateway.wire import WireFormat

NOW = datetime(2026, 11, 21, 20, 0, tzinfo=UTC)
A, R, C, G = WireFormat.ANTHROPIC, WireFormat.RESPONSES, WireFormat.CHAT, WireFormat.GEMINI


def error(**fields: Any) -> dict[str, Any]:
    return {"error": fields}


DAILY = error(
    status="RESOURCE_EXHAUSTED",
    details=[
        {"violations": [{"quotaId": "GenerateRequestsPerDayPerProject"}]},
        {"retryDelay": "34.5s"},
    ],
)


@pytest.mark.parametrize(
    ("wire_format", "status", "headers", "body", "kind", "wait", "until"),
    [
        (A, 429, {"Retry-After": "7"}, error(type="rate_limit_error"), RefusalKind.RATE_LIMITED, 7.0, None),
        (A, 529, {}, error(type="overloaded_error"), RefusalKind.OVERLOADED, None, None),
        (
            A,
            429,
            {"anthropic-ratelimit-unified-status": "rejected",
             "anthropic-ratelimit-unified-reset": "1795300000"},
            error(type="rate_limit_error"),
            RefusalKind.QUOTA,
            None,
            datetime.fromtimestamp(1795300000, UTC),
        ),
        (
            A,
            429,
            {},
            error(type="rate_limit_error", details={"error_code": "enforced_spend_limit_reached"}),
            RefusalKind.QUOTA,
            None,
            datetime(2026, 12, 1, tzinfo=UTC),
        ),
        (A, 400, {}, error(type="invalid_request_error", message="Your credit balance is too low"),
         RefusalKind.CREDIT, None, None),
        (A, 401, {}, error(type="authentication_error"), RefusalKind.AUTH, None, None),
        (A, 413, {}, error(type="request_too_large"), RefusalKind.BAD_REQUEST, None, None),
        (A, 500, {}, error(type="api_error"), RefusalKind.FAILED, None, None),
        (C, 429, {"retry-after-ms": "1500", "retry-after": "9"}, error(code="rate_limit_exceeded"),
         RefusalKind.RATE_LIMITED, 1.5, None),
        (C, 429, {}, error(code="insufficient_quota"), RefusalKind.CREDIT, None, None),
        (C, 402, {}, error(message="No money."), RefusalKind.CREDIT, None, None),
        (R, 429, {}, error(type="usage_limit_reached", resets_in_seconds=7200),
         RefusalKind.QUOTA, None, NOW + timedelta(hours=2)),
        (R, 503, {"retry-after": "Sat, 21 Nov 2026 20:00:30 GMT"}, {}, RefusalKind.OVERLOADED, 30.0, None),
        (R, 429, {"retry-after": "7999"}, {}, RefusalKind.QUOTA, 7999.0, NOW + timedelta(seconds=7999)),
        (G, 429, {}, error(status="RESOURCE_EXHAUSTED", details=[{"retryDelay": "34.5s"}]),
         RefusalKind.RATE_LIMITED, 34.5, None),
        (G, 429, {}, DAILY, RefusalKind.QUOTA, 34.5, datetime(2026, 11, 22, 8, tzinfo=UTC)),
        (G, 429, {}, [DAILY], RefusalKind.QUOTA, 34.5, datetime(2026, 11, 22, 8, tzinfo=UTC)),
        (G, 403, {}, error(status="PERMISSION_DENIED"), RefusalKind.AUTH, None, None),
        (C, 404, {}, {"message": "no such model"}, RefusalKind.BAD_REQUEST, None, None),
        (C, 408, {}, {}, RefusalKind.FAILED, None, None),
        (C, 502, {}, "<html>", RefusalKind.FAILED, None, None),
    ],
)  # fmt: skip
def test_a_refusal_is_understood(
    wire_format: WireFormat,
    status: int,
    headers: dict[str, str],
    body: Any,
    kind: RefusalKind,
    wait: float | None,
    until: datetime | None,
) -> None:
    found = refusal_of(wire_format, status, headers, json.dumps(body).encode(), NOW)
    assert (found.kind, found.retry_after_seconds, found.until) == (kind, wait, until)
    assert found.message


def test_december_is_followed_by_january() -> None:
    body = json.dumps(error(details={"error_code": "enforced_spend_limit_reached"})).encode()
    found = refusal_of(A, 429, {}, body, datetime(2026, 12, 31, 23, tzinfo=UTC))
    assert found.until == datetime(2027, 1, 1, tzinfo=UTC)


def test_an_error_amid_a_stream_has_its_kind_by_name() -> None:
    assert (
        refusal_amid(A, {"type": "overloaded_error", "message": "busy"}, NOW).kind is RefusalKind.OVERLOADED
    )
    assert refusal_amid(R, {"code": "rate_limit_exceeded"}, NOW).kind is RefusalKind.RATE_LIMITED
    assert refusal_amid(G, {}, NOW).kind is RefusalKind.FAILED


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "error",
                    "type",
                    "code",
                    "message",
                    "details",
                    "violations",
                    "quotaId",
                    "retryDelay",
                    "resets_at",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
)


@given(
    st.sampled_from(list(WireFormat)),
    st.sampled_from([0, 200, 400, 401, 429, 500, 503, 529, 999]),
    st.dictionaries(
        st.sampled_from(
            [
                "retry-after",
                "retry-after-ms",
                "anthropic-ratelimit-unified-reset",
                "anthropic-ratelimit-unified-status",
            ]
        ),
        st.sampled_from(
            ["rejected", "nan", "inf", "-1", "1e400", "9" * 5_000, "٣", "Sat, 99 Nov 2026 20:00:30 GMT", ""]
        ),
    ),
    VALUES,
)
def test_nothing_that_a_provider_sends_raises(
    wire_format: WireFormat, status: int, headers: dict[str, str], body: Any
) -> None:
    found = refusal_of(wire_format, status, headers, json.dumps(body).encode(), NOW)
    assert found.retry_after_seconds is None or 0 <= found.retry_after_seconds <= LONGEST.total_seconds()
    assert found.until is None or NOW <= found.until <= NOW + LONGEST
    assert len(found.message) <= 500

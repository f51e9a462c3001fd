from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from core.agents.faults import closing_limit, fault_of, hidden_fault, request_fault
from core.agents.turn import TurnKind

NOW = datetime(2026, 11, 21, 14, 0, tzinfo=UTC)
RESET = int((NOW + timedelta(hours=3)).timestamp())


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("exceeded retry limit, last status: 429 Too Many Requests", TurnKind.FAILED),
        ("API Error: 500 overloaded", TurnKind.FAILED),
        ("stream disconnected before completion", TurnKind.FAILED),
        ("Model metadata for `fake-1` not found.\nexceeded retry limit, last status: 429", TurnKind.FAILED),
        ("I look.\nAPI Error (Request timed out.)", TurnKind.FAILED),
        ("error sending request for url (http://127.0.0.1:1/v1/responses)", TurnKind.FAILED),
        ("Rate limit reached for requests. Please try again in 20s.", TurnKind.FAILED),
        ("You've hit your rate limit. Try again in 20 s.", TurnKind.FAILED),
        ("429 RESOURCE_EXHAUSTED: exceeded your current quota. Please retry in 34.07s.", TurnKind.FAILED),
        ("unexpected status 401 Unauthorized: invalid api key", TurnKind.BLOCKED),
        ("Not logged in · Please run /login", TurnKind.BLOCKED),
        ("insufficient_quota: You exceeded your current quota", TurnKind.BLOCKED),
        ("Your credit balance is too low to access the API", TurnKind.BLOCKED),
        ("You've hit your usage limit. Try again at 5 pm.", TurnKind.LIMITED),
        ("Usage limit reached, try again in 20 s", TurnKind.LIMITED),
        ("5-hour limit reached ∙ resets 3pm (UTC)", TurnKind.LIMITED),
        ("Free allocated quota exceeded.", TurnKind.LIMITED),
        ("API Error: 429 rate limit, Retry-After: 7200", TurnKind.LIMITED),
    ],
)
def test_errors_in_closing_words_are_recognised(text, kind):
    fault = hidden_fault("codex", text, NOW)

    assert fault is not None
    assert fault.kind is kind
    assert fault.error.startswith("codex ")
    assert fault.hint


@pytest.mark.parametrize(
    "text",
    ["", "I added the login form.", "The 404 page now has 500 words.", "x" * 3000 + " API Error: 500"],
)
def test_ordinary_answers_are_not(text):
    assert hidden_fault("codex", text, NOW) is None


def test_a_limit_carries_the_time_of_its_reset():
    assert fault_of("claude", f"Claude AI usage limit reached|{RESET}", NOW).until == NOW + timedelta(hours=3)
    assert fault_of("claude", "Claude AI usage limit reached", NOW).until is None


@pytest.mark.parametrize(
    ("text", "limited"),
    [
        (f"I wrote half of it.\nClaude AI usage limit reached|{RESET}", True),
        ("[replay] You've hit your session limit · resets 5pm (UTC)", True),
        ("Claude AI usage limit reached", False),  # without a time it may be anything
        ("I added a test that says: usage limit reached, resets 5pm", False),
        ("You've hit your usage limit · resets 5pm (UTC)\nThat is what the page says now.", False),
        ("You have reached your goal; the limit resets at 5pm.", False),
        ("", False),
    ],
)
def test_after_work_only_a_providers_own_last_line_is_a_limit(text, limited):
    assert (closing_limit("claude", text, NOW) is not None) is limited


def test_a_json_rpc_error_keeps_its_details():
    fault = request_fault("claude", -32603, "Internal error", {"details": "API Error: 400 bad model"}, NOW)

    assert "API Error: 400 bad model (code -32603)" in fault.error
    assert fault.kind is TurnKind.FAILED
    login = request_fault("claude", -32000, "Authentication required", None, NOW)
    assert login.kind is TurnKind.BLOCKED


@pytest.mark.parametrize(
    ("message", "data", "until"),
    [
        ("The usage limit has been reached", {"resets_in_seconds": 3600}, timedelta(hours=1)),
        (
            "Internal error",
            {"error": {"type": "usage_limit_reached", "resets_at": RESET}},
            timedelta(hours=3),
        ),
        ("Rate limited", {"code": 429, "message": "rate limit", "retryAfter": 7200}, timedelta(hours=2)),
        ("Internal error", {"details": f"Claude AI usage limit reached|{RESET}"}, timedelta(hours=3)),
        ("usage limit", ["a", {"Retry-After": "3600"}], timedelta(hours=1)),
        ("usage limit", 5, None),
    ],
)
def test_a_json_rpc_error_can_carry_a_limit(message, data, until):
    fault = request_fault("codex", -32603, message, data, NOW)

    assert fault.kind is TurnKind.LIMITED
    assert fault.until == (None if until is None else NOW + until)
    assert len(fault.error) < 700


def test_a_short_rate_limit_in_a_json_rpc_error_is_a_failure():
    data = {"status": 429, "headers": {"retry-after": "20"}}

    assert request_fault("opencode", -32603, "Too Many Requests", data, NOW).kind is TurnKind.FAILED

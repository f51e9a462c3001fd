from __future__ import annotations

import pytest

from core.agents.faults import hidden_fault, request_fault


@pytest.mark.parametrize(
    ("text", "blocked"),
    [
        ("exceeded retry limit, last status: 429 Too Many Requests", False),
        ("API Error: 500 overloaded", False),
        ("stream disconnected before completion", False),
        ("unexpected status 401 Unauthorized: invalid api key", True),
        ("Not logged in · Please run /login", True),
        ("You've hit your usage limit. Try again at 5 pm.", True),
        ("insufficient_quota: You exceeded your current quota", True),
    ],
)
def test_errors_in_closing_words_are_recognised(text, blocked):
    fault = hidden_fault("codex", text)

    assert fault is not None
    assert fault.blocked is blocked
    assert fault.error.startswith("codex ")
    assert fault.hint


@pytest.mark.parametrize(
    "text",
    ["", "I added the login form.", "The 404 page now has 500 words.", "x" * 3000 + " API Error: 500"],
)
def test_ordinary_answers_are_not(text):
    assert hidden_fault("codex", text) is None


def test_a_json_rpc_error_keeps_its_details():
    fault = request_fault("claude", -32603, "Internal error", {"details": "API Error: 400 bad model"})

    assert "API Error: 400 bad model (code -32603)" in fault.error
    assert not fault.blocked
    assert request_fault("claude", -32000, "Authentication required", None).blocked

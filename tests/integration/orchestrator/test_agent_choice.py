"""Which agent works: by role, and another one where it cannot be started; said where people look."""

from __future__ import annotations

import re

import pytest

from core.domain.event import EventKind
from tests.waiting import until

pytestmark = pytest.mark.timeout(120)  # many things in a row, on a machine that may be busy

TESTER = """
printf 'from multiply import multiply\\n\\n\\ndef test_multiply():\\n    assert multiply(6, 2) == 12\\n' \\
  > tests/test_multiply.py
"""


async def test_roles_have_their_agents_and_a_fallback_takes_what_one_cannot_start(quick_farm, tmp_path):
    """A plain command writes the tests; the coder exits at once, twice, and no attempt is used up by it."""
    tester = tmp_path / "tester.sh"
    tester.write_text(TESTER)
    quick_farm.add("calc")
    quick_farm.agents = {
        "tester": {
            "kind": "command",
            "argv": ["/bin/sh", str(tester), "{prompt_file}"],
            "read_only_paths": [str(tester)],
        },
        "broken": {"argv": ["/bin/false"]},
        "absent": {"argv": ["/no/such/agent"]},
    }
    quick_farm.settings = {
        "agent": "broken",
        "agents_by_role": {"qa": "tester"},
        "agent_fallbacks": ["absent", "replay"],
        "ai_settings": {"max_auto_retry": 0},
    }
    async with quick_farm.running() as orchard:
        await orchard.sprint("calc", "Multiply")
        await orchard.until(EventKind.PHASE_STARTED, phase="refactor")
        events = await orchard.runtime.commands.events(after=0, limit=1000)
    started = [
        (event.data["phase"], event.data["attempt"], event.data["agent"])
        for event in events
        if event.kind is EventKind.PHASE_STARTED and event.data["phase"] not in ("design", "commit")
    ]
    failed = [event for event in events if event.kind is EventKind.AGENT_FAILED]
    assert started == [
        ("test_red", 1, "tester"),
        ("code_green", 1, "broken"),
        ("code_green", 1, "broken"),
        ("code_green", 1, "replay"),
        ("refactor", 1, "replay"),  # it keeps its agent while its conversation goes on
    ]
    assert [(event.data["agent"], event.data["began"]) for event in failed] == [("broken", False)] * 2
    whys = [event.data["why"] for event in events if event.data.get("why")]
    assert whys[0] == (
        "replay works in place of broken: broken could not be started 2 times; absent is not installed."
    )
    assert "goes on with the conversation that it began in place of broken" in whys[1]


async def test_a_story_that_waits_after_a_failure_says_what_failed_and_no_key(quick_farm):
    quick_farm.add("calc")
    quick_farm.agents = {
        "broken": {
            "argv": ["/bin/sh", "-c", "echo no entry with $TOKEN_KEY >&2; exit 3"],
            "environment": {"TOKEN_KEY": "sk-very-secret-0123456789"},
            "key_variables": ["TOKEN_KEY"],
        }
    }
    quick_farm.settings = {"agent": "broken", "ai_settings": {"max_auto_retry": 4}}
    async with quick_farm.running() as orchard:
        await orchard.sprint("calc", "Multiply")

        async def waits_again() -> str:  # for 2, 10, 30 and 30 s
            said = (await orchard.runtime.commands.why("calc-1")).sentence
            return said if "the agent failed" in said else ""

        sentence = await until(waits_again)
    assert "the agent failed (broken exited with code 3 before its turn began" in sentence
    assert re.search(r"\), attempt [2-5] comes; next in \d+ s\.$", sentence)
    assert "sk-very-secret" not in sentence


async def test_an_agent_that_nobody_can_start_blocks_the_story_after_its_attempts(quick_farm):
    quick_farm.add("calc")
    quick_farm.agents = {"broken": {"argv": ["/bin/false"]}, "worse": {"argv": ["/bin/false"]}}
    quick_farm.settings = {
        "agent": "broken",
        "agent_fallbacks": ["worse"],
        "ai_settings": {"max_auto_retry": 0},
    }
    async with quick_farm.running() as orchard:
        await orchard.sprint("calc", "Multiply")
        blocked = await orchard.until(EventKind.STORY_BLOCKED)
        events = await orchard.runtime.commands.events(after=0, limit=1000)
    failed = [event.data["agent"] for event in events if event.kind is EventKind.AGENT_FAILED]
    assert failed == ["broken", "broken", "worse", "worse"]
    assert "exited with code 1 before its turn began" in blocked.data["reason"]

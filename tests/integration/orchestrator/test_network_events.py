"""A whole story at level network: what its agents were refused and had is told by events."""

from __future__ import annotations

from typing import Any

import pytest

from core.domain.event import EventKind
from core.isolation.machine import probe_machine
from core.isolation.plan import Level
from core.store import events
from tests.waiting import until

pytestmark = pytest.mark.timeout(120)  # many things in a row, on a machine that may be busy

# Asks for what no rule names, then is the replay agent.
_AGENT = """
import os, sys, urllib.request
try:
    urllib.request.urlopen("http://evil.example/", timeout=30)
except OSError:
    pass
os.execv(sys.executable, [sys.executable, "-I", *sys.argv[1:]])
"""


_KINDS = (EventKind.NETWORK_DENIED, EventKind.NETWORK_USED)


@pytest.mark.bwrap
async def test_refusals_and_bytes_of_a_merged_story_are_events(quick_farm: Any) -> None:
    machine = await probe_machine()
    if Level.NETWORK not in machine.levels:
        pytest.skip(machine.reasons[Level.NETWORK])
    quick_farm.add("calc")
    quick_farm.settings["isolation"] = "network"
    quick_farm.agent_row = {"argv": ["{python}", "-I", "-c", _AGENT, "{replay}", "--script", "{script}"]}
    async with quick_farm.running() as orchard:
        (story,) = await orchard.sprint("calc", "Multiply")
        ended = await orchard.until(EventKind.STORY_MERGED, EventKind.STORY_BLOCKED)
        assert ended.kind is EventKind.STORY_MERGED, ended.data
        store, commands = orchard.runtime.store, orchard.runtime.commands

        async def all_told() -> Any:
            found = await store.read(lambda conn: events.since(conn, 0, kinds=_KINDS))
            return found if sum(event.kind is EventKind.NETWORK_USED for event in found) >= 3 else None

        told = await until(all_told)
        used = [event for event in told if event.kind is EventKind.NETWORK_USED]
        audited = [row for row in await commands.audit_entries(500) if row.kind == "egress_denied"]
        verdict = await commands.verify_audit()
    denied = [event for event in told if event.kind is EventKind.NETWORK_DENIED]
    assert {(event.project, event.story_id) for event in (*denied, *used)} == {("calc", story)}
    assert {event.data["host"] for event in denied} == {"evil.example"}
    assert {event.data["phase"] for event in denied} == {"test_red", "code_green", "refactor"}
    assert verdict.sound
    assert [(row.project, row.subject, row.data["host"], row.data["phase"]) for row in audited] == [
        ("calc", story, "evil.example", event.data["phase"]) for event in denied
    ]
    assert "Add 'evil.example:80'" in denied[0].data["text"]
    assert {event.data["denied"] for event in used} == {1}

"""What an agent was not let do is told at the end, and in portions while it goes on."""

from __future__ import annotations

from core.domain.lifecycles import Phase
from core.domain.refused_call import RefusedCall
from core.worker import refused_calls as module
from core.worker.contract import CallsRefused
from core.worker.refused_calls import RefusedCalls


class Told:
    def __init__(self) -> None:
        self.counts: list[dict[str, int]] = []

    async def calls_refused(self, refused: CallsRefused) -> None:
        self.counts.append(dict(refused.refused))


async def test_each_is_told_once(monkeypatch) -> None:
    told = Told()
    calls = RefusedCalls(tell=told, story_id="shop-1", phase=Phase.DESIGN, generation=1)  # type: ignore[arg-type]
    await calls.end()
    monkeypatch.setattr(module, "_SECONDS", 1e9)
    for refused in (RefusedCall.RIGHTS, RefusedCall.RIGHTS, RefusedCall.PEOPLE):
        await calls.add(refused)
    assert told.counts == []
    await calls.end()
    await calls.end()
    monkeypatch.setattr(module, "_SECONDS", 0.0)
    await calls.add(RefusedCall.COMMAND)
    assert told.counts == [{"rights": 2, "people": 1}, {"command": 1}]

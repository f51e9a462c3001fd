"""The strategy in force, loaded from where people keep their own."""

import gc
from dataclasses import replace
from pathlib import Path

from core.orchestrator.scheduling.deciding import asked
from core.orchestrator.scheduling.strategist import Strategist, asked_once
from core.scheduler.decision import Decision
from core.scheduler.snapshot import Snapshot
from tests.oracles.instances import project, snapshot, started

WORLD = snapshot({"slots": 4}, project("a", {"slots": 1}, 9), project("b", {"slots": 1}, 9))
OURS = """
from core.scheduler.strategy import SchedulingStrategy


class Ours(SchedulingStrategy):
    def calculate_allocation(self, projects, total_resources):
        return {"b": {"agents": 3}}
"""


async def test_one_beside_the_configuration_decides(tmp_path: Path) -> None:
    (tmp_path / "ours_beside.py").write_text(OURS)
    strategist = Strategist("fair_share", tmp_path)
    try:
        verdict = await strategist.decide("ours_beside:Ours", WORLD)
    finally:
        await strategist.close()
    assert (verdict.refused, started(verdict.decision)) == ("", {"b": 3})


def test_one_that_is_only_asked_about_is_found_there_too(tmp_path: Path) -> None:
    (tmp_path / "ours_beside.py").write_text(OURS)
    verdict = asked_once("ours_beside:Ours", WORLD, tmp_path)
    assert (verdict.refused, started(verdict.decision)) == ("", {"b": 3})


class Watching:
    """Notes whether garbage is collected while it decides, and fails at it."""

    name = "watching"
    collected: bool | None = None

    def decide(self, snapshot: Snapshot) -> Decision:
        self.collected = gc.isenabled()
        raise ArithmeticError("on purpose")


def test_the_garbage_collector_pauses_for_a_large_pass_and_goes_on_whatever_happens() -> None:
    few, many = Watching(), Watching()
    assert len(asked(few, WORLD).decision.starts) == 4
    crowd = [replace(WORLD.projects[0], name=f"p{at}", waiting=()) for at in range(1000)]
    assert asked(many, replace(WORLD, projects=tuple(crowd))).refused
    assert (few.collected, many.collected, gc.isenabled()) == (True, False, True)

"""The strategy in force, loaded from where people keep their own."""

from pathlib import Path

from core.orchestrator.scheduling.strategist import Strategist, asked_once
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

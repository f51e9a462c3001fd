"""What docs/scheduling.md shows can be done."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bot.cli.simulation import Wish, simulate
from config.loader import load
from core.scheduler.simulation.scenarios import MEANINGS

PAGE = (Path(__file__).parents[4] / "docs" / "scheduling.md").read_text(encoding="utf-8")


def block(language: str, containing: str) -> str:
    [found] = [
        code for code in re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL) if containing in code
    ]
    return str(found)


async def test_the_strategy_shown_works_as_it_stands(tmp_path: Path) -> None:
    (tmp_path / "fewest.py").write_text(block("python", "FewestFirst"))
    wish = Wish(strategies=("fewest:FewestFirst",), projects=6, days=0.3, scenario="flood")
    found = await simulate(tmp_path, wish)
    assert found.outcomes[0].problems == ()
    assert found.outcomes[0].phases > 0


@pytest.mark.parametrize("containing", ["work_hours", "fewest:FewestFirst"])
def test_settings_shown_are_settings(tmp_path: Path, containing: str) -> None:
    (tmp_path / "orch-config.yaml").write_text(block("yaml", containing))
    found = load(tmp_path, environ={"HOME": str(tmp_path)})
    assert not found.broken
    assert not found.not_in_force


def test_each_scenario_is_told() -> None:
    for scenario, meaning in MEANINGS.items():
        assert f"| `{scenario}` | {meaning} |" in PAGE

"""What doctor says of shares: a strategy of one's own is really loaded and asked."""

from __future__ import annotations

import pytest

from bot.cli.sharecheck import check_shares
from config.loader import load

GOOD = """\
from core.scheduler.strategy import SchedulingStrategy

class Mine(SchedulingStrategy):
    def calculate_allocation(self, projects, total_resources):
        part = total_resources["agents"] / len(projects)
        return {project["name"]: {"agents": part} for project in projects}

class Greedy(SchedulingStrategy):
    def calculate_allocation(self, projects, total_resources):
        return {project["name"]: {"agents": 1000.0} for project in projects}
"""


@pytest.fixture
def checks(tmp_path):
    async def look(settings):
        (tmp_path / "team_rules.py").write_text(GOOD)
        (tmp_path / "orch-config.yaml").write_text(settings)
        return {each.name: each for each in await check_shares(load(tmp_path, environ={}))}

    return look


def chosen(strategy):
    return f"global: {{resource_allocation_strategy: '{strategy}'}}\n"


async def test_one_of_ours_is_fine(checks):
    assert (await checks(chosen("dynamic")))["strategy"].state == "ok"


async def test_one_of_the_folder_s_own_is_loaded_and_asked(checks):
    check = (await checks(chosen("team_rules:Mine")))["strategy"]
    assert (check.state, check.found) == ("ok", "team_rules:Mine, loaded and asked about two projects")


@pytest.mark.parametrize(
    ("strategy", "why"),
    [
        ("no_such_module:Mine", "no_such_module"),
        ("team_rules:Theirs", "Theirs"),
        ("team_rules:Greedy", "refused"),
    ],
)
async def test_one_that_cannot_be_used_says_why_and_what_decides_meanwhile(checks, strategy, why):
    check = (await checks(chosen(strategy)))["strategy"]
    assert check.state == "missing"
    assert why in check.found
    assert "Until it is right, shares are fair." in check.mend


async def test_an_agent_that_needs_more_than_there_is_can_never_start(checks):
    found = await checks(
        "global: {global_memory_limit_gb: 0.5}\nprojects: {shop: {path: shop}, small: {path: small, "
        "resource_limits: {agent_memory_mb: 128}}}\n"
    )
    assert found["shop"].found == "each agent is counted with 1024 MB of memory, and all have 512 MB"
    assert "projects.shop.resource_limits.agent_memory_mb" in found["shop"].mend
    assert "small" not in found

"""What differs between two readings of the settings."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from config.settings import ProjectSettings, Settings
from core.orchestrator.settings_diff import differences


def settings(token=None, agents=None, projects=None, **general):
    made = {
        name: ProjectSettings.model_validate({"name": name, "path": Path("/srv") / name, **keys})
        for name, keys in (projects or {}).items()
    }
    return Settings.model_validate(
        {
            "global": general,
            "projects": made,
            "agents": agents or {},
            "discord_token": SecretStr(token) if token else None,
        }
    )


SHOP = {"shop": {}}


def test_nothing_differs_from_itself():
    assert differences(settings(projects=SHOP), settings(projects=SHOP)) == ((), ())


@pytest.mark.parametrize(
    ("before", "after", "line"),
    [
        ({"max_total_agents": 20}, {"max_total_agents": 10}, "global.max_total_agents: 20 → 10"),
        ({}, {"shared_resources": {"db": 2}}, "global.shared_resources.db: none → 2"),
        (
            {"projects": SHOP},
            {"projects": {"shop": {"resource_limits": {"cpu_priority": 2.5}}}},
            "projects.shop.resource_limits.cpu_priority: 1 → 2.5",
        ),
        (
            {"projects": SHOP},
            {"projects": {"shop": {"work_hours": {"timezone": "UTC"}}}},
            "projects.shop.work_hours: none → timezone UTC, start 09:00:00, end 17:00:00, days monday, "
            "tuesday, wednesday, thursday, friday",
        ),
        ({"projects": SHOP}, {"projects": {"shop": {"agent": "a"}}}, "projects.shop.agent: none → a"),
        ({"projects": SHOP}, {}, "projects.shop: taken out"),
        ({}, {"projects": SHOP}, "projects.shop: added"),
    ],
)
def test_what_is_in_force_at_once_is_told_with_its_key(before, after, line):
    assert differences(settings(**before), settings(**after)) == ((line,), ())


@pytest.mark.parametrize(
    ("before", "after", "line"),
    [
        ({}, {"lease_seconds": 90.0}, "global.lease_seconds: 60 → 90 (after a restart)"),
        ({}, {"discord": {"category": "Bots"}}, "global.discord.category: Orchard → Bots (after a restart)"),
        ({}, {"global_discord_guild": 5}, "global.global_discord_guild: none → 5 (after a restart)"),
        (
            {"projects": SHOP},
            {"projects": {"shop": {"status": "paused"}}},
            "projects.shop.status: active → paused (only when a project is first seen)",
        ),
    ],
)
def test_what_takes_effect_later_says_when(before, after, line):
    assert differences(settings(**before), settings(**after)) == ((), (line,))


def test_secrets_are_named_and_not_shown():
    old = settings(token="first-token", agents={"mine": {"env": {"KEY": "old-key"}}})
    new = settings(token="second-token", agents={"mine": {"env": {"KEY": "new-key"}}})
    assert differences(old, new) == (("agents.mine changed",), ("DISCORD_TOKEN changed (after a restart)",))

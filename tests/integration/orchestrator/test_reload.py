"""Settings that change while Orchard runs: taken up without a restart, or told and left."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.domain.event import EventKind
from core.errors import InvalidInput, NotAllowed
from tests.waiting import until

pytestmark = pytest.mark.timeout(120)  # many things in a row, on a machine that may be busy


@pytest.fixture
def farm(quick_farm):
    return quick_farm


@pytest.fixture
async def orchard(farm):
    farm.add("calc")
    async with farm.running() as running:
        yield running


async def test_a_changed_file_is_taken_up_by_itself(farm, orchard):
    """Also a project that it newly names; a broken one is told, and mended again."""
    runtime = orchard.runtime
    before = await last(runtime)
    farm.global_settings["max_total_agents"] = 7
    farm.add("bank")
    farm.write()
    event = await orchard.until(EventKind.PROJECT_REGISTERED, after=before)
    assert event.project == "bank"
    assert runtime.configuration().settings.global_.max_total_agents == 7

    file = farm.root / "orch-config.yaml"
    file.write_text("global: {max_total_agents: none of them}\n")

    async def refused():
        return (await runtime.commands.system()).refused_settings

    await until(refused)
    assert "orch-config.yaml:1:" in await refused()
    assert "global.max_total_agents" in await refused()
    assert runtime.configuration().settings.global_.max_total_agents == 7
    assert set(runtime.configuration().settings.projects) == {"calc", "bank"}
    farm.write()

    async def mended():
        return not await refused()

    await until(mended)


async def last(runtime):
    events = await runtime.commands.events(limit=1000)
    return events[-1].seq if events else 0


async def test_reading_anew_says_what_is_different(farm, orchard):
    commands = orchard.runtime.commands
    assert (await commands.reload_settings(actor="cli")).changed == ()
    farm.global_settings |= {"max_total_agents": 7, "lease_seconds": 90}
    farm.own_settings["calc"] = {"resource_limits": {"cpu_priority": 3}}
    farm.write()
    told = await commands.reload_settings(actor="cli")
    assert {
        "global.max_total_agents: 20 → 7",
        "projects.calc.resource_limits.cpu_priority: 1 → 3",
    } <= set(told.changed)
    assert told.later == ("global.lease_seconds: 60 → 90 (after a restart)",)
    assert told.problems == ()


async def test_what_cannot_be_accepted_changes_nothing(farm, orchard):
    commands, before = orchard.runtime.commands, orchard.runtime.configuration()
    farm.own_settings["calc"] = {"shared_resources": {"staging-db": 1}}
    farm.write()
    with pytest.raises(InvalidInput, match="no shared resource 'staging-db'"):
        await commands.reload_settings(actor="cli")
    farm.own_settings.clear()
    farm.global_settings["global_state_path"] = "elsewhere"
    farm.write()
    with pytest.raises(NotAllowed, match="another global_state_path"):
        await commands.reload_settings(actor="cli")
    assert orchard.runtime.configuration() is before


async def test_a_project_whose_own_file_went_bad_keeps_its_settings_and_is_told_once(farm, orchard):
    commands = orchard.runtime.commands
    start = await last(orchard.runtime)
    own = farm.projects["calc"] / ".orch-state" / "config.yaml"
    own.parent.mkdir(exist_ok=True)
    own.write_text("resource_limits: {cpu_priority: 100}\n")
    [problem] = (await commands.reload_settings(actor="cli")).problems
    assert "resource_limits.cpu_priority: is not the project's own to set" in problem
    await commands.reload_settings(actor="cli")
    told = [
        event
        for event in await commands.events(after=start, limit=1000)
        if event.kind is EventKind.PROJECT_UNAVAILABLE
    ]
    assert [event.data["project"] for event in told] == ["calc"]
    settings = orchard.runtime.configuration().settings.projects["calc"]
    assert settings.resource_limits.cpu_priority == 1


async def test_limits_of_what_lives_follow_at_once(farm, orchard):
    commands = orchard.runtime.commands
    await commands.start_project("calc", actor="cli")
    pid = (await commands.project("calc")).worker.pid
    limit = memory_limit(pid)
    if limit is None:
        pytest.skip("this machine holds memory by a watchdog: there is no figure to look at")
    assert int(limit.read_text()) == 4096 << 20
    farm.own_settings["calc"] = {"resource_limits": {"max_memory_mb": 2048}}
    farm.write()
    await commands.reload_settings(actor="cli")
    assert int(limit.read_text()) == 2048 << 20


def memory_limit(pid):
    """The file of the limit that a process is held to by its control group; None: there is none."""
    for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        _, controllers, place = line.split(":", 2)
        for file in (
            Path(f"/sys/fs/cgroup/{controllers or ''}{place}/memory.max"),
            Path(f"/sys/fs/cgroup/memory{place}/memory.limit_in_bytes"),
        ):
            if (controllers in ("", "memory")) and file.exists() and "orchard" in str(file):
                return file
    return None

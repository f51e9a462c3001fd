"""Whether what the settings say of shares works here: the strategy, an agent's memory on this machine."""

from __future__ import annotations

import asyncio
from pathlib import Path

from bot.cli.findings import Check
from config.loader import Configuration
from config.settings import ProjectSettings
from core.errors import OrchardError
from core.monitoring.machine import read_machine
from core.orchestrator.scheduling.demand import terms_of
from core.orchestrator.scheduling.pressure import MEMORY_PART
from core.scheduler.builtin import BUILT_IN
from core.scheduler.custom import CustomStrategy
from core.scheduler.resources import Resources
from core.scheduler.snapshot import ProjectShare, Snapshot, Task
from core.scheduler.soundness import make_sound


async def check_shares(configuration: Configuration) -> list[Check]:
    """A strategy of one's own is loaded, and asked once about two projects, in a process of its own."""
    name = configuration.settings.global_.resource_allocation_strategy
    return [await asyncio.to_thread(_strategy, name, configuration.root), *_memory(configuration)]


def _strategy(name: str, root: Path) -> Check:
    if name in BUILT_IN:
        return Check(name="strategy", state="ok", found=name)
    strategy = CustomStrategy(name, folder=root)
    try:
        strategy.ask(make_sound(_example()).snapshot)
    except OrchardError as error:
        return Check(
            name="strategy",
            state="missing",
            found=str(error),
            mend="Until it is right, shares are fair. Mend it, or set global.resource_allocation_strategy to "
            f"one of {', '.join(BUILT_IN)}.",
        )
    finally:
        strategy.close()
    return Check(name="strategy", state="ok", found=f"{name}, loaded and asked about two projects")


def _example() -> Snapshot:
    """Two projects that want more than there is."""
    phase = Resources(agents=1.0, cycles=1.0, cpu=0.1, memory_mb=256.0, disk_mb=1.0)
    return Snapshot(
        now=0.0,
        capacity=Resources.of({"agents": 4, "cpu": 2, "memory_mb": 4096, "disk_mb": 10240}, float("inf")),
        projects=tuple(
            ProjectShare(
                name=name, waiting=tuple(Task(id=f"{name}-{at}", demand=phase) for at in range(1, 6))
            )
            for name in ("first", "second")
        ),
    )


def _memory(configuration: Configuration) -> list[Check]:
    """Projects of which no agent could ever start here: one is counted with more memory than there is."""
    reading = read_machine(configuration.state_path)
    ceiling = configuration.settings.global_.global_memory_limit_gb
    there = MEMORY_PART * reading.memory_total_mb
    most = there if ceiling is None else min(there, ceiling * 1024)
    return [
        Check(
            name=name,
            state="missing",
            found=f"each agent is counted with {wanted:.0f} MB of memory, and all have {most:.0f} MB",
            mend=f"Set projects.{name}.resource_limits.agent_memory_mb to what an agent really takes.",
        )
        for name, settings in configuration.settings.projects.items()
        if (wanted := _agent_memory(name, settings)) > most
    ]


def _agent_memory(name: str, settings: ProjectSettings) -> float:
    return terms_of(name, settings.resource_limits).phase.memory_mb

"""By what this machine can hold a project to its limits, found by trying, and said in words."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from core.isolation.cgroup import Home, homes
from core.isolation.cgroup_fence import CgroupFence
from core.isolation.cgroup_ground import Ground
from core.isolation.limits import Enforcement, Means, ProjectLimits, Resource

_TRIAL_SECONDS = 20.0
_TRIAL = ProjectLimits(memory_mb=512, cpu_weight=1, cpu_cores=1, processes=64)
_CONTROLLERS = {Resource.MEMORY: "memory", Resource.CPU: "cpu", Resource.PROCESSES: "pids"}
_INSTEAD = {
    Resource.MEMORY: "the largest process of a project is ended at the next look",
    Resource.CPU: "weights are niceness, process by process; there is no quota",
    Resource.PROCESSES: "the newest processes of a project are ended at the next look",
}


def probe_enforcement() -> tuple[Enforcement, ...]:
    """As `make_ground` finds it. Blocking, about 50 ms; nothing stays behind."""
    ground = make_ground(homes())
    try:
        return enforcement_of(ground)
    finally:
        ground.remove()


def make_ground(places: Mapping[str, Home]) -> Ground:
    """A ground that was tried: the groups of a trial project made, its limits set, a program started inside.

    What cannot be used is not in it, and its `reasons` say why. Blocking.
    """
    ground = Ground.make(places)
    if not ground.parts:
        return ground
    groups = CgroupFence(ground.folders("trial"))
    reason = _why_not(groups)
    groups.remove()
    if not reason:
        return ground
    ground.remove()
    return Ground(name=ground.name, reasons=dict.fromkeys(_CONTROLLERS.values(), reason))


def _why_not(groups: CgroupFence) -> str:
    entry = json.dumps({"join": list(groups.joins)})
    enter = str(Path(__file__).with_name("enter.py"))
    try:
        groups.make()
        if problems := groups.apply(_TRIAL):
            return problems[0]
        done = subprocess.run(
            [sys.executable, "-I", "-S", enter, entry, "--", "true"],
            capture_output=True,
            text=True,
            timeout=_TRIAL_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"a trial group cannot be used: {error}"
    return "" if done.returncode == 0 else f"a program cannot enter a trial group: {done.stderr.strip()}"


def enforcement_of(ground: Ground) -> tuple[Enforcement, ...]:
    """What `ground` has come to, for each resource."""
    found = []
    for resource, controller in _CONTROLLERS.items():
        part, reason = ground.parts.get(controller), ground.reasons.get(controller, "")
        if part is None:
            reason = reason or "this system has no cgroups"
            found.append(
                Enforcement(resource=resource, means=Means.WATCHDOG, why=f"{reason}; {_INSTEAD[resource]}")
            )
        else:
            means = Means.CGROUP2 if part.version == 2 else Means.CGROUP1
            found.append(Enforcement(resource=resource, means=means, why=reason))
    disk = "counted each minute; over it, no new phase starts"
    return (*found, Enforcement(resource=Resource.DISK, means=Means.WATCHDOG, why=disk))

"""What a project as a whole may use, what it does use, and what was done when that was too much. PURE.

`plan.Limits` are of one program; these are of all that a project runs: its worker, agents, test runs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from core.errors import InvalidInput

PERIOD_US = 100_000  # of the processor quota: the kernel's own default
_NICE_OF_ONE = 10  # weight 1; an ordinary user can make processes nicer, not less nice than 0
_NICE_STEP = 1.25  # a processor share changes by this factor with each step of nice (sched(7))
_NICEST = 19


class Resource(StrEnum):
    MEMORY = "memory"
    CPU = "cpu"
    PROCESSES = "processes"
    DISK = "disk"


class Means(StrEnum):
    """By what a limit is held, from the strongest."""

    CGROUP2 = "cgroup v2"  # by the kernel, at once
    CGROUP1 = "cgroup v1"  # likewise
    WATCHDOG = "watchdog"  # by us, who look each second: what happens between two looks is not seen


@dataclass(frozen=True, slots=True, kw_only=True)
class Enforcement:
    """By what this machine holds projects to their limit of one resource, and why not by better, in words."""

    resource: Resource
    means: Means
    why: str = ""

    def __str__(self) -> str:
        return f"{self.resource}: {self.means}" + (f" ({self.why})" if self.why else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectLimits:
    """None is no limit. `cpu_weight` counts only while processors are short, against other projects'; 0.01 to
    100. `cpu_cores` is a hard quota. Raises InvalidInput for what is not a number above zero."""

    memory_mb: int | None = None
    cpu_weight: float = 1.0
    cpu_cores: float | None = None
    processes: int | None = None
    disk_mb: int | None = None

    def __post_init__(self) -> None:
        for name in ("memory_mb", "cpu_weight", "cpu_cores", "processes", "disk_mb"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise InvalidInput(f"{name} of a project cannot be {value}.", hint="It is a number above 0.")
        if not 0.01 <= self.cpu_weight <= 100:
            raise InvalidInput(f"cpu_weight of a project cannot be {self.cpu_weight:g}: 0.01 to 100.")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectUse:
    """Of all living processes of a project; `cpu_seconds` of the ended ones too. None: not known.

    `memory_mb` by a cgroup counts the files that it used lately in the kernel's cache, too.
    """

    memory_mb: float | None = None
    cpu_seconds: float | None = None
    processes: int | None = None
    disk_mb: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Breach:
    """A project went over a limit. `used` and `limit` are MB, or a count of processes.

    `ended` processes were killed for it, `pid` and `program` being the one that used most (`program_mb`).
    0 ended: of disk, no new phase should start; of processes, the kernel refused to start more.
    `above`: pids of what was ended for memory and of the processes above it, as they were last seen; empty
    when it came and went unseen.
    """

    project: str
    resource: Resource
    limit: float
    used: float
    ended: int = 0
    pid: int | None = None
    program: str = ""
    program_mb: float | None = None
    above: frozenset[int] = frozenset()

    def __str__(self) -> str:
        unit = "" if self.resource is Resource.PROCESSES else " MB"
        text = f"{self.project} used {self.used:.0f}{unit} of its {self.limit:.0f}{unit} of {self.resource}"
        if self.resource is Resource.PROCESSES:
            text = f"{self.project} had {self.used:.0f} processes and may have {self.limit:.0f}"
        if not self.ended:
            return f"{text}."
        if self.pid is None:
            return f"{text}: {'1 process was' if self.ended == 1 else f'{self.ended} processes were'} ended."
        size = "" if self.program_mb is None else f" with {self.program_mb:.0f} MB"
        others = f", and {self.ended - 1} more" if self.ended > 1 else ""
        return f"{text}: {self.program or 'a program'} (process {self.pid}){size} was ended{others}."


def nice_of(weight: float) -> int:
    """The niceness whose share is nearest to `weight`, weight 1 being nice 10: share = 1.25 ** -nice."""
    return max(0, min(_NICEST, round(_NICE_OF_ONE - math.log(weight, _NICE_STEP))))


def shares_of(weight: float) -> int:
    """For cgroup v1's `cpu.shares`: 1024 is weight 1; 2 to 262144."""
    return max(2, min(262144, round(weight * 1024)))


def weight_of(weight: float) -> int:
    """For cgroup v2's `cpu.weight`: 100 is weight 1; 1 to 10000."""
    return max(1, min(10000, round(weight * 100)))


def quota_of(cores: float | None) -> int | None:
    """Microseconds of processor time in `PERIOD_US`, at least the kernel's 1000; None: no quota."""
    return None if cores is None else max(1000, round(cores * PERIOD_US))

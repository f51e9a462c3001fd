"""What is measured: every metric by name, and the shapes of what was seen. PURE.

A sample says what was seen, when and by whom. What could not be seen has no sample: "no data" is never 0.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from core.domain.lifecycles import Phase
from core.domain.refused_call import RefusedCall

Labels = tuple[tuple[str, str], ...]  # name and value, in the order of the metric's own label names
Series = tuple[str, Labels]  # a metric's name and its labels


class MetricKind(StrEnum):
    GAUGE = "gauge"  # how it stands now
    COUNTER = "counter"  # how often since the store was made; a sample is the whole count
    OBSERVATION = "observation"  # one thing that happened and how long it took: a sample is the last of them


class Unit(StrEnum):
    """The base units of OpenMetrics."""

    NONE = ""
    SECONDS = "seconds"
    BYTES = "bytes"
    CORES = "cores"
    RATIO = "ratio"  # 0 to 1
    DOLLARS = "dollars"
    TOKENS = "tokens"


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """`name`: as people read and write it in rules, without prefix. `labels`: the names, `project` first."""

    name: str
    kind: MetricKind
    help: str
    unit: Unit = Unit.NONE
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """`source`: what saw it: "cgroup", "psutil", "events", "ledger", "loop", "store", "discord", "github"."""

    metric: str
    value: float
    at: datetime
    source: str
    labels: Labels = ()

    @property
    def series(self) -> Series:
        return self.metric, self.labels

    @property
    def project(self) -> str | None:
        return dict(self.labels).get("project")


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A span of one series: `at` is its beginning.

    Of a gauge, `count` looks whose values were `total` in sum. Of an observation, `count` things that took
    `total`. Of a counter, `total` is what it rose by in the span (in `count` steps, the smallest
    `minimum`, the largest `maximum`), and `last` the whole count at its end; a span in which it did not rise
    has no point.
    """

    at: datetime
    count: int
    total: float
    minimum: float
    maximum: float
    last: float

    @property
    def mean(self) -> float:
        return self.total / self.count


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """What a series comes to since the store was made. Of a counter, `total` is how often; of an observation,
    the sum of `count` of them. `buckets`: of an observation, by bound, how many were at most that and more
    than the bound before."""

    count: int = 0
    total: float = 0.0
    last: float = 0.0
    buckets: Mapping[float, int] = field(default_factory=dict)


def _project(name: str, help: str, kind: MetricKind, unit: Unit = Unit.NONE, *more: str) -> Metric:  # noqa: A002
    return Metric(name=name, kind=kind, help=help, unit=unit, labels=("project", *more))


_G, _C, _O = MetricKind.GAUGE, MetricKind.COUNTER, MetricKind.OBSERVATION

_ALL = (
    # A project's processes: its worker's whole tree.
    _project("project_cpu", "Processors that the project's processes use.", _G, Unit.CORES),
    _project("project_memory", "Memory of the project's processes.", _G, Unit.BYTES),
    _project("project_disk", "Disk that the project's worktrees and state take.", _G, Unit.BYTES),
    _project("project_disk_read", "Read from disks by its processes, a second.", _G, Unit.BYTES),
    _project("project_disk_written", "Written to disks by its processes, a second.", _G, Unit.BYTES),
    _project("project_network_sent", "Sent to the network by its sandboxes.", _C, Unit.BYTES),
    _project("project_network_received", "Received from the network by its sandboxes.", _C, Unit.BYTES),
    _project("project_processes", "Processes of the project.", _G),
    # Its work.
    _project("agents_running", "Agents at work: living programs.", _G),
    _project("cycles_running", "Stories whose cycle has begun and not ended.", _G),
    _project("stories_waiting", "Stories that could run and wait for a place.", _G),
    _project("queue_age", "How long the longest of them has waited.", _G, Unit.SECONDS),
    _project("queue_time", "From ready to started, of a run of a phase.", _O, Unit.SECONDS),
    _project("phase_duration", "Of a run of a phase, with its turn and its gate.", _O, Unit.SECONDS, "phase"),
    _project("cycle_time", "Of a story that was merged, from its first phase on.", _O, Unit.SECONDS),
    _project("approval_latency", "From a question to its answer.", _O, Unit.SECONDS),
    _project("approvals_pending", "Questions that wait for a person.", _G),
    _project("gate_failures", "Gates that refused.", _C, Unit.NONE, "phase"),
    _project("gates_passed", "Gates that passed.", _C, Unit.NONE, "phase"),
    _project("flaky_tests", "Tests that flipped when they were run again.", _C),
    _project("retries", "Phases that were tried again.", _C),
    _project("agent_failures", "Turns of agents that failed.", _C),
    _project(
        "tool_calls_refused",
        "What agents wanted to do and were not let: outside of their rights, a command that none may run, "
        "not allowed by people, or a crowd of questions.",
        _C,
        Unit.NONE,
        "reason",
    ),
    _project("stories_done", "Stories that were merged.", _C),
    _project("stories_failed", "Stories that were aborted or skipped.", _C),
    _project("stories_blocked", "Stories that wait for a person's help.", _G),
    _project("completion_rate", "Merged of all that ended, of the last 7 days.", _G, Unit.RATIO),
    _project("error_rate", "Failed of all phases that ended, of the last 24 hours.", _G, Unit.RATIO),
    _project("test_duration", "Of a test run by a gate.", _O, Unit.SECONDS),
    _project("build_duration", "Of making a project's environment.", _O, Unit.SECONDS),
    _project("tokens", "Tokens that were used.", _C, Unit.TOKENS),
    _project("cost", "Money that was spent.", _C, Unit.DOLLARS),
    _project("budget_used", "Of the nearest limit of its budget.", _G, Unit.RATIO),
    _project("share_used", "Processors that it uses, of what it was allocated.", _G, Unit.RATIO),
    _project("project_health", "0 to 1, of blocked stories, failures and what is short.", _G, Unit.RATIO),
    _project(
        "security_events", "Limits reached, hosts and secrets refused, ways out of a sandbox tried.", _C
    ),
    _project("github_rate_remaining", "Requests that GitHub still allows.", _G),
    # The system.
    Metric(name="machine_cpu", kind=_G, unit=Unit.RATIO, help="Of the machine's processors in use."),
    Metric(name="machine_memory_available", kind=_G, unit=Unit.BYTES, help="Memory that is free."),
    Metric(name="machine_disk_free", kind=_G, unit=Unit.BYTES, help="Disk that is free for the state."),
    Metric(name="machine_load", kind=_G, help="Load, mean of a minute."),
    Metric(name="control_cpu", kind=_G, unit=Unit.CORES, help="Processors that the control plane uses."),
    Metric(name="control_memory", kind=_G, unit=Unit.BYTES, help="Memory of the control plane."),
    Metric(name="loop_lag", kind=_G, unit=Unit.SECONDS, help="How late the event loop is, at worst."),
    Metric(name="store_latency", kind=_G, unit=Unit.SECONDS, help="Of a transaction, mean."),
    Metric(name="store_size", kind=_G, unit=Unit.BYTES, help="Of the store's file and its journal."),
    Metric(name="history_pending", kind=_G, help="Minutes of measurements that could not be stored yet."),
    Metric(name="outbox_pending", kind=_G, help="Posts that wait to be sent."),
    Metric(name="outbox_dead", kind=_G, help="Posts that were given up."),
    Metric(name="discord_latency", kind=_G, unit=Unit.SECONDS, help="Of Discord's gateway."),
    Metric(name="discord_rate_limited", kind=_C, help="Answers of Discord that said: too many."),
    Metric(name="projects_active", kind=_G, help="Projects that may work."),
    Metric(name="system_health", kind=_G, unit=Unit.RATIO, help="0 to 1, of all projects and the machine."),
    Metric(name="resource_efficiency", kind=_G, unit=Unit.RATIO, help="How much of what is given is used."),
    Metric(name="feed_listeners", kind=_G, help="Sockets of the live feed."),
    Metric(name="feed_slow", kind=_G, help="Those of them that take less than there is."),
    Metric(name="feed_dropped", kind=_C, help="Sockets that were dropped, since they took nothing."),
    Metric(name="logins_refused", kind=_C, help="Wrong passwords, codes and tokens."),
    Metric(name="access_refused", kind=_C, help="What somebody asked for and may not do."),
    Metric(name="tampering", kind=_C, help="The audit log or a secret was not as Orchard had left it."),
)
METRICS: Mapping[str, Metric] = {metric.name: metric for metric in _ALL}

LABEL_VALUES: Mapping[str, tuple[str, ...]] = {
    "phase": tuple(phase.value for phase in Phase),
    "reason": tuple(refused.value for refused in RefusedCall),
}
"""What a label may be, for those of which all values are known before."""

BOUNDS = (1.0, 5.0, 15.0, 30.0, 60.0, 150.0, 300.0, 600.0, 1800.0, 3600.0, 14400.0, 86400.0)
"""Seconds, as are all observations: how many of them took at most so long is counted for each."""


def bound_of(value: float) -> float | None:
    """The smallest bound that it does not exceed; None: it is above all."""
    place = bisect_left(BOUNDS, value)
    return BOUNDS[place] if place < len(BOUNDS) else None


def labels_of(metric: str, **values: str) -> Labels:
    """In the metric's own order. Raises KeyError for a metric or a label that there is not."""
    return tuple((name, values[name]) for name in METRICS[metric].labels)

"""The rules that are built in, and what makes a rule of what people say. PURE.

Thresholds are in the metric's base unit: seconds, bytes, dollars, 0 to 1 for a ratio.
"""

from __future__ import annotations

import string
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from core.domain.alert import Comparison, Route, Rule, Severity
from core.domain.metric import METRICS, MetricKind

PLACEHOLDERS = frozenset({"project", "labels", "value", "threshold", "usual"})
LONGEST_SPAN = 7 * 86400.0
LEARNED = (Comparison.ANOMALOUS, Comparison.SHIFTED)

_ABOVE, _BELOW, _ANOMALOUS, _SHIFTED = (
    Comparison.ABOVE,
    Comparison.BELOW,
    Comparison.ANOMALOUS,
    Comparison.SHIFTED,
)
_OUTWARD = (Route.WEBHOOK, Route.SLACK)
_OWN, _ALL = (Route.PROJECT, *_OUTWARD), (Route.GUILD, *_OUTWARD)
_MINUTE, _HOUR, _DAY = 60.0, 3600.0, 86400.0
_MB, _GB = 1e6, 1e9


def _rule(
    id: str,  # noqa: A002
    metric: str,
    comparison: Comparison,
    threshold: float,
    summary: str,
    hint: str = "",
    *,
    severity: Severity = Severity.WARNING,
    routes: tuple[Route, ...] = (),
    **more: Any,
) -> Rule:
    usual: tuple[Route, ...] = _OWN if "project" in METRICS[metric].labels else _ALL
    if severity is Severity.CRITICAL:
        usual = (*usual, Route.DIRECT)
    return Rule(
        id=id,
        metric=metric,
        comparison=comparison,
        threshold=threshold,
        severity=severity,
        summary=summary,
        hint=hint,
        routes=routes or usual,
        built_in=True,
        **more,
    )


_RULES = (
    # A project's work.
    _rule(
        *("project-health", "project_health", _BELOW, 0.5, "{project} is not well: its health is {value}."),
        "/project_status shows what is blocked, fails or is short.",
        clears_at=0.6,
        critical_at=0.2,
        for_seconds=10 * _MINUTE,
    ),
    _rule(
        *("error-rate", "error_rate", _ABOVE, 0.5, "{value} of the phases of {project} failed in a day."),
        "Look at the gates' evidence: /tdd logs.",
        clears_at=0.4,
        critical_at=0.8,
        for_seconds=10 * _MINUTE,
    ),
    _rule(
        *("completion-rate", "completion_rate", _BELOW, 0.5),
        "Only {value} of the stories of {project} that ended in a week were merged.",
        "Smaller stories, or clearer acceptance criteria, come through more often.",
        severity=Severity.INFO,
        clears_at=0.6,
        for_seconds=_HOUR,
    ),
    _rule(
        *(
            "stories-blocked",
            "stories_blocked",
            _ABOVE,
            0.0,
            "Stories of {project} that wait for help: {value}.",
        ),
        "/suggest_fix or /skip_task moves them on.",
        for_seconds=4 * _HOUR,
    ),
    _rule(
        *(
            "queue-age",
            "queue_age",
            _ABOVE,
            2 * _HOUR,
            "A story of {project} has waited {value} for a place.",
        ),
        "/why says what it waits for.",
        clears_at=_HOUR,
        for_seconds=5 * _MINUTE,
    ),
    _rule(
        *(
            "approvals-waiting",
            "approvals_pending",
            _ABOVE,
            0.0,
            "Questions of {project} that wait: {value}.",
        ),
        "`orchard approve` lists them.",
        severity=Severity.INFO,
        for_seconds=8 * _HOUR,
    ),
    _rule(
        *("gate-failures", "gate_failures", _ABOVE, 10.0, "Gates of {project} refused {value} in an hour."),
        "/tdd logs shows why: {labels}.",
        rate=True,
        over=_HOUR,
        for_seconds=0.0,
    ),
    _rule(
        *(
            "agent-failures",
            "agent_failures",
            _ABOVE,
            5.0,
            "Agents of {project} failed {value} in 30 minutes.",
        ),
        "`orchard agents check` tries the agent out.",
        rate=True,
        over=30 * _MINUTE,
        critical_at=30.0,
        for_seconds=0.0,
    ),
    _rule(
        *("flaky-tests", "flaky_tests", _ABOVE, 5.0, "Tests of {project} flipped {value} in a day."),
        "A test that flips proves nothing: mend it first.",
        severity=Severity.INFO,
        rate=True,
        over=_DAY,
        for_seconds=0.0,
    ),
    _rule(
        *("slow-tests", "test_duration", _ABOVE, 30 * _MINUTE, "Test runs of {project} take {value}."),
        "Each gate waits for them.",
        severity=Severity.INFO,
        over=_HOUR,
    ),
    _rule(
        *("processes", "project_processes", _ABOVE, 1000.0, "{project} runs {value} processes."),
        "resource_limits.max_processes bounds them.",
        clears_at=800.0,
    ),
    # Its budgets.
    _rule(
        *("budget", "budget_used", _ABOVE, 0.8, "{project} has used {value} of its nearest budget."),
        "/budget show says which; /budget raise allows more.",
        clears_at=0.75,
        critical_at=0.999,
        for_seconds=0.0,
    ),
    # Security.
    _rule(
        *("security-events", "security_events", _ABOVE, 10.0),
        "In {project} {value} limits, hosts or tool calls were refused in an hour.",
        "`orchard audit` and the stories' transcripts say what was tried.",
        routes=(*_OWN, Route.GUILD),
        rate=True,
        over=_HOUR,
        critical_at=100.0,
        for_seconds=0.0,
    ),
    _rule(
        *("logins-refused", "logins_refused", _ABOVE, 10.0, "{value} log-ins were refused in 10 minutes."),
        "`orchard audit` says from where; a user can be disabled: `orchard users disable`.",
        routes=(*_ALL, Route.DIRECT),
        rate=True,
        over=10 * _MINUTE,
        critical_at=100.0,
        for_seconds=0.0,
    ),
    _rule(
        *("access-refused", "access_refused", _ABOVE, 20.0, "{value} requests were refused in 10 minutes."),
        "`orchard audit` says who asked for what.",
        rate=True,
        over=10 * _MINUTE,
        critical_at=200.0,
        for_seconds=0.0,
    ),
    _rule(
        *("tampering", "tampering", _ABOVE, 0.0),
        "The audit log or a secret was not as Orchard had left it: {value} in a day.",
        "`orchard audit verify` says which row; whoever did it can write to Orchard's files.",
        severity=Severity.CRITICAL,
        rate=True,
        over=_DAY,
        for_seconds=0.0,
    ),
    # The machine and the control plane.
    _rule(
        *("machine-cpu", "machine_cpu", _ABOVE, 0.95, "The machine's processors are at {value}."),
        "/resource_status shows who uses them.",
        clears_at=0.85,
        for_seconds=15 * _MINUTE,
    ),
    _rule(
        *("machine-memory", "machine_memory_available", _BELOW, 500 * _MB, "Only {value} of memory is free."),
        "Lower max_total_agents, or global_memory_limit_gb.",
        clears_at=_GB,
        critical_at=200 * _MB,
    ),
    _rule(
        *(
            "machine-disk",
            "machine_disk_free",
            _BELOW,
            5 * _GB,
            "Only {value} of disk is free for the state.",
        ),
        "Free some space: nothing that was confirmed is lost, but nothing more can be.",
        clears_at=6 * _GB,
        critical_at=_GB,
    ),
    _rule(
        *("control-memory", "control_memory", _ABOVE, _GB, "The control plane takes {value} of memory."),
        clears_at=0.8 * _GB,
        for_seconds=10 * _MINUTE,
    ),
    _rule(
        *("control-cpu", "control_cpu", _ABOVE, 0.7, "The control plane uses {value}."),
        clears_at=0.5,
        for_seconds=15 * _MINUTE,
    ),
    _rule(
        *("loop-lag", "loop_lag", _ABOVE, 0.25, "Orchard answers late: its event loop lags {value}."),
        "Is the machine overloaded? /resource_status",
        clears_at=0.1,
        critical_at=2.0,
        for_seconds=2 * _MINUTE,
    ),
    _rule(
        *("store-latency", "store_latency", _ABOVE, 0.1, "A transaction of the store takes {value}."),
        "Is its disk slow, or full?",
        clears_at=0.05,
        critical_at=1.0,
        for_seconds=2 * _MINUTE,
    ),
    _rule(
        *("store-size", "store_size", _ABOVE, 5 * _GB, "The store has grown to {value}."),
        "transcript_retention_days and monitoring's settings say what is kept for how long.",
        severity=Severity.INFO,
        clears_at=4.5 * _GB,
    ),
    _rule(
        *("outbox-pending", "outbox_pending", _ABOVE, 200.0, "{value} posts wait to be sent."),
        "Is Discord to be reached? `orchard doctor`",
        clears_at=100.0,
        for_seconds=5 * _MINUTE,
    ),
    _rule(
        *("outbox-dead", "outbox_dead", _ABOVE, 0.0, "{value} posts were given up."),
        "The log says why.",
        severity=Severity.INFO,
    ),
    _rule(
        *("discord-latency", "discord_latency", _ABOVE, 2.0, "Discord answers after {value}."),
        clears_at=1.0,
        for_seconds=5 * _MINUTE,
        severity=Severity.INFO,
    ),
    _rule(
        *("discord-rate-limited", "discord_rate_limited", _ABOVE, 20.0),
        "Discord said {value} in 10 minutes that there were too many requests.",
        rate=True,
        over=10 * _MINUTE,
        for_seconds=0.0,
        severity=Severity.INFO,
    ),
    _rule(
        *("github-rate", "github_rate_remaining", _BELOW, 200.0),
        "GitHub still allows {value} requests for {project} until its limit resets.",
        "A GitHub App has a higher limit than a token.",
        clears_at=500.0,
    ),
    _rule(
        *("system-health", "system_health", _BELOW, 0.5, "The system is not well: its health is {value}."),
        "/global_status shows its parts.",
        clears_at=0.6,
        critical_at=0.25,
        for_seconds=10 * _MINUTE,
    ),
    _rule(
        *(
            "no-measurements",
            "machine_cpu",
            Comparison.ABSENT,
            5 * _MINUTE,
            "Nothing was measured for {value}.",
        ),
        "No other alert can be relied on meanwhile; the log says what fails.",
        severity=Severity.CRITICAL,
    ),
    # What is not as usual.
    _rule(
        *("unusual-cost", "cost", _ANOMALOUS, 6.0),
        "{project} spent {value} in an hour; usual at this time is {usual}.",
        "/budget show says for what.",
        rate=True,
        over=_HOUR,
        for_seconds=5 * _MINUTE,
        clears_at=4.0,
    ),
    _rule(
        *("unusual-tokens", "tokens", _ANOMALOUS, 8.0),
        "{project} used {value} in an hour; usual at this time are {usual}.",
        "/budget show says for what.",
        severity=Severity.INFO,
        rate=True,
        over=_HOUR,
        for_seconds=5 * _MINUTE,
        clears_at=5.0,
    ),
    _rule(
        *("unusual-cpu", "project_cpu", _ANOMALOUS, 8.0),
        "{project} uses {value}; usual at this time is {usual}.",
        severity=Severity.INFO,
        over=_HOUR,
        for_seconds=5 * _MINUTE,
        clears_at=5.0,
    ),
    _rule(
        *("unusual-memory", "project_memory", _ANOMALOUS, 8.0),
        "{project} takes {value} of memory; usual at this time is {usual}.",
        severity=Severity.INFO,
        over=_HOUR,
        for_seconds=5 * _MINUTE,
        clears_at=5.0,
    ),
    _rule(
        *("unusual-phases", "phase_duration", _ANOMALOUS, 6.0),
        "Phases of {project} take {value} ({labels}); usual are {usual}.",
        severity=Severity.INFO,
        over=_HOUR,
        for_seconds=5 * _MINUTE,
        clears_at=4.0,
    ),
    _rule(
        *("slower-tests", "test_duration", _SHIFTED, 8.0),
        "Test runs of {project} have become slower, and stay so: {value}, where {usual} were usual.",
        severity=Severity.INFO,
        for_seconds=0.0,
    ),
    _rule(
        *("more-errors", "error_rate", _SHIFTED, 8.0),
        "More phases of {project} fail than did, and it stays so: {value}, where {usual} were usual.",
        for_seconds=0.0,
    ),
    _rule(
        *("more-memory", "control_memory", _SHIFTED, 10.0),
        "The control plane takes more memory than it did: {value}, where {usual} were usual.",
        severity=Severity.INFO,
        for_seconds=0.0,
    ),
)
BUILT_IN: Mapping[str, Rule] = MappingProxyType({rule.id: rule for rule in _RULES})


def rule_of(id: str, said: Mapping[str, Any]) -> Rule:  # noqa: A002
    """The rule that people mean: of a built-in one's id, that one with what is `said` in its place. Raises
    ValueError with a sentence about what makes no sense."""
    base = BUILT_IN.get(id)
    if base is None:
        if missing := [key for key in ("metric", "threshold") if key not in said]:
            raise ValueError(f"is no built-in rule, and a rule of your own needs {' and '.join(missing)}")
        base = Rule(
            id=id,
            metric=said["metric"],
            comparison=Comparison.ABOVE,
            threshold=said["threshold"],
            severity=Severity.WARNING,
            summary=_summary(said),
        )
    elif said.get("metric", base.metric) != base.metric:
        raise ValueError(f"is a built-in rule of {base.metric}: for another metric, give it an id of its own")
    rule = _fitting(replace(base, **said), said)
    if sentence := problem_of(rule):
        raise ValueError(sentence)
    return rule


def _fitting(rule: Rule, said: Mapping[str, Any]) -> Rule:
    """Where only the threshold was moved, what is built in beside it and no longer fits is left out."""
    sign = direction(rule)
    clears, critical = rule.clears_at, rule.critical_at
    if clears is not None and "clears_at" not in said and sign * clears > sign * rule.threshold:
        clears = None
    if critical is not None and "critical_at" not in said and sign * critical < sign * rule.threshold:
        critical = None
    return replace(rule, clears_at=clears, critical_at=critical)


def _summary(said: Mapping[str, Any]) -> str:
    whose = "{project}: " if "project" in METRICS[said["metric"]].labels else ""
    comparison = said.get("comparison", Comparison.ABOVE)
    if comparison is Comparison.ABSENT:
        return f"{whose}{said['metric']} has no data for {{value}}."
    against = "usual is {usual}" if comparison in LEARNED else "the limit is {threshold}"
    return f"{whose}{said['metric']} is {{value}}; {against}."


def problem_of(rule: Rule) -> str:
    """What makes no sense about it, as a sentence after its name; empty when all is well."""
    metric = METRICS[rule.metric]
    for label in rule.match:
        if label not in metric.labels:
            known = ", ".join(metric.labels) or "none"
            return f"match names a label that {metric.name} does not have: {label!r}; it has {known}"
    sign = direction(rule)
    if rule.comparison is Comparison.ABSENT and rule.threshold <= 0:
        return "should have a threshold above 0: after how many seconds without data"
    if rule.comparison in LEARNED and abs(rule.threshold) < 1:
        return "should have a threshold of at least 1 robust deviation (or at most -1)"
    if rule.clears_at is not None and sign * rule.clears_at > sign * rule.threshold:
        return f"clears_at ({rule.clears_at:g}) is beyond its threshold ({rule.threshold:g})"
    if rule.critical_at is not None and sign * rule.critical_at < sign * rule.threshold:
        return f"critical_at ({rule.critical_at:g}) is not beyond its threshold ({rule.threshold:g})"
    if rule.rate and metric.kind is not MetricKind.COUNTER:
        return f"rate is for counters, and {metric.name} is of the kind {metric.kind}"
    if rule.rate and not rule.over:
        return "rate needs over: within how many seconds"
    counts = metric.kind is MetricKind.COUNTER
    if counts and not rule.rate and (rule.over or rule.comparison is Comparison.ANOMALOUS):
        return f"needs rate: true: {metric.name} is a count, which only rises"
    valued = rule.comparison not in (Comparison.SHIFTED, Comparison.ABSENT)
    if metric.kind is MetricKind.OBSERVATION and valued and not rule.over:
        return f"needs over: {metric.name} is seen now and then, and its mean of so many seconds is judged"
    if rule.comparison is Comparison.SHIFTED and rule.over:
        return "over is not for changes of the level: they are looked for in hours"
    return _problem_of_summary(rule.summary)


def _problem_of_summary(summary: str) -> str:
    try:
        fields = [(name, spec, how) for _, name, spec, how in string.Formatter().parse(summary)]
    except ValueError:
        return "has a summary with a '{' or '}' too many"
    for name, spec, how in fields:
        if name is not None and (name not in PLACEHOLDERS or spec or how):
            known = ", ".join(f"{{{each}}}" for each in sorted(PLACEHOLDERS))
            return f"has a summary with {{{name}}}; there are {known}"
    return ""


def routes_of(rule: Rule, severity: Severity) -> tuple[Route, ...]:
    """Where it is told. What becomes critical is told to people themselves, too, unless the settings said
    where the rule is told."""
    base = BUILT_IN.get(rule.id)
    if severity is Severity.CRITICAL and base is not None and base.routes == rule.routes:
        return tuple(dict.fromkeys((*rule.routes, Route.DIRECT)))
    return rule.routes


def direction(rule: Rule) -> int:
    """1 where more is worse, -1 where less is."""
    if rule.comparison is Comparison.BELOW or (rule.comparison in LEARNED and rule.threshold < 0):
        return -1
    return 1

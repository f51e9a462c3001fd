"""What a look at everything changes: which alerts begin, fire, become graver, are over. PURE.

Durations are of steady time, so that a clock that is set fires nothing and ends nothing; only a silence ends
by the clock on the wall. Timers live in memory: after a restart what is pending goes on where it was, unless
the gap was so long that it would have fired meanwhile, and what is open needs its whole time of quiet again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType

from core.domain.alert import Alert, AlertFact, AlertState, Rule, Severity
from core.monitoring.alerts.evaluation import Verdict

Group = tuple[str, str | None]
"""A rule's id and a project; None: the system, or several projects at once."""

GONE_SECONDS = 900.0  # without any data so long, nothing is known to be wrong any more
_SHORTEST_QUIET, _LONGEST_QUIET = 60.0, 3600.0
REFRESH_SECONDS = 60.0  # how it stands is written no more often


@dataclass(frozen=True, slots=True, kw_only=True)
class Timer:
    """Steady seconds: since when it is breached (None: not seen so since the restart), `clear`, `grave`, or
    without data; what was written last."""

    breached: float | None
    clear: float | None = None
    grave: float | None = None
    gone: float | None = None
    written: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """`alert` None: it begins. `fact` None: it becomes graver where `severity` is said, else is only shown as
    it stands now. `fires`: with its beginning, since the rule waits for nothing. `rule` None: nobody watches
    for it any more."""

    rule: Rule | None
    project: str | None
    alert: Alert | None = None
    verdict: Verdict | None = None
    fact: AlertFact | None = None
    severity: Severity | None = None
    fires: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    moves: tuple[Move, ...]
    timers: Mapping[Group, Timer]


def plan(
    rules: Mapping[str, Rule],
    verdicts: Mapping[Group, Verdict],
    opened: Mapping[Group, Alert],
    timers: Mapping[Group, Timer],
    lately: Mapping[Group, int] = MappingProxyType({}),
    *,
    steady: float,
    now: datetime,
) -> Plan:
    """`rules`: those that are watched. `lately`: how often the same was over a short while ago. Each group
    has at most one move; a move that fails is found again by the next look."""
    moves: list[Move] = []
    kept: dict[Group, Timer] = {}
    for group, alert in opened.items():
        rule = rules.get(group[0])
        if rule is None:
            moves.append(Move(rule=None, project=group[1], alert=alert, fact=AlertFact.CLEARED))
            continue
        timer = timers.get(group) or _resumed(rule, alert, steady, now)
        quiet = _quiet_seconds(rule, lately.get(group, 0))
        timer, move = _step(rule, alert, verdicts.get(group), timer, quiet, steady, now)
        kept[group] = timer
        if move is not None:
            moves.append(move)
    for group, verdict in verdicts.items():
        if group in opened or not verdict.holds:
            continue
        rule = rules[group[0]]
        fires = rule.for_seconds <= 0
        moves.append(
            Move(
                rule=rule,
                project=group[1],
                verdict=verdict,
                severity=_severity(rule, verdict) if fires else rule.severity,
                fires=fires,
            )
        )
        kept[group] = Timer(breached=steady, grave=steady if verdict.grave else None, written=steady)
    return Plan(moves=tuple(moves), timers=kept)


def _resumed(rule: Rule, alert: Alert, steady: float, now: datetime) -> Timer:
    """Of an alert that an earlier life left open."""
    waited = (now - alert.since).total_seconds()
    goes_on = alert.state is AlertState.PENDING and 0 <= waited <= rule.for_seconds
    # Else nobody looked meanwhile: it is breached once it is seen so.
    return Timer(breached=steady - waited if goes_on else None, written=steady)


def _quiet_seconds(rule: Rule, times: int) -> float:
    """How long it has to be well. What comes and goes has to for twice as long each time, so that people hear
    of it a few times and not all day."""
    if not times:
        return rule.for_seconds
    longer = max(rule.for_seconds, _SHORTEST_QUIET) * 2.0 ** min(times, 10)
    return max(rule.for_seconds, min(longer, _LONGEST_QUIET))


def _step(
    rule: Rule,
    alert: Alert,
    verdict: Verdict | None,
    timer: Timer,
    quiet: float,
    steady: float,
    now: datetime,
) -> tuple[Timer, Move | None]:
    if verdict is None:
        return _without_data(rule, alert, timer, steady)
    if not verdict.holds:
        return _clear(rule, alert, replace(timer, gone=None, grave=None), quiet, steady)
    grave = (steady if timer.grave is None else timer.grave) if verdict.grave else None
    begun = steady if timer.breached is None or timer.clear is not None else timer.breached
    timer = replace(timer, breached=begun, clear=None, gone=None, grave=grave)
    long_grave = grave is not None and steady - grave >= rule.for_seconds

    def to(fact: AlertFact | None = None, severity: Severity | None = None) -> tuple[Timer, Move]:
        move = Move(
            rule=rule, project=alert.project, alert=alert, verdict=verdict, fact=fact, severity=severity
        )
        return replace(timer, written=steady), move

    long = steady - begun >= rule.for_seconds  # it may have been silenced while it was pending
    graver = Severity.CRITICAL if long_grave and alert.severity is not Severity.CRITICAL else None
    if alert.state is AlertState.PENDING and long:
        return to(AlertFact.BREACHED, graver)
    # Who silenced a lighter one did not mean this.
    ended = graver is not None or alert.until is None or alert.until <= now
    if alert.state is AlertState.SILENCED and long and ended:
        return to(AlertFact.SILENCE_OVER, graver)
    if graver is not None and alert.state in (AlertState.FIRING, AlertState.ACKNOWLEDGED):
        return to(severity=graver)
    differs = (alert.value, alert.count, alert.worst) != (verdict.value, verdict.count, verdict.worst)
    if differs and steady - timer.written >= REFRESH_SECONDS:
        return to()
    return timer, None


def _clear(rule: Rule, alert: Alert, timer: Timer, quiet: float, steady: float) -> tuple[Timer, Move | None]:
    """What is only pending has to be breached without a break; what fired, clear without one."""
    clear = steady if timer.clear is None else timer.clear
    timer = replace(timer, clear=clear)
    if alert.state is not AlertState.PENDING and steady - clear < quiet:
        return timer, None
    return timer, Move(rule=rule, project=alert.project, alert=alert, fact=AlertFact.CLEARED)


def _without_data(rule: Rule, alert: Alert, timer: Timer, steady: float) -> tuple[Timer, Move | None]:
    gone = steady if timer.gone is None else timer.gone
    timer = replace(timer, gone=gone)
    if steady - gone < GONE_SECONDS:
        return timer, None
    return timer, Move(rule=rule, project=alert.project, alert=alert, fact=AlertFact.CLEARED)


def _severity(rule: Rule, verdict: Verdict) -> Severity:
    return Severity.CRITICAL if verdict.grave else rule.severity

"""What the terminal shows of alerts. Pure: values in, renderables out."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from bot.cli.marks import clean, done, following, indented, next_step, one_line, table, when
from bot.cli.words import translated
from core.domain.alert import Alert, AlertState, Comparison, Rule, Severity
from core.domain.alert_rules import LEARNED
from core.domain.metric import METRICS, Unit
from core.monitoring.alerts.wording import quantity
from core.store.alert_tellings import Trouble

MOST = 200  # are shown

_SIGN = {Severity.CRITICAL: ("✖", "red"), Severity.WARNING: ("▲", "yellow"), Severity.INFO: ("●", "cyan")}
_OVER = {
    AlertState.PENDING: "not for long enough yet",
    AlertState.ACKNOWLEDGED: "somebody looks",
    AlertState.RESOLVED: "over",
}


def alerts(
    found: Sequence[Alert], *, troubles: Sequence[Trouble] = (), in_shell: bool = False
) -> RenderableType:
    """`found`: the newest first, of which there may be more than these where they are MOST. `troubles`: what
    cannot be told."""
    parts: list[RenderableType] = [
        Text.assemble(
            ("! ", "yellow"), f"{one.waiting} not told by {one.route}: {one_line(clean(one.error))}"
        )
        for one in troubles
    ]
    if not found:
        return Group(*parts, Text("Nothing is wrong, as far as it is watched."))
    if len(found) >= MOST:
        parts.append(Text(f"The newest {MOST}:"))
    for alert in found:
        sign, style = ("✓", "green") if alert.state is AlertState.RESOLVED else _SIGN[alert.severity]
        head = Text.assemble((f"{sign} {alert.severity}", style), "  ", clean(alert.summary))
        parts += [head, indented(_facts(alert), "dim")]
        if alert.hint and alert.state is not AlertState.RESOLVED:
            parts.append(following(one_line(translated(alert.hint, in_shell=in_shell))))
    open_ = next((alert for alert in found if alert.state is AlertState.FIRING), None)
    if open_ is not None and in_shell:
        parts.append(next_step("You look at it", f"acknowledge {open_.id}", in_shell=True))
    elif open_ is not None:
        parts.append(following(f"You look at it: orchard alerts --acknowledge {open_.id}"))
    return Group(*parts)


def answered(alert: Alert) -> RenderableType:
    match alert.state:
        case AlertState.ACKNOWLEDGED:
            return done("Acknowledged: it is told again only when it is over or becomes graver.")
        case AlertState.SILENCED:
            assert alert.until is not None
            return done(f"Silenced until {when(alert.until)}.")
    return done("It is told again.")


def rules(found: Sequence[Rule]) -> RenderableType:
    made = table("What is watched")
    for name in ("Rule", "Told when", "For"):
        made.add_column(name, overflow="fold")
    for rule in found:
        style = "" if rule.enabled else "dim"
        off = "" if rule.enabled else " (off)"
        made.add_row(f"{rule.id}{off}", condition(rule), waiting(rule), style=style)
    return Group(made, following("They are changed in orch-config.yaml, under alerts.rules"))


def condition(rule: Rule) -> str:
    """`machine_disk_free below 5 GB, critical from 1 GB on`."""
    unit = METRICS[rule.metric].unit
    where = "".join(f" of {name} {value}" for name, value in rule.match.items())
    what, over = f"{rule.metric}{clean(where)}", quantity(Unit.SECONDS, rule.over)
    limit = f"{rule.threshold:g}" if rule.comparison in LEARNED else quantity(unit, rule.threshold)
    side = "above" if rule.threshold > 0 else "below"
    match rule.comparison:
        case Comparison.ABSENT:
            return f"no data of {what} for {quantity(Unit.SECONDS, rule.threshold)}"
        case Comparison.SHIFTED:
            return f"{what} stays {limit.lstrip('-')} deviations {side} what was usual"
        case Comparison.ANOMALOUS:
            said = f"{limit.lstrip('-')} deviations {side} what is usual"
        case _:
            said = f"{rule.comparison} {limit}"
    if rule.critical_at is not None:
        grave = f"{rule.critical_at:g}" if rule.comparison in LEARNED else quantity(unit, rule.critical_at)
        said += f", critical from {grave} on"
    counted = rule.comparison is Comparison.ABOVE
    if rule.rate:
        return f"{what} rises in {over} by {said.replace('above ', 'more than ', 1) if counted else said}"
    return f"mean of {what} in {over} {said}" if rule.over else f"{what} {said}"


def waiting(rule: Rule) -> str:
    return quantity(Unit.SECONDS, rule.for_seconds) if rule.for_seconds else "at once"


def _facts(alert: Alert) -> str:
    state = _OVER.get(alert.state, str(alert.state))
    if alert.state is AlertState.SILENCED and alert.until is not None:
        state = f"silenced until {when(alert.until)}"
    by = f" ({clean(alert.by)})" if alert.by and alert.state is not AlertState.RESOLVED else ""
    return f"{alert.id}  {alert.rule}  since {when(alert.since)}  {state}{by}"

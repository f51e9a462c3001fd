"""A measured value, and a rule's sentence, as people read them. PURE."""

from __future__ import annotations

from core.domain.alert import Comparison, Rule
from core.domain.alert_rules import LEARNED
from core.domain.metric import METRICS, Labels, Unit

_BYTES = ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"))
_ENDS = (".", "!", "?", "…")
_MINUTE, _HOUR, _DAY = 60.0, 3600.0, 86400.0


def quantity(unit: Unit, value: float) -> str:
    """`1.5 GB`, `2 h 5 min`, `83 %`, `3 dollars`."""
    match unit:
        case Unit.SECONDS:
            return _seconds(value)
        case Unit.BYTES:
            size, name = next((each for each in _BYTES if abs(value) >= each[0]), (1.0, "bytes"))
            return f"{_short(value / size)} {name}"
        case Unit.RATIO:
            return f"{_short(value * 100)} %"
        case Unit.DOLLARS:
            return f"{value:.2f} dollars"
        case Unit.CORES:
            return f"{_short(value)} cores"
        case Unit.TOKENS:
            return f"{value:,.0f} tokens"
    return _short(value)


def labels_in_words(labels: Labels) -> str:
    """`phase test_red`; the project stands elsewhere."""
    return ", ".join(f"{name} {value}" for name, value in labels if name != "project")


def sentence(
    rule: Rule, *, project: str | None, worst: str, count: int, value: float, usual: float | None
) -> str:
    """The rule's summary, of its gravest series. `project` None with `worst`: of several at once."""
    unit = Unit.SECONDS if rule.comparison is Comparison.ABSENT else METRICS[rule.metric].unit
    said = rule.summary.format(
        project=project or worst or "the system",
        labels=worst or "all of it",
        value=quantity(unit, value),
        threshold=f"{rule.threshold:g} deviations"
        if rule.comparison in LEARNED
        else quantity(unit, rule.threshold),
        usual="unknown" if usual is None else quantity(unit, usual),
    )
    more = count - 1
    if more < 1:
        return said
    return f"{said if said.endswith(_ENDS) else f'{said}.'} So it is with {more:,} more."


def _seconds(value: float) -> str:
    if abs(value) < 1:
        return f"{_short(value * 1000)} ms"
    if abs(value) < 2 * _MINUTE:
        return f"{_short(value)} s"
    if abs(value) < 2 * _HOUR and value % _HOUR:
        return f"{value / _MINUTE:.0f} min"
    if abs(value) < 2 * _DAY:
        hours, rest = divmod(round(value / _MINUTE), 60)
        return f"{hours} h {rest} min" if rest else f"{hours} h"
    return f"{_short(value / _DAY)} days"


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 or value == round(value) else f"{value:.3g}"

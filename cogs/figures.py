"""The four figures in words, alike in Discord and in the terminal. PURE."""

from __future__ import annotations

from dataclasses import replace

from cogs.message import Field, Message
from cogs.text import code
from core.orchestrator.resource_views import Metrics

_NO_DATA = "no data"


def figure_rows(metrics: Metrics) -> tuple[tuple[str, str, str], ...]:
    """Of each figure its name, its value, and what it is made of; "no data" where there is none."""
    parts = " · ".join(f"{name} {value:.2f}" for name, value in metrics.parts.items())
    return (
        ("resource_efficiency", _value(metrics.resource_efficiency, 2), "last 24 hours"),
        ("average_cycle_time_hours", _value(metrics.average_cycle_time_hours, 1), ""),
        ("total_stories_completed", _value(metrics.total_stories_completed, 0), ""),
        ("system_health_score", _value(metrics.system_health_score, 2), parts),
    )


def with_figures(message: Message, metrics: Metrics) -> Message:
    """The message with a field for them in its first card."""
    told = "\n".join(
        f"{code(name)} **{value}**" + (f" · {behind}" if behind else "")
        for name, value, behind in figure_rows(metrics)
    )
    card, *others = message.cards
    card = replace(card, fields=(*card.fields, Field(name="Figures", value=told)))
    return replace(message, cards=(card, *others))


def _value(value: float | None, digits: int) -> str:
    return _NO_DATA if value is None else f"{value:,.{digits}f}"

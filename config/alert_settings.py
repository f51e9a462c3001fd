"""The `alerts:` section: what is watched, and where alerts are told."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from pydantic import Field, field_validator, model_validator

from config.fields import Bool, Channel, Int, Number, ResourceName, Text, near
from config.section import Section
from core.domain.alert import Comparison, Route, Rule, Severity
from core.domain.alert_rules import BUILT_IN, LONGEST_SPAN, rule_of
from core.domain.metric import METRICS

_ID = "<id>"  # nobody's key: `id` itself is one that there is not


class AlertRule(Section):
    """What is said of one rule; what is not said is as built in, or has the rule's own default."""

    id: str = Field("", alias=_ID)  # put in by the section: the key above
    enabled: Bool = Field(True, description="Watch for it.")
    metric: Text = Field("", description="Needed for a rule of your own.")
    comparison: Comparison = Comparison.ABOVE
    threshold: Number = 0
    clears_at: Number | None = None
    critical_at: Number | None = None
    severity: Severity = Severity.WARNING
    for_seconds: Number = Field(60, ge=0, le=LONGEST_SPAN)
    over: Number = Field(0, ge=0, le=LONGEST_SPAN)
    rate: Bool = False
    match: Mapping[str, str] = {}
    routes: tuple[Route, ...] = ()
    summary: Text = Field("", max_length=500)
    hint: str = Field("", max_length=500)

    @field_validator("metric")
    @classmethod
    def _is_measured(cls, value: str) -> str:
        if value not in METRICS:
            raise ValueError(
                f"there is no metric {value!r}{near(value, METRICS)}; docs/monitoring.md has them"
            )
        return value

    @field_validator("routes")
    @classmethod
    def _each_once(cls, value: tuple[Route, ...]) -> tuple[Route, ...]:
        return tuple(dict.fromkeys(value))

    @model_validator(mode="after")
    def _makes_sense(self) -> AlertRule:
        if self.id not in BUILT_IN and (hint := near(self.id, BUILT_IN)) and "metric" not in self.said:
            raise ValueError(f"there is no built-in rule {self.id!r}{hint}")
        rule_of(self.id, self.said)
        return self

    @property
    def said(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.model_fields_set if name != "id"}


class AlertSettings(Section):
    enabled: Bool = Field(True, description="Watch what is measured; false: no alert begins, open ones end.")
    rules: Mapping[ResourceName, AlertRule] = Field(
        {},
        description="Changes of built-in rules by their id (machine-disk: {threshold: 20000000000}, or "
        "{enabled: false}), and rules of your own; docs/alerts.md says which keys there are.",
    )
    join_from: Int = Field(
        5, ge=2, le=10000, description="A rule that is breached in so many projects makes one alert for all."
    )
    kept_days: Int = Field(90, ge=1, le=36500, description="Alerts that are over are kept this long.")
    channel: Channel = Field(
        "orchard-alerts",
        description="Name or id of the guild's channel for alerts; made where it is missing and Orchard may.",
    )

    @field_validator("rules", mode="before")
    @classmethod
    def _named(cls, value: Any) -> Any:
        """Each rule is told its id; null is a rule of which nothing is said."""
        if not isinstance(value, Mapping):
            return value
        return {name: _with_id(name, said) for name, said in value.items()}

    @cached_property
    def watched(self) -> tuple[Rule, ...]:
        """Every rule, also those that are switched off: the built-in ones first."""
        own = [name for name in self.rules if name not in BUILT_IN]
        said = {name: rule.said for name, rule in self.rules.items()}
        return tuple(rule_of(name, said.get(name, {})) for name in (*BUILT_IN, *own))


def _with_id(name: Any, said: Any) -> Any:
    if said is None:
        return {_ID: name}
    return {**said, _ID: name} if isinstance(said, Mapping) else said

"""The `monitoring:` section: how often everything is looked at, and how long what was seen is kept."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from config.fields import Int, Number
from config.section import Section


class MetricsFormat(StrEnum):
    OTLP = "otlp"  # OpenTelemetry's, as JSON
    JSON = "json"  # our own, plainer


class MonitoringSettings(Section):
    sample_seconds: Number = Field(
        10, ge=1, le=3600, description="Look at all projects and the machine this often, in one pass."
    )
    minutes_kept_days: Int = Field(2, ge=1, le=60, description="Points of a minute are kept this long.")
    hours_kept_days: Int = Field(
        56,
        ge=1,
        le=3660,
        description="Points of an hour are kept this long; anomalies are learned from them, of eight weeks.",
    )
    days_kept_days: Int = Field(1100, ge=1, le=36500, description="Points of a day are kept this long.")
    external_metrics_format: MetricsFormat = Field(
        MetricsFormat.OTLP,
        description="What external_metrics_endpoint is sent: otlp (OpenTelemetry's, as JSON) or json.",
    )
    external_metrics_seconds: Number = Field(
        60, ge=1, le=86400, description="How often it is sent everything as it stands then."
    )

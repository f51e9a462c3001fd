"""Settings: everything Orchard was told, of all projects together and of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ConfigDict, Field, SecretStr

from config.fields import HttpAddress, SocketAddress
from config.global_settings import GlobalSettings, ModelGatewaySettings, ModelProvider
from config.project_settings import (
    ApprovalSettings,
    BudgetLimits,
    BudgetSettings,
    ProjectSettings,
    ResourceLimits,
    WorkHours,
)
from config.section import Section

__all__ = [
    "ApprovalSettings",
    "BudgetLimits",
    "BudgetSettings",
    "GlobalSettings",
    "ModelGatewaySettings",
    "ModelProvider",
    "ProjectSettings",
    "ResourceLimits",
    "Settings",
    "WorkHours",
]


class Settings(Section):
    """Everything Orchard was told. `agents` holds rows as they were written; presets.py reads them."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    global_: GlobalSettings = Field(GlobalSettings(), alias="global")
    projects: Mapping[str, ProjectSettings] = Field(default_factory=dict)
    agents: Mapping[str, Any] = Field(default_factory=dict)
    discord_token: SecretStr | None = None
    discord_api_url: HttpAddress | None = None  # None: Discord's own
    discord_gateway_url: SocketAddress | None = None  # None: Discord's own
    github_token: SecretStr | None = None
    github_webhook_secrets: tuple[SecretStr, ...] = ()  # by each of them a delivery may be signed
    monitoring_webhook_secret: SecretStr | None = None  # signs what goes to global.monitoring_webhook_url
    external_metrics_token: SecretStr | None = None  # for global.external_metrics_endpoint
    slack_webhook_url: SecretStr | None = None  # whoever knows it may post there

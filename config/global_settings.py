"""The `global:` section: what holds for all projects together."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from pydantic import Field, ValidationInfo, field_validator, model_validator

from config.alert_settings import AlertSettings
from config.fields import (
    Bool,
    HttpAddress,
    Int,
    Number,
    Place,
    Places,
    ResourceName,
    RoleLevel,
    ServerRole,
    Snowflake,
    Strategy,
    Text,
    is_own_machine,
)
from config.github_settings import GithubSettings
from config.monitoring_settings import MonitoringSettings
from config.section import Section, later
from config.web_settings import WebSettings


class SecuritySettings(Section):
    encryption_at_rest: Bool = Field(
        False,
        description="Encrypt the store's file; `orchard key change` turns one that is there into the other.",
    )
    key_file: Text | None = Field(
        None,
        description="The file of Orchard's key, mode 0600, relative to the folder of orch-config.yaml; null: "
        "orchard.key in global_state_path. Keep it elsewhere where a copied folder should be of no use.",
    )
    key_command: tuple[Text, ...] = Field(
        (), description="A program and its arguments that print the key, asked in place of the file."
    )
    audit_log_retention_days: Int = Field(90, ge=1, le=36500, description="How long the audit log is kept.")
    backup_interval_hours: Number | None = Field(
        24,
        gt=0,
        le=8760,
        description="A running Orchard makes a proven backup this often, encrypted as the store is; null: "
        "only by `orchard backup`.",
    )
    backups_kept: Int = Field(14, ge=1, le=10000, description="At most so many backups are kept.")
    backup_retention_days: Int = Field(
        30,
        ge=1,
        le=36500,
        description="Backups that are older are removed when one is made; the newest stays.",
    )
    require_2fa: Bool = Field(False, description="Ask every user for a second factor.")
    session_timeout_minutes: Int = Field(
        480, ge=1, le=525600, description="A web session ends after this long without use."
    )


class DiscordSettings(Section):
    enabled: Bool = Field(True, description="Connect to Discord when there is a token.")
    category: Text = Field(
        "Orchard", max_length=100, description="The category that holds the projects' channels."
    )
    mention_roles: tuple[Snowflake, ...] = Field(
        (), description="Ids of roles to ping when people are needed or a story is done."
    )
    mention_users: tuple[Snowflake, ...] = Field((), description="Ids of people to ping likewise.")
    roles: tuple[Text, ...] = Field(
        (),
        description="Roles, by name or id, that may steer and approve; none, and no `role_levels`: every "
        "member of the server.",
    )
    role_levels: Mapping[ServerRole, RoleLevel] = Field(
        {},
        description="A level for each role, by name or id: viewer, contributor, maintainer or admin. Once "
        "there is one, whoever has none of these, none of `roles` and no user sees nothing; '@everyone' is "
        "one, too.",
    )


class ModelProvider(Section):
    base_url: HttpAddress = Field(
        description="Where it is asked, with the version where its address has one (https://host/v1)."
    )
    key_variables: tuple[Text, ...] = Field(
        min_length=1, description="Variables of Orchard's environment; the first that is set holds the key."
    )
    allow_http: Bool = Field(
        False, description="Send the key without encryption to another machine than this one."
    )

    @model_validator(mode="after")
    def _is_encrypted(self) -> ModelProvider:
        parts = urlsplit(self.base_url)
        host = parts.hostname or ""
        if parts.scheme == "http" and not self.allow_http and not is_own_machine(host):
            raise ValueError(
                "base_url should begin with https://: the key would travel readable for everybody; "
                "allow_http: true if that is wanted"
            )
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError("base_url should hold no login, no query and no fragment")
        return self


class ModelGatewaySettings(Section):
    enabled: Bool = Field(
        True, description="Agents that can be are pointed at Orchard's own gateway, and hold no key."
    )
    port: Int = Field(0, ge=0, le=65535, description="On 127.0.0.1; 0: any free one.")
    providers: Mapping[ResourceName, ModelProvider] = Field(
        {},
        description="More of them, or other addresses for anthropic, openai, gemini, mistral and openrouter: "
        "a name with base_url and key_variables.",
    )


class GlobalSettings(Section):
    max_total_agents: Int = Field(20, ge=1, le=10000, description="Agents at work at once, all projects.")
    max_concurrent_projects: Int = Field(10, ge=1, le=10000, description="Projects at work at once.")
    global_cpu_cores: Number | None = Field(
        None, description="Processor cores for all projects; null: what there is.", gt=0, le=4096
    )
    global_memory_limit_gb: Number | None = Field(
        None,
        description="Memory for all projects, in GB; null: nine tenths of what there is.",
        gt=0,
        le=65536,
    )
    global_disk_limit_gb: Number | None = Field(
        None, description="Disk for all projects, in GB; null: what there is.", gt=0, le=1048576
    )
    max_load_per_core: Number | None = Field(
        4,
        description="While more processes than this want each core, nothing more starts, unless nothing is "
        "at work, or what is uses no processor and a minute has passed; null: whatever the load.",
        gt=0,
        le=10000,
    )
    max_tokens_per_minute: Int | None = Field(
        None,
        description="Tokens a minute for all projects; calls at the model gateway wait for them; "
        "null: no limit.",
        ge=1,
        le=10**12,
    )
    shared_resources: Mapping[ResourceName, Places] = Field(
        {},
        description="Things outside Orchard that stories take turns on, such as one staging database: a name "
        "and how many may use it at once.",
    )

    resource_allocation_strategy: Strategy = Field(
        "fair_share",
        description="fair_share, priority_based, dynamic, or the import path of a strategy of your own.",
    )
    scheduling_interval_seconds: Number = Field(
        30,
        ge=0.05,
        le=3600,
        description="Look for work at least this often; events make it look at once.",
    )
    resource_rebalance_interval_seconds: Number = Field(
        300, description="Measure what is used and share resources anew this often.", ge=1, le=86400
    )
    park_seconds: Number = Field(
        300,
        description="A turn that has to make place for another project ends by itself within this time, or "
        "is parked where it stands; its work is kept.",
        ge=0,
        le=86400,
    )

    enable_cross_project_insights: Bool = later(True, "Look for patterns across projects.")
    enable_knowledge_sharing: Bool = later(True, "Propose to carry a pattern from one project to another.")
    enable_pattern_learning: Bool = later(True, "Learn from what people accept.")
    enable_project_isolation: Bool = Field(
        True,
        description="Fence each project in as strongly as the machine can; false: level `process`, "
        "unless a project asks for more.",
    )

    global_state_path: Place = Field(
        ".orch-global",
        validate_default=True,
        description="Orchard's own folder; relative to the folder of orch-config.yaml.",
    )

    global_discord_guild: Snowflake | None = Field(
        None, description="The id of the Discord server; null: the only one that the bot is in."
    )
    monitoring_webhook_url: HttpAddress | None = Field(
        None,
        description="Changes of alerts are sent there as JSON, signed with MONITORING_WEBHOOK_SECRET; "
        "docs/alert-delivery.md.",
    )
    external_metrics_endpoint: HttpAddress | None = Field(
        None,
        description="Metrics are sent there: the whole address, as http://127.0.0.1:4318/v1/metrics of an "
        "OpenTelemetry collector. EXTERNAL_METRICS_TOKEN goes with them by https://, or to this machine.",
    )

    security: SecuritySettings = Field(
        SecuritySettings(), description="Users and the safety of what is stored."
    )

    default_agent: Text | None = Field(
        None, description="The agent of every project that names none; a row of agents.yaml or of `agents:`."
    )
    model_gateway: ModelGatewaySettings = Field(
        ModelGatewaySettings(), description="Orchard's own way to the providers of models."
    )
    heartbeat_seconds: Number = Field(5, ge=0.1, le=600, description="How often a worker says that it lives.")
    lease_seconds: Number = Field(
        60,
        ge=1,
        le=3600,
        validate_default=True,
        description="A worker that says nothing for this long loses its phase; at least two heartbeats.",
    )
    stall_seconds: Number = Field(
        600, ge=1, le=86400, description="People are told of an agent that shows nothing for this long."
    )
    stall_cancel_seconds: Number = Field(
        900,
        ge=1,
        le=86400,
        validate_default=True,
        description="The turn of an agent that shows nothing for this long is ended and tried again; at "
        "least stall_seconds.",
    )
    transcript_retention_days: Int = Field(
        90,
        ge=1,
        le=36500,
        description="What agents were told and said is kept this long after a turn; of stories that are not "
        "over it stays.",
    )
    discord: DiscordSettings = Field(DiscordSettings(), description="How Orchard shows itself in Discord.")
    web: WebSettings = Field(WebSettings(), description="Orchard's own web server.")
    github: GithubSettings = Field(GithubSettings(), description="How Orchard reaches GitHub.")
    alerts: AlertSettings = Field(AlertSettings(), description="Where alerts are told.")
    monitoring: MonitoringSettings = Field(
        MonitoringSettings(), description="What is measured, how often, and for how long it is kept."
    )

    @field_validator("monitoring_webhook_url")
    @classmethod
    def _holds_no_login(cls, value: str | None) -> str | None:
        if value is not None and "@" in urlsplit(value).netloc:
            raise ValueError("should hold no login: sign what is sent with MONITORING_WEBHOOK_SECRET")
        return value

    @field_validator("lease_seconds")
    @classmethod
    def _outlives_heartbeats(cls, value: float, info: ValidationInfo) -> float:
        heartbeat = info.data.get("heartbeat_seconds")
        if heartbeat is not None and value < 2 * heartbeat:
            raise ValueError(
                f"should be at least twice heartbeat_seconds ({heartbeat:g}), not {value:g}: one late "
                "heartbeat must not cost a worker its phase"
            )
        return value

    @field_validator("stall_cancel_seconds")
    @classmethod
    def _is_told_first(cls, value: float, info: ValidationInfo) -> float:
        told = info.data.get("stall_seconds")
        if told is not None and value < told:
            raise ValueError(
                f"should be at least stall_seconds ({told:g}), not {value:g}: people are told before a turn "
                "is ended"
            )
        return value

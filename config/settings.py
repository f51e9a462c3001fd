"""Settings: one frozen model a section, every field with a default, a bound and a description.

A field marked by `_later` belongs to a feature that is not there yet: it is read and checked, and the loader
lists it as not in force.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import time
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationInfo, field_validator, model_validator

from config.fields import (
    AgentRole,
    AnswerLevel,
    Bool,
    Channel,
    Command,
    Day,
    EnvironmentSource,
    Glob,
    Hour,
    HttpAddress,
    InsidePath,
    Int,
    IsolationLevel,
    Number,
    Place,
    Places,
    ResourceName,
    Role,
    RuleLabel,
    Snowflake,
    SocketAddress,
    Strategy,
    Text,
    TimeZone,
    is_own_machine,
    near,
)
from core.domain.approval import Unanswered
from core.domain.lifecycles import ProjectStatus
from core.domain.risk import LABELS
from core.domain.story import Priority

LATER = {"in_force": False}


def _later(default: Any, description: str, **bounds: Any) -> Any:
    return Field(default, description=description, json_schema_extra=dict(LATER), **bounds)


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, validate_default=False)


class SecuritySettings(Section):
    encryption_at_rest: Bool = Field(False, description="Encrypt the store's file.")
    audit_log_retention_days: Int = Field(90, ge=1, le=36500, description="How long the audit log is kept.")
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
        (), description="Roles, by name or id, that may steer and approve; none: every member of the server."
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

    enable_cross_project_insights: Bool = _later(True, "Look for patterns across projects.")
    enable_knowledge_sharing: Bool = _later(True, "Propose to carry a pattern from one project to another.")
    enable_pattern_learning: Bool = _later(True, "Learn from what people accept.")
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
    monitoring_webhook_url: HttpAddress | None = _later(None, "Alerts are sent there.")
    external_metrics_endpoint: HttpAddress | None = _later(None, "Metrics are sent there.")

    security: SecuritySettings = _later(SecuritySettings(), "Users and the safety of what is stored.")

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


class ResourceLimits(Section):
    max_parallel_agents: Int = Field(3, ge=1, le=1000, description="Agents at work at once.")
    max_parallel_cycles: Int = Field(2, ge=1, le=1000, description="Stories at work at once.")
    max_memory_mb: Int = Field(
        4096,
        ge=64,
        le=16777216,
        description="Memory of all that the project runs, in MB: agents and test runs together.",
    )
    max_disk_mb: Int = Field(
        10240, description="Disk that the project's work may take, in MB.", ge=1, le=1073741824
    )
    cpu_priority: Number = Field(
        1.0, description="The project's weight: its share when there is not enough for all.", gt=0, le=100
    )
    max_cpu_cores: Number | None = Field(
        None, description="Processor cores, also while others are idle; null: no limit.", gt=0, le=4096
    )
    max_processes: Int = Field(4096, description="Processes at once.", ge=16, le=1000000)
    max_tokens_per_minute: Int | None = Field(
        None,
        description="Tokens a minute; calls at the model gateway wait for them; null: no limit.",
        ge=1,
        le=10**12,
    )
    agent_memory_mb: Int | None = Field(
        None,
        description="Memory that is kept free for each agent before it starts, in MB; null: max_memory_mb "
        "shared by the stories that may be at work at once, at most 1024.",
        ge=16,
        le=16777216,
    )
    agent_cpu_cores: Number = Field(
        0.1, description="Processor cores that are counted for each agent.", ge=0, le=4096
    )
    guaranteed_agents: Number = Field(
        0,
        description="So many agents the project may always have back from those who borrowed them.",
        ge=0,
        le=1000,
    )
    lends: Number = Field(
        1.0, description="The part of its unused guarantee that others may borrow, 0 to 1.", ge=0, le=1
    )


class AiSettings(Section):
    auto_approve_low_risk: Bool = Field(
        True, description="A small, plain change goes in without a person; the risk rules say why."
    )
    require_human_review: Bool = Field(False, description="A person approves every change.")
    max_auto_retry: Int = Field(
        3, ge=0, le=100, description="Tries after a refused gate, before people are asked."
    )
    max_conflicts: Int = Field(
        2,
        ge=1,
        le=100,
        description="A story that did not fit on the main branch this often, by a conflict or by the gate "
        "there, asks people.",
    )
    resume_after_usage_limit: Bool = Field(
        False, description="A sprint that its agent's usage limit paused goes on by itself when that resets."
    )
    usage_limit_tries: Int = Field(
        3, ge=1, le=100, description="It goes on by itself no more often than this in a row."
    )
    context_sharing_enabled: Bool = Field(
        True,
        description="A story may be linked to one of another project, whose agents are then told what was "
        "done here, and the other way round; both projects must allow it.",
    )


class RiskSettings(Section):
    max_lines: Int = Field(
        200, ge=0, le=1000000, description="A low-risk change adds and removes no more; tests not counted."
    )
    max_files: Int = Field(10, ge=0, le=100000, description="A low-risk change touches no more files.")
    sensitive_paths: Mapping[RuleLabel, tuple[Glob, ...]] = Field(
        {}, description="More paths that ask for a person: globs below a label; added to the built-in ones."
    )
    ignore: tuple[Text, ...] = Field(
        (), description=f"Built-in rules that are switched off: any of {', '.join(LABELS)}."
    )

    @field_validator("ignore", mode="after")
    @classmethod
    def _knows_the_rules(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for label in value:
            if label not in LABELS:
                raise ValueError(
                    f"names no built-in rule: {label!r}{near(label, LABELS)}; there are {', '.join(LABELS)}"
                )
        return value


class ApprovalSettings(Section):
    """Until when people may answer, what happens then, and who they are."""

    answer_within_minutes: Number | None = Field(
        None, gt=0, le=525600, description="People should answer within this time; null: whenever."
    )
    when_unanswered: Unanswered = Field(
        Unanswered.WAIT,
        description="Then: wait (with one reminder), escalate (a wider circle is asked) or deny.",
    )
    level: AnswerLevel = Field(
        "contributor", description="Who may answer: contributor, maintainer, admin or owner, and higher."
    )
    roles: tuple[Role, ...] = Field(
        (), description="Discord roles, by name or id, that may answer; others then only from admin up."
    )
    people: tuple[Snowflake, ...] = Field((), description="Ids of people in Discord who may, likewise.")
    escalate_level: AnswerLevel = Field(
        "admin", description="Who may answer as well, once a question is escalated."
    )
    escalate_roles: tuple[Role, ...] = Field((), description="As roles, once a question is escalated.")
    escalate_people: tuple[Snowflake, ...] = Field((), description="As people, once a question is escalated.")

    @field_validator("when_unanswered")
    @classmethod
    def _has_a_time(cls, value: Unanswered, info: ValidationInfo) -> Unanswered:
        if value is not Unanswered.WAIT and info.data.get("answer_within_minutes", 0) is None:
            raise ValueError(f"is {value}, but never happens: answer_within_minutes is not set")
        return value


class BudgetLimits(Section):
    """Each null: no limit; 0: nothing at all."""

    tokens: Int | None = Field(
        None, ge=0, le=10**12, description="Tokens that models read and write; null: no limit."
    )
    dollars: Number | None = Field(
        None, ge=0, le=1000000, description="Money in US dollars, by the prices known; null: no limit."
    )
    turns: Int | None = Field(None, ge=0, le=1000000, description="Turns of agents; null: no limit.")
    minutes: Number | None = Field(
        None, ge=0, le=5256000, description="Wall time of agents' turns, added up; null: no limit."
    )

    @field_validator("dollars")
    @classmethod
    def _is_exact(cls, value: float | None) -> float | None:
        if value is not None and (value * 1_000_000) % 1 and round(value, 6) != value:
            raise ValueError(f"is finer than a millionth of a dollar: {value!r}")
        return value


class BudgetSettings(Section):
    """What agents may use. At a limit they stop, and people may raise it."""

    story: BudgetLimits = Field(BudgetLimits(), description="For each story, as long as it takes.")
    project: BudgetLimits = Field(BudgetLimits(), description="For all of the project, for ever.")
    day: BudgetLimits = Field(
        BudgetLimits(),
        description="For a day of the project, by the time zone of its work_hours; UTC without them.",
    )
    warn_percent: Int = Field(
        80, ge=1, le=100, description="People are warned when this share of a budget is used."
    )
    raise_level: AnswerLevel = Field(
        "maintainer",
        description="Who may raise a budget: contributor, maintainer, admin or owner, and higher.",
    )

    @field_validator("story", "project", "day", mode="before")
    @classmethod
    def _may_be_empty(cls, value: Any) -> Any:
        """`day:` with nothing below it means the defaults, as sections do elsewhere."""
        return BudgetLimits() if value is None else value

    @model_validator(mode="after")
    def _fits(self) -> BudgetSettings:
        """A story or a day that may use more than its project ever may is a slip of the pen."""
        for scope, inner in (("story", self.story), ("day", self.day)):
            for unit in BudgetLimits.model_fields:
                least, most = getattr(inner, unit), getattr(self.project, unit)
                if least is not None and most is not None and least > most:
                    raise ValueError(
                        f"{scope}.{unit} is {least:g}, more than the whole project may ever use "
                        f"(project.{unit}: {most:g})"
                    )
        return self


class WorkHours(Section):
    timezone: TimeZone = Field("UTC", description="Time zone of start and end, such as Europe/Berlin.")
    start: Hour = Field("09:00", validate_default=True, description="Work starts, HH:MM.")
    end: Hour = Field(
        "17:00", validate_default=True, description="Work ends, HH:MM; before start: the next day."
    )
    days: tuple[Day, ...] = Field(
        ("monday", "tuesday", "wednesday", "thursday", "friday"),
        min_length=1,
        max_length=7,
        description="Days on which work starts.",
    )

    @field_validator("end")
    @classmethod
    def _is_not_start(cls, value: time, info: ValidationInfo) -> time:
        if value == info.data.get("start"):
            raise ValueError("is the same as start: leave work_hours out to work around the clock")
        return value

    @field_validator("days")
    @classmethod
    def _names_no_day_twice(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) != len(value):
            raise ValueError("names a day twice")
        return value


class ProjectSettings(Section):
    name: str = Field(description="The same as the project's key.")
    path: Place = Field(description="The git checkout; relative to the folder of orch-config.yaml.")
    priority: Priority = Field(Priority.NORMAL, description="critical, high, normal or low.")
    status: ProjectStatus = Field(
        ProjectStatus.ACTIVE,
        description="active, paused, maintenance, archived or initializing, when it is first seen.",
    )
    resource_limits: ResourceLimits = Field(ResourceLimits(), description="What the project may use.")
    ai_settings: AiSettings = Field(AiSettings(), description="What agents may decide.")
    risk_limits: RiskSettings = Field(RiskSettings(), description="What a low-risk change is.")
    approvals: ApprovalSettings = Field(
        ApprovalSettings(), description="Who answers questions, until when, and what happens then."
    )
    budgets: BudgetSettings = Field(
        BudgetSettings(), description="What agents may use, and who may allow them more."
    )
    work_hours: WorkHours | None = Field(None, description="When agents work; null: always.")
    shared_resources: Mapping[ResourceName, Places] = Field(
        {},
        description="What each of its stories takes of global.shared_resources while it is worked on: a name "
        "and how many places.",
    )

    discord_channel: Channel | None = Field(
        None, description="Name or id of the project's channel; null: proj-<name>."
    )
    slack_channel: Channel | None = _later(None, "Name of the project's Slack channel.")
    team: tuple[Text, ...] = _later((), "People who work on it.")
    dependencies: tuple[Text, ...] = _later((), "Projects that it needs.")

    agent: Text | None = Field(None, description="Its agent; null: global.default_agent.")
    agents_by_role: Mapping[AgentRole, Text] = Field(
        {},
        description="Another agent for a role: design (specs), qa (tests), code or data; a role that is not "
        "named has the project's agent.",
    )
    agent_fallbacks: tuple[Text, ...] = Field(
        (),
        description="Agents that take over, in this order, from one that is not installed, has no key, is at "
        "its usage limit or cannot be started.",
    )
    main_branch: Text | None = Field(
        None, description="The branch that stories are merged into; null: what the checkout is on."
    )
    folder: InsidePath = Field(".", description="The part of a monorepo that is the project.")
    test_command: Command | None = Field(
        None, description="How its tests are run; {junit}: the report's path. null: detected."
    )
    setup_command: Command | None = Field(
        None, description="How its environment is made; null: detected from lock files."
    )
    environment: EnvironmentSource = Field(
        "auto", description="auto, inherit (the checkout's own), make (by setup_command) or none."
    )
    isolation: IsolationLevel | None = Field(
        None,
        description="process, filesystem, network or container; null: the strongest that the machine gives.",
    )
    test_timeout_seconds: Number = Field(
        600, ge=1, le=86400, description="A test run that takes longer is stopped."
    )
    turn_timeout_seconds: Number = Field(
        1800, ge=1, le=86400, description="An agent's turn that takes longer is stopped."
    )
    design_docs_path: InsidePath | None = Field(
        None, description="Where designs are committed; null: they stay out of the project's commits."
    )
    prompts_path: Place | None = Field(
        None,
        description="A folder with prompts of the project's own, named as those in config/prompts; relative "
        "to the folder of orch-config.yaml. null: those that come with Orchard.",
    )
    extra_test_paths: tuple[Glob, ...] = Field((), description="More globs whose files count as tests.")
    merge_batch_size: Int = Field(
        8, ge=1, le=100, description="Stories that are ready are merged together, at most so many; 1: alone."
    )
    state_mirror: Bool = Field(
        True, description="Backlog, sprints and cycles are kept as readable JSON in .orch-state."
    )


class Settings(Section):
    """Everything Orchard was told. `agents` holds rows as they were written; presets.py reads them."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    global_: GlobalSettings = Field(GlobalSettings(), alias="global")
    projects: Mapping[str, ProjectSettings] = Field(default_factory=dict)
    agents: Mapping[str, Any] = Field(default_factory=dict)
    discord_token: SecretStr | None = None
    discord_api_url: HttpAddress | None = None  # None: Discord's own
    discord_gateway_url: SocketAddress | None = None  # None: Discord's own

"""A project's section: what it may use, what its agents may decide, how it is worked on."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import time
from typing import Any

from pydantic import Field, ValidationInfo, field_validator, model_validator

from config.fields import (
    AgentRole,
    AllowEntry,
    AnswerLevel,
    Bool,
    Channel,
    Command,
    Day,
    EnvironmentSource,
    Glob,
    Hour,
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
    Text,
    TimeZone,
    near,
)
from config.github_settings import ProjectGithub
from config.section import Section, later
from core.domain.approval import Unanswered
from core.domain.lifecycles import ProjectStatus
from core.domain.risk import LABELS
from core.domain.story import Priority


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
    slack_channel: Channel | None = Field(
        None,
        description="The project's Slack channel, for alerts that are sent by SLACK_WEBHOOK_URL; a webhook "
        "of the project's own, its secret SLACK_WEBHOOK_URL, has a channel already.",
    )
    team: tuple[Text, ...] = later((), "People who work on it.")
    dependencies: tuple[Text, ...] = later((), "Projects that it needs.")

    github: ProjectGithub = Field(
        ProjectGithub(), description="Its repository on GitHub, and what it does with it."
    )

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
    agent_secrets: tuple[Text, ...] = Field(
        (), description="Names of the project's secrets (`orchard secrets`) that its agents get as variables."
    )
    test_secrets: tuple[Text, ...] = Field((), description="Likewise for what runs its tests.")
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
    isolation_by_role: Mapping[AgentRole, IsolationLevel] = Field(
        {},
        description="Another level for agents of a role: design, qa, code or data; tests keep the project's.",
    )
    container_image: Text | None = Field(
        None,
        description="The image at level container, which has to be on this machine and hold python3; "
        "null: one that is made from the machine's own root tree.",
    )
    network_allow: tuple[AllowEntry, ...] = Field(
        ("registries",),
        description="What agents may reach at level `network`, beside their models: HOST:PORT, *.HOST:PORT, "
        "an address range, or a named set: pypi, npm, crates, go, maven, rubygems (registries: all of them), "
        "anthropic, openai, gemini, mistral, openrouter (models: all of them). Tests reach nothing there.",
    )
    setup_network_allow: tuple[AllowEntry, ...] = Field(
        ("registries",), description="What the set-up command may reach at level `network`; likewise."
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

"""Settings turned into what a worker needs to know."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from config.settings import ApprovalSettings, GlobalSettings, ProjectSettings, Settings
from core.agents.installed import agents_folder
from core.agents.presets import Ready, Rows, load_rows, never, resolve
from core.agents.redaction import SHORTEST, secrets_in
from core.agents.roles import ROLE_OF, Role
from core.agents.setup import AgentSetup
from core.domain.access import AccessLevel
from core.domain.approval import Asking, Circle
from core.domain.project import Project
from core.domain.risk import RiskLimits
from core.errors import NotFound, OrchardError, Unavailable
from core.gateway.addresses import known_providers
from core.gateway.rate import Rates
from core.isolation.egress.named_hosts import expand, provider_rules
from core.isolation.plan import Level, Machine
from core.known_secrets import known_secrets
from core.orchestrator.agent_choice import Choice, Kept, candidates, choose, no_starts, unheld
from core.orchestrator.project_terms import project_terms
from core.orchestrator.reports import ReviewPolicy
from core.orchestrator.scheduling.demand import Terms
from core.orchestrator.usage_limit import UsagePolicy
from core.projects.registration import not_configured
from core.scheduler.workhours import work_time
from core.worker.contract import ProjectSetup


def wants_container(project: ProjectSettings) -> bool:
    """Whether anything of it is to run in containers: they are looked for only then."""
    return Level.CONTAINER in (project.isolation, *project.isolation_by_role.values())


class Setups:
    """Reads the present settings at each call, so a changed file needs no restart once it is loaded."""

    def __init__(
        self,
        settings: Callable[[], Settings],
        *,
        state_path: Path,
        machine: Machine,
        environ: Mapping[str, str],
        broken: Callable[[], Mapping[str, OrchardError]] = dict,
    ) -> None:
        """`environ` is where agents' keys come from: the process's environment over `.env`. `broken`: why
        projects are left out of the settings.
        """
        self._settings = settings
        self._broken = broken
        self.state_path = state_path
        self._machine = machine
        self.environ = environ
        self.gateway_ready: Ready = never  # set by who runs the model gateway
        self._projects: dict[str, Project] = {}
        self._rows: tuple[object, Rows] | None = None  # made of which settings
        self._terms: tuple[object, Mapping[str, Terms]] | None = None

    def learn(self, project: Project) -> None:
        """Takes note of a registered project: its checkout and main branch are not in the settings."""
        self._projects[project.name] = project

    def settings(self, name: str) -> ProjectSettings:
        """Raises Unavailable when a project's settings are not there or cannot be used."""
        if (found := self._settings().projects.get(name)) is not None:
            return found
        if (error := self._broken().get(name)) is not None:
            raise Unavailable(error.message, why=error.why, hint=error.hint)
        raise not_configured(name)

    def configured(self, name: str) -> ProjectSettings | None:
        """None for a project whose settings are not there or cannot be used."""
        return self._settings().projects.get(name)

    def level(self, name: str) -> Level:
        """The isolation of a project's agents and tests. Raises Unavailable, never weaker than asked for."""
        wanted = self.settings(name).isolation
        if wanted is None and self._settings().global_.enable_project_isolation:
            return self._machine.strongest
        return self._given(name, Level(wanted or Level.PROCESS))

    def _given(self, name: str, level: Level) -> Level:
        if level not in self._machine.levels:
            raise Unavailable(
                f"{name} asks for isolation '{level}', which this machine does not give.",
                why=self._machine.reasons.get(level, ""),
                hint=f"Run 'orchard doctor', or set 'isolation: {self._machine.strongest}' for the project.",
            )
        return level

    def levels_by_role(self, name: str) -> Mapping[str, str]:
        """Where a role's agents have another isolation than the project. Raises Unavailable."""
        asked = self.settings(name).isolation_by_role
        return {str(role): self._given(name, Level(level)) for role, level in asked.items()}

    def project(self, name: str) -> ProjectSetup:
        """Raises Unavailable when the settings ask for what this machine does not give."""
        if name not in self._projects:
            raise NotFound(f"There is no project {name}.")
        project, settings = self._projects[name], self.settings(name)
        return ProjectSetup(
            name=name,
            path=project.path,
            main_branch=project.main_branch,
            state_path=self.state_path,
            folder=settings.folder,
            test_command=settings.test_command,
            setup_command=settings.setup_command,
            environment=settings.environment,
            isolation=self.level(name),
            isolation_by_role=self.levels_by_role(name),
            container_image=self.settings(name).container_image or "",
            network_allow=expand(settings.network_allow),
            setup_network_allow=expand(settings.setup_network_allow),
            test_timeout_seconds=settings.test_timeout_seconds,
            turn_timeout_seconds=settings.turn_timeout_seconds,
            stall_seconds=self._settings().global_.stall_seconds,
            stall_cancel_seconds=self._settings().global_.stall_cancel_seconds,
            memory_mb=settings.resource_limits.max_memory_mb,
            design_docs_path=settings.design_docs_path,
            extra_test_paths=settings.extra_test_paths,
            prompts_path=settings.prompts_path,
        )

    def shares_context(self, name: str) -> bool:
        """Whether agents of other projects may be told what was done in this one, and the other way round."""
        settings = self.configured(name)
        return settings is not None and settings.ai_settings.context_sharing_enabled

    def approvals(self, name: str) -> int:
        """Approving reviews that a project's pull requests need on GitHub."""
        settings = self.configured(name)
        return 0 if settings is None else settings.github.approvals

    def secrets(self) -> tuple[str, ...]:
        """Every key of Orchard's own: what is never to be written down, nor shown. A project's secrets are
        none of them: those of one are nothing that another's worker is told."""
        rows = self._agents().values()
        named = {key for row in rows for key in row.key_variables}
        providers = self._settings().global_.model_gateway.providers.values()
        named |= {key for provider in providers for key in provider.key_variables}
        written = [value for row in rows for value in secrets_in(row.environment, row.key_variables)]
        found = {*secrets_in(self.environ, named), *written, *self._of_services()}
        known_secrets.learn(found)
        return tuple(sorted(found))

    def _of_services(self) -> set[str]:
        settings = self._settings()
        tokens = (
            settings.github_token,
            *settings.github_webhook_secrets,
            settings.monitoring_webhook_secret,
            settings.slack_webhook_url,
            settings.external_metrics_token,
        )
        return {value for each in tokens if each and len(value := each.get_secret_value()) >= SHORTEST}

    def agent_named(self, agent: str) -> AgentSetup:
        """Raises Unavailable when it is not installed."""
        setup = resolve(
            agent,
            self._agents(),
            environ=self.environ,
            gateway=self.gateway_ready,
            installed=agents_folder(self.state_path),
        )
        return replace(setup, network_allow=self.model_rules(agent))

    def model_rules(self, agent: str) -> tuple[str, ...]:
        """Where an agent gets to its models that asks its provider itself."""
        provider = self.provider_of(agent)
        known = known_providers(self._settings().global_.model_gateway).get(provider)
        return provider_rules(provider, known.base_url if known else "")

    def choice(
        self,
        name: str,
        role: Role,
        *,
        held: Callable[[str], str] = unheld,
        failed_starts: Callable[[str], int] = no_starts,
        kept: Kept | None = None,
    ) -> Choice:
        """Which agent works for a project in a role. Raises Unavailable when none is chosen."""
        settings = self.settings(name)
        by_role, agent = self._asked_for(settings)
        if not candidates(role, by_role, agent, settings.agent_fallbacks):
            raise Unavailable(
                f"Project {name} has no agent.",
                why="Neither the project's 'agent' nor 'global.default_agent' is set.",
                hint="Set one in orch-config.yaml; 'orchard doctor' lists the agents found here.",
            )
        return choose(
            role,
            by_role,
            agent,
            settings.agent_fallbacks,
            installed=self._can_start,
            has_key=self._has_key,
            held=held,
            failed_starts=failed_starts,
            kept=kept,
        )

    def _asked_for(self, settings: ProjectSettings) -> tuple[Mapping[str, str], str | None]:
        """The agents of single roles, and that of all others."""
        by_role = {str(role): agent for role, agent in settings.agents_by_role.items()}
        return by_role, settings.agent or self._settings().global_.default_agent

    def check_agents(self, name: str, able: set[str] | None = None) -> None:
        """Raises Unavailable when no agent can be started here for some role of the project's cycle. `able`:
        those that are known to be able, which are not looked at; joined by those that are found to be so."""
        able = set() if able is None else able
        for agent in dict.fromkeys(self.choice(name, role).name for role in ROLE_OF.values()):
            if agent in able:
                continue
            self.agent_named(agent)
            able.add(agent)

    def _has_key(self, agent: str) -> bool:
        """Its own, or the gateway's."""
        row = self._agents()[agent]
        at_gateway = row.gateway is not None and self.gateway_ready(row.gateway.provider)
        return at_gateway or row.has_key(self.environ)

    def able_agents(self, name: str, role: Role) -> tuple[str, ...]:
        """The agents of a project that could work in the role here, the one that is asked for first; that one
        where none could, as with `choice`."""
        settings = self.configured(name)
        if settings is None:
            return ()
        by_role, agent = self._asked_for(settings)
        named = candidates(role, by_role, agent, settings.agent_fallbacks)
        able = tuple(each for each in named if self._can_start(each) and self._has_key(each))
        return able or named[:1]

    def _can_start(self, agent: str) -> bool:
        try:
            resolve(agent, self._agents(), environ=self.environ, installed=agents_folder(self.state_path))
        except OrchardError:
            return False
        return True

    def provider_of(self, agent: str) -> str:
        """Whom an agent asks for its models; its own name where its row does not say."""
        row = self._agents().get(agent)
        return agent if row is None or row.gateway is None else row.gateway.provider

    def usage_policy(self, name: str) -> UsagePolicy:
        settings = self.configured(name)
        if settings is None:
            return UsagePolicy()
        return UsagePolicy(
            resumes=settings.ai_settings.resume_after_usage_limit,
            tries=settings.ai_settings.usage_limit_tries,
        )

    def in_work_hours(self, name: str, now: datetime) -> bool:
        terms = self.terms().get(name)
        return terms is None or work_time(now, terms.hours).allowed

    def _agents(self) -> Rows:
        custom = self._settings().agents
        if self._rows is None or self._rows[0] is not custom:
            self._rows = (custom, load_rows(custom))
        return self._rows[1]

    def review_policy(self, name: str) -> ReviewPolicy:
        settings = self.settings(name)
        return ReviewPolicy(
            max_auto_retry=settings.ai_settings.max_auto_retry,
            auto_approve_low_risk=settings.ai_settings.auto_approve_low_risk,
            require_human_review=settings.ai_settings.require_human_review,
            limits=RiskLimits(
                max_lines=settings.risk_limits.max_lines,
                max_files=settings.risk_limits.max_files,
                sensitive_paths=settings.risk_limits.sensitive_paths,
                ignore=frozenset(settings.risk_limits.ignore),
            ),
            max_conflicts=settings.ai_settings.max_conflicts,
            usage=self.usage_policy(name),
            asking=self.asking(name),
        )

    def asking(self, name: str) -> Asking:
        return asking(self.settings(name).approvals)

    def global_settings(self) -> GlobalSettings:
        return self._settings().global_

    def rates(self) -> Rates:
        """Tokens a minute."""
        settings = self._settings()
        said = {name: each.resource_limits.max_tokens_per_minute for name, each in settings.projects.items()}
        return Rates(
            together=settings.global_.max_tokens_per_minute,
            projects={name: most for name, most in said.items() if most is not None},
        )

    def terms(self) -> Mapping[str, Terms]:
        """What each configured project may have; made anew only when the settings are others."""
        settings = self._settings()
        if self._terms is None or self._terms[0] is not settings:
            found = {name: project_terms(name, project) for name, project in settings.projects.items()}
            self._terms = (settings, found)
        return self._terms[1]


def asking(settings: ApprovalSettings) -> Asking:
    """How a project's questions are put to people."""
    minutes = settings.answer_within_minutes
    return Asking(
        circle=Circle(
            level=AccessLevel[settings.level.upper()],
            roles=settings.roles,
            people=tuple(map(str, settings.people)),
        ),
        within=None if minutes is None else timedelta(minutes=minutes),
        unanswered=settings.when_unanswered,
        escalation=Circle(
            level=AccessLevel[settings.escalate_level.upper()],
            roles=settings.escalate_roles,
            people=tuple(map(str, settings.escalate_people)),
        ),
    )

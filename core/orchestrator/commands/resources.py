"""Resources: how they are shared, shared anew, and why a story waits."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from datetime import UTC, datetime

from pydantic import TypeAdapter, ValidationError

from config.fields import Strategy
from core.domain.story import StoryStatus
from core.errors import InvalidInput
from core.monitoring.machine import read_machine
from core.orchestrator.commands.topic import Topic
from core.orchestrator.explanation import StoryFacts, explained
from core.orchestrator.project_terms import hours_of
from core.orchestrator.resource_views import Optimization, ReloadView, ResourcesView, WhyView
from core.orchestrator.resources_at_rest import read_at_rest, view_at_rest
from core.orchestrator.scheduling.bars import hours_bar
from core.orchestrator.story_facts import story_facts

log = logging.getLogger(__name__)

_STRATEGY: TypeAdapter[str] = TypeAdapter(Strategy)
_AT_WORK = frozenset({StoryStatus.WAITING, StoryStatus.RUNNING})


class Resources(Topic):
    async def resources(self) -> ResourcesView:
        """Beside no running Orchard: the limits, what was allocated last, and who has which lock."""
        if self._engine is not None:
            return await self._engine.resources()
        configuration = self._registry.configuration
        at_rest = await self._store.read(read_at_rest)
        reading = await asyncio.to_thread(read_machine, configuration.state_path)
        return view_at_rest(
            at_rest,
            configuration.settings,
            reading,
            now=datetime.now(UTC),
            problems={name: str(error) for name, error in configuration.broken.items()},
        )

    async def optimize(
        self, *, strategy: str | None = None, dry_run: bool = False, actor: str
    ) -> Optimization:
        """Measures, and shares resources anew. `dry_run` changes nothing, and may try another strategy.

        Raises InvalidInput for a strategy that is none, or that is not the configured one and no dry run;
        Unavailable where nothing runs.
        """
        configured = self._registry.configuration.settings.global_.resource_allocation_strategy
        wanted = _checked(strategy.strip()) if strategy and strategy.strip() else None
        if wanted is not None and wanted != configured and not dry_run:
            raise InvalidInput(
                f"The strategy is {configured}, not {wanted}.",
                why="What decides between projects stands in the settings, so that it is the same after a "
                "restart.",
                hint=f"Set global.resource_allocation_strategy: {wanted} in orch-config.yaml; or look at "
                "what it would do, by a dry run.",
            )
        engine = self._running("What a strategy would do is known" if dry_run else "Resources are shared")
        return await engine.optimize(wanted, dry_run, actor)

    async def reload_settings(self, *, actor: str) -> ReloadView:
        """Reads the settings anew, at once. Raises OrchardError, and then the settings of before stay."""
        self._running("Settings are read anew")
        told = await self._registry.reload(asked=True)
        log.info("settings read anew for %s: %d changed", actor, len(told.changed))
        return told

    async def why(self, story_id: str) -> WhyView:
        """Why a story does what it does, in every state that it can be in. Raises NotFound."""
        now, runs = datetime.now(UTC), self._engine is not None
        name = story_id.strip().lower()
        facts = await self._store.read(
            lambda conn: story_facts(conn, name, now=now, runs=runs, why=self._why)
        )
        told = explained(await self._complete(facts))
        return WhyView(
            story_id=facts.story.id,
            title=facts.story.title,
            project=facts.project.name,
            status=facts.status,
            sentence=told.sentence,
            details=told.details,
            next=told.next,
        )

    async def _complete(self, facts: StoryFacts) -> StoryFacts:
        """With what stands in no table: settings, hours, the scheduler's own words."""
        name = facts.project.name
        settings = self._registry.configuration.settings.projects.get(name)
        problem = self._registry.problem(name)
        known: tuple[str, tuple[str, ...], str] = ("", (), "")
        if self._engine is not None and facts.status in _AT_WORK:
            known = await self._engine.explain(facts.story.id)
        closed = ""
        if settings is not None:
            closed = hours_bar(name, hours_of(settings.work_hours), facts.now).removeprefix("waits: ")
        return replace(
            facts,
            unusable=problem.message if settings is None and problem is not None else "",
            closed=closed,
            known=known,
        )


def _checked(strategy: str) -> str:
    """Raises InvalidInput for what can be no strategy's name."""
    try:
        return _STRATEGY.validate_python(strategy)
    except ValidationError as error:
        (detail,) = error.errors()
        raise InvalidInput(f"The strategy {detail['ctx']['error']}.") from None

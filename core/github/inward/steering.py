"""What was said to a story at GitHub, passed on to what runs: each once, also when Orchard was killed between
keeping it and passing it on."""

from __future__ import annotations

import asyncio
import json
import logging
from functools import partial

from core.domain.story import Story
from core.errors import OrchardError
from core.orchestrator.commands.interventions import keep_steering, tell_steered
from core.orchestrator.commands.topic import Engine
from core.store import github_heard, stories
from core.store.database import Store
from core.store.transaction import Transaction

_log = logging.getLogger(__name__)

_STEER = "steer"  # begins the intents


def steer(tx: Transaction, story_id: str, text: str, *, actor: str) -> Story:
    """For the next prompt, and noted for `Steering.pass_on`. Raises OrchardError where none is to come."""
    story = keep_steering(tx, story_id, text)
    github_heard.intend(tx, story.project, f"{_STEER}:{json.dumps([story.id, text, actor])}")
    return story


class Steering:
    def __init__(self, store: Store, engine: Engine) -> None:
        self._store = store
        self._engine = engine
        self._passing = asyncio.Lock()

    async def pass_on(self, project: str) -> None:
        """All that is noted of the project."""
        async with self._passing:
            for what in await self._store.read(lambda conn: github_heard.intended(conn, project)):
                kind, _, rest = what.partition(":")
                if kind == _STEER:
                    story_id, text, actor = json.loads(rest)
                    reached = await self._offered(project, story_id, text)
                    await self._store.write(
                        partial(
                            _passed, what=what, story_id=story_id, text=text, actor=actor, reached=reached
                        )
                    )

    async def _offered(self, project: str, story_id: str, text: str) -> bool:
        """Whether a running turn got it; if not, the next prompt has it."""
        try:
            return await self._engine.steer(project, story_id, text)
        except OrchardError as error:
            _log.warning("%s: what was said did not reach what runs: %s", story_id, error)
            return False


def _passed(tx: Transaction, what: str, story_id: str, text: str, actor: str, reached: bool) -> None:
    story = stories.get(tx.conn, story_id)
    tell_steered(tx, story, text, actor=actor, reached=reached)
    github_heard.settle(tx, story.project, what)

"""What each project has of the machine, read for many live messages at once."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from core.errors import OrchardError
from core.orchestrator.resource_views import ProjectResources

if TYPE_CHECKING:
    from core.orchestrator.commands import Commands

_log = logging.getLogger(__name__)

FRESH_SECONDS = 0.5  # the shares of all projects come in one look: fifty messages need it once


class Shares:
    def __init__(self, commands: Commands, fresh_seconds: float = FRESH_SECONDS) -> None:
        self._commands = commands
        self._fresh_seconds = fresh_seconds
        self._known: dict[str, ProjectResources] = {}
        self._looked_at: float | None = None
        self._turn = asyncio.Lock()

    async def of(self, project: str) -> ProjectResources | None:
        """None where it cannot be known now: a message without it is better than none."""
        clock = asyncio.get_running_loop().time
        async with self._turn:
            if self._looked_at is None or clock() - self._looked_at > self._fresh_seconds:
                try:
                    view = await self._commands.resources()
                except OrchardError as error:
                    _log.info("shares are not shown: %s", error)
                    self._known = {}
                else:
                    self._known = {one.project: one for one in view.projects}
                self._looked_at = clock()
            return self._known.get(project)

"""The web server beside the rest: started when everything runs, and nothing ends when it cannot be.

What it takes is imported in a thread then, so that Orchard's start does not wait for it.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
from typing import TYPE_CHECKING, Any

from core.errors import OrchardError
from core.runtime import Runtime

if TYPE_CHECKING:
    from bot.localguild.people import Link

log = logging.getLogger(__name__)

SWITCHED_OFF = "switched off"


class WebService:
    """`status`: the address, or why there is none."""

    def __init__(self, runtime: Runtime, guild: Link | None = None) -> None:
        self._runtime = runtime
        self._guild = guild
        self.status = "starting"
        self.ready = asyncio.Event()  # it serves, or cannot
        self.application: Any = None

    async def run(self) -> None:
        """Until cancelled; ends by itself when it cannot serve."""
        settings = self._runtime.configuration().settings.global_.web
        try:
            server = await asyncio.to_thread(importlib.import_module, "bot.web.server")
            async with server.served(self._runtime, settings, self._guild) as served:
                self.status, self.application = served.address, served.application
                self.ready.set()
                log.info("the web server listens: %s", served.address)
                await asyncio.Event().wait()
        except OrchardError as error:
            self.status = f"not there: {error}"
            log.warning("no web server: %s Everything else runs.", error)
        finally:
            self.ready.set()

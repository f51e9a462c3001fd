"""Takes up changed settings while Orchard runs."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from config.loader import REGISTRATIONS
from config.project_section import OWN_FILE
from core.errors import OrchardError
from core.orchestrator.registry import Registry

log = logging.getLogger(__name__)

_Signature = tuple[tuple[str, int, int, int], ...]


class SettingsWatch:
    """`tick` is called every few seconds. A change is read once the files have rested for a tick, so that no
    editor is met halfway; one that cannot be accepted is told, and the settings of before stay.
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._read = self._seen = self._look()
        self._at_work = asyncio.Lock()

    async def tick(self) -> None:
        async with self._at_work:
            await self._tick()

    async def settle(self) -> None:
        """Waits for a tick that is under way."""
        async with self._at_work:
            return

    async def _tick(self) -> None:
        seen = await asyncio.to_thread(self._look)
        rested, self._seen = seen == self._seen, seen
        if seen == self._read or not rested:
            return
        self._read = seen
        try:
            told = await self._registry.reload()
        except OrchardError as error:
            log.warning("changed settings are not taken up: %s", error)
        except Exception:  # a tick: the next change is looked at all the same
            log.exception("changed settings could not be read")
        else:
            for line in told.changed:
                log.info("settings: %s", line)
            for line in told.later:
                log.warning("settings: %s", line)

    def _look(self) -> _Signature:
        """What tells a file from what it was: one that is replaced has another inode."""
        configuration = self._registry.configuration
        folder = configuration.state_path / REGISTRATIONS
        try:
            registered = sorted(each for each in folder.iterdir() if each.suffix == ".yaml")
        except OSError:
            registered = []
        projects = configuration.settings.projects.values()
        paths = [
            configuration.config_file,
            configuration.root / ".env",
            *registered,
            *(Path(project.path) / OWN_FILE for project in projects),
        ]
        found = []
        for path in paths:
            try:
                status = path.stat()
            except OSError:
                continue
            found.append((str(path), status.st_mtime_ns, status.st_size, status.st_ino))
        return tuple(found)

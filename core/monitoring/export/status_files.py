"""Keeps the files under <state>/status: each is whole at any time, and as old as it says."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from core.clock import Clock
from core.durable_file import replace_whole
from core.monitoring.export.status import status_documents
from core.monitoring.service import Monitoring

log = logging.getLogger(__name__)

FOLDER = "status"
EVERY_SECONDS = 30.0
_SOON_SECONDS = 2.0  # after the start, when the first pass is over


class StatusFiles:
    """`projects`: the names of those that are registered."""

    def __init__(
        self,
        monitoring: Monitoring,
        clock: Clock,
        state_path: Path,
        projects: Callable[[], tuple[str, ...]],
    ) -> None:
        self._monitoring = monitoring
        self._clock = clock
        self._folder = state_path / FOLDER
        self._projects = projects
        self._said = ""

    async def run(self) -> None:
        """Until cancelled."""
        await asyncio.sleep(_SOON_SECONDS)
        while True:
            await self.write()
            await asyncio.sleep(EVERY_SECONDS)

    async def write(self) -> None:
        """Once. A disk that is full is told of once, and the files stay as they were."""
        documents = status_documents(
            self._monitoring.readings.latest(),
            self._monitoring.counts,
            self._projects(),
            self._monitoring.troubles,
            self._clock.now(),
        )
        try:
            await asyncio.to_thread(_write, self._folder, documents)
            self._said = ""
        except OSError as error:
            if self._said != str(error):
                self._said = str(error)
                log.warning("the files in %s were not written: %s", self._folder, error)


def _write(folder: Path, documents: Mapping[str, Mapping[str, Any]]) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name, document in documents.items():
        replace_whole(folder / name, json.dumps(document, indent=2) + "\n")

"""Links that the settings name: taken up, moved, ended with what orch-config.yaml says."""

from __future__ import annotations

import logging
import sqlite3
from contextlib import suppress
from functools import partial

from config.settings import Settings
from core.domain.github import Link
from core.errors import InvalidInput, LostRace, NotFound
from core.orchestrator import repository_links
from core.store import github_links, projects
from core.store.database import Store

_log = logging.getLogger(__name__)

BY = "orch-config"


async def adopt(store: Store, settings: Settings) -> None:
    """Writes nothing where nothing is another. A project whose settings cannot be used keeps its link."""
    wanted = {name: project.github.repository for name, project in settings.projects.items()}

    def look(conn: sqlite3.Connection) -> tuple[dict[str, Link], set[str]]:
        there = {project.name for project in projects.every(conn)} if any(wanted.values()) else set()
        return {link.project: link for link in github_links.every(conn)}, there

    known, there = await store.read(look)
    for name, repository in wanted.items():
        link = known.get(name)
        if repository is None:
            if link is not None and link.configured:
                with suppress(NotFound, LostRace):  # by somebody else, in this moment
                    await store.write(partial(repository_links.unlink, gone=link, by=BY))
        elif name in there and not (
            link is not None and link.configured and github_links.is_named(link, repository)
        ):
            try:
                await store.write(
                    partial(
                        repository_links.link, project=name, repository=repository, by=BY, configured=True
                    )
                )
            except InvalidInput as error:
                _log.warning("%s is not linked: %s", name, error)

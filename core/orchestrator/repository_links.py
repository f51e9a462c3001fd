"""A project and a repository on GitHub come together, and part: one row, its event, and what waits there."""

from __future__ import annotations

from core.domain.event import EventKind
from core.domain.github import Link, LinkState
from core.orchestrator.github_views import FoundRepository
from core.store import github_links, pulls
from core.store.transaction import Transaction


def link(
    tx: Transaction,
    project: str,
    repository: str,
    *,
    by: str,
    configured: bool = False,
    found: FoundRepository | None = None,
) -> Link:
    """Linked with another one, it is unlinked first. `found`: who GitHub said that it is; None: it was not
    asked. Raises InvalidInput when another project has the repository."""
    before = github_links.find(tx.conn, project)
    same = before is not None and github_links.is_named(before, repository)
    if before is not None and not same:
        unlink(tx, before, by)
    made = github_links.put(tx, project, repository, by=by, configured=configured)
    if found is not None:
        made = github_links.answered(
            tx,
            project,
            repository=found.repository,
            repository_id=found.repository_id,
            default_branch=found.default_branch,
            clone_url=found.clone_url,
            html_url=found.html_url,
        )
        if same and before is not None and before.state not in (LinkState.NEW, LinkState.LINKED):
            data = {"repository": made.repository, "url": made.html_url}
            tx.emit(EventKind.GITHUB_RECOVERED, project=project, actor=by, data=data)
    if not same:
        data = {"repository": made.repository, "url": made.html_url, "by": by}
        tx.emit(EventKind.GITHUB_LINKED, project=project, actor=by, data=data)
    return made


def unlink(tx: Transaction, gone: Link, by: str) -> None:
    """Stories that wait for checks there wait no more. Raises NotFound, and LostRace when the project was
    linked with another one since."""
    github_links.check(tx.conn, gone)
    for pull in pulls.at_work(tx.conn, gone.project):
        pulls.close(tx, pull.story_id)
    github_links.remove(tx, gone.project)
    data = {"repository": gone.repository, "by": by}
    tx.emit(EventKind.GITHUB_UNLINKED, project=gone.project, actor=by, data=data)

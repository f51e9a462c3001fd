"""What people decided of a link is done to that link, and trouble does not end unsaid."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from core.domain.event import EventKind
from core.domain.github import Link, LinkState
from core.errors import LostRace, NotFound
from core.orchestrator import repository_links
from core.orchestrator.github_views import FoundRepository
from core.store import github_links
from core.store.transaction import Transaction

FOUND = FoundRepository(
    repository="acme/shop", repository_id=7, default_branch="main", clone_url="", html_url=""
)


@pytest.fixture
def link(tx: Transaction, new_project: Callable[..., object]) -> Link:
    new_project(tx)
    return repository_links.link(tx, "shop", "acme/shop", by="ann")


def test_who_unlinks_what_is_another_by_now_is_told(
    link: Link, later: Callable[[float], Transaction]
) -> None:
    now = repository_links.link(later(1), "shop", "acme/market", by="bob")
    with pytest.raises(LostRace):
        repository_links.unlink(later(1), link, "ann")
    repository_links.unlink(later(1), now, "ann")
    with pytest.raises(NotFound):
        repository_links.unlink(later(1), now, "bob")


def test_trouble_that_is_ended_by_linking_again_is_told_to_be_over(
    tx: Transaction, link: Link, later: Callable[[float], Transaction]
) -> None:
    github_links.troubled(tx, "shop", LinkState.GONE, "It is gone.")
    told = []
    for _ in range(2):
        again = later(1)
        assert repository_links.link(again, "shop", "acme/shop", by="ann", found=FOUND).trouble == ""
        told += [event.kind for event in again.events]
    assert told == [EventKind.GITHUB_RECOVERED]

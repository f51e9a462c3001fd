"""What Orchard itself writes to GitHub while a page is on its way is not taken for somebody's news."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from core.clock import SystemClock
from core.domain.story import StoryState
from core.errors import LostRace
from core.github.api.trouble import GithubError
from core.github.inward.inbound import Inbound
from core.github.inward.issue_text import parse_seen, seen_words, words_of
from core.store import github_issues, github_links, stories
from tests.github_server.faults import Fault

if TYPE_CHECKING:
    from tests.integration.github_in.conftest import Shop


class OnTheWay:
    """A repository whose first page of issues takes long enough for something to happen."""

    def __init__(self, repo: Any, meanwhile: Callable[[], Awaitable[None]]) -> None:
        self._repo = repo
        self._meanwhile = meanwhile

    def __getattr__(self, name: str) -> Any:
        return getattr(self._repo, name)

    async def issues(self, *args: Any, **more: Any) -> Any:
        page = await self._repo.issues(*args, **more)
        await self._meanwhile()
        return page


class Slow:
    def __init__(self, shop: Shop, meanwhile: Callable[[], Awaitable[None]]) -> None:
        self._shop = shop
        self._meanwhile = meanwhile

    async def repo(self, project: str) -> Any:
        return OnTheWay(await self._shop.gateway.repo(project), self._meanwhile)


async def sync_while(shop: Shop, meanwhile: Callable[[], Awaitable[None]]) -> Any:
    shop.server.world.advance(1)
    inbound = Inbound(
        shop.store,
        Slow(shop, meanwhile),
        lambda _: shop.settings,
        SystemClock(),
        shop.stage,  # type: ignore[arg-type]
    )
    return await inbound.sync("shop")


async def test_an_issue_that_orchard_closes_meanwhile_was_not_reopened(shop: Shop) -> None:
    number = shop.add()
    await shop.sync()
    await shop.store.write(lambda tx: stories.move(tx, "shop-1", StoryState.BACKLOG, StoryState.DONE))
    shop.here.edit_issue(number, title="Totals, soon done")

    async def close() -> None:
        shop.server.world.advance(1)
        shop.here.close_issue(number, by="orch-bot")
        await shop.store.write(lambda tx: github_issues.told(tx, "shop-1", "", is_open=False))

    taken = await sync_while(shop, close)
    assert taken.reopened == 0
    assert len(await shop.stories()) == 1
    link = await shop.issue()
    assert link is not None
    assert not link.is_open


async def test_page_of_a_repository_is_not_taken_in_as_anothers(shop: Shop) -> None:
    shop.add()
    shop.server.add_repository("acme/market")

    async def link_anew() -> None:
        await shop.store.write(
            lambda tx: github_links.put(tx, "shop", "acme/market", by="cli", configured=False)
        )

    with pytest.raises(LostRace):
        await sync_while(shop, link_anew)
    assert await shop.stories() == ()
    assert (await shop.link()).cursor == ""


async def test_words_that_orchard_writes_meanwhile_are_not_undone(shop: Shop) -> None:
    number = shop.add()
    await shop.sync()
    shop.here.add_labels(number, "bug")

    async def edit() -> None:
        await shop.commands.edit_story("shop-1", title="Ours", actor="cli")
        shop.server.world.advance(1)
        shop.here.edit_issue(number, title="Ours", by="orch-bot")
        link, story = await shop.issue(), await shop.story()
        assert link is not None
        seen = parse_seen(link.seen)
        assert seen is not None
        text = replace(seen, **seen_words(words_of(story))).to_text()
        await shop.store.write(
            lambda tx: github_issues.took_in(
                tx, "shop-1", updated_at=link.updated_at, seen=text, is_open=True
            )
        )

    await sync_while(shop, edit)
    story = await shop.story()
    assert story.title == "Ours"
    assert story.labels == ("bug",)


async def test_an_issue_that_comes_back_while_its_story_is_over_is_read_again_first(shop: Shop) -> None:
    number = shop.add()
    await shop.sync()
    shop.here.close_issue(number)
    await shop.sync()
    shop.here.reopen_issue(number)

    async def close_again() -> None:
        shop.server.world.advance(1)
        if shop.here.issue(number).state == "open":
            shop.here.close_issue(number)

    taken = await sync_while(shop, close_again)
    assert taken.reopened == 0
    assert len(await shop.stories()) == 1


async def test_an_issue_that_was_to_be_read_again_when_github_failed_is_read_by_the_next_look(
    shop: Shop,
) -> None:
    number = shop.add()
    await shop.sync()
    shop.here.close_issue(number)
    await shop.sync()
    shop.here.reopen_issue(number)
    shop.server.world.advance(5)
    shop.add("Newer")  # so that the cursor passes by the other one
    shop.server.fail(Fault(method="GET", path=f"/issues/{number}$", status=401))
    with pytest.raises(GithubError):
        await shop.sync()
    assert len(await shop.stories()) == 2
    assert (await shop.sync()).reopened == 1
    assert len(await shop.stories()) == 3

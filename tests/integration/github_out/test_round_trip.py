"""Both ways together: what one side did is never news to the other when it comes back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from core.clock import SystemClock
from core.domain.event import EventKind
from core.domain.story import Priority, Story, StoryState
from core.github.api.trouble import GithubError
from core.github.inward.inbound import Inbound
from core.orchestrator.commands import backlog
from core.store import events, stories
from core.store.transaction import Transaction
from tests.github_server.faults import ALWAYS, Fault
from tests.integration.github_shop import Shop

_NEWS = (EventKind.STORY_ADDED, EventKind.STORY_EDITED, EventKind.STORY_REMOVED, EventKind.STORY_SKIPPED)


class NobodyActs:
    """Nothing here is to stop, steer or skip a story."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} was asked for")


async def settled(shop: Shop) -> None:
    """In and out until nothing moves; that has to be soon."""
    inbound = Inbound(shop.store, shop.gateway, lambda name: shop.settings, SystemClock(), NobodyActs())  # type: ignore[arg-type]
    for _ in range(3):
        await inbound.sync("shop")
        await shop.bring()
    before, told = shop.writes(), await _news(shop)
    for _ in range(2):
        await inbound.sync("shop")
        await shop.bring()
    assert (shop.writes(), await _news(shop)) == (before, told)


async def _news(shop: Shop) -> int:
    return len(await shop.store.read(lambda conn: events.since(conn, 0, kinds=_NEWS, limit=1000)))


async def _stories(shop: Shop) -> tuple[Story, ...]:
    return await shop.store.read(lambda conn: stories.of_project(conn, "shop"))


async def test_an_issue_goes_all_the_way_without_an_echo(shop: Shop) -> None:
    shop.here.add_issue(
        "Ask @ann", "See #1 & <b>this</b>\n\n- [ ] it sums\n<!-- hidden -->", author="mia", labels=["orchard"]
    )
    await settled(shop)
    [story] = await _stories(shop)
    await shop.at_work(story)
    await settled(shop)
    for _ in range(5):
        await shop.gate(story)
        await settled(shop)
    assert shop.here.issue(1).state == "closed"
    assert shop.here.issue(1).body == "See #1 & <b>this</b>\n\n- [ ] it sums\n<!-- hidden -->"
    assert [each.state for each in await _stories(shop)] == [StoryState.DONE]


async def test_an_edit_of_a_story_does_not_come_back(shop: Shop) -> None:
    shop.here.add_issue("Totals", "Sum it up.\n\n- [ ] it sums", author="mia", labels=["orchard"])
    await settled(shop)
    [story] = await _stories(shop)

    def edit(tx: Transaction) -> None:
        words = {
            "title": "Totals for @ann",
            "body": "Sum <b>it</b>, see #4.",
            "acceptance_criteria": ("a @b c",),
        }
        stories.edit(tx, story.id, states=tuple(StoryState), **words)  # type: ignore[arg-type]
        tx.emit(
            EventKind.STORY_EDITED, project="shop", story_id=story.id, data={"fields": list(words), "by": "x"}
        )

    await shop.do(edit)
    await settled(shop)
    [now] = await _stories(shop)
    assert (now.title, now.body, now.acceptance_criteria) == (
        "Totals for @ann",
        "Sum <b>it</b>, see #4.",
        ("a @b c",),
    )
    assert "@ann" not in shop.here.issue(1).title
    shop.server.world.advance(60)
    shop.here.edit_issue(1, title="Theirs", by="mia")
    await settled(shop)
    [now] = await _stories(shop)
    assert (now.title, now.body) == ("Theirs", "Sum <b>it</b>, see #4.")


async def test_an_issue_of_our_own_is_the_story_it_was_made_of(shop: Shop) -> None:
    shop.use(create_issues=True)
    story = await shop.story(body="Ask @ann, see #1\n- and <b>")
    await settled(shop)
    assert await _stories(shop) == (story,)
    assert len(shop.here.issues) == 1


async def test_an_issue_that_was_read_before_its_making_was_noted_is_adopted(shop: Shop) -> None:
    shop.use(create_issues=True)
    story = await shop.story()
    shop.server.fail(Fault(method="POST", path="/issues$", cut_after=True, times=ALWAYS))
    with pytest.raises(GithubError):
        await shop.bring()
    shop.server.faults.clear()
    shop.restart()
    await settled(shop)
    assert await _stories(shop) == (story,)
    assert len(shop.here.issues) == 1


async def test_labels_and_priority_go_back_and_do_not_come_back(shop: Shop) -> None:
    labels = ["orchard", "Bug", "P1", "5 points"]
    shop.here.add_issue("Totals", "", author="mia", labels=labels)
    await settled(shop)
    [story] = await _stories(shop)
    assert (story.labels, story.priority) == (("Bug",), Priority.HIGH)

    def mark(priority: Priority, *labels: str) -> Callable[[Transaction], None]:
        def change(tx: Transaction) -> None:
            backlog.prioritize_story(tx, story.id, priority, actor="cli")
            stories.edit(tx, story.id, states=tuple(StoryState), labels=labels)

        return change

    await shop.do(mark(Priority.CRITICAL, "bug", "money"))
    await settled(shop)
    assert shop.labels() == {"orchard", "Bug", "money", "5 points", "priority: critical"}
    await shop.do(mark(Priority.NORMAL, "money"))
    await settled(shop)
    assert shop.labels() == {"orchard", "money", "5 points"}
    [now] = await _stories(shop)
    assert (now.labels, now.priority) == (("money",), Priority.NORMAL)


async def test_a_label_that_people_gave_meanwhile_stays(shop: Shop) -> None:
    shop.here.add_issue("Totals", "", author="mia", labels=["orchard"])
    await settled(shop)
    [story] = await _stories(shop)
    await shop.do(lambda tx: backlog.prioritize_story(tx, story.id, Priority.LOW, actor="cli"))
    shop.server.world.advance(60)
    shop.here.add_labels(1, "P0", "money", by="mia")
    await settled(shop)
    [now] = await _stories(shop)
    assert (now.labels, now.priority) == (("money",), Priority.CRITICAL)
    assert shop.labels() == {"orchard", "P0", "money"}

"""People and Orchard change everything, calls fail and answers are cut off: in the end both sides say the
same, and nothing is there twice."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress

import pytest

from core.clock import SystemClock
from core.domain.event import EventKind
from core.domain.lifecycles import WorkflowState
from core.domain.story import Priority, Story, StoryState
from core.github.api.trouble import GithubError
from core.github.inward.inbound import Inbound
from core.github.inward.issue_labels import parse_marks
from core.github.markers import PROGRESS, STORY, name_in
from core.orchestrator.commands import backlog
from core.store import events, github_issues, stories
from core.store.transaction import Transaction
from tests.github_server.faults import Fault
from tests.github_server.things import Issue
from tests.integration.github_shop import Shop


class Nothing:
    """That runs."""

    def why(self, story_id: str) -> str:
        return ""

    def nudge(self, story_id: str) -> None: ...


def at_github(shop: Shop, dice: random.Random, turn: int) -> None:
    here, issues = shop.here, [*shop.here.issues.values()]
    one = dice.choice(issues) if issues else None
    if one is None or dice.random() < 0.25:
        labels = ["orchard", dice.choice(["bug", "P1", "money"])]
        here.add_issue(f"Theirs {turn}", f"Sum {turn}.\n\n- [ ] it sums", author="mia", labels=labels)
    elif dice.random() < 0.4:
        here.edit_issue(one.number, title=f"Theirs {turn}", body=f"{one.body}\nMore.", by="mia")
    elif dice.random() < 0.5:
        here.comment(one.number, dice.choice(["@orchard priority: high", "@orchard status"]), "mia")
    elif one.state == "open":
        here.close_issue(one.number, by="mia")
    else:
        here.reopen_issue(one.number, by="mia")


async def at_home(shop: Shop, dice: random.Random, turn: int) -> None:
    waiting = [each for each in await every(shop) if each.state is StoryState.BACKLOG]
    one = dice.choice(waiting) if waiting else None
    priority = dice.choice(list(Priority))

    def change(tx: Transaction) -> None:
        if one is None or dice.random() < 0.25:
            words = {"title": f"Ours {turn}", "labels": ("money",)}
            backlog.add_story(tx, "shop", words, priority=priority, actor="cli")
        elif dice.random() < 0.4:
            backlog.edit_story(tx, one.id, {"title": f"Ours {turn}", "labels": ("sums",)}, actor="cli")
        elif dice.random() < 0.6:
            backlog.prioritize_story(tx, one.id, priority, actor="cli")
        else:
            stories.move(tx, one.id, StoryState.BACKLOG, StoryState.DONE)
            tx.emit(EventKind.STORY_MERGED, project="shop", story_id=one.id, data={})

    await shop.do(change)


def trouble(shop: Shop, dice: random.Random) -> None:
    path = dice.choice(["/comments$", "/issues$", "/labels$"])
    shop.server.fail(
        dice.choice([Fault(method="POST", path=path, cut_after=True), Fault(path=path, status=401)])
    )


async def every(shop: Shop) -> tuple[Story, ...]:
    return await shop.store.read(lambda conn: stories.of_project(conn, "shop"))


async def settled(shop: Shop, inbound: Inbound) -> None:
    async def rounds(times: int) -> tuple[int, int]:
        for _ in range(times):
            shop.server.world.advance(1)
            await inbound.sync("shop")
            await shop.bring()
        return shop.writes(), len(await shop.store.read(lambda conn: events.since(conn, 0, limit=10_000)))

    shop.server.faults.clear()
    before = await rounds(5)
    assert await rounds(2) == before


def said_once(issues: Sequence[Issue]) -> None:
    for issue in issues:
        ours = [each.body for each in issue.comments if each.author.login == "orch-bot"]
        for kind in (PROGRESS, "answer"):
            assert max(Counter(filter(None, (name_in(each, kind) for each in ours))).values(), default=0) <= 1
        assert sum(label.name.startswith("orchard:") for label in issue.labels) <= 1
    assert max(Counter(filter(None, (name_in(each.body, STORY) for each in issues))).values(), default=0) <= 1


@pytest.mark.parametrize("seed", range(2))
async def test_both_sides_say_the_same_in_the_end(shop: Shop, seed: int) -> None:
    dice = random.Random(seed)
    shop.use(create_issues=True)
    await shop.do(lambda tx: tx.conn.execute("UPDATE projects SET workflow = ?", (WorkflowState.IDLE.value,)))

    def begun() -> Inbound:
        shop.restart()
        return Inbound(shop.store, shop.gateway, lambda _: shop.settings, SystemClock(), Nothing())  # type: ignore[arg-type]

    inbound = begun()
    for turn in range(30):
        at_github(shop, dice, turn)
        await at_home(shop, dice, turn)
        shop.server.world.advance(dice.choice([0, 1, 3]))
        if dice.random() < 0.3:
            trouble(shop, dice)
        with suppress(GithubError):
            await (inbound.sync("shop") if dice.random() < 0.5 else shop.bring())
        if dice.random() < 0.2:
            inbound = begun()
    await settled(shop, inbound)

    said_once([*shop.here.issues.values()])
    known = {each.id: each for each in await every(shop)}
    links = await shop.store.read(lambda conn: github_issues.of_project(conn, "shop"))
    waiting = {each.id for each in known.values() if each.state is StoryState.BACKLOG}
    assert waiting <= {link.story_id for link in links}, "each has its issue"
    for link in (link for link in links if link.story_id in waiting):
        issue, story = shop.here.issue(link.number), known[link.story_id]
        marks = parse_marks([label.name for label in issue.labels], own="orchard")
        assert (issue.state, issue.title) == ("open", story.title)
        assert (marks.labels, marks.priority or Priority.NORMAL) == (story.labels, story.priority)
    wanted = {each.number for each in shop.here.issues.values() if each.state == "open"}
    assert wanted <= {link.number for link in links}

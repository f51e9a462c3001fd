"""What comes late, twice, out of order or not at all, and repositories that change under one's feet."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from core.domain.event import EventKind
from core.domain.github import LinkState
from core.github.webhooks.nudge import EVERYTHING, Nudge
from tests.github_server.faults import ALWAYS, Fault

pytestmark = pytest.mark.timeout(180)


async def told(each: Any, kind: EventKind) -> list[Any]:
    events = await each.orchard.runtime.commands.events(limit=1000)
    return [event for event in events if event.kind is kind]


async def test_webhooks_doubled_out_of_order_and_lost_change_nothing(whole: Any) -> None:
    async with whole() as each:
        repository, deliveries = each.repository, each.server.deliveries
        await deliveries.settled()
        deliveries.hold()
        for number in range(4):
            repository.add_issue(f"Story {number}", "- [ ] it works\n", labels=["orchard"], author="mia")
        repository.edit_issue(1, title="Another title", by="mia")
        repository.close_issue(2, by="mia")
        repository.remove_label(3, "orchard", by="mia")
        repository.delete_issue(4, by="mia")
        each.server.fail(Fault(method="GET", path="/issues$", status=502, html=True))
        deliveries.copies = 2
        deliveries.release(lambda held: held[::-1][::2])  # every second one is lost
        await deliveries.settled()

        async def titles() -> list[str]:
            views = await each.orchard.runtime.commands.stories("calc")
            return [view.story.title for view in views if view.story.state.value == "backlog"]

        await each.until_it(lambda: titles(), ["Another title"])
        assert [event.data["title"] for event in await told(each, EventKind.STORY_ADDED)].count(
            "Another title"
        ) == 1
        repository.reopen_issue(2, by="mia")
        await each.until_it(lambda: titles(), ["Another title", "Story 1"])


async def test_repository_that_is_renamed_lost_and_found_again(whole: Any) -> None:
    async with whole(hook=False) as each:
        repository, commands = each.repository, each.orchard.runtime.commands

        async def state() -> LinkState:
            return (await commands.repositories("calc"))[0].link.state

        each.server.rename_repository("acme/calc", "octo/abacus")  # transferred, too
        repository.add_issue("After the rename", "- [ ] it works\n", labels=["orchard"])
        assert len(await each.taken_in()) == 1
        repository.private = True
        repository.grant("orch-bot", "none")
        await each.until_it(state, LinkState.GONE)
        repository.add_issue("While nobody looked", "- [ ] it works\n", labels=["orchard"])
        repository.grant("orch-bot", "write")
        assert len(await each.taken_in(2)) == 2
        await each.until_it(state, LinkState.LINKED)
        each.server.delete_repository("octo/abacus")
        await each.until_it(state, LinkState.GONE)
        each.server.world.repositories[repository.id] = repository  # its owner has restored it
        each.server.world.names["octo/abacus"] = repository.id
        await each.until_it(state, LinkState.LINKED)
        each.server.revoke("good-token")
        await each.until_it(state, LinkState.UNAUTHORIZED)
        each.server.world.tokens["good-token"].revoked = False
        await each.until_it(state, LinkState.LINKED)
        assert len(await told(each, EventKind.GITHUB_TROUBLED)) == 3
        assert len(await told(each, EventKind.GITHUB_RECOVERED)) == 3
        assert len(await each.taken_in(2)) == 2


async def test_answer_from_before_a_trouble_does_not_end_it(whole: Any) -> None:
    async with whole() as each:
        server, runtime = each.server, each.orchard.runtime

        async def state() -> LinkState:
            return (await runtime.commands.repositories("calc"))[0].link.state

        await server.deliveries.settled()
        await runtime.commands.sync_repository("calc", actor="cli")
        begins, answers = asyncio.Event(), asyncio.Event()
        server.fail(Fault(method="GET", path="/issues$", begins=begins))
        server.fail(Fault(method="GET", path="/acme/calc$", times=ALWAYS, answers=answers))
        asked = len(server.asked("GET", "/repos/acme/calc/issues"))
        runtime.nudge_github("calc", Nudge(issues=frozenset({1})))
        await each.until(lambda: len(server.asked("GET", "/repos/acme/calc/issues")) > asked)
        asked = len(server.asked("GET", "/repos/acme/calc"))
        runtime.nudge_github("calc", EVERYTHING)  # other work asks first whether all is well
        await each.until(lambda: len(server.asked("GET", "/repos/acme/calc")) > asked)
        server.revoke("good-token")
        begins.set()
        await each.until_it(state, LinkState.UNAUTHORIZED)
        answers.set()
        server.world.tokens["good-token"].revoked = False
        await each.until_it(state, LinkState.LINKED)
        assert len(await told(each, EventKind.GITHUB_TROUBLED)) == 1
        assert len(await told(each, EventKind.GITHUB_RECOVERED)) == 1


async def test_deliveries_that_count_for_nothing_lead_to_nothing(whole: Any) -> None:
    async with whole() as each:
        repository, deliveries = each.repository, each.server.deliveries
        (hook,) = repository.hooks.values()
        issue = repository.add_issue("Multiply", "- [ ] it works\n", labels=["orchard"], author="mia")
        assert await each.taken_in() == ["calc-1"]
        await each.until_told(EventKind.GITHUB_SYNCED, 2)
        await deliveries.settled()
        good = deliveries.sent[-1]
        secret, deliveries.drop = hook.secret, lambda delivery: delivery.event == "issues"
        repository.edit_issue(issue.number, title="Nobody was told", by="mia")
        deliveries.redeliver(good)
        deliveries.due_at(hook, repository, "star", good.payload)
        await deliveries.settled()
        hook.secret = "a secret that nobody knows, 32 long"
        deliveries.due_at(hook, repository, "push", good.payload)
        await deliveries.settled()
        hook.secret = ""
        deliveries.due_at(hook, repository, "push", good.payload)
        await deliveries.settled()
        hook.secret = secret
        assert good.statuses == [202, 200]
        star, forged, unsigned = (each.statuses for each in deliveries.sent[-3:])
        assert star == [202]
        assert (forged, unsigned) == ([401], [401])
        assert await each.taken_in() == ["calc-1"]
        await each.orchard.runtime.commands.sync_repository("calc", actor="cli")
        assert (await each.orchard.runtime.commands.stories("calc"))[0].story.title == "Nobody was told"

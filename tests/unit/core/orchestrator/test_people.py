"""What people ask about themselves, at the facade."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import time
from pathlib import Path

import pytest

from core.domain.event import EventKind
from core.domain.ping import Ping
from core.domain.quiet import QuietHours
from core.errors import InvalidInput, NotFound
from core.store import posts
from tests.discord.bot.real_core import Orchard, open_orchard

ALICE = "discord:1"


@pytest.fixture
async def orchard(tmp_path: Path) -> AsyncIterator[Orchard]:
    async with open_orchard(tmp_path) as orchard:
        await orchard.add_project("shop")
        await orchard.add_project("blog")
        yield orchard


def night(zone: str) -> QuietHours:
    return QuietHours(start=time(22), end=time(7), time_zone=zone)


class TestSubscriptions:
    async def test_without_a_kind_all_kinds_without_a_project_every_one(self, orchard: Orchard) -> None:
        view = await orchard.commands.subscribe(ALICE)
        assert [(s.project, s.kind) for s in view.subscriptions] == [("", kind) for kind in sorted(Ping)]
        view = await orchard.commands.unsubscribe(ALICE, None, ["done"])
        assert [s.kind for s in view.subscriptions] == [Ping.BLOCKED, Ping.QUESTION]

    async def test_the_project_must_exist_and_the_kind_too(self, orchard: Orchard) -> None:
        with pytest.raises(NotFound):
            await orchard.commands.subscribe(ALICE, "nosuch")
        with pytest.raises(InvalidInput, match="done, blocked, question"):
            await orchard.commands.subscribe(ALICE, "shop", ["everything"])
        assert not (await orchard.commands.notifications(ALICE)).subscriptions

    @pytest.mark.parametrize("person", ["cli", "discord:", "discord:<@&5>", "discord:1 ", "", "discord:x"])
    async def test_only_people_in_discord_can_be_called(self, orchard: Orchard, person: str) -> None:
        if person.strip() == ALICE:
            assert await orchard.commands.subscribe(person)
            return
        with pytest.raises(InvalidInput):
            await orchard.commands.subscribe(person)

    async def test_who_hears_of_every_project_is_told_how_to_leave_one(self, orchard: Orchard) -> None:
        await orchard.commands.subscribe(ALICE)
        with pytest.raises(NotFound, match="every project"):
            await orchard.commands.unsubscribe(ALICE, "shop")
        await orchard.commands.unsubscribe(ALICE)
        with pytest.raises(NotFound, match="not subscribed"):
            await orchard.commands.unsubscribe(ALICE, "shop")


class TestQuietHours:
    async def test_a_zone_is_known_in_any_case(self, orchard: Orchard) -> None:
        view = await orchard.commands.set_quiet_hours(ALICE, night("europe/berlin"))
        assert view.quiet == night("Europe/Berlin")
        assert (await orchard.commands.set_quiet_hours(ALICE, None)).quiet is None

    @pytest.mark.parametrize(
        ("written", "hint"),
        [
            ("Berlin", "Europe/Berlin"),
            ("Europe/Berln", "Europe/Berlin"),
            ("", "UTC"),
            ("../../etc/passwd", ""),
        ],
    )
    async def test_a_wrong_zone_gets_a_hint(self, orchard: Orchard, written: str, hint: str) -> None:
        with pytest.raises(InvalidInput, match="no time zone") as refused:
            await orchard.commands.set_quiet_hours(ALICE, night(written))
        assert hint in refused.value.hint

    async def test_a_whole_day_is_refused(self, orchard: Orchard) -> None:
        with pytest.raises(InvalidInput, match="beginning and another end"):
            await orchard.commands.set_quiet_hours(
                ALICE, QuietHours(start=time(7), end=time(7, 0, 30), time_zone="UTC")
            )


class TestDigest:
    async def test_it_tells_what_is_new_and_what_still_waits(self, orchard: Orchard) -> None:
        story = await orchard.running_story()
        approval = await orchard.ask(story)
        await orchard.store.write(
            lambda tx: posts.remember(tx, "approval", approval.id, channel_id=5, message_id=6)
        )
        await orchard.emit(EventKind.STORY_MERGED, story)
        first = await orchard.commands.digest(ALICE)
        assert [view.story.id for view in first.merged] == [story.id]
        assert [asked.id for asked in first.questions] == [approval.id]
        assert (first.posts[approval.id].channel_id, first.posts[approval.id].message_id) == (5, 6)
        assert first.counts[EventKind.STORY_MERGED] == 1
        await orchard.block(story)
        second = await orchard.commands.digest(ALICE)
        assert second.merged == ()
        assert [view.story.id for view in second.blocked] == [story.id]
        assert EventKind.STORY_BLOCKED in second.counts
        assert (await orchard.commands.digest(ALICE)).events == 0

    async def test_whoever_sits_at_the_machine_has_digests_of_their_own(self, orchard: Orchard) -> None:
        story = await orchard.running_story()
        await orchard.emit(EventKind.STORY_MERGED, story)
        first = await orchard.commands.digest("cli")
        assert first.counts[EventKind.STORY_MERGED] == 1
        assert (await orchard.commands.digest("cli")).events == 0
        assert (await orchard.commands.digest(ALICE)).events == first.events
        with pytest.raises(InvalidInput):
            await orchard.commands.digest("somebody")

    async def test_a_look_at_one_project_or_at_some_hours_is_not_the_last_digest(
        self, orchard: Orchard
    ) -> None:
        await orchard.running_story()
        await orchard.commands.digest(ALICE, "blog")
        await orchard.commands.digest(ALICE, None, 2)
        assert (await orchard.commands.digest(ALICE)).counts[EventKind.SPRINT_STARTED] == 1

    async def test_one_project_shows_only_its_own(self, orchard: Orchard) -> None:
        await orchard.ask(await orchard.running_story())
        assert (await orchard.commands.digest(ALICE, "blog")).questions == ()
        found = await orchard.commands.digest(ALICE, "shop")
        assert found.events
        assert len(found.questions) == 1

    async def test_a_stretch_can_be_told_again(self, orchard: Orchard) -> None:
        await orchard.running_story()
        told = await orchard.commands.digest(ALICE)
        await orchard.commands.pause_sprint("shop", actor="cli")
        again = await orchard.commands.news(told.after, told.last, told.project)
        assert again.counts == told.counts

    @pytest.mark.parametrize("hours", [0, -1, 10**9])
    async def test_hours_have_bounds(self, orchard: Orchard, hours: int) -> None:
        with pytest.raises(InvalidInput):
            await orchard.commands.digest(ALICE, None, hours)

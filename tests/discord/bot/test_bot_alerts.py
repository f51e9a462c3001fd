"""Alerts from event to post: one a channel, edited as they go on, answered by buttons, told after trouble."""

from __future__ import annotations

import asyncio
import sqlite3
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from bot.discord import alert_posts
from bot.discord.alert_posts import AlertPosts
from bot.discord.service import DiscordService
from bot.localguild import Fault, FaultKind, GuildSettings, LocalGuild, Person, PostedMessage
from bot.localguild.permissions import Permission
from core.domain.alert import Alert, AlertFact, AlertState, Route, Severity
from core.domain.ping import Ping
from core.store import alert_tellings, alerts, people
from core.store.alert_tellings import Telling
from core.store.database import Store, Transaction
from tests.discord.bot.real_core import Orchard, private, settled
from tests.discord.patience import patient_guild
from tests.integration import alert_making
from tests.waiting import until

ALERTS, SHOP = "orchard-alerts", "proj-shop"
POST = "POST /channels/{channel_id}/messages"
OPEN = ["Acknowledge", "Silence for 1 h", "Silence until tomorrow"]


async def fire(
    orchard: Orchard, *rule: str, routes: tuple[Route, ...] = (Route.GUILD,), **more: Any
) -> Alert:
    return await alert_making.fire(orchard.store, *rule, routes=routes, **more)


async def move(orchard: Orchard, alert: Alert, fact: AlertFact, **more: Any) -> Alert:
    return await alert_making.move(orchard.store, alert, fact, **more)


async def aggravate(orchard: Orchard, alert: Alert) -> None:
    await orchard.store.write(
        lambda tx: alerts.aggravate(tx, alerts.get(tx.conn, alert.id), Severity.CRITICAL, alert.routes)
    )


async def told(orchard: Orchard) -> None:
    """Returns when nothing is owed."""

    def owed(conn: sqlite3.Connection) -> int:
        return int(conn.execute("SELECT count(*) FROM alert_tellings WHERE owed").fetchone()[0])

    async def none() -> bool:
        return await orchard.store.read(owed) == 0

    await until(none, "nothing owed")


async def posts(person: Person, channel: str = ALERTS) -> list[PostedMessage]:
    return await person.messages(channel)


async def now(orchard: Orchard, alert: Alert) -> Alert:
    return await orchard.store.read(partial(alerts.get, id=alert.id))


class TestPosts:
    async def test_one_post_with_buttons_is_edited_until_it_is_over(
        self, orchard: Orchard, service: DiscordService, alice: Person
    ) -> None:
        alert = await fire(orchard, summary="The @everyone processor is *busy*")
        await told(orchard)
        [post] = await posts(alice)
        assert "🟠 Warning · shop" in post.text
        assert "Look at it." in post.text
        assert "@everyone" not in post.content
        assert post.labels == OPEN
        await move(orchard, alert, AlertFact.ACKNOWLEDGED, by="cli")
        await told(orchard)
        [post] = await posts(alice)
        assert "Acknowledged by" in post.text
        assert post.labels == OPEN[1:]
        await move(orchard, alert, AlertFact.CLEARED)
        await told(orchard)
        [over] = await posts(alice)
        assert over.id == post.id
        assert "✅" in over.text
        assert over.labels == []

    async def test_the_channel_is_made_in_the_category_and_belongs_to_no_project(
        self, orchard: Orchard, service: DiscordService, alice: Person
    ) -> None:
        await fire(orchard)
        await told(orchard)
        channel = await alice.channel(ALERTS)
        category = await alice.channel("Orchard")
        assert channel.parent_id == category.id
        answer = await settled(alice, await alice.slash("backlog view", channel=ALERTS))
        assert "Which project?" in answer.text

    async def test_an_existing_channel_of_the_configured_name_is_taken(
        self, orchard: Orchard, run_bot: Any, alice: Person
    ) -> None:
        async with run_bot(alert_channel=lambda: "#general"):
            await fire(orchard)
            await told(orchard)
            assert "processor" in (await posts(alice, "general"))[-1].text

    async def test_another_channel_in_the_settings_takes_what_comes_from_then_on(
        self, orchard: Orchard, run_bot: Any, alice: Person
    ) -> None:
        name = [ALERTS]
        async with run_bot(alert_channel=lambda: name[0]):
            first = await fire(orchard)
            await told(orchard)
            name[0] = "ops"
            await fire(orchard, "memory_high")
            await move(orchard, first, AlertFact.CLEARED)
            await told(orchard)
            assert len(await posts(alice, "ops")) == 1
            [old] = await posts(alice)
            assert "✅" in old.text

    async def test_graver_is_told_anew_and_the_old_post_says_where(
        self, orchard: Orchard, run_bot: Any, alice: Person, bob: Person
    ) -> None:
        called = await bob.user_id()
        async with run_bot(mentions=(f"<@{called}>",)):
            alert = await fire(orchard)
            await told(orchard)
            await move(orchard, alert, AlertFact.ACKNOWLEDGED, by="cli")
            await told(orchard)
            await aggravate(orchard, alert)
            await told(orchard)

            async def retired() -> list[PostedMessage] | None:
                both = await posts(alice)
                return both if len(both) == 2 and "Told again" in both[0].text else None

            old, new = await until(retired, "the old post to say where")
        assert old.labels == []
        assert new.id in old.text
        assert "🔴 Critical" in new.text or "👀 Critical" in new.text
        assert f"<@{called}>" in new.content
        assert f"<@{called}>" not in old.content

    async def test_where_both_channels_are_told_people_are_called_once(
        self, orchard: Orchard, run_bot: Any, alice: Person, bob: Person
    ) -> None:
        me = f"discord:{await bob.user_id()}"
        await orchard.commands.subscribe(me, "shop", [Ping.BLOCKED.value])
        async with run_bot():
            await fire(orchard, severity=Severity.CRITICAL, routes=(Route.GUILD, Route.PROJECT))
            await told(orchard)
            [general], [own] = await posts(alice), await posts(alice, SHOP)
        assert f"<@{await bob.user_id()}>" in own.content
        assert general.content == ""

    async def test_ten_thousand_changes_while_discord_was_away_are_one_post(
        self, orchard: Orchard, run_bot: Any, alice: Person
    ) -> None:
        alert = await fire(orchard)
        later = datetime.now(UTC) + timedelta(hours=1)

        def storm(tx: Transaction) -> None:
            alerts.move(tx, alert, AlertFact.SILENCED, by="cli", until=later)
            for _ in range(10_000):
                alerts.prolong(tx, alerts.get(tx.conn, alert.id), later, by="cli")
            alerts.move(tx, alerts.get(tx.conn, alert.id), AlertFact.SILENCE_OVER)

        await orchard.store.write(storm)
        async with run_bot():
            await told(orchard)
            [post] = await posts(alice)
        assert post.labels == OPEN

    async def test_what_was_over_before_anybody_heard_is_told_quietly_once(
        self, orchard: Orchard, run_bot: Any, alice: Person, bob: Person
    ) -> None:
        alert = await fire(orchard, severity=Severity.CRITICAL)
        await move(orchard, alert, AlertFact.CLEARED)
        async with run_bot(mentions=(f"<@{await bob.user_id()}>",)):
            await told(orchard)
            [post] = await posts(alice)
        assert post.labels == []
        assert post.content == ""

    async def test_an_end_of_a_silence_is_told_anew(
        self, orchard: Orchard, service: DiscordService, alice: Person
    ) -> None:
        alert = await fire(orchard)
        await told(orchard)
        later = datetime.now(UTC) + timedelta(hours=1)
        await move(orchard, alert, AlertFact.SILENCED, by="cli", until=later)
        await told(orchard)
        [post] = await posts(alice)
        assert post.labels == ["End the silence"]
        await move(orchard, alert, AlertFact.SILENCE_OVER)
        await told(orchard)
        assert (await posts(alice))[-1].id != post.id
        assert (await posts(alice))[-1].labels == OPEN


class TestButtons:
    async def test_they_work_after_a_restart_and_the_post_shows_who(
        self, orchard: Orchard, run_bot: Any, alice: Person
    ) -> None:
        async with run_bot():
            alert = await fire(orchard)
            await told(orchard)
            [post] = await posts(alice)
        async with run_bot():
            await alice.press(post, "Acknowledge")
            assert (await now(orchard, alert)).state is AlertState.ACKNOWLEDGED
            await told(orchard)
            [post] = await posts(alice)
            assert f"Acknowledged by <@{await alice.user_id()}>" in post.text
            await alice.press(post, "Silence for 1 h")
            silent = await now(orchard, alert)
            assert silent.state is AlertState.SILENCED
            assert silent.until is not None
            assert abs(silent.until - datetime.now(UTC) - timedelta(hours=1)) < timedelta(minutes=2)
            await told(orchard)
            [post] = await posts(alice)
            await alice.press(post, "End the silence")
            assert (await now(orchard, alert)).state is AlertState.FIRING

    async def test_until_tomorrow_is_the_persons_own_morning(
        self, orchard: Orchard, service: DiscordService, alice: Person
    ) -> None:
        await settled(
            alice,
            await alice.slash("quiet_hours", {"start": "22:00", "end": "07:00", "timezone": "Asia/Tokyo"}),
        )
        alert = await fire(orchard)
        await told(orchard)
        [post] = await posts(alice)
        await alice.press(post, "Silence until tomorrow")
        silent = await now(orchard, alert)
        assert silent.until is not None
        assert (silent.until.hour, silent.until.minute) == (23, 0)  # 08:00 in Tokyo

    async def test_who_may_only_look_changes_nothing(
        self, orchard: Orchard, run_bot: Any, alice: Person
    ) -> None:
        async with run_bot(roles=frozenset({"helpers"})):
            alert = await fire(orchard)
            await told(orchard)
            [post] = await posts(alice)
            for label in OPEN:
                answer = await settled(alice, await alice.press(post, label))
                assert private(answer)
                assert "You may look, but not do this" in answer.text
        assert (await now(orchard, alert)).state is AlertState.FIRING

    async def test_an_alert_of_orchard_itself_is_for_who_manages_the_server(
        self, orchard: Orchard, run_bot: Any, guild: LocalGuild, alice: Person
    ) -> None:
        async with run_bot(roles=frozenset({"helpers"})):
            alert = await fire(orchard, project=None)
            await told(orchard)
            [post] = await posts(alice)
            refused = await settled(alice, await alice.press(post, "Acknowledge"))
            assert "You may look, but not do this" in refused.text
            owner = guild.person("owner")
            await owner.press(post, "Acknowledge")
        assert (await now(orchard, alert)).state is AlertState.ACKNOWLEDGED

    async def test_a_press_on_what_is_over_says_so(
        self, orchard: Orchard, service: DiscordService, alice: Person
    ) -> None:
        alert = await fire(orchard)
        await told(orchard)
        [post] = await posts(alice)
        await orchard.store.write(
            lambda tx: tx.conn.execute("UPDATE alerts SET state = 'resolved' WHERE id = ?", (alert.id,))
        )
        answer = await settled(alice, await alice.press(post, "Acknowledge"))
        assert "This alert is resolved" in answer.text


class TestCommand:
    async def test_it_lists_what_is_open_and_shows_the_chosen_one(
        self, orchard: Orchard, service: DiscordService, alice: Person
    ) -> None:
        empty = await settled(alice, await alice.slash("alerts"))
        assert "There is none" in empty.text
        for number in range(12):
            await fire(orchard, f"rule-{number}", summary=f"Thing {number} is high")
        over = await fire(orchard, "gone", summary="It was low", severity=Severity.CRITICAL)
        await move(orchard, over, AlertFact.CLEARED)
        answer = await settled(alice, await alice.slash("alerts"))
        assert "Thing 11 is high" in answer.text
        assert "It was low" not in answer.text
        everything = await settled(alice, await alice.slash("alerts", {"over": True}))
        assert "It was low" in everything.text
        assert answer.message is not None
        turned = await alice.press(answer.message, "More")
        assert turned.message is not None
        assert "Thing 0 is high" in turned.message.text
        shown = await settled(
            alice, await alice.choose(turned.message, "Look at one…", ["🟠 Thing 0 is high"])
        )
        assert private(shown)
        assert "Thing 0 is high" in shown.text
        assert "Thing 1 is high" not in shown.text


class TestPeople:
    async def test_who_maintains_the_project_gets_a_message_and_its_end_as_an_edit(
        self, orchard: Orchard, run_bot: Any, alice: Person, bob: Person
    ) -> None:
        await link(orchard, bob, "bob", shop="maintainer")
        async with run_bot():
            alert = await fire(orchard, routes=(Route.GUILD, Route.DIRECT))
            await told(orchard)
            [post] = await posts(bob, "@bot")
            assert "The processor is busy" in post.text
            assert post.labels == OPEN
            await move(orchard, alert, AlertFact.CLEARED)
            await told(orchard)
            [over] = await posts(bob, "@bot")
            assert "✅" in over.text
        assert over.id == post.id

    async def test_they_answer_there_by_the_level_of_their_user_alone(
        self, orchard: Orchard, run_bot: Any, alice: Person, bob: Person
    ) -> None:
        await link(orchard, bob, "bob", shop="maintainer")
        async with run_bot():
            alert = await fire(orchard, routes=(Route.GUILD, Route.DIRECT))
            await told(orchard)
            [post] = await posts(bob, "@bot")
            answer = await settled(bob, await bob.press(post, "Acknowledge"))
            assert answer.message is not None
            assert answer.message.labels == OPEN[1:]
            assert (await now(orchard, alert)).state is AlertState.ACKNOWLEDGED
            await told(orchard)
            [there] = await posts(alice)
            assert "Acknowledged" in there.text
            await orchard.commands.grant_project_access("bob", "shop", "viewer")
            refused = await settled(bob, await bob.press(post, OPEN[1]))  # in the server everybody may
            assert "You may" in refused.text
        assert (await now(orchard, alert)).state is AlertState.ACKNOWLEDGED

    async def test_what_got_graver_is_a_new_message_to_which_the_old_one_leads(
        self, orchard: Orchard, run_bot: Any, bob: Person
    ) -> None:
        await link(orchard, bob, "bob", shop="maintainer")
        async with run_bot():
            alert = await fire(orchard, routes=(Route.DIRECT,))
            await told(orchard)
            await aggravate(orchard, alert)
            await told(orchard)
            old, new = await posts(bob, "@bot")
        assert f"/channels/@me/{new.channel_id}/{new.id}" in old.text
        assert (old.labels, new.labels) == ([], OPEN)

    async def test_who_has_no_right_any_more_hears_nothing_more_of_it(
        self, orchard: Orchard, run_bot: Any, bob: Person
    ) -> None:
        await link(orchard, bob, "bob", shop="maintainer")
        async with run_bot():
            alert = await fire(orchard, routes=(Route.DIRECT,))
            await told(orchard)
            [before] = await posts(bob, "@bot")
            await orchard.commands.grant_project_access("bob", "shop", "none")
            await aggravate(orchard, alert)
            await told(orchard)
            assert [(one.id, one.text) for one in await posts(bob, "@bot")] == [(before.id, before.text)]

    async def test_where_nobody_maintains_it_the_servers_owner_is_told(
        self, orchard: Orchard, service: DiscordService, guild: LocalGuild
    ) -> None:
        await fire(orchard, routes=(Route.DIRECT,))
        await told(orchard)
        [post] = await posts(guild.person("owner"), "@bot")
        assert "The processor is busy" in post.text

    async def test_in_quiet_hours_they_are_left_alone_and_hear_nothing_of_what_is_over_by_then(
        self, orchard: Orchard, run_bot: Any, bob: Person
    ) -> None:
        await link(orchard, bob, "bob", shop="maintainer")
        here = datetime.now(UTC)
        await orchard.commands.set_quiet_hours(
            f"discord:{await bob.user_id()}",
            people.QuietHours(
                start=(here - timedelta(hours=1)).time(),
                end=(here + timedelta(hours=2)).time(),
                time_zone="UTC",
            ),
        )
        async with run_bot():
            alert = await fire(orchard, routes=(Route.DIRECT,))

            async def waits() -> bool:
                found = await orchard.store.read(partial(alert_tellings.of_alert, alert=alert.id))
                later = datetime.now(UTC) + timedelta(minutes=30)
                return any(each.place and each.due_at > later for each in found)

            await until(waits, "the message to wait")
            await move(orchard, alert, AlertFact.CLEARED)
            await told(orchard)
            await sees_nothing(bob)

    async def test_who_takes_no_messages_stops_nobody(
        self, orchard: Orchard, run_bot: Any, guild: LocalGuild, alice: Person, bob: Person
    ) -> None:
        await link(orchard, alice, "alice", shop="maintainer")
        await link(orchard, bob, "bob", shop="maintainer")
        guild.world.faults.plan(
            Fault(kind=FaultKind.REFUSED, route="POST /users/@me/channels", times=1, status=403, code=50007)
        )
        async with run_bot():
            alert = await fire(orchard, routes=(Route.DIRECT,))
            await told(orchard)
        found = await orchard.store.read(partial(alert_tellings.of_alert, alert=alert.id))
        assert sorted(bool(each.message) for each in found if each.place) == [False, True]


class TestTrouble:
    @pytest.fixture
    def guild_settings(self) -> GuildSettings:
        """It has forgotten the nonce when the bot comes back, as Discord does after some minutes."""
        return patient_guild(nonce_window_seconds=0)

    async def test_a_crash_between_posting_and_marking_posts_nothing_twice(
        self, orchard: Orchard, run_bot: Any, alice: Person, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def never(*_: Any) -> None:
            await asyncio.Event().wait()

        with monkeypatch.context() as patch:
            patch.setattr(AlertPosts, "_settle", never)
            async with run_bot():
                alert = await fire(orchard, routes=(Route.GUILD,))
                await alice.wait_for_message(lambda message: "processor is busy" in message.text)
        await move(orchard, alert, AlertFact.ACKNOWLEDGED, by="cli")  # meanwhile
        async with run_bot():
            await told(orchard)
            [post] = await posts(alice)
        assert "Acknowledged" in post.text

    async def test_a_crash_after_it_was_told_graver_leaves_one_of_each(
        self, orchard: Orchard, run_bot: Any, alice: Person, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def never(*_: Any) -> None:
            await asyncio.Event().wait()

        with monkeypatch.context() as patch:
            async with run_bot():
                alert = await fire(orchard)
                await told(orchard)
                patch.setattr(AlertPosts, "_settle", never)
                await aggravate(orchard, alert)
                await alice.wait_for_message(lambda message: "Critical" in message.text)
        async with run_bot():
            await told(orchard)
            old, new = await posts(alice)
        assert "Told again" in old.text
        assert "Critical" in new.text

    async def test_what_arrived_though_discord_answered_with_a_fault_is_not_posted_again(
        self, orchard: Orchard, run_bot: Any, guild: LocalGuild, alice: Person
    ) -> None:
        async with run_bot():
            await fire(orchard, "first")
            await told(orchard)
            guild.world.faults.plan(Fault(kind=FaultKind.ANSWER_LOST, route=POST, times=1, status=503))
            await fire(orchard, "second", summary="Another thing")
            await until(lambda: _said(alice, "Another thing"), "the second post")
            await told(orchard)
        assert len([one for one in await posts(alice) if "Another thing" in one.text]) == 1

    async def test_what_fails_while_one_looks_for_what_is_due_waits_for_its_time(
        self, orchard: Orchard, run_bot: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        read, looked = orchard.store.read, asyncio.Event()
        tries: list[tuple[datetime, datetime]] = []
        lanes: set[str] = set()

        async def fail(posts: AlertPosts, telling: Telling, _: Alert) -> None:
            nonlocal lanes
            tries.append((telling.due_at, datetime.now(UTC)))
            lanes = posts._busy
            posts._wake.set()
            await looked.wait()
            raise OSError("away")

        async def seen_late(_: Store, query: Any) -> Any:
            found = await read(query)
            if tries and getattr(query, "func", None) is alert_posts._lanes:
                looked.set()
                await until(lambda: not lanes, "the try to fail")
            return found

        monkeypatch.setattr(AlertPosts, "_tell", fail)
        monkeypatch.setattr(Store, "read", seen_late)
        async with run_bot():
            await fire(orchard)
            await until(lambda: len(tries) > 1, "another try")
        assert all(due <= at for due, at in tries)

    async def test_a_deleted_channel_is_made_again(
        self, orchard: Orchard, service: DiscordService, alice: Person, api: Any
    ) -> None:
        first = await fire(orchard)
        await told(orchard)
        await api("DELETE", f"/channels/{(await alice.channel(ALERTS)).id}")
        await fire(orchard, "second", summary="Another thing")
        await move(orchard, first, AlertFact.CLEARED)  # its post is gone, which stops nobody
        await told(orchard)
        assert ["Another thing" in one.text for one in await posts(alice)] == [True]


class TestWithoutPermission:
    @pytest.fixture
    def guild_settings(self) -> GuildSettings:
        return patient_guild(bot_permissions=GuildSettings().bot_permissions & ~Permission.MANAGE_CHANNELS)

    async def test_where_no_channel_may_be_made_the_servers_own_is_taken(
        self, orchard: Orchard, run_bot: Any, guild: LocalGuild, alice: Person
    ) -> None:
        async with run_bot():
            await fire(orchard)
            await told(orchard)
        assert "The processor is busy" in (await posts(alice, "general"))[-1].text


async def _said(person: Person, words: str) -> bool:
    return any(words in one.text for one in await posts(person))


async def sees_nothing(person: Person) -> None:
    channels = [channel.name for channel in await person.channels()]
    if "bot" in channels:
        assert await posts(person, "@bot") == []


async def link(orchard: Any, person: Person, name: str, **projects: str) -> None:
    commands = orchard.commands
    if not await commands.users():
        await commands.create_user("owner", "owner@example.org", "wandering ocean lamp tulip", None)
    await commands.create_user(name, f"{name}@example.org", "purple rivers climb softly", None)
    for project, granted in projects.items():
        await commands.grant_project_access(name, project, granted)
    await commands.redeem_link(await person.user_id(), (await commands.link_code(name)).code)

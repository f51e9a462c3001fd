"""Alerts on their way to a webhook and to Slack: signed, in order, retried, once each."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
from functools import partial

import pytest

from core.domain.alert import AlertFact, Route, Severity
from core.errors import Unavailable
from core.known_secrets import known_secrets
from core.security.audit import AuditKind
from core.store import alert_tellings, alerts, audit
from core.store.database import Store
from tests.integration.alerts.conftest import (
    OpenReceiver,
    Received,
    Streams,
    World,
    answering,
    hanging,
)
from tests.waiting import until

SECRET = "a-secret-of-the-webhook-0123456789"


def signed(received: Received, secret: str = SECRET) -> str:
    """As a receiver would compute it."""
    told = f"{received.headers['webhook-id']}.{received.headers['webhook-timestamp']}.".encode()
    mac = hmac.new(secret.encode(), told + received.body, hashlib.sha256)
    return "v1," + base64.b64encode(mac.digest()).decode()


class TestWebhook:
    async def test_a_change_arrives_once_signed_and_whole(self, world: World, receiver: OpenReceiver) -> None:
        hook = await receiver()
        world.tell(webhook=hook.url, secret=SECRET)
        async with world.delivering():
            alert = await world.fire()
            await world.all_told()
        (one,) = hook.received
        assert one.json["type"] == "alert.firing"
        assert one.json["data"] == alerts.as_data(alert)
        assert one.headers["content-type"] == "application/json"
        assert one.headers["webhook-id"] == f"{alert.id}.{alert.seq}"
        assert one.headers["webhook-timestamp"] == str(int(world.clock.now().timestamp()))
        assert one.headers["webhook-signature"] == signed(one)
        assert (await world.telling(alert)).told_seq == alert.seq

    async def test_each_change_of_one_alert_comes_in_order_however_slow_the_receiver_is(
        self, world: World, receiver: OpenReceiver
    ) -> None:
        async def slow(received: Received, streams: Streams) -> None:
            await asyncio.sleep(0.01)
            await answering()(received, streams)

        hook = await receiver(slow)
        world.tell(webhook=hook.url)
        async with world.delivering():
            alert = await world.fire()
            await world.move(alert, AlertFact.ACKNOWLEDGED, by="discord:1")
            await until(lambda: hook.received, "a first delivery")
            await world.aggravate(alert)
            await world.move(alert, AlertFact.CLEARED)
            await world.all_told()
        seqs = [each.json["data"]["seq"] for each in hook.received]
        assert seqs == sorted(set(seqs))
        assert hook.received[-1].json["type"] == "alert.resolved"

    async def test_what_failed_comes_again_as_the_same_delivery_but_not_at_once(
        self, world: World, receiver: OpenReceiver
    ) -> None:
        hook = await receiver(answering(500, b"oops"), answering(503), answering(200))
        world.tell(webhook=hook.url, secret=SECRET)
        async with world.delivering():
            alert = await world.fire()
            await until(world.troubles, "a failure")
            (trouble,) = await world.troubles()
            assert (trouble.route, trouble.waiting) == (Route.WEBHOOK, 1)
            assert "answered 500: oops" in trouble.error
            world.pass_time(0.5)
            await asyncio.sleep(0.05)
            assert len(hook.received) == 1
            world.pass_time(1.0)
            await until(lambda: len(hook.received) == 2, "a second try")

            async def failed_twice() -> bool:
                return (await world.telling(alert)).attempts == 2

            await until(failed_twice, "a second failure")
            world.pass_time(3.0)
            await world.all_told()
            assert await world.troubles() == ()
        assert {each.headers["webhook-id"] for each in hook.received} == {f"{alert.id}.{alert.seq}"}
        assert hook.received[0].headers["webhook-signature"] != hook.received[2].headers["webhook-signature"]
        assert hook.received[2].headers["webhook-signature"] == signed(hook.received[2])

    async def test_who_asks_to_wait_is_not_asked_before(self, world: World, receiver: OpenReceiver) -> None:
        hook = await receiver(answering(429, retry_after="120"), answering(200))
        world.tell(webhook=hook.url)
        async with world.delivering():
            await world.fire("one")
            await until(world.troubles, "a failure")
            await world.fire("two")  # to the same address: it waits as well

            async def waits() -> bool:
                told = await world.store.read(lambda conn: alert_tellings.next_due(conn, (Route.WEBHOOK,)))
                return told is not None and told > world.clock.now()

            await until(waits, "the second alert to wait")
            world.pass_time(119)
            await asyncio.sleep(0.05)
            assert len(hook.received) == 1
            world.pass_time(2)
            await world.all_told()
        assert [each.json["data"]["rule"] for each in hook.received[1:]] in (["one", "two"], ["two", "one"])

    async def test_a_thousand_changes_while_it_was_away_are_one_delivery(
        self, world: World, receiver: OpenReceiver
    ) -> None:
        async def away(_: Received, __: Streams) -> None:
            """It hangs up without an answer."""

        hook = await receiver(away, answering(200))
        world.tell(webhook=hook.url)
        async with world.delivering():
            alert = await world.fire()
            await until(world.troubles, "a failure")
            later = world.clock.now().replace(year=2027)
            await world.move(alert, AlertFact.SILENCED, by="discord:1", until=later)

            def prolong(tx: alerts.Transaction) -> None:
                for _ in range(1000):
                    alerts.prolong(tx, alerts.get(tx.conn, alert.id), later, by="discord:1")

            await world.store.write(prolong)
            world.pass_time(2)
            await world.all_told()
        assert len(hook.received) == 2
        assert hook.received[1].json["data"]["seq"] == alert.seq + 1001

    async def test_a_crash_after_the_answer_repeats_at_most_that_delivery(
        self, world: World, receiver: OpenReceiver, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        marks: list[None] = []

        def never(*_: object, **__: object) -> None:
            marks.append(None)
            raise ZeroDivisionError

        hook = await receiver()
        world.tell(webhook=hook.url)
        marking = alert_tellings.told
        monkeypatch.setattr(alert_tellings, "told", never)
        async with world.delivering():
            alert = await world.fire()
            await until(lambda: marks, "the answer to be marked")  # which it never is
        monkeypatch.setattr(alert_tellings, "told", marking)
        assert (await world.telling(alert)).told_seq == 0
        world.pass_time(120)
        async with world.delivering():
            await world.all_told()
        async with world.delivering():
            await asyncio.sleep(0.05)
        ids = [each.headers["webhook-id"] for each in hook.received]
        assert len(ids) == 2
        assert len(set(ids)) == 1

    async def test_a_store_that_takes_nothing_is_not_asked_again_and_again(
        self, world: World, receiver: OpenReceiver, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        refused: list[None] = []

        async def full(*_: object) -> None:
            refused.append(None)
            raise Unavailable("The disk is full.")

        hook = await receiver()
        world.tell(webhook=hook.url)
        await world.fire()
        monkeypatch.setattr(Store, "write", full)
        async with world.delivering():
            await until(lambda: refused, "the answer to be marked")
            await asyncio.sleep(0.3)
        assert len(refused) == 1

    async def test_a_redirect_elsewhere_is_told_and_nothing_goes_there(
        self, world: World, receiver: OpenReceiver
    ) -> None:
        other = await receiver()
        hook = await receiver(answering(302, location=other.url))
        world.tell(webhook=hook.url)
        async with world.delivering() as delivery:
            await world.fire()
            await until(world.troubles, "a failure")
            assert "redirects to" in (await world.troubles())[0].error
            assert other.received == []
            world.tell(webhook=other.url)  # somebody corrects the settings
            delivery.wake()
            await world.all_told()
        assert len(other.received) == 1

    async def test_settings_that_change_during_a_try_are_tried_at_once_after_it(
        self, world: World, receiver: OpenReceiver
    ) -> None:
        mended = asyncio.Event()

        async def refuse_late(received: Received, streams: Streams) -> None:
            await mended.wait()
            await answering(401)(received, streams)

        hook = await receiver(refuse_late, answering(200))
        world.tell(webhook=hook.url, secret="a-wrong-secret-of-the-webhook-01234")
        async with world.delivering() as delivery:
            await world.fire()
            await until(lambda: hook.received, "a first try")
            world.tell(webhook=hook.url, secret=SECRET)
            delivery.wake()
            # The look that follows comes too early for what still goes on.
            await until(lambda: not delivery._mended, "a look by the new settings")
            mended.set()
            await world.all_told()
        assert [each.headers["webhook-signature"] == signed(each) for each in hook.received] == [False, True]

    async def test_what_is_never_taken_stops_nobody(self, world: World, receiver: OpenReceiver) -> None:
        hook = await receiver(answering(400, b"no such field"), answering(200))
        world.tell(webhook=hook.url)
        async with world.delivering():
            bad = await world.fire("one")
            await world.all_told()
            assert "no such field" in (await world.telling(bad)).last_error
            await world.fire("two")
            await world.all_told()
            await world.move(bad, AlertFact.CLEARED)
            await world.all_told()
        assert [each.json["data"]["rule"] for each in hook.received] == ["one", "two", "one"]

    async def test_where_there_is_no_address_nothing_waits(
        self, world: World, receiver: OpenReceiver
    ) -> None:
        hook = await receiver()
        async with world.delivering() as delivery:
            alert = await world.fire(routes=(Route.WEBHOOK, Route.SLACK))
            await world.all_told()
            world.tell(webhook=hook.url)
            delivery.wake()
            await world.move(alert, AlertFact.CLEARED)
            await world.all_told()
        assert [each.json["type"] for each in hook.received] == ["alert.resolved"]

    async def test_what_is_older_than_a_day_is_history(self, world: World, receiver: OpenReceiver) -> None:
        hook = await receiver(answering(500))
        world.tell(webhook=hook.url)
        async with world.delivering():
            alert = await world.fire()
            await until(world.troubles, "a failure")
            world.pass_time(25 * 3600)
            await world.all_told()
        assert len(hook.received) == 1
        assert (await world.telling(alert)).last_error == "no longer news"

    async def test_a_secret_that_orchard_knows_goes_nowhere(
        self, world: World, receiver: OpenReceiver
    ) -> None:
        known_secrets.learn(("hunter2-of-the-alerts-test",))
        hook = await receiver()
        world.tell(webhook=hook.url)
        async with world.delivering():
            await world.fire(summary="It says hunter2-of-the-alerts-test")
            await world.all_told()
        assert b"hunter2" not in hook.received[0].body


class TestSlack:
    async def test_it_hears_that_it_fires_that_it_got_graver_and_that_it_is_over(
        self, world: World, receiver: OpenReceiver
    ) -> None:
        slack = await receiver()
        world.tell(slack=slack.url, slack_channel="shop-ops")
        async with world.delivering():
            alert = await world.fire(routes=(Route.SLACK,), summary="Too <!channel> & much")
            await world.all_told()
            await world.move(alert, AlertFact.ACKNOWLEDGED, by="discord:1")
            await world.all_told()
            await world.aggravate(alert)
            await world.all_told()
            await world.move(alert, AlertFact.CLEARED)
            await world.all_told()
        texts = [each.json["text"] for each in slack.received]
        assert texts == [
            "warning · shop: Too &lt;!channel&gt; &amp; much",
            "critical · graver now · shop: Too &lt;!channel&gt; &amp; much",
            "critical · over · shop: Too &lt;!channel&gt; &amp; much",
        ]
        assert {each.json["channel"] for each in slack.received} == {"#shop-ops"}

    async def test_a_silence_that_ends_while_it_still_fires_is_told(
        self, world: World, receiver: OpenReceiver
    ) -> None:
        slack = await receiver()
        world.tell(slack=slack.url)
        async with world.delivering():
            alert = await world.fire(routes=(Route.SLACK,))
            await world.all_told()
            later = world.clock.now().replace(year=2027)
            await world.move(alert, AlertFact.SILENCED, by="discord:1", until=later)
            await world.all_told()
            await world.move(alert, AlertFact.SILENCE_OVER)
            await world.all_told()
        assert len(slack.received) == 2
        assert "the silence is over" in slack.received[1].json["text"]

    async def test_a_projects_own_webhook_is_used_and_its_secret_taken_out_once(
        self, world: World, receiver: OpenReceiver
    ) -> None:
        own, orchards = await receiver(), await receiver()
        world.tell(slack=orchards.url, slack_channel="shop-ops")
        await world.secrets.set("shop", "SLACK_WEBHOOK_URL", own.url, actor="cli")
        async with world.delivering():
            for rule in ("one", "two", "three"):
                await world.fire(rule, routes=(Route.SLACK,))
            await world.fire("of the system", project=None, routes=(Route.SLACK,))
            await world.all_told()
        assert len(own.received) == 3
        assert "channel" not in own.received[0].json
        assert len(orchards.received) == 1
        used = await world.store.read(partial(audit.entries, kind=AuditKind.SECRET_USED))
        assert len(used) == 1
        assert own.url not in str(used)

    async def test_one_address_that_hangs_keeps_no_other_waiting(
        self, world: World, receiver: OpenReceiver
    ) -> None:
        hook, slack = await receiver(hanging), await receiver()
        world.tell(webhook=hook.url, slack=slack.url)
        async with world.delivering(seconds=30):
            await world.fire(routes=(Route.WEBHOOK, Route.SLACK), severity=Severity.CRITICAL)
            await until(lambda: hook.received, "the webhook to hang")
            await until(lambda: slack.received, "Slack to be told")
            await world.fire("another", routes=(Route.SLACK,))
            await until(lambda: len(slack.received) == 2, "Slack to be told again")
        assert len(hook.received) == 1

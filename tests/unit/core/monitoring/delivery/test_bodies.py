"""What the webhook and Slack are sent."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from core.domain.alert import Alert, AlertState, Severity
from core.monitoring.delivery import slack, webhook
from core.monitoring.delivery.news import News
from core.store.alerts import as_data, from_data
from tests.unit.core.monitoring.delivery.test_news import AT, alert


@pytest.fixture
def firing() -> Alert:
    return alert(AlertState.FIRING)


def test_the_signature_is_the_one_of_the_specifications_example() -> None:
    found = webhook.signature(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "1614265330",
        b'{"test": 2432232314}',
    )
    assert found == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize("secret", ["plain words", "whsec_not base64!", "ünïcode"])
def test_any_other_secret_is_its_text(secret: str) -> None:
    assert webhook.key(secret) == secret.encode()


def test_the_body_reads_back_as_the_alert(firing: Alert) -> None:
    sent = json.loads(webhook.body(as_data(firing)))
    assert sent["type"] == "alert.firing"
    assert from_data(sent["data"]) == firing


def test_long_texts_and_numbers_that_json_has_not_are_sent_all_the_same(firing: Alert) -> None:
    long = replace(firing, summary="x" * 1_000_000, worst="é" * 1_000_000, value=float("nan"))
    sent = webhook.body(as_data(long))
    assert len(sent) < 64 * 1024
    assert json.loads(sent)["data"]["value"] is None


def test_without_a_secret_nothing_pretends_to_be_signed() -> None:
    assert webhook.SIGNATURE_HEADER not in webhook.headers("a.1", b"{}", AT, None)


def test_slack_shows_what_how_grave_and_since_when(firing: Alert) -> None:
    made = slack.payload(replace(firing, severity=Severity.CRITICAL, count=3, worst="shop-1"), News.FIRST)
    section, context = made["blocks"]
    assert section["text"]["text"].startswith(":red_circle: *critical · shop*\nx")
    assert "3 breached, worst: shop-1" in context["elements"][0]["text"]
    assert "<!date^1777896000^" in context["elements"][0]["text"]
    over = replace(firing, state=AlertState.RESOLVED, changed_at=AT + timedelta(minutes=5))
    assert slack.payload(over, News.OVER)["text"] == "warning · over · shop: x"


@pytest.mark.parametrize(("said", "sent"), [("ops", "#ops"), ("#ops", "#ops"), ("C0123ABCD", "C0123ABCD")])
def test_a_channel_is_named_as_slack_takes_it(firing: Alert, said: str, sent: str) -> None:
    assert slack.payload(firing, News.FIRST, said)["channel"] == sent

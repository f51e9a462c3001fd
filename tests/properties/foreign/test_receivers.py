"""Whatever a receiver of alerts answers, and whatever an alert says: read or refused, and within bounds."""

from __future__ import annotations

import asyncio
import contextlib
import re
from dataclasses import replace
from datetime import UTC, datetime

import h11
from hypothesis import given
from hypothesis import strategies as st

from bot.discord.alert_place import posted_from
from cogs import render_alerts
from cogs.message import fit
from core.domain.alert import Alert, AlertState, Severity
from core.monitoring.delivery import posting, slack
from core.monitoring.delivery.answer import Answer, origin_of
from core.monitoring.delivery.news import News, Told, after, news, read
from core.monitoring.delivery.verdict import LONGEST_ASKED_SECONDS, Remedy, judge, retry_after

AT = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
texts = st.text(max_size=60) | st.text("<>&@!#*_`~[]()\u202e\ud800\x00 a", max_size=300)
heads = st.sampled_from(
    [
        b"HTTP/1.1 200 OK\r\n", b"HTTP/1.0 429 \r\n", b"HTTP/1.1 100 Continue\r\n\r\n", b"\r\n\r\n",
        b"Content-Length: 5\r\n", b"Content-Length: -1\r\n", b"Transfer-Encoding: chunked\r\n", b"\r\n",
        b"0\r\n\r\n", b"Retry-After: 9\r\n", b"Location: /x\r\n", b"HTTP/9.9 999 No\r\n", b"hello",
        b"5\r\nhello\r\n", b"ffffffffffffffff\r\n",
    ]
)  # fmt: skip
answers = st.lists(heads | st.binary(max_size=40), max_size=8)


@given(parts=answers)
def test_any_bytes_are_an_answer_or_none(parts):
    async def ask() -> Answer:
        reader = asyncio.StreamReader()
        for part in parts:
            reader.feed_data(part)
        reader.feed_eof()
        wire = h11.Connection(h11.CLIENT, max_incomplete_event_size=posting.HEAD_BYTES)
        wire.send(h11.Request(method="POST", target="/", headers=[("Host", "x"), ("Content-Length", "0")]))
        wire.send(h11.EndOfMessage())
        return await posting._answer(wire, reader)

    with contextlib.suppress(h11.RemoteProtocolError):
        answer = asyncio.run(ask())
        assert 200 <= answer.status < 1000
        assert len(answer.words.encode()) <= 3 * posting.WORDS_BYTES


@given(status=st.integers(200, 999), words=texts, after=texts, place=texts, failures=st.integers(0, 10**6))
def test_any_answer_has_a_verdict(status, words, after, place, failures):
    answer = Answer(status=status, words=words, headers={"retry-after": after, "location": place})
    said = judge(answer, "https://hooks.example/secret", failures, 0.99, AT)
    assert 0 <= said.pause_seconds <= 1.25 * LONGEST_ASKED_SECONDS
    assert "\n" not in said.reason
    assert (said.reason == "") == (said.remedy is Remedy.NONE)


@given(text=texts | st.from_regex(r"\A[0-9]{1,30}\Z") | st.dates().map("{:%a, %d %b %Y 00:00:00 GMT}".format))
def test_any_retry_after_is_a_wait_that_ends(text):
    assert 0 <= retry_after(text, AT) <= LONGEST_ASKED_SECONDS


@given(url=texts.map("http://".__add__) | texts)
def test_any_address_has_a_name(url):
    assert origin_of(url)


@given(text=texts)
def test_any_note_of_what_was_told_is_read_or_nothing(text):
    for found in (read(text), posted_from(text)):
        assert found is None or str(found) in (text, str(found))
    assert render_alerts.marked(text, "alert_1") in (None, *Severity)


alerts = st.builds(
    Alert,
    id=st.just("alert_0123456789ab"),
    rule=texts,
    project=st.none() | st.just("shop"),
    state=st.sampled_from(AlertState),
    severity=st.sampled_from(Severity),
    summary=texts | st.just("&" * 5000),
    hint=texts | st.just("<" * 5000),
    value=st.floats(),
    since=st.just(AT),
    changed_at=st.just(AT),
    seq=st.integers(1, 10**9),
    count=st.integers(1, 10**6),
    worst=texts,
    by=texts | st.just("discord:123456789012345678"),
    until=st.none() | st.just(AT),
)
OURS = re.compile(r"<!date\^\d+\^\{date_short_pretty\} \{time\}\|[^<>]*>")


@given(alert=alerts, hears=st.sampled_from(News))
def test_no_text_of_an_alert_is_a_mention_or_a_link_in_slack(alert, hears):
    made = slack.payload(alert, hears)
    section, context = made["blocks"]
    for text, limit in (
        (made["text"], 3000),
        (section["text"]["text"], 3000),
        (context["elements"][0]["text"], 2000),
    ):
        assert len(text) <= limit
        assert not re.search("[<>]", OURS.sub("", text))


@given(alert=alerts)
def test_any_alert_is_a_post_within_discords_limits(alert):
    for message in (render_alerts.alert(alert), render_alerts.bare(alert)):
        small = fit(message)
        assert "@everyone" not in small.text
        assert all(len(f"orchard:{each.verb}:{each.target}") <= 100 for each in small.buttons)
    listed = fit(render_alerts.listed([alert] * 30, project=None, closed=True, more=True))
    assert listed.select is not None


@given(steps=st.lists(st.tuples(st.sampled_from(AlertState), st.sampled_from(Severity)), max_size=12))
def test_nothing_is_told_twice_in_a_row(steps):
    """Of the same change looked at again there is never any news."""
    told: Told | None = None
    base = Alert(
        id="a", rule="r", project=None, state=AlertState.FIRING, severity=Severity.INFO, summary="", hint="",
        value=0, since=AT, changed_at=AT, seq=1,
    )  # fmt: skip
    for state, severity in steps:
        now = replace(base, state=state, severity=severity)
        told = after(told, now)
        assert news(told, now) is News.NOTHING

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core.agents.resets import reset_time

BERLIN = timezone(timedelta(hours=1))
NOW = datetime(2026, 11, 21, 14, 16, 40, tzinfo=BERLIN)  # a Saturday

EARLIEST, LATEST = datetime(2001, 9, 10), datetime(2100, 1, 1)  # noqa: DTZ001 - Hypothesis wants them naive
moments = st.datetimes(EARLIEST, LATEST, timezones=st.just(UTC))
offsets = st.integers(-12 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Claude AI usage limit reached|1795300000", "2026-11-21T22:26:40"),
        ("5-hour limit reached ∙ resets 3pm", "2026-11-21T14:00:00"),
        ("resets 2pm", "2026-11-22T13:00:00"),  # that of today is over
        ("resets 12am (UTC)", "2026-11-22T00:00:00"),
        ("You've hit your limit · resets 3:45pm (America/New_York)", "2026-11-21T20:45:00"),
        ("Your limit will reset at 3pm (Asia/Kolkata).", "2026-11-22T09:30:00"),
        ("resets at 15:30 UTC+2", "2026-11-21T13:30:00"),
        ("Weekly limit reached ∙ resets Dec 9, 5pm", "2026-12-09T16:00:00"),
        ("resets Dec 3 at 10am (Europe/Berlin)", "2026-12-03T09:00:00"),
        ("resets Monday at 9am", "2026-11-23T08:00:00"),
        ("resets tomorrow at 9am", "2026-11-22T08:00:00"),
        ("try again at Nov 23rd, 2026 3:45 PM.", "2026-11-23T14:45:00"),
        ("Upgrade or try again in 3 days 4 hours 22 minutes.", "2026-11-24T17:38:40"),
        ("try again in 5h 30m", "2026-11-21T18:46:40"),
        ("try again in 20 s", "2026-11-21T13:17:00"),
        ("try again in 1 hour and 5 minutes", "2026-11-21T14:21:40"),
        ("Your quota will reset after 5h30m10s.", "2026-11-21T18:46:50"),
        ('{"retryDelay":"34s"}', "2026-11-21T13:17:14"),
        ('{"resets_in_seconds": 20}', "2026-11-21T13:17:00"),
        ("retry-after-ms: 5000", "2026-11-21T13:16:45"),
        ("X-RateLimit-Reset: 1795300000000", "2026-11-21T22:26:40"),
        ("Retry-After: Sun, 22 Nov 2026 07:28:00 GMT", "2026-11-22T07:28:00"),
        ("You will regain access on 2026-12-01 at 00:00 UTC.", "2026-12-01T00:00:00"),
        ("2026-11-21T12:00:00Z ERROR limit; try again in 2 min", "2026-11-21T13:18:40"),  # a log's own time
    ],
)
def test_what_agents_say(text, expected):
    assert reset_time(text, NOW) == datetime.fromisoformat(expected).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "", "try again later", "retry 3 of 10", "resets 13pm", "resets 25:00", "resets Feb 30", "resets",
        "The page shows 3pm and 2026-12-01.", "try again in 99999999999 days", "resets_at: 9999999999",
        "limit reached|1000000000", "resets 2031-01-01", "until 2026-13-45T99:99:99Z", "Retry-After: soon",
    ],
)  # fmt: skip
def test_what_says_no_believable_time(text):
    assert reset_time(text, NOW) is None


def test_an_unknown_zone_is_the_machines():
    assert reset_time("resets 3pm (Mars/Olympus)", NOW) == reset_time("resets 3pm", NOW)


@given(
    text=st.text(alphabet="resti againly|:-/()0123456789pmadhUTC,.", max_size=80), now=moments, zone=offsets
)
@example(text="reset 31 jan", now=datetime(2100, 1, 1, tzinfo=UTC), zone=UTC)
def test_any_text_gives_a_time_within_reason_or_none(text, now, zone):
    found = reset_time(f"limit reached|{text} resets {text} try again {text}", now.astimezone(zone))

    assert found is None or (
        found.tzinfo is UTC and now - timedelta(days=1) <= found <= now + timedelta(days=32)
    )


@given(now=moments, zone=offsets, seconds=st.integers(1, 31 * 86400))
def test_every_way_to_say_a_moment_means_that_moment(now, zone, seconds):
    now = now.replace(microsecond=0)
    then, here = now + timedelta(seconds=seconds), now.astimezone(zone)
    days, rest = divmod(seconds, 86400)
    stamp = int(then.timestamp())
    for text in (
        f"usage limit reached|{stamp}",
        f'{{"error": {{"resets_at": {stamp}}}}}',
        f"x-ratelimit-reset: {stamp * 1000}",
        f"Retry-After: {seconds}",
        f"Retry-After: {then.strftime('%a, %d %b %Y %H:%M:00 GMT')}",
        f"try again in {days}d {rest // 3600}h {rest % 3600 // 60}m {rest % 60}s",
        f"resets at {then.isoformat()}",
        f"resets at {then.astimezone(zone).isoformat()}",
        f"resets {then.astimezone(zone).strftime('%b %d, %Y at %I:%M%p')}",
    ):
        found = reset_time(text, here)

        assert found is not None, text
        assert found.replace(second=0) == then.replace(second=0), text


@given(now=moments, zone=offsets, hour=st.integers(0, 23), minute=st.integers(0, 59))
def test_a_time_of_day_is_the_next_one_in_its_zone(now, zone, hour, minute):
    here = now.astimezone(zone)
    for text in (
        f"resets {hour:02}:{minute:02}",
        f"resets {(hour + 11) % 12 + 1}:{minute:02} {'AP'[hour // 12]}M",
    ):
        found = reset_time(text, here)

        assert found is not None
        assert timedelta(0) < found - now <= timedelta(days=1)
        assert (found.astimezone(zone).hour, found.astimezone(zone).minute) == (hour, minute)

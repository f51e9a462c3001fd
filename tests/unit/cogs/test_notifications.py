from collections.abc import Mapping
from datetime import UTC, datetime, time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cogs import render_people
from cogs.message import fit
from cogs.notifications import parse_time
from cogs.outgoing import CUSTOM_ID, custom_id
from core.domain.approval import Approval, ApprovalKind, ApprovalState
from core.domain.event import EventKind
from core.domain.ping import Ping, Subscription
from core.domain.quiet import QuietHours
from core.errors import InvalidInput
from core.orchestrator.views import Digest, NotificationView, PostPlace

AT = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)
LONGEST_NAME = "a" * 40


def question(number: int, text: str = "Merge?") -> Approval:
    return Approval(
        id=f"approval_{number}",
        project="shop",
        story_id=f"shop-{number}",
        kind=ApprovalKind.MERGE,
        question=text,
        detail="",
        reasons=(),
        subject="",
        state=ApprovalState.PENDING,
        asked_at=AT,
    )


def found(*questions: Approval, counts: Mapping[EventKind, int] | None = None, **more: Any) -> Digest:
    facts: dict[str, Any] = {"project": None, "after": 5, "last": 90, "posts": {}, **more}
    return Digest(
        since=AT,
        until=AT,
        merged=(),
        blocked=(),
        questions=questions,
        finished_sprints=(),
        counts=counts or {},
        **facts,
    )


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("22:00", time(22)), ("7", time(7)), (" 07:05 ", time(7, 5)), ("7.30", time(7, 30)), ("0", time(0))],
)
def test_times_are_read_as_people_type_them(typed: str, meant: time) -> None:
    assert parse_time(typed) == meant


@pytest.mark.parametrize("typed", ["", "24:00", "7:60", "off", "22:00:00", "١٢", "-1", "7 pm" * 500])
def test_no_time_is_told_as_such(typed: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse_time(typed)
    assert len(refused.value.message) < 100


@given(st.sampled_from([None, "shop", LONGEST_NAME]), st.integers(0, 36**7), st.integers(0, 36**7))
def test_a_digests_page_is_found_again(project: str | None, after: int, last: int) -> None:
    many = [question(n) for n in range(30)]
    message = render_people.digest(found(*many, project=project, after=after, last=last), 1)
    [_, more] = message.buttons
    assert CUSTOM_ID.fullmatch(custom_id(more.verb, more.target))
    what, _, rest = more.target.partition(":")
    argument, _, page = rest.rpartition(":")
    assert (what, page) == ("digest", "1")
    assert render_people.stretch(argument) == (project, after, last)


@pytest.mark.parametrize("argument", ["", "shop", "shop~1", "shop~1~!", "a~b~c~d"])
def test_another_versions_page_is_refused(argument: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        render_people.stretch(argument)


def test_a_digest_links_what_waits_and_counts_the_rest() -> None:
    digest = found(
        question(1, "Run @everyone *x*?"),
        question(2),
        counts={EventKind.GATE_PASSED: 12, EventKind.STORY_MERGED: 3},
        posts={"approval_1": PostPlace(channel_id=7, message_id=8)},
    )
    body = render_people.digest(digest, 1).cards[0].body
    assert body.count("[post]") == 1
    assert "[post](https://discord.com/channels/1/7/8)" in body
    assert r"\*x\*" in body
    assert "@everyone" not in body
    assert "12 × gate passed" in body
    assert "story merged" not in body
    assert "[post]" not in render_people.digest(digest, None).cards[0].body


def test_an_empty_digest_says_so() -> None:
    assert "Nothing happened" in render_people.digest(found(), 1).cards[0].body


def test_subscriptions_stand_by_project_with_the_quiet_hours() -> None:
    subscriptions = tuple(
        Subscription(person="discord:4", project=project, kind=kind)
        for project, kind in (("", Ping.DONE), ("shop", Ping.QUESTION), ("shop", Ping.BLOCKED))
    )
    quiet = QuietHours(start=time(22), end=time(7, 30), time_zone="Europe/Berlin")
    message = render_people.notifications(
        NotificationView(person="discord:4", subscriptions=subscriptions, quiet=quiet), "Noted."
    )
    body = message.cards[0].body
    assert body.startswith("Noted.\n🌙 Quiet from 22:00 to 07:30 (`Europe/Berlin`)")
    assert "**every project**: 🎉 done" in body
    assert "`shop`: ⛔ blocked, ✋ question" in body


def test_three_hundred_subscriptions_are_paged() -> None:
    subscriptions = tuple(
        Subscription(person="discord:4", project=f"p{n}", kind=Ping.DONE) for n in range(300)
    )
    message = render_people.notifications(
        NotificationView(person="discord:4", subscriptions=subscriptions, quiet=None)
    )
    assert fit(message) == message
    assert [button.target for button in message.buttons] == ["subscriptions:4:-1", "subscriptions:4:1"]

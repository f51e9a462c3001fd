from dataclasses import replace
from datetime import UTC, datetime

from bot.discord import catch_up
from bot.discord.catch_up import Missed
from cogs.message import fit
from cogs.text import post_link
from core.domain.event import Event, EventKind

AT = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)
MERGED = Event(kind=EventKind.STORY_MERGED, at=AT, project="shop", story_id="shop-1", seq=12)
ASKED = Event(
    kind=EventKind.APPROVAL_REQUESTED,
    at=AT,
    project="shop",
    story_id="shop-2",
    seq=15,
    data={"question": "Run @everyone *now*?"},
)


def test_a_summary_counts_kinds_and_links_to_posts() -> None:
    link = post_link(1, 2, 3)
    message = catch_up.summary(
        "42",
        "shop",
        [Missed(event=MERGED, title="Basket", link=link), Missed(event=ASKED, title="", link="")],
    )
    body = message.cards[0].body
    assert message.text == "<@42>"
    assert "🎉 1 done · ✋ 1 asked" in body
    assert "`shop-1` Basket" in body
    assert "[post](https://discord.com/channels/1/2/3)" in body
    assert "@everyone" not in body
    assert r"\*now\*" in body


def test_what_is_over_says_so() -> None:
    message = catch_up.summary("42", "", [Missed(event=ASKED, title="", link="", over=True)])
    assert "over by now" in message.cards[0].body
    assert message.cards[0].title == "While you were away"


def test_a_budget_that_was_used_up_says_whose() -> None:
    data = {"scope": "day", "text": "shop has used all of its 5.00 USD for today; agents stop until tomorrow"}
    used_up = Event(kind=EventKind.BUDGET_REACHED, at=AT, project="shop", seq=16, data=data)
    body = catch_up.summary("42", "shop", [Missed(event=used_up, title="", link="")]).cards[0].body
    assert "⛔ shop has used all of its 5.00 USD for today" in body


def test_it_is_known_again_by_its_footer() -> None:
    missed = [Missed(event=MERGED, title="", link=""), Missed(event=ASKED, title="", link="")]
    footer = catch_up.summary("42", "shop", missed).cards[0].footer
    assert catch_up.told_up_to(footer, "42", 12) == 15
    assert catch_up.told_up_to(footer, "4", 12) is None
    assert catch_up.told_up_to(footer, "42", 13) is None
    assert catch_up.told_up_to("shop-1 · #12", "42", 12) is None


def test_a_long_night_fits() -> None:
    missed = [
        Missed(event=replace(MERGED, seq=n), title="Basket " * 30, link=post_link(10**19, 10**19, 10**19))
        for n in range(500)
    ]
    message = catch_up.summary("42", "shop", missed)
    assert fit(message) == message
    assert "🎉 500 done" in message.cards[0].body
    assert "more: `/digest`" in message.cards[0].body
    assert catch_up.told_up_to(message.cards[0].footer, "42", 0) == 499

import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.discord.notice import Notice, Place
from bot.discord.notices import bare, mark, notice
from bot.discord.notify import nonce_of
from bot.discord.resource_notices import breached_again
from cogs.message import fit
from core.domain.event import POSTED, Event, EventKind
from core.domain.ping import Ping

AT = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)

DATA: dict[EventKind, dict[str, Any]] = {
    EventKind.PROJECT_UNAVAILABLE: {"message": "no git", "hint": "install it"},
    EventKind.BACKUP_FAILED: {"message": "no room", "hint": "make some", "again": "in an hour"},
    EventKind.SPRINT_PLANNED: {"number": 2, "goal": "sell", "stories": ["shop-1", "shop-2"]},
    EventKind.SPRINT_STARTED: {"sprint": 2, "goal": "sell"},
    EventKind.SPRINT_FINISHED: {"sprint": 2, "stories": {"shop-1": "done", "shop-2": "skipped"}},
    EventKind.PHASE_STARTED: {"phase": "test_red", "attempt": 2, "agent": "replay"},
    EventKind.GATE_PASSED: {"phase": "test_red", "summary": "1 test failed", "red": ["tests.test_a::test_b"]},
    EventKind.GATE_REFUSED: {
        "phase": "code_green",
        "attempt": 1,
        "refusals": [{"code": "a red test still fails", "sentence": "test_b fails", "tests": ["t::test_b"]}],
    },
    EventKind.STORY_SENT_BACK: {"from": "refactor", "to": "code_green", "reason": "naming"},
    EventKind.APPROVAL_REQUESTED: {"approval": "approval_1", "question": "Merge?", "reasons": ["big"]},
    EventKind.APPROVAL_ANSWERED: {"approval": "approval_1", "state": "rejected", "by": "cli", "reason": "no"},
    EventKind.AUTO_APPROVED: {"reasons": ["3 lines in 1 files"]},
    EventKind.STORY_BLOCKED: {"phase": "code_green", "reason": "tried 4 times", "tried": 4},
    EventKind.STORY_UNBLOCKED: {"by": "discord:123", "text": "use a set"},
    EventKind.STORY_MERGED: {"commit": "a" * 40, "branch": "main"},
    EventKind.STORY_SKIPPED: {"by": "discord:123", "reason": "later"},
    EventKind.STORY_ABORTED: {"by": "cli", "reason": "wrong"},
    EventKind.WORK_SALVAGED: {"ref": "refs/orchard/salvage/shop-1/1", "files": ["a.py"]},
    EventKind.WORKER_QUARANTINED: {"restarts": 5, "seconds": 60.0},
    EventKind.EPIC_PROPOSED: {"epic": "shop-e1", "stories": ["shop-1", "shop-2"]},
    EventKind.EPIC_FAILED: {"epic": "shop-e1", "error": "no title", "tried": 3},
    EventKind.STORIES_APPROVED: {"stories": ["shop-1"], "by": "discord:123"},
    EventKind.CHANGES_REQUESTED: {"text": "bigger", "by": "discord:123", "stories": ["shop-4"]},
    EventKind.STORY_STOPPED: {"by": "discord:123"},
    EventKind.STORY_RELEASED: {"by": "discord:123"},
    EventKind.STORY_STEERED: {"by": "discord:123", "text": "use a set", "reached": True},
    EventKind.STORY_TAKEN: {"by": "discord:123", "path": "/srv/worktrees/shop-1"},
    EventKind.STORY_HANDED_BACK: {"by": "discord:123", "note": "done by hand"},
    EventKind.AGENT_STALLED: {"phase": "code_green", "seconds": 600.0, "doing": "ran pytest"},
    EventKind.USAGE_LIMITED: {
        "agent": "claude",
        "reason": "5-hour limit",
        "until": "2026-11-21T12:00:00+00:00",
        "resumes": False,
    },
    EventKind.USAGE_RESET: {"agent": "claude", "by": "discord:123"},
    EventKind.OVERLAP_FORESEEN: {"other": "shop-2", "files": ["cart.py"]},
    EventKind.STORY_REBASED: {"onto": "b" * 40, "after": "shop-2"},
    EventKind.TESTS_RAN: {
        "commit": "c" * 40,
        "passed": 3,
        "failed": ["t::test_a"],
        "failed_count": 1,
        "skipped": 0,
        "seconds": 1.5,
        "exit_code": 1,
        "exit_code_only": False,
        "output": "assert 1 == 2",
        "by": "discord:123",
    },
    EventKind.APPROVAL_ESCALATED: {"approval": "approval_1", "question": "Merge?", "to": "admins"},
    EventKind.APPROVAL_OVERDUE: {"approval": "approval_1", "question": "Merge?", "to": "contributors"},
    EventKind.LIMIT_BREACHED: {
        "resource": "memory",
        "limit": 2000.0,
        "used": 2048.0,
        "ended": 2,
        "program": "python",
        "program_mb": 900.0,
        "text": "",
    },
    EventKind.NETWORK_DENIED: {
        "what": "agent",
        "host": "evil.example",
        "port": 443,
        "why": "No rule of the allow-list names the host evil.example.",
        "hint": "Add 'evil.example:443' to the project's allow-list.",
    },
    EventKind.STRATEGY_REFUSED: {
        "strategy": "shop.shares:Mine",
        "why": "it gave 12 of 10 agents",
        "kept": "the shares of before",
    },
    EventKind.STORY_PARKED: {"phase": "code_green", "taker": "calc", "reason": "calc has 2 of its 3 agents"},
    EventKind.BUDGET_WARNED: {
        "scope": "story",
        "day": None,
        "unit": "tokens",
        "spent": 80_000,
        "limit": 100_000,
        "percent": 80,
        "text": "shop-1 has used 80 % of its 100,000 tokens; agents stop at 100 %",
    },
    EventKind.BUDGET_REACHED: {
        "scope": "day",
        "day": "2026-11-21",
        "unit": "microdollars",
        "spent": 5_100_000,
        "limit": 5_000_000,
        "percent": 102,
        "text": "shop has used all of its 5.00 USD for today and 0.10 USD more; agents stop until tomorrow",
    },
    EventKind.BUDGET_RAISED: {
        "raise": "click_1",
        "scope": "day",
        "unit": "microdollars",
        "amount": 2_500_000,
        "until": "2026-11-22T00:00:00+00:00",
        "by": "discord:123",
        "text": "shop may use 2.50 USD more a day",
    },
}


def event(kind: EventKind, data: dict[str, Any]) -> Event:
    return Event(kind=kind, at=AT, project="shop", story_id="shop-1", actor="discord:9", data=data, seq=12)


def words(kind: EventKind, data: dict[str, Any] | None = None) -> str:
    made = notice(event(kind, DATA.get(kind, {}) if data is None else data), "Add a basket")
    assert made is not None
    return words_of(made)


def words_of(made: Notice) -> str:
    card = made.message.cards[0]
    return "\n".join([card.title, card.body, *(f"{f.name}: {f.value}" for f in card.fields)])


@pytest.mark.parametrize("kind", sorted(POSTED))
def test_each_posted_kind_has_a_post_with_its_mark(kind: EventKind) -> None:
    made = notice(event(kind, DATA.get(kind, {})), "Add a basket")
    assert made is not None
    assert made.message.cards[0].footer == mark(event(kind, {})) == "shop-1 · #12"
    assert made.message.cards[0].at == AT
    assert fit(made.message) == made.message


@pytest.mark.parametrize("kind", sorted(set(EventKind) - POSTED))
def test_other_kinds_are_history_only(kind: EventKind) -> None:
    assert notice(event(kind, {})) is None


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        (EventKind.GATE_PASSED, "tests.test_a::test_b"),
        (EventKind.GATE_REFUSED, "a red test still fails: test\\_b fails"),
        (EventKind.STORY_SENT_BACK, "naming"),
        (EventKind.STORY_BLOCKED, "tried 4 times"),
        (EventKind.STORY_MERGED, "`aaaaaaaaaa` is on `main`"),
        (EventKind.STORY_UNBLOCKED, "<@123> suggests:\nuse a set"),
        (EventKind.SPRINT_FINISHED, "⏭️ `shop-2` skipped"),
        (EventKind.APPROVAL_ANSWERED, "Rejected by the command line: no"),
        (EventKind.WORKER_QUARANTINED, "5 times and rests for 60 s"),
        (EventKind.EPIC_PROPOSED, "2 stories proposed"),
        (EventKind.EPIC_FAILED, "after 3 tries.\n> no title"),
        (EventKind.STORIES_APPROVED, "1 story approved by <@123>: `shop-1`"),
        (EventKind.CHANGES_REQUESTED, "Added to the backlog: `shop-4`"),
        (EventKind.STORY_STEERED, "The agent has it now"),
        (EventKind.STORY_TAKEN, "`/srv/worktrees/shop-1`"),
        (EventKind.STORY_HANDED_BACK, "> done by hand"),
        (EventKind.AGENT_STALLED, "shows nothing for 10 min in `code_green`"),
        (EventKind.USAGE_LIMITED, "`claude` takes no more work until <t:1795262400:t>"),
        (EventKind.OVERLAP_FORESEEN, "`shop-2` changes the same files:\n`cart.py`"),
        (EventKind.STORY_REBASED, "Moved onto `bbbbbbbbbb` after `shop-2` was merged"),
        (EventKind.TESTS_RAN, "3 passed, 1 failed, 0 skipped in 1.5 s on `cccccccccc`"),
        (EventKind.TESTS_RAN, "assert 1 == 2"),
        (EventKind.APPROVAL_ESCALATED, "Nobody answered in time. Now these are asked as well: admins."),
        (EventKind.APPROVAL_OVERDUE, "Nobody answered in time. The question stays open for: contributors."),
        (EventKind.LIMIT_BREACHED, "shop met its limit of memory\nIt took 2,048 MB of 2,000 MB."),
        (EventKind.LIMIT_BREACHED, "2 processes of its own ended, the largest being `python` with 900 MB."),
        (EventKind.LIMIT_BREACHED, "`max_memory_mb` in the project's settings is the limit"),
        (
            EventKind.NETWORK_DENIED,
            "🚪 Its agent was refused 1 host by the allow-list.\n• `evil.example:443`: ",
        ),
        (
            EventKind.NETWORK_DENIED,
            "Add 'evil.example:443' to the project's allow-list. The list is `network_",
        ),
        (EventKind.STRATEGY_REFUSED, "it gave 12 of 10 agents\nMeanwhile: the shares of before."),
        (EventKind.STORY_PARKED, "Parked in `code_green` to make room for **calc**."),
        (EventKind.BUDGET_WARNED, "Shop-1 has used 80 % of its 100,000 tokens; agents stop at 100 %."),
        (EventKind.BUDGET_WARNED, "▰▰▰▰▰▰▱▱ 80 % · **80,000 tokens** of 100,000 tokens"),
        (EventKind.BUDGET_REACHED, "💸 The budget of shop-1 for today is used up"),
        (EventKind.BUDGET_REACHED, "▰▰▰▰▰▰▰▰▸ 102 % · **5.10 USD** of 5.00 USD"),
        (EventKind.BUDGET_RAISED, "💰 Raised by <@123>: +$2.50 for today. It ends with the day."),
    ],
)
def test_a_post_says_what_matters(kind: EventKind, told: str) -> None:
    assert told in words(kind)


def test_people_are_called_only_for_done_blocked_and_questions() -> None:
    pings = {kind: made.ping for kind in POSTED if (made := notice(event(kind, DATA.get(kind, {}))))}
    assert {kind: ping for kind, ping in pings.items() if ping is not None} == {
        EventKind.STORY_MERGED: Ping.DONE,
        EventKind.SPRINT_FINISHED: Ping.DONE,
        EventKind.STORY_BLOCKED: Ping.BLOCKED,
        EventKind.PROJECT_UNAVAILABLE: Ping.BLOCKED,
        EventKind.EPIC_FAILED: Ping.BLOCKED,
        EventKind.USAGE_LIMITED: Ping.BLOCKED,
        EventKind.BUDGET_REACHED: Ping.BLOCKED,
        EventKind.GITHUB_TROUBLED: Ping.BLOCKED,
        EventKind.APPROVAL_REQUESTED: Ping.QUESTION,
        EventKind.APPROVAL_ESCALATED: Ping.QUESTION,
        EventKind.APPROVAL_OVERDUE: Ping.QUESTION,
        EventKind.EPIC_PROPOSED: Ping.QUESTION,
    }


def test_a_limit_that_ends_by_itself_calls_nobody() -> None:
    made = notice(event(EventKind.USAGE_LIMITED, {"agent": "claude", "until": None, "resumes": True}))
    assert made is not None
    assert made.ping is None
    assert "by itself" in made.message.cards[0].body


@pytest.mark.parametrize(
    ("times", "called"), [(1, None), (2, None), (3, Ping.BLOCKED), (4, None), (6, Ping.BLOCKED)]
)
def test_what_is_ended_again_and_again_calls_people_each_third_time(times: int, called: Ping | None) -> None:
    made = notice(event(EventKind.LIMIT_BREACHED, DATA[EventKind.LIMIT_BREACHED]))
    assert made is not None
    again = breached_again(made, times)
    assert again.ping is called
    assert ("Again and again" in words_of(again)) is (times >= 3)
    assert again.message.cards[0].footer == "shop-1 · #12"


def test_a_limit_that_ended_nothing_promises_no_further_try() -> None:
    text = words(
        EventKind.LIMIT_BREACHED, {"resource": "disk", "text": "shop used 9 MB of its 8 MB of disk."}
    )
    assert "shop used 9 MB of its 8 MB of disk." in text
    assert "tried again" not in text
    assert "`max_disk_mb`" in text


def test_a_budget_that_is_used_up_is_raised_by_one_button_or_a_form() -> None:
    made = notice(replace(event(EventKind.BUDGET_REACHED, DATA[EventKind.BUDGET_REACHED]), story_id=None))
    assert made is not None
    assert [(button.label, button.verb, button.target) for button in made.message.buttons] == [
        ("Raise by half: +$2.50 for today", "raise", "d:$:2500000:20261121:shop"),
        ("Raise by … for today", "raise_by", "d:$:0:20261121:shop"),
    ]
    nothing = {**DATA[EventKind.BUDGET_REACHED], "limit": 0}
    made = notice(event(EventKind.BUDGET_REACHED, nothing))
    assert made is not None
    assert made.message.buttons == ()  # only the settings allow something where nothing is allowed


def test_another_agent_than_the_one_asked_for_says_why() -> None:
    why = "claude cannot work: anthropic is at its usage limit until 14:00 UTC"
    text = words(EventKind.PHASE_STARTED, {"phase": "design", "agent": "codex", "why": why})
    assert text.endswith(
        "▶️ `design` started by `codex`.\n🔁 Claude cannot work: anthropic is at its usage limit "
        "until 14:00 UTC"
    )


def test_a_parked_story_says_why_by_a_button() -> None:
    made = notice(event(EventKind.STORY_PARKED, {"phase": "refactor"}))
    assert made is not None
    assert [(b.verb, b.target) for b in made.message.buttons] == [("why", "shop-1")]
    assert "make room" not in made.message.cards[0].body


def test_results_go_to_the_channel_and_the_rest_to_the_thread() -> None:
    in_channel = {
        kind for kind in POSTED if (made := notice(event(kind, {}))) and made.place is Place.CHANNEL
    }
    assert in_channel == {
        EventKind.BACKUP_FAILED,
        EventKind.GITHUB_LINKED,
        EventKind.GITHUB_UNLINKED,
        EventKind.GITHUB_TROUBLED,
        EventKind.GITHUB_RECOVERED,
        EventKind.GITHUB_SYNCED,
        EventKind.PROJECT_REGISTERED,
        EventKind.PROJECT_STARTED,
        EventKind.PROJECT_STOPPED,
        EventKind.PROJECT_MAINTAINED,
        EventKind.PROJECT_ARCHIVED,
        EventKind.PROJECT_REOPENED,
        EventKind.PROJECT_UNAVAILABLE,
        EventKind.SPRINT_PLANNED,
        EventKind.SPRINT_STARTED,
        EventKind.SPRINT_FINISHED,
        EventKind.APPROVAL_REQUESTED,
        EventKind.APPROVAL_ESCALATED,
        EventKind.APPROVAL_OVERDUE,
        EventKind.STORY_BLOCKED,
        EventKind.STORY_MERGED,
        EventKind.STORY_SKIPPED,
        EventKind.STORY_ABORTED,
        EventKind.WORKER_QUARANTINED,
        EventKind.EPIC_PROPOSED,
        EventKind.EPIC_FAILED,
        EventKind.STORIES_APPROVED,
        EventKind.CHANGES_REQUESTED,
        EventKind.USAGE_LIMITED,
        EventKind.USAGE_RESET,
        EventKind.LIMIT_BREACHED,
        EventKind.STRATEGY_REFUSED,
        EventKind.BUDGET_REACHED,
    }


def test_a_blocked_story_shows_what_was_tried_and_the_ways_out() -> None:
    tried = [{"phase": "code_green", "attempt": n, "said": f"wrong {n}", "at": "x"} for n in range(1, 9)]
    data = {"phase": "code_green", "reason": "tried 8 times", "tried": 8, "tried_list": [*tried, "odd"]}
    made = notice(event(EventKind.STORY_BLOCKED, data), "Add a basket")
    assert made is not None
    [*_, last] = made.message.cards[0].fields
    assert (last.name, last.value) == (r"code\_green, try 8", "wrong 8")
    assert len(made.message.cards[0].fields) == 5
    assert [button.verb for button in made.message.buttons] == ["fix", "take", "skip", "why"]


def test_tries_that_came_to_the_same_are_told_once() -> None:
    said = ["no report", "no report", "still red", "no report"]
    tried = [{"phase": "test", "attempt": n, "said": words} for n, words in enumerate(said, 1)]
    made = notice(event(EventKind.STORY_BLOCKED, {"phase": "test", "reason": "x", "tried_list": tried}))
    assert made is not None
    told = [(field.name, field.value) for field in made.message.cards[0].fields]
    assert told == [
        ("test, tries 1, 2", "no report"),
        ("test, try 3", "still red"),
        ("test, try 4", "no report"),
    ]


def test_after_one_step_the_next_one_is_a_button_away() -> None:
    made = notice(event(EventKind.STORY_STOPPED, {"by": "discord:1", "after": "design"}))
    assert made is not None
    assert made.message.cards[0].body.startswith("⏹️ One step of <@1> is over: `design`.")
    assert [button.verb for button in made.message.buttons] == ["go_on", "step", "steer", "take", "skip"]


HOSTILE = "@everyone **look** <@1> <@&2> [x](http://y) ~~z~~ \u202e"
_SPANS = re.compile(r"```.*?```|`[^`]*`", re.DOTALL)


def hostile(value: Any) -> Any:
    """The same shape with each text replaced."""
    if isinstance(value, str):
        return HOSTILE
    if isinstance(value, list):
        return [hostile(item) for item in value]
    if isinstance(value, dict):
        return {key: hostile(item) for key, item in value.items()}
    return value


@pytest.mark.parametrize("kind", sorted(POSTED))
def test_outside_text_in_any_post_neither_pings_nor_formats(kind: EventKind) -> None:
    made = notice(replace(event(kind, hostile(DATA.get(kind, {}))), actor=HOSTILE), HOSTILE)
    assert made is not None
    assert made.message.text == ""
    shown = _SPANS.sub("", words_of(made))
    for bad in ("@everyone", "**look**", "<@1>", "<@&2>", "[x](", "~~z~~", "\u202e"):
        assert bad not in shown.replace("\\", "\ue000")


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
_keys = sorted({key for data in DATA.values() for key in data} | {"evidence", "report", "tried_list"})


@given(st.sampled_from(sorted(POSTED)), st.dictionaries(st.sampled_from(_keys), _json, max_size=6))
def test_odd_data_is_still_told(kind: EventKind, data: dict[str, Any]) -> None:
    made = notice(event(kind, data))
    assert made is not None
    assert made.message.cards[0].body or made.message.cards[0].title


def test_long_reasons_are_attached_whole() -> None:
    made = notice(event(EventKind.STORY_BLOCKED, {"phase": "x", "reason": "because " * 3000}))
    assert made is not None
    fitted = fit(made.message)
    assert fitted.attachments[0].text.count("because") == 3000
    assert fitted.cards[0].footer == "shop-1 · #12"


def test_outside_text_does_not_ping_or_format() -> None:
    text = words(EventKind.STORY_BLOCKED, {"reason": "@everyone **look** \u202e"})
    assert "@everyone" not in text
    assert r"\*\*look\*\*" in text
    assert "U+202E" in text


def test_the_fallback_still_carries_the_mark() -> None:
    assert bare(event(EventKind.STORY_MERGED, {})).cards[0].footer == "shop-1 · #12"


def test_a_nonce_is_stable_and_short() -> None:
    assert nonce_of("discord:12") == nonce_of("discord:12") != nonce_of("discord:13")
    assert len(nonce_of("discord:12")) <= 25


@pytest.mark.parametrize("kind", [EventKind.APPROVAL_ESCALATED, EventKind.APPROVAL_OVERDUE])
def test_a_question_that_is_asked_again_has_its_buttons_again(kind: EventKind) -> None:
    made = notice(event(kind, DATA[kind]))
    assert made is not None
    assert [(b.verb, b.target) for b in made.message.buttons] == [
        ("approve", "approval_1"),
        ("reject", "approval_1"),
    ]

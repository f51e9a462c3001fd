from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.discord.notices import Place, bare, mark, notice
from bot.discord.notify import nonce_of
from cogs.message import fit
from core.domain.event import POSTED, Event, EventKind

AT = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)

DATA: dict[EventKind, dict[str, Any]] = {
    EventKind.PROJECT_UNAVAILABLE: {"message": "no git", "hint": "install it"},
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
}


def event(kind: EventKind, data: dict[str, Any]) -> Event:
    return Event(kind=kind, at=AT, project="shop", story_id="shop-1", actor="discord:9", data=data, seq=12)


def words(kind: EventKind, data: dict[str, Any] | None = None) -> str:
    made = notice(event(kind, DATA.get(kind, {}) if data is None else data), "Add a basket")
    assert made is not None
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
    ],
)
def test_a_post_says_what_matters(kind: EventKind, told: str) -> None:
    assert told in words(kind)


def test_people_are_pinged_only_when_needed_or_when_done() -> None:
    pinging = {kind for kind in POSTED if (made := notice(event(kind, DATA.get(kind, {})))) and made.pings}
    assert pinging == {
        EventKind.STORY_MERGED,
        EventKind.SPRINT_FINISHED,
        EventKind.STORY_BLOCKED,
        EventKind.APPROVAL_REQUESTED,
        EventKind.PROJECT_UNAVAILABLE,
    }


def test_steps_go_to_the_thread_and_results_to_the_channel() -> None:
    in_thread = {kind for kind in POSTED if (made := notice(event(kind, {}))) and made.place is Place.THREAD}
    assert in_thread == {
        EventKind.PHASE_STARTED,
        EventKind.GATE_PASSED,
        EventKind.GATE_REFUSED,
        EventKind.STORY_SENT_BACK,
        EventKind.APPROVAL_ANSWERED,
        EventKind.AUTO_APPROVED,
        EventKind.STORY_UNBLOCKED,
        EventKind.WORK_SALVAGED,
    }


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
_keys = sorted({key for data in DATA.values() for key in data} | {"evidence", "until"})


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

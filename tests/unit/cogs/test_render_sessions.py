"""Sessions as Discord shows them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cogs import render_sessions as render
from cogs.message import Message, fit
from core.domain.lifecycles import Phase
from core.domain.session import How, TurnOutcome
from core.orchestrator.session_views import SearchHit, SearchView, SessionDetail, SessionView, TurnView
from core.store.agent_sessions import AgentSession, SessionFork, SessionLink, SessionTurn

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOSTILE = "@everyone **look** <@1> <@&2> [x](http://y) \u202e"
_SPANS = re.compile(r"```.*?```|`[^`]*`", re.DOTALL)


def turn(number: int = 7, **more: Any) -> SessionTurn:
    facts: dict[str, Any] = {
        "turn_id": f"shop-3.{number}",
        "project": "shop",
        "subject": "shop-3",
        "phase": Phase.CODE_GREEN,
        "attempt": 2,
        "generation": number,
        "run_id": "",
        "agent": "codex",
        "session_id": "abc",
        "how": How.SEEDED,
        "why": "Session abc could not be resumed.",
        "template": "code_green",
        "template_version": 3,
        "template_source": "/p/code_green.md",
        "prompt_sha256": "0123456789abcdef" * 4,
        "outcome": TurnOutcome.FAILED,
        "error": "It \x1b[31mfailed.",
        "tools": 4,
        "started_at": AT,
        "ended_at": AT + timedelta(seconds=30),
        "transcript": "shop/shop-3/code_green-2.7.jsonl",
    }
    return SessionTurn(**{**facts, **more})


def view(*turns: SessionTurn, title: str = "Pay by card") -> SessionView:
    made = AgentSession(
        project="shop", subject="shop-3", agent=turns[-1].agent, session_id="abc", turns=turns
    )
    return SessionView(id=turns[-1].turn_id, session=made, title=title, tokens=12345, microdollars=2_500_000)


def text_of(message: Message) -> str:
    card = message.cards[0]
    return "\n".join([card.title, card.body, *(field.value for field in card.fields)])


WORDS = "# code\n\n12:00:00 prompt: Do it.\n" + "\n".join(f"12:00:01 agent: line {n}" for n in range(200))


def detail(*turns: SessionTurn, **more: Any) -> SessionDetail:
    views = [TurnView(turn=each, tokens=99) for each in turns[:-1]]
    views.append(TurnView(turn=turns[-1], tokens=99, prompt="Do it."))
    facts: dict[str, Any] = {"view": view(*turns), "turns": tuple(views), "transcript": WORDS, **more}
    return SessionDetail(**facts)


@pytest.mark.parametrize(
    "words",
    [
        "Session shop-3.7",
        "**Pay by card**",
        "🤖 codex · session `abc` · 12,345 tokens, 2.50 USD",
        "❌ `shop-3.7` **code\\_green**, try 2: failed · 30 s · 4 tools · 99 tokens",
        "new session, told of what was before: Session abc could not be resumed.",
        "prompt `code_green` version 3 of `/p/code_green.md`",
        "⚠️ It ␛\\[31mfailed.",
        "goes on from `shop-1.2`",
        "Linked to `shop-2`",
        "line 199",
    ],
)
def test_a_session_shows_its_turns_its_ties_and_its_end(words: str) -> None:
    fork = SessionFork(story_id="shop-3", turn_id="shop-1.2", at=AT, by="cli")
    links = (SessionLink(story_id="shop-3", linked_id="shop-2", at=AT, by="cli"),)
    assert words in text_of(render.session(detail(turn(), fork=fork, links=links)))


def test_all_that_was_said_is_attached_once() -> None:
    turns = tuple(turn(number) for number in range(1, 60))
    first, second = (render.session(detail(*turns), page) for page in (0, 1))
    assert {each.name: each.text for each in first.attachments} == {
        "shop-3.59-prompt.txt": "Do it.",
        "shop-3.59.txt": WORDS,
    }
    assert second.attachments == ()
    assert fit(first) == first


def test_what_was_pruned_says_so() -> None:
    made = render.session(detail(turn(), transcript="", gone="The transcript was removed."))
    assert "🗑️ The transcript was removed." in text_of(made)
    assert len(made.attachments) == 1


def test_a_list_and_what_was_found_in_pages() -> None:
    many = tuple(view(turn(number)) for number in range(40))
    made = render.sessions(many, argument="shop")
    assert "❌ `shop-3.0` **Pay by card**\n  codex · 1 turn · 12,345 tokens, 2.50 USD" in text_of(made)
    assert made.buttons[1].target == "sessions:shop:1"
    hits = tuple(SearchHit(turn=turn(number), snippet="the [till]\nis") for number in range(30))
    found = render.found(SearchView(query="till", hits=hits, indexed=30, waiting=2), kept="search_1")
    assert "> the \\[till\\] is" in text_of(found)
    assert "2 turns are not indexed yet" in text_of(found)
    assert found.buttons[1].target == "found:search_1:1"


def test_outside_text_neither_pings_nor_formats() -> None:
    odd = turn(why=HOSTILE, error=HOSTILE, agent=HOSTILE, template=HOSTILE, template_source=HOSTILE)
    shown = [
        text_of(render.session(detail(odd, view=view(odd, title=HOSTILE), transcript=HOSTILE))),
        text_of(render.sessions((view(odd, title=HOSTILE),))),
        text_of(render.found(SearchView(query=HOSTILE, hits=(SearchHit(turn=odd, snippet=HOSTILE),)))),
    ]
    for text in (_SPANS.sub("", each) for each in shown):
        for bad in ("@everyone", "**look**", "<@1>", "<@&2>", "[x](", "\u202e"):
            assert bad not in text.replace("\\", "\ue000")

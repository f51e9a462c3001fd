from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta

from rich.console import Console

from bot.cli import output_sessions as output
from core.domain.lifecycles import Phase
from core.domain.session import How, TurnOutcome
from core.orchestrator.session_views import SearchHit, SearchView, SessionDetail, SessionView, TurnView
from core.store.agent_sessions import AgentSession, SessionTurn

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


def turn(**changes) -> SessionTurn:
    fields = {
        "turn_id": "shop-3.7",
        "project": "shop",
        "subject": "shop-3",
        "phase": Phase.CODE_GREEN,
        "attempt": 2,
        "generation": 7,
        "run_id": "",
        "agent": "codex",
        "session_id": "abc",
        "how": How.SEEDED,
        "why": "Session abc could not be resumed: gone.",
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
    return SessionTurn(**{**fields, **changes})


def view() -> SessionView:
    session = AgentSession(project="shop", subject="shop-3", agent="codex", session_id="abc", turns=(turn(),))
    return SessionView(id="shop-3.7", session=session, title="Pay [bold]by card", tokens=12345)


def shown(renderable) -> str:
    console = Console(file=io.StringIO(), width=80, highlight=False)
    console.print(renderable)
    return console.file.getvalue()


def test_a_session_shows_its_turns_its_prompt_and_what_was_said():
    words = "# code\n\n12:00:00 prompt: Do it.\n" + "\n".join(f"12:00:01 agent: line {n}" for n in range(90))
    detail = SessionDetail(
        view=view(), turns=(TurnView(turn=turn(), tokens=99, prompt="Do it.\nWell."),), transcript=words
    )

    text = " ".join(shown(output.session(detail)).split())

    assert "shop-3.7 code_green, attempt 2: failed, 30 s, 4 tools, 99 tokens" in text
    assert "new session, told of what was before: Session abc could not be resumed: gone." in text
    assert "prompt code_green version 3 of /p/code_green.md, sha256 0123456789abcdef" in text
    assert "Do it. Well." in text
    assert "agent: line 89" in text
    assert "agent: line 1 " not in text
    assert "orchard do session shop-3.7 all" in text
    assert "\x1b" not in text
    assert "agent: line 1 " in " ".join(shown(output.session(detail, whole=True)).split())


def test_a_transcript_that_is_gone_is_said():
    detail = SessionDetail(view=view(), turns=(TurnView(turn=turn()),), gone="It was removed.")
    assert "It was removed." in shown(output.session(detail))


def test_lists_and_findings_say_what_to_do_next():
    listed = shown(output.sessions((view(),)))
    assert "12,345" in listed
    assert "Pay [bold]by card" in listed
    assert "No agent has had a session" in shown(output.sessions(()))
    hit = SearchHit(turn=turn(), snippet="the [lock] was held")
    found = shown(output.found(SearchView(query="lock", hits=(hit,), indexed=9, waiting=2)))
    assert "the [lock] was held" in found
    assert "2 turns are not indexed yet" in found
    assert "Nothing was found among 9 turns: lock" in shown(output.found(SearchView(query="lock", indexed=9)))


def test_words_that_were_quoted_are_looked_for_as_they_stand():
    assert output.query_of(["lock", "was held", 'a "b c"']) == 'lock "was held" a "b c"'

"""Budgets as Discord shows them."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from cogs import render_budgets as render
from cogs.message import Message, Tone, fit
from core.domain.budget import Amounts, Level, Scope, Unit
from core.orchestrator.budget_views import (
    BudgetsView,
    BudgetView,
    ProjectBudgets,
    RaiseView,
    ShareView,
    UnitView,
)

AT = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)
HOSTILE = "@everyone **look** <@1> <@&2> [x](http://y) \u202e"
_SPANS = re.compile(r"```.*?```|`[^`]*`", re.DOTALL)


def unit(which: Unit, spent: int, limit: int | None, **more: Any) -> UnitView:
    percent = None if not limit else spent * 100 // limit
    level = Level.REACHED if limit is not None and spent >= limit else Level.FINE
    facts: dict[str, Any] = {"on_agents_word": 0, "raised": 0, "sentence": "", "percent": percent, **more}
    return UnitView(**{"unit": which, "spent": spent, "limit": limit, "level": level, **facts})


def share(**more: Any) -> ShareView:
    facts: dict[str, Any] = {
        "story_id": "shop-1",
        "phase": "code_green",
        "agent": "claude",
        "model": "sonnet",
        "on_agents_word": False,
        "calls": 12,
        "tokens": 120_000,
        "microdollars": 5_000_000,
    }
    return ShareView(**{**facts, **more})


DAY = BudgetView(
    project="shop",
    scope=Scope.DAY,
    day="2026-11-21",
    day_ends=AT,
    zone="Europe/Berlin",
    used=True,
    units=(
        unit(Unit.TOKENS, 120_000, None, on_agents_word=5),
        unit(Unit.MICRODOLLARS, 5_000_000, 5_000_000, raised=1_000_000),
        unit(Unit.TURNS, 1, 20),
        unit(Unit.MILLISECONDS, 0, None),
    ),
    waits="waits: the budget of shop's day is used up: 5.00 USD of 5.00 USD; next at 00:00 Europe/Berlin.",
    shares=(share(), share(agent="codex", on_agents_word=True, microdollars=0, calls=1)),
    calls=13,
)


def view(*budgets: BudgetView, projects: int = 1) -> BudgetsView:
    found = tuple(
        ProjectBudgets(project=f"shop{n or ''}", raise_level="maintainer", warn_percent=80, budgets=budgets)
        for n in range(projects)
    )
    return BudgetsView(at=AT, projects=found, total=Amounts(tokens=7, microdollars=1_500_000))


def text_of(message: Message) -> str:
    return "\n".join(f"{card.title}\n{card.body}" for card in message.cards)


@pytest.mark.parametrize(
    "words",
    [
        "Budget of shop",
        f"**Today** · until <t:{int(AT.timestamp())}:t> · Europe/Berlin",
        "▫️ **120,000 tokens** \\*, no limit",
        "🔴 ▰▰▰▰▰▰▰▰ 100 % · **5.00 USD** of 5.00 USD · 1.00 USD of it raised by people",
        "🟢 ▰▱▱▱▱▱▱▱ 5 % · **1 turn** of 20 turns",
        "⏸️ The budget of shop's day is used up",
        "**Dearest of 13 calls**\n• **5.00 USD** `shop-1` · code\\_green · claude · sonnet: 120,000 tok",
        "codex \\* · sonnet",
        "by the agents' own word",
        "maintainer and higher",
    ],
)
def test_what_is_used_and_by_whom_is_told(words: str) -> None:
    assert words in text_of(render.budgets(view(DAY), argument="shop"))


def test_what_is_used_up_has_its_buttons_where_one_project_is_shown() -> None:
    made = render.budgets(view(DAY), argument="shop")
    assert [button.label for button in made.buttons] == [
        "Raise by half: +$2.50 for today",
        "Raise by … for today",
    ]
    assert made.cards[0].tone is Tone.BAD
    many = render.budgets(view(DAY, projects=2))
    assert many.buttons == ()
    assert "In all: 7 tokens · 1.50 USD" in text_of(many)
    assert "📦 **shop1**" in text_of(many)


def test_where_nothing_is_used_or_limited_the_way_to_limits_is_told() -> None:
    unused = replace(DAY, used=False, units=tuple(unit(each, 0, None) for each in Unit), waits="", shares=())
    assert "nothing is limited" in text_of(render.budgets(view(unused), argument="shop"))
    empty = text_of(render.budgets(BudgetsView(at=AT, projects=(), total=Amounts())))
    assert "`orch-config.yaml`" in empty


def test_a_limit_of_nothing_has_a_bar_and_no_button() -> None:
    none = replace(DAY, units=(unit(Unit.TURNS, 0, 0, percent=100),))
    made = render.budgets(view(none), argument="shop")
    assert "100 % · **0 turns** of 0 turns" in text_of(made)
    assert made.buttons == ()


def test_fifty_projects_are_paged_with_all_of_each() -> None:
    seen, page = "", 0
    while True:
        made = render.budgets(view(DAY, projects=50), page)
        assert fit(made) == made
        seen += text_of(made)
        page += 1
        if made.buttons[1].disabled:
            break
    assert all(f"📦 **shop{n}**" in seen for n in range(1, 50))
    assert page > 2


def test_outside_text_neither_pings_nor_formats() -> None:
    hostile = replace(
        DAY,
        scope=Scope.STORY,
        story_id="shop-1",
        title=HOSTILE,
        waits=HOSTILE,
        shares=(share(story_id=HOSTILE, phase=HOSTILE, agent=HOSTILE, model=HOSTILE),),
    )
    shown = _SPANS.sub("", text_of(render.budgets(view(hostile), argument="~shop-1")))
    for bad in ("@everyone", "**look**", "<@1>", "<@&2>", "[x](", "\u202e"):
        assert bad not in shown.replace("\\", "\ue000")


def test_a_raise_says_what_is_so_now_and_whether_it_was_done_before() -> None:
    made = RaiseView(
        new=True,
        project="shop",
        scope=Scope.DAY,
        story_id=None,
        unit=Unit.MICRODOLLARS,
        added=1,
        limit=2,
        until=AT,
        sentence="shop's day may use more.",
    )
    assert "shop's day may use more." in text_of(render.raised(made))
    assert "done already" in text_of(render.raised(replace(made, new=False)))

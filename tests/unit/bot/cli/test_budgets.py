"""`budget` and `raise`: what is shown, what is done, and what is said of what cannot be."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime

import pytest

from bot.cli import output_budgets
from core.domain.budget import Amounts, Level, Scope, Unit
from core.errors import InvalidInput, NotFound
from core.orchestrator.budget_views import BudgetsView, BudgetView, ProjectBudgets, ShareView, UnitView

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def unit(which: Unit, spent: int, limit: int | None, **more) -> UnitView:
    percent = None if not limit else spent * 100 // limit
    level = Level.REACHED if limit is not None and spent >= limit else Level.FINE
    facts = {"on_agents_word": 0, "raised": 0, "sentence": "", **more}
    return UnitView(unit=which, spent=spent, limit=limit, percent=percent, level=level, **facts)


DAY = BudgetView(
    project="shop",
    scope=Scope.DAY,
    day="2026-03-01",
    zone="Europe/Berlin",
    used=True,
    units=(
        unit(Unit.TOKENS, 120_000, None, on_agents_word=5),
        unit(Unit.MICRODOLLARS, 5_000_000, 5_000_000, raised=1),
        unit(Unit.TURNS, 0, None),
    ),
    waits="waits: the budget of shop's day is used up: 5.00 USD of 5.00 USD; next at 00:00 Europe/Berlin, or "
    "raise it with /budget raise.",
    shares=(
        ShareView(
            story_id="shop-1",
            phase="code_green",
            agent="claude\x1b[31m",
            model="sonnet",
            on_agents_word=False,
            calls=12,
            tokens=120_000,
            microdollars=5_000_000,
        ),
    ),
    calls=12,
)


def view(*budgets: BudgetView) -> BudgetsView:
    shop = ProjectBudgets(project="shop", raise_level="maintainer", warn_percent=80, budgets=budgets)
    return BudgetsView(at=NOW, projects=(shop,), total=Amounts())


def test_what_is_used_up_and_by_whom_is_seen_in_80_columns(shown):
    text = shown(output_budgets.budgets(view(DAY)))
    assert max(map(len, text.splitlines())) <= 80
    assert "██████████ 100 %" in text
    assert "120,000 tokens *" in text
    assert "by the agents' own word" in text
    assert "5.00 USD ↑" in text
    assert "turns" not in text  # neither limited nor used
    assert "or raise it with orchard budget --raise." in " ".join(text.split())
    assert "\x1b[31m" not in text
    assert "12" in text


def test_a_zero_limit_is_shown_as_used_up(shown):
    none = unit(Unit.TURNS, 0, 0)
    text = shown(output_budgets.budgets(view(dataclasses.replace(DAY, units=(none,), used=False))))
    assert "0 turns" in text


def test_nothing_at_all_says_where_limits_stand(shown):
    empty = BudgetsView(at=NOW, projects=(), total=Amounts())
    assert "projects.<name>.budgets" in shown(output_budgets.budgets(empty))


@pytest.fixture
async def shop(say, checkout, tmp_path):
    (tmp_path / "orch-config.yaml").write_text(
        "projects:\n  shop:\n    name: shop\n    path: shop\n    budgets:\n      day: {dollars: 5}\n"
        "      story: {turns: 4}\n"
    )
    checkout(tmp_path / "shop")
    await say("add shop Sell")
    return say


async def test_the_shell_shows_and_raises(shop):
    assert "0.00 USD" in await shop("budget shop")
    assert "shop's day may use 2.50 USD more until the day ends: 7.50 USD in all." in await shop(
        "raise day shop $2.50 dollars"
    )
    assert "7.50 USD ↑" in await shop("budget")
    assert "shop-1 may use 2 turns more: 6 turns in all." in await shop("raise story shop-1 2 turns")
    assert "6 turns ↑" in await shop("budget shop-1")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("raise day shop 5 euros", "no unit"),
        ("raise week shop 5 dollars", "no budget of a 'week'"),
        ("raise day shop five dollars", "is no amount"),
        ("raise day shop 51 dollars", "too much at once"),
        ("raise project shop 1 dollars", "has no such limit"),
        ("raise day shop", "missing"),
    ],
)
async def test_what_cannot_be_raised_is_said(shop, line, said):
    with pytest.raises(InvalidInput, match=said):
        await shop(line)


async def test_what_is_not_there_is_said(shop):
    for line in ("budget depot", "budget shop-9", "raise story shop-9 1 turns", "raise day depot 1 dollars"):
        with pytest.raises(NotFound):
            await shop(line)

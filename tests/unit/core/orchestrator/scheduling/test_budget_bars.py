"""What budgets and held providers let begin, as the scheduler sees it."""

from datetime import timedelta
from pathlib import Path

import pytest

from config.settings import ProjectSettings
from core.gateway.contract import ProviderHold
from core.gateway.refusal import RefusalKind
from core.store.ledger import TurnTaken


@pytest.fixture
def budget(yard):
    def set_budgets(**budgets) -> None:
        yard.projects["shop"] = ProjectSettings.model_validate(
            {"name": "shop", "path": Path("/srv/shop"), "budgets": budgets}
        )

    return set_budgets


@pytest.fixture
def turn(yard):
    async def take(story: str, number: int = 1) -> None:
        await yard.budgets.record_turn(
            TurnTaken(
                turn_id=f"{story}#{number}",
                project="shop",
                story_id=story,
                phase="design",
                agent="claude",
                at=yard.clock.now(),
                milliseconds=1000,
            )
        )

    return take


async def test_stories_whose_budget_is_used_up_do_not_hide_the_others(yard, budget, turn):
    await yard.project("shop", 6, max_parallel_cycles=2, max_parallel_agents=2)
    budget(story={"turns": 1})
    for number in range(1, 5):
        await turn(f"shop-{number}")
    assert sorted(await yard.start()) == ["shop-5", "shop-6"]
    assert yard.engine.why("shop-1").startswith("waits: the budget of shop-1 is used up: 1 turn of 1 turn;")


async def test_no_more_turns_begin_at_once_than_are_left(yard, budget, turn):
    await yard.project("shop", 4, max_parallel_cycles=4, max_parallel_agents=4)
    budget(day={"turns": 3})
    await turn("shop-4")
    assert sorted(await yard.start()) == ["shop-1", "shop-2"]
    assert await yard.start() == []
    assert yard.engine.why("shop-3").startswith(
        "waits: what runs may use the rest of the budget of shop's day"
    )
    await yard.end("shop-1")
    await turn("shop-1")
    assert await yard.start() == []


async def test_epics_wait_for_the_budget_too(yard, budget, turn):
    await yard.project("shop", 1)
    budget(day={"turns": 1})
    await turn("shop-1")
    yard.floor.extra_agents.wish("shop-e1", "shop")
    assert await yard.start() == []
    assert "the budget of shop's day is used up" in yard.engine.why("shop-e1")


async def test_a_held_provider_bars_who_starts_meanwhile_until_it_is_over(yard):
    await yard.project("shop", 1)
    hold = ProviderHold(
        provider="anthropic",
        key_id="k",
        kind=RefusalKind.CREDIT,
        until=yard.clock.now() + timedelta(minutes=10),
        reason="no money",
    )
    await yard.store.write(
        lambda tx: yard.holds.meet(
            tx, hold.provider, kind=hold.kind.value, reason=hold.reason, said=hold.until, by=()
        )
    )
    await yard.holds.settle()
    assert await yard.start() == []
    assert "anthropic has no credit left until" in yard.engine.why("shop-1")
    yard.clock.advance(601)
    assert await yard.start() == ["shop-1"]

"""Orchard killed around a budget that is used up: nothing is counted twice, nobody is told twice."""

from __future__ import annotations

import pytest

from core.domain.budget import Scope, Unit

pytestmark = pytest.mark.timeout(600)


def test_a_used_up_budget_outlives_a_kill_and_a_raise_lets_the_story_go_on(orchard, play_honestly):
    orchard.add("shop")
    orchard.agent_row = {"usage": "turn"}
    orchard.settings = {"budgets": {"story": {"tokens": 1000}}}
    honest = play_honestly()
    spent = {"usage": {"input": 1100, "output": 100, "used": 1, "size": 2}}
    orchard.play({"*": {**honest, "test_red": [*honest["test_red"], spent]}})
    orchard.start()
    orchard.sprint("shop")
    orchard.wait_for_event("budget_reached", "shop-1")
    orchard.kill()
    used = orchard.rows("SELECT sum(tokens) AS tokens, count(*) AS calls FROM model_calls")
    assert [tuple(row) for row in used] == [(1200, 1)]
    turns = len(orchard.rows("SELECT 1 FROM agent_turns"))
    orchard.start()
    why = orchard.wait_until(
        lambda: (
            (found := orchard.ask(lambda commands: commands.why("shop-1"))).sentence.startswith(
                "waits: the budget of shop-1 is used up: 1,200 tokens of 1,000 tokens"
            )
            and found
        ),
        "the bar",
    )
    assert why.status == "waiting"

    def more(commands):
        return commands.raise_budget(
            "shop-1", scope=Scope.STORY, unit=Unit.TOKENS, amount=2000, click="button", actor="cli"
        )

    assert orchard.ask(more).new
    orchard.kill()  # before, while or after the next phase begins
    orchard.start()
    assert not orchard.ask(more).new
    orchard.wait_for_event("story_merged", "shop-1")
    orchard.terminate()
    assert len(orchard.events("budget_reached")) == 1
    assert len(orchard.events("budget_raised")) == 1
    assert [row["tokens"] for row in orchard.rows("SELECT tokens FROM model_calls")] == [1200]
    assert len(orchard.rows("SELECT 1 FROM agent_turns")) >= turns + 2

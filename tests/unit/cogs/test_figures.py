from __future__ import annotations

from cogs.figures import figure_rows, with_figures
from cogs.message import Card, Field, Message
from core.orchestrator.resource_views import Metrics

SOME = Metrics(
    resource_efficiency=0.8749,
    average_cycle_time_hours=None,
    total_stories_completed=0,
    system_health_score=1.0,
    parts={"flow": 1.0},
)


def test_nothing_done_is_not_no_data() -> None:
    assert [value for _, value, _ in figure_rows(SOME)] == ["0.87", "no data", "0", "1.00"]


def test_the_first_card_gets_a_field_and_all_else_stays() -> None:
    own = Field(name="Own", value="1")
    shown = with_figures(Message(cards=(Card(title="A", fields=(own,)), Card(title="B"))), SOME)
    first, second = shown.cards
    assert first.title == "A"
    assert first.fields[0] == own
    assert first.fields[1].name == "Figures"
    assert first.fields[1].value.splitlines() == [
        "`resource_efficiency` **0.87** · last 24 hours",
        "`average_cycle_time_hours` **no data**",
        "`total_stories_completed` **0**",
        "`system_health_score` **1.00** · flow 1.00",
    ]
    assert second == Card(title="B")

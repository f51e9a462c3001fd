"""What people may write for budgets, and what is refused with its place."""

import pytest

from config.loader import load
from config.problems import ConfigError
from config.settings import BudgetLimits


@pytest.fixture
def written(tmp_path):
    def load_with(budgets: str, own: str = ""):
        (tmp_path / "shop" / ".orch-state").mkdir(parents=True)
        if own:
            (tmp_path / "shop" / ".orch-state" / "config.yaml").write_text(own)
        lines = "".join(f"      {line}\n" for line in budgets.splitlines())
        (tmp_path / "orch-config.yaml").write_text(
            f"projects:\n  shop:\n    path: shop\n    name: shop\n    budgets:\n{lines}"
        )
        return load(tmp_path, environ={})

    return load_with


def test_without_a_word_nothing_is_limited(written):
    budgets = written("{}").settings.projects["shop"].budgets
    assert (budgets.story, budgets.project, budgets.day) == (BudgetLimits(),) * 3
    assert (budgets.warn_percent, budgets.raise_level) == (80, "maintainer")


def test_what_is_written_counts_and_an_empty_scope_is_none(written):
    budgets = written("day:\nstory: {dollars: 0.000001, minutes: 1.5}\nproject: {turns: 0}")
    found = budgets.settings.projects["shop"].budgets
    assert found.story == BudgetLimits(dollars=0.000001, minutes=1.5)
    assert (found.day, found.project.turns) == (BudgetLimits(), 0)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("story: {tokens: -1}", ":6:15: projects.shop.budgets.story.tokens: should be at least 0"),
        ("story: {dolars: 5}", "no such key (did you mean 'dollars'?)"),
        ("day: {dollars: 0.00000012}", "is finer than a millionth of a dollar"),
        ("day: {turns: true}", "should be a whole number, not true"),
        ("day: {tokens: .inf}", "projects.shop.budgets.day.tokens"),
        ("warn_percent: 0", "should be at least 1"),
        ("raise_level: mantainer", "did you mean 'maintainer'?"),
        ("week: {turns: 1}", "no such key"),
        ("{story: {turns: 9}, project: {turns: 8}}", "story.turns is 9, more than the whole project"),
    ],
)
def test_nonsense_is_refused_where_it_stands(written, line, said):
    with pytest.raises(ConfigError) as refused:
        written(line)
    assert said in str(refused.value)
    assert f"orch-config.yaml:{5 if line.startswith('{') else 6}" in str(refused.value)


def test_a_checkout_cannot_allow_itself_more(written):
    found = written("day: {turns: 1}", own="budgets:\n  day: {turns: 99}\n")
    assert "budgets: is not the project's own to set" in str(found.broken["shop"])

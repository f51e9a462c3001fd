from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from dataclasses import replace

import psutil
import pytest

from core.scheduler.custom import CustomStrategy
from tests.oracles.instances import project, snapshot, started

WORLD = snapshot({"slots": 4}, project("a", {"slots": 1}, 9), project("b", {"slots": 1}, 9, weight=3))


@pytest.fixture
def own() -> Iterator[Callable[[str], CustomStrategy]]:
    made: list[CustomStrategy] = []

    def make(name: str) -> CustomStrategy:
        made.append(
            CustomStrategy(f"tests.unit.core.scheduler.own_strategies:{name}", time_limit_seconds=1.0)
        )
        return made[-1]

    yield make
    for strategy in made:
        strategy.close()


def test_a_good_one_decides(own) -> None:
    decision = own("Halves").decide(WORLD)
    assert started(decision) == {"a": 2, "b": 2}  # by weight it would be 1 and 3
    assert decision.problems == ()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Greedy", "gives away 8 agents of 4"),
        ("Raises", "ZeroDivisionError: no projects today"),
        ("Hangs", "took longer than 1 s and was stopped"),
        ("Dies", "ended its process"),
        ("Nonsense", "agents of a is nan"),
        ("AsInTheSeed", "returned NoneType, not a mapping of projects to amounts"),
        ("Exits", "SystemExit: 4"),
        ("Forks", "PermissionError: a strategy may start no process (os.fork)"),
        ("StartsAProgram", "PermissionError: a strategy may start no process (subprocess.Popen)"),
        ("LeavesOneBehindAndDies", "ended its process"),
        ("Words", "could not convert string to float"),
        ("Unlimited", "agents of a is inf"),
        ("Stranger", "there is no project nobody"),
        ("NoResource", "there is no resource cores"),
        ("NoStrategy", "is no subclass of SchedulingStrategy"),
        ("Missing", "has no attribute 'Missing'"),
    ],
)
def test_a_bad_one_is_refused_and_shares_are_fair(own, name, said) -> None:
    decision = own(name).decide(WORLD)
    assert said in decision.problems[0]
    assert "Until it is right, shares are fair" in decision.problems[0]
    assert started(decision) == {"a": 1, "b": 3}


@pytest.mark.parametrize("name", ["ForksUnseen", "ReadsAndPrints"])
def test_a_copy_of_it_and_what_it_prints_are_no_answers(own, name) -> None:
    strategy = own(name)
    for second in range(3):
        decision = strategy.decide(replace(WORLD, now=float(second)))
        assert decision.problems == ()
        assert started(decision) == {"a": 2, "b": 2}


@pytest.mark.parametrize(
    "name", ["Halves", "Hangs", "Dies", "ForksUnseen", "LeavesOneBehind", "LeavesOneBehindAndDies"]
)
def test_no_process_is_left(own, name) -> None:
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    strategy = own(name)
    strategy.decide(WORLD)
    strategy.close()
    assert {child.pid for child in psutil.Process().children(recursive=True)} <= before
    assert not [
        process.pid
        for process in psutil.process_iter(["cmdline"])
        if (process.info["cmdline"] or [""])[0] == "orchard-left-behind"
    ]


def test_a_file_beside_the_configuration_is_found_and_taken_up_when_it_is_edited(tmp_path) -> None:
    file = tmp_path / "mine.py"
    text = """
from core.scheduler.strategy import SchedulingStrategy
from mine_too import PART

class Mine(SchedulingStrategy):
    def calculate_allocation(self, projects, total_resources):
        return {"a": {"agents": PART}, "b": {"agents": 3}}
"""
    file.write_text(text)
    (tmp_path / "mine_too.py").write_text("PART = 1")
    strategy = CustomStrategy("mine:Mine", folder=tmp_path, retry_seconds=1e9)
    try:
        assert started(strategy.decide(WORLD)) == {"a": 1, "b": 3}
        (tmp_path / "mine_too.py").write_text("PART = 0")  # what it imports counts too; as long as before
        os.utime(tmp_path / "mine_too.py", ns=(1, 1))
        assert started(strategy.decide(WORLD)) == {"b": 3}
        file.write_text("this is no Python")
        broken = strategy.decide(WORLD)
        assert "cannot be loaded: SyntaxError" in broken.problems[0]
        assert started(broken) == {"b": 3}
        file.write_text(text.replace("PART}", "2}").replace('"agents": 3', '"agents": 2'))
        mended = strategy.decide(WORLD)
        assert mended.problems == ()
        assert started(mended) == {"a": 2, "b": 2}
        file.unlink()
        gone = strategy.decide(WORLD)
        assert "ModuleNotFoundError" in gone.problems[0]
        assert started(gone) == {"a": 2, "b": 2}
    finally:
        strategy.close()
    assert not list(tmp_path.rglob("*.pyc"))


def test_a_project_that_came_after_the_last_good_allocation_starts_too(own) -> None:
    strategy = own("GoodOnce")
    strategy.decide(WORLD)
    more = replace(WORLD, projects=(*WORLD.projects, project("c", {"slots": 1}, 9)), now=1.0)
    decision = strategy.decide(replace(more, capacity=more.capacity._replace(agents=9.0)))
    assert started(decision) == {"a": 1, "b": 3, "c": 5}


def test_what_it_may_give_away_shrinks_with_the_machine(own) -> None:
    """Its last good allocation was for four agents, now there are two."""
    strategy = own("GoodOnce")
    strategy.decide(WORLD)
    smaller = replace(WORLD, capacity=WORLD.capacity._replace(agents=2.0), now=1.0)
    assert sum(started(strategy.decide(smaller)).values()) == 2


def test_figures_that_make_no_sense_do_not_reach_it_and_are_told(own) -> None:
    odd = replace(WORLD, projects=(*WORLD.projects, project("c", {"slots": math.nan}, 1)))
    decision = own("Halves").decide(odd)
    assert decision.why("c-00000").startswith("waits: what it needs makes no sense: agents nan")


def test_the_last_good_allocation_stays(own) -> None:
    strategy = own("GoodOnce")
    even = replace(WORLD, projects=tuple(replace(one, weight=1.0) for one in WORLD.projects))
    assert started(strategy.decide(even)) == {"a": 1, "b": 3}
    later = strategy.decide(replace(even, now=1.0))
    assert "not twice" in later.problems[0]
    assert "last good allocation stays" in later.problems[0]
    assert started(later) == {"a": 1, "b": 3}


def test_one_that_hangs_is_not_asked_again_at_once(own, monkeypatch) -> None:
    strategy = own("Hangs")
    assert strategy.decide(WORLD).problems
    asked = []
    monkeypatch.setattr(strategy, "ask", lambda snapshot: asked.append(snapshot.now) or {})
    assert strategy.decide(replace(WORLD, now=30.0)).problems
    assert asked == []
    assert strategy.decide(replace(WORLD, now=61.0)).problems == ()
    assert asked == [61.0]

"""The project's own list of oracles, read as it stands: every case of it is run here from its own figures, so
that one that is added or changed is noticed. Skipped where the list is not at hand."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.domain.story import Priority
from core.scheduler.division import divide
from core.scheduler.dynamic import Dynamic
from core.scheduler.fair_share import FairShare
from core.scheduler.priority import (
    PriorityBased,
    PriorityWeights,
    age_factor,
    fair_share_factor,
    normalised_priorities,
)
from core.scheduler.resources import NOTHING, Resources
from core.scheduler.sharing import share_out
from core.scheduler.snapshot import Reclaimed
from core.scheduler.usage import decayed_use, entry_penalty, weighted_use
from tests.oracles.instances import amounts, parked, project, snapshot, started

LIST = Path(__file__).parents[3] / "shared" / "oracles" / "scheduling.json"
CASES: dict[str, Any] = (
    {case["id"]: case for part in json.loads(LIST.read_text()).values() if isinstance(part, list)
     for case in part if isinstance(case, dict)}
    if LIST.is_file()
    else {}
)  # fmt: skip
FAIR, INF = FairShare(), float("inf")


def whole_tasks(case) -> None:
    projects = [
        project(name, demand, 99, weight=case.get("weights", {}).get(name, 1))
        for name, demand in case["demands"].items()
    ]
    decision = FAIR.decide(snapshot(case["capacity"], *projects))
    assert started(decision) == case["whole_tasks"]
    assert started(decision) != case.get("must_not_be")
    shares = {start.project: start.share for start in decision.starts}  # the last of each
    for name, share in case.get("dominant_share", {}).items():
        assert shares[name] == pytest.approx(share, abs=1e-4)
    if "divisible_tasks" in case:
        names = list(case["demands"])
        found = divide(
            list(case["capacity"].values()),
            [list(case["demands"][name].values()) for name in names],
            weights=[case["weights"][name] for name in names],
        )
        assert dict(zip(names, found.tasks, strict=True)) == pytest.approx(case["divisible_tasks"], abs=1e-4)


def a_lie(case) -> None:
    capacity = case["capacity"]

    def of_a(demands) -> int:
        return started(FAIR.decide(snapshot(capacity, *(project(n, d, 99) for n, d in demands.items()))))["A"]

    assert of_a(case["demands"] | case["lie"]) <= of_a(case["demands"])
    whole = [list(each.values()) for each in case["demands"].values()]
    lied = [list(each.values()) for each in (case["demands"] | case["lie"]).values()]
    there = list(capacity.values())
    assert divide(there, lied).tasks[0] <= divide(there, whole).tasks[0] + 1e-9


def shares_of_slots(case) -> None:
    count = len(case["shares"])
    weights, floors = case.get("weights", [1] * count), case.get("guaranteed", [0] * count)
    limits = case.get("limits", [INF] * count)
    there = case["capacity"]["slots"]
    assert share_out(there, weights, floors, limits) == pytest.approx(case["shares"])
    projects = [
        project(f"{at}", {"slots": 1}, 99, weight=weights[at], guaranteed={"slots": floors[at]},
                limit={"slots": limits[at]})
        for at in range(count)
    ]  # fmt: skip
    found = started(FAIR.decide(snapshot(case["capacity"], *projects)))
    assert [found.get(f"{at}", 0) for at in range(count)] == case["shares"]


def order_of(capacity, used, weights) -> list[str]:
    one = {"cpu": 0.001, "memory": 0.001}  # too little to change the order
    projects = [project(name, one, 1, weight=weights.get(name, 1)) for name in used]
    held = [replace(each, used=amounts(used[each.name])) for each in projects]
    return [start.project for start in FAIR.decide(snapshot(capacity, *held)).starts]


def an_order(case) -> None:
    if "order" in case:
        assert order_of(case["capacity"], case["used"], case["weights"]) == case["order"]
    for one in case.get("orders", ()):
        assert order_of(one["capacity"], case["used"], {})[0] == one["first"]


def normalised(case) -> None:
    assert normalised_priorities(case["weight"], case["factors"]) == case["normalised_priority"]


def a_maximum(case) -> None:
    weights = PriorityWeights(**case["weights"])
    assert weights.maximum == case["maximum"]
    assert (
        weights.priority(fair_share=fair_share_factor(0, 1), age=age_factor(1e9, 1), size=1)
        == case["maximum"]
    )


def told_apart(case) -> None:
    for weight, wanted in ((case["weight"], case["integer_priority"]), (1000, case["with_weight_1000"])):
        weights = PriorityWeights(fair_share=weight, age=0, size=0)
        found = [weights.priority(fair_share=factor, age=0, size=0) for factor in case["factors"]]
        assert [int(priority) for priority in found] == wanted
        assert found[0] > found[1]  # ours are not cut to whole numbers


def a_total_order(case) -> None:
    """Each criterion in turn decides between two that are equal in those before it, whatever comes after."""
    better: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {  # of the project, of its task
        "may pre-empt": ({}, {"may_preempt": True}),
        "reservation": ({}, {"reserved": True}),
        "tier": ({"tier": Priority.HIGH}, {}),
        "priority": ({}, {}),  # by what it holds: nothing
        "submit time": ({}, {"submitted_at": -1e-3}),
        "id": ({}, {"id": "0"}),
    }
    for at, criterion in enumerate(case["order"]):
        later = {name: better[name] for name in case["order"][at + 1 :]}
        first = _candidate("z", [better[criterion]], holds=criterion != "priority" and "priority" in later)
        other = _candidate("a", list(later.values()), holds=criterion == "priority")
        decision = PriorityBased().decide(snapshot({"slots": 1000}, first, other))
        assert [start.project for start in decision.starts] == ["z", "a"], criterion


def _candidate(name, parts, *, holds):
    of_project = {key: value for part, _ in parts for key, value in part.items()}
    of_task = {key: value for _, part in parts for key, value in part.items()}
    made = project(name, {"slots": 1}, 1, used=200 if holds else 0, **of_project)
    task = made.waiting[0]._replace(**{"id": f"1-{name}"} | of_task)
    return replace(made, waiting=(task,))


def decay(case) -> None:
    half_life, step = case["half_life_hours"] * 3600.0, case["sample_minutes"] * 60.0
    use, held = NOTHING, Resources(agents=case["use"])
    samples = {
        round(int(lives) * half_life / step): use for lives, use in case["decayed_after_half_lives"].items()
    }
    for sample in range(1, max(samples) + 1):
        use = decayed_use(use, held, elapsed_seconds=step, half_life_seconds=half_life)
        assert use.agents < case["never_above"]
        if sample in samples:
            assert use.agents == pytest.approx(samples[sample])


def weighted(case) -> None:
    for one in case["cases"]:
        assert weighted_use(one["used"], one["resource_weights"]) == one["weighted"]
        for weight in (0.0, -1.0, float("nan")):
            assert weighted_use(one["used"], one["resource_weights"], weight) == INF


def a_burst(case) -> None:
    burst = project("a-burst", {"slots": 1}, 100)
    decision = Dynamic(history_weight=1.0).decide(
        snapshot({"slots": 10}, burst, project("b", {"slots": 1}, 3), project("c", {"slots": 1}, 3))
    )
    assert started(decision) == {"a-burst": 4, "b": 3, "c": 3}
    assert entry_penalty(Resources(agents=2.0)).agents > 0


def reclaimed(case) -> None:
    names = "ABC"
    given = case.get("guaranteed", [40, 40, 20])
    guaranteed = list(given.values()) if isinstance(given, dict) else given
    used = list(case["used"].values()) if isinstance(case["used"], dict) else case["used"]
    wants = case.get("wants", {} if case.get("waiting") == "nobody" else {"A": 10})
    projects = [
        project(name, {"slots": 1}, wants.get(name, 0), used=used[at], guaranteed={"slots": guaranteed[at]})
        for at, name in enumerate(names)
    ]
    expected = {} if case["reclaim"] == "nothing" else case["reclaim"]
    assert parked(Dynamic().decide(snapshot({"slots": 100}, *projects))) == expected


def at_its_maximum(case) -> None:
    full = project("A", {"slots": 1}, 9, used=10, limit={"slots": 10})
    other = project("B", {"slots": 1}, 0, used=90)
    assert parked(Dynamic().decide(snapshot({"slots": 100}, full, other))) == {}
    free = project("A", {"slots": 1}, 9, used=10, limit={"slots": 30})
    assert parked(Dynamic().decide(snapshot({"slots": 100}, free, other))) == {"B": 9}


def no_ping_pong(case) -> None:
    for history in ([("B", "A")], [("B", "C"), ("C", "A")], [("B", "C"), ("C", "D"), ("D", "A")]):
        world = snapshot(
            {"slots": 10},
            project("A", {"slots": 1}, 3),
            project("B", {"slots": 1}, 0, used=10),
            reclaimed=tuple(Reclaimed(taker=taker, victim=victim, at=-60.0) for taker, victim in history),
        )
        assert parked(Dynamic().decide(world)) == {}


RUNS: dict[str, Callable[[Any], None]] = {
    "F1": whole_tasks, "F2": whole_tasks, "F3": whole_tasks, "F5": a_lie, "F6": shares_of_slots,
    "F7": shares_of_slots, "F9": shares_of_slots, "F11": an_order, "F14": an_order,
    "P1": normalised, "P2": a_maximum, "P3": told_apart, "P5": a_total_order,
    "D1": decay, "D2": weighted, "D3": a_burst, "D4": reclaimed, "D6": reclaimed, "D7": reclaimed,
    "D8": at_its_maximum, "D9": no_ping_pong,
}  # fmt: skip


@pytest.mark.skipif(not CASES, reason="the list of oracles is not beside this project")
def test_every_case_has_its_run() -> None:
    assert set(RUNS) == set(CASES)


@pytest.mark.parametrize("name", RUNS)
def test_the_case_as_it_stands(name) -> None:
    if name not in CASES:
        pytest.skip("the list of oracles is not beside this project")
    RUNS[name](CASES[name])

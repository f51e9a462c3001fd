"""What work asks for, what a machine has, which of a project's stories are offered."""

import math
from datetime import UTC, datetime, timedelta

import pytest

from config.settings import GlobalSettings, ResourceLimits
from core.domain.lifecycles import CycleState
from core.domain.story import Cycle, Priority
from core.orchestrator.scheduling.candidates import Kind, Places, Ready, candidates_of, share_out
from core.orchestrator.scheduling.demand import terms_of
from core.orchestrator.scheduling.pressure import capacity_of, load_pressure, outside_of

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def terms(**limits):
    return terms_of("shop", ResourceLimits(**limits))


@pytest.mark.parametrize(
    ("limits", "memory_mb"),
    [
        ({}, 1024),
        ({"max_memory_mb": 1024}, 512),  # for two stories at once
        ({"max_memory_mb": 900, "max_parallel_agents": 3, "max_parallel_cycles": 3}, 300),
        ({"agent_memory_mb": 2048}, 2048),
    ],
)
def test_what_an_agent_is_counted_with(limits, memory_mb):
    found = terms(**limits)
    assert found.phase.memory_mb == memory_mb
    assert found.merge == found.phase._replace(agents=0.0)
    assert found.design == found.phase._replace(cycles=0.0)


def test_limits_and_guarantees_are_amounts():
    found = terms(guaranteed_agents=2, max_cpu_cores=None, agent_memory_mb=100)
    assert found.guaranteed.agents == 2
    assert found.guaranteed.memory_mb == 200
    assert (found.limit.cpu, found.limit.agents, found.limit.cycles) == (math.inf, 3, 2)


@pytest.mark.parametrize(
    ("gigabytes", "others_mb", "projects_mb", "free_mb"),
    [
        (None, 0, 0, 9000),
        (None, 2000, 0, 7000),
        (None, 3000, 2000, 8000),  # of these the projects' own 2,000 are no outsiders'
        (4, 2000, 0, 4096),  # the limit leaves more than that to others
        (4, 7000, 0, 2000),
        (64, 500, 0, 8500),  # a limit above what there is
        (None, 9999, 0, 0),
        (None, 100, 5000, 9000),  # measured as more than is in use: never below nothing
    ],
)
def test_memory_that_there_is_for_projects(idle_machine, gigabytes, others_mb, projects_mb, free_mb):
    settings = GlobalSettings(global_memory_limit_gb=gigabytes)
    reading = idle_machine(memory_total_mb=10000.0, memory_available_mb=10000.0 - others_mb)
    capacity = capacity_of(settings, reading, disk_used_mb=0.0)
    outside = outside_of(capacity, reading, memory_used_mb=projects_mb)
    assert capacity.memory_mb - outside.memory_mb == pytest.approx(free_mb)


def test_disk_and_cores_that_there_are(idle_machine):
    reading = idle_machine(cores=6, disk_free_mb=500.0)
    plain = capacity_of(GlobalSettings(), reading, disk_used_mb=100.0)
    assert (plain.cpu, plain.disk_mb, plain.agents) == (6.0, 600.0, 20.0)
    bounded = capacity_of(
        GlobalSettings(global_cpu_cores=1.5, global_disk_limit_gb=0.25), reading, disk_used_mb=100.0
    )
    assert (bounded.cpu, bounded.disk_mb) == (1.5, 256.0)


@pytest.mark.parametrize(("load", "most", "busy"), [(32.0, 4, False), (32.1, 4, True), (900.0, None, False)])
def test_a_machine_is_busy_above_its_load_a_core(idle_machine, load, most, busy):
    said = load_pressure(GlobalSettings(max_load_per_core=most), idle_machine(cores=8, load_1m=load))
    assert bool(said) is busy


def ready(number, state=CycleState.DESIGN, *, generation=0, minutes=0, priority=Priority.NORMAL):
    cycle = Cycle(
        story_id=f"shop-{number}", project="shop", state=state, attempt=1, base_commit=None,
        red_commit=None, head_commit=None, session_id=None, spec="", feedback="", blocked_reason="",
        merge_commit=None, generation=generation, started_at=NOW, updated_at=NOW + timedelta(minutes=minutes),
    )  # fmt: skip
    return Ready(cycle=cycle, priority=priority)


def test_begun_stories_come_before_fresh_ones_and_priority_before_both():
    given = [
        ready(1),
        ready(2, CycleState.TEST_RED, generation=3, minutes=9),
        ready(3, CycleState.TEST_RED, generation=1, minutes=5),
        ready(4, priority=Priority.HIGH),
    ]
    chosen = candidates_of(terms(max_parallel_cycles=3), given, stories_running=0)
    assert [one.id for one in chosen.candidates] == ["shop-4", "shop-3", "shop-2"]
    assert chosen.waits == {
        "shop-1": "waits: shop works on 0 of at most 3 stories at once, and shop-4, shop-3 and shop-2 "
        "come first; next when one of them is done or has to wait."
    }


def test_a_full_project_offers_nothing_and_says_so():
    chosen = candidates_of(terms(), [ready(1)], stories_running=2)
    assert chosen.candidates == ()
    assert chosen.waits["shop-1"] == (
        "waits: shop works on 2 of at most 2 stories at once; next when one of them is done or has to wait."
    )


def test_of_one_story_at_a_time_no_many_are_said():
    one = terms(max_parallel_cycles=1)
    at_a_time = "waits: shop works on 1 story at a time (max_parallel_cycles)"
    full = candidates_of(one, [ready(1)], stories_running=1)
    assert full.waits == {"shop-1": f"{at_a_time}; next when the one at work is done or has to wait."}
    behind = candidates_of(one, [ready(1), ready(2, minutes=1)], stories_running=0)
    (first,), (other,) = [each.id for each in behind.candidates], behind.waits
    assert behind.waits[other] == (
        f"{at_a_time}, and {first} comes first; next when {first} is done or has to wait."
    )


def test_stories_ready_to_be_merged_are_one_candidate_beside_the_phases():
    given = [ready(n, CycleState.COMMIT, generation=1, minutes=n) for n in (1, 2, 3)] + [ready(4), ready(5)]
    chosen = candidates_of(terms(max_parallel_cycles=1), given, stories_running=0, batch_size=2)
    merge, phase = chosen.candidates
    assert (merge.kind, [cycle.story_id for cycle in merge.cycles]) == (Kind.MERGE, ["shop-1", "shop-2"])
    assert phase.id == "shop-4"
    assert (
        chosen.waits["shop-2"]
        == chosen.waits["shop-3"]
        == "waits: shop-1 is being merged first; next when that merge has ended."
    )


def test_one_batch_at_a_time():
    chosen = candidates_of(
        terms(), [ready(1, CycleState.COMMIT, generation=1)], stories_running=1, merging="shop-9"
    )
    assert chosen.candidates == ()
    assert chosen.waits == {"shop-1": "waits: shop-9 is being merged first; next when that merge has ended."}


def test_places_go_out_in_the_order_given_and_all_or_none():
    a, b, c = (
        candidates_of(
            terms_of(name, ResourceLimits(), shared=wants), [ready(at)], stories_running=0
        ).candidates[0]
        for at, (name, wants) in enumerate([("a", {"db": 1, "gpu": 2}), ("b", {"db": 1}), ("c", {})], start=1)
    )
    places = {"db": Places(places=1, free=1), "gpu": Places(places=2, free=1, holders=("z-1",))}
    able, bars = share_out([a, b, c], places)
    assert [one.project for one in able] == ["b", "c"]  # a took nothing of the one that it could have
    assert "gpu is taken" in bars["shop-1"]

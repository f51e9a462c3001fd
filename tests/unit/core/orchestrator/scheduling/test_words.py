import pytest

from core.orchestrator.scheduling.bars import lock_bar
from core.orchestrator.scheduling.changes import told_changes
from core.orchestrator.scheduling.words import wait_words, words_of
from core.scheduler.decision import Obstacle, Wait
from core.scheduler.quota import Quota
from core.scheduler.resources import Resource


def wait(obstacle, short=None, **more):
    figures = {"needed": 512.0, "free": 0.0, "capacity": 8192.0, "share": 0.42, "entitled": 1 / 3, **more}
    return Wait("shop", ("shop-1",), obstacle, short, **figures)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (
            wait(Obstacle.CAPACITY, Resource.MEMORY_MB, holder="calc", held=6000.0),
            "waits: memory is full, shop holds 42 % of its 33 %; next when 512 more MB of memory come free "
            "(calc holds 6,000 MB of it).",
        ),
        (
            wait(Obstacle.CAPACITY, Resource.MEMORY_MB, free=112.0, holder="shop", held=6000.0),
            "waits: memory is full, shop holds 42 % of its 33 %; next when 400 more MB of memory come free "
            "(shop itself holds 6,000 MB of it).",
        ),
        (  # there is less than is taken: a limit was lowered
            wait(Obstacle.CAPACITY, Resource.MEMORY_MB, free=-512.0, holder="calc", held=6000.0),
            "waits: memory is full, shop holds 42 % of its 33 %; next when 1,024 more MB of memory come free "
            "(calc holds 6,000 MB of it).",
        ),
        (
            wait(Obstacle.CAPACITY, Resource.AGENTS, needed=1.0, capacity=1.0, holder="calc", held=1.0),
            "waits: the only agent is at work (max_total_agents), shop holds 42 % of its 33 %; next when "
            "that agent is done (calc has it).",
        ),
        (
            wait(
                Obstacle.CAPACITY, Resource.AGENTS, needed=1.0, free=-2.0, capacity=1.0, holder="calc", held=3
            ),
            "waits: 3 agents are at work, and only 1 may be (max_total_agents), shop holds 42 % of its 33 %; "
            "next when 3 more agents come free (calc holds 3 of them).",
        ),
        (
            wait(Obstacle.CAPACITY, Resource.AGENTS, needed=1.0, capacity=20.0, holder="calc", held=15.0),
            "waits: all 20 agents are at work (max_total_agents), shop holds 42 % of its 33 %; next when "
            "1 more agent comes free (calc holds 15 of them).",
        ),
        (
            wait(Obstacle.LIMIT, Resource.AGENTS, needed=1.0, capacity=3.0),
            "waits: shop has 3 of at most 3 agents at work (max_parallel_agents), shop holds 42 % of its "
            "33 %; next when a phase of shop ends, or its limit is raised.",
        ),
        (
            wait(Obstacle.LIMIT, Resource.AGENTS, needed=1.0, capacity=1.0),
            "waits: shop has 1 of at most 1 agent at work (max_parallel_agents), shop holds 42 % of its "
            "33 %; next when a phase of shop ends, or its limit is raised.",
        ),
        (
            wait(Obstacle.PROJECTS, capacity=1.0),
            "waits: another project is at work, and only 1 may be (max_concurrent_projects), shop holds 42 % "
            "of its 33 %; next when it has nothing more to do.",
        ),
        (
            wait(Obstacle.PROJECTS, capacity=2.0),
            "waits: 2 projects are at work already (max_concurrent_projects), shop holds 42 % of its 33 %; "
            "next when one of them has nothing more to do.",
        ),
        (
            wait(Obstacle.KEPT, Resource.CPU, holder="calc", detail="guarantees that are not lent"),
            "waits: what is free is kept for calc (guarantees that are not lent), shop holds 42 % of its "
            "33 %; next when calc has started, or more comes free.",
        ),
        (
            wait(Obstacle.TOO_LARGE, Resource.MEMORY_MB, needed=9000.0, detail="the whole machine has"),
            "waits: needs 9,000 MB of memory, but the whole machine has 8,192: it can never start; next when "
            "that is raised or the task made smaller.",
        ),
    ],
)
def test_each_obstacle_is_one_sentence(given, sentence):
    assert wait_words(given).sentence == sentence


@pytest.mark.parametrize("obstacle", list(Obstacle))
@pytest.mark.parametrize("short", [None, *Resource])
def test_there_is_always_a_sentence_and_what_comes_next(obstacle, short):
    if obstacle is Obstacle.CAPACITY and short is None:
        return  # of something there is too little
    words = wait_words(wait(obstacle, short, detail="it is odd."))
    assert words.sentence.startswith("waits: ")
    assert words.sentence.endswith(".")
    assert words.next.endswith(".")


@pytest.mark.parametrize(
    ("sentence", "then"),
    [
        ("waits: staging is taken by a-1; next when a-1 gives it back.", "a-1 gives it back."),
        ("waits: the agent failed, attempt 4 comes; next in 25 s.", "In 25 s."),
        ("waits: it is outside the work hours of shop; next on Monday.", "On Monday."),
        ("waits: shop works on 2 of at most 2 stories at once; next when one of them is done or has to wait.",
         "One of them is done or has to wait."),
        ("starts: shop holds 25 % with it; it holds the smallest share for its weight.", ""),
    ],
)  # fmt: skip
def test_what_has_to_happen_stands_at_the_end_of_a_sentence(sentence, then):
    assert words_of(sentence).next == then


def test_who_has_the_places_is_named():
    assert lock_bar("staging", 1, 1, ["a-1"]) == (
        "waits: staging is taken (the only place) by a-1; next when a-1 gives it back."
    )
    assert "all 2 places" in lock_bar("staging", 2, 1, ["a-1", "b-1"])
    assert "2 places at once" in lock_bar("staging", 2, 2, ["a-1"])
    assert "can never start; next when" in lock_bar("staging", 1, 2, [])


def quota(name, agents=2, memory=1024, cpu=50.0):
    return Quota(
        project_name=name,
        allocated_agents=agents,
        allocated_memory_mb=memory,
        allocated_cpu_percent=cpu,
        priority_weight=1.0,
        reason="",
    )


@pytest.mark.parametrize(
    ("new", "sentences"),
    [
        (quota("shop"), ()),
        (quota("shop", memory=1536), ("Increased memory allocation for shop by 512 MB",)),
        (quota("shop", cpu=25.0), ("Reduced CPU allocation for shop to 25 %",)),
        (quota("shop", agents=4), ("Gave shop 2 more agents",)),
        (quota("shop", agents=3), ("Gave shop 1 more agent",)),
        (quota("shop", agents=1), ("Took 1 agent from shop",)),
        (quota("shop", agents=None), ("Took the limit of agents from shop",)),
        (quota("shop", memory=None), ("Set memory allocation for shop to what there is",)),
        (quota("shop", memory=1060, cpu=50.4), ()),  # as measured memory goes
    ],
)
def test_differences_in_words(new, sentences):
    assert told_changes({"shop": quota("shop")}, [new])[0] == sentences


def test_projects_that_come_and_go():
    said, known = told_changes({"old": quota("old")}, [quota("new")])
    assert said == (
        "Gave new 2 agents, 1,024 MB of memory and 50 % of the CPU",
        "Took all of its allocation from old",
    )
    assert set(known) == {"new"}


def test_no_agent_is_no_number():
    assert told_changes({}, [quota("new", agents=0)])[0][0].startswith("Gave new no agent, 1,024 MB")
    assert told_changes({"shop": quota("shop", agents=None)}, [quota("shop", agents=0)])[0] == (
        "Limited shop to no agent",
    )


def test_small_steps_are_told_once_they_add_up():
    known, told = {"shop": quota("shop")}, []
    for memory in (1060, 1085, 1110):
        said, known = told_changes(known, [quota("shop", memory=memory)])
        told += said
    assert told == ["Increased memory allocation for shop by 86 MB"]

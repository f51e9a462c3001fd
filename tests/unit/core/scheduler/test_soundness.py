"""Each figure that makes no sense: what is made of it, and the sentence on it."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from core.domain.story import Priority
from core.scheduler.decision import Obstacle
from core.scheduler.fair_share import FairShare
from core.scheduler.resources import NOTHING, UNLIMITED, Resources
from core.scheduler.snapshot import ProjectShare, Reclaimed, RunningTask, Snapshot, Task
from core.scheduler.soundness import make_sound

ONE = Resources(agents=1.0)
SHOP = ProjectShare(name="shop", waiting=(Task("shop-1", ONE, 10.0),))
WORLD = Snapshot(now=100.0, capacity=Resources(agents=4.0), projects=(SHOP,))
NAN, INF = math.nan, math.inf


def with_shop(**given) -> Snapshot:
    return replace(WORLD, projects=(replace(SHOP, **given),))


def test_what_makes_sense_comes_back_as_it_is_sorted_by_name() -> None:
    assert make_sound(WORLD).snapshot is WORLD
    mixed = replace(WORLD, projects=(replace(SHOP, name="z", waiting=()), SHOP))
    sound = make_sound(mixed)
    assert [project.name for project in sound.snapshot.projects] == ["shop", "z"]
    assert (sound.problems, sound.aside) == ((), ())


@pytest.mark.parametrize(
    ("given", "field", "made", "said"),
    [
        ({"weight": 0.0}, "weight", 0.0, None),
        ({"weight": -1.0}, "weight", 0.0, "The weight of shop is -1.0: taken as 0."),
        ({"weight": NAN}, "weight", 1.0, "The weight of shop is nan: taken as 1."),
        ({"weight": INF}, "weight", 1e6, "The weight of shop is inf: taken as 1e+06."),
        ({"weight": None}, "weight", 1.0, "The weight of shop is None: taken as 1."),
        ({"weight": 5e-324}, "weight", 0.0, "The weight of shop is 5e-324: taken as 0."),
        ({"tier": "urgent"}, "tier", Priority.NORMAL, "The priority of shop is 'urgent': taken as normal."),
        ({"lends": 7}, "lends", 1.0, "What shop lends is 7: taken as 1."),
        ({"lends": NAN}, "lends", 1.0, "What shop lends is nan: taken as 1."),
        ({"limit": UNLIMITED}, "limit", UNLIMITED, None),
        ({"limit": ONE}, "limit", ONE, None),
        ({"limit": UNLIMITED._replace(cpu=NAN)}, "limit", UNLIMITED._replace(cpu=0.0),
         "The limit of shop in cpu is nan: taken as 0."),
        ({"limit": UNLIMITED._replace(cpu=None)}, "limit", UNLIMITED._replace(cpu=0.0),
         "The limit of shop in cpu is None: taken as 0."),
        ({"limit": UNLIMITED._replace(agents=-2.0)}, "limit", UNLIMITED._replace(agents=0.0),
         "The limit of shop in agents is -2.0: taken as 0."),
        ({"guaranteed": Resources(agents=INF)}, "guaranteed", NOTHING,
         "Guaranteed of shop in agents is inf: taken as 0."),
        ({"decayed_use": Resources(cpu=NAN)}, "decayed_use", NOTHING,
         "Decayed_use of shop in cpu is nan: taken as 0."),
        ({"expected": Resources(cpu=-1.0)}, "expected", NOTHING,
         "Expected of shop in cpu is -1.0: taken as 0."),
    ],
)  # fmt: skip
def test_a_project(given, field, made, said) -> None:
    sound = make_sound(with_shop(**given))
    (project,) = sound.snapshot.projects
    assert getattr(project, field) == made
    assert sound.problems == (() if said is None else (said,))
    assert project.waiting == SHOP.waiting


def test_use_that_is_not_known_is_what_runs_and_nothing_more_starts() -> None:
    runs = RunningTask("shop-0", ONE)
    sound = make_sound(with_shop(used=Resources(agents=NAN), running=(runs,)))
    (project,) = sound.snapshot.projects
    assert project.used == ONE
    assert project.waiting == ()
    (wait,) = sound.aside
    assert wait.obstacle is Obstacle.BROKEN
    assert wait.reason == "waits: what shop uses is not known. Next when that is put right."


@pytest.mark.parametrize(
    ("task", "why"),
    [
        (Task("bad", Resources(cpu=NAN)), "what it needs makes no sense: cpu nan."),
        (Task("bad", Resources(cpu=-1.0)), "what it needs makes no sense: cpu -1.0."),
        (Task("bad", Resources(memory_mb=INF)), "what it needs makes no sense: memory_mb inf."),
        (Task("shop-1", ONE), "shop-1 is there twice."),
        (Task(None, ONE), "None is no id."),
    ],
)
def test_a_task_is_set_aside_and_the_others_start(task, why) -> None:
    decision = FairShare().decide(with_shop(waiting=(*SHOP.waiting, task)))
    assert [start.task_id for start in decision.starts] == ["shop-1"]
    assert [wait.detail for wait in decision.waits] == [why]


@pytest.mark.parametrize("came", [200.0, NAN, -INF, None, "noon"])
def test_a_task_from_the_future_or_from_no_time_has_not_waited_yet(came) -> None:
    sound = make_sound(with_shop(waiting=(SHOP.waiting[0]._replace(submitted_at=came),)))
    assert sound.snapshot.projects[0].waiting[0].submitted_at == 100.0


@pytest.mark.parametrize("now", [NAN, INF, -INF, None])
def test_without_a_clock_nobody_has_waited(now) -> None:
    sound = make_sound(replace(WORLD, now=now))
    assert sound.problems == (f"The time is {now}: nobody counts as having waited.",)
    assert sound.snapshot.now == sound.snapshot.projects[0].waiting[0].submitted_at == 0.0


@pytest.mark.parametrize(
    ("given", "there"), [(NAN, 0.0), (-3.0, 0.0), (None, 0.0), (1e300, INF), (INF, INF), (1e-300, 0.0)]
)
def test_a_capacity(given, there) -> None:
    broken = replace(WORLD, capacity=Resources(agents=given, cpu=-1.0))
    assert make_sound(broken).snapshot.capacity == Resources(agents=there)


@pytest.mark.parametrize(("given", "starts"), [(NAN, 0), (INF, 0), (-1.0, 1), (3.0, 1), (3.5, 0), (None, 0)])
def test_what_others_take_is_all_of_it_when_it_is_not_known(given, starts) -> None:
    decision = FairShare().decide(replace(WORLD, outside=Resources(agents=given)))
    assert len(decision.starts) == starts


@pytest.mark.parametrize(
    ("most", "starts"), [(NAN, 0), (-1, 0), (0, 0), (1, 1), (INF, 1), (None, 0), (0.5, 0)]
)
def test_how_many_projects_may_be_at_work(most, starts) -> None:
    assert len(FairShare().decide(replace(WORLD, max_concurrent_projects=most)).starts) == starts


def test_guarantees_above_what_there_is_are_cut_alike() -> None:
    promised = [replace(SHOP, name=name, guaranteed=Resources(agents=6.0), waiting=()) for name in "ab"]
    sound = make_sound(replace(WORLD, projects=tuple(promised)))
    assert [project.guaranteed.agents for project in sound.snapshot.projects] == [2.0, 2.0]
    assert sound.problems == ("Guarantees of agents add up to 12, but there are 4: each is cut to 33%.",)


def test_of_two_projects_of_one_name_the_first_counts() -> None:
    other = replace(SHOP, waiting=(Task("shop-2", ONE),))
    decision = FairShare().decide(replace(WORLD, projects=(SHOP, other)))
    assert decision.problems == ("shop is there twice: only the first counts.",)
    assert decision.why("shop-1").startswith("starts")
    assert decision.why("shop-2") == "waits: its project is there twice. Next when that is put right."


def test_a_reclaim_at_no_time_was_just_now() -> None:
    sound = make_sound(replace(WORLD, reclaimed=(Reclaimed(taker="a", victim="b", at=NAN),)))
    assert sound.snapshot.reclaimed == (Reclaimed(taker="a", victim="b", at=INF),)

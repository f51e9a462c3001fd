"""A week that is played: small ones whose course can be told beforehand."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, time
from types import SimpleNamespace

import pytest

from core.domain.story import Priority
from core.errors import InvalidInput
from core.scheduler.builtin import BUILT_IN
from core.scheduler.fair_share import FairShare
from core.scheduler.resources import UNLIMITED, Resources
from core.scheduler.simulation.outcome import jain, suggestion
from core.scheduler.simulation.recorded import recorded
from core.scheduler.simulation.run import compare, simulate
from core.scheduler.simulation.scenarios import MONDAY, Scenario, synthetic
from core.scheduler.simulation.workload import LoadPhase, LoadProject, LoadStory, Week, in_order
from core.scheduler.workhours import Hours

AGENT = Resources(agents=1.0, cycles=1.0)


def story(name: str, at: float, *seconds: float, demand: Resources = AGENT, **more) -> LoadStory:
    phases = tuple(LoadPhase(demand=demand, seconds=each) for each in seconds)
    project = name.rpartition("-")[0]
    return LoadStory(id=name, project=project, arrives_at=MONDAY + at, phases=phases, **more)


def week(*stories: LoadStory, agents: float = 1.0, hours: float = 10.0, **changes) -> Week:
    projects = {one.project: LoadProject(name=one.project) for one in stories}
    projects |= {project.name: project for project in changes.pop("projects", ())}
    return Week(
        name="small",
        starts_at=MONDAY,
        seconds=hours * 3600.0,
        capacity=UNLIMITED._replace(agents=agents),
        projects=tuple(projects.values()),
        stories=in_order(stories),
        **changes,
    )


def test_phases_follow_each_other_and_use_the_agent_all_the_time() -> None:
    found = simulate(week(story("shop-1", 0, 600, 1200), hours=1.0), FairShare())
    assert (found.done, found.phases, found.waiting, found.at_work) == (1, 2, 0, 0)
    assert found.turnaround_seconds == 1800.0
    assert found.utilisation.agents == pytest.approx(0.5)
    assert (found.waits.count, found.waits.longest, found.contended) == (2, 0.0, 0.0)


def test_who_finds_the_agent_taken_waits_until_it_is_free() -> None:
    found = simulate(week(story("shop-1", 0, 1000), story("calc-1", 100, 500)), FairShare())
    [shop, calc] = sorted(found.projects, key=lambda one: one.name, reverse=True)
    assert (shop.waits.longest, calc.waits.longest) == (0.0, 900.0)
    assert found.peak.agents == 1.0


def test_a_wait_counts_up_to_the_end_of_the_week() -> None:
    found = simulate(week(story("shop-1", 0, 9e9), story("calc-1", 60, 600), hours=3.0), FairShare())
    assert (found.at_work, found.waiting, found.done) == (1, 1, 0)
    assert found.waits.longest == 3 * 3600 - 60
    assert found.waits.too_long == 1


def test_a_story_waits_for_people_between_its_phases() -> None:
    one = story("shop-1", 0, 600, 600)
    one = replace(one, phases=(one.phases[0], replace(one.phases[1], after_seconds=7200.0)))
    found = simulate(week(one), FairShare())
    assert found.turnaround_seconds == 600 + 7200 + 600
    assert found.waits.longest == 0.0


def test_no_project_runs_more_stories_than_it_may_and_begun_ones_come_first() -> None:
    stories = [story(f"shop-{number}", 0, 600, 600) for number in (1, 2, 3)]
    found = simulate(week(*stories, agents=9.0, hours=0.5), FairShare())
    assert found.peak.agents == 2.0
    assert (found.done, found.at_work) == (2, 1)  # the third began when the first two were through


def test_an_urgent_story_takes_the_place_of_one_that_has_not_begun() -> None:
    urgent = story("shop-3", 100, 600, priority=Priority.CRITICAL)
    one = LoadProject(name="shop", parallel=1)
    other = week(story("calc-1", 0, 1000), story("shop-1", 50, 600), urgent, projects=[one])
    found = simulate(replace(other, seconds=1599.0), FairShare())
    assert (found.done, found.at_work, found.waiting) == (1, 1, 1)
    waits = next(each for each in found.projects if each.name == "shop").waits
    assert (waits.count, waits.longest) == (1, 900.0)  # the urgent one's; the other is not offered any more


def test_outside_work_hours_nothing_starts_and_what_runs_comes_to_its_end() -> None:
    hours = Hours(start=time(9), end=time(10), days=frozenset(range(7)), zone=UTC)
    shop = LoadProject(name="shop", hours=hours)
    begun = story("shop-1", 8 * 3600, 5000, 5000)
    found = simulate(week(begun, hours=24.0, projects=[shop]), FairShare())
    assert found.phases == 1
    assert (found.done, found.waiting) == (0, 1)
    assert found.waits.longest == 0.0  # a night is no wait for room
    assert [hour.used.agents for hour in found.hours[9:11]] == pytest.approx([1.0, 1400 / 3600])


def test_what_can_never_run_is_told_and_keeps_nobody_from_working() -> None:
    whale = story("shop-1", 0, 600, demand=AGENT._replace(memory_mb=5000.0))
    small = replace(
        week(whale, story("calc-1", 0, 600)), capacity=UNLIMITED._replace(agents=1, memory_mb=4096)
    )
    found = simulate(small, FairShare())
    assert (found.done, found.waiting) == (1, 1)
    assert found.problems == ("shop-1 needs more than there is: it can never start.",)
    assert found.contended == 0.0


def test_a_guarantee_is_taken_back_and_what_was_parked_goes_on_where_it_stood() -> None:
    shop = LoadProject(name="shop", guaranteed=AGENT)
    calc = LoadProject(name="calc", parallel=2)
    long = [story(f"calc-{number}", 0, 9000) for number in (1, 2)]
    found = simulate(
        week(*long, story("shop-1", 600, 1200), agents=2.0, projects=[shop, calc]),
        FairShare(),
        park_seconds=300.0,
    )
    assert found.preemptions == 1
    assert next(each for each in found.projects if each.name == "shop").waits.longest == 300.0
    # Both end after 9000 seconds of work, one of them 1200 later: no work was lost, none was done twice.
    assert found.turnaround_seconds == pytest.approx((9000 + (9000 + 1200) + 1500) / 3)


@pytest.mark.parametrize("name", BUILT_IN)
def test_live_decisions_are_those_of_whole_passes(name: str) -> None:
    """A strategy kept live and made anew at each event decides as its whole passes do."""
    played = synthetic(Scenario.MIXED, projects=12, days=0.5, seed=3)

    class Passes:
        """Without `live`."""

        def __init__(self) -> None:
            self.name, self.decide = name, BUILT_IN[name]().decide

    found = [
        simulate(played, one, rebalance_seconds=0.0, pass_seconds=0.0) for one in (BUILT_IN[name](), Passes())
    ]
    if name == "dynamic":  # a pass is told what is expected of every project, a live book of guarantees
        assert found[0].phases == pytest.approx(found[1].phases, rel=0.1)
    else:
        assert found[0].projects == found[1].projects
        assert found[0].hours == found[1].hours


def test_the_same_seed_is_the_same_week_and_the_same_outcome() -> None:
    def play(seed: int):
        return compare(synthetic(Scenario.FLOOD, projects=8, days=1.0, seed=seed), [FairShare()])

    assert play(1) == play(1)
    assert play(1) != play(2)


def test_a_flood_starves_nobody_under_fair_shares() -> None:
    """The evidence that somebody who chooses looks for."""
    played = synthetic(Scenario.FLOOD, projects=16, days=4.0)
    fair, ranked = compare(played, [FairShare(), BUILT_IN["priority_based"]()])
    assert fair.jain > 0.95 > 0.8 > ranked.jain
    assert fair.waits.longest < ranked.waits.longest
    said = suggestion((fair, ranked), 3600.0)
    assert "fair_share was fairest." in said
    assert "fair_share kept the longest wait shortest." in said


def test_under_a_flood_no_tier_waits_for_half_a_day() -> None:
    """Each hour lifts a phase by one tier, and after four it goes before all others."""
    played = simulate(synthetic(Scenario.FLOOD, projects=12, days=2.5), BUILT_IN["priority_based"]())
    assert played.waits.longest < 5 * 3600.0


@pytest.mark.parametrize("scenario", Scenario)
def test_every_scenario_gives_something_to_decide_and_is_not_hopeless(scenario: Scenario) -> None:
    played = synthetic(scenario, projects=12, days=7.0, seed=5)
    found = simulate(played, FairShare())
    assert 0.05 < found.contended < 0.95
    assert found.done > 0.7 * found.stories
    assert found.peak.fits(played.capacity)


def test_a_week_of_nothing_is_played_too() -> None:
    empty = week(projects=[LoadProject(name="shop")])
    found = simulate(empty, FairShare())
    assert (found.jain, found.stories, found.waits.count, found.turnaround_seconds) == (1.0, 0, 0, None)
    assert "any strategy will do" in suggestion([found], 3600.0)[0]


def test_what_is_no_week_is_refused() -> None:
    with pytest.raises(InvalidInput, match="two stories of one id"):
        week(story("shop-1", 0, 1), story("shop-1", 0, 1))
    with pytest.raises(InvalidInput, match="takes no time"):
        week(story("shop-1", 0, math.nan))
    with pytest.raises(InvalidInput, match="2 to 10,000 projects, not 1"):
        synthetic(Scenario.MIXED, projects=1)


def test_jains_index_is_that_of_the_paper() -> None:
    assert jain([1.0, 1.0, 1.0, 1.0]) == 1.0
    assert jain([1.0, 0.0, 0.0, 0.0]) == 0.25
    assert jain([20.0, 80.0]) == pytest.approx(10000 / (2 * 6800))  # of two users, in 1984
    assert jain([]) == 1.0


# -- recorded ----------------------------------------------------------------------------------


def at(seconds: float) -> datetime:
    return datetime.fromtimestamp(MONDAY + seconds, UTC)


def ran(story_id: str, phase: str, ready: float, started: float, ended: float) -> SimpleNamespace:
    return SimpleNamespace(
        project=story_id.rpartition("-")[0], story_id=story_id, phase=phase,
        ready_at=at(ready), started_at=at(started), ended_at=at(ended),
    )  # fmt: skip


def test_what_was_recorded_is_played_without_the_waits_of_then() -> None:
    runs = [
        ran("shop-1", "design", 0, 500, 1100),
        ran("shop-1", "commit", 1100 + 3600, 5000, 5060),  # an hour for people's answer, 300 s for room
        ran("gone-1", "design", 0, 0, 60),
    ]
    played = recorded(runs, {"shop": LoadProject(name="shop")}, capacity=UNLIMITED._replace(agents=1.0))
    [one] = played.stories
    assert [(phase.seconds, phase.after_seconds) for phase in one.phases] == [(600.0, 0.0), (60.0, 3600.0)]
    assert [phase.demand.agents for phase in one.phases] == [1.0, 0.0]
    found = simulate(played, FairShare())
    assert (found.done, found.waits.longest) == (1, 0.0)
    assert found.turnaround_seconds == 600 + 3600 + 60


def test_nothing_of_todays_projects_recorded_is_said() -> None:
    with pytest.raises(InvalidInput, match="Nothing that ran is of a project"):
        recorded([ran("gone-1", "design", 0, 0, 60)], {}, capacity=UNLIMITED)

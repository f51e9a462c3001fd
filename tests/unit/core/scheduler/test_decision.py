"""The words that people read."""

from __future__ import annotations

from core.domain.story import Priority
from core.scheduler.dynamic import Dynamic
from core.scheduler.fair_share import FairShare
from core.scheduler.priority import PriorityBased
from core.scheduler.resources import NOTHING, UNLIMITED, Resource, Resources, percent, worded
from core.scheduler.snapshot import ProjectShare, RunningTask, Snapshot, Task

ONE = Resources(agents=1.0, memory_mb=2048.0)
MACHINE = Resources(agents=4.0, memory_mb=8192.0)


def project(name: str, waiting: int, running: int = 0, need: Resources = ONE, **others) -> ProjectShare:
    return ProjectShare(
        name=name,
        waiting=tuple(Task(f"{name}-{at}", need, 0.0) for at in range(1, waiting + 1)),
        running=tuple(RunningTask(f"{name}-r{at}", need, float(at)) for at in range(running)),
        used=need.times(running),
        **others,
    )


def decide(*projects: ProjectShare, strategy=FairShare(), **others):  # noqa: B008 - a value
    return strategy.decide(Snapshot(**{"now": 0.0, "capacity": MACHINE, "projects": projects} | others))


def test_a_start_says_by_what_right() -> None:
    decision = decide(project("shop", 1), project("blog", 3, 2))
    assert decision.why("shop-1") == (
        "starts: shop holds 25 % with it, is entitled to 50 %; it holds the smallest share for its weight."
    )
    assert decision.why("blog-1").endswith("It borrows what others do not use.")


def test_a_start_within_a_guarantee_says_so() -> None:
    decision = decide(project("shop", 1, guaranteed=ONE))
    assert "it is below its guarantee" in decision.why("shop-1")


def test_a_wait_for_the_machine_names_what_is_short_and_who_holds_it() -> None:
    decision = decide(project("shop", 1), project("blog", 0, 4))
    assert decision.why("shop-1") == (
        "waits: needs 1 agent, 0 of 4 are free. shop holds 0 %, is entitled to 50 %. Next when 1 "
        "more agent comes free; blog holds the most (4 agents)."
    )


def test_a_wait_for_what_others_on_the_machine_take_names_them() -> None:
    decision = decide(project("shop", 1), outside=Resources(memory_mb=7000.0))
    assert decision.why("shop-1") == (
        "waits: needs 2,048 MB of memory, 1,192 of 8,192 are free. shop holds 0 %, is entitled to "
        "100 %. Next when 856 more MB of memory come free; something outside Orchard holds the "
        "most (7,000 MB of memory)."
    )


def test_a_wait_at_the_own_limit() -> None:
    decision = decide(project("shop", 2, limit=UNLIMITED._replace(agents=1.0)))
    assert decision.why("shop-2") == (
        "waits: shop is at its own limit: needs 1 agent, 0 of its 1 are left. shop holds 25 %, is "
        "entitled to 25 %. Next when a task of its own ends or the limit is raised."
    )


def test_what_can_never_start_says_what_is_too_small() -> None:
    huge = project("shop", 1, need=Resources(memory_mb=9000.0))
    assert decide(huge).why("shop-1") == (
        "waits: needs 9,000 MB of memory, but the whole machine has 8,192: it can never start. Next "
        "when that is raised or the task made smaller."
    )
    bound = project("shop", 1, limit=UNLIMITED._replace(memory_mb=1024.0))
    assert "but the limit of shop is 1,024" in decide(bound).why("shop-1")


def test_what_is_kept_says_for_whom() -> None:
    kept = decide(
        project("shop", 0, guaranteed=Resources(agents=4.0), lends=0.0), project("blog", 1)
    )  # fmt: skip
    assert kept.why("blog-1") == (
        "waits: 1 agent would be free, but is kept for others (guarantees that are not lent). blog "
        "holds 0 %, is entitled to 100 %. Next when more comes free."
    )
    large = ProjectShare(name="shop", waiting=(Task("shop-1", Resources(agents=4.0), -7200.0),))
    held = decide(large, project("blog", 1, 1))
    assert "shop-1 has waited 120 minutes and goes first" in held.why("blog-1")


def test_too_many_projects_at_work() -> None:
    decision = decide(project("shop", 1), project("blog", 0, 1), max_concurrent_projects=1.0)
    assert decision.why("shop-1") == (
        "waits: 1 project is at work already (max_concurrent_projects). Next when it has nothing more to do."
    )


def test_a_pre_emption_says_who_gives_what_to_whom() -> None:
    decision = decide(project("shop", 1), project("blog", 0, 4), strategy=Dynamic())
    (gone,) = decision.preemptions
    assert (
        decision.why(gone.task_id)
        == gone.reason
        == (
            "parks: blog holds 100 %, is entitled to 50 %; shop holds 0 % of its 50 % and waits for "
            "agents. This gives back 1 agent."
        )
    )


def test_an_allocation_says_what_is_borrowed() -> None:
    blog, shop = decide(project("blog", 0, 3), project("shop", 1)).allocations
    assert (
        blog.reason == "blog holds 75 %, is entitled to 50 % by weight 1, borrows 25 %; it may use 3 agents."
    )
    assert shop.reason == ("shop holds 25 %, is entitled to 50 % by weight 1; it may use 1 agent.")


def test_what_is_expected_is_told_with_the_allocation() -> None:
    expecting = project("shop", 0, 1, expected=Resources(agents=3.0))
    (one,) = decide(expecting, strategy=Dynamic()).allocations
    assert one.reason.endswith("It is expected to want 3 agents soon.")


def test_priority_says_so() -> None:
    decision = decide(project("shop", 1, tier=Priority.HIGH), strategy=PriorityBased())
    assert "it has the highest priority" in decision.why("shop-1")


def test_of_a_task_that_is_not_there_nothing_is_said() -> None:
    assert decide(project("shop", 1)).why("nobody-1") == ""


def test_amounts_in_words() -> None:
    assert worded(Resource.MEMORY_MB, 1024.0) == "1,024 MB of memory"
    assert worded(Resource.CPU, 0.5) == "0.5 cores"
    assert worded(Resource.DISK_MB, float("inf")) == "unlimited MB of disk"
    assert (percent(0.425), percent(float("inf"))) == ("42 %", "more than all")
    assert NOTHING.dominant(MACHINE) is Resource.AGENTS

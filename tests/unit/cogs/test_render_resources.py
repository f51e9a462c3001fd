import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cogs import render_resources as render
from cogs.message import BODY_LIMIT, Message, fit
from cogs.results import KEPT, Results
from cogs.text import length
from core.domain.story import Priority, StoryStatus
from core.errors import InvalidInput
from core.orchestrator.resource_views import (
    LockView,
    Optimization,
    ProjectResources,
    ResourcesView,
    ResourceView,
    WhyView,
)
from core.scheduler.quota import Quota

AT = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)


def quota(project: str = "shop", **more: Any) -> Quota:
    facts: dict[str, Any] = {
        "allocated_agents": 3,
        "allocated_memory_mb": 2048,
        "allocated_cpu_percent": 25.0,
        "priority_weight": 2.0,
        "reason": "its fair share",
    }
    return Quota(project_name=project, **{**facts, **more})


def resource(name: str, used: float | None, reserved: float, allocated: Any, limit: Any) -> ResourceView:
    return ResourceView(
        resource=name, unit="", used=used, reserved=reserved, allocated=allocated, limit=limit
    )


def project(name: str = "shop", **more: Any) -> ProjectResources:
    facts: dict[str, Any] = {
        "tier": Priority.HIGH,
        "quota": quota(name),
        "running": 2,
        "waiting": 4,
        "share": 0.42,
        "entitled": 0.33,
        "resources": (
            resource("agents", 2, 2, 3, 4),
            resource("cpu", 1.26, 2.0, 2.0, None),
            resource("memory_mb", 1500.0, 2048, 2048, 8192),
        ),
    }
    return ProjectResources(project=name, **{**facts, **more})


def view(*projects: ProjectResources, **more: Any) -> ResourcesView:
    facts: dict[str, Any] = {
        "at": AT,
        "strategy": "fair_share",
        "total": (
            resource("agents", 5, 5, None, 10),
            resource("cpu", 2.06, 2.0, None, 8.0),
            resource("memory_mb", 6246.0, 4096, None, 24576),
            resource("disk_mb", 900, 0, None, None),
        ),
        "projects": projects,
        "locks": (),
        "enforcement": (),
        "problems": (),
    }
    return ResourcesView(**{**facts, **more})


def body(message: Message) -> str:
    return message.cards[0].body


def all_pages(show: Callable[[int], Message]) -> str:
    """The text of every page, each within Discord's limits with nothing left out."""
    said = []
    for page in range(300):
        shown = show(page)
        assert fit(shown) == shown, "something would be cut"
        said.append(body(shown))
        if not any(b.label == "More" and not b.disabled for b in shown.buttons):
            return "\n".join(said)
        for button in shown.buttons:
            assert len(f"orchard:{button.verb}:{button.target}") <= 100
    raise AssertionError("pages without an end")


class TestResources:
    def test_capacity_and_a_project(self) -> None:
        told = body(render.resources(view(project())))
        assert "▰▰▰▰▱▱▱▱ agents **5 of 10**" in told
        assert "load **2.1 on 8 cores**" in told
        assert "memory **6.1 of 24 GB**" in told
        assert "disk **900 MB**, no limit" in told
        assert "🟠 **shop** 2/3 agents · 4 wait" in told
        assert "▰▰▰▰▰▰▰▰▸ 42 % of its 33 %" in told

    @pytest.mark.parametrize(
        ("share", "entitled", "bar"),
        [
            (0.0, 0.5, "▱▱▱▱▱▱▱▱ 0 %"),
            (0.001, 0.5, "▰▱▱▱▱▱▱▱ 0 %"),
            (0.25, 0.5, "▰▰▰▰▱▱▱▱ 25 %"),
            (0.499, 0.5, "▰▰▰▰▰▰▰▱ 50 %"),
            (0.5, 0.5, "▰▰▰▰▰▰▰▰ 50 %"),
            (1.0, 0.5, "▰▰▰▰▰▰▰▰▸ 100 %"),
            (0.1, 0.0, "▰▰▰▰▰▰▰▰▸ 10 %"),
            (0.0, 0.0, "▱▱▱▱▱▱▱▱ 0 %"),
            (float("inf"), 0.5, "▰▰▰▰▰▰▰▰▸ more than all"),
        ],
    )
    def test_a_bar_is_full_at_the_entitlement_only(self, share: float, entitled: float, bar: str) -> None:
        assert bar in body(render.resources(view(project(share=share, entitled=entitled))))

    def test_what_holds_back_is_told_with_what_holds_limits(self) -> None:
        shown = view(
            project(barred="waits: it is outside the work hours of shop.", problems=("no quota",)),
            locks=(LockView(name="staging", places=2, holders=("shop-1", "calc-2"), waiting=("shop-7",)),),
            enforcement=("memory by cgroup v2", "disk by looking"),
            problems=("max_disk_mb is 0",),
            pressure="The load is 9 a core.",
        )
        told = body(render.resources(shown))
        assert "🚧 Outside the work hours of shop." in told
        assert "🔒 **staging** 2 of 2: `shop-1`, `calc-2` · wait: `shop-7`" in told
        assert "**Limits are held by**\n• memory by cgroup v2\n• disk by looking" in told
        assert "⚠️ max\\_disk\\_mb is 0" in told
        assert "⚠️ no quota" in told
        assert "⏳ The load is 9 a core." in told

    def test_without_a_project(self) -> None:
        assert "No project yet" in body(render.resources(view()))

    def test_fifty_projects_with_long_sentences_lose_nothing(self) -> None:
        def named(number: int) -> ProjectResources:
            return project(
                f"project-{number:02}-{'n' * 28}", barred=f"b{number:02} {'words ' * 300} e{number:02}"
            )

        shown = view(*map(named, range(50)), problems=tuple(f"p{n:02} {'x' * 500}" for n in range(30)))
        told = all_pages(lambda page: render.resources(shown, page))
        assert set(re.findall(r"project-(\d\d)-", told)) == {f"{n:02}" for n in range(50)}
        assert set(re.findall(r"\be(\d\d)\b", told)) == {f"{n:02}" for n in range(50)}
        assert set(re.findall(r"\bp(\d\d)\b", told)) == {f"{n:02}" for n in range(30)}
        assert told.count("words") == 50 * 300

    def test_the_picture_is_on_the_first_page_only(self) -> None:
        many = view(*(project(f"p{n}") for n in range(30)))
        first = render.resources(many, picture=b"png")
        assert first.cards[0].image == first.attachments[0].name
        assert [button.label for button in first.buttons] == ["Back", "More"]
        assert render.resources(many, 1, b"png").attachments == ()
        assert "Drawing the picture" in body(render.resources(many, drawing=True))

    @given(st.text(max_size=3000), st.lists(st.text(max_size=2500), max_size=6))
    def test_whatever_is_said_fits_and_pings_nobody(self, words: str, more: list[str]) -> None:
        one = project(barred=words, forecast=words, problems=tuple(more), quota=quota(reason=words))
        shown = view(one, problems=tuple(more), pressure=words, enforcement=tuple(more))
        assert "@everyone" not in all_pages(lambda page: render.resources(shown, page))
        all_pages(lambda page: render.project_resources(shown, one, page))


class TestOneProject:
    def test_everything_of_it(self) -> None:
        one = project(
            barred="Its disk is full.", forecast="expects 4 agents at noon", problems=("swap is on",)
        )
        lock = LockView(name="staging", places=1, holders=("shop-1",), waiting=())
        other = LockView(name="printer", places=1, holders=("shop-b-1",), waiting=())
        told = body(render.project_resources(view(one, locks=(lock, other)), one))
        assert "high · weight 2" in told
        assert "holds 42 % of its 33 %" in told
        assert "Allocated: 3 agents · 2 GB · CPU 25 %" in told
        assert "Because: its fair share" in told
        assert "🔮 shop expects 4 agents at noon" in told
        assert "staging" in told
        assert "printer" not in told  # another project's whose name begins alike
        assert "swap is on" in told

    def test_its_table_fits_a_phone(self) -> None:
        one = project(
            resources=(
                resource("agents", 200, 200, 250, 250),
                resource("memory_mb", None, 900_000.0, 1_000_000.0, float("inf")),
                resource("tokens_per_minute", 0, 0, None, 2_000_000),
            )
        )
        [table] = re.findall(r"```\n(.*?)\n```", body(render.project_resources(view(one), one)), re.DOTALL)
        assert max(map(len, table.splitlines())) <= 34
        assert re.search(r"memory +878.9 GB +976.6 GB +-", table)

    def test_without_limits(self) -> None:
        one = project(quota=quota(allocated_agents=None, allocated_memory_mb=None))
        assert "any number of agents · all memory" in body(render.project_resources(view(one), one))
        assert "2 agents · 4 wait" in body(render.resources(view(one)))


def done(changes: Iterable[str] = ("Increased memory allocation for shop by 512 MB",), **more: Any) -> Any:
    facts: dict[str, Any] = {"strategy": "dynamic", "dry_run": False, "seconds": 0.154}
    return Optimization(
        **{**facts, "changes": tuple(changes), "before": (quota(),), "after": (quota(),), **more}
    )


class TestOptimization:
    def test_in_the_words_of_the_report(self) -> None:
        shown = render.optimization(done())
        assert shown.cards[0].title == "🔧 Resource Optimization Results"
        told = body(shown)
        assert told.startswith("Time: 0.15s\nChanges: 1\nStrategy: `dynamic`\nChanges made:\n• Increased")
        assert "Shares now:\n**shop** 3 agents · 2 GB · CPU 25 %: its fair share" in told

    def test_a_dry_run_says_what_would_be(self) -> None:
        shown = render.optimization(
            done((), dry_run=True, starts=("shop-1: it is next",), parks=("calc-2: above its share",)),
            may_do=True,
        )
        told = body(shown)
        assert "nothing was changed" in shown.cards[0].title
        assert "Every share stays as it is." in told
        assert "Would start at once:\n▶️ shop-1: it is next" in told
        assert "Would be parked:\n🅿️ calc-2: above its share" in told
        assert [(b.label, b.verb, b.target) for b in shown.buttons] == [("Do it", "optimize", "dynamic")]
        assert render.optimization(done(dry_run=True)).buttons == ()

    def test_a_long_name_of_a_strategy_leaves_the_button_its_id(self) -> None:
        assert render.do_it("shop.shares:" + "x" * 90).target == "-"

    async def test_many_changes_are_leafed_through_whole(self) -> None:
        results = Results()
        first = results.keep(done([f"c{n:03} {'grew ' * 60}" for n in range(120)]))
        [more] = [b for b in first.buttons if b.label == "More"]
        what, name, _ = more.target.split(":")
        assert what == "optimized"
        pages = [await results.page(name, number) for number in range(60)]
        told = all_pages(lambda page: pages[page])
        assert set(re.findall(r"c(\d\d\d)", told)) == {f"{n:03}" for n in range(120)}
        assert all(length(body(page)) <= BODY_LIMIT for page in pages)

    async def test_what_is_not_kept_any_more_says_so(self) -> None:
        results = Results()
        first = results.keep(done(["x"] * 40))
        name = first.buttons[0].target.split(":")[1]
        for _ in range(KEPT):
            results.keep(done())
        with pytest.raises(InvalidInput, match="not kept"):
            await results.page(name, 1)


class TestWhy:
    WAITS = WhyView(
        story_id="calc-1",
        title="Add *up*",
        project="calc",
        status=StoryStatus.WAITING,
        sentence="waits: memory is full, calc holds 42 % of its 33 %.",
        details=("shop holds 12 GB.", "It is 2nd in the queue."),
        next="shop-3 ends.",
    )

    def test_a_sentence_what_is_behind_it_and_what_is_next(self) -> None:
        shown = render.why(self.WAITS)
        assert shown.cards[0].title == r"⏳ calc-1 · Add \*up\*"
        assert body(shown) == (
            "`calc-1` **waits: memory is full, calc holds 42 % of its 33 %.**\n"
            "• shop holds 12 GB.\n• It is 2nd in the queue.\n⏭️ Next: shop-3 ends."
        )
        assert "why" in [button.verb for button in shown.buttons]

    def test_where_nothing_is_known_the_status_tells(self) -> None:
        shown = render.why(replace(self.WAITS, sentence="", details=(), next="", status=StoryStatus.DONE))
        assert body(shown) == "`calc-1` **is done**"
        assert shown.buttons == ()

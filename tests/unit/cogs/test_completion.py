from types import SimpleNamespace
from typing import Any

from cogs.completion import KEPT_SECONDS, Completion, Option, matching
from core.domain.story import StoryStatus

NAMES = [Option(value=name, label=f"{name} (active)") for name in ("shop", "Bishop", "cart", "worksHOP")]


def everything(_project: str) -> bool:
    return True


def values(typed: str, limit: int = 25) -> list[str]:
    return [option.value for option in matching(NAMES, typed, limit)]


def test_what_starts_with_the_text_comes_first_in_any_case() -> None:
    assert values("sh") == ["shop", "Bishop", "worksHOP"]
    assert values(" SHOP ") == ["shop", "Bishop", "worksHOP"]
    assert values("") == ["shop", "Bishop", "cart", "worksHOP"]
    assert values("x") == []


def test_no_more_than_discord_takes() -> None:
    assert len(matching([Option(value=str(n), label=str(n)) for n in range(90)], "")) == 25


async def test_letter_by_letter_asks_the_core_once() -> None:
    asked: list[float] = []
    clock = SimpleNamespace(seconds=0.0, monotonic=lambda: clock.seconds)

    async def projects() -> tuple[Any, ...]:
        asked.append(clock.seconds)
        return ()

    completion = Completion(SimpleNamespace(projects=projects), clock)  # type: ignore[arg-type]
    for typed in ("s", "sh", "sho"):
        assert await completion.projects(typed, everything) == ()
    assert asked == [0.0]
    clock.seconds = KEPT_SECONDS + 0.1
    await completion.projects("shop", everything)
    assert len(asked) == 2


async def test_one_projects_stories_come_before_all_others() -> None:
    ids = [f"calc-{n}" for n in range(30)] + ["shop-1", "shop-b-1", "shop-2"]
    titles = tuple(SimpleNamespace(id=one, title="Add", status=StoryStatus.WAITING) for one in ids)

    async def story_titles(_project: str | None) -> tuple[Any, ...]:
        return titles

    core: Any = SimpleNamespace(story_titles=story_titles)
    clock: Any = SimpleNamespace(monotonic=lambda: 0.0)
    completion = Completion(core, clock)
    offered = await completion.stories("add", None, frozenset(StoryStatus), everything, first="shop")
    assert [option.value for option in offered[:3]] == ["shop-1", "shop-2", "calc-0"]
    assert len(offered) == 25

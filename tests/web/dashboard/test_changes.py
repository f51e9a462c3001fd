"""What a story changes, while it changes: on its page and by the API, to those who may see its project."""

from __future__ import annotations

import asyncio

import pytest

from bot.web.dashboard import changes
from core.domain.access import AccessLevel
from core.domain.lifecycles import CycleEvent, CycleState, Phase
from core.store import cycles, stories
from core.worker.git import Repository
from core.worker.worktree import Worktrees

KEY = "sk-ant-0123456789abcdefghij"


@pytest.fixture
def at_work(house):
    """A story whose files are ready for an agent: `(id, folder)`."""
    story = house.do(house.runtime.commands.add_story("shop", "Sell apples", actor="cli")).id

    async def begin():
        configuration = house.runtime.commands._registry.configuration
        repository = await Repository.open(house.root / "shop")
        base = await repository.main_commit("main")

        def write(tx):
            cycles.begin(tx, stories.get(tx.conn, story))
            cycles.patch(tx, story, state=CycleState.DESIGN, base_commit=base, head_commit=base)

        await house.runtime.store.write(write)
        worktrees = Worktrees(repository, project="shop", state_path=configuration.state_path)
        prepared = await worktrees.ensure(story, base, spec="", phase=Phase.CODE_GREEN)
        return story, prepared.worktree.path

    return house.do(begin())


async def test_a_page_follows_the_files_and_the_api_tells_them(house, opened, at_work, monkeypatch):
    monkeypatch.setattr(changes, "_AT_REST_SECONDS", 0.1)
    monkeypatch.setattr(changes, "_REST", 1)  # a busy machine looks for long
    story, folder = at_work
    viewer = await asyncio.to_thread(house.logged_in, None, shop=AccessLevel.VIEWER)
    address = f"/projects/shop/tasks/{story}/changes"
    async with opened(viewer, f"/projects/shop/stories/{story}") as page:
        assert "now" not in page.parts
        (folder / "apple.py").write_text(f'KEY = "{KEY}"\nPRICE = "<b>3</b>"\n')
        await page.until(lambda: "apple.py" in page.parts.get("now", ""))
        assert "no gate has judged" in page.parts["now"]
        assert "&lt;b&gt;3&lt;/b&gt;" in page.parts["now"]
        assert KEY not in page.parts["now"]
        assert "[redacted: an Anthropic key]" in page.parts["now"]
        told = (await asyncio.to_thread(viewer.call, "GET", f"{address}?of=now")).json
        assert (told["task"], told["commit"]) == (story, None)
        assert '+PRICE = "<b>3</b>"' in told["diff"].splitlines()
        assert KEY not in told["diff"]
        passed = (await asyncio.to_thread(viewer.call, "GET", address)).json
        assert (passed["diff"], passed["commit"]) == ("", passed["base"])
        (folder / "apple.py").unlink()
        await page.until(lambda: "now" not in page.parts)


async def test_nobody_else_sees_them_and_an_ended_story_has_none(house, at_work):
    story, folder = at_work
    (folder / "apple.py").write_text("PRICE = 3\n")
    address = f"/projects/shop/tasks/{story}/changes?of=now"
    stranger = await asyncio.to_thread(house.logged_in, None, bank=AccessLevel.OWNER)
    assert (await asyncio.to_thread(stranger.call, "GET", address)).status == 403
    by_bank = address.replace("/shop/", "/bank/")
    assert (await asyncio.to_thread(stranger.call, "GET", by_bank)).status == 404
    assert (await asyncio.to_thread(stranger.get, f"/projects/shop/stories/{story}")).text.count("PRICE") == 0

    def end(tx):
        cycles.move(tx, story, CycleEvent.ABORTED, state=CycleState.DESIGN)

    await asyncio.to_thread(house.do, house.runtime.store.write(end))
    viewer = await asyncio.to_thread(house.logged_in, None, shop=AccessLevel.VIEWER)
    over = await asyncio.to_thread(viewer.call, "GET", address)
    assert over.status == 404
    assert "of=passed" in over.json["hint"]

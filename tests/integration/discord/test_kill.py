"""SIGKILL of the whole of Orchard while people use it: nothing is lost, and nothing is posted twice."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path

import pytest

from tests.integration.discord.house import HANG, MANY, House, User, git, honest, plain
from tests.integration.nursery import Forked
from tests.waiting import until

pytestmark = [pytest.mark.bwrap, pytest.mark.timeout(300)]

CHILD = Path(__file__).with_name("whole_orchard.py")


class Process:
    """Orchard as a process of its own in a house; it may be killed and started again."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._process: subprocess.Popen[str] | None = None

    async def start(self) -> None:
        self._house.configure()
        await asyncio.to_thread(self._spawn)
        assert self._process is not None
        assert self._process.stdout is not None
        said = await asyncio.to_thread(self._process.stdout.readline)
        assert said == "ready\n", (self._house.root / "orchard.log").read_text()[-3000:]
        await until(self._house.guild.person("owner").commands, "registered commands")

    def _spawn(self) -> None:
        with (self._house.root / "orchard.log").open("a") as log:
            self._process = Forked(
                [sys.executable, "-P", str(CHILD), str(self._house.root)],
                ("bot.app",),
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env={**os.environ, **self._house.guild.environment, "PYTHONPATH": str(CHILD.parents[3])},
            )

    async def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        await asyncio.to_thread(self._process.wait)
        assert self._process.stdout is not None
        self._process.stdout.close()

    async def end(self) -> None:
        """Kills it, if it runs, and what outlives it for a moment."""
        if self._process is not None and self._process.poll() is None:
            await self.kill()
        needle = os.fsencode(self._house.root)
        for entry in Path("/proc").iterdir():
            with suppress(OSError, ValueError):
                if int(entry.name) != os.getpid() and needle in (entry / "cmdline").read_bytes():
                    os.kill(int(entry.name), signal.SIGKILL)


@pytest.fixture
async def killable(new_house: Callable[..., object]) -> AsyncIterator[tuple[House, Process]]:
    async with new_house() as house:  # type: ignore[attr-defined]
        process = Process(house)
        await process.start()
        try:
            yield house, process
        finally:
            await process.end()


async def marks(user: User, *stories: str) -> Counter[str]:
    """How often each event was posted, by the mark in its post's footer."""
    places = [user.place, *[await user.thread(story) for story in stories]]
    found = [post for place in places for post in await user.person.messages(place, limit=1000)]
    footers = [embed["footer"]["text"] for post in found for embed in post.embeds if "footer" in embed]
    return Counter(footer for footer in footers if "· #" in footer)


async def test_a_sprint_goes_on_after_each_kill(killable: tuple[House, Process]) -> None:
    house, orchard = killable
    house.project("shop", ai_settings={"require_human_review": True}, **MANY)
    wish = "## Sell apples\nAcceptance criteria:\n- apple.txt says apple\n"
    hangs = honest("plum", code_green=HANG)
    house.play({"Fruit": {"epic": HANG}, "Sell apples": honest("apple"), "Plum": hangs})
    alice = await house.moves_in("alice", "shop")
    await alice.types("epic", text="Fruit")
    await house.agent_did("shop-e1", "Hang")
    await orchard.kill()

    house.play({"Fruit": {"epic": [{"spec": wish}]}})
    await orchard.start()
    post = await alice.sees("Sell apples", button="Approve all")
    await alice.changes(post, "Approve all", "Approved by")
    await alice.adds("Plum")
    await alice.types("sprint plan")
    await alice.types("sprint start")
    question = await alice.sees("shop-1", button="Approve")
    await house.agent_did("shop-2", "Hang")
    await orchard.kill()

    house.play({"Plum": honest("plum")})
    await orchard.start()
    await alice.changes(question, "Approve", "**Approved** by")  # the old button
    await alice.sees("`shop-1`", "is done:")
    second = await alice.sees("shop-2", button="Approve")
    await orchard.kill()
    await orchard.start()
    await alice.changes(second, "Approve", "**Approved** by")
    await alice.sees("🏁 Sprint 1 is finished", "2 of 2 stories")
    assert house.subjects("shop") == ["First commit", "Sell apples", "Plum"]
    assert git(house.projects["shop"], "fsck", "--strict", "--no-dangling") == ""
    await alice.sees("▰ 2 of 2 done")
    assert len(await alice.posts(" of 2 done", "Sprint 1\n")) == 1  # one live status
    assert len(await alice.posts("🧵 `shop-2`")) == 1
    assert len([one for one in await alice.person.threads(alice.place) if "shop-" in one.name]) == 2
    twice = {mark: n for mark, n in (await marks(alice, "shop-1", "shop-2")).items() if n > 1}
    assert twice == {}


async def test_a_taken_story_stays_with_its_person(killable: tuple[House, Process]) -> None:
    house, orchard = killable
    house.project("bench")
    house.play({"Carve": honest("wood", code_green=HANG)})
    alice = await house.moves_in("alice", "bench")
    (story,) = await alice.begins("Carve")
    await house.agent_did(story, "Hang")
    taken = await alice.types("story takeover", story=story)
    folder = house.worktree(story)
    (folder / "half.txt").unlink()
    (folder / "wood.txt").write_text("wood, by hand\n")
    await orchard.kill()
    await orchard.start()
    shown = await alice.types("story show", story=story)
    assert "with a person" in plain(shown.text)
    assert (folder / "wood.txt").read_text() == "wood, by hand\n"
    form = await alice.presses(taken, "Hand back")  # the button of the life before
    await alice.fills_in(form, text="By hand.")
    await orchard.kill()  # before or while it is judged
    await orchard.start()
    await alice.sees(f"`{story}`", "is done:")
    assert git(house.projects["bench"], "show", "main:wood.txt") == "wood, by hand"
    assert all(n == 1 for n in (await marks(alice, story)).values())

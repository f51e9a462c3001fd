"""Turns that make place in a running Orchard, with nothing replaced but the model."""

import pytest

from core.domain.event import EventKind
from core.domain.story import StoryStatus
from tests.waiting import until

pytestmark = pytest.mark.timeout(120)  # many things in a row, on a machine that may be busy

ME = "cli"
HALF = {"write": {"path": "half.py", "text": "HALF = 1\n"}}
RESUMED = 'prompt contains "interrupted to make place"'
GREEN = "from half import HALF\n\n\ndef multiply(a, b):\n    return HALF * a * b\n"


@pytest.fixture
def farm(quick_farm):
    return quick_farm


@pytest.fixture
def long_turn(farm):
    """A project whose agent writes half of its code and goes silent; the other half needs the first, and
    comes only from one that was told that it was interrupted."""
    farm.add("calc")
    rest = [{"write": {"path": "multiply.py", "text": GREEN}}]
    farm.script["stories"]["Multiply"]["code_green"] = [
        {"when": RESUMED, "then": rest, "else": [HALF, {"hang": {"ignore": []}}]}
    ]
    return farm


class Parker:
    """Parks the one story of `calc`, whose sprint is paused first: it stays parked until `resume`."""

    def __init__(self, farm, orchard) -> None:
        self.orchard, self.commands = orchard, orchard.runtime.commands
        self.folder = farm.root / ".orch-global" / "worktrees" / "calc" / "calc-1"
        self.parking = self.commands._engine._dispatcher.parking

    async def begin(self) -> None:
        await self.orchard.sprint("calc", "Multiply")
        await until((self.folder / "half.py").exists)
        await self.commands.pause_sprint("calc", actor=ME)

    async def ask(self, seconds: float = 0.0) -> None:
        await self.parking.park(
            "calc", "calc-1", taker="bank", reason="bank is below its share.", within_seconds=seconds
        )

    async def park(self) -> None:
        await self.begin()
        await self.ask()
        await self.orchard.until(EventKind.STORY_PARKED, story="calc-1")
        await until(lambda: not self.parking.is_parking("calc-1"))

    async def green(self) -> list:
        """Goes on until its code has passed; its story's events."""
        await self.orchard.green("calc-1")
        return list(await self.commands.story_log("calc-1"))


def _of(log, kind):
    return [event.data for event in log if event.kind is kind]


async def test_a_parked_story_outlives_a_restart_and_hears_what_was_said_to_it(long_turn, git_in) -> None:
    (turn,) = long_turn.script["stories"]["Multiply"]["code_green"]
    turn["then"] = [{"when": 'feedback contains "mind the gap"', "then": turn["then"], "else": []}]
    async with long_turn.running() as orchard:
        parker = Parker(long_turn, orchard)
        await parker.park()
        view = (await parker.commands.story("calc-1")).view
        assert view.status is StoryStatus.WAITING
        assert view.why.startswith("parked to make place for bank; goes on when it has one again: ")
        await parker.commands.steer_story("calc-1", "mind the gap", actor=ME)
    async with long_turn.running() as orchard:
        parker = Parker(long_turn, orchard)
        await parker.commands.resume_sprint("calc", actor=ME)
        log = await parker.green()
    assert _of(log, EventKind.STORY_PARKED) == [
        {"phase": "code_green", "taker": "bank", "reason": "bank is below its share."}
    ]
    assert _of(log, EventKind.WORK_SALVAGED) == []
    assert {data["attempt"] for data in _of(log, EventKind.PHASE_STARTED)} == {1}
    assert git_in(long_turn.projects["calc"], "show", "orchard/calc-1:multiply.py") == GREEN.strip()
    assert git_in(long_turn.projects["calc"], "show", "orchard/calc-1:half.py") == "HALF = 1"


async def test_a_person_who_takes_a_parked_story_over_finds_its_files(long_turn) -> None:
    async with long_turn.running() as orchard:
        parker = Parker(long_turn, orchard)
        await parker.park()
        taken = await parker.commands.take_over("calc-1", actor=ME)
        assert (parker.folder / "half.py").read_text() == "HALF = 1\n"
        (parker.folder / "multiply.py").write_text(GREEN)
        assert taken.view.status is StoryStatus.TAKEN
        await parker.commands.hand_back("calc-1", actor=ME)
        await parker.commands.resume_sprint("calc", actor=ME)
        log = await parker.green()
    assert _of(log, EventKind.WORK_SALVAGED) == []
    assert [data["phase"] for data in _of(log, EventKind.GATE_PASSED)].count("code_green") == 1


async def test_an_aborted_story_s_parked_work_is_saved(long_turn, git_in) -> None:
    async with long_turn.running() as orchard:
        parker = Parker(long_turn, orchard)
        await parker.park()
        await parker.commands.abort_story("calc-1", "enough", actor=ME)
        await until(lambda: not parker.folder.exists())
        await parker.orchard.until(EventKind.WORK_SALVAGED)  # told once the folder is gone
        log = await parker.commands.story_log("calc-1")
    (salvage,) = _of(log, EventKind.WORK_SALVAGED)
    assert git_in(long_turn.projects["calc"], "show", f"{salvage['ref']}:half.py") == "HALF = 1"


async def test_a_person_s_stop_of_a_turn_that_is_to_be_parked_counts(long_turn) -> None:
    async with long_turn.running() as orchard:
        parker = Parker(long_turn, orchard)
        await parker.begin()
        await parker.ask(3600.0)
        assert parker.parking.is_parking("calc-1")
        await parker.commands.stop_story("calc-1", actor=ME)
        await until(lambda: not parker.parking.is_parking("calc-1"))
        assert (await parker.commands.story("calc-1")).view.status is StoryStatus.STOPPED
        assert _of(await parker.commands.story_log("calc-1"), EventKind.STORY_PARKED) == []
    assert (parker.folder / "half.py").read_text() == "HALF = 1\n"


async def test_what_cannot_be_parked_is_left_alone(long_turn) -> None:
    """No worker, no such story, a story that does not run."""
    async with long_turn.running() as orchard:
        parker = Parker(long_turn, orchard)
        await parker.ask()
        assert not parker.parking.is_parking("calc-1")
        await parker.park()
        await parker.ask()
        await parker.parking.park("calc", "calc-9", taker="bank", reason="", within_seconds=0.0)
        await parker.parking.park("calc", "calc-1", taker="bank", reason="", within_seconds=float("nan"))
        assert not parker.parking.is_parking("calc-1")
        assert len(_of(await parker.commands.story_log("calc-1"), EventKind.STORY_PARKED)) == 1


# --- the scheduler asks for it


async def test_a_long_turn_makes_place_for_a_guarantee_and_is_merged_in_the_end(long_turn, git_in) -> None:
    """One agent for two projects: `calc` borrows it, then `bank` wants what it is guaranteed."""
    long_turn.add("bank")
    long_turn.global_settings = {"max_total_agents": 1, "park_seconds": 0, "max_load_per_core": None}
    long_turn.own_settings = {
        "calc": {"priority": "low"},
        "bank": {"resource_limits": {"guaranteed_agents": 1}},
    }
    async with long_turn.running() as orchard:
        await orchard.sprint("calc", "Multiply")
        folder = long_turn.root / ".orch-global" / "worktrees" / "calc" / "calc-1"
        await until((folder / "half.py").exists)
        await orchard.sprint("bank", "Subtract")
        bank = await orchard.until(EventKind.STORY_MERGED, EventKind.STORY_BLOCKED, story="bank-1")
        calc = await orchard.until(EventKind.STORY_MERGED, EventKind.STORY_BLOCKED, story="calc-1")
        log = await orchard.runtime.commands.story_log("calc-1")
    assert (bank.kind, calc.kind) == (EventKind.STORY_MERGED, EventKind.STORY_MERGED)
    parked = _of(log, EventKind.STORY_PARKED)
    assert {(data["phase"], data["taker"]) for data in parked} == {("code_green", "bank")}
    assert all("bank" in data["reason"] for data in parked)
    assert _of(log, EventKind.WORK_SALVAGED) == []
    assert {data["attempt"] for data in _of(log, EventKind.PHASE_STARTED)} == {1}
    assert git_in(long_turn.projects["calc"], "show", "main:multiply.py") == GREEN.strip()
    assert git_in(long_turn.projects["calc"], "show", "main:half.py") == "HALF = 1"

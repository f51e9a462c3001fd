"""`orchard simulate`, from the words to what is shown; the playing itself has tests of its own."""

from __future__ import annotations

import json
import shlex
import sqlite3
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bot.cli import output_simulation, simulation_charts
from bot.cli.command import Misused
from bot.cli.simulation import Wish, simulate
from bot.cli.topics.simulation import parse
from core.bus import Bus
from core.clock import SystemClock
from core.errors import InvalidInput, Unavailable
from core.scheduler.builtin import BUILT_IN
from core.scheduler.custom import StrategyRefused
from core.store.columns import to_time
from core.store.database import Store

SMALL = Wish(projects=8, days=1.0, scenario="flood")
OWN = """
from core.scheduler.strategy import SchedulingStrategy

class InTurn(SchedulingStrategy):
    def calculate_allocation(self, projects, total_resources):
        found, left = {}, total_resources["agents"]
        for one in sorted(projects, key=lambda one: -one["waited_seconds"]):
            found[one["name"]] = {"agents": min(one["demand"]["agents"], one["limit"]["agents"], left)}
            left -= found[one["name"]]["agents"]
        return found
"""


async def test_strategies_stand_side_by_side_with_a_sentence_on_them(
    tmp_path: Path, shown: Callable[..., str]
) -> None:
    told: list[tuple[str, float]] = []
    found = await simulate(tmp_path, SMALL, tell=lambda name, part: told.append((name, part)))
    assert [one.strategy for one in found.outcomes] == list(BUILT_IN)
    assert [part for name, part in told if name == "dynamic"][-1] == 1.0
    text = shown(output_simulation.comparison(found))
    assert "fair_share   priority_based   dynamic" in text
    assert all(word in text for word in ("Jain", "Longest wait", "Agents used", "project-", "→ "))
    assert max(map(len, text.splitlines())) <= 80
    assert list(tmp_path.iterdir()) == []  # looking leaves nothing behind


async def test_a_script_gets_json_without_infinities(tmp_path: Path) -> None:
    found = await simulate(tmp_path, replace(SMALL, strategies=("fair_share",)))
    text = json.dumps(output_simulation.data(found), default=str, allow_nan=False)
    read = json.loads(text)
    assert read["capacity"]["cycles"] is None
    assert 0.0 < read["outcomes"][0]["jain"] <= 1.0
    assert "satisfied" in read["outcomes"][0]["projects"][0]


async def test_limits_are_those_of_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "orch-config.yaml").write_text(
        "global: {max_total_agents: 3, global_memory_limit_gb: 2, max_concurrent_projects: 4}\n"
    )
    found = await simulate(tmp_path, replace(SMALL, strategies=("fair_share",)))
    assert (found.capacity.agents, found.capacity.memory_mb) == (3.0, 2048.0)
    assert found.outcomes[0].peak.agents <= 3.0
    assert "at most 4 projects at once" in found.notes[0]
    more = await simulate(tmp_path, replace(SMALL, strategies=("fair_share",), agents=6))
    assert more.capacity.agents == 6.0
    assert more.capacity.memory_mb >= 6 * 1024


async def test_a_strategy_of_ones_own_beside_the_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "simulated_own.py").write_text(OWN)
    monkeypatch.setattr(sys, "path", list(sys.path))  # the folder is added to it
    wish = replace(SMALL, days=0.2, strategies=("simulated_own:InTurn,fair_share",))
    found = await simulate(tmp_path, wish)
    assert [one.strategy for one in found.outcomes] == ["simulated_own:InTurn", "fair_share"]
    assert found.outcomes[0].problems == ()
    assert found.outcomes[0].done > 0
    with pytest.raises(StrategyRefused, match="cannot be loaded"):
        await simulate(tmp_path, replace(wish, strategies=("simulated_own:Thirds",)))


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        (replace(SMALL, scenario="flod"), r"flod.*did you mean 'flood'"),
        (replace(SMALL, strategies=("fairshare",)), r"did you mean 'fair_share'"),
        (replace(SMALL, strategies=(",",)), "No strategy was named"),
        (replace(SMALL, days=0.0), "0.1 to 366 days, not 0"),
        (replace(SMALL, agents=0), "1 to 10,000 agents, not 0"),
    ],
)
async def test_what_cannot_be_played_is_said(tmp_path: Path, wish: Wish, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        await simulate(tmp_path, wish)


# -- recorded ----------------------------------------------------------------------------------


async def record(state: Path, count: int) -> None:
    """A real store with `count` stories that ran one phase, half an hour apart."""
    state.mkdir()
    async with Store.open(state / "orchard.db", clock=SystemClock(), bus=Bus()):
        pass
    conn = sqlite3.connect(state / "orchard.db")
    now = datetime.now(UTC)
    for number in range(1, count + 1):
        ready = now - timedelta(minutes=30 * number)
        row = (f"shop-{number}", "shop")
        conn.execute(
            "INSERT INTO cycles (story_id, project, state, attempt, spec, feedback, blocked_reason,"
            " generation, started_at, updated_at) VALUES (?, ?, 'done', 1, '', '', '', 1, ?, ?)",
            (*row, to_time(ready), to_time(now)),
        )
        conn.execute(
            "INSERT INTO leases (story_id, project, phase, owner, generation, claimed_at, expires_at,"
            " released_at) VALUES (?, ?, 'design', 'w', 1, ?, ?, ?)",
            (*row, to_time(ready), to_time(now), to_time(ready + timedelta(minutes=20))),
        )
    conn.commit()
    conn.close()


@pytest.fixture
def configured(tmp_path: Path) -> Path:
    (tmp_path / "shop").mkdir()
    (tmp_path / "orch-config.yaml").write_text("projects:\n  shop: {path: shop}\n")
    return tmp_path


async def test_what_ran_is_played_under_the_present_settings(configured: Path) -> None:
    await record(configured / ".orch-global", 12)
    found = await simulate(configured, replace(SMALL, recorded=True, strategies=("fair_share",)))
    [outcome] = found.outcomes
    assert (outcome.stories, outcome.done) == (12, 12)
    assert outcome.turnaround_seconds == pytest.approx(20 * 60, abs=1)
    assert any("12 phases of 12 stories" in note for note in found.notes)
    assert found.seed is None


async def test_too_little_recorded_is_said_with_how_much_there_is(configured: Path) -> None:
    with pytest.raises(Unavailable) as none:
        await simulate(configured, replace(SMALL, recorded=True))
    assert none.value.why == "No phase has ended within 1 days."
    await record(configured / ".orch-global", 1)
    with pytest.raises(Unavailable) as few:
        await simulate(configured, replace(SMALL, recorded=True))
    assert "Only 1 phase has ended, since" in few.value.why


async def test_a_store_that_is_none_is_said(configured: Path) -> None:
    (configured / ".orch-global").mkdir()
    (configured / ".orch-global" / "orchard.db").write_text("no database")
    with pytest.raises(Unavailable, match="cannot be read"):
        await simulate(configured, replace(SMALL, recorded=True))


# -- words and pictures ------------------------------------------------------------------------


def test_words_of_the_shell() -> None:
    wish, folder = parse(
        shlex.split("flood fair_share,dynamic projects 100 days 3 seed 7 agents 5 charts my pictures")
    )
    assert wish == Wish(
        scenario="flood", strategies=("fair_share,dynamic",), projects=100, days=3.0, seed=7, agents=5
    )
    assert folder == Path("my pictures")
    assert parse([]) == (Wish(), None)
    assert parse(["recorded"])[0].recorded
    with pytest.raises(Misused, match="how many was not said"):
        parse(["days"])


async def test_pictures_are_written_where_they_are_wanted(tmp_path: Path) -> None:
    found = await simulate(tmp_path, replace(SMALL, days=0.3, strategies=("fair_share",)))
    written = await simulation_charts.draw(found, tmp_path / "new" / "pictures")
    assert [Path(path).name for path in written] == [
        "waits.png",
        "utilisation.png",
        "shares-fair_share.png",
    ]
    for path in written:
        assert Path(path).read_bytes().startswith(b"\x89PNG")


def test_a_folder_that_cannot_be_is_said_before_anything_is_played(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidInput, match="cannot be the folder"):
        simulation_charts.prepare(tmp_path / "file" / "pictures")

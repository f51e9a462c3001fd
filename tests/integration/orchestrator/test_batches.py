"""Stories merged together, and rebased before they must be, with nothing replaced but the model."""

from __future__ import annotations

import asyncio
import sqlite3

import pytest

from core.domain.event import EventKind
from core.domain.lifecycles import Phase
from core.worker.contract import BatchJob
from tests.waiting import SECONDS, until

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def farm(quick_farm):
    return quick_farm


async def approve_together(orchard, stories, project: str = "calc") -> None:
    """Once all are asked for: they become ready at the same moment."""
    commands = orchard.runtime.commands
    for story in stories:
        await orchard.until(EventKind.APPROVAL_REQUESTED, story=story)
    await commands.pause_sprint(project, actor="cli")
    pending = {approval.story_id: approval for approval in await commands.approvals(project)}
    for story in stories:
        await commands.answer_approval(pending[story].id, True, actor="cli")
    await commands.resume_sprint(project, actor="cli")


def rows(farm, query: str) -> list[tuple]:
    path = farm.root / ".orch-global" / "orchard.db"
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30) as connection:
        found = connection.execute(query).fetchall()
    connection.close()
    return found


async def test_stories_that_are_ready_together_land_together_and_the_guilty_one_goes_back(farm, git_in):
    checkout = farm.add("calc")
    farm.settings = {
        "ai_settings": {"require_human_review": True, "max_auto_retry": 0},
        "resource_limits": {"max_parallel_agents": 4, "max_parallel_cycles": 4},
    }
    alone = "import pathlib\n\nfrom lonely import lonely\n\nassert lonely() == 1\n"
    alone += "assert not pathlib.Path('multiply.py').exists()\n"
    farm.script["stories"]["Lonely"] = {
        "test_red": [{"write": {"path": "tests/test_lonely.py", "text": alone}}],
        "code_green": [{"write": {"path": "lonely.py", "text": "def lonely():\n    return 1\n"}}],
        "refactor": [{"say": "Fine."}],
    }
    async with farm.running() as orchard:
        stories = await orchard.sprint("calc", "Multiply", "Lonely", "Subtract", "Divide")
        await approve_together(orchard, stories)
        back = await orchard.until(EventKind.STORY_SENT_BACK)
        details = {story: await orchard.runtime.commands.story(story) for story in stories}
    lonely, *fine = (details[stories[1]], *(details[story] for story in stories if story != stories[1]))
    assert (back.story_id, back.data["to"]) == (stories[1], "code_green")
    tip = git_in(checkout, "rev-parse", "main")
    subjects = git_in(checkout, "log", "--reverse", "--format=%s", "main").splitlines()
    assert subjects == ["First commit", "Multiply", "Subtract", "Divide"]
    assert [detail.view.cycle.merge_commit for detail in fine] == git_in(
        checkout, "rev-list", "--reverse", "main"
    ).splitlines()[1:]
    gates = [[gate for gate in detail.gates if gate.phase is Phase.COMMIT] for detail in fine]
    assert all(len(found) == 1 and found[0].verdict.passed for found in gates)
    trees = {found[0].verdict.evidence.tree for found in gates[1:]}
    assert trees == {git_in(checkout, "rev-parse", "main^{tree}")}  # one run spoke for both
    (refused,) = [gate for gate in lonely.gates if gate.phase is Phase.COMMIT]
    assert "test_lonely" in refused.verdict.explain()
    base = lonely.view.cycle.base_commit
    assert git_in(checkout, "merge-base", base, tip) == base  # what it goes on from has landed
    assert len(rows(farm, "SELECT DISTINCT batch_id FROM merges")) == 1
    assert rows(farm, "SELECT state FROM merges ORDER BY position") == [
        ("merged",),
        ("refused",),
        ("merged",),
        ("merged",),
    ]
    assert rows(farm, "SELECT id FROM merge_batches WHERE finished_at IS NULL") == []


@pytest.fixture
def endless(farm):
    """`Slow`, whose tests do not end beside `Multiply`."""
    waits = "import pathlib\nimport time\n\nfrom slow import slow\n\nassert slow() == 1\n"
    waits += "while pathlib.Path('multiply.py').exists():\n    time.sleep(0.05)\n"
    farm.script["stories"]["Slow"] = {
        "test_red": [{"write": {"path": "tests/test_slow.py", "text": waits}}],
        "code_green": [{"write": {"path": "slow.py", "text": "def slow():\n    return 1\n"}}],
        "refactor": [{"say": "Fine."}],
    }
    farm.settings = {"ai_settings": {"require_human_review": True}}
    return farm


async def test_a_story_skipped_before_the_worker_hears_of_its_batch_is_not_judged(endless):
    endless.add("calc")
    async with endless.running() as orchard:
        commands = orchard.runtime.commands
        supervisor = commands._engine._dispatcher.supervisor
        supply, asked, go = supervisor.supply, asyncio.Event(), asyncio.Event()

        async def late(job):
            if isinstance(job, BatchJob):
                asked.set()
                await go.wait()
            return await supply(job)

        supervisor.supply = late
        multiply, slow = await orchard.sprint("calc", "Multiply", "Slow")
        await approve_together(orchard, [multiply, slow])
        async with asyncio.timeout(SECONDS):
            await asked.wait()
        await commands.skip_story(slow, "too slow", actor="cli")
        go.set()
        done = await orchard.until(EventKind.SPRINT_FINISHED)
    assert done.data["stories"] == {multiply: "done", slow: "skipped"}
    found = rows(endless, "SELECT story_id, state FROM merges ORDER BY rowid")
    assert found == [(multiply, "abandoned"), (slow, "abandoned"), (multiply, "merged")]


async def test_a_story_skipped_while_its_batch_is_judged_does_not_hold_up_the_others(endless, git_in):
    farm, checkout = endless, endless.add("calc")
    async with farm.running() as orchard:
        commands = orchard.runtime.commands
        multiply, slow = await orchard.sprint("calc", "Multiply", "Slow")
        await approve_together(orchard, [multiply, slow])
        # its tests run, which will not end
        await until(lambda: list(farm.root.glob(".orch-global/runs/live/*/tree/slow.py")))
        await commands.skip_story(slow, "too slow", actor="cli")
        await orchard.until(EventKind.STORY_MERGED, story=multiply)
        done = await orchard.until(EventKind.SPRINT_FINISHED)
    assert done.data["stories"] == {multiply: "done", slow: "skipped"}
    assert git_in(checkout, "log", "--format=%s", "main").splitlines() == ["Multiply", "First commit"]
    assert rows(farm, "SELECT story_id, state FROM merges ORDER BY position") == [
        (multiply, "merged"),
        (slow, "abandoned"),
    ]


def appends(name: str, sign: str, result: int, place: str) -> dict[str, list[object]]:
    """A story that changes a file which others change too."""
    test = f"from calc import {name}\n\n\ndef test_{name}():\n    assert {name}(6, 2) == {result}\n"
    code = f"\n\ndef {name}(a, b):\n    return a {sign} b\n"
    middle = "# a line that keeps two changes apart\n" * 6
    before, after = (code, "") if place == "top" else ("", code)
    text = f'"""Sums."""\n{before}\n{middle}\n\ndef add(a, b):\n    return a + b\n{after}'
    return {
        "test_red": [{"write": {"path": f"tests/test_{name}.py", "text": test}}],
        "code_green": [{"write": {"path": "calc.py", "text": text}}],
        "refactor": [{"say": "Fine."}],
    }


async def test_the_later_of_two_that_change_one_file_is_rebased_before_its_next_phase(farm, git_in):
    middle = "# a line that keeps two changes apart\n" * 6
    checkout = farm.add(
        "calc",
        {
            "calc.py": f'"""Sums."""\n\n{middle}\n\ndef add(a, b):\n    return a + b\n',
            "tests/test_add.py": "from calc import add\n\n\ndef test_adds():\n    assert add(1, 2) == 3\n",
        },
    )
    farm.settings = {"ai_settings": {"require_human_review": True}}
    farm.script["stories"] = {
        "Times": appends("times", "*", 12, "top"),
        "Minus": appends("minus", "-", 4, "bottom"),
    }
    refactor = farm.script["stories"]["Minus"].pop("refactor")
    farm.script["stories"]["Minus"]["refactor"] = [{"hang": {"ignore": []}}]
    async with farm.running() as orchard:
        commands = orchard.runtime.commands
        times, minus = await orchard.sprint("calc", "Times", "Minus")
        asked = await orchard.until(EventKind.APPROVAL_REQUESTED, story=times)
        foreseen = await orchard.until(EventKind.OVERLAP_FORESEEN)
        begun = await orchard.until(EventKind.PHASE_STARTED, story=minus)
        while begun.data["phase"] != Phase.REFACTOR:
            begun = await orchard.until(EventKind.PHASE_STARTED, story=minus, after=begun.seq)
        view = await commands.cycles("calc")
        await commands.stop_story(minus, actor="cli")
        farm.script["stories"]["Minus"]["refactor"] = refactor
        farm.write()
        await commands.answer_approval(asked.data["approval"], True, actor="cli")
        merged = await orchard.until(EventKind.STORY_MERGED, story=times)
        marked = (await commands.story(minus)).view.cycle.rebase_onto
        await commands.start_story(minus, actor="cli")
        rebased = await orchard.until(EventKind.STORY_REBASED)
        asked = await orchard.until(EventKind.APPROVAL_REQUESTED, story=minus)
        cycle = (await commands.story(minus)).view.cycle
        await commands.answer_approval(asked.data["approval"], True, actor="cli")
        await orchard.until(EventKind.STORY_MERGED, story=minus)
        events = await commands.events(limit=1000)
    assert (foreseen.story_id, foreseen.data["other"]) == (minus, times)
    assert "calc.py" in foreseen.data["files"]
    assert [(each.first, each.later, each.files) for each in view.overlaps] == [(times, minus, ("calc.py",))]
    commit = merged.data["commit"]
    assert marked == commit
    assert (rebased.story_id, rebased.data["onto"], rebased.data["after"]) == (minus, commit, times)
    assert (cycle.base_commit, cycle.rebase_onto) == (commit, None)
    assert sum(event.kind is EventKind.OVERLAP_FORESEEN for event in events) == 1
    text = (checkout / "calc.py").read_text()
    assert "def times" in text
    assert "def minus" in text
    assert git_in(checkout, "log", "--format=%s", "main").splitlines()[:2] == ["Minus", "Times"]

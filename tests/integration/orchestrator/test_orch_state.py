"""The picture in `.orch-state`, as people and other tools find it, and another tool's taken over."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.domain.event import EventKind
from core.domain.lifecycles import WorkflowState
from core.domain.story import StoryState
from core.errors import InvalidInput, NotFound
from tests.waiting import until

pytestmark = pytest.mark.timeout(120)  # many things in a row, on a machine that may be busy

FOREIGN = {
    "epics": [{"id": "epic-1", "title": "Sums", "description": "All kinds of sums."}],
    "stories": [
        {"id": "s-1", "title": "Add", "status": "done", "epic_id": "epic-1", "sprint_id": "sp-1"},
        {
            "id": "s-2",
            "title": "Multiply",
            "description": "Two numbers.",
            "status": "in_progress",
            "priority": 1,
            "acceptance_criteria": ["it works"],
            "story_points": 2,
            "dependencies": ["s-1"],
            "epic_id": "epic-1",
        },
    ],
    "sprints": [
        {
            "id": "sp-1",
            "goal": "Begin",
            "status": "completed",
            "start_date": "2026-01-05T09:00:00",
            "end_date": "2026-01-09T17:00:00",
            "retrospective_notes": ["Small steps worked."],
        }
    ],
}


async def document(path: Path, wanted: Callable[[Any], object]) -> Any:
    """The JSON file, once `wanted(document)` holds."""

    def look() -> Any:
        found = json.loads(path.read_text()) if path.exists() else None  # never half a file
        return found if found is not None and wanted(found) else None

    return await until(look, f"{path.name} as wanted")


async def test_the_picture_follows_the_work_and_stays_out_of_commits(farm, git_in):
    checkout = farm.add("calc")
    folder = checkout / ".orch-state"
    async with farm.running() as orchard:
        (story,) = await orchard.sprint("calc", "Multiply")
        await orchard.until(EventKind.SPRINT_FINISHED, EventKind.STORY_BLOCKED)
        backlog = await document(
            folder / "backlog.json", lambda found: [one["status"] for one in found["stories"]] == ["done"]
        )
        status = await document(
            folder / "status.json", lambda found: found["current_state"] == "SPRINT_REVIEW"
        )
        cycle = await document(folder / f"tdd_cycles/cycle-{story}.json", lambda found: found["completed_at"])
    assert backlog["stories"][0]["metadata"]["orchard"]["merge_commit"] == git_in(
        checkout, "rev-parse", "main"
    )
    assert backlog["sprints"][0]["status"] == "completed"
    assert cycle["outcome"] == "done"
    assert cycle["tasks"][0]["test_files"] == ["tests/test_multiply.py"]
    assert status["blocked_stories"] == []
    assert git_in(checkout, "status", "--porcelain") == ""
    assert sorted(path.suffix for path in folder.rglob("*") if path.is_file()) == [".json"] * 4


async def test_what_is_not_orchards_is_left_alone(farm, git_in, tmp_path):
    kinds = ("link", "foreign", "tracked", "off")
    folders = {name: farm.add(name) / ".orch-state" for name in kinds}
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    folders["link"].symlink_to(elsewhere)
    for name in kinds[1:]:
        folders[name].mkdir()
    (folders["foreign"] / "backlog.json").write_text(json.dumps(FOREIGN))
    (folders["tracked"] / "backlog.json").write_text("{}")
    git_in(farm.projects["tracked"], "add", "-f", ".orch-state")
    git_in(farm.projects["tracked"], "commit", "-q", "-m", "Somebody's state")
    farm.own_settings["off"] = {"state_mirror": False}

    def content() -> dict[str, list[str]]:
        return {
            name: sorted(path.read_text() for path in folder.rglob("*.json"))
            for name, folder in folders.items()
        }

    before = content()
    farm.add("other")
    async with farm.running() as orchard:
        for name in (*kinds, "other"):
            await orchard.runtime.commands.add_story(name, "Multiply", actor="cli")
        await document(farm.projects["other"] / ".orch-state/backlog.json", lambda found: found["stories"])
    assert content() == before
    assert list(elsewhere.iterdir()) == []


async def test_what_another_tool_writes_later_is_not_written_over(farm, caplog):
    checkout = farm.add("calc")
    backlog = checkout / ".orch-state/backlog.json"
    async with farm.running() as orchard:
        commands = orchard.runtime.commands
        await commands.add_story("calc", "Multiply", actor="cli")
        await document(backlog, lambda found: found["stories"])
        backlog.write_text(json.dumps(FOREIGN))
        await commands.add_story("calc", "Subtract", actor="cli")
        await until(lambda: "backlog.json is another tool's" in caplog.text)
    assert json.loads(backlog.read_text()) == FOREIGN


async def test_the_picture_comes_once_nothing_is_in_its_way_any_more(farm, caplog):
    backlog = farm.add("calc") / ".orch-state/backlog.json"
    backlog.parent.mkdir()
    backlog.write_text(json.dumps(FOREIGN))
    async with farm.running():
        await until(lambda: "backlog.json is another tool's" in caplog.text)
        backlog.unlink()  # and nothing happens in the project
        await document(backlog, lambda found: found["stories"] == [])


async def test_another_tools_state_is_taken_over_once(quick_farm, git_in):
    checkout = quick_farm.add("calc")
    folder = checkout / ".orch-state"
    folder.mkdir()
    (folder / "backlog.json").write_text(json.dumps(FOREIGN))
    async with quick_farm.running() as orchard:
        commands = orchard.runtime.commands
        looked = await commands.import_state("calc", dry_run=True, actor="cli")
        assert (looked.waiting, looked.done, looked.kept) == (("Multiply",), 1, "")
        assert await commands.stories("calc") == ()
        taken = await commands.import_state("calc", actor="cli")
        assert (taken.waiting, taken.done, taken.epics, taken.sprints) == (("Multiply",), 1, 1, 1)
        assert json.loads((Path(taken.kept) / "backlog.json").read_text()) == FOREIGN
        done, waiting = sorted(await commands.stories("calc"), key=lambda view: view.story.number)
        assert (done.story.state, waiting.story.state) == (StoryState.DONE, StoryState.BACKLOG)
        assert waiting.needs == (done.story.id,)
        assert waiting.story.estimate == 2
        assert (await commands.workflow("calc")).state is WorkflowState.BACKLOG_READY
        assert [sprint.retrospective for sprint in await commands.retrospectives("steps", "calc")] == [
            "Small steps worked."
        ]
        await document(folder / "backlog.json", lambda found: len(found["stories"]) == 2)  # ours now
        with pytest.raises(NotFound, match="no other tool's state"):
            await commands.import_state("calc", actor="cli")
        (folder / "backlog.json").write_text(json.dumps(FOREIGN))  # the other tool wrote once more
        again = await commands.import_state("calc", actor="cli")
        assert (again.waiting, again.done, again.known) == ((), 0, 2)
        await commands.plan_sprint("calc", actor="cli")
        await commands.start_sprint("calc", actor="cli")
        merged = await orchard.until(EventKind.STORY_MERGED, EventKind.STORY_BLOCKED)
        assert merged.kind is EventKind.STORY_MERGED
    assert git_in(checkout, "status", "--porcelain") == ""


async def test_a_need_for_what_was_removed_meanwhile_is_left_out_and_said(farm):
    checkout = farm.add("calc")
    backlog = checkout / ".orch-state/backlog.json"
    first = {"id": "s-1", "title": "First"}
    backlog.parent.mkdir()
    backlog.write_text(json.dumps({"stories": [first]}))
    async with farm.running() as orchard:
        commands = orchard.runtime.commands
        await commands.import_state("calc", actor="cli")
        await commands.remove_story("calc-1", actor="cli")
        await document(backlog, lambda found: found["stories"] == [])  # the picture has come to rest
        second = {"id": "s-2", "title": "Second", "dependencies": ["s-1"]}
        backlog.write_text(json.dumps({"stories": [first, second]}))
        taken = await commands.import_state("calc", actor="cli")
        assert taken.waiting == ("Second",)
        assert any("calc-1 was removed" in note for note in taken.notes)
        assert (await commands.story("calc-2")).view.needs == ()


async def test_a_broken_file_changes_nothing_and_is_named(farm):
    checkout = farm.add("calc")
    (checkout / ".orch-state").mkdir()
    (checkout / ".orch-state" / "backlog.json").write_text('{"stories": [')
    async with farm.running() as orchard:
        with pytest.raises(InvalidInput, match=r"backlog\.json is no JSON"):
            await orchard.runtime.commands.import_state("calc", actor="cli")
        assert await orchard.runtime.commands.stories("calc") == ()
    assert (checkout / ".orch-state" / "backlog.json").read_text() == '{"stories": ['

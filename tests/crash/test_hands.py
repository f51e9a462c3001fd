"""What people decided about a story outlives a kill at any moment."""

from __future__ import annotations

from typing import Any

import pytest

from core.domain.story import StoryStatus

pytestmark = pytest.mark.timeout(600)

HANG: list[Any] = [{"write": {"path": "half.py", "text": "# half\n"}}, {"hang": {"ignore": []}}]


@pytest.fixture
def hanging(orchard, play_honestly):
    orchard.add("shop")
    orchard.play({"*": {**play_honestly(), "code_green": HANG}})
    orchard.start()
    orchard.sprint("shop")
    orchard.wait_until(lambda: orchard.agent_hangs("shop"), "the agent hangs")
    return orchard


def test_a_stopped_story_stays_stopped(hanging, play_honestly):
    hanging.ask(lambda commands: commands.stop_story("shop-1", actor="cli"))
    hanging.kill()
    hanging.play({"*": play_honestly()})
    hanging.start()

    view = hanging.ask(lambda commands: commands.story("shop-1")).view
    assert view.status is StoryStatus.STOPPED
    hanging.ask(lambda commands: commands.next_phase("shop-1", actor="cli"))
    stopped = hanging.wait_until(lambda: hanging.events("story_stopped")[1:], "the end of the step")
    assert stopped[0]["after"] == "code_green"
    assert [data["phase"] for data in hanging.events("phase_started")][-1] == "code_green"
    hanging.ask(lambda commands: commands.start_story("shop-1", actor="cli"))
    hanging.wait_for_event("story_merged", "shop-1")
    hanging.terminate()


def test_a_taken_story_stays_with_its_person_and_their_files(hanging, play_honestly, git):
    found = hanging.ask(lambda commands: commands.take_over("shop-1", actor="cli"))
    folder = hanging.root / ".orch-global" / "worktrees" / "shop" / "shop-1"
    assert found.path == str(folder)
    (folder / "half.py").unlink()
    (folder / "double.py").write_text("def double(number):\n    return number + number\n")
    hanging.kill()
    hanging.play({"*": {**play_honestly(), "code_green": [{"say": "Not asked."}]}})
    hanging.start()
    again = hanging.ask(lambda commands: commands.take_over("shop-1", actor="cli"))
    assert (again.path, again.view.status) == (str(folder), StoryStatus.TAKEN)
    hanging.ask(lambda commands: commands.hand_back("shop-1", actor="cli"))
    hanging.kill()  # before or while it is judged: it is judged again
    hanging.start()
    hanging.wait_for_event("story_merged", "shop-1")
    hanging.terminate()
    assert "number + number" in git(hanging.projects["shop"], "show", "main:double.py")


def test_a_usage_pause_ends_at_its_time_in_the_next_life(orchard, play_honestly):
    orchard.add("shop")
    orchard.settings = {"ai_settings": {"resume_after_usage_limit": True}}
    limit = {"limit": {"text": "Claude AI usage limit reached", "seconds": 12, "times": 1}}
    honest = play_honestly()
    orchard.play({"*": {**honest, "code_green": [limit, *honest["code_green"]]}})
    orchard.start()
    orchard.sprint("shop")
    orchard.wait_for_event("usage_limited")
    orchard.kill()
    assert [row["project"] for row in orchard.rows("SELECT project FROM usage_pauses")] == ["shop"]
    orchard.start()
    assert orchard.wait_for_event("usage_reset")["by"] == "orchard"
    orchard.wait_for_event("story_merged", "shop-1")
    orchard.terminate()


def test_words_to_a_turn_that_dies_are_in_the_next_prompt(hanging, play_honestly):
    honest = play_honestly()
    heard = {"when": 'feedback contains "Mind zero."', "then": honest["code_green"], "else": [{"say": "?"}]}
    hanging.play({"*": {**honest, "code_green": [heard]}})  # agents that start from now on
    hanging.ask(lambda commands: commands.steer_story("shop-1", "Mind zero.", actor="cli"))
    hanging.kill()
    hanging.start()
    hanging.wait_for_event("story_merged", "shop-1")
    assert hanging.events("gate_refused") == []
    hanging.terminate()

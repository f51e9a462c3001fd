"""What people may ask when nothing runs: the real store, real git checkouts, no engine."""

import subprocess

import pytest

from config.loader import load
from core.domain.lifecycles import ProjectStatus, WorkflowCommand, WorkflowState
from core.domain.story import Priority, StoryState, StoryStatus
from core.errors import InvalidInput, NotAllowed, NotFound
from core.runtime import open_commands


def checkout(folder):
    folder.mkdir()
    for words in (
        ["init", "-q", "-b", "main"],
        ["-c", "user.name=D", "-c", "user.email=d@x", "commit", "-q", "--allow-empty", "-m", "First"],
    ):
        subprocess.run(["git", "-C", folder, *words], check=True)
    return folder


@pytest.fixture
async def commands(tmp_path):
    def read():
        return load(tmp_path, environ={})

    async with open_commands(read(), read) as found:
        yield found


@pytest.fixture
async def shop(commands, tmp_path):
    await commands.register_project("shop", checkout(tmp_path / "shop"), actor="cli")
    return commands


async def test_registering_writes_the_registration_and_tells_what_to_know(commands, tmp_path):
    registration = await commands.register_project("shop", checkout(tmp_path / "s"), actor="cli")
    assert registration.project.status is ProjectStatus.INITIALIZING
    assert registration.project.main_branch == "main"
    assert any("No tests" in note for note in registration.notes)
    assert (tmp_path / ".orch-global" / "projects.d" / "shop.yaml").exists()
    assert [view.project.name for view in await commands.projects()] == ["shop"]


async def test_a_refused_registration_leaves_nothing_behind(commands, tmp_path):
    with pytest.raises(InvalidInput):
        await commands.register_project("shop", tmp_path / "absent", actor="cli")
    assert await commands.projects() == ()
    assert not (tmp_path / ".orch-global" / "projects.d" / "shop.yaml").exists()


async def test_the_same_checkout_or_name_is_not_registered_twice(shop, tmp_path):
    with pytest.raises(InvalidInput, match="registered already, as shop"):
        await shop.register_project("other", tmp_path / "shop", actor="cli")
    with pytest.raises(InvalidInput, match="There is a project shop already"):
        await shop.register_project("shop", checkout(tmp_path / "b"), actor="cli")


async def test_an_unknown_project_is_named_with_the_near_one(shop):
    with pytest.raises(NotFound, match="shop"):
        await shop.project("shp")


async def test_the_first_story_makes_a_sprint_possible(shop):
    assert (await shop.workflow("shop")).state is WorkflowState.IDLE
    with pytest.raises(NotAllowed, match="backlog is empty"):
        await shop.plan_sprint("shop", actor="cli")
    story = await shop.add_story("shop", "  Pay by card ", acceptance_criteria=["it pays", " "], actor="cli")
    assert (story.id, story.title, story.acceptance_criteria) == ("shop-1", "Pay by card", ("it pays",))
    workflow = await shop.workflow("SHOP")
    assert workflow.state is WorkflowState.BACKLOG_READY
    assert WorkflowCommand.SPRINT_PLAN in workflow.allowed


async def test_a_sprint_takes_the_chosen_stories_in_order_of_priority(shop):
    for title, priority in (("a", Priority.LOW), ("b", Priority.CRITICAL), ("c", Priority.NORMAL)):
        await shop.add_story("shop", title, priority=priority, actor="cli")
    view = await shop.plan_sprint("shop", stories=["shop-1", "SHOP-2", "shop-2"], goal="Less", actor="cli")
    assert [v.story.id for v in view.stories] == ["shop-2", "shop-1"]
    assert [v.story.id for v in await shop.backlog("shop")] == ["shop-2", "shop-3", "shop-1"]
    assert {v.status for v in view.stories} == {StoryStatus.PLANNED}


async def test_an_unknown_story_plans_nothing(shop):
    await shop.add_story("shop", "a", actor="cli")
    with pytest.raises(NotFound, match="shop-9"):
        await shop.plan_sprint("shop", stories=["shop-1", "shop-9"], actor="cli")
    assert (await shop.workflow("shop")).state is WorkflowState.BACKLOG_READY


async def test_a_sprint_starts_only_in_an_active_project(shop):
    await shop.add_story("shop", "a", actor="cli")
    await shop.plan_sprint("shop", actor="cli")
    with pytest.raises(NotAllowed, match="/project_start shop"):
        await shop.start_sprint("shop", actor="cli")
    await shop.start_project("shop", actor="cli")
    view = await shop.start_sprint("shop", actor="cli")
    assert view.stories[0].story.state is StoryState.ACTIVE
    with pytest.raises(NotAllowed, match="The sprint runs already"):
        await shop.start_sprint("shop", actor="cli")


async def test_skipping_the_last_story_ends_the_sprint_and_feedback_opens_the_next(shop):
    await shop.add_story("shop", "a", actor="cli")
    await shop.add_story("shop", "later", actor="cli")
    await shop.plan_sprint("shop", stories=["shop-1"], actor="cli")
    await shop.start_project("shop", actor="cli")
    await shop.start_sprint("shop", actor="cli")
    skipped = await shop.skip_story("shop-1", "not now", actor="cli")
    assert skipped.status is StoryStatus.SKIPPED
    assert (await shop.workflow("shop")).state is WorkflowState.SPRINT_REVIEW
    with pytest.raises(NotAllowed, match="review"):
        await shop.add_story("shop", "b", actor="cli")
    assert (await shop.feedback("shop", "Fine.", actor="cli")).state is WorkflowState.BACKLOG_READY
    assert [v.story.id for v in (await shop.plan_sprint("shop", actor="cli")).stories] == ["shop-2"]


async def test_a_story_that_is_not_blocked_takes_no_suggestion(shop):
    await shop.add_story("shop", "a", actor="cli")
    with pytest.raises(NotAllowed, match="not blocked"):
        await shop.suggest_fix("shop-1", "try", actor="cli")
    with pytest.raises(NotFound):
        await shop.suggest_fix("shop-7", "try", actor="cli")


@pytest.mark.parametrize(
    ("title", "word"), [("", "empty"), (" \n", "empty"), ("\u202e\x00", "empty"), ("x" * 201, "201")]
)
async def test_a_bad_title_is_refused_in_words(shop, title, word):
    with pytest.raises(InvalidInput, match=word):
        await shop.add_story("shop", title, actor="cli")


async def test_stopping_and_starting_again(shop):
    await shop.start_project("shop", actor="cli")
    assert (await shop.stop_project("shop", actor="cli")).status is ProjectStatus.PAUSED
    assert (await shop.start_project("shop", actor="cli")).status is ProjectStatus.ACTIVE

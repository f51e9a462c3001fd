"""Slash commands, suggestions and pages, against the real core."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path
from typing import Any

import pytest

from bot.discord.service import DiscordService
from bot.localguild import LocalGuild, Person
from core.domain.lifecycles import ProjectStatus, WorkflowState
from core.errors import OrchardError
from tests.discord.bot.real_core import private, settled

pytestmark = pytest.mark.usefixtures("service")

COMMANDS = {
    "global_status",
    "resource_status",
    "resource_optimize",
    "link",
    "why",
    "insights",
    "subscribe",
    "unsubscribe",
    "subscriptions",
    "digest",
    "quiet_hours",
    "project_status",
    "project_pause",
    "project_resume",
    "epic",
    "github",
    "approve",
    "request_changes",
    "tdd",
    "story",
    "project_list",
    "project_register",
    "project_discover",
    "project_start",
    "project_stop",
    "project_maintain",
    "project_archive",
    "project_reopen",
    "budget",
    "session",
    "agents",
    "alerts",
    "chart",
    "backlog",
    "sprint",
    "state",
    "suggest_fix",
    "skip_task",
    "feedback",
}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A git repository with one commit."""
    folder = tmp_path / "cart"
    folder.mkdir()
    (folder / "a.py").write_text("x = 1\n")
    for words in ("init -q -b main", "add .", "-c user.name=t -c user.email=t@localhost commit -q -m one"):
        subprocess.run(["git", "-C", str(folder), *words.split()], check=True)
    return folder


async def test_the_commands_are_registered_in_the_one_server_only(guild: LocalGuild, alice: Person) -> None:
    offered = await alice.commands()
    assert {command["name"] for command in offered} == COMMANDS
    assert len(offered) == len(COMMANDS)


async def test_from_a_story_to_a_running_sprint(orchard: Any, alice: Person) -> None:
    added = await alice.slash(
        "backlog add_story",
        {
            "title": "Add a *basket*",
            "acceptance_criteria": "- holds items; counts them",
            "priority": "high",
            "project": "shop",
        },
    )
    assert r"shop-1 · Add a \*basket\*" in added.text
    story = (await orchard.commands.story("shop-1")).view.story
    assert story.acceptance_criteria == ("holds items", "counts them")
    assert story.added_by == f"discord:{await alice.user_id()}"
    assert "shop-1" in (await alice.slash("backlog view", {"project": "SHOP"})).text
    assert "Planned" in (await alice.slash("sprint plan", {"goal": "sell", "project": "shop"})).text
    assert "Started" in (await alice.slash("sprint start", {"project": "shop"})).text
    assert "shop-1" in (await alice.slash("sprint status", {"project": "shop"})).text
    assert "Paused" in (await alice.slash("sprint pause", {"project": "shop"})).text
    assert (await orchard.commands.workflow("shop")).state is WorkflowState.SPRINT_PAUSED
    assert "Going on" in (await alice.slash("sprint resume", {"project": "shop"})).text
    state = (await alice.slash("state", {"project": "shop"})).text
    assert "SPRINT_ACTIVE" in state
    assert "/sprint pause" in state
    assert "shop-1" in (await alice.slash("skip_task", {"story": "shop-1", "reason": "later"})).text
    assert "Thank you" in (await alice.slash("feedback", {"text": "fine", "project": "shop"})).text


async def test_projects_are_registered_started_and_stopped(
    orchard: Any, alice: Person, tmp_path: Path, checkout: Path
) -> None:
    found = await alice.slash("project_discover", {"paths": str(tmp_path)})
    assert str(checkout) in found.text
    registered = await alice.slash("project_register", {"name": "cart", "path": str(checkout)})
    assert "Registered `cart`" in registered.text
    assert "is active" in (await alice.slash("project_start", {"project": "cart"})).text
    assert "is paused" in (await alice.slash("project_stop", {"project": "cart"})).text
    listed = await alice.slash("project_list")
    assert "**cart** · paused" in listed.text
    asked = (await alice.slash("project_archive", {"project": "cart"})).message
    assert asked is not None
    assert "/project_reopen" in (await alice.press(asked, "Archive cart")).text
    kept = await orchard.commands.project("cart")
    assert kept.project.status is ProjectStatus.ARCHIVED
    assert "is paused" in (await alice.slash("project_reopen", {"project": "cart"})).text
    status = await alice.slash("global_status")
    assert "2 projects" in status.text
    assert "connected as Orchard" in status.text
    assert "`total_stories_completed` **no data**" in status.text


@pytest.mark.parametrize(
    ("command", "options", "told"),
    [
        ("sprint start", {"project": "shop"}, ["shop is IDLE", "What you can do", "/backlog add"]),
        ("sprint plan", {"project": "shop"}, ["shop is IDLE", "Why", "backlog is empty"]),
        ("state", {"project": "shoop"}, ["shoop", "What you can do", "shop"]),
        ("state", {}, ["Which project?", "not a project's channel"]),
        ("suggest_fix", {"story": "shop-99", "text": "x"}, ["shop-99"]),
        ("project_register", {"name": "new", "path": "/nowhere/at/all"}, ["/nowhere/at/all"]),
        ("project_discover", {"paths": ' "unclosed'}, ["not a list of folders"]),
        ("project_discover", {"paths": " ; "}, ["No folder was named"]),
        ("backlog add_story", {"title": "x" * 300, "project": "shop"}, ["300 characters"]),
    ],
)
async def test_a_refusal_is_private_and_says_why_and_what_now(
    alice: Person, command: str, options: dict[str, str], told: list[str]
) -> None:
    answer = await settled(alice, await alice.slash(command, options))
    assert private(answer)
    for words in told:
        assert words in answer.text


async def test_a_fault_of_ours_is_answered_with_an_id_that_the_log_has(
    orchard: Any, alice: Person, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("a bug")

    for method in ("system", "projects", "sprint", "workflow", "add_story"):
        monkeypatch.setattr(orchard.commands, method, broken)
    for command, options in (
        ("global_status", {}),
        ("project_list", {}),
        ("sprint status", {"project": "shop"}),
        ("state", {"project": "shop"}),
        ("backlog add_story", {"project": "shop", "title": "x"}),
    ):
        answer = await alice.slash(command, options)
        assert answer.ephemeral
        error_id = answer.text.split("look for `")[1].split("`")[0]
        assert error_id in caplog.text


async def test_a_slow_answer_is_deferred_and_follows(
    orchard: Any, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cogs.replies.PATIENCE_SECONDS", 0.05)
    slow, real = asyncio.Event(), orchard.commands.workflow

    async def slowly(project: str) -> Any:
        await slow.wait()
        return await real(project)

    monkeypatch.setattr(orchard.commands, "workflow", slowly)
    first = await alice.slash("state", {"project": "shop"}, until="ack")
    assert not first.answered
    slow.set()
    assert "shop: IDLE" in (await alice.look_again(first, until="answer")).text


async def test_a_slow_refusal_is_private_too(
    orchard: Any, alice: Person, bob: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cogs.replies.PATIENCE_SECONDS", 0.05)
    slow = asyncio.Event()

    async def slowly(project: str) -> Any:
        await slow.wait()
        raise OrchardError("Too late for that.")

    monkeypatch.setattr(orchard.commands, "workflow", slowly)
    await alice.slash("state", {"project": "shop"}, until="ack")
    slow.set()
    told = await alice.wait_for_message(lambda message: "Too late for that." in message.text)
    assert told.ephemeral
    assert all("Too late" not in message.text for message in await bob.messages())


async def test_suggestions_follow_what_is_typed(orchard: Any, alice: Person) -> None:
    for number in range(30):
        await orchard.add_project(f"app-{number:02}")
    offered = await alice.autocomplete("state", "project", "")
    assert len(offered) == 25
    assert [c.value for c in await alice.autocomplete("state", "project", "APP-07")] == ["app-07"]
    assert [c.value for c in await alice.autocomplete("sprint plan", "project", "hop")] == ["shop"]
    assert await alice.autocomplete("state", "project", "zzz") == []


async def test_suggested_stories_are_those_that_can_be_helped(orchard: Any, alice: Person) -> None:
    story = await orchard.running_story()
    waiting = await orchard.commands.add_story("shop", "Another", actor="cli")
    assert [c.value for c in await alice.autocomplete("skip_task", "story", "")] == [story.id]
    assert await alice.autocomplete("suggest_fix", "story", waiting.id) == []


@pytest.mark.parametrize("way", ["raises", "hangs"])
async def test_suggestions_never_fail(
    orchard: Any, alice: Person, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    async def broken(*_: Any) -> None:
        if way == "hangs":
            await asyncio.Event().wait()
        raise ZeroDivisionError

    monkeypatch.setattr("cogs.completion.PATIENCE_SECONDS", 0.1)
    monkeypatch.setattr(orchard.commands, "projects", broken)
    assert await alice.autocomplete("state", "project", "s") == []


async def test_a_long_list_is_leafed_through(orchard: Any, alice: Person) -> None:
    for number in range(23):
        await orchard.commands.add_story("shop", f"Story {number}", actor="cli")
    answer = await alice.slash("backlog view", {"project": "shop"})
    assert answer.message is not None
    assert answer.message.labels == ["More"]
    seen = answer.text
    for _ in range(2):
        answer = await alice.press(answer.message, "More")
        assert answer.message is not None
        seen += answer.text
    assert answer.message.labels == ["Back"]
    assert all(f"shop-{number}`" in seen for number in range(1, 24))


async def test_text_commands_work_with_a_mention(alice: Person, service: DiscordService) -> None:
    await alice.say_to_bot("state shop")
    answer = await alice.wait_for_message(lambda message: "shop: IDLE" in message.text)
    assert answer.author == "Orchard"
    await alice.say_to_bot("dance")
    await alice.wait_for_message(lambda message: "do not know that command" in message.text)

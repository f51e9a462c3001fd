"""The text form of the hybrid commands, driven by dpytest against the real core."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import discord
import discord.ext.test as dpytest
import pytest

from bot.discord.client import OrchardBot
from bot.discord.views import Counter
from cogs.access import RIGHTS
from cogs.completion import Completion
from cogs.desk import Desk
from cogs.render import project_archived
from core.domain.lifecycles import ProjectStatus, WorkflowState
from core.domain.story import Priority
from tests.discord.bot.real_core import Orchard, open_orchard

SHOP_CHANNEL = "proj-shop"


class Channels:
    """The shop's channel, as the bot would have remembered it."""

    def __init__(self) -> None:
        self.shop_id: int | None = None

    def project_of(self, channel: Any) -> str | None:
        return "shop" if channel.id == self.shop_id else None

    def story_of(self, channel: Any) -> str | None:
        return None


@pytest.fixture
async def orchard(tmp_path: Path) -> AsyncIterator[Orchard]:
    async with open_orchard(tmp_path) as orchard:
        await orchard.add_project("shop")
        yield orchard


@pytest.fixture
async def bot(orchard: Orchard) -> AsyncIterator[OrchardBot]:
    async def at_once() -> None: ...

    channels = Channels()
    desk = Desk(
        core=orchard.commands,
        channels=channels,
        completion=Completion(orchard.commands, orchard.clock),
        guild_id=lambda: dpytest.get_config().guilds[0].id,
    )
    bot = OrchardBot(desk, Counter(desk), guild_id=None, before_identify=at_once)
    await bot._async_setup_hook()
    await bot.setup_hook()
    # dpytest finds people in the cache, which the bot itself does without.
    bot._connection._intents.members = True
    bot._connection.member_cache_flags = discord.MemberCacheFlags.from_intents(bot.intents)
    dpytest.configure(bot, guilds=1, text_channels=["general", SHOP_CHANNEL], members=1)
    channels.shop_id = dpytest.get_config().channels[1].id
    yield bot
    await dpytest.empty_queue()
    bot.ws = None  # type: ignore[assignment]  # dpytest's own cannot be closed
    await bot.close()


Say = Callable[..., Awaitable[str]]


@pytest.fixture
def say(bot: OrchardBot) -> Say:
    """Types a command with the bot's mention as prefix; what the bot answers."""

    async def say(text: str, *, channel: str = "general") -> str:
        assert bot.user is not None
        place = {"general": 0, SHOP_CHANNEL: 1}[channel]
        with contextlib.suppress(discord.DiscordException):  # raised again after the edge has answered it
            await dpytest.message(f"<@{bot.user.id}> {text}", channel=place)
        return said(dpytest.get_message())

    return say


def said(message: discord.Message) -> str:
    [embed] = message.embeds
    return "\n".join([embed.title or "", embed.description or "", *(str(f.value) for f in embed.fields)])


async def test_a_story_is_added_planned_and_started(say: Say, orchard: Orchard) -> None:
    added = await say('backlog add_story "Add a basket" "for fruit" "holds; counts" high shop')
    assert "shop-1" in added
    story = (await orchard.commands.story("shop-1")).view.story
    assert (story.title, story.body, story.priority) == ("Add a basket", "for fruit", Priority.HIGH)
    assert story.acceptance_criteria == ("holds", "counts")
    assert "Planned" in await say('sprint plan "" "sell fruit" shop')
    assert "Started" in await say("sprint start shop")
    assert (await orchard.commands.workflow("shop")).state is WorkflowState.SPRINT_ACTIVE


async def test_in_its_channel_the_project_is_implied(say: Say) -> None:
    assert "shop: IDLE" in await say("state", channel=SHOP_CHANNEL)
    assert "shop-1" in await say('backlog add_story "Add"', channel=SHOP_CHANNEL)
    assert "shop-1" in await say("backlog view", channel=SHOP_CHANNEL)


async def test_projects_and_status(say: Say) -> None:
    assert "**shop** · active" in await say("project_list")
    assert "is paused" in await say("project_stop shop")
    assert "1 projects" in await say("global_status")


async def test_a_project_is_put_away_when_it_was_said_twice(
    say: Say, bot: OrchardBot, orchard: Orchard
) -> None:
    assert "is maintenance" in await say("project_maintain shop")
    asked = await say("project_archive shop")
    assert "Archive shop?" in asked
    assert (await orchard.commands.project("shop")).project.status is ProjectStatus.MAINTENANCE
    made = project_archived(await orchard.commands.archive_project("shop", actor="cli"))
    assert "is archived" in made.cards[0].title
    assert "is archived already" in await say("project_archive shop")
    assert "it cannot start" in await say("project_start shop")
    assert "is paused" in await say("project_reopen shop")


async def test_words_with_spaces_need_no_quotes_at_the_end(say: Say, orchard: Orchard) -> None:
    story = await orchard.running_story()
    await orchard.block(story)
    assert "use a set" in await say(f"suggest_fix {story.id} use a set")
    assert "too hard" in await say(f"skip_task {story.id} too hard")


async def test_the_names_of_the_shell_work_as_text(say: Say) -> None:
    assert "1 projects" in await say("status")
    assert "**shop** · active" in await say("projects")
    assert "nowhere" in await say("register cart /nowhere/at/all")
    assert "/nowhere/at/all" in await say("discover /nowhere/at/all")
    assert "is paused" in await say("stop shop")


async def test_an_epic_needs_no_quotes_in_the_channel(say: Say, orchard: Orchard) -> None:
    assert "shop-e1 is being designed" in await say("epic a shop for fruit", channel=SHOP_CHANNEL)
    assert (await orchard.commands.epic("shop-e1")).epic.text == "a shop for fruit"
    assert "nothing is proposed" in (await say("approve ALL", channel=SHOP_CHANNEL)).lower()


async def test_a_story_is_led_through_its_phases(say: Say, orchard: Orchard) -> None:
    story = await orchard.running_story()
    assert "runs one phase, then stops" in await say(f"tdd next {story.id.upper()}")
    assert "is steered" in await say(f"story steer {story.id} use a set")
    assert "design" in await say(f"tdd code {story.id} now please")
    assert story.id in await say("tdd status", channel=SHOP_CHANNEL)
    assert story.id in await say("tdd overview shop")
    assert "is aborted" in await say(f"tdd abort {story.id} wrong idea")
    assert "wrong idea" in str((await orchard.commands.story_log(story.id))[-1].data)


async def test_a_story_is_edited_by_text(say: Say, orchard: Orchard) -> None:
    await orchard.commands.add_story("shop", "Basket", actor="cli")
    assert "Trolley" in await say('backlog edit shop-1 "Trolley"')
    assert "What is to be different" in await say("backlog edit shop-1")
    assert "has its place" in await say("backlog prioritize shop-1 critical top")
    assert "out of the backlog" in await say("backlog remove shop-1 not wanted any more")
    assert "No reviewed sprint" in await say("sprint history fruit")


async def test_budgets_sessions_and_agents_by_text(say: Say, orchard: Orchard) -> None:
    story = await orchard.running_story()
    assert "nothing is limited" in await say("budget")
    assert "Budget of shop\n" in await say("budget", channel=SHOP_CHANNEL)
    assert "Budget of shop-1\n" in await say(f"budget {story.id}")
    assert "No agent has had a session here yet" in await say("session", channel=SHOP_CHANNEL)
    assert "No agent has worked on shop-1 yet" in await say(f"session {story.id}")
    assert "Not installed" in await say("agents")


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("state", "Which project?"),
        ("budget dance", "There is no project"),
        ("budget raise 5 dollars day shop", "has no such limit"),
        ("budget raise five dollars day", "no amount"),
        ("budget raise 5 pounds", "dollars, tokens, turns, minutes"),
        ("budget raise 5 turns week", "day, story, project"),
        ("session dance", "no session 'dance'"),
        ("session search", "words"),
        ("session fork shop-1", "story"),
        ("tdd next", "Which story?"),
        ("tdd dance", "start, status, design"),
        ("story", "show, stop, steer"),
        ("tdd next shop-77", "shop-77"),
        ("tdd next basket", "no story 'basket'"),
        ("tdd abort shop-1", "reason"),
        ("backlog add_story x y z low shop 1001", "1000"),
        ("sprint review 0 shop", "1"),
        ("approve", "Which project?"),
        ("sprint start shop", "not possible now"),
        ("backlog", "view, edit"),
        ("sprint", "plan, start, status"),
        ("backlog add_story", "title"),
        ('backlog add_story "x" "" "" urgent shop', "critical, high, normal, low"),
        ('backlog add_story "unclosed', "Put texts with spaces in quotes"),
        ("dance", "do not know that command"),
        ("state nowhere", "nowhere"),
    ],
)
async def test_what_goes_wrong_is_said_in_a_sentence(say: Say, typed: str, told: str) -> None:
    assert told in await say(typed)


def test_every_command_has_an_access_rule(bot: OrchardBot) -> None:
    names = {command.qualified_name for command in bot.walk_commands()}
    assert names <= set(RIGHTS)
    assert {name.split()[0] for name in names} == {command.name for command in bot.tree.get_commands()}


def test_every_slash_command_fits_discords_limits(bot: OrchardBot) -> None:
    commands = [command.to_dict(bot.tree) for command in bot.tree.get_commands()]
    assert len(commands) <= 100

    def check(entry: dict[str, object]) -> None:
        assert 1 <= len(str(entry["description"])) <= 100
        assert entry["description"] != "…"
        options = entry.get("options", [])
        assert isinstance(options, list)
        assert len(options) <= 25
        for option in options:
            check(option)

    for command in commands:
        check(command)

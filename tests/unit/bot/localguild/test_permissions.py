"""How roles and overwrites add up, as https://docs.discord.com/developers/topics/permissions has it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from bot.localguild.guild import Guild
from bot.localguild.model import Channel, ChannelType, Member, Overwrite, Role, ThreadDetails, User
from bot.localguild.permissions import EVERYTHING, NOTHING, Permission

NOW = datetime(2026, 11, 21, tzinfo=UTC)
GUILD, OWNER, BOT, ANN, ROLE, CHANNEL = 1, 2, 3, 4, 5, 6
VIEW, SEND, IN_THREADS = (
    Permission.VIEW_CHANNEL,
    Permission.SEND_MESSAGES,
    Permission.SEND_MESSAGES_IN_THREADS,
)


@pytest.fixture
def guild() -> Guild:
    bot = User(id=BOT, username="bot", bot=True)
    guild = Guild(guild_id=GUILD, name="g", owner_id=OWNER, application_id=BOT, bot=bot)
    guild.roles = {
        GUILD: Role(id=GUILD, name="@everyone", permissions=VIEW),
        ROLE: Role(id=ROLE, name="writer", permissions=SEND, position=1),
    }
    for user_id, roles in ((OWNER, []), (ANN, [ROLE])):
        user = User(id=user_id, username=str(user_id))
        guild.members[user_id] = Member(user=user, joined_at=NOW, roles=roles)
    return guild


@pytest.fixture
def channel(guild: Guild) -> Channel:
    guild.channels[CHANNEL] = Channel(id=CHANNEL, type=ChannelType.GUILD_TEXT, guild_id=GUILD)
    return guild.channels[CHANNEL]


def _overwrite(
    channel: Channel, of: int, kind: int, *, allow: Permission = NOTHING, deny: Permission = NOTHING
) -> None:
    channel.overwrites[of] = Overwrite(id=of, type=kind, allow=allow, deny=deny)


def test_roles_add_up(guild: Guild, channel: Channel) -> None:
    assert guild.permissions(ANN, channel) == VIEW | SEND
    assert guild.permissions(OWNER, channel) == EVERYTHING
    assert guild.permissions(99, channel) == NOTHING


def test_a_role_overrides_everyone_and_a_member_overrides_the_role(guild: Guild, channel: Channel) -> None:
    _overwrite(channel, GUILD, 0, deny=SEND)
    assert guild.permissions(ANN, channel) == VIEW
    _overwrite(channel, ROLE, 0, allow=SEND)
    assert guild.permissions(ANN, channel) == VIEW | SEND
    _overwrite(channel, ANN, 1, deny=SEND)
    assert guild.permissions(ANN, channel) == VIEW


def test_without_seeing_there_is_nothing(guild: Guild, channel: Channel) -> None:
    _overwrite(channel, GUILD, 0, deny=VIEW)
    assert guild.permissions(ANN, channel) == NOTHING
    assert guild.permissions(OWNER, channel) == EVERYTHING


def test_an_administrator_ignores_overwrites(guild: Guild, channel: Channel) -> None:
    guild.roles[ROLE].permissions = Permission.ADMINISTRATOR
    _overwrite(channel, ANN, 1, deny=VIEW)
    assert guild.permissions(ANN, channel) == EVERYTHING


def test_a_thread_follows_its_parent_and_has_a_right_of_its_own(guild: Guild, channel: Channel) -> None:
    details = ThreadDetails(owner_id=OWNER, created_at=NOW, archive_changed_at=NOW, auto_archive_minutes=60)
    thread = Channel(id=7, type=ChannelType.PUBLIC_THREAD, guild_id=GUILD, parent_id=CHANNEL, thread=details)
    assert SEND not in guild.permissions(ANN, thread)
    _overwrite(channel, ROLE, 0, allow=IN_THREADS)
    assert SEND in guild.permissions(ANN, thread)
    thread.type = ChannelType.PRIVATE_THREAD
    assert guild.permissions(ANN, thread) == NOTHING
    details.members[ANN] = NOW
    assert SEND in guild.permissions(ANN, thread)

"""Who may do what: Discord's permission bits, and how roles and overwrites add up. Pure."""

from __future__ import annotations

from enum import IntFlag
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bot.localguild.guild import Guild
    from bot.localguild.model import Channel, Overwrite


class Permission(IntFlag):
    """Bits from https://docs.discord.com/developers/topics/permissions."""

    CREATE_INSTANT_INVITE = 1 << 0
    KICK_MEMBERS = 1 << 1
    BAN_MEMBERS = 1 << 2
    ADMINISTRATOR = 1 << 3
    MANAGE_CHANNELS = 1 << 4
    MANAGE_GUILD = 1 << 5
    ADD_REACTIONS = 1 << 6
    VIEW_AUDIT_LOG = 1 << 7
    VIEW_CHANNEL = 1 << 10
    SEND_MESSAGES = 1 << 11
    SEND_TTS_MESSAGES = 1 << 12
    MANAGE_MESSAGES = 1 << 13
    EMBED_LINKS = 1 << 14
    ATTACH_FILES = 1 << 15
    READ_MESSAGE_HISTORY = 1 << 16
    MENTION_EVERYONE = 1 << 17
    USE_EXTERNAL_EMOJIS = 1 << 18
    CONNECT = 1 << 20
    SPEAK = 1 << 21
    USE_VAD = 1 << 25
    CHANGE_NICKNAME = 1 << 26
    MANAGE_NICKNAMES = 1 << 27
    MANAGE_ROLES = 1 << 28
    MANAGE_WEBHOOKS = 1 << 29
    USE_APPLICATION_COMMANDS = 1 << 31
    MANAGE_THREADS = 1 << 34
    CREATE_PUBLIC_THREADS = 1 << 35
    CREATE_PRIVATE_THREADS = 1 << 36
    USE_EXTERNAL_STICKERS = 1 << 37
    SEND_MESSAGES_IN_THREADS = 1 << 38
    MODERATE_MEMBERS = 1 << 40
    SEND_POLLS = 1 << 49
    PIN_MESSAGES = 1 << 51


P = Permission
NOTHING = P(0)
EVERYTHING = P((1 << 52) - 1)

EVERYONE_DEFAULT = (
    P.VIEW_CHANNEL
    | P.SEND_MESSAGES
    | P.EMBED_LINKS
    | P.ATTACH_FILES
    | P.READ_MESSAGE_HISTORY
    | P.ADD_REACTIONS
    | P.CHANGE_NICKNAME
    | P.USE_APPLICATION_COMMANDS
    | P.CREATE_PUBLIC_THREADS
    | P.CREATE_PRIVATE_THREADS
    | P.SEND_MESSAGES_IN_THREADS
)

# What an invitation link for such a bot asks for; no ADMINISTRATOR, so that a missing right shows.
BOT_DEFAULT = (
    EVERYONE_DEFAULT
    | P.MANAGE_CHANNELS
    | P.MANAGE_MESSAGES
    | P.MANAGE_ROLES
    | P.MANAGE_THREADS
    | P.MENTION_EVERYONE
    | P.PIN_MESSAGES
)


def permissions_in_guild(guild: Guild, user_id: int) -> Permission:
    """The member's rights before any channel's overwrites; NOTHING for someone who is no member."""
    member = guild.members.get(user_id)
    if member is None:
        return NOTHING
    if user_id == guild.owner_id:
        return EVERYTHING
    granted = guild.roles[guild.id].permissions
    for role_id in member.roles:
        granted |= guild.roles[role_id].permissions
    return EVERYTHING if P.ADMINISTRATOR in granted else granted


def permissions_in_channel(guild: Guild, user_id: int, channel: Channel) -> Permission:
    """The member's rights in a channel, a thread (its parent's overwrites count) or a direct conversation."""
    if channel.guild_id is None:
        return EVERYONE_DEFAULT if user_id in channel.recipients else NOTHING
    granted = permissions_in_guild(guild, user_id)
    if granted in (NOTHING, EVERYTHING):
        return granted
    holder = guild.channels.get(channel.parent_id or 0, channel) if channel.is_thread else channel
    granted = _with_overwrites(guild, user_id, granted, holder.overwrites)
    if P.VIEW_CHANNEL not in granted:
        return NOTHING
    if (
        channel.is_private_thread
        and channel.thread is not None
        and user_id not in channel.thread.members
        and P.MANAGE_THREADS not in granted
    ):
        return NOTHING
    if channel.is_thread and P.SEND_MESSAGES_IN_THREADS in granted:
        return granted | P.SEND_MESSAGES
    if channel.is_thread:
        return granted & ~P.SEND_MESSAGES
    return granted


def _with_overwrites(
    guild: Guild, user_id: int, granted: Permission, overwrites: dict[int, Overwrite]
) -> Permission:
    everyone = overwrites.get(guild.id)
    if everyone is not None:
        granted = (granted & ~everyone.deny) | everyone.allow
    allow = deny = NOTHING
    for role_id in guild.members[user_id].roles:
        if role_id in overwrites:
            allow |= overwrites[role_id].allow
            deny |= overwrites[role_id].deny
    granted = (granted & ~deny) | allow
    own = overwrites.get(user_id)
    return granted if own is None else (granted & ~own.deny) | own.allow

"""Making and changing channels and categories, and telling everyone."""

from __future__ import annotations

import re

from bot.localguild import payloads
from bot.localguild.errors import ApiError, refusal
from bot.localguild.forms import Reader
from bot.localguild.model import (
    Channel,
    ChannelType,
    Json,
    Overwrite,
)
from bot.localguild.permissions import Permission
from bot.localguild.threads import ARCHIVE_MINUTES, MAX_NAME, MAX_SLOWMODE_SECONDS, edit_thread
from bot.localguild.world import World

_CREATABLE = (
    ChannelType.GUILD_TEXT,
    ChannelType.GUILD_VOICE,
    ChannelType.GUILD_CATEGORY,
    ChannelType.GUILD_ANNOUNCEMENT,
)
_LOWERED = (ChannelType.GUILD_TEXT, ChannelType.GUILD_ANNOUNCEMENT)
MAX_TOPIC = 1024


def text_channel_name(name: str) -> str:
    """How Discord writes the name of a text channel: small letters, dashes for blanks."""
    return re.sub(r"\s+", "-", name.strip()).lower()


def create_channel(world: World, by: int, form: Reader) -> Channel:
    """A new channel or category from a body. Raises ApiError."""
    world.guild.require(by, Permission.MANAGE_CHANNELS)
    kind = ChannelType(form.choice("type", [int(one) for one in _CREATABLE]))
    name = form.text("name", minimum=1, maximum=MAX_NAME, required=True)
    topic = form.text("topic", maximum=MAX_TOPIC)
    parent_id = _read_parent(world, form, kind)
    slowmode = form.integer("rate_limit_per_user", minimum=0, maximum=MAX_SLOWMODE_SECONDS)
    archive = form.choice("default_auto_archive_duration", ARCHIVE_MINUTES)
    overwrites = read_overwrites(form)
    position = form.integer("position", minimum=0, default=-1)
    form.problems.raise_if_any()
    _check_grants(world, by, overwrites)
    if len(world.guild.guild_channels) >= world.settings.max_guild_channels:
        raise refusal(30013)
    channel = Channel(
        id=world.snowflakes.new(),
        type=kind,
        name=text_channel_name(name) if kind in _LOWERED else name.strip(),
        guild_id=world.guild.id,
        parent_id=parent_id,
        position=_next_position(world, kind) if position < 0 else position,
        topic=topic or None,
        nsfw=form.boolean("nsfw"),
        slowmode_seconds=slowmode,
        default_auto_archive_minutes=archive if form.given("default_auto_archive_duration") else None,
        overwrites=overwrites if form.given("permission_overwrites") else _inherited(world, parent_id),
    )
    world.guild.channels[channel.id] = channel
    world.announce("CHANNEL_CREATE", _shown(world, channel), channel=channel)
    return channel


def _shown(world: World, channel: Channel) -> Json:
    return payloads.channel(world.guild, channel, viewer_id=world.bot_id)


def _inherited(world: World, parent_id: int | None) -> dict[int, Overwrite]:
    parent = world.guild.channels.get(parent_id or 0)
    if parent is None:
        return {}
    return {
        one.id: Overwrite(id=one.id, type=one.type, allow=one.allow, deny=one.deny)
        for one in parent.overwrites.values()
    }


def _next_position(world: World, kind: ChannelType) -> int:
    is_category = kind is ChannelType.GUILD_CATEGORY
    taken = [
        one.position
        for one in world.guild.guild_channels
        if (one.type is ChannelType.GUILD_CATEGORY) == is_category
    ]
    return max(taken, default=-1) + 1


def _read_parent(world: World, form: Reader, kind: ChannelType) -> int | None:
    parent_id = form.snowflake("parent_id")
    if parent_id is None:
        return None
    parent = world.guild.channels.get(parent_id)
    if parent is None:
        form.fail(("parent_id",), "CHANNEL_PARENT_INVALID", "Category does not exist")
    elif parent.type is not ChannelType.GUILD_CATEGORY or kind is ChannelType.GUILD_CATEGORY:
        form.fail(("parent_id",), "CHANNEL_PARENT_INVALID_TYPE", "Not a category")
    elif _children(world, parent_id) >= world.settings.max_category_channels:
        message = f"Maximum number of channels in category reached ({world.settings.max_category_channels})"
        form.fail(("parent_id",), "CHANNEL_PARENT_MAX_CHANNELS", message)
    return parent_id


def _children(world: World, parent_id: int) -> int:
    return sum(one.parent_id == parent_id for one in world.guild.guild_channels)


def read_overwrites(form: Reader) -> dict[int, Overwrite]:
    found = {}
    for one in form.objects("permission_overwrites"):
        overwrite_id = one.snowflake("id", required=True)
        if overwrite_id is not None:
            found[overwrite_id] = read_overwrite(one, overwrite_id)
    return found


def read_overwrite(one: Reader, overwrite_id: int) -> Overwrite:
    return Overwrite(
        id=overwrite_id,
        type=one.choice("type", (0, 1), required=True),
        allow=Permission(one.integer("allow", minimum=0)),
        deny=Permission(one.integer("deny", minimum=0)),
    )


def _check_grants(world: World, by: int, overwrites: dict[int, Overwrite]) -> None:
    """Only rights that one has oneself can be given or taken in a channel."""
    if not overwrites:
        return
    own = world.guild.permissions(by)
    for one in overwrites.values():
        if (one.allow | one.deny) & ~own:
            raise refusal(50013)


def set_overwrite(world: World, by: int, channel: Channel, overwrite: Overwrite) -> None:
    world.guild.require(by, Permission.MANAGE_ROLES, channel)
    _check_grants(world, by, {overwrite.id: overwrite})
    channel.overwrites[overwrite.id] = overwrite
    world.announce("CHANNEL_UPDATE", _shown(world, channel), channel=channel)


def drop_overwrite(world: World, by: int, channel: Channel, overwrite_id: int) -> None:
    world.guild.require(by, Permission.MANAGE_ROLES, channel)
    if channel.overwrites.pop(overwrite_id, None) is None:
        raise refusal(10009)
    world.announce("CHANNEL_UPDATE", _shown(world, channel), channel=channel)


def edit_channel(world: World, by: int, channel: Channel, form: Reader) -> None:
    """Change what the body names. Raises ApiError, among them the 429 of the third rename."""
    if channel.guild_id is None:
        raise refusal(50003)
    if channel.is_thread:
        _check_renames(world, channel, form)
        edit_thread(world, by, channel, form)
        return
    world.guild.require(by, Permission.MANAGE_CHANNELS, channel)
    name = form.text("name", minimum=1, maximum=MAX_NAME) if form.given("name") else channel.name
    topic = form.text("topic", maximum=MAX_TOPIC)
    moves = form.has("parent_id") and form.snowflake("parent_id") != channel.parent_id
    parent_id = _read_parent(world, form, channel.type) if moves else channel.parent_id
    slowmode = form.integer("rate_limit_per_user", minimum=0, maximum=MAX_SLOWMODE_SECONDS)
    overwrites = read_overwrites(form)
    position = form.integer("position", minimum=0)
    archive = form.choice("default_auto_archive_duration", ARCHIVE_MINUTES)
    form.problems.raise_if_any()
    if form.given("permission_overwrites"):
        _check_grants(world, by, overwrites)
    _check_renames(world, channel, form)
    channel.name = text_channel_name(name) if channel.type in _LOWERED else name.strip()
    channel.topic = (topic or None) if form.has("topic") else channel.topic
    channel.parent_id = parent_id
    channel.nsfw = form.boolean("nsfw", default=channel.nsfw)
    if form.given("rate_limit_per_user"):
        channel.slowmode_seconds = slowmode
    if form.given("permission_overwrites"):
        channel.overwrites = overwrites
    if form.given("position"):
        channel.position = position
    if form.given("default_auto_archive_duration"):
        channel.default_auto_archive_minutes = archive
    world.announce("CHANNEL_UPDATE", _shown(world, channel), channel=channel)


def _check_renames(world: World, channel: Channel, form: Reader) -> None:
    """Two changes of name or topic in ten minutes: a limit that Discord's headers do not show."""
    if not (form.has("name") or form.has("topic")):
        return
    wait = world.rates.take_rename(channel.id)
    if wait is not None:
        raise ApiError(
            429,
            0,
            "You are being rate limited.",
            headers={"Retry-After": str(int(wait) + 1), "X-RateLimit-Scope": "shared", "Via": "1.1 google"},
            extra={"retry_after": wait, "global": False},
        )


def delete_channel(world: World, by: int, channel: Channel) -> None:
    if channel.guild_id is None:
        return  # a bot that closes a direct conversation only hides it
    needed = Permission.MANAGE_THREADS if channel.is_thread else Permission.MANAGE_CHANNELS
    world.guild.require(by, needed, channel)
    remove_channel(world, channel)


def remove_channel(world: World, channel: Channel) -> None:
    data = _shown(world, channel)
    for child in world.guild.threads_of(channel.id):
        del world.guild.channels[child.id]
    del world.guild.channels[channel.id]
    if channel.is_thread:
        gone = {key: data[key] for key in ("id", "guild_id", "parent_id", "type")}
        world.announce("THREAD_DELETE", gone, channel=channel)
        return
    world.announce("CHANNEL_DELETE", data, channel=channel)
    if channel.type is ChannelType.GUILD_CATEGORY:
        for one in world.guild.guild_channels:
            if one.parent_id == channel.id:
                one.parent_id = None
                world.announce("CHANNEL_UPDATE", _shown(world, one), channel=one)


def direct_conversation(world: World, first: int, second: int) -> Channel:
    """The direct conversation of two users, opened if need be."""
    channel = world.guild.direct_channel(first, second)
    if channel is None:
        channel = Channel(id=world.snowflakes.new(), type=ChannelType.DM, recipients=[first, second])
        world.guild.channels[channel.id] = channel
        world.announce("CHANNEL_CREATE", _shown(world, channel), channel=channel, for_bot=False)
    return channel

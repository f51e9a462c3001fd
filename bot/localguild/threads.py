"""Starting, changing, joining and leaving threads, and telling everyone."""

from __future__ import annotations

from bot.localguild import payloads
from bot.localguild.drafts import Draft
from bot.localguild.errors import refusal
from bot.localguild.forms import Reader
from bot.localguild.model import (
    THREAD_TYPES,
    Channel,
    ChannelType,
    Json,
    Message,
    MessageFlag,
    MessageType,
    ThreadDetails,
    User,
)
from bot.localguild.permissions import Permission
from bot.localguild.posts import post
from bot.localguild.world import World

ARCHIVE_MINUTES = (60, 1440, 4320, 10080)
MAX_NAME, MAX_SLOWMODE_SECONDS = 100, 21600
_DEFAULT_ARCHIVE_MINUTES = 4320


def edit_thread(world: World, by: int, channel: Channel, form: Reader) -> None:
    """Change what the body names; the caller has counted a rename."""
    details = channel.thread
    assert details is not None
    granted = world.guild.permissions(by, channel)
    may_manage = Permission.MANAGE_THREADS in granted
    locks = form.has("locked") and form.boolean("locked") != details.locked
    if not may_manage and (locks or by != details.owner_id):
        raise refusal(50013)
    name = form.text("name", minimum=1, maximum=MAX_NAME) if form.given("name") else channel.name
    minutes = form.choice("auto_archive_duration", ARCHIVE_MINUTES, default=details.auto_archive_minutes)
    slowmode = form.integer("rate_limit_per_user", minimum=0, maximum=MAX_SLOWMODE_SECONDS)
    archived = form.boolean("archived", default=details.archived)
    form.problems.raise_if_any()
    others = set(form.body) - {"archived", "locked"}
    if details.archived and archived and others:
        raise refusal(50083)
    channel.name = name.strip()
    details.auto_archive_minutes = minutes
    if form.given("rate_limit_per_user"):
        channel.slowmode_seconds = slowmode
    if archived != details.archived:
        _check_active_threads(world, archived)
        details.archived, details.archive_changed_at = archived, world.now()
    details.locked = form.boolean("locked", default=details.locked)
    details.invitable = form.boolean("invitable", default=details.invitable)
    world.announce("THREAD_UPDATE", payloads.thread(channel, viewer_id=world.bot_id), channel=channel)


def _check_active_threads(world: World, archived: bool) -> None:
    active = sum(one.thread is not None and not one.thread.archived for one in world.guild.threads)
    if not archived and active >= world.settings.max_active_threads:
        raise refusal(160006)


def start_thread(
    world: World, by: User, parent: Channel, form: Reader, *, message: Message | None = None
) -> Channel:
    """A thread on a message (it takes the message's id), or one without."""
    if parent.type not in (ChannelType.GUILD_TEXT, ChannelType.GUILD_ANNOUNCEMENT):
        raise refusal(50024)
    kind = _thread_kind(parent, form, message)
    private = kind is ChannelType.PRIVATE_THREAD
    right = Permission.CREATE_PRIVATE_THREADS if private else Permission.CREATE_PUBLIC_THREADS
    world.guild.require(by.id, right, parent)
    name = form.text("name", minimum=1, maximum=MAX_NAME, required=True)
    default = parent.default_auto_archive_minutes or _DEFAULT_ARCHIVE_MINUTES
    minutes = form.choice("auto_archive_duration", ARCHIVE_MINUTES, default=default)
    slowmode = form.integer("rate_limit_per_user", minimum=0, maximum=MAX_SLOWMODE_SECONDS)
    form.problems.raise_if_any()
    if message is not None and message.thread_id is not None:
        raise refusal(160004)
    _check_active_threads(world, archived=False)
    now = world.now()
    thread = Channel(
        id=message.id if message else world.snowflakes.new(),
        type=kind,
        name=name.strip(),
        guild_id=world.guild.id,
        parent_id=parent.id,
        slowmode_seconds=slowmode,
        thread=ThreadDetails(
            owner_id=by.id,
            created_at=now,
            archive_changed_at=now,
            auto_archive_minutes=minutes,
            invitable=form.boolean("invitable", default=True),
            members={by.id: now},
        ),
    )
    world.guild.channels[thread.id] = thread
    data = {**payloads.thread(thread, viewer_id=world.bot_id), "newly_created": True}
    world.announce("THREAD_CREATE", data, channel=thread)
    _announce_start(world, by, parent, thread, message)
    return thread


def _thread_kind(parent: Channel, form: Reader, message: Message | None) -> ChannelType:
    public = (
        ChannelType.PUBLIC_THREAD
        if parent.type is ChannelType.GUILD_TEXT
        else ChannelType.ANNOUNCEMENT_THREAD
    )
    if message is not None:
        return public
    choices = [int(one) for one in THREAD_TYPES]
    # Discord's documents: without a type this end point makes a private thread, for historic reasons
    return ChannelType(form.choice("type", choices, default=ChannelType.PRIVATE_THREAD))


def _announce_start(
    world: World, by: User, parent: Channel, thread: Channel, message: Message | None
) -> None:
    place = {"type": 0, "channel_id": str(thread.id), "guild_id": str(world.guild.id)}
    if message is None:
        if not thread.is_private_thread:
            said = Draft(content=thread.name, given=frozenset({"content"}))
            post(world, parent, by, said, message_type=MessageType.THREAD_CREATED, reference=place)
        return
    message.thread_id = thread.id
    message.flags |= MessageFlag.HAS_THREAD
    world.announce_message("MESSAGE_UPDATE", message)
    start = {**place, "channel_id": str(parent.id), "message_id": str(message.id)}
    post(
        world,
        thread,
        by,
        Draft(),
        message_type=MessageType.THREAD_STARTER,
        reference=start,
        may_be_empty=True,
    )


def join_thread(world: World, thread: Channel, user_id: int) -> None:
    details = thread.thread
    if details is None:
        raise refusal(50024)
    if details.archived:
        raise refusal(50083)
    if user_id in details.members:
        return
    details.members[user_id] = world.now()
    member = payloads.thread_member(thread, user_id)
    person = {**payloads.member(world.guild.member(user_id))}
    _announce_members(world, thread, added=[{**member, "member": person, "presence": None}], removed=[])


def leave_thread(world: World, thread: Channel, user_id: int) -> None:
    details = thread.thread
    if details is None:
        raise refusal(50024)
    if details.members.pop(user_id, None) is not None:
        _announce_members(world, thread, added=[], removed=[str(user_id)])


def _announce_members(world: World, thread: Channel, *, added: list[Json], removed: list[str]) -> None:
    assert thread.thread is not None
    data: Json = {
        "id": str(thread.id),
        "guild_id": str(world.guild.id),
        "member_count": len(thread.thread.members),
    }
    if added:
        data["added_members"] = added
    if removed:
        data["removed_member_ids"] = removed
    world.announce("THREAD_MEMBERS_UPDATE", data, channel=thread)

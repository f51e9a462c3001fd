"""/channels/{id} and /guilds/{id}/channels: channels, overwrites, threads, typing."""

from __future__ import annotations

from bot.localguild import channels, payloads, threads
from bot.localguild.errors import refusal
from bot.localguild.forms import Reader
from bot.localguild.model import Channel, Json
from bot.localguild.permissions import Permission
from bot.localguild.rest.call import NO_CONTENT, Answer, Call, Route


def _shown(call: Call, channel: Channel) -> Json:
    return payloads.channel(call.world.guild, channel, viewer_id=call.by)


async def _get(call: Call) -> Answer:
    return Answer(200, _shown(call, call.channel()))


async def _edit(call: Call) -> Answer:
    channel = call.channel()
    channels.edit_channel(call.world, call.by, channel, call.form())
    return Answer(200, _shown(call, channel))


async def _delete(call: Call) -> Answer:
    channel = call.channel()
    shown = _shown(call, channel)
    channels.delete_channel(call.world, call.by, channel)
    return Answer(200, shown)


async def _guild_channels(call: Call) -> Answer:
    call.guild_id()
    return Answer(200, [_shown(call, one) for one in call.world.guild.guild_channels])


async def _create(call: Call) -> Answer:
    call.guild_id()
    return Answer(201, _shown(call, channels.create_channel(call.world, call.by, call.form())))


async def _move(call: Call) -> Answer:
    call.guild_id()
    call.world.guild.require(call.by, Permission.MANAGE_CHANNELS)
    moves = call.body if isinstance(call.body, list) else []
    for index, body in enumerate(moves):
        form = Reader(body, path=(index,))
        channel_id = form.snowflake("id", required=True)
        position = form.integer("position", minimum=0)
        form.problems.raise_if_any()
        channel = call.world.guild.channel(channel_id or 0)
        if form.given("position"):
            channel.position = position
        if form.has("parent_id"):
            channel.parent_id = form.snowflake("parent_id")
        call.world.announce("CHANNEL_UPDATE", _shown(call, channel), channel=channel)
    return NO_CONTENT


async def _set_overwrite(call: Call) -> Answer:
    channel = call.channel()
    form = call.form()
    overwrite = channels.read_overwrite(form, call.id("overwrite_id"))
    form.problems.raise_if_any()
    channels.set_overwrite(call.world, call.by, channel, overwrite)
    return NO_CONTENT


async def _drop_overwrite(call: Call) -> Answer:
    channels.drop_overwrite(call.world, call.by, call.channel(), call.id("overwrite_id"))
    return NO_CONTENT


async def _typing(call: Call) -> Answer:
    channel = call.channel()
    data: Json = {
        "channel_id": str(channel.id),
        "user_id": str(call.by),
        "timestamp": int(call.world.now().timestamp()),
    }
    if channel.guild_id is not None:
        call.world.guild.require(call.by, Permission.SEND_MESSAGES, channel)
        data["guild_id"] = str(channel.guild_id)
        data["member"] = payloads.member(call.world.guild.member(call.by))
    call.world.announce("TYPING_START", data, channel=channel)
    return NO_CONTENT


async def _thread_from_message(call: Call) -> Answer:
    channel = call.channel()
    message = call.world.guild.message(channel, call.id("message_id"), reader_id=call.by)
    thread = threads.start_thread(call.world, call.world.guild.bot, channel, call.form(), message=message)
    return Answer(201, _shown(call, thread))


async def _thread(call: Call) -> Answer:
    channel = call.channel()
    thread = threads.start_thread(call.world, call.world.guild.bot, channel, call.form())
    return Answer(201, _shown(call, thread))


async def _active_threads(call: Call) -> Answer:
    call.guild_id()
    found = [
        one
        for one in call.world.guild.threads
        if one.thread and not one.thread.archived and call.world.guild.permissions(call.by, one)
    ]
    members = [payloads.thread_member(one, call.by) for one in found if call.by in one.thread.members]  # type: ignore[union-attr]
    return Answer(
        200, {"threads": [_shown(call, one) for one in found], "members": members, "has_more": False}
    )


async def _archived_threads(call: Call) -> Answer:
    channel = call.channel()
    limit = call.query_integer("limit", minimum=2, maximum=100, default=50)
    found = [one for one in call.world.guild.threads_of(channel.id) if one.thread and one.thread.archived]
    found = [one for one in found if not one.is_private_thread]
    found.sort(key=lambda one: payloads.thread(one)["thread_metadata"]["archive_timestamp"], reverse=True)
    before = call.query.get("before")
    if before is not None:
        found = [
            one for one in found if payloads.thread(one)["thread_metadata"]["archive_timestamp"] < before
        ]
    shown = [_shown(call, one) for one in found[:limit]]
    members = [one["member"] for one in shown if "member" in one]
    return Answer(200, {"threads": shown, "members": members, "has_more": len(found) > limit})


def _thread_of(call: Call) -> Channel:
    channel = call.channel()
    if channel.thread is None:
        raise refusal(50024)
    return channel


def _user_of(call: Call) -> int:
    return call.id("user_id") if "user_id" in call.params else call.by


async def _join(call: Call) -> Answer:
    thread = _thread_of(call)
    user_id = _user_of(call)
    call.world.guild.member(user_id)
    if user_id != call.by:
        call.world.guild.require(call.by, Permission.SEND_MESSAGES, thread)
    threads.join_thread(call.world, thread, user_id)
    return NO_CONTENT


async def _leave(call: Call) -> Answer:
    thread = _thread_of(call)
    user_id = _user_of(call)
    if user_id != call.by:
        call.world.guild.require(call.by, Permission.MANAGE_THREADS, thread)
    threads.leave_thread(call.world, thread, user_id)
    return NO_CONTENT


async def _thread_members(call: Call) -> Answer:
    thread = _thread_of(call)
    assert thread.thread is not None
    return Answer(200, [payloads.thread_member(thread, one) for one in thread.thread.members])


async def _thread_member(call: Call) -> Answer:
    thread = _thread_of(call)
    assert thread.thread is not None
    if call.id("user_id") not in thread.thread.members:
        raise refusal(10007)
    return Answer(200, payloads.thread_member(thread, call.id("user_id")))


_CHANNEL = "/channels/{channel_id}"
_MEMBERS = _CHANNEL + "/thread-members"

ROUTES = (
    Route(method="GET", template=_CHANNEL, handler=_get),
    Route(method="PATCH", template=_CHANNEL, handler=_edit),
    Route(method="DELETE", template=_CHANNEL, handler=_delete),
    Route(method="GET", template="/guilds/{guild_id}/channels", handler=_guild_channels),
    Route(method="POST", template="/guilds/{guild_id}/channels", handler=_create),
    Route(method="PATCH", template="/guilds/{guild_id}/channels", handler=_move),
    Route(method="PUT", template=_CHANNEL + "/permissions/{overwrite_id}", handler=_set_overwrite),
    Route(method="DELETE", template=_CHANNEL + "/permissions/{overwrite_id}", handler=_drop_overwrite),
    Route(method="POST", template=_CHANNEL + "/typing", handler=_typing),
    Route(method="POST", template=_CHANNEL + "/messages/{message_id}/threads", handler=_thread_from_message),
    Route(method="POST", template=_CHANNEL + "/threads", handler=_thread),
    Route(method="GET", template=_CHANNEL + "/threads/archived/public", handler=_archived_threads),
    Route(method="GET", template="/guilds/{guild_id}/threads/active", handler=_active_threads),
    Route(method="GET", template=_MEMBERS, handler=_thread_members),
    Route(method="PUT", template=_MEMBERS + "/@me", handler=_join),
    Route(method="DELETE", template=_MEMBERS + "/@me", handler=_leave),
    Route(method="GET", template=_MEMBERS + "/{user_id}", handler=_thread_member),
    Route(method="PUT", template=_MEMBERS + "/{user_id}", handler=_join),
    Route(method="DELETE", template=_MEMBERS + "/{user_id}", handler=_leave),
)

"""/channels/{id}/messages: posting, reading, editing, deleting; pins and reactions."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from urllib.parse import unquote

from bot.localguild import payloads, posts
from bot.localguild.drafts import read_draft, refuse_empty
from bot.localguild.errors import refusal
from bot.localguild.intents import Intent
from bot.localguild.model import Channel, Json, Message, MessageFlag, MessageType
from bot.localguild.permissions import Permission
from bot.localguild.reactions import react, take_reaction
from bot.localguild.rest.call import NO_CONTENT, Answer, Call, Route

_BULK_MINIMUM, _BULK_MAXIMUM = 2, 100
_MAX_PINS = 50


def _shown(call: Call, message: Message) -> Json:
    """As the bot reads it: others' content only with the privileged intent, a mention, or directly."""
    payload = payloads.message(call.world.guild, message, viewer_id=call.by)
    direct = call.world.guild.channels[message.channel_id].guild_id is None
    concerns = direct or message.author.id == call.by or call.by in message.mention_users
    if concerns or Intent.MESSAGE_CONTENT in call.world.settings.privileged_intents:
        return payload
    return payloads.without_content(payload)


def _message(call: Call, channel: Channel) -> Message:
    return call.world.guild.message(channel, call.id("message_id"), reader_id=call.by)


async def _create(call: Call) -> Answer:
    channel = call.channel()
    draft = read_draft(call.body, call.uploads)
    posts.check_may_post(call.world, call.by, channel, draft)
    refuse_empty(draft)
    if MessageFlag.EPHEMERAL in draft.flags:
        draft = replace(draft, flags=draft.flags & ~MessageFlag.EPHEMERAL)
    nonce = draft.nonce
    message = posts.post(call.world, channel, call.world.guild.bot, draft)
    return Answer(200, _shown(call, message) | ({"nonce": nonce} if nonce else {}))


async def _get(call: Call) -> Answer:
    channel = call.channel()
    call.world.guild.require(call.by, Permission.READ_MESSAGE_HISTORY, _in_guild(channel))
    return Answer(200, _shown(call, _message(call, channel)))


def _in_guild(channel: Channel) -> Channel | None:
    return channel if channel.guild_id is not None else None


async def _history(call: Call) -> Answer:
    channel = call.channel()
    limit = call.query_integer("limit", minimum=1, maximum=100, default=50)
    before, after = call.query_snowflake("before"), call.query_snowflake("after")
    around = call.query_snowflake("around")
    if channel.guild_id is not None:
        granted = call.world.guild.permissions(call.by, channel)
        if Permission.READ_MESSAGE_HISTORY not in granted:
            return Answer(200, [])
    newest_first = [one for one in reversed(channel.messages.values()) if one.only_for is None]
    if before is not None:
        found = [one for one in newest_first if one.id < before][:limit]
    elif after is not None:
        found = [one for one in newest_first if one.id > after][-limit:]
    elif around is not None:
        older = [one for one in newest_first if one.id <= around][: limit // 2 + 1]
        found = [one for one in newest_first if one.id > around][-(limit // 2) :] + older
    else:
        found = newest_first[:limit]
    return Answer(200, [_shown(call, one) for one in found])


async def _edit(call: Call) -> Answer:
    channel = call.channel()
    message = _message(call, channel)
    if message.author.id != call.by:
        only_flags = set(call.body or {}) <= {"flags"}
        if not (only_flags and posts.manages_messages(call.world, call.by, channel)):
            raise refusal(50005)
    if message.type in (MessageType.THREAD_CREATED, MessageType.THREAD_STARTER):
        raise refusal(50021)
    draft = read_draft(call.body, call.uploads, existing=message.attachments, existing_flags=message.flags)
    posts.edit(call.world, message, draft)
    return Answer(200, _shown(call, message))


async def _delete(call: Call) -> Answer:
    channel = call.channel()
    message = _message(call, channel)
    if message.author.id != call.by:
        if channel.guild_id is None:
            raise refusal(50003)
        call.world.guild.require(call.by, Permission.MANAGE_MESSAGES, channel)
    posts.delete(call.world, message)
    return NO_CONTENT


async def _bulk_delete(call: Call) -> Answer:
    channel = call.channel()
    call.world.guild.require(call.by, Permission.MANAGE_MESSAGES, channel)
    form = call.form()
    ids = form.snowflakes("messages")
    form.problems.raise_if_any()
    if not _BULK_MINIMUM <= len(ids) <= _BULK_MAXIMUM:
        raise refusal(50016)
    found = [channel.messages[one] for one in ids if one in channel.messages]
    posts.delete_many(call.world, channel, found)
    return NO_CONTENT


async def _pin(call: Call) -> Answer:
    channel = call.channel()
    message = _message(call, channel)
    call.world.guild.require(call.by, Permission.PIN_MESSAGES, _in_guild(channel))
    if sum(one.pinned_at is not None for one in channel.messages.values()) >= _MAX_PINS:
        raise refusal(30003)
    message.pinned_at = call.world.now()
    _announce_pins(call, channel, message)
    return NO_CONTENT


async def _unpin(call: Call) -> Answer:
    channel = call.channel()
    message = _message(call, channel)
    call.world.guild.require(call.by, Permission.PIN_MESSAGES, _in_guild(channel))
    message.pinned_at = None
    _announce_pins(call, channel, message)
    return NO_CONTENT


def _announce_pins(call: Call, channel: Channel, message: Message) -> None:
    call.world.announce_message("MESSAGE_UPDATE", message)
    data: Json = {
        "channel_id": str(channel.id),
        "last_pin_timestamp": payloads.time_or_none(message.pinned_at),
    }
    if channel.guild_id is not None:
        data["guild_id"] = str(channel.guild_id)
    call.world.announce("CHANNEL_PINS_UPDATE", data, channel=channel)


async def _pins(call: Call) -> Answer:
    channel = call.channel()
    limit = call.query_integer("limit", minimum=1, maximum=50, default=50)
    pinned = [one for one in channel.messages.values() if one.pinned_at is not None]
    pinned.sort(key=lambda one: one.pinned_at or one.timestamp, reverse=True)
    items = [
        {"pinned_at": payloads.time_or_none(one.pinned_at), "message": _shown(call, one)}
        for one in islice(pinned, limit)
    ]
    return Answer(200, {"items": items, "has_more": len(pinned) > limit})


async def _react(call: Call) -> Answer:
    channel = call.channel()
    message = _message(call, channel)
    needed = Permission.ADD_REACTIONS | Permission.READ_MESSAGE_HISTORY
    call.world.guild.require(call.by, needed, _in_guild(channel))
    react(call.world, channel, message, _emoji(call), call.by)
    return NO_CONTENT


def _emoji(call: Call) -> str:
    emoji = unquote(call.params["emoji_name"])
    if emoji.isascii():  # custom emoji of other guilds, or plain words
        raise refusal(10014)
    return emoji


async def _unreact(call: Call) -> Answer:
    channel = call.channel()
    message = _message(call, channel)
    emoji = _emoji(call)
    own = call.params.get("user_id", str(call.by)) == str(call.by)
    if not own:
        call.world.guild.require(call.by, Permission.MANAGE_MESSAGES, channel)
    user_id = call.by if own else call.id("user_id")
    take_reaction(call.world, channel, message, emoji, user_id)
    return NO_CONTENT


async def _reactors(call: Call) -> Answer:
    message = _message(call, call.channel())
    users = message.reactions.get(_emoji(call), [])
    return Answer(200, [payloads.user(call.world.guild.users[one]) for one in users])


async def _clear_reactions(call: Call) -> Answer:
    channel = call.channel()
    message = _message(call, channel)
    call.world.guild.require(call.by, Permission.MANAGE_MESSAGES, channel)
    message.reactions.clear()
    data: Json = {"channel_id": str(channel.id), "message_id": str(message.id)}
    if channel.guild_id is not None:
        data["guild_id"] = str(channel.guild_id)
    call.world.announce("MESSAGE_REACTION_REMOVE_ALL", data, channel=channel)
    return NO_CONTENT


_MESSAGES = "/channels/{channel_id}/messages"
_ONE = "/channels/{channel_id}/messages/{message_id}"
_REACTION = _ONE + "/reactions/{emoji_name}"

ROUTES = (
    Route(method="GET", template=_MESSAGES, handler=_history),
    Route(method="POST", template=_MESSAGES, handler=_create),
    Route(method="POST", template=_MESSAGES + "/bulk-delete", handler=_bulk_delete),
    Route(method="GET", template=_MESSAGES + "/pins", handler=_pins),
    Route(method="PUT", template=_MESSAGES + "/pins/{message_id}", handler=_pin),
    Route(method="DELETE", template=_MESSAGES + "/pins/{message_id}", handler=_unpin),
    Route(method="PUT", template="/channels/{channel_id}/pins/{message_id}", handler=_pin),
    Route(method="DELETE", template="/channels/{channel_id}/pins/{message_id}", handler=_unpin),
    Route(method="GET", template=_ONE, handler=_get),
    Route(method="PATCH", template=_ONE, handler=_edit),
    Route(method="DELETE", template=_ONE, handler=_delete),
    Route(method="DELETE", template=_ONE + "/reactions", handler=_clear_reactions),
    Route(method="GET", template=_REACTION, handler=_reactors),
    Route(method="PUT", template=_REACTION + "/@me", handler=_react),
    Route(method="DELETE", template=_REACTION + "/@me", handler=_unreact),
    Route(method="DELETE", template=_REACTION + "/{user_id}", handler=_unreact),
)

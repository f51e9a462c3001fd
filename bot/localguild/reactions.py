"""Reactions on messages, by the bot and by people."""

from __future__ import annotations

from bot.localguild import payloads
from bot.localguild.errors import refusal
from bot.localguild.model import Channel, Json, Message
from bot.localguild.world import World

MAX_REACTIONS = 20  # different ones on a message


def react(world: World, channel: Channel, message: Message, emoji: str, user_id: int) -> None:
    """Add a user's reaction; one that is there already stays. Raises 30010 when there are too many."""
    if emoji not in message.reactions and len(message.reactions) >= MAX_REACTIONS:
        raise refusal(30010)
    users = message.reactions.setdefault(emoji, [])
    if user_id not in users:
        users.append(user_id)
        _announce(world, "MESSAGE_REACTION_ADD", channel, message, emoji, user_id)


def take_reaction(world: World, channel: Channel, message: Message, emoji: str, user_id: int) -> None:
    """Remove a user's reaction. Raises 10014 when there is none."""
    if user_id not in message.reactions.get(emoji, []):
        raise refusal(10014)
    message.reactions[emoji].remove(user_id)
    if not message.reactions[emoji]:
        del message.reactions[emoji]
    _announce(world, "MESSAGE_REACTION_REMOVE", channel, message, emoji, user_id)


def _announce(world: World, event: str, channel: Channel, message: Message, emoji: str, user_id: int) -> None:
    data: Json = {
        "user_id": str(user_id),
        "channel_id": str(channel.id),
        "message_id": str(message.id),
        "emoji": {"id": None, "name": emoji},
        "burst": False,
        "type": 0,
    }
    if channel.guild_id is not None:
        data["guild_id"] = str(channel.guild_id)
    if event == "MESSAGE_REACTION_ADD":
        data["message_author_id"] = str(message.author.id)
        if channel.guild_id is not None:
            data["member"] = payloads.member(world.guild.members[user_id])
    world.announce(event, data, channel=channel)

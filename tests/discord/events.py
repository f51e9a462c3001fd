"""Which of the OpenAPI description's objects the gateway's events carry, and where in the event.

The description is of REST only, but Discord sends the same objects by the gateway; discord.py ends
the whole bot over a malformed one. A path is keys joined by dots; `[]` stands for each item.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_CHANNEL = {"": "GuildChannelResponse"}
_THREAD = {"": "ThreadResponse"}
_MESSAGE = {"": "MessageResponse"}
_ROLE = {"role": "GuildRoleResponse"}

EVENT_SHAPES: Mapping[str, Mapping[str, str]] = {
    "READY": {"user": "UserResponse"},
    "GUILD_CREATE": {
        "": "GuildResponse",
        "channels.[]": "GuildChannelResponse",
        "threads.[]": "ThreadResponse",
        "members.[]": "GuildMemberResponse",
    },
    "CHANNEL_CREATE": _CHANNEL,
    "CHANNEL_UPDATE": _CHANNEL,
    "CHANNEL_DELETE": _CHANNEL,
    "THREAD_CREATE": _THREAD,
    "THREAD_UPDATE": _THREAD,
    "THREAD_MEMBERS_UPDATE": {"added_members.[]": "ThreadMemberResponse"},
    "MESSAGE_CREATE": _MESSAGE,
    "MESSAGE_UPDATE": _MESSAGE,
    "GUILD_ROLE_CREATE": _ROLE,
    "GUILD_ROLE_UPDATE": _ROLE,
    "GUILD_MEMBER_ADD": {"": "GuildMemberResponse"},
    "GUILD_MEMBERS_CHUNK": {"members.[]": "GuildMemberResponse"},
    "MESSAGE_REACTION_ADD": {"member": "GuildMemberResponse"},
    "INTERACTION_CREATE": {
        "member": "GuildMemberResponse",
        "user": "UserResponse",
        "message": "MessageResponse",
    },
}

# What discord.py reads without asking whether it is there.
NEEDED_KEYS: Mapping[str, tuple[str, ...]] = {
    "READY": ("session_id", "resume_gateway_url", "guilds", "application"),
    "GUILD_CREATE": ("joined_at", "member_count", "unavailable"),
    "MESSAGE_DELETE": ("id", "channel_id"),
    "MESSAGE_DELETE_BULK": ("ids", "channel_id"),
    "THREAD_DELETE": ("id", "guild_id", "parent_id", "type"),
    "GUILD_ROLE_DELETE": ("guild_id", "role_id"),
    "INTERACTION_CREATE": (
        "id",
        "application_id",
        "type",
        "token",
        "version",
        "channel",
        "attachment_size_limit",
        "authorizing_integration_owners",
    ),
}


def parts(data: Any, path: str) -> Iterator[Any]:
    """The values at a path; none where a key is absent."""
    head, _, rest = path.partition(".")
    if not head:
        yield data
    elif head == "[]":
        for one in data:
            yield from parts(one, rest)
    elif data.get(head) is not None:
        yield from parts(data[head], rest)

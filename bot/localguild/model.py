"""The things of a guild: people, roles, channels, threads, messages. State only; nothing here acts.

These are the server's mutable records, the counterpart of a database's rows; how they look on the
wire is `payloads`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum, IntFlag
from typing import Any

from bot.localguild.permissions import NOTHING, Permission

Json = dict[str, Any]


class ChannelType(IntEnum):
    GUILD_TEXT = 0
    DM = 1
    GUILD_VOICE = 2
    GUILD_CATEGORY = 4
    GUILD_ANNOUNCEMENT = 5
    ANNOUNCEMENT_THREAD = 10
    PUBLIC_THREAD = 11
    PRIVATE_THREAD = 12


THREAD_TYPES = (ChannelType.ANNOUNCEMENT_THREAD, ChannelType.PUBLIC_THREAD, ChannelType.PRIVATE_THREAD)


class MessageType(IntEnum):
    DEFAULT = 0
    PINNED = 6
    THREAD_CREATED = 18
    REPLY = 19
    CHAT_INPUT_COMMAND = 20
    THREAD_STARTER = 21
    CONTEXT_MENU_COMMAND = 23


class MessageFlag(IntFlag):
    NONE = 0
    SUPPRESS_EMBEDS = 1 << 2
    HAS_THREAD = 1 << 5
    EPHEMERAL = 1 << 6
    LOADING = 1 << 7
    SUPPRESS_NOTIFICATIONS = 1 << 12
    COMPONENTS_V2 = 1 << 15


@dataclass(slots=True, kw_only=True)
class User:
    id: int
    username: str
    global_name: str | None = None
    bot: bool = False


@dataclass(slots=True, kw_only=True)
class Role:
    id: int
    name: str
    permissions: Permission = NOTHING
    position: int = 0
    color: int = 0
    hoist: bool = False
    mentionable: bool = False
    managed: bool = False
    bot_id: int | None = None


@dataclass(slots=True, kw_only=True)
class Member:
    user: User
    joined_at: datetime
    roles: list[int] = field(default_factory=list)
    nick: str | None = None


@dataclass(slots=True, kw_only=True)
class Overwrite:
    id: int
    type: int  # 0 a role, 1 a member
    allow: Permission = NOTHING
    deny: Permission = NOTHING


@dataclass(slots=True, kw_only=True)
class ThreadDetails:
    owner_id: int
    created_at: datetime
    archive_changed_at: datetime
    auto_archive_minutes: int
    archived: bool = False
    locked: bool = False
    invitable: bool = True
    members: dict[int, datetime] = field(default_factory=dict)
    message_count: int = 0
    total_message_sent: int = 0


@dataclass(slots=True, kw_only=True)
class Attachment:
    id: int
    filename: str
    content: bytes
    content_type: str
    url: str
    description: str | None = None
    title: str | None = None
    ephemeral: bool = False


@dataclass(slots=True, kw_only=True)
class Message:
    id: int
    channel_id: int
    author: User
    type: MessageType
    timestamp: datetime
    content: str = ""
    embeds: list[Json] = field(default_factory=list)
    components: list[Json] = field(default_factory=list)
    attachments: list[Attachment] = field(default_factory=list)
    flags: MessageFlag = MessageFlag.NONE
    mention_users: list[int] = field(default_factory=list)
    mention_roles: list[int] = field(default_factory=list)
    mention_everyone: bool = False
    tts: bool = False
    edited_at: datetime | None = None
    pinned_at: datetime | None = None
    nonce: str | None = None
    reference: Json | None = None  # {type, channel_id, guild_id, message_id}
    reactions: dict[str, list[int]] = field(default_factory=dict)
    thread_id: int | None = None
    webhook_id: int | None = None
    interaction: Json | None = None  # {id, type, name, user}: the old form, still sent
    interaction_metadata: Json | None = None
    only_for: int | None = None  # the one person who sees an ephemeral message


@dataclass(slots=True, kw_only=True)
class Channel:
    id: int
    type: ChannelType
    name: str = ""
    guild_id: int | None = None
    parent_id: int | None = None
    position: int = 0
    topic: str | None = None
    nsfw: bool = False
    slowmode_seconds: int = 0
    default_auto_archive_minutes: int | None = None
    overwrites: dict[int, Overwrite] = field(default_factory=dict)
    recipients: list[int] = field(default_factory=list)  # of a direct conversation, the bot included
    thread: ThreadDetails | None = None
    last_message_id: int | None = None
    messages: dict[int, Message] = field(default_factory=dict)  # oldest first

    @property
    def is_thread(self) -> bool:
        return self.type in THREAD_TYPES

    @property
    def is_private_thread(self) -> bool:
        return self.type is ChannelType.PRIVATE_THREAD

    @property
    def holds_messages(self) -> bool:
        return self.type is not ChannelType.GUILD_CATEGORY

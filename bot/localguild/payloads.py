"""How state looks on the wire: Discord's objects as JSON. Pure.

The shapes follow Discord's OpenAPI description (required keys always present, ids as strings) and
add what only gateway events carry (`guild_id`, `member`).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from bot.localguild.guild import Guild
from bot.localguild.model import (
    Attachment,
    Channel,
    ChannelType,
    Json,
    Member,
    Message,
    MessageFlag,
    MessageType,
    Role,
    User,
)

_SORTED_TYPES_WITHOUT_TOPIC = (ChannelType.GUILD_CATEGORY,)


def time(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def time_or_none(moment: datetime | None) -> str | None:
    return None if moment is None else time(moment)


def text_or_none(snowflake: int | None) -> str | None:
    return None if snowflake is None else str(snowflake)


def user(one: User) -> Json:
    return {
        "id": str(one.id),
        "username": one.username,
        "avatar": None,
        "discriminator": "0000" if one.bot else "0",
        "public_flags": 0,
        "flags": 0,
        "bot": one.bot,
        "banner": None,
        "accent_color": None,
        "global_name": one.global_name,
        "avatar_decoration_data": None,
        "collectibles": None,
        "primary_guild": None,
    }


def own_user(one: User) -> Json:
    return {**user(one), "mfa_enabled": True, "locale": "en-US", "verified": True, "email": None}


def member(one: Member, *, with_user: bool = True) -> Json:
    payload: Json = {
        "avatar": None,
        "banner": None,
        "communication_disabled_until": None,
        "flags": 0,
        "joined_at": time(one.joined_at),
        "nick": one.nick,
        "pending": False,
        "premium_since": None,
        "roles": [str(role_id) for role_id in one.roles],
        "mute": False,
        "deaf": False,
    }
    if with_user:
        payload["user"] = user(one.user)
    return payload


def role(one: Role) -> Json:
    payload: Json = {
        "id": str(one.id),
        "name": one.name,
        "permissions": str(one.permissions.value),
        "position": one.position,
        "color": one.color,
        "colors": {"primary_color": one.color, "secondary_color": None, "tertiary_color": None},
        "hoist": one.hoist,
        "managed": one.managed,
        "mentionable": one.mentionable,
        "icon": None,
        "unicode_emoji": None,
        "flags": 0,
    }
    if one.bot_id is not None:
        payload["tags"] = {"bot_id": str(one.bot_id)}
    return payload


def channel(guild: Guild, one: Channel, *, viewer_id: int) -> Json:
    """A channel as the viewer gets it: a guild channel, a thread, or a direct conversation."""
    if one.guild_id is None:
        others = [user(guild.users[each]) for each in one.recipients if each != viewer_id]
        return {
            "id": str(one.id),
            "type": int(one.type),
            "flags": 0,
            "last_message_id": text_or_none(one.last_message_id),
            "recipients": others,
        }
    return thread(one, viewer_id=viewer_id) if one.is_thread else _guild_channel(one)


def _guild_channel(one: Channel) -> Json:
    payload: Json = {
        "id": str(one.id),
        "type": int(one.type),
        "flags": 0,
        "guild_id": str(one.guild_id),
        "name": one.name,
        "position": one.position,
        "parent_id": text_or_none(one.parent_id),
        "nsfw": one.nsfw,
        "permission_overwrites": [
            {
                "id": str(each.id),
                "type": each.type,
                "allow": str(each.allow.value),
                "deny": str(each.deny.value),
            }
            for each in one.overwrites.values()
        ],
    }
    if one.type not in _SORTED_TYPES_WITHOUT_TOPIC:
        payload["last_message_id"] = text_or_none(one.last_message_id)
        payload["rate_limit_per_user"] = one.slowmode_seconds
        payload["topic"] = one.topic
    if one.default_auto_archive_minutes is not None:
        payload["default_auto_archive_duration"] = one.default_auto_archive_minutes
    if one.type is ChannelType.GUILD_VOICE:
        payload |= {"bitrate": 64000, "user_limit": 0, "rtc_region": None}
    return payload


def thread(one: Channel, *, viewer_id: int | None = None) -> Json:
    details = one.thread
    assert details is not None
    metadata: Json = {
        "archived": details.archived,
        "archive_timestamp": time(details.archive_changed_at),
        "auto_archive_duration": details.auto_archive_minutes,
        "locked": details.locked,
        "create_timestamp": time(details.created_at),
    }
    if one.is_private_thread:
        metadata["invitable"] = details.invitable
    payload: Json = {
        "id": str(one.id),
        "type": int(one.type),
        "flags": 0,
        "guild_id": str(one.guild_id),
        "name": one.name,
        "parent_id": str(one.parent_id),
        "owner_id": str(details.owner_id),
        "last_message_id": text_or_none(one.last_message_id),
        "rate_limit_per_user": one.slowmode_seconds,
        "thread_metadata": metadata,
        "message_count": details.message_count,
        "member_count": len(details.members),
        "total_message_sent": details.total_message_sent,
    }
    if viewer_id in details.members:
        payload["member"] = thread_member(one, viewer_id)
    return payload


def thread_member(one: Channel, user_id: int) -> Json:
    assert one.thread is not None
    return {
        "id": str(one.id),
        "user_id": str(user_id),
        "join_timestamp": time(one.thread.members[user_id]),
        "flags": 0,
    }


def attachment(one: Attachment) -> Json:
    payload: Json = {
        "id": str(one.id),
        "filename": one.filename,
        "size": len(one.content),
        "url": one.url,
        "proxy_url": one.url,
        "content_type": one.content_type,
    }
    if one.description is not None:
        payload["description"] = one.description
    if one.title is not None:
        payload["title"] = one.title
    if one.ephemeral:
        payload["ephemeral"] = True
    return payload


def message(guild: Guild, one: Message, *, viewer_id: int, with_reference: bool = True) -> Json:
    """A message as REST answers it; `event_message` adds what events carry."""
    payload: Json = {
        "id": str(one.id),
        "type": int(one.type),
        "channel_id": str(one.channel_id),
        "author": user(one.author),
        "content": one.content,
        "embeds": one.embeds,
        "components": one.components,
        "attachments": [attachment(each) for each in one.attachments],
        "mentions": [user(guild.users[each]) for each in one.mention_users],
        "mention_roles": [str(each) for each in one.mention_roles],
        "mention_everyone": one.mention_everyone,
        "timestamp": time(one.timestamp),
        "edited_timestamp": time_or_none(one.edited_at),
        "flags": int(one.flags),
        "pinned": one.pinned_at is not None,
        "tts": one.tts,
    }
    if one.nonce is not None:
        payload["nonce"] = one.nonce
    if one.webhook_id is not None:
        payload["webhook_id"] = payload["application_id"] = str(one.webhook_id)
    if one.interaction is not None:
        payload["interaction"] = one.interaction
    if one.interaction_metadata is not None:
        payload["interaction_metadata"] = one.interaction_metadata
    if one.reactions:
        payload["reactions"] = [_reaction(each, users, viewer_id) for each, users in one.reactions.items()]
    if one.thread_id is not None and one.thread_id in guild.channels:
        payload["thread"] = thread(guild.channels[one.thread_id])
    if one.reference is not None:
        payload["message_reference"] = one.reference
        if with_reference and one.type in (MessageType.REPLY, MessageType.THREAD_STARTER):
            payload["referenced_message"] = _referenced(guild, one.reference, viewer_id)
    return payload


def _referenced(guild: Guild, reference: Json, viewer_id: int) -> Json | None:
    holder = guild.channels.get(int(reference["channel_id"]))
    found = holder.messages.get(int(reference.get("message_id", 0))) if holder else None
    return message(guild, found, viewer_id=viewer_id, with_reference=False) if found else None


def _reaction(emoji: str, users: list[int], viewer_id: int) -> Json:
    return {
        "emoji": {"id": None, "name": emoji},
        "count": len(users),
        "count_details": {"burst": 0, "normal": len(users)},
        "burst_colors": [],
        "me_burst": False,
        "me": viewer_id in users,
    }


def event_message(guild: Guild, one: Message, *, viewer_id: int) -> Json:
    payload = message(guild, one, viewer_id=viewer_id)
    holder = guild.channels[one.channel_id]
    payload["channel_type"] = int(holder.type)
    if holder.guild_id is not None:
        payload["guild_id"] = str(holder.guild_id)
        author = guild.members.get(one.author.id)
        if author is not None and one.webhook_id in (None, guild.application_id):
            payload["member"] = member(author, with_user=False)
    return payload


def without_content(payload: Json) -> Json:
    """What a bot without the MESSAGE_CONTENT intent gets of other people's messages."""
    return {**payload, "content": "", "embeds": [], "attachments": [], "components": []}


def guild_object(guild: Guild) -> Json:
    return {
        "id": str(guild.id),
        "name": guild.name,
        "icon": None,
        "description": None,
        "home_header": None,
        "splash": None,
        "discovery_splash": None,
        "features": [],
        "banner": None,
        "owner_id": str(guild.owner_id),
        "application_id": None,
        "region": "us-west",
        "afk_channel_id": None,
        "afk_timeout": 300,
        "system_channel_id": None,
        "system_channel_flags": 0,
        "widget_enabled": False,
        "widget_channel_id": None,
        "verification_level": 0,
        "roles": [role(one) for one in guild.roles.values()],
        "default_message_notifications": 0,
        "mfa_level": 0,
        "explicit_content_filter": 0,
        "max_presences": None,
        "max_members": 500000,
        "max_stage_video_channel_users": 50,
        "max_video_channel_users": 25,
        "vanity_url_code": None,
        "premium_tier": 0,
        "premium_subscription_count": 0,
        "preferred_locale": "en-US",
        "rules_channel_id": None,
        "safety_alerts_channel_id": None,
        "public_updates_channel_id": None,
        "premium_progress_bar_enabled": False,
        "nsfw": False,
        "nsfw_level": 0,
        "emojis": [],
        "stickers": [],
        "incidents_data": None,
    }


def guild_create(guild: Guild, *, joined_at: datetime, members: list[Member]) -> Json:
    """The GUILD_CREATE event's data, with the members whom the connection's intents let it see."""
    bot_id = guild.bot.id
    return {
        **guild_object(guild),
        "joined_at": time(joined_at),
        "large": False,
        "unavailable": False,
        "member_count": len(guild.members),
        "voice_states": [],
        "members": [member(one) for one in members],
        "channels": [_guild_channel(one) for one in guild.guild_channels],
        "threads": [
            thread(one, viewer_id=bot_id)
            for one in guild.threads
            if one.thread is not None and not one.thread.archived and guild.permissions(bot_id, one)
        ],
        "presences": [],
        "stage_instances": [],
        "guild_scheduled_events": [],
        "soundboard_sounds": [],
    }


def application(guild: Guild, *, public_flags: int) -> Json:
    """The answer of `/oauth2/applications/@me`."""
    return {
        "id": str(guild.application_id),
        "name": guild.bot.username,
        "icon": None,
        "description": "",
        "type": None,
        "bot": user(guild.bot),
        "verify_key": "00" * 32,
        "flags": public_flags,
        "flags_new": str(public_flags),
        "bot_public": True,
        "bot_require_code_grant": False,
        "redirect_uris": [],
        "interactions_endpoint_url": None,
        "role_connections_verification_url": None,
        "owner": user(guild.users[guild.owner_id]),
        "approximate_guild_count": 1,
        "approximate_user_install_count": 0,
        "approximate_user_authorization_count": 0,
        "explicit_content_filter": 0,
        "team": None,
        "tags": [],
        "install_params": {"scopes": ["applications.commands", "bot"], "permissions": "0"},
        "integration_types_config": {"0": {}},
        "event_webhooks_status": 1,
        "eligible_oauth2_scopes": ["applications.commands", "bot"],
    }


def is_ephemeral(one: Message) -> bool:
    return MessageFlag.EPHEMERAL in one.flags


def interaction_metadata(
    guild: Guild, *, interaction_id: int, interaction_type: int, by: User, extra: dict[str, Any]
) -> Json:
    return {
        "id": str(interaction_id),
        "type": interaction_type,
        "user": user(by),
        "authorizing_integration_owners": {"0": str(guild.id)},
        **extra,
    }

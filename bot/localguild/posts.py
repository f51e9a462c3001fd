"""Posting, changing and deleting messages, and telling everyone."""

from __future__ import annotations

import mimetypes
from collections.abc import Mapping, Sequence
from typing import Any

from bot.localguild import payloads
from bot.localguild.drafts import (
    Draft,
    KeptAttachment,
    Upload,
    named_roles,
    named_users,
    names_everyone,
    refuse_empty,
)
from bot.localguild.errors import refusal
from bot.localguild.forms import Problems
from bot.localguild.model import (
    Attachment,
    Channel,
    ChannelType,
    Json,
    Message,
    MessageFlag,
    MessageType,
    User,
)
from bot.localguild.permissions import NOTHING, Permission
from bot.localguild.world import World

_BYTES = "application/octet-stream"


def check_may_post(world: World, user_id: int, channel: Channel, draft: Draft) -> None:
    """Raise the refusal that Discord has for someone who may not post this here."""
    if channel.type is ChannelType.GUILD_CATEGORY:
        raise refusal(50008)
    needed = Permission.SEND_MESSAGES
    if draft.embeds:
        needed |= Permission.EMBED_LINKS
    if draft.uploads:
        needed |= Permission.ATTACH_FILES
    if draft.reference is not None:
        needed |= Permission.READ_MESSAGE_HISTORY
    if channel.guild_id is not None:
        world.guild.require(user_id, needed, channel)
    if channel.thread is not None and channel.thread.locked:
        world.guild.require(user_id, Permission.MANAGE_THREADS, channel)


def post(
    world: World,
    channel: Channel,
    author: User,
    draft: Draft,
    *,
    message_type: MessageType = MessageType.DEFAULT,
    only_for: int | None = None,
    flags: MessageFlag = MessageFlag.NONE,
    interaction: Json | None = None,
    interaction_metadata: Json | None = None,
    reference: Json | None = None,
    may_be_empty: bool = False,
) -> Message:
    """Add a message to a channel. The same author's nonce, enforced, gives the first message again."""
    if not may_be_empty:
        refuse_empty(draft)
    repeated = _repeated(world, author, draft)
    if repeated is not None:
        return repeated
    if draft.reference is not None:
        reference = _resolve_reference(world, channel, draft.reference)
        message_type = MessageType.REPLY if reference else message_type
    message = Message(
        id=world.snowflakes.new(),
        channel_id=channel.id,
        author=author,
        type=message_type,
        timestamp=world.now(),
        tts=draft.tts,
        nonce=draft.nonce,
        reference=reference,
        flags=flags,
        only_for=only_for,
        interaction=interaction,
        interaction_metadata=interaction_metadata,
        webhook_id=world.guild.application_id if interaction_metadata else None,
    )
    _fill(world, channel, message, draft)
    channel.messages[message.id] = message
    if only_for is None:
        channel.last_message_id = message.id
    if draft.nonce and draft.enforce_nonce:
        _remember_nonce(world, (author.id, draft.nonce), message)
    _count_in_thread(world, channel, author)
    world.announce_message("MESSAGE_CREATE", message)
    message.nonce = None  # the nonce is for the sender's answer and the event, not for history
    return message


def edit(world: World, message: Message, draft: Draft) -> None:
    """Change what the draft names (`given`), and nothing else."""
    channel = world.guild.channels[message.channel_id]
    if channel.thread is not None and channel.thread.archived:
        raise refusal(50083)
    _fill(world, channel, message, draft)
    if not (message.content or message.embeds or message.components or message.attachments):
        raise refusal(50006)
    message.edited_at = world.now()
    world.announce_message("MESSAGE_UPDATE", message)


def delete(world: World, message: Message) -> None:
    channel = world.guild.channels[message.channel_id]
    _forget(world, channel, message)
    world.announce(
        "MESSAGE_DELETE",
        _place(channel) | {"id": str(message.id)},
        channel=channel,
        only_for=message.only_for,
    )


def delete_many(world: World, channel: Channel, messages: Sequence[Message]) -> None:
    for message in messages:
        _forget(world, channel, message)
    world.announce(
        "MESSAGE_DELETE_BULK",
        _place(channel) | {"ids": [str(one.id) for one in messages]},
        channel=channel,
    )


def _forget(world: World, channel: Channel, message: Message) -> None:
    del channel.messages[message.id]
    for attachment in message.attachments:
        world.files.pop(attachment.id, None)
    if channel.thread is not None:
        channel.thread.message_count -= 1


def _place(channel: Channel) -> Json:
    place: Json = {"channel_id": str(channel.id)}
    if channel.guild_id is not None:
        place["guild_id"] = str(channel.guild_id)
    return place


def _repeated(world: World, author: User, draft: Draft) -> Message | None:
    if not (draft.nonce and draft.enforce_nonce):
        return None
    at, message = world.nonces.get((author.id, draft.nonce), (float("-inf"), None))
    fresh = world.monotonic() - at <= world.settings.nonce_window_seconds
    return message if fresh else None


def _remember_nonce(world: World, key: tuple[int, str], message: Message) -> None:
    now = world.monotonic()
    window = world.settings.nonce_window_seconds
    while world.nonces:
        oldest = next(iter(world.nonces))
        if now - world.nonces[oldest][0] <= window:
            break
        del world.nonces[oldest]
    world.nonces[key] = (now, message)


def _resolve_reference(world: World, channel: Channel, wanted: Json) -> Json | None:
    holder = world.guild.channels.get(wanted["channel_id"] or channel.id, channel)
    if wanted["message_id"] not in holder.messages:
        if not wanted["fail_if_not_exists"]:
            return None
        problems = Problems()
        problems.add(("message_reference",), "MESSAGE_REFERENCE_UNKNOWN_MESSAGE", "Unknown message")
        problems.raise_if_any()
    reference = {"type": wanted["type"], "message_id": str(wanted["message_id"])}
    return reference | _place(holder)


def _fill(world: World, channel: Channel, message: Message, draft: Draft) -> None:
    """Put the draft's given fields into the message."""
    ephemeral = message.only_for is not None
    if "flags" in draft.given:
        kept = message.flags & ~MessageFlag.SUPPRESS_EMBEDS
        message.flags = kept | (draft.flags & ~MessageFlag.EPHEMERAL)
    if ephemeral:
        message.flags |= MessageFlag.EPHEMERAL
    if "attachments" in draft.given or draft.uploads:
        message.attachments = _attach(world, channel, message, draft, ephemeral)
    urls = {f"attachment://{one.filename}": one.url for one in message.attachments}
    if "content" in draft.given:
        message.content = draft.content
        _mention(world, channel, message, draft)
    if "embeds" in draft.given:
        message.embeds = [_with_urls(one, urls) for one in draft.embeds]
    if "components" in draft.given:
        message.components = [_with_urls(one, urls) for one in draft.components]


def _mention(world: World, channel: Channel, message: Message, draft: Draft) -> None:
    users = named_users(message.content, draft.mentions)
    if message.reference is not None and draft.mentions.replied_user:
        answered = _referenced_author(world, message.reference)
        if answered is not None and answered not in users:
            users.append(answered)
    message.mention_users = [one for one in users if one in world.guild.users]
    roles = named_roles(message.content, draft.mentions)
    message.mention_roles = [one for one in roles if one in world.guild.roles]
    if names_everyone(message.content, draft.mentions) and channel.guild_id is not None:
        granted = world.guild.permissions(message.author.id, channel)
        message.mention_everyone = Permission.MENTION_EVERYONE in granted


def _referenced_author(world: World, reference: Json) -> int | None:
    holder = world.guild.channels.get(int(reference["channel_id"]))
    found = holder.messages.get(int(reference.get("message_id", 0))) if holder else None
    return found.author.id if found else None


def _attach(
    world: World, channel: Channel, message: Message, draft: Draft, ephemeral: bool
) -> list[Attachment]:
    """The attachments that an edit keeps, then the uploaded ones."""
    described = {one.id: one for one in draft.attachments or ()}
    if draft.attachments is None:
        kept = list(message.attachments)
    else:
        kept = [one for one in message.attachments if one.id in described]
    for upload in draft.uploads:
        about = described.get(upload.index)
        stored = store_upload(world, channel.id, upload, about, ephemeral=ephemeral)
        kept.append(stored)
    return kept


def store_upload(
    world: World, channel_id: int, upload: Upload, about: KeptAttachment | None, *, ephemeral: bool
) -> Attachment:
    if len(upload.content) > world.settings.max_message_bytes:
        raise refusal(40005)
    attachment_id = world.snowflakes.new()
    filename = (about.filename if about else None) or upload.filename
    folder = "ephemeral-attachments" if ephemeral else "attachments"
    attachment = Attachment(
        id=attachment_id,
        filename=filename,
        content=upload.content,
        content_type=_kind(filename, upload.content_type),
        url=f"{world.base_url}/{folder}/{channel_id}/{attachment_id}/{filename}",
        description=about.description if about else None,
        title=about.title if about else None,
        ephemeral=ephemeral,
    )
    world.files[attachment_id] = attachment
    return attachment


def _kind(filename: str, said: str) -> str:
    """As Discord does: by the name, where the bot says no more than that there are bytes."""
    if said != _BYTES:
        return said
    return mimetypes.guess_type(filename)[0] or said


def _with_urls(value: Any, urls: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _with_urls(one, urls) for key, one in value.items()}
    if isinstance(value, list):
        return [_with_urls(one, urls) for one in value]
    return urls.get(value, value) if isinstance(value, str) else value


def _count_in_thread(world: World, channel: Channel, author: User) -> None:
    details = channel.thread
    if details is None:
        return
    details.message_count += 1
    details.total_message_sent += 1
    details.members.setdefault(author.id, world.now())
    if details.archived:  # a new message brings a thread back
        details.archived, details.archive_changed_at = False, world.now()
        world.announce("THREAD_UPDATE", payloads.thread(channel), channel=channel)


def manages_messages(world: World, user_id: int, channel: Channel) -> bool:
    if channel.guild_id is None:
        return False
    return world.guild.permissions(user_id, channel) & Permission.MANAGE_MESSAGES != NOTHING

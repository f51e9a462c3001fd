"""One person's place in the guild: what they see, and what the names that they use stand for."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from bot.localguild import payloads
from bot.localguild.channels import direct_conversation
from bot.localguild.commands import OptionType
from bot.localguild.components import Kind
from bot.localguild.drafts import Upload
from bot.localguild.journal import Entry
from bot.localguild.model import Channel, Json, Member, Message, User
from bot.localguild.options import CannotDo
from bot.localguild.permissions import Permission
from bot.localguild.posts import store_upload
from bot.localguild.world import World

_WITH_BOT = "@bot"
_SELECTED = {
    Kind.USER_SELECT: OptionType.USER,
    Kind.ROLE_SELECT: OptionType.ROLE,
    Kind.MENTIONABLE_SELECT: OptionType.MENTIONABLE,
    Kind.CHANNEL_SELECT: OptionType.CHANNEL,
}


class Seat:
    """A view of the world through one member's eyes."""

    def __init__(self, world: World, member: Member) -> None:
        self._world = world
        self.member = member

    @property
    def user(self) -> User:
        return self.member.user

    # seeing

    def sees(self, channel: Channel) -> bool:
        return Permission.VIEW_CHANNEL in self._world.guild.permissions(self.user.id, channel)

    def channels(self) -> list[Channel]:
        return [one for one in self._world.guild.channels.values() if self.sees(one)]

    def channel(self, named: str | None) -> Channel:
        """By id or name; "@bot" is the direct conversation; None the first text channel. Raises CannotDo."""
        if named == _WITH_BOT:
            return direct_conversation(self._world, self._world.bot_id, self.user.id)
        visible = self.channels()
        if named is None:
            return next(one for one in visible if one.holds_messages and one.guild_id)
        wanted = named.removeprefix("#")
        by_id = [one for one in visible if str(one.id) == wanted]
        by_name = [one for one in visible if one.name == wanted and one.holds_messages]
        found = by_id or by_name
        if len(found) != 1:
            raise CannotDo(f"{len(found)} channels {named!r}; there are {[one.name for one in visible]}")
        return found[0]

    def messages(self, channel: Channel) -> list[Message]:
        """Oldest first; ephemeral ones only when they are this person's."""
        guild = self._world.guild
        return [one for one in channel.messages.values() if guild.may_see_message(self.user.id, one)]

    def message(self, channel: Channel, message_id: str) -> Message:
        for one in self.messages(channel):
            if str(one.id) == message_id:
                return one
        raise CannotDo(f"there is no message {message_id} in {channel.name!r} (any more)")

    def shown(self, message: Message) -> Json:
        return payloads.event_message(self._world.guild, message, viewer_id=self.user.id)

    def shown_channel(self, channel: Channel) -> Json:
        return payloads.channel(self._world.guild, channel, viewer_id=self.user.id)

    def knows_of(self, entry: Entry) -> bool:
        """May this person have noticed that event?"""
        if entry.only_for not in (None, self.user.id):
            return False
        channel = self._world.guild.channels.get(entry.channel_id or 0)
        return entry.channel_id is None or channel is None or self.sees(channel)

    def may_use(self, command: Json) -> bool:
        needed = command.get("default_member_permissions")
        if needed is None:
            return True
        wanted = Permission(int(needed)) or Permission.ADMINISTRATOR  # "0": administrators only
        return wanted & ~self._world.guild.permissions(self.user.id) == Permission(0)

    # naming

    def choose(self, place: Channel, select: Json, values: list[str]) -> Json:
        """A select's `values` (and `resolved`) as chosen, by value, label or name. Raises CannotDo."""
        if not select["min_values"] <= len(values) <= select["max_values"]:
            raise CannotDo(f"choose {select['min_values']} to {select['max_values']}, not {len(values)}")
        if select["type"] == Kind.STRING_SELECT:
            by_label = {one["label"]: one["value"] for one in select["options"]}
            known = set(by_label.values())
            chosen = [one if one in known else by_label.get(one, "") for one in values]
            if not set(chosen) <= known:
                raise CannotDo(f"{values} is not among {sorted(by_label)}")
            return {"values": chosen}
        ids: list[str] = []
        resolved: Json = {}
        for one in values:
            found, about = self.resolve(place, _SELECTED[Kind(select["type"])], one)
            ids.append(found)
            for key, entries in about.items():
                resolved.setdefault(key, {}).update(entries)
        return {"values": ids, "resolved": resolved}

    def resolve(self, place: Channel, kind: OptionType, value: Any) -> tuple[str, Json]:
        """See `options.Resolve`: users and roles by name or id, channels too, files as {name, content}."""
        if kind is OptionType.ATTACHMENT:
            return self._resolve_attachment(place, value)
        text = str(value).strip()
        if kind is OptionType.CHANNEL:
            channel = self.channel(text)
            granted = self._world.guild.permissions(self.user.id, channel)
            shown = {**self.shown_channel(channel), "permissions": str(granted.value)}
            return str(channel.id), {"channels": {str(channel.id): shown}}
        named = text.removeprefix("@")
        found = None
        if kind in (OptionType.USER, OptionType.MENTIONABLE):
            found = self._resolve_user(named)
        if found is None and kind in (OptionType.ROLE, OptionType.MENTIONABLE):
            found = self._resolve_role(named)
        if found is None:
            raise CannotDo(f"{value!r} is no {kind.name.lower()} here")
        return found

    def _resolve_user(self, named: str) -> tuple[str, Json] | None:
        for one in self._world.guild.members.values():
            if named in (str(one.user.id), one.user.username):
                found = str(one.user.id)
                about = payloads.member(one, with_user=False)
                about["permissions"] = str(self._world.guild.permissions(one.user.id).value)
                return found, {"users": {found: payloads.user(one.user)}, "members": {found: about}}
        return None

    def _resolve_role(self, named: str) -> tuple[str, Json] | None:
        for role in self._world.guild.roles.values():
            if named in (str(role.id), role.name.removeprefix("@")):
                return str(role.id), {"roles": {str(role.id): payloads.role(role)}}
        return None

    def _resolve_attachment(self, place: Channel, value: Any) -> tuple[str, Json]:
        if not isinstance(value, dict) or not {"name", "content"} <= set(value):
            raise CannotDo('an attachment is {"name": ..., "content": base64}')
        [upload] = uploads({value["name"]: value["content"]})
        stored = store_upload(self._world, place.id, upload, None, ephemeral=True)
        return str(stored.id), {"attachments": {str(stored.id): payloads.attachment(stored)}}


def uploads(files: Mapping[str, str] | None) -> list[Upload]:
    """Files by name, in base64, as uploads. Raises CannotDo."""
    try:
        return [
            Upload(
                index=index,
                filename=name,
                content=base64.b64decode(content, validate=True),
                content_type="application/octet-stream",
            )
            for index, (name, content) in enumerate((files or {}).items())
        ]
    except binascii.Error as error:
        raise CannotDo(f"a file's content is base64: {error}") from error

"""What people can do in the guild, as functions of JSON: one door for scripts here and over HTTP.

Every public coroutine named in `ACTIONS` takes keyword arguments of JSON types and returns JSON.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping, Sequence
from typing import Any

from bot.localguild import payloads, posts
from bot.localguild.callbacks import metadata
from bot.localguild.channels import direct_conversation
from bot.localguild.commands import CommandType, OptionType
from bot.localguild.components import SELECTS, Kind
from bot.localguild.drafts import Upload, read_draft
from bot.localguild.errors import ApiError
from bot.localguild.interactions import CallbackType, Interaction, InteractionType
from bot.localguild.journal import Entry
from bot.localguild.model import Channel, Json, Member, Message
from bot.localguild.options import CannotDo, FilledCommand, fill
from bot.localguild.permissions import Permission
from bot.localguild.reactions import react as add_reaction
from bot.localguild.summons import filled_modal, find_component, summon
from bot.localguild.world import World

_SELECT_KEYS = {
    Kind.USER_SELECT: OptionType.USER,
    Kind.ROLE_SELECT: OptionType.ROLE,
    Kind.MENTIONABLE_SELECT: OptionType.MENTIONABLE,
    Kind.CHANNEL_SELECT: OptionType.CHANNEL,
}


class DidNotRespond(Exception):
    """The bot let the three seconds pass: people read "The application did not respond"."""


class Desk:
    """Serves people by name; somebody new joins the guild with their first action."""

    ACTIONS = (
        "about",
        "join",
        "channels",
        "commands",
        "messages",
        "journal",
        "send",
        "slash",
        "autocomplete",
        "press",
        "submit",
        "interaction",
        "react",
        "download",
    )

    def __init__(self, world: World) -> None:
        self._world = world
        self._interactions: dict[int, Interaction] = {}

    async def call(self, action: str, arguments: Mapping[str, Any]) -> Any:
        """Carry out one of ACTIONS. Raises CannotDo, DidNotRespond, TimeoutError."""
        if action not in self.ACTIONS:
            raise CannotDo(f"there is no action {action!r}")
        try:
            return await getattr(self, action)(**arguments)
        except ApiError as error:
            raise CannotDo(f"{error.message} {error.errors or ''}".strip()) from error
        except TypeError as error:
            raise CannotDo(f"{action}: {error}") from error

    # who and where

    def _member(self, person: str) -> Member:
        return self._world.add_person(person)

    def _may_see(self, member: Member, channel: Channel) -> bool:
        return Permission.VIEW_CHANNEL in self._world.guild.permissions(member.user.id, channel)

    def _visible(self, member: Member) -> list[Channel]:
        return [one for one in self._world.guild.channels.values() if self._may_see(member, one)]

    def _channel(self, member: Member, named: str | None) -> Channel:
        """By id or name; "@bot" is the direct conversation; None the first text channel."""
        if named == "@bot":
            return direct_conversation(self._world, self._world.bot_id, member.user.id)
        visible = self._visible(member)
        if named is None:
            return next(one for one in visible if one.holds_messages and one.guild_id)
        wanted = named.removeprefix("#")
        by_id = [one for one in visible if str(one.id) == wanted]
        by_name = [one for one in visible if one.name == wanted and one.holds_messages]
        found = by_id or by_name
        if len(found) != 1:
            raise CannotDo(f"{len(found)} channels {named!r}; there are {[one.name for one in visible]}")
        return found[0]

    def _message(self, member: Member, channel: Channel, message_id: str) -> Message:
        return self._world.guild.message(channel, int(message_id), reader_id=member.user.id)

    def _shown(self, member: Member, message: Message) -> Json:
        return payloads.event_message(self._world.guild, message, viewer_id=member.user.id)

    # reading

    async def about(self) -> Json:
        return {
            "guild_id": str(self._world.guild.id),
            "bot_id": str(self._world.bot_id),
            "connected": bool(self._world.gateway.live_sessions),
        }

    async def join(self, *, person: str) -> Json:
        return payloads.user(self._member(person).user)

    async def channels(self, *, person: str) -> list[Json]:
        member = self._member(person)
        guild = self._world.guild
        return [payloads.channel(guild, one, viewer_id=member.user.id) for one in self._visible(member)]

    async def commands(self, *, person: str) -> list[Json]:
        """What the person's client offers: the guild's commands and the global ones, if they may use them."""
        member = self._member(person)
        granted = self._world.guild.permissions(member.user.id)
        listed = [
            *self._world.commands.listing(self._world.guild.id),
            *self._world.commands.listing(None),
        ]
        return [one for one in listed if self._may_use(one, granted)]

    @staticmethod
    def _may_use(command: Json, granted: Permission) -> bool:
        needed = command.get("default_member_permissions")
        if needed is None:
            return True
        wanted = Permission(int(needed)) or Permission.ADMINISTRATOR  # "0": administrators only
        return wanted & ~granted == Permission(0)

    async def messages(
        self, *, person: str, channel: str | None = None, everywhere: bool = False, limit: int = 100
    ) -> Json:
        """The newest messages, oldest first, and the journal's number at that moment."""
        member = self._member(person)
        places = self._visible(member) if everywhere else [self._channel(member, channel)]
        found = [
            one
            for place in places
            for one in place.messages.values()
            if self._world.guild.may_see_message(member.user.id, one)
        ]
        found.sort(key=lambda one: one.id)
        shown = [self._shown(member, one) for one in found[-limit:]]
        return {"last": self._world.journal.last, "messages": shown}

    async def journal(self, *, person: str, after: int, timeout: float = 10.0) -> Json:
        """What the person could see happen after that number; waits up to `timeout` seconds for something."""
        member = self._member(person)
        await self._world.journal.wait_after(after, timeout)
        entries = [one for one in self._world.journal.after(after) if self._may_know(member, one)]
        return {
            "last": self._world.journal.last,
            "entries": [{"number": one.number, "event": one.event, "data": one.data} for one in entries],
        }

    def _may_know(self, member: Member, entry: Entry) -> bool:
        if entry.only_for is not None and entry.only_for != member.user.id:
            return False
        channel = self._world.guild.channels.get(entry.channel_id or 0)
        return entry.channel_id is None or channel is None or self._may_see(member, channel)

    async def download(self, *, url: str) -> str:
        """An attachment's content, in base64."""
        for one in self._world.files.values():
            if one.url == url:
                return base64.b64encode(one.content).decode()
        raise CannotDo("This content is no longer available.")

    # writing

    async def send(
        self,
        *,
        person: str,
        channel: str | None = None,
        content: str = "",
        files: Mapping[str, str] | None = None,
        reply_to: str | None = None,
    ) -> Json:
        """Post a message; `files` maps names to base64."""
        member = self._member(person)
        place = self._channel(member, channel)
        body: Json = {"content": content}
        if reply_to is not None:
            body["message_reference"] = {"message_id": reply_to}
        draft = read_draft(body, _uploads(files))
        posts.check_may_post(self._world, member.user.id, place, draft)
        return self._shown(member, posts.post(self._world, place, member.user, draft))

    async def react(self, *, person: str, channel: str, message: str, emoji: str) -> None:
        member = self._member(person)
        place = self._channel(member, channel)
        add_reaction(self._world, place, self._message(member, place, message), emoji, member.user.id)

    # interactions

    async def slash(
        self,
        *,
        person: str,
        command: str,
        options: Mapping[str, Any] | None = None,
        channel: str | None = None,
        until: str = "answer",
        timeout: float = 30.0,
    ) -> Json:
        """Type a slash command: "project list" with its options; waits as `interaction` does."""
        member = self._member(person)
        place = self._channel(member, channel)
        found, path = await self._find_command(person, place, command)
        filled = fill(
            found, path, options or {}, lambda kind, value: self._resolve(member, place, kind, value)
        )
        interaction = summon(
            self._world,
            kind=InteractionType.APPLICATION_COMMAND,
            by=member.user,
            channel=place,
            name=" ".join([found["name"], *path]),
            data=_command_data(found, filled),
        )
        return await self._followed(interaction, until, timeout)

    async def autocomplete(
        self,
        *,
        person: str,
        command: str,
        focused: str,
        text: Any,
        options: Mapping[str, Any] | None = None,
        channel: str | None = None,
    ) -> list[Json]:
        """The choices that the bot offers for what has been typed into one option."""
        member = self._member(person)
        place = self._channel(member, channel)
        found, path = await self._find_command(person, place, command)
        values = {**(options or {}), focused: text}
        filled = fill(
            found,
            path,
            values,
            lambda kind, value: self._resolve(member, place, kind, value),
            focused=focused,
        )
        interaction = summon(
            self._world,
            kind=InteractionType.AUTOCOMPLETE,
            by=member.user,
            channel=place,
            name=found["name"],
            data=_command_data(found, filled),
            focused_type=filled.focused_type,
        )
        answered = await self._followed(interaction, "ack", self._world.settings.response_seconds)
        return list(answered["choices"])

    async def _find_command(self, person: str, place: Channel, typed: str) -> tuple[Json, list[str]]:
        words = typed.removeprefix("/").split()
        offered = await self.commands(person=person)
        found = [one for one in offered if one["name"] == words[0] and one["type"] == CommandType.CHAT_INPUT]
        if not found:
            raise CannotDo(f"there is no command /{words[0]}; there are {sorted(o['name'] for o in offered)}")
        if len(found) > 1:
            raise CannotDo(f"/{words[0]} is offered {len(found)} times: global and in the guild")
        member = self._member(person)
        if place.guild_id is not None:
            needed = Permission.USE_APPLICATION_COMMANDS
            self._world.guild.require(member.user.id, needed, place)
        elif "guild_id" in found[0]:
            raise CannotDo(f"/{words[0]} is a command of the guild, not of direct conversations")
        return found[0], words[1:]

    async def press(
        self,
        *,
        person: str,
        channel: str,
        message: str,
        component: str,
        values: Sequence[str] | None = None,
        until: str = "answer",
        timeout: float = 30.0,
    ) -> Json:
        """Press a button, or choose from a select, by label, custom id or placeholder."""
        member = self._member(person)
        place = self._channel(member, channel)
        held = self._message(member, place, message)
        found = find_component(held, component)
        data: Json = {
            "custom_id": found["custom_id"],
            "component_type": found["type"],
            "id": found["id"],
        }
        if found["type"] in SELECTS:
            data |= self._chosen(member, place, found, list(values or ()))
        interaction = summon(
            self._world,
            kind=InteractionType.MESSAGE_COMPONENT,
            by=member.user,
            channel=place,
            name=held.interaction["name"] if held.interaction else "",
            data=data,
            source=held,
        )
        return await self._followed(interaction, until, timeout)

    def _chosen(self, member: Member, place: Channel, select: Json, values: list[str]) -> Json:
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
            found, about = self._resolve(member, place, _SELECT_KEYS[Kind(select["type"])], one)
            ids.append(found)
            for key, entries in about.items():
                resolved.setdefault(key, {}).update(entries)
        return {"values": ids, "resolved": resolved}

    async def submit(
        self,
        *,
        person: str,
        interaction: str,
        values: Mapping[str, Any],
        until: str = "answer",
        timeout: float = 30.0,
    ) -> Json:
        """Fill in and send the modal that an interaction showed."""
        member = self._member(person)
        shown = self._own_interaction(member, interaction)
        if shown.modal is None:
            raise CannotDo("that interaction showed no form")
        components = filled_modal(shown.modal, dict(values))
        submitted = summon(
            self._world,
            kind=InteractionType.MODAL_SUBMIT,
            by=member.user,
            channel=self._world.guild.channel(shown.channel_id),
            name=shown.name,
            data={"custom_id": shown.modal["custom_id"], "components": components},
            source=shown.source,
            source_modal=shown.modal,
            triggered_by=metadata(self._world, shown),
        )
        shown.modal = None  # a form can be sent once
        return await self._followed(submitted, until, timeout)

    async def interaction(
        self,
        *,
        person: str,
        interaction: str,
        until: str = "answer",
        timeout: float = 30.0,
    ) -> Json:
        """How it stands. `until`: "now", "ack" (the first response), or "answer" (no longer thinking)."""
        found = self._own_interaction(self._member(person), interaction)
        return await self._followed(found, until, timeout)

    def _own_interaction(self, member: Member, interaction: str) -> Interaction:
        found = self._interactions.get(int(interaction))
        if found is None or found.user.id != member.user.id:
            raise CannotDo("no such interaction of yours")
        return found

    async def _followed(self, interaction: Interaction, until: str, timeout: float) -> Json:
        self._interactions[interaction.id] = interaction
        if until != "now":
            await self._wait_for_acknowledgement(interaction)
        if until == "answer" and interaction.callback is CallbackType.DEFERRED_MESSAGE:
            async with asyncio.timeout(timeout):
                while not interaction.answered:
                    await interaction.changed.wait()
        return self._view(interaction)

    async def _wait_for_acknowledgement(self, interaction: Interaction) -> None:
        age = self._world.monotonic() - interaction.created
        try:
            async with asyncio.timeout(max(self._world.settings.response_seconds - age, 0)):
                while interaction.callback is None:
                    await interaction.changed.wait()
        except TimeoutError:
            raise DidNotRespond(f"The application did not respond to {interaction.name!r}") from None

    def _view(self, interaction: Interaction) -> Json:
        channel = self._world.guild.channels.get(interaction.channel_id)
        member = self._world.guild.members.get(interaction.user.id)
        held = channel.messages if channel else {}

        def shown(message_id: int | None) -> Json | None:
            message = held.get(message_id or 0)
            return self._shown(member, message) if message and member else None

        return {
            "id": str(interaction.id),
            "type": int(interaction.type),
            "callback": interaction.callback,
            "acknowledged_after": interaction.acknowledged_after,
            "answered": interaction.answered,
            "message": shown(interaction.original_id),
            "followups": [one for one in map(shown, interaction.followups) if one],
            "modal": interaction.modal,
            "choices": interaction.choices,
        }

    def _resolve(self, member: Member, place: Channel, kind: OptionType, value: Any) -> tuple[str, Json]:
        """See `options.Resolve`: users and roles by name or id, channels too, files as {name, content}."""
        guild = self._world.guild
        if kind is OptionType.ATTACHMENT:
            return self._resolve_attachment(place, value)
        text = str(value).strip()
        if kind is OptionType.CHANNEL:
            channel = self._channel(member, text)
            shown = payloads.channel(guild, channel, viewer_id=member.user.id)
            shown["permissions"] = str(guild.permissions(member.user.id, channel).value)
            return str(channel.id), {"channels": {str(channel.id): shown}}
        if kind in (OptionType.USER, OptionType.MENTIONABLE):
            for one in guild.members.values():
                if text.removeprefix("@") in (str(one.user.id), one.user.username):
                    found = str(one.user.id)
                    about = {**payloads.member(one, with_user=False)}
                    about["permissions"] = str(guild.permissions(one.user.id).value)
                    return found, {"users": {found: payloads.user(one.user)}, "members": {found: about}}
        if kind in (OptionType.ROLE, OptionType.MENTIONABLE):
            for role in guild.roles.values():
                if text.removeprefix("@") in (str(role.id), role.name, role.name.removeprefix("@")):
                    return str(role.id), {"roles": {str(role.id): payloads.role(role)}}
        raise CannotDo(f"{value!r} is no {kind.name.lower()} here")

    def _resolve_attachment(self, place: Channel, value: Any) -> tuple[str, Json]:
        if not isinstance(value, dict) or not {"name", "content"} <= set(value):
            raise CannotDo('an attachment is {"name": ..., "content": base64}')
        [upload] = _uploads({value["name"]: value["content"]})
        stored = posts.store_upload(self._world, place.id, upload, None, ephemeral=True)
        return str(stored.id), {"attachments": {str(stored.id): payloads.attachment(stored)}}


def _command_data(command: Json, filled: FilledCommand) -> Json:
    data: Json = {"id": command["id"], "name": command["name"], "type": command["type"]}
    if "guild_id" in command:
        data["guild_id"] = command["guild_id"]
    if filled.options:
        data["options"] = filled.options
    if filled.resolved:
        data["resolved"] = filled.resolved
    return data


def _uploads(files: Mapping[str, str] | None) -> list[Upload]:
    return [
        Upload(
            index=index,
            filename=name,
            content=base64.b64decode(content),
            content_type="application/octet-stream",
        )
        for index, (name, content) in enumerate((files or {}).items())
    ]

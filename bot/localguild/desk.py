"""What people can do in the guild, as functions of JSON: one door for scripts here and over HTTP.

Every public coroutine named in `ACTIONS` takes keyword arguments of JSON types and returns JSON.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping, Sequence
from functools import partial
from inspect import signature
from typing import Any

from bot.localguild import payloads, posts
from bot.localguild.callbacks import metadata
from bot.localguild.commands import CommandType
from bot.localguild.components import SELECTS
from bot.localguild.drafts import read_draft
from bot.localguild.errors import ApiError
from bot.localguild.interactions import CallbackType, Interaction, InteractionType
from bot.localguild.model import Channel, Json
from bot.localguild.options import CannotDo, FilledCommand, fill
from bot.localguild.permissions import Permission
from bot.localguild.reactions import react as add_reaction
from bot.localguild.seat import Seat, uploads
from bot.localguild.summons import filled_modal, find_component, summon
from bot.localguild.world import World

PATIENCE_SECONDS = 45.0  # how long people wait for what they were promised, or look out for


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
        "members",
        "attachment",
    )

    def __init__(self, world: World) -> None:
        self._world = world

    async def call(self, action: str, arguments: Mapping[str, Any]) -> Any:
        """Carry out one of ACTIONS. Raises CannotDo, DidNotRespond, TimeoutError."""
        if action not in self.ACTIONS:
            raise CannotDo(f"there is no action {action!r}")
        carry_out = getattr(self, action)
        try:
            signature(carry_out).bind(**arguments)
        except TypeError as error:
            raise CannotDo(f"{action}: {error}") from error
        try:
            return await carry_out(**arguments)
        except ApiError as error:
            raise CannotDo(f"{error.message} {error.errors or ''}".strip()) from error

    def _seat(self, person: str) -> Seat:
        return Seat(self._world, self._world.add_person(person))

    # reading

    async def about(self) -> Json:
        return {
            "guild_id": str(self._world.guild.id),
            "bot_id": str(self._world.bot_id),
            "connected": bool(self._world.gateway.live_sessions),
        }

    async def join(self, *, person: str) -> Json:
        return payloads.user(self._seat(person).user)

    async def channels(self, *, person: str) -> list[Json]:
        seat = self._seat(person)
        return [seat.shown_channel(one) for one in seat.channels()]

    async def commands(self, *, person: str) -> list[Json]:
        """What the person's client offers: the guild's commands and the global ones, if they may use them."""
        return self._offered(self._seat(person))

    def _offered(self, seat: Seat) -> list[Json]:
        known = self._world.commands.listing(self._world.guild.id) + self._world.commands.listing(None)
        return [one for one in known if seat.may_use(one)]

    async def messages(
        self, *, person: str, channel: str | None = None, everywhere: bool = False, limit: int = 100
    ) -> Json:
        """The newest messages, oldest first, and the journal's number at that moment."""
        seat = self._seat(person)
        places = seat.channels() if everywhere else [seat.channel(channel)]
        found = [one for place in places for one in seat.messages(place)]
        found.sort(key=lambda one: one.id)
        newest = found[max(len(found) - limit, 0) :]
        return {"last": self._world.journal.last, "messages": [seat.shown(one) for one in newest]}

    async def journal(self, *, person: str, after: int, timeout: float = 10.0) -> Json:
        """What the person could see happen after that number; waits up to `timeout` seconds for something."""
        seat = self._seat(person)
        await self._world.journal.wait_after(after, timeout)
        entries = [one for one in self._world.journal.after(after) if seat.knows_of(one)]
        return {
            "last": self._world.journal.last,
            "entries": [{"number": one.number, "event": one.event, "data": one.data} for one in entries],
        }

    async def download(self, *, url: str) -> str:
        """An attachment's content, in base64."""
        for one in self._world.files.values():
            if one.url == url:
                return base64.b64encode(one.content).decode()
        raise CannotDo("This content is no longer available.")

    async def members(self, *, person: str) -> Json:
        """Who and which roles are in the guild: shown names by id."""
        self._seat(person)
        guild = self._world.guild
        return {
            "users": {str(one.id): one.global_name or one.username for one in guild.users.values()},
            "roles": {str(one.id): one.name.removeprefix("@") for one in guild.roles.values()},
        }

    async def attachment(self, *, person: str, channel: str, message: str, attachment: str) -> Json:
        """A file of a message that the person sees: its name, type and content, in base64."""
        seat = self._seat(person)
        for one in seat.message(seat.channel(channel), message).attachments:
            if str(one.id) == attachment:
                content = base64.b64encode(one.content).decode()
                return {"filename": one.filename, "content_type": one.content_type, "content": content}
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
        seat = self._seat(person)
        place = seat.channel(channel)
        body: Json = {"content": content}
        if reply_to is not None:
            body["message_reference"] = {"message_id": reply_to}
        draft = read_draft(body, uploads(files))
        posts.check_may_post(self._world, seat.user.id, place, draft)
        return seat.shown(posts.post(self._world, place, seat.user, draft))

    async def react(self, *, person: str, channel: str, message: str, emoji: str) -> None:
        seat = self._seat(person)
        place = seat.channel(channel)
        add_reaction(self._world, place, seat.message(place, message), emoji, seat.user.id)

    # interactions

    async def slash(
        self,
        *,
        person: str,
        command: str,
        options: Mapping[str, Any] | None = None,
        channel: str | None = None,
        until: str = "answer",
        timeout: float = PATIENCE_SECONDS,
    ) -> Json:
        """Type a slash command: "project list" with its options; waits as `interaction` does."""
        seat = self._seat(person)
        place = seat.channel(channel)
        found, path = self._find_command(seat, place, command)
        filled = fill(found, path, options or {}, partial(seat.resolve, place))
        interaction = summon(
            self._world,
            kind=InteractionType.APPLICATION_COMMAND,
            by=seat.user,
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
        seat = self._seat(person)
        place = seat.channel(channel)
        found, path = self._find_command(seat, place, command)
        values = {**(options or {}), focused: text}
        filled = fill(
            found,
            path,
            values,
            partial(seat.resolve, place),
            focused=focused,
        )
        interaction = summon(
            self._world,
            kind=InteractionType.AUTOCOMPLETE,
            by=seat.user,
            channel=place,
            name=found["name"],
            data=_command_data(found, filled),
            focused_type=filled.focused_type,
        )
        answered = await self._followed(interaction, "ack", self._world.settings.response_seconds)
        return list(answered["choices"])

    def _find_command(self, seat: Seat, place: Channel, typed: str) -> tuple[Json, list[str]]:
        name, *path = typed.removeprefix("/").split() or [""]
        offered = [one for one in self._offered(seat) if one["type"] == CommandType.CHAT_INPUT]
        found = [one for one in offered if one["name"] == name]
        if not found:
            raise CannotDo(f"there is no command /{name}; there are {sorted(one['name'] for one in offered)}")
        if len(found) > 1:
            raise CannotDo(f"/{name} is offered {len(found)} times: global and in the guild")
        if place.guild_id is not None:
            self._world.guild.require(seat.user.id, Permission.USE_APPLICATION_COMMANDS, place)
        elif "guild_id" in found[0]:
            raise CannotDo(f"/{name} is a command of the guild, not of direct conversations")
        return found[0], path

    async def press(
        self,
        *,
        person: str,
        channel: str,
        message: str,
        component: str,
        values: Sequence[str] | None = None,
        until: str = "answer",
        timeout: float = PATIENCE_SECONDS,
    ) -> Json:
        """Press a button, or choose from a select, by label, custom id or placeholder."""
        seat = self._seat(person)
        place = seat.channel(channel)
        held = seat.message(place, message)
        found = find_component(held, component)
        data: Json = {
            "custom_id": found["custom_id"],
            "component_type": found["type"],
            "id": found["id"],
        }
        if found["type"] in SELECTS:
            data |= seat.choose(place, found, list(values or ()))
        interaction = summon(
            self._world,
            kind=InteractionType.MESSAGE_COMPONENT,
            by=seat.user,
            channel=place,
            name=held.interaction["name"] if held.interaction else "",
            data=data,
            source=held,
        )
        return await self._followed(interaction, until, timeout)

    async def submit(
        self,
        *,
        person: str,
        interaction: str,
        values: Mapping[str, Any],
        until: str = "answer",
        timeout: float = PATIENCE_SECONDS,
    ) -> Json:
        """Fill in and send the modal that an interaction showed."""
        seat = self._seat(person)
        shown = self._own_interaction(seat, interaction)
        if shown.modal is None:
            raise CannotDo("that interaction showed no form")
        components = filled_modal(shown.modal, dict(values))
        submitted = summon(
            self._world,
            kind=InteractionType.MODAL_SUBMIT,
            by=seat.user,
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
        timeout: float = PATIENCE_SECONDS,
    ) -> Json:
        """How it stands. `until`: "now", "ack" (the first response), or "answer" (no longer thinking)."""
        found = self._own_interaction(self._seat(person), interaction)
        return await self._followed(found, until, timeout)

    def _own_interaction(self, seat: Seat, interaction: str) -> Interaction:
        found = self._world.interactions.find(interaction)
        if found is None or found.user.id != seat.user.id:
            raise CannotDo("no such interaction of yours (any more)")
        return found

    async def _followed(self, interaction: Interaction, until: str, timeout: float) -> Json:
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
        held = channel.messages if channel else {}
        seat = self._seat(interaction.user.username)

        def shown(message_id: int | None) -> Json | None:
            message = held.get(message_id or 0)
            return seat.shown(message) if message else None

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


def _command_data(command: Json, filled: FilledCommand) -> Json:
    data: Json = {"id": command["id"], "name": command["name"], "type": command["type"]}
    if "guild_id" in command:
        data["guild_id"] = command["guild_id"]
    if filled.options:
        data["options"] = filled.options
    if filled.resolved:
        data["resolved"] = filled.resolved
    return data

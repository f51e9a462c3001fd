"""What a bot answers to an interaction: the first response, the original's edits, follow-ups."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bot.localguild import payloads, posts
from bot.localguild.commands import OptionType
from bot.localguild.components import read_modal
from bot.localguild.drafts import Draft, Upload, read_draft, refuse_empty
from bot.localguild.errors import refusal
from bot.localguild.forms import Reader
from bot.localguild.interactions import CallbackType, Interaction, InteractionType
from bot.localguild.model import Json, Message, MessageFlag, MessageType
from bot.localguild.world import World

_ALLOWED = {
    InteractionType.APPLICATION_COMMAND: (
        CallbackType.MESSAGE,
        CallbackType.DEFERRED_MESSAGE,
        CallbackType.MODAL,
    ),
    InteractionType.MESSAGE_COMPONENT: (
        CallbackType.MESSAGE,
        CallbackType.DEFERRED_MESSAGE,
        CallbackType.DEFERRED_UPDATE,
        CallbackType.UPDATE,
        CallbackType.MODAL,
    ),
    InteractionType.AUTOCOMPLETE: (CallbackType.AUTOCOMPLETE,),
    # no modal as the answer to a modal; update only when the modal came from a message's component
    InteractionType.MODAL_SUBMIT: (CallbackType.MESSAGE, CallbackType.DEFERRED_MESSAGE),
}
MAX_CHOICES = 25


def acknowledge(world: World, interaction: Interaction, body: Any, uploads: Sequence[Upload]) -> Json:
    """Carry out the first response; the answer of `with_response=1`. Raises ApiError."""
    form = Reader(body)
    allowed = list(_ALLOWED[interaction.type])
    if interaction.type is InteractionType.MODAL_SUBMIT and interaction.source is not None:
        allowed += [CallbackType.DEFERRED_UPDATE, CallbackType.UPDATE]
    callback = CallbackType(form.choice("type", [int(one) for one in allowed], required=True))
    form.problems.raise_if_any()
    resource: Json | None = None
    match callback:
        case CallbackType.MESSAGE:
            resource = _respond(world, interaction, form, uploads)
        case CallbackType.DEFERRED_MESSAGE:
            _think(world, interaction, form)
        case CallbackType.DEFERRED_UPDATE:
            interaction.original_id = interaction.source.id if interaction.source else None
        case CallbackType.UPDATE:
            resource = _update(world, interaction, form, uploads)
        case CallbackType.AUTOCOMPLETE:
            interaction.choices = _read_choices(interaction, form)
        case CallbackType.MODAL:
            data = form.object("data", required=True) or form
            modal = read_modal(data)
            form.problems.raise_if_any()
            interaction.modal = modal
    interaction.answered = callback not in (CallbackType.DEFERRED_MESSAGE, CallbackType.DEFERRED_UPDATE)
    world.interactions.acknowledge(interaction, callback)
    world.journal.add(
        "INTERACTION_ACKNOWLEDGED",
        {"id": str(interaction.id), "callback": int(callback)},
        only_for=interaction.user.id,
    )
    return _callback_answer(world, interaction, callback, resource)


def _callback_answer(
    world: World, interaction: Interaction, callback: CallbackType, resource: Json | None
) -> Json:
    about: Json = {
        "id": str(interaction.id),
        "type": int(interaction.type),
        "channel_id": str(interaction.channel_id),
    }
    if world.guild.channels[interaction.channel_id].guild_id is not None:
        about["guild_id"] = str(world.guild.id)
    if interaction.original_id is not None:
        original = _original(world, interaction)
        about["response_message_id"] = str(original.id)
        about["response_message_loading"] = callback is CallbackType.DEFERRED_MESSAGE
        about["response_message_ephemeral"] = original.only_for is not None
    return {"interaction": about} | ({"resource": resource} if resource else {})


def _respond(world: World, interaction: Interaction, form: Reader, uploads: Sequence[Upload]) -> Json:
    data = form.object("data", required=True)
    form.problems.raise_if_any()
    assert data is not None
    draft = read_draft(data.body, uploads, form=data)
    form.problems.raise_if_any()
    refuse_empty(draft)
    message = _post(world, interaction, draft, ephemeral=MessageFlag.EPHEMERAL in draft.flags)
    interaction.original_id = message.id
    return {"type": 4, "message": payloads.message(world.guild, message, viewer_id=world.bot_id)}


def _think(world: World, interaction: Interaction, form: Reader) -> None:
    data = form.object("data")
    flags = MessageFlag(data.integer("flags", minimum=0)) if data else MessageFlag.NONE
    form.problems.raise_if_any()
    ephemeral = MessageFlag.EPHEMERAL in flags
    message = _post(world, interaction, Draft(), ephemeral=ephemeral, flags=MessageFlag.LOADING)
    interaction.original_id = message.id


def _update(world: World, interaction: Interaction, form: Reader, uploads: Sequence[Upload]) -> Json:
    source = interaction.source
    assert source is not None  # UPDATE is allowed for components only
    data = form.object("data")
    interaction.original_id = source.id
    if data is not None:
        draft = read_draft(
            data.body, uploads, form=data, existing=source.attachments, existing_flags=source.flags
        )
        form.problems.raise_if_any()
        _check_there(world, source)
        posts.edit(world, source, draft)
    return {"type": 7, "message": payloads.message(world.guild, source, viewer_id=world.bot_id)}


def _check_there(world: World, message: Message) -> None:
    holder = world.guild.channels.get(message.channel_id)
    if holder is None or message.id not in holder.messages:
        raise refusal(10008)


def _read_choices(interaction: Interaction, form: Reader) -> list[Json]:
    data = form.object("data", required=True)
    choices = data.objects("choices", maximum=MAX_CHOICES) if data else []
    kind = OptionType(interaction.data.get("focused_type", OptionType.STRING))
    shown: list[Json] = []
    for each in choices:
        value = each.body.get("value")
        name = each.text("name", minimum=1, maximum=100, required=True)
        if kind is OptionType.STRING:
            each.text("value", minimum=1, maximum=100, required=True)
        elif isinstance(value, bool) or not isinstance(value, int | float):
            each.fail(("value",), "NUMBER_TYPE_COERCE", f'Value "{value}" is not a number.')
        shown.append({"name": name, "value": value})
    form.problems.raise_if_any()
    return shown


def _post(
    world: World,
    interaction: Interaction,
    draft: Draft,
    *,
    ephemeral: bool,
    flags: MessageFlag = MessageFlag.NONE,
    is_followup: bool = False,
) -> Message:
    """A message of the bot that belongs to the interaction."""
    channel = world.guild.channels.get(interaction.channel_id)
    if channel is None:
        raise refusal(10003)
    is_command = interaction.type is InteractionType.APPLICATION_COMMAND
    first_of_command = is_command and not is_followup
    return posts.post(
        world,
        channel,
        world.guild.bot,
        draft,
        message_type=MessageType.CHAT_INPUT_COMMAND if first_of_command else MessageType.DEFAULT,
        only_for=interaction.user.id if ephemeral else None,
        flags=flags | (MessageFlag.EPHEMERAL if ephemeral else MessageFlag.NONE),
        interaction=_old_style(interaction) if first_of_command else None,
        interaction_metadata=metadata(world, interaction),
        may_be_empty=MessageFlag.LOADING in flags,
    )


def _old_style(interaction: Interaction) -> Json:
    return {
        "id": str(interaction.id),
        "type": int(interaction.type),
        "name": interaction.name,
        "user": payloads.user(interaction.user),
    }


def metadata(world: World, interaction: Interaction) -> Json:
    """What a message tells of the interaction that made it."""
    extra: Json = {}
    if interaction.type is InteractionType.MESSAGE_COMPONENT and interaction.source is not None:
        extra["interacted_message_id"] = str(interaction.source.id)
    if interaction.triggered_by is not None:
        extra["triggering_interaction_metadata"] = interaction.triggered_by
    return payloads.interaction_metadata(
        world.guild,
        interaction_id=interaction.id,
        interaction_type=int(interaction.type),
        by=interaction.user,
        extra=extra,
    )


def _original(world: World, interaction: Interaction) -> Message:
    return own_message(world, interaction, interaction.original_id or 0)


def own_message(world: World, interaction: Interaction, message_id: int | None) -> Message:
    """A message that this interaction's token may read and change; None is the original response."""
    wanted = interaction.original_id if message_id is None else message_id
    own = {interaction.original_id, *interaction.followups}
    holder = world.guild.channels.get(interaction.channel_id)
    message = holder.messages.get(wanted or 0) if holder else None
    if message is None or wanted not in own:
        raise refusal(10008)
    return message


def follow_up(world: World, interaction: Interaction, body: Any, uploads: Sequence[Upload]) -> Message:
    """A further message; right after a "thinking" deferral it fills the thinking one instead."""
    draft = read_draft(body, uploads)
    refuse_empty(draft)
    if interaction.awaits_first_followup:
        return edit_message(world, interaction, _original(world, interaction), draft)
    message = _post(
        world,
        interaction,
        draft,
        ephemeral=MessageFlag.EPHEMERAL in draft.flags,
        is_followup=True,
    )
    interaction.followups.append(message.id)
    interaction.answered = True
    interaction.note_change()
    return message


def edit_message(world: World, interaction: Interaction, message: Message, draft: Draft) -> Message:
    message.flags &= ~MessageFlag.LOADING
    posts.edit(world, message, draft)
    interaction.answered = True
    interaction.note_change()
    return message


def delete_message(world: World, interaction: Interaction, message: Message) -> None:
    posts.delete(world, message)
    interaction.answered = True
    interaction.note_change()

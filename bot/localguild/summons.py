"""Starting an interaction: what the bot is told when a person types, presses, chooses or submits."""

from __future__ import annotations

from bot.localguild import payloads
from bot.localguild.components import Kind, walk
from bot.localguild.interactions import Interaction, InteractionType
from bot.localguild.model import Channel, Json, Message, User
from bot.localguild.options import CannotDo
from bot.localguild.world import World

_LOCALE = "en-US"
_IN_GUILD, _WITH_BOT = 0, 1  # the interaction's context


def summon(
    world: World,
    *,
    kind: InteractionType,
    by: User,
    channel: Channel,
    name: str,
    data: Json,
    focused_type: int | None = None,
    source: Message | None = None,
    source_modal: Json | None = None,
    triggered_by: Json | None = None,
) -> Interaction:
    """Open an interaction and send INTERACTION_CREATE to the bot."""
    interaction = Interaction(
        id=world.snowflakes.new(),
        token=world.interactions.new_token(),
        type=kind,
        user=by,
        channel_id=channel.id,
        name=name,
        created=world.monotonic(),
        data={**data, "focused_type": focused_type} if focused_type else data,
        source=source,
        source_modal=source_modal,
        triggered_by=triggered_by,
    )
    world.interactions.open(interaction)
    world.gateway.dispatch("INTERACTION_CREATE", _event(world, interaction, channel, data))
    return interaction


def _event(world: World, interaction: Interaction, channel: Channel, data: Json) -> Json:
    guild = world.guild
    event: Json = {
        "id": str(interaction.id),
        "application_id": str(guild.application_id),
        "type": int(interaction.type),
        "token": interaction.token,
        "version": 1,
        "channel_id": str(channel.id),
        "channel": payloads.channel(guild, channel, viewer_id=world.bot_id),
        "data": data,
        "app_permissions": str(guild.permissions(world.bot_id, channel).value),
        "locale": _LOCALE,
        "entitlements": [],
        "authorizing_integration_owners": {"0": str(guild.id)},
        "attachment_size_limit": world.settings.max_message_bytes,
    }
    if interaction.source is not None:
        event["message"] = payloads.message(guild, interaction.source, viewer_id=world.bot_id)
    if channel.guild_id is None:
        return event | {"context": _WITH_BOT, "user": payloads.user(interaction.user)}
    member = payloads.member(guild.member(interaction.user.id))
    member["permissions"] = str(guild.permissions(interaction.user.id, channel).value)
    return event | {
        "context": _IN_GUILD,
        "member": member,
        "guild_id": str(guild.id),
        "guild_locale": _LOCALE,
        "guild": {"id": str(guild.id), "locale": _LOCALE, "features": []},
    }


def find_component(message: Message, wanted: str) -> Json:
    """The component with this label, custom id or placeholder. Raises CannotDo with what is there."""
    usable = [one for one in walk(message.components) if "custom_id" in one or one.get("url")]
    for key in ("custom_id", "label", "placeholder"):
        found = [one for one in usable if one.get(key) == wanted]
        if len(found) > 1:
            raise CannotDo(f"{wanted!r} is there {len(found)} times: name it by its custom id")
        if found:
            if found[0].get("disabled"):
                raise CannotDo(f"{wanted!r} is disabled")
            if "custom_id" not in found[0]:
                raise CannotDo(f"{wanted!r} is a link")
            return found[0]
    names = [one.get("label") or one.get("custom_id") for one in usable]
    raise CannotDo(f"no {wanted!r} on that message; there are {names}")


def filled_modal(modal: Json, values: dict[str, str | list[str]]) -> list[Json]:
    """A modal's components as submitted. `values` go by custom id or label. Raises CannotDo."""
    left = dict(values)
    parts = []
    for part in modal["components"]:
        if part["type"] == Kind.LABEL:
            given = _take(left, part["component"], part["label"])
            parts.append({"type": 18, "id": part["id"], "component": given})
        elif part["type"] == Kind.ACTION_ROW:
            row = [_take(left, one, one.get("label", "")) for one in part["components"]]
            parts.append({"type": 1, "id": part["id"], "components": row})
        else:
            parts.append({"type": part["type"], "id": part["id"]})
    if left:
        raise CannotDo(f"the form has no field {sorted(left)}")
    return parts


def _take(left: dict[str, str | list[str]], field: Json, label: str) -> Json:
    key = next((one for one in (field["custom_id"], label) if one in left), None)
    filled: Json = {"type": field["type"], "id": field["id"], "custom_id": field["custom_id"]}
    if field["type"] != Kind.TEXT_INPUT:
        chosen = left.pop(key) if key else []
        filled["values"] = [chosen] if isinstance(chosen, str) else chosen
        if field.get("required") and not filled["values"]:
            raise CannotDo(f"field {label!r} is required")
        return filled
    text = left.pop(key) if key else field.get("value", "")
    if not isinstance(text, str):
        raise CannotDo(f"field {label!r} wants text")
    if not text and field["required"]:
        raise CannotDo(f"field {label!r} is required")
    if text and not field["min_length"] <= len(text) <= field["max_length"]:
        bounds = f"{field['min_length']} to {field['max_length']}"
        raise CannotDo(f"field {label!r} wants {bounds} characters, not {len(text)}")
    return filled | {"value": text}

"""/users, /oauth2, /applications/@me and /gateway."""

from __future__ import annotations

from bot.localguild import payloads
from bot.localguild.channels import direct_conversation
from bot.localguild.errors import refusal
from bot.localguild.intents import Intent
from bot.localguild.model import Json
from bot.localguild.rest.call import Answer, Call, Route
from bot.localguild.world import World

_PORTAL_FLAGS = {  # an application's flags that tell which privileged intents are switched on
    Intent.GUILD_PRESENCES: 1 << 13,
    Intent.GUILD_MEMBERS: 1 << 15,
    Intent.MESSAGE_CONTENT: 1 << 19,
}


async def _own_user(call: Call) -> Answer:
    return Answer(200, payloads.own_user(call.world.guild.bot))


async def _user(call: Call) -> Answer:
    return Answer(200, payloads.user(call.world.guild.user(call.id("user_id"))))


async def _application(call: Call) -> Answer:
    return Answer(200, payloads.application(call.world.guild, public_flags=_flags(call.world)))


def _flags(world: World) -> int:
    return sum(flag for intent, flag in _PORTAL_FLAGS.items() if intent in world.settings.privileged_intents)


async def _own_guilds(call: Call) -> Answer:
    guild = call.world.guild
    about: Json = {
        "id": str(guild.id),
        "name": guild.name,
        "icon": None,
        "banner": None,
        "owner": False,
        "permissions": str(guild.permissions(call.by).value),
        "features": [],
    }
    return Answer(200, [about])


async def _open_direct(call: Call) -> Answer:
    form = call.form()
    other = form.snowflake("recipient_id", required=True)
    form.problems.raise_if_any()
    recipient = call.world.guild.user(other or 0)
    if recipient.bot:
        raise refusal(50007)
    channel = direct_conversation(call.world, call.by, recipient.id)
    return Answer(200, payloads.channel(call.world.guild, channel, viewer_id=call.by))


async def _gateway(call: Call) -> Answer:
    return Answer(200, {"url": call.world.gateway.url})


async def _gateway_for_bots(call: Call) -> Answer:
    gateway = call.world.gateway
    limit = {
        "total": call.world.settings.identifies_per_day,
        "remaining": gateway.identifies_left,
        "reset_after": 86_400_000,
        "max_concurrency": 1,
    }
    return Answer(200, {"url": gateway.url, "shards": 1, "session_start_limit": limit})


ROUTES = (
    Route(method="GET", template="/users/@me", handler=_own_user),
    Route(method="GET", template="/users/@me/guilds", handler=_own_guilds),
    Route(method="POST", template="/users/@me/channels", handler=_open_direct),
    Route(method="GET", template="/users/{user_id}", handler=_user),
    Route(method="GET", template="/oauth2/applications/@me", handler=_application),
    Route(method="GET", template="/applications/@me", handler=_application),
    Route(method="GET", template="/gateway", handler=_gateway, open=True),
    Route(method="GET", template="/gateway/bot", handler=_gateway_for_bots),
)

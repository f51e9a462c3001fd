"""/applications/{id}/commands, global and of the guild."""

from __future__ import annotations

from bot.localguild.commands import Scope
from bot.localguild.model import Json
from bot.localguild.rest.call import NO_CONTENT, Answer, Call, Route


def _scope(call: Call) -> Scope:
    call.application_id()
    return call.guild_id() if "guild_id" in call.params else None


async def _listing(call: Call) -> Answer:
    commands = call.world.commands.listing(_scope(call))
    if call.query_flag("with_localizations"):
        return Answer(200, commands)
    return Answer(200, [_without_localizations(one) for one in commands])


def _without_localizations(command: Json) -> Json:
    return {key: value for key, value in command.items() if not key.endswith("_localizations")}


async def _overwrite(call: Call) -> Answer:
    return Answer(200, call.world.commands.overwrite(_scope(call), call.body))


async def _create(call: Call) -> Answer:
    command, is_new = call.world.commands.upsert(_scope(call), call.body)
    return Answer(201 if is_new else 200, command)


async def _get(call: Call) -> Answer:
    return Answer(200, call.world.commands.get(_scope(call), call.id("command_id")))


async def _edit(call: Call) -> Answer:
    return Answer(200, call.world.commands.edit(_scope(call), call.id("command_id"), call.body))


async def _delete(call: Call) -> Answer:
    call.world.commands.delete(_scope(call), call.id("command_id"))
    return NO_CONTENT


def _routes(prefix: str) -> tuple[Route, ...]:
    one = prefix + "/{command_id}"
    return (
        Route(method="GET", template=prefix, handler=_listing),
        Route(method="PUT", template=prefix, handler=_overwrite),
        Route(method="POST", template=prefix, handler=_create),
        Route(method="GET", template=one, handler=_get),
        Route(method="PATCH", template=one, handler=_edit),
        Route(method="DELETE", template=one, handler=_delete),
    )


ROUTES = (
    *_routes("/applications/{application_id}/commands"),
    *_routes("/applications/{application_id}/guilds/{guild_id}/commands"),
)

"""/interactions/.../callback and /webhooks/{application}/{token}: answers to interactions."""

from __future__ import annotations

from bot.localguild import callbacks, payloads
from bot.localguild.drafts import read_draft
from bot.localguild.errors import refusal
from bot.localguild.interactions import Interaction
from bot.localguild.model import Message
from bot.localguild.rest.call import NO_CONTENT, Answer, Call, Route


async def _callback(call: Call) -> Answer:
    interaction = call.world.interactions.to_acknowledge(
        call.id("interaction_id"), call.params["interaction_token"]
    )
    body = callbacks.acknowledge(call.world, interaction, call.body, call.uploads)
    return Answer(200, body) if call.query_flag("with_response") else NO_CONTENT


def _interaction(call: Call) -> Interaction:
    if call.id("webhook_id") != call.world.guild.application_id:
        raise refusal(10015)
    return call.world.interactions.of_webhook(call.params["webhook_token"])


def _own_message(call: Call) -> tuple[Interaction, Message]:
    interaction = _interaction(call)
    named = call.id("message_id") if "message_id" in call.params else None
    return interaction, callbacks.own_message(call.world, interaction, named)


def _shown(call: Call, message: Message) -> Answer:
    return Answer(200, payloads.message(call.world.guild, message, viewer_id=call.by))


async def _follow_up(call: Call) -> Answer:
    interaction = _interaction(call)
    # An interaction's follow-up is always waited for, whatever `wait` says.
    return _shown(call, callbacks.follow_up(call.world, interaction, call.body, call.uploads))


async def _get(call: Call) -> Answer:
    _, message = _own_message(call)
    return _shown(call, message)


async def _edit(call: Call) -> Answer:
    interaction, message = _own_message(call)
    draft = read_draft(call.body, call.uploads, existing=message.attachments, existing_flags=message.flags)
    return _shown(call, callbacks.edit_message(call.world, interaction, message, draft))


async def _delete(call: Call) -> Answer:
    interaction, message = _own_message(call)
    callbacks.delete_message(call.world, interaction, message)
    return NO_CONTENT


_WEBHOOK = "/webhooks/{webhook_id}/{webhook_token}"
_CALLBACK = "/interactions/{interaction_id}/{interaction_token}/callback"

ROUTES = (
    Route(method="POST", template=_CALLBACK, handler=_callback, open=True),
    Route(method="POST", template=_WEBHOOK, handler=_follow_up, open=True),
    *(
        Route(method=method, template=_WEBHOOK + "/messages/" + which, handler=handler, open=True)
        for which in ("@original", "{message_id}")
        for method, handler in (("GET", _get), ("PATCH", _edit), ("DELETE", _delete))
    ),
)

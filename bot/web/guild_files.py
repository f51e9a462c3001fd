"""Files of the local guild's messages, for whoever sees the message."""

from __future__ import annotations

import base64
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from bot.web.visitors import Asks, Visitor, house_of
from core.errors import NotFound
from core.security.access import Action

router = APIRouter(include_in_schema=False)
Member = Annotated[Visitor, Depends(Asks(Action.ENTER_GUILD))]
_SHOWN = ("image/png", "image/jpeg", "image/gif", "image/webp")  # by a browser, as pictures


@router.get("/guild/files/{channel}/{message}/{attachment}")
async def show(request: Request, visitor: Member, channel: str, message: str, attachment: str) -> Response:
    guild = house_of(request).guild
    if guild is None:
        raise _gone()
    from bot.localguild.options import CannotDo  # there is a guild, so its code is there already

    person = visitor.own.user.username
    asked = {"person": person, "channel": channel, "message": message, "attachment": attachment}
    try:
        found = await guild.call("attachment", asked)
    except CannotDo:
        raise _gone() from None
    kind = found["content_type"] if found["content_type"] in _SHOWN else "application/octet-stream"
    shown = "inline" if kind in _SHOWN else "attachment"
    headers = {
        "Content-Disposition": f"{shown}; filename*=UTF-8''{quote(found['filename'], safe='')}",
        "Cache-Control": "private, max-age=3600",
    }
    return Response(base64.b64decode(found["content"]), media_type=kind, headers=headers)


def _gone() -> NotFound:
    return NotFound("This file is not there.", hint="Its message may have been taken away.")

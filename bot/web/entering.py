"""Coming in by a one-time link: opening it shows a button, so that no program that only looks uses it up."""

from __future__ import annotations

import secrets

from fastapi import APIRouter, Request
from fastapi.responses import Response

from bot.web.cookies import FORM, SESSION, clear_cookie, set_cookie
from bot.web.house import House
from bot.web.login import next_page
from bot.web.page import go, page
from bot.web.visitors import check_form, client_of, cookie_of, form_of, give_cookie, house_of, session_of
from core.errors import NotAllowed
from core.security.logins import Missing, NotLoggedIn
from core.store import users

router = APIRouter(include_in_schema=False)
ENTER = "/enter"


@router.get(ENTER)
async def show(request: Request, link: str = "") -> Response:
    house = house_of(request)
    house.tries.call(client_of(request), house.runtime.clock.monotonic())
    user_id = house.entries.whose(link)
    if user_id is None:
        if await _is_in(request):  # a link that was used already, by the one who comes back by it
            return go(_start(house))
        raise NotAllowed(
            "This link is over.",
            why="It is good once, and for a short time.",
            hint="Log in at /login, or have a new one made where Orchard runs.",
        )
    user = await house.runtime.store.read(lambda conn: users.by_id(conn, user_id))
    nonce = secrets.token_urlsafe(32)
    give_cookie(request, set_cookie(FORM, nonce, house.site))
    return page(
        "enter",
        who="" if user is None else user.username,
        link=link,
        csrf=house.forms.token(_about(nonce)),
    )


@router.post(ENTER)
async def enter(request: Request) -> Response:
    house, client, form = house_of(request), client_of(request), await form_of(request)
    check_form(house, _about(cookie_of(request, FORM)), form.get("csrf", ""))
    house.tries.call(client, house.runtime.clock.monotonic())
    opened = await house.entries.enter(form.get("link", ""), client)
    if old := cookie_of(request):  # as where a password is shown: nobody goes on with a session of before
        await house.logins.log_out(old)
    give_cookie(request, clear_cookie(FORM, house.site))
    give_cookie(request, set_cookie(SESSION, opened.token, house.site))
    return go(_start(house) if opened.missing is Missing.NOTHING else next_page(opened.missing))


def _start(house: House) -> str:
    return next_page(Missing.NOTHING) if house.guild is None else "/guild"


async def _is_in(request: Request) -> bool:
    try:
        return (await session_of(request)).own.missing is Missing.NOTHING
    except NotLoggedIn:
        return False


def _about(nonce: str) -> str:
    if not nonce:
        raise NotAllowed("This form is too old.", why="Its cookie is gone.", hint="Open the link again.")
    return f"enter:{nonce}"

"""The demo in a browser: its owner, who has no password, and links that let them in."""

from __future__ import annotations

import secrets
from datetime import timedelta

from rich.text import Text

from bot.app import App
from bot.cli.demo.cast import WELCOME
from bot.localguild.people import Person
from core.domain.access import AccessLevel
from core.errors import Unavailable

_LASTING = timedelta(minutes=10)


async def make_owner(app: App, name: str) -> None:
    """`name` owns this Orchard; by which password nobody knows. Raises Unavailable without a web server."""
    web = app.web
    assert web is not None
    await web.ready.wait()
    if web.application is None:
        raise Unavailable("The demo has no page for the browser.", why=web.status)
    house = web.application.state.house
    password = secrets.token_urlsafe(32)
    owner = await house.users.create_first_owner(username=name, email=f"{name}@localhost", password=password)
    assert owner.level is AccessLevel.OWNER


async def welcome(guide: Person, text: str) -> None:
    """What there is to do, in the first channel that is seen."""
    await guide.send(text, channel=WELCOME)


async def invitation(app: App, name: str) -> Text:
    """A new link, good once."""
    web = app.web
    assert web is not None
    token = await web.application.state.house.entries.make(name, _LASTING)
    minutes = round(_LASTING.total_seconds() / 60)
    return Text.assemble(
        ("Open this in a browser", "bold"),
        f" (good once, for {minutes} minutes; type ",
        ("link", "bold"),
        " for another one):\n",
        (f"{web.status}/enter?link={token}", "bold cyan"),
        no_wrap=True,
        overflow="ignore",
    )

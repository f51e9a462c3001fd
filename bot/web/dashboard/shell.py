"""The frame of every page: menu, search, keyboard, theme; and how a page shows what goes on.

A page's `build` is called inside of it. It puts up a heading (`heading`) and its parts (`show`): these follow
the data by themselves, and what does something asks `act`.
"""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

from markupsafe import Markup
from nicegui import Client, ui

from bot.web.dashboard.fragments import Fragments, Said
from bot.web.dashboard.live import View
from bot.web.dashboard.markup import drawn
from bot.web.dashboard.menu import Menu, choices, entries, menu_view, shown_projects
from bot.web.dashboard.page import PAGES, Page, Viewer
from core.errors import NotAllowed, OrchardError
from core.ids import new_id
from core.security.logins import NotLoggedIn

log = logging.getLogger(__name__)

T = TypeVar("T")
Parts = Mapping[str, Markup]
_STATIC = Path(__file__).parents[1] / "static"


def static_file(name: str) -> str:
    """Its address, another one when it changes: browsers keep what they have."""
    return f"/static/{name}?{sha256((_STATIC / name).read_bytes()).hexdigest()[:12]}"


_HEAD = (
    '<link rel="icon" href="/static/orchard.svg" type="image/svg+xml">'
    f'<link rel="stylesheet" href="{static_file("dashboard.css")}">'
    f'<script src="{static_file("dashboard.js")}"></script>'
)


@asynccontextmanager
async def frame(viewer: Viewer, page: Page) -> AsyncIterator[None]:
    """What is built inside of it comes beside the menu. What fails there is said on the page."""
    client = ui.context.client
    ui.add_head_html(_HEAD)
    here = client.request.url.path

    def ended(error: NotAllowed) -> None:
        client.open("/login" if isinstance(error, NotLoggedIn) else here)  # which says why it is not shown

    viewer.live.enter(client.id, lambda: viewer.stay(page), ended)
    client.on_delete(lambda: viewer.live.leave(client.id))
    for element in client.elements.values():
        if element.tag == "q-page":  # Quasar's own <main>, which has the menu in it
            element.props("role=none")

    def side(menu: Menu) -> Parts:
        parts = drawn(
            "side",
            entries=entries(menu, PAGES, viewer, here),
            projects=shown_projects(menu, viewer.sees, here),
            user=viewer.visitor.own.user.username,
            csrf=viewer.visitor.csrf,
        )
        return {"side": parts}

    menu = menu_view(viewer.house.runtime.commands)
    (await show(viewer, menu, side, tag="nav")).classes("side").props('aria-label="Orchard"')
    with ui.element("main").props('id="main" tabindex="-1"'):
        try:
            yield
        except OrchardError as error:
            Fragments({**heading_parts(page.title), "trouble": trouble(error)})
    ui.html('<div class="veil" data-veil></div>', sanitize=False)
    _palette(viewer, await viewer.live.watch(client.id, menu, lambda _: None))


def _palette(viewer: Viewer, menu: Menu) -> None:
    def drawn_for(text: str, titles: Any = ()) -> Parts:
        found = choices(menu, PAGES, viewer, text, titles)
        return {"palette": drawn("palette", choices=found, entries=entries(menu, PAGES, viewer, ""))}

    async def search(said: Said) -> None:
        text = said.get("text", "")[:100].strip()
        titles: Any = ()
        try:
            await viewer.glance()
            if text:
                titles = await viewer.house.runtime.commands.story_titles()
        except NotLoggedIn:
            ui.context.client.open("/login")
        except OrchardError as error:
            notice(ui.context.client, "bad", error.message, error.hint)
        else:
            palette.show(drawn_for(text, titles))

    palette = Fragments(drawn_for(""), does=search)


def heading(title: str) -> None:
    """The page's first line, where it does not change."""
    Fragments(heading_parts(title))


def heading_parts(
    title: str, *, crumbs: tuple[tuple[str, str], ...] = (), sign: str = "", word: str = ""
) -> Parts:
    """Of a heading that changes, as one of the parts of `show`. `crumbs`: title and path of what the page
    belongs to; `sign` and `word`: its state."""
    return {"heading": drawn("heading", title=title, crumbs=crumbs, sign=sign, word=word)}


def trouble(error: OrchardError) -> Markup:
    return drawn("trouble", message=error.message, why=error.why, hint=error.hint)


def barred() -> Markup:
    """In place of what somebody might see when they opened the page, and may not any more."""
    return trouble(NotAllowed("You may not see this any more.", hint="Ask the owner."))


async def show(
    viewer: Viewer,
    view: View[T],
    draw: Callable[[T], Parts],
    *,
    tag: str = "div",
    does: Callable[[Said], Awaitable[None]] | None = None,
) -> Fragments:
    """Parts that follow a view: `draw` makes them of each new picture, for this viewer. While the browser is
    away nothing is drawn; when it is back it gets what is true then. Raises what the first look raises."""
    client = ui.context.client
    latest: list[T] = []
    shown: list[Fragments] = []

    def told(picture: T) -> None:
        latest[:] = [picture]
        if shown and client.has_socket_connection:
            shown[0].show(draw(picture))

    def back() -> None:
        if latest:
            shown[0].show(draw(latest[0]))

    picture = await viewer.live.watch(client.id, view, told)
    shown.append(Fragments(draw(picture), tag=tag, does=does))
    client.on_connect(back)
    return shown[0]


async def act(doing: Callable[[], Awaitable[str]]) -> bool:
    """Does what a control asks for; what came of it is said on the page. `doing` asks `Viewer.admit` itself
    and returns a sentence. False: it was refused."""
    client = ui.context.client
    try:
        notice(client, "good", await doing())
    except NotLoggedIn:
        client.open("/login")
    except OrchardError as error:
        notice(client, "bad", error.message, "\n".join(part for part in (error.why, error.hint) if part))
    except Exception:  # edge: the person sees the number that the log has
        number = new_id("fault")
        log.exception("%s: a control of the dashboard failed", number)
        notice(client, "bad", "This did not work.", f"It is in Orchard's log as {number}.")
    else:
        return True
    return False


def notice(client: Client, kind: str, title: str, text: str = "") -> None:
    """A line in the corner for some seconds; `kind`: "good" or "bad"."""
    client.run_javascript(f"orchard.notice({json.dumps(kind)}, {json.dumps(title)}, {json.dumps(text)})")

"""The way into the dashboard: our own log-in before NiceGUI, which the first page that is opened loads.

NiceGUI is one a process, with state of its own in its modules: an Orchard holds it from its first page to its
end. A page is asked for like everything else (Asks).
"""

from __future__ import annotations

import asyncio
import importlib
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, ClassVar

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp

from bot.web.dashboard.files import PREFIX, Files
from bot.web.dashboard.inner import ask
from bot.web.dashboard.live import Live
from bot.web.dashboard.page import PAGES, Page, Viewer
from bot.web.dashboard.policy import policy, with_nonce
from bot.web.dashboard.socket import PATH, PageSockets, own_events
from bot.web.house import House
from bot.web.visitors import Asks, Visitor
from core.errors import Unavailable

if TYPE_CHECKING:
    from nicegui import Client

WITHOUT_ACTION = {
    PREFIX + "{rest:path}": "NiceGUI's scripts and styles, the same for everybody",
    PATH: "of an open page: shows the session that opened it",
}
_PAGES = "bot.web.dashboard.pages"
_RECONNECT_SECONDS = 60.0  # a page whose connection was lost for longer is loaded anew
_PING_SECONDS, _PONG_SECONDS = 10.0, 8.0
_BUILD_SECONDS = 10.0
_KEPT_MESSAGES = 200  # for a page whose connection was lost


class Door:
    _holder: ClassVar[Door | None] = None  # whose NiceGUI it is

    def __init__(self, house: House) -> None:
        self._house = house
        self._opening = asyncio.Lock()
        self._gui: ASGIApp | None = None
        self._ended = False
        self._stack = AsyncExitStack()
        self.live = Live(house.runtime.bus)
        self.viewers: dict[str, Viewer] = {}  # by NiceGUI's id of an open page

    def router(self) -> APIRouter:
        router = APIRouter(include_in_schema=False)
        for page in PAGES:
            router.add_api_route(page.path, self._endpoint(page), methods=["GET"])
        router.routes.append(Route(PREFIX + "{rest:path}", Files(self.opened), methods=["GET"]))
        router.routes.append(WebSocketRoute(PATH, PageSockets(self._house, self.opened, self.viewers)))
        return router

    def _endpoint(self, page: Page) -> Callable[..., Any]:
        asks = Asks(page.action, each=page.each)

        async def show(request: Request, visitor: Visitor = Depends(asks)) -> Response:  # noqa: B008
            _ = visitor.own  # a page stays open as long as its session; a token opens none
            gui = await self.opened()
            request.state.viewer = Viewer(self._house, self.live, visitor, dict(request.path_params))
            answer = await ask(gui, request.scope)
            nonce = secrets.token_urlsafe(16)
            headers = {"Content-Security-Policy": policy(nonce)}
            return HTMLResponse(with_nonce(answer.body, nonce), answer.status, headers)

        return show

    async def opened(self) -> ASGIApp:
        """NiceGUI's application. Raises Unavailable."""
        async with self._opening:
            if self._gui is None:
                if self._ended or Door._holder is not None:
                    raise Unavailable(
                        "The dashboard is not there.",
                        why="Orchard ends." if self._ended else "Another Orchard of this process has it.",
                        hint="The API and the command line can do the same.",
                    )
                Door._holder = self
                try:
                    self._gui = await self._open()
                except BaseException:
                    Door._holder = None
                    raise
            return self._gui

    async def _open(self) -> ASGIApp:
        # Half a second of imports, for which nothing else should wait.
        gui: Any = await asyncio.to_thread(importlib.import_module, "nicegui")
        gui.app.config.add_run_config(
            reload=False,
            title="Orchard",
            viewport="width=device-width, initial-scale=1",
            favicon=None,
            dark=None,  # as the browser is set
            language="en-US",
            binding_refresh_interval=None,  # or it would look at all that is bound ten times a second
            reconnect_timeout=_RECONNECT_SECONDS,
            message_history_length=_KEPT_MESSAGES,
            tailwind=False,
            unocss=None,
            prod_js=True,
            show_welcome_message=False,
            markdown=False,
        )
        gui.app.config.socket_io_js_transports = ["websocket"]
        shell: Any = await asyncio.to_thread(importlib.import_module, "bot.web.dashboard.shell")
        for page in PAGES:
            module = await asyncio.to_thread(importlib.import_module, f"{_PAGES}.{page.module}")
            title = f"{page.title} · Orchard"
            gui.ui.page(page.path, title=title, response_timeout=_BUILD_SECONDS)(
                self._page(page, module.build, shell.frame)
            )
        self._stack.enter_context(own_events(gui.core.sio))
        await self._stack.enter_async_context(_sockets(gui.core.sio.eio))
        await self._stack.enter_async_context(gui.app.router.lifespan_context(gui.app))
        # NiceGUI's own are of the time that a page may be gone: a phone would show what is no longer so.
        gui.core.sio.eio.ping_interval, gui.core.sio.eio.ping_timeout = _PING_SECONDS, _PONG_SECONDS
        application: ASGIApp = gui.app
        return application

    def _page(
        self, page: Page, build: Callable[[Viewer], Awaitable[None]], frame: Callable[[Viewer, Page], Any]
    ) -> Callable[..., Awaitable[None]]:
        async def show(request: Request, client: Client) -> None:
            viewer: Viewer = request.state.viewer
            self.viewers[client.id] = viewer
            client.on_delete(lambda: self.viewers.pop(client.id, None))
            async with frame(viewer, page):
                await build(viewer)

        return show

    async def let_go(self) -> None:
        """Ends NiceGUI, and with it every open page. Until the next page is asked for, another Orchard of
        this process may have it."""
        async with self._opening:
            await self._end()

    async def close(self) -> None:
        async with self._opening:
            self._ended = True
            await self.live.close()
            await self._end()

    async def _end(self) -> None:
        if self._gui is not None:
            self._gui = None
            try:
                await self._stack.aclose()
            finally:
                Door._holder = None
                self.viewers.clear()


@asynccontextmanager
async def _sockets(engine: Any) -> AsyncIterator[None]:
    """Engine.IO's pings and its watch begin tasks that nobody holds: they end with the block."""
    tasks: set[asyncio.Task[None]] = set()

    def begin(
        target: Callable[..., Coroutine[Any, Any, Any]], *args: Any, **kwargs: Any
    ) -> asyncio.Task[Any]:
        task = asyncio.create_task(target(*args, **kwargs))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        return task

    engine.start_background_task = begin
    try:
        yield
    finally:
        del engine.start_background_task
        engine.start_service_task = True  # with the first socket of whoever is next
        for task in (ending := [*tasks]):
            task.cancel()
        if ending:
            await asyncio.wait(ending)

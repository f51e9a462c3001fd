"""A whole Orchard with its guild and its web pages, in a loop of its own thread, and people with browsers.

The browser is Debian's Chromium: playwright's own is never fetched. What a page loads from another host, and
what it complains of in the console, is noted: see `Watch`.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import socket
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pyotp
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Playwright, Request

from bot.app import App
from core.domain.access import AccessLevel
from core.runtime import Runtime
from core.security.passwords import Passwords
from core.security.users import Users
from tests.browser.wire import Wire, wire
from tests.integration.discord.house import House, User

SECONDS = 90  # for anything to happen: two busy cores are slow
PASSWORD = "an orchard in late autumn"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
WEB = {"logins_per_minute": 10_000, "calls_per_minute": 100_000}
PHONE_WIDTH = 390
PHONE = {
    "viewport": {"width": PHONE_WIDTH, "height": 844},
    "device_scale_factor": 2,
    "has_touch": True,
    "is_mobile": True,
}


@dataclass
class Watch:
    """What the pages of a context did that they should not."""

    port: int
    foreign: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)  # parts of complaints that the test brings about itself

    def over(self, context: BrowserContext) -> None:
        context.on("request", self._request)
        context.on("console", self._console)
        context.on("weberror", lambda error: self.complaints.append(str(error.error)))

    def _request(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme in ("http", "https", "ws", "wss") and parts.hostname != "127.0.0.1":
            self.foreign.append(request.url)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.complaints.append(f"{message.text} ({message.location.get('url', '')})")

    def check(self) -> None:
        assert self.foreign == []
        kept = [one for one in self.complaints if not any(part in one for part in self.expected)]
        assert kept == []


@dataclass
class Grounds:
    """`do` runs a coroutine in Orchard's loop; `page` is a new browser of somebody who is logged in."""

    loop: asyncio.AbstractEventLoop
    house: House
    app: App
    port: int
    wire: Wire  # another port, by which it is reached until the network is lost
    browser: Browser
    shots: Path
    people: dict[str, Any] = field(default_factory=dict)  # storage states, by name
    contexts: list[tuple[BrowserContext, Watch]] = field(default_factory=list)

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(SECONDS)

    @property
    def runtime(self) -> Runtime:
        return self.app.runtime

    def url(self, path: str = "/", port: int | None = None) -> str:
        return f"http://127.0.0.1:{port or self.port}{path}"

    def create(
        self, name: str, level: AccessLevel | None = AccessLevel.VIEWER, **projects: AccessLevel
    ) -> str:
        users = Users(self.runtime.store, Passwords())

        async def make() -> None:
            await users.create_user(name, f"{name}@example.org", PASSWORD, level)
            for project, granted in projects.items():
                await users.grant_project_access(name, project, granted)

        self.do(make())
        return name

    def context(self, name: str = "", **more: Any) -> tuple[BrowserContext, Watch]:
        """A browser of its own, logged in as somebody who was before."""
        state = self.people[name] if name else None
        context = self.browser.new_context(base_url=self.url().rstrip("/"), storage_state=state, **more)
        context.set_default_timeout(SECONDS * 1000)
        watch = Watch(self.port)
        watch.over(context)
        self.contexts.append((context, watch))
        return context, watch

    def page(self, name: str, path: str = "/", **more: Any) -> Page:
        context, _ = self.context(name, **more)
        page = context.new_page()
        page.goto(path)
        return page

    def enter(self, page: Page, name: str, password: str = PASSWORD) -> None:
        page.goto("/login")
        page.get_by_label("Name or e-mail").fill(name)
        page.get_by_label("Password").fill(password)
        page.get_by_role("button", name="Log in").click()

    def enrol(self, page: Page) -> pyotp.TOTP:
        """A second factor, as a person without a camera sets it up."""
        page.goto("/login/enrol")
        page.get_by_role("button", name="Begin").click()
        page.get_by_text("Or type it in").click()
        totp = pyotp.TOTP(page.locator("pre.wrap").inner_text().strip())
        page.get_by_label("The code that it shows then").fill(totp.now())
        page.get_by_role("button", name="Switch it on").click()
        page.get_by_role("link", name=re.compile("I have kept them")).click()
        return totp

    def keep(self, name: str, page: Page) -> None:
        """From now on `page(name)` is logged in as this page is."""
        self.people[name] = page.context.storage_state()

    def close_contexts(self) -> list[Watch]:
        """Every browser that a test opened, and what was seen of it."""
        opened, self.contexts = self.contexts, []
        for context, _ in opened:
            context.close()
        return [watch for _, watch in opened]

    def user(self, name: str, project: str) -> User:
        """In Discord."""
        return self.house.user(name, project)

    def photograph(self, page: Page, name: str) -> None:
        self.shots.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=self.shots / f"{name}.png", full_page=True, animations="disabled")


@contextmanager
def grounds(
    open_house: Callable[[], Any], playwright: Playwright, shots: Path, begin: Callable[[House], None]
) -> Iterator[Grounds]:
    """Runs until the block ends. `begin` makes the projects, before Orchard starts."""
    # Bound and not listened on: nobody else gets it, and Orchard may.
    kept = socket.socket()
    kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    kept.bind(("127.0.0.1", 0))
    port: int = kept.getsockname()[1]
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="orchard", daemon=True)
    thread.start()
    stop = asyncio.Event()
    opened: asyncio.Future[tuple[House, App, Wire]] = loop.create_future()

    async def run() -> None:
        try:
            async with wire(port) as line, open_house() as house:
                # A page that is reached by another port than Orchard's own is behind a proxy.
                house.settings["web"] = {**WEB, "port": port, "public_url": f"http://127.0.0.1:{line.port}"}
                begin(house)
                async with house.running(web=True) as app:
                    await app.web.ready.wait()
                    opened.set_result((house, app, line))
                    await stop.wait()
        except BaseException as error:
            if not opened.done():
                opened.set_exception(error)
            raise

    async def known() -> tuple[House, App, Wire]:
        return await opened

    task = asyncio.run_coroutine_threadsafe(run(), loop)
    try:
        house, app, line = asyncio.run_coroutine_threadsafe(known(), loop).result(SECONDS)
        assert app.web is not None
        assert app.web.status.startswith("http://127.0.0.1:"), app.web.status
        # As root, and in containers without user namespaces, Chromium's own sandbox cannot be made.
        browser = playwright.chromium.launch(executable_path=CHROMIUM, chromium_sandbox=False)
        try:
            yield Grounds(
                loop=loop,
                house=house,
                app=app,
                port=port,
                wire=line,
                browser=browser,
                shots=shots,
            )
        finally:
            browser.close()
    finally:
        kept.close()
        loop.call_soon_threadsafe(stop.set)
        try:
            task.result(SECONDS)
        finally:
            asyncio.run_coroutine_threadsafe(_end_all(), loop).result(SECONDS)
            loop.call_soon_threadsafe(loop.stop)
            thread.join(SECONDS)
            loop.close()


async def _end_all() -> None:
    """As `asyncio.run` does: socket.io leaves the ping of a closed page behind."""
    others = [one for one in asyncio.all_tasks() if one is not asyncio.current_task()]
    for one in others:
        one.cancel()
    await asyncio.gather(*others, return_exceptions=True)

"""An open page without a browser: its first HTML, its socket, what it is sent and what it says."""

from __future__ import annotations

import asyncio
import html
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
import socketio

SECONDS = 45
_ELEMENTS = re.compile(r"parseElements\(String\.raw`(.*?)`\)", re.DOTALL)
_PATCH = re.compile(r"getElement\((\d+)\)\?\.patch\(\.\.\.(.*)\)$", re.DOTALL)


@dataclass
class OpenPage:
    """`parts`: HTML by key, of every element that has parts; kept up to date by the socket."""

    text: str
    elements: dict[str, Any]
    parts: dict[str, str] = field(default_factory=dict)
    javascript: list[str] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    socket: Any = None
    patches: int = 0

    @property
    def client_id(self) -> str:
        return re.search(r"client_id\W+([0-9a-f-]{36})", self.text)[1]

    @property
    def shown(self) -> str:
        """Everything that it says, as it stands in its HTML."""
        return "\n".join(self.parts.values())

    def take(self, data: dict[str, Any]) -> None:
        code = data["code"]
        self.javascript.append(code)
        if (patch := _PATCH.match(code)) is not None:
            changed, order = json.loads(patch[2])
            self.patches += 1
            self.parts |= changed
            gone = set(self.elements[patch[1]]["props"]["order"]) - set(order)
            self.elements[patch[1]]["props"]["order"] = order
            for key in gone:
                self.parts.pop(key, None)
        self.news.set()

    async def until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(SECONDS):
            while not true():
                self.news.clear()
                await self.news.wait()

    async def do(self, **said: Any) -> None:
        """As its script tells it: the search to the search, all else to what can do something else."""
        for number, element in self.elements.items():
            searches = 'data-typed="search"' in "".join(element.get("props", {}).get("parts", {}).values())
            listeners = [one for one in element.get("events", []) if one["type"] == "do"]
            if listeners and searches == (said["do"] == "search"):
                message = {"id": int(number), "client_id": self.client_id, "args": [json.dumps(said)]}
                await self.socket.emit("event", message | {"listener_id": listeners[0]["listener_id"]})
                return
        raise AssertionError(f"nothing on this page can {said['do']}")


def read_page(text: str) -> OpenPage:
    raw = _ELEMENTS.search(text)
    assert raw, text[:2000]
    elements = json.loads(html.unescape(raw[1]))
    page = OpenPage(text=text, elements=elements)
    for element in elements.values():
        page.parts |= element.get("props", {}).get("parts", {})
    return page


@pytest.fixture
def look(house: Any) -> Callable[[Any, str], OpenPage]:
    """A page as it comes, without its socket."""

    def get(browser: Any, path: str) -> OpenPage:
        answer = browser.get(path)
        assert answer.status == 200, answer.text[:500]
        return read_page(answer.text)

    return get


@pytest.fixture
def opened(house: Any, look: Any) -> Callable[..., Any]:
    @asynccontextmanager
    async def connected(browser: Any, path: str) -> AsyncIterator[OpenPage]:
        page = await asyncio.to_thread(look, browser, path)
        client = socketio.AsyncClient(reconnection=False)
        page.socket = client
        client.on("run_javascript", page.take)
        query = f"client_id={page.client_id}&implicit_handshake=true&tab_id=t&document_id=d&next_message_id=0"
        cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
        await client.connect(
            f"http://127.0.0.1:{house.port}?{query}",
            headers={"Cookie": cookie, "Origin": browser.origin},
            transports=["websocket"],
            socketio_path="/_nicegui_ws/socket.io",
        )
        try:
            yield page
        finally:
            await client.disconnect()

    return connected

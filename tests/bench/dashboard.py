"""The dashboard: how soon a page is painted in Chromium, and what fifty open ones cost the event loop.

The fifty are sockets as pages have them, without a browser behind each: on the machine that runs Orchard,
fifty browsers would measure themselves.
"""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
import tempfile
from html import unescape
from pathlib import Path
from urllib.parse import urlencode

import aiohttp
import yaml

from tests.bench.child import running, tell
from tests.bench.figure import Figure, milliseconds, quantile
from tests.bench.shown import NAME, PASSWORD

_PAINT_BAR, _LAG_BAR = 1.5, 0.050  # seconds
_FIRST_PAINT = """
    () => new Promise(found => {
        const seen = performance.getEntriesByName("first-contentful-paint");
        if (seen.length) return found(seen[0].startTime / 1000);
        new PerformanceObserver(list => list.getEntriesByName("first-contentful-paint")
            .forEach(one => found(one.startTime / 1000))).observe({type: "paint", buffered: true});
    })
"""


def measure(*, dashboards: int, seconds: float, projects: int) -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="orchard-bench-") as name:
        root = Path(name).resolve()
        _plant(root, projects)
        with running("tests.bench.shown", root) as (child, port):
            figures = _paints(port, projects)
            figures += asyncio.run(_lags(child, port, dashboards, seconds))
    return figures


# -- first paint -------------------------------------------------------------------------------


def _paints(port: int, projects: int) -> list[Figure]:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        return [Figure(what="first paint of the dashboard", value="not measured", note="no chromium")]
    from playwright.sync_api import Page, sync_playwright

    def paint(page: Page, path: str) -> float:
        page.goto(f"http://127.0.0.1:{port}{path}")
        found: float = page.evaluate(_FIRST_PAINT)
        return found

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, chromium_sandbox=False)
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{port}/login")
        page.get_by_label("Name or e-mail").fill(NAME)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Log in").click()
        page.wait_for_load_state()
        state = page.context.storage_state()
        plain = [paint(page, "/account") for _ in range(5)]
        first = paint(page, "/")
        warm = [paint(page, "/") for _ in range(5)]
        cold = []
        for _ in range(3):  # with nothing in the browser's cache
            context = browser.new_context(storage_state=state)
            cold.append(paint(context.new_page(), "/"))
            context.close()
        browser.close()
    base = quantile(plain, 0.5)
    return [
        Figure(
            what=f"first paint of the overview of {projects} projects, {words}",
            value=milliseconds(value),
            baseline=milliseconds(base),
            ratio=value / base,
            bar=f"<= {milliseconds(_PAINT_BAR)}",
            holds=value <= _PAINT_BAR,
            note="baseline: the account's page, which is plain HTML",
        )
        for words, value in (
            ("the first page since the start", first),
            ("a new browser, median", quantile(cold, 0.5)),
            ("again, median", quantile(warm, 0.5)),
        )
    ]


# -- open pages ----------------------------------------------------------------------------------


async def _lags(child: subprocess.Popen[str], port: int, dashboards: int, seconds: float) -> list[Figure]:
    base = f"http://127.0.0.1:{port}"
    jar = aiohttp.CookieJar(unsafe=True)  # an address in figures has cookies, too
    async with aiohttp.ClientSession(base, cookie_jar=jar) as session:
        await _log_in(session, base)
        alone = await _measured(child, "busy", seconds)
        opened: list[tuple[asyncio.Task[None], list[int]]] = []
        try:
            for _ in range(dashboards):
                opened.append(await _open(session, base))
            figures = []
            for told in ("idle", "busy"):
                before = sum(heard[0] for _, heard in opened)
                found = await _measured(child, told, seconds)
                heard = sum(heard[0] for _, heard in opened) - before
                if told == "busy" and heard < dashboards:
                    raise RuntimeError(
                        f"{dashboards} dashboards heard of {heard} changes: they do not follow"
                    )
                figures.append(_lag(found, alone, told, dashboards, seconds, heard))
        finally:
            for task, _ in opened:
                task.cancel()
            await asyncio.gather(*(task for task, _ in opened), return_exceptions=True)
    return figures


def _lag(
    found: dict[str, float], alone: dict[str, float], told: str, dashboards: int, seconds: float, heard: int
) -> Figure:
    changes = "five changes a second" if told == "busy" else "nothing happens"
    return Figure(
        what=f"event-loop lag with {dashboards} open dashboards, {changes}, p99",
        value=milliseconds(found["p99"]),
        baseline=milliseconds(alone["p99"]),
        ratio=found["p99"] / max(alone["p99"], 1e-6),
        bar=f"<= {milliseconds(_LAG_BAR)}",
        holds=found["p99"] <= _LAG_BAR,
        note=f"worst {milliseconds(found['worst'])}; {found['processor'] / seconds:.0%} of a core; {heard}"
        " updates; baseline: no dashboard, five changes a second",
    )


async def _measured(child: subprocess.Popen[str], told: str, seconds: float) -> dict[str, float]:
    await asyncio.to_thread(tell, child, told)
    await asyncio.sleep(1.0)  # what was under way is no part of it
    await asyncio.to_thread(tell, child, "measure")
    await asyncio.sleep(seconds)
    found: dict[str, float] = json.loads(await asyncio.to_thread(tell, child, "lag"))
    return found


async def _log_in(session: aiohttp.ClientSession, base: str) -> None:
    async with session.get("/login") as answer:
        token = re.search(r'name="csrf" value="([0-9a-f]+)"', await answer.text())
    assert token is not None
    said = {"csrf": token[1], "name": NAME, "password": PASSWORD}
    async with session.post("/login", data=said, headers={"Origin": base}, allow_redirects=False) as answer:
        assert answer.status == 303, answer.status


async def _open(session: aiohttp.ClientSession, base: str) -> tuple[asyncio.Task[None], list[int]]:
    """A page with its socket; how many messages it heard."""
    async with session.get("/", headers={"Accept": "text/html"}) as answer:
        assert answer.status == 200, answer.status
        text = unescape(await answer.text())
    known = re.search(r"'client_id': '([0-9a-f-]+)'", text)
    assert known is not None, "the page says no client_id"
    query = {
        "client_id": known[1],
        "next_message_id": "0",
        "tab_id": known[1],
        "old_tab_id": "",
        "document_id": known[1],
        "implicit_handshake": "true",
        "EIO": "4",
        "transport": "websocket",
    }
    socket = await session.ws_connect(
        f"/_nicegui_ws/socket.io/?{urlencode(query)}", origin=base, max_msg_size=1 << 24
    )
    heard = [0]

    async def follow() -> None:
        """Engine.IO 4: `0` opens, `2` pings, `4` carries a message of Socket.IO, whose `0` connects."""
        async for message in socket:
            said = message.data if isinstance(message.data, str) else ""
            if said.startswith("0"):
                await socket.send_str("40")
            elif said == "2":
                await socket.send_str("3")
            elif said.startswith(("42", "45")):
                heard[0] += 1

    return asyncio.create_task(follow()), heard


# -- the child -------------------------------------------------------------------------------------


def _plant(root: Path, projects: int) -> None:
    for number in range(projects):
        folder = root / f"p{number}"
        folder.mkdir()
        for words in (
            ("init", "-q", "-b", "main"),
            (
                "-c",
                "user.name=b",
                "-c",
                "user.email=b@example.org",
                "commit",
                "-q",
                "--allow-empty",
                "-m",
                "x",
            ),
        ):
            subprocess.run(["git", "-C", folder, *words], check=True, capture_output=True)
    settings = {
        "global": {"web": {"port": 0, "calls_per_minute": 10**6, "logins_per_minute": 10**6}},
        "projects": {f"p{number}": {"path": str(root / f"p{number}")} for number in range(projects)},
    }
    (root / "orch-config.yaml").write_text(yaml.safe_dump(settings))

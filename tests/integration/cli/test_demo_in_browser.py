"""`orchard demo --interactive`: the link that it prints lets its reader in, and Ctrl-D ends it all."""

from __future__ import annotations

import asyncio
import re
import sys
from urllib.parse import urlsplit

import aiohttp
import pytest

SECONDS = 150.0  # two busy cores are slow
_LINK = re.compile(rb"(http://127\.0\.0\.1:\d+)(/enter\?link=orce_[\w-]+)")


@pytest.mark.bwrap
@pytest.mark.timeout(170)
async def test_the_demo_lets_its_reader_into_the_guild_and_ends_with_its_input() -> None:
    """Also while its sprints are being begun."""
    demo = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bot", "demo", "--interactive"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert demo.stdin is not None
    assert demo.stdout is not None
    said = b""
    try:
        async with asyncio.timeout(SECONDS):
            while (link := _LINK.search(said)) is None:
                read = await demo.stdout.readline()
                assert read, said.decode()
                said += read
            try:
                await _comes_in(link[1].decode(), link[2].decode())
            except aiohttp.ClientError as error:  # it ended meanwhile, and says why
                raise AssertionError((said + await demo.stdout.read()).decode()) from error
            demo.stdin.close()
            said += await demo.stdout.read()
            assert await demo.wait() == 0, said.decode()
    finally:
        if demo.returncode is None:
            demo.terminate()
            await demo.wait()
    assert re.search(rb"\d of \d stories merged", said)


async def _comes_in(site: str, path: str) -> None:
    jar = aiohttp.CookieJar(unsafe=True)  # of a host that is an address
    async with aiohttp.ClientSession(site, cookie_jar=jar) as browser:
        async with browser.get(path, headers={"Accept": "text/html"}) as shown:
            text = await shown.text()
        assert "as <strong>robin</strong>" in text
        csrf = re.search(r'name="csrf" value="([0-9a-f]+)"', text)
        assert csrf is not None
        form = {"csrf": csrf[1], "link": path.partition("=")[2]}
        async with browser.post(
            "/enter", data=form, headers={"Origin": site}, allow_redirects=False
        ) as entered:
            assert (entered.status, entered.headers["Location"]) == (303, "/guild")
        async with browser.get("/guild", headers={"Accept": "text/html"}) as page:
            text = await page.text()
            assert page.status == 200
            assert urlsplit(str(page.url)).path == "/guild"
        assert "#welcome" in text
        assert "Welcome to Orchard" in text

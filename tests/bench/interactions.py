"""From a typed command to the bot's first answer, and from an event to its post, with many busy projects.

Guild, bot and people are three processes. The baseline is a bot of a dozen lines on the same server, asked
the same number of times just before.
"""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bot.localguild import OverHttp, Person
from tests.bench.figure import Figure, milliseconds, quantile
from tests.waiting import until

ROOT = Path(__file__).parents[2]
_BAR_SECONDS, _POST_BAR_SECONDS = 0.05, 0.5
_TEXTS = ("project_list", "global_status", "state project=bench000", "sprint status project=bench000")
_PAUSE_SECONDS = 0.03  # between two commands: people type


def measure(*, projects: int, commands: int) -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="orchard-bench-") as folder, _host("guild") as guild:
        facts = _line(guild)
        url = json.loads(facts)["url"]
        with _host("bare", said=facts) as bot:
            _line(bot)
            base = asyncio.run(_type(url, ["ping"], commands))
        with _host("busy", str(projects), folder, said=facts) as bot:
            _line(bot)
            found, posts = asyncio.run(_watched(url, _TEXTS, commands))
    note = f"median {milliseconds(quantile(found, 0.5))} against {milliseconds(quantile(base, 0.5))}"
    return [
        Figure(
            what=f"command to first answer, {projects} busy projects, p99 of {commands}",
            value=milliseconds(quantile(found, 0.99)),
            baseline=milliseconds(quantile(base, 0.99)),
            ratio=quantile(found, 0.5) / quantile(base, 0.5),
            bar=f"<= {_BAR_SECONDS * 1000:g} ms",
            holds=quantile(found, 0.99) <= _BAR_SECONDS,
            note=f"{note}; ratio of medians",
        ),
        Figure(
            what=f"event to post, p95 of {len(posts)}",
            value=milliseconds(quantile(posts, 0.95)),
            bar=f"<= {_POST_BAR_SECONDS * 1000:g} ms",
            holds=quantile(posts, 0.95) <= _POST_BAR_SECONDS,
            note=f"median {milliseconds(quantile(posts, 0.5))}",
        ),
    ]


@contextmanager
def _host(*arguments: str, said: str = "") -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.hosts", *arguments],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdin is not None
        if said:
            process.stdin.write(said)
            process.stdin.flush()
        yield process
    finally:
        process.kill()
        process.communicate()


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise RuntimeError(f"{process.args} ended before it was ready")
    return line


async def _type(url: str, texts: Sequence[str], count: int) -> list[float]:
    """Seconds to the first answer of each command; texts are `name` or `name option=value`."""
    seconds = []
    async with OverHttp(url) as link:
        person = Person(link, "alice")
        await until(person.commands, "registered commands", seconds=120)
        for number in range(-5, count):
            name, options = _parsed(texts[number % len(texts)])
            began = time.monotonic()
            await person.slash(name, options, until="ack")
            if number >= 0:  # the first ones warm connections up
                seconds.append(time.monotonic() - began)
            await asyncio.sleep(_PAUSE_SECONDS)
    return seconds


def _parsed(text: str) -> tuple[str, dict[str, str]]:
    words = text.split()
    options = dict(word.split("=") for word in words if "=" in word)
    return " ".join(word for word in words if "=" not in word), options


async def _watched(url: str, texts: Sequence[str], count: int) -> tuple[list[float], list[float]]:
    posts: list[float] = []
    watching = asyncio.create_task(_watch(url, posts), name="watch posts")
    try:
        seconds = await _type(url, texts, count)
        await until(lambda: posts, "a post", seconds=120)
        return seconds, posts
    finally:
        watching.cancel()
        await asyncio.wait({watching})


async def _watch(url: str, posts: list[float]) -> None:
    """Each new post says when its event was written."""
    async with OverHttp(url) as link:
        person = Person(link, "bob")
        last = await person.mark()
        while True:
            news: Any = await link.call("journal", {"person": "bob", "after": last, "timeout": 5.0})
            now, last = time.monotonic(), news["last"]
            for entry in news["entries"]:
                if entry["event"] == "MESSAGE_CREATE":
                    told = re.search(r"at (\d+\.\d+) all passed", json.dumps(entry["data"]))
                    posts += [now - float(told[1])] if told else []

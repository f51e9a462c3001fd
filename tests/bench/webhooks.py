"""Deliveries of webhooks: how long until each is acknowledged, when many come at once."""

from __future__ import annotations

import asyncio
import json
import subprocess
import tempfile
import time
from pathlib import Path

import psutil
import yaml

from core.github.webhooks.signature import signature
from tests.bench.child import running, tell
from tests.bench.figure import Figure, milliseconds, quantile
from tests.bench.hooked import REPOSITORY, REPOSITORY_ID, SECRET

_BAR = 0.050  # seconds
_PADDING = 8 * 1024  # bytes; what GitHub says of an issue and its repository


def measure(*, deliveries: int, senders: int) -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="orchard-bench-") as name:
        root = Path(name).resolve()
        _plant(root)
        with running("tests.bench.hooked", root) as (child, port):
            asyncio.run(_sent(port, _posts(100, "warm"), senders))
            health = asyncio.run(_sent(port, _health(port, deliveries), senders))
            figures = [_figure("alone, one after the other", asyncio.run(_sent(port, _posts(200, "one"), 1)))]
            for told in ("idle", "busy"):
                tell(child, told)
                before = _processor(child)
                seconds = asyncio.run(_sent(port, _posts(deliveries, told), senders))
                used = (_processor(child) - before) / deliveries
                figures.append(_figure(f"{senders} at a time, store {told}", seconds, health, used))
    return figures


def _processor(child: subprocess.Popen[str]) -> float:
    times = psutil.Process(child.pid).cpu_times()
    return times.user + times.system


def _figure(
    what: str, seconds: list[float], base: list[float] | None = None, used: float | None = None
) -> Figure:
    worst = quantile(seconds, 0.99)
    plain = None if base is None else quantile(base, 0.99)
    return Figure(
        what=f"a webhook's delivery to its acknowledgement, {what}, p99",
        value=milliseconds(worst),
        baseline="" if plain is None else milliseconds(plain),
        ratio=None if plain is None else worst / plain,
        bar=f"<= {milliseconds(_BAR)}",
        holds=worst <= _BAR,
        note=f"p50 {milliseconds(quantile(seconds, 0.5))}, {len(seconds)} deliveries"
        + ("" if used is None else f"; {milliseconds(used)} of a core each; baseline: its /health"),
    )


def _plant(root: Path) -> None:
    shop = root / "shop"
    shop.mkdir()
    (shop / "calc.py").write_text("")
    for words in (
        ("init", "-q", "-b", "main"),
        ("-c", "user.name=b", "-c", "user.email=b@example.org", "commit", "-q", "--allow-empty", "-m", "x"),
    ):
        subprocess.run(["git", "-C", shop, *words], check=True, capture_output=True)
    settings = {
        "global": {"web": {"port": 0, "calls_per_minute": 10**6}, "github": {"webhooks_per_minute": 10**6}},
        "projects": {"shop": {"path": str(shop)}},
    }
    (root / "orch-config.yaml").write_text(yaml.safe_dump(settings))


def _posts(count: int, name: str) -> list[bytes]:
    """Whole requests, made before the clock runs."""
    found = []
    for number in range(count):
        payload = {
            "action": "edited",
            "issue": {"number": number + 1, "title": "Sell", "body": "x" * _PADDING},
            "repository": {"id": REPOSITORY_ID, "full_name": REPOSITORY},
        }
        body = json.dumps(payload).encode()
        head = (
            "POST /webhooks/github HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
            f"X-GitHub-Event: issues\r\nX-GitHub-Delivery: {name}-{number}\r\n"
            f"X-Hub-Signature-256: {signature(SECRET, body)}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        found.append(head.encode() + body)
    return found


def _health(port: int, count: int) -> list[bytes]:
    return [b"GET /health HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n"] * count


async def _sent(port: int, requests: list[bytes], senders: int) -> list[float]:
    """Seconds of each; a sender sends its next when the one before was answered."""
    waiting = [each.replace(b"{port}", b"%d" % port, 1) for each in reversed(requests)]
    seconds: list[float] = []

    async def send() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while waiting:
            request = waiting.pop()
            began = time.perf_counter()
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
            await reader.readexactly(length)
            seconds.append(time.perf_counter() - began)
            if head.split()[1] not in (b"200", b"202"):
                raise RuntimeError(f"answered {head!r}")
        writer.close()

    async with asyncio.TaskGroup() as group:
        for _ in range(senders):
            group.create_task(send())
    return seconds

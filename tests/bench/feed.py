"""The live feed: a thousand listeners that are told something each second; and /metrics of many projects."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import yaml

from bot.app import open_app
from bot.configuration import loader
from core.domain.metric import METRICS, MetricKind, Sample
from core.monitoring.export.openmetrics import all_labels
from core.runtime import Runtime
from tests.bench.farm import plant
from tests.bench.figure import Figure, milliseconds, quantile

ROOT = Path(__file__).parents[2]
_BAR, _CORE_BAR, _SCRAPE_BAR = 0.100, 1.0, 0.050
_TOLD = "queue_age"  # its value is when it was published: the clock is the machine's
_VALUE = re.compile(rb'"metric":"queue_age","project":"told","value":([0-9.]+)')
_SETTLED_SECONDS = 3.0


def measure(*, listeners: int, projects: int, seconds: float) -> list[Figure]:
    _open_more()
    bare, bare_cores = _heard("bare", listeners, 0, seconds)[:2]
    told, cores, scrapes = _heard("orchard", listeners, projects, seconds)
    worst, base = quantile(told, 0.99), quantile(bare, 0.99)
    scrape = quantile(scrapes, 0.5)
    return [
        Figure(
            what=f"live feed, {listeners} listeners, an update a second each, p99",
            value=milliseconds(worst),
            baseline=milliseconds(base),
            ratio=worst / base,
            bar=f"<= {milliseconds(_BAR)}",
            holds=worst <= _BAR,
            note=f"p50 {milliseconds(quantile(told, 0.5))}, {len(told)} updates; baseline: bare writes",
        ),
        Figure(
            what="the same: processor",
            value=f"{cores:.2f} cores",
            baseline=f"{bare_cores:.2f} cores",
            bar=f"< {_CORE_BAR:g}",
            holds=cores < _CORE_BAR,
            note="of all of Orchard",
        ),
        Figure(
            what=f"/metrics, {projects} projects, p50 of {len(scrapes)}",
            value=milliseconds(scrape),
            bar=f"<= {milliseconds(_SCRAPE_BAR)}",
            holds=scrape <= _SCRAPE_BAR,
            note=f"while the listeners are told; worst {milliseconds(max(scrapes))}",
        ),
    ]


def _open_more() -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _heard(
    role: str, listeners: int, projects: int, seconds: float
) -> tuple[list[float], float, list[float]]:
    with tempfile.TemporaryDirectory(prefix="orchard-bench-") as name:
        root = Path(name).resolve()
        if role == "orchard":
            _plant(root, projects)
        with _running(root, role) as (child, port):
            return asyncio.run(_listen(psutil.Process(child.pid), port, listeners, seconds, role))


def _plant(root: Path, projects: int) -> None:
    plant(root, projects, lanes=2)
    path = root / "orch-config.yaml"
    settings = yaml.safe_load(path.read_text())
    settings.setdefault("global", {})["web"] = {"port": 0, "calls_per_minute": 10**6}
    path.write_text(yaml.safe_dump(settings))


class _Ear(asyncio.Protocol):
    """Opens a socket and keeps how late each update came."""

    def __init__(self, port: int, late: list[float]) -> None:
        self._port = port
        self._late = late
        self._kept = b""
        self.open = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(
            f"GET /?kind={_TOLD}&project=told HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\n"
            "Connection: Upgrade\r\nUpgrade: websocket\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        now = time.monotonic()
        if not self.open.done():
            self.open.set_result(data.startswith(b"HTTP/1.1 101"))
        self._kept += data
        for found in _VALUE.finditer(self._kept):
            self._late.append(now - float(found[1]))
            self._kept = self._kept[-8:] if found.end() > len(self._kept) - 8 else b""


async def _listen(
    child: psutil.Process, port: int, listeners: int, seconds: float, role: str
) -> tuple[list[float], float, list[float]]:
    loop = asyncio.get_running_loop()
    late: list[float] = []
    lines = []
    for begin in range(0, listeners, 50):
        made = [
            await loop.create_connection(lambda: _Ear(port, late), "127.0.0.1", port)
            for _ in range(min(50, listeners - begin))
        ]
        opened = await asyncio.gather(*(ear.open for _, ear in made))
        if not all(opened):
            raise RuntimeError("a listener was refused")
        lines += made
    await asyncio.sleep(_SETTLED_SECONDS)
    late.clear()
    before, began = _processor(child), time.monotonic()
    scrapes: list[float] = []
    while time.monotonic() - began < seconds:
        await asyncio.sleep(0.5)
        if role == "orchard":
            scrapes.append(await asyncio.to_thread(_scrape, port))
    cores = (_processor(child) - before) / (time.monotonic() - began)
    if len(late) < listeners * (seconds - 2):
        raise RuntimeError(f"only {len(late)} updates came")
    for transport, _ in lines:
        transport.abort()
    return late, cores, scrapes


def _scrape(port: int) -> float:
    began = time.monotonic()
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    line.request("GET", "/metrics")
    answer = line.getresponse()
    text = answer.read()
    line.close()
    if answer.status != 200 or not text.endswith(b"# EOF\n"):
        raise RuntimeError(f"/metrics answered {answer.status}")
    return time.monotonic() - began


def _processor(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


@contextlib.contextmanager
def _running(root: Path, role: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.feed", str(root), role],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert child.stdout is not None
        yield child, json.loads(child.stdout.readline())["port"]
    finally:
        child.kill()
        child.wait()
        assert child.stdout is not None
        child.stdout.close()


# -- in a process of its own ----------------------------------------------------------------------------


async def _serve(root: Path) -> None:
    async with open_app(loader(root, environ={}), discord=False) as app:
        assert app.web is not None
        await app.web.ready.wait()
        names = list(app.runtime.configuration().settings.projects)
        print(json.dumps({"port": int(app.web.status.rpartition(":")[2])}), flush=True)
        while True:
            _publish(app.runtime, names)
            await asyncio.sleep(1.0)


def _publish(runtime: Runtime, names: list[str]) -> None:
    """Every gauge of every project moves, as at a busy pass; what is told last says when."""
    now = runtime.clock.now()
    moved = [
        Sample(metric=metric.name, value=time.monotonic(), at=now, source="bench", labels=labels)
        for metric in METRICS.values()
        if metric.kind is MetricKind.GAUGE and "project" in metric.labels
        for labels in all_labels(metric, names)
    ]
    told = Sample(metric=_TOLD, value=time.monotonic(), at=now, source="bench", labels=(("project", "told"),))
    runtime.monitoring.readings.publish([*moved, told])


async def _write() -> None:
    """The least that could be done: the same bytes to every socket."""
    writers: list[asyncio.StreamWriter] = []

    async def come(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
        writers.append(writer)

    server = await asyncio.start_server(come, "127.0.0.1", 0, backlog=1000)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    while True:
        text = f'"metric":"{_TOLD}","project":"told","value":{time.monotonic()},'.encode()
        frame = b"\x81\x7e" + len(text).to_bytes(2) + text
        for writer in writers:
            writer.write(frame)
        await asyncio.sleep(1.0)


if __name__ == "__main__":
    _open_more()
    asyncio.run(_write() if sys.argv[2] == "bare" else _serve(Path(sys.argv[1])))

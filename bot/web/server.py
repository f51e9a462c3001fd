"""The server itself: uvicorn in the loop that is there, on a socket that is bound before anything is said."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn
from fastapi import FastAPI

from bot.web import webhooks
from bot.web.application import build_application
from bot.web.connection import timed
from bot.web.guard import MAX_HEAD, Guard, SignedPath
from bot.web.house import build_house
from bot.web.metrics import FeedProbe
from bot.web.sockets import Socket
from config.fields import is_own_machine
from config.web_settings import WebSettings
from core.background import running
from core.errors import OrchardError, Unavailable
from core.runtime import Runtime

if TYPE_CHECKING:
    from bot.localguild.people import Link

_TICK_SECONDS = 1.0
_IDLE_SECONDS = 15  # an open connection on which nothing is asked
_GRACE_SECONDS = 3  # for answers that are under way at the end
_MOST_CONNECTIONS = 2000
_FILES = 4 * _MOST_CONNECTIONS
_SOCKET_MESSAGE = 64 * 1024  # bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """`address` is where browsers find it, `port` where it listens on this machine."""

    address: str
    port: int
    application: FastAPI


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._ending = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield  # signals are Orchard's

    async def main_loop(self) -> None:
        """Once a second, for the date in answers: uvicorn's own ten times are felt where nothing happens."""
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_TICK_SECONDS):
                    await self._ending.wait()

    def end(self) -> None:
        self.should_exit = True
        self._ending.set()


@asynccontextmanager
async def served(runtime: Runtime, settings: WebSettings, guild: Link | None = None) -> AsyncIterator[Served]:
    """While the block runs. `guild`: a local one, to be shown. Raises Unavailable when it cannot be."""
    _open_more()
    listening = await asyncio.to_thread(_listen, settings.host, settings.port)
    try:
        context = _tls(settings, runtime.configuration().root)
        house = build_house(runtime, settings, guild)
        app = build_application(house)
        runtime.monitoring.add(FeedProbe(app.state.feed))
        runtime.commands.webhook_counts = lambda: house.webhooks.counts
        hooks = SignedPath(
            max_body=runtime.configuration().settings.global_.github.webhook_max_body_kb * 1024,
            setting="github.webhook_max_body_kb",
            calls=house.webhooks.calls,
        )
        guard = Guard(
            app,
            site=house.site,
            clock=runtime.clock,
            calls=house.calls,
            max_body=settings.max_body_kb * 1024,
            request_seconds=settings.request_seconds,
            signed={webhooks.PATH: hooks},
        )
        server = _Server(_configuration(guard, settings, context))
        task = asyncio.create_task(server.serve(sockets=[listening]), name="web server")
    except BaseException:
        listening.close()
        raise
    try:
        while not server.started:
            if task.done():
                task.result()
                raise Unavailable("The web server did not start.")
            await asyncio.sleep(0.01)
        port = int(listening.getsockname()[1])
        async with running(app.state.feed.run(), "the feed", vital=False):
            yield Served(address=_address(settings, port), port=port, application=app)
    finally:
        server.end()
        with contextlib.suppress(OrchardError):
            await task
        await app.state.door.close()


def _open_more() -> None:
    """Room for as many connections as are served, beside what else is open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if hard == resource.RLIM_INFINITY else min(_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _configuration(guard: Guard, settings: WebSettings, context: ssl.SSLContext | None) -> uvicorn.Config:
    config = uvicorn.Config(
        guard,
        http=timed(settings.request_seconds),
        ws=Socket,
        ws_per_message_deflate=False,  # a thousand times the same text, and a way to send little that is much
        ws_max_size=_SOCKET_MESSAGE,
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,  # who is behind the proxy is `Site.client_of`'s
        server_header=False,
        limit_concurrency=_MOST_CONNECTIONS,
        timeout_keep_alive=_IDLE_SECONDS,
        timeout_graceful_shutdown=_GRACE_SECONDS,
        h11_max_incomplete_event_size=MAX_HEAD,
    )
    config.load()
    config.ssl = context
    return config


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, _, _, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.create_server((str(place[0]), int(place[1])), family=family)
        # Handed down to each connection. asyncio sets it only where a socket's `proto` is given, which it is
        # not here; without it an answer's body waits 40 ms for the acknowledgement of its head.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listening
    except OSError as error:
        raise Unavailable(
            f"Nothing can be served on {host}:{port}.",
            why=f"{error.strerror or error}.",
            hint="Set another web.host or web.port, or end what has it; then start Orchard again.",
        ) from error


def _tls(settings: WebSettings, root: Path) -> ssl.SSLContext | None:
    if settings.certificate_file is None or settings.certificate_key_file is None:
        return None
    certificate, key = (
        root / Path(name).expanduser() for name in (settings.certificate_file, settings.certificate_key_file)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise Unavailable(
            "The web server has no certificate.",
            why=f"{certificate} and {key} cannot be used: {error.strerror or error}.",
            hint="Mend web.certificate_file and web.certificate_key_file, PEM both, then restart Orchard.",
        ) from error
    return context


def _address(settings: WebSettings, port: int) -> str:
    if settings.public_url:
        return settings.public_url
    host = settings.host
    if settings.trusted_hosts and not is_own_machine(host):  # 0.0.0.0 is no place to go, nor in a certificate
        host = settings.trusted_hosts[0]
    name = f"[{host}]" if ":" in host and not host.startswith("[") else host
    return f"{'https' if settings.encrypted else 'http'}://{name}:{port}"

"""What the gateway's process does for the control plane: see core.gateway.contract."""

from __future__ import annotations

import asyncio
import gc
import logging
import socket
from contextlib import AsyncExitStack
from typing import Any

from aiohttp import web

from core.gateway.accounts import Accounts
from core.gateway.admission import Admission
from core.gateway.contract import AccountsSet, Configuration, GatewayFacts, OpenedRun, Provider
from core.gateway.journal import JournalWriter
from core.gateway.metering import Prices, load_prices
from core.gateway.rate import Rates
from core.gateway.runs import Runs
from core.gateway.server import Server
from core.gateway.upstream import Upstream
from core.known_secrets import known_secrets
from core.rpc import LINE_LIMIT, Peer, PeerGone, decode

log = logging.getLogger(__name__)

_BACKLOG = 4096
_LAST_WORDS_SECONDS = 0.5  # for the end of an answer that has reached its agent already
_TOGETHER_SECONDS = 0.02


class Process:
    def __init__(self, journal: JournalWriter, sockets: list[socket.socket], stack: AsyncExitStack) -> None:
        self._journal = journal
        self._sockets = sockets
        self._stack = stack
        self._providers: dict[str, Provider] = {}
        self._runs = Runs()
        self._accounts = Accounts()
        self._admission: Admission | None = None
        self._servers: list[asyncio.Server] = []
        self._written = asyncio.Event()
        self._tasks: set[asyncio.Task[Any]] = set()
        journal.on_ended = self._written.set

    async def run(self, stdio: socket.socket) -> None:
        """Until the control plane's stream ends."""
        reader, writer = await asyncio.open_connection(sock=stdio, limit=LINE_LIMIT)
        self._peer = Peer(
            reader,
            writer,
            {
                "configure": self._configure,
                "serve": self._serve,
                "open_run": self._open_run,
                "close_run": self._close_run,
                "set_accounts": self._set_accounts,
                "set_rates": self._set_rates,
                "lift": self._lift,
                "view": self._view,
            },
        )
        telling = asyncio.create_task(self._tell_written(), name="tell of the journal")
        try:
            await self._peer.run()
        finally:
            telling.cancel()
            for server in self._servers:
                server.close()
            await _end([task for run in self._runs.all() for task in run.tasks], 0)

    async def _configure(self, params: dict[str, Any]) -> dict[str, Any]:
        given = decode(Configuration, params)
        known_secrets.learn(each.key for each in given.providers if each.key)
        self._providers.clear()
        self._providers.update({each.name: each for each in given.providers})
        if self._admission is None:
            self._admission = Admission(self._accounts, given.times, self._tell)
            upstream = await self._stack.enter_async_context(Upstream(given.times))
            self._server = Server(
                self._runs,
                self._admission,
                upstream,
                self._journal,
                Prices(load_prices()),
                self._providers,
                given.times,
            )
        self._admission.set_rates(given.rates)
        return {}

    async def _serve(self, params: dict[str, Any]) -> dict[str, Any]:
        """Only now: whoever came before waits in the kernel, and meets a gateway that knows its run."""
        web_server = web.Server(
            self._server.handle,
            handler_cancellation=True,
            auto_decompress=False,
            access_log=None,
            max_line_size=16 << 10,
            max_field_size=16 << 10,
            keepalive_timeout=75.0,
            lingering_time=0.5,  # for the rest of a request that was refused
        )
        loop = asyncio.get_running_loop()
        for each in self._sockets:
            self._servers.append(await loop.create_server(web_server, sock=each, backlog=_BACKLOG))
        gc.collect()
        gc.freeze()  # what was loaded stays: looking through all of it again and again delays calls
        return {}

    async def _open_run(self, params: dict[str, Any]) -> dict[str, Any]:
        opened = decode(OpenedRun, params)
        self._accounts.open(opened.run)
        self._runs.open(opened.run, opened.token_hash)
        return {}

    async def _close_run(self, params: dict[str, Any]) -> dict[str, Any]:
        run_id = str(params.get("run_id"))
        run = self._runs.close(run_id)
        if run is not None and self._admission is not None:
            self._admission.changed()
            await _end(list(run.tasks), _LAST_WORDS_SECONDS)
            self._accounts.close(run_id)
        return {}

    async def _set_accounts(self, params: dict[str, Any]) -> dict[str, Any]:
        self._accounts.set(decode(AccountsSet, params).accounts)
        if self._admission is not None:
            self._admission.changed()
        return {}

    async def _set_rates(self, params: dict[str, Any]) -> dict[str, Any]:
        if self._admission is not None:
            self._admission.set_rates(decode(Rates, params))
        return {}

    async def _lift(self, params: dict[str, Any]) -> dict[str, Any]:
        if self._admission is not None:
            self._admission.lift([str(each) for each in params.get("providers", ())])
        return {}

    async def _view(self, params: dict[str, Any]) -> GatewayFacts:
        return self._runs.facts(self._admission.waits() if self._admission is not None else {})

    def _tell(self, method: str, body: object) -> None:
        task = asyncio.create_task(self._notify(method, body), name=f"tell {method}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _notify(self, method: str, body: object) -> None:
        try:
            await self._peer.notify(method, body)
        except PeerGone:
            log.info("%s: the control plane has gone", method)

    async def _tell_written(self) -> None:
        """Many calls that end together are told of once."""
        while True:
            await self._written.wait()
            self._written.clear()
            await self._notify("written", {})
            await asyncio.sleep(_TOGETHER_SECONDS)


async def _end(tasks: list[asyncio.Task[Any]], grace_seconds: float) -> None:
    """Calls that do not end by themselves are cut."""
    if tasks and grace_seconds:
        await asyncio.wait(tasks, timeout=grace_seconds)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)

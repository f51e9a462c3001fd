"""The control plane's side of the model gateway: starts its process, opens runs, takes in what it metered.

The addresses are bound here and handed down, so they outlive the process. What a run may do is kept here too,
so a new process knows every run of the one before it. The journal is read here alone: what was written is
recorded, whichever of the two processes was killed, and `taken` only when it is.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from config.settings import ModelGatewaySettings
from core.clock import Clock
from core.domain.budget import Account, AccountLimit
from core.errors import OrchardError, Unavailable
from core.gateway import child, doors
from core.gateway.accounts import Accounts
from core.gateway.addresses import providers_in_force
from core.gateway.contract import (
    AccountsSet,
    Configuration,
    GatewayFacts,
    OpenedRun,
    Reached,
    Slowed,
    Times,
)
from core.gateway.contract import ProviderHold as ProviderHold
from core.gateway.contract import RunStart as RunStart
from core.gateway.intake import Intake, TakeCalls
from core.gateway.rate import Rates
from core.gateway.runs import hash_of
from core.rpc import PeerGone, decode

log = logging.getLogger(__name__)

TakeReached = Callable[[str, Account], Awaitable[object]]
TakeHold = Callable[[ProviderHold], Awaitable[object]]

_ASK_SECONDS = 10.0
_LOOK_SECONDS = 15.0
_PATIENCE_SECONDS = 20.0  # for a process that is just being started
_STARTS = (0.0, 0.5, 1.0, 2.0, 5.0, 10.0)  # seconds before each start after one that did not live long
_CALM_SECONDS = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayView:
    """`providers`: those that have a key."""

    alive: bool
    restarts: int
    providers: tuple[str, ...] = ()
    in_flight: int = 0
    held: int = 0
    calls: int = 0
    added_p50_ms: float | None = None
    added_p99_ms: float | None = None
    holds: Mapping[str, ProviderHold] = field(default_factory=dict)  # by provider
    problem: str = ""  # why it is not alive


class Gateway:
    """Use `open`; one event loop only."""

    def __init__(
        self,
        folder: Path,
        configuration: Configuration,
        environ: Mapping[str, str],
        clock: Clock,
        on_calls: TakeCalls,
    ) -> None:
        self._folder = folder
        self._configuration = configuration
        self._providers = {each.name: each for each in configuration.providers}
        self._environ = environ
        self._clock = clock
        self._briefing = asyncio.Lock()
        self._accounts = Accounts()
        self._intake = Intake(
            folder, on_calls, counted=lambda call: self._accounts.add(call.run_id, call.took)
        )
        self._tokens: dict[str, str] = {}  # of open runs, hashed
        self._child: child.Child | None = None
        self._changed = asyncio.Event()
        self._restarts = 0
        self._problem = "It is being started."
        self._holds: dict[str, ProviderHold] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._slowed: dict[str, str] = {}  # by run: why its calls wait
        self._take_reached: TakeReached | None = None
        self._take_hold: TakeHold | None = None
        self._sockets: tuple[socket.socket, ...] = ()
        self._lock_fd = -1

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        state_path: Path,
        settings: ModelGatewaySettings,
        environ: Mapping[str, str],
        clock: Clock,
        *,
        on_calls: TakeCalls,
        times: Times | None = None,
        rates: Rates | None = None,
    ) -> AsyncIterator[Gateway]:
        """Binds its addresses, takes in what an earlier life left in the journal, and starts the process.

        Nothing is bound or started without a key of any provider. Raises Unavailable when the port or the
        folder cannot be used.
        """
        providers = providers_in_force(settings, environ)
        folder = state_path / "gateway"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        configuration = Configuration(providers=providers, times=times or Times(), rates=rates or Rates())
        gateway = cls(folder, configuration, environ, clock, on_calls)
        async with contextlib.AsyncExitStack() as stack:
            gateway._lock_fd = await doors.lock(folder / "lock")
            stack.callback(os.close, gateway._lock_fd)
            await gateway._intake.take_leftovers()
            if providers:
                gateway._sockets = doors.bind(stack, state_path / "gateway.sock", settings.port)
                living = asyncio.create_task(gateway._live(state_path / "logs"), name="the model gateway")
                stack.push_async_callback(gateway._close, living)
            yield gateway

    # -- what agents are given -----------------------------------------------------------------

    def ready(self, provider: str) -> bool:
        """Whether agents can be pointed at it for that provider: it is enabled, and there is a key."""
        return provider in self._providers

    def base_url(self, provider: str) -> str:
        """For agents; without a slash at the end."""
        return f"http://127.0.0.1:{self._sockets[0].getsockname()[1]}/{provider}"

    async def open_run(self, run: RunStart) -> str:
        """The token for the run. Raises Unavailable while there is no gateway."""
        if not self.ready(run.provider):
            raise Unavailable(
                f"The model gateway has no key of {run.provider}.",
                hint="Put it into Orchard's environment or .env.",
            )
        await self._until_alive()
        token = f"orch-{secrets.token_urlsafe(32)}"
        self._tokens[run.run_id] = hash_of(token)
        self._accounts.open(run)
        try:
            await self._say("open_run", OpenedRun(run=run, token_hash=hash_of(token)))
        except (PeerGone, TimeoutError):  # it died just now: its next life is told of the run
            log.info("the model gateway ended while %s was opened", run.run_id)
        except BaseException:
            self._forget(run.run_id)
            raise
        return token

    async def close_run(self, run_id: str) -> None:
        """Ends the token; returns when all that the run's calls took is recorded. Never raises."""
        if run_id not in self._tokens:
            return
        self._tokens.pop(run_id)
        try:
            await self._say("close_run", {"run_id": run_id})
        except (OrchardError, TimeoutError) as error:
            log.info("%s was closed without the model gateway: %s", run_id, error)
        await self._intake.take_in()
        self._accounts.close(run_id)
        self._slowed.pop(run_id, None)

    async def set_accounts(self, accounts: tuple[AccountLimit, ...]) -> None:
        """Other limits, or more that was spent. Never raises."""
        self._accounts.set(accounts)
        try:
            await self._say("set_accounts", AccountsSet(accounts=accounts))
        except (OrchardError, TimeoutError) as error:
            log.info("the model gateway hears of budgets when it is back: %s", error)

    def set_rates(self, rates: Rates) -> None:
        """Other tokens a minute; it hears of them soon."""
        if rates == self._configuration.rates:
            return
        self._configuration = replace(self._configuration, rates=rates)
        task = asyncio.create_task(self._say_rates(rates), name="tokens a minute")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _say_rates(self, rates: Rates) -> None:
        try:
            await self._say("set_rates", rates)
        except (OrchardError, TimeoutError) as error:
            log.info("the model gateway hears of tokens a minute when it is back: %s", error)

    async def lift(self, providers: tuple[str, ...]) -> None:
        """A person says that these take work again: they are asked at once. Never raises."""
        for name in providers:
            self._holds.pop(name, None)
        try:
            await self._say("lift", {"providers": providers})
        except (OrchardError, TimeoutError) as error:
            log.info("the model gateway has not heard that a limit is lifted: %s", error)

    def run(self, run_id: str) -> RunStart | None:
        """An open run."""
        return self._accounts.run(run_id)

    def why_slow(self, story_id: str) -> str:
        """Why the story's calls wait for tokens a minute, as "shop may use ..."; empty when they do not."""
        for run_id, sentence in self._slowed.items():
            run = self._accounts.run(run_id)
            if run is not None and run.story_id == story_id:
                return sentence
        return ""

    def on_reached(self, take: TakeReached) -> None:
        """Calls `take(run_id, account)` when a call is held because a budget is used up."""
        self._take_reached = take

    def on_held(self, take: TakeHold) -> None:
        """Calls `take(hold)` when a provider takes no more work with a key."""
        self._take_hold = take

    async def view(self) -> GatewayView:
        now = self._clock.now()
        holds = {name: hold for name, hold in self._holds.items() if hold.until is None or hold.until > now}
        facts: GatewayFacts | None = None
        if self._child is not None:
            with contextlib.suppress(OrchardError, TimeoutError):
                facts = await self._child.peer.request(GatewayFacts, "view", timeout=_ASK_SECONDS)
        told = facts or GatewayFacts()
        return GatewayView(
            alive=facts is not None,
            restarts=self._restarts,
            providers=tuple(self._providers),
            in_flight=told.in_flight,
            held=told.held,
            calls=told.calls,
            added_p50_ms=told.added_p50_ms,
            added_p99_ms=told.added_p99_ms,
            holds=holds,
            problem=""
            if facts is not None
            else self._problem
            if self._providers
            else "No provider has a key.",
        )

    @property
    def pid(self) -> int | None:
        """Of its process, while that serves."""
        return None if self._child is None else self._child.pid

    # -- its process ---------------------------------------------------------------------------

    async def _live(self, logs: Path) -> None:
        logs.mkdir(parents=True, exist_ok=True)
        handlers = {
            "written": self._on_written,
            "reached": self._on_reached,
            "held": self._on_held,
            "slowed": self._on_slowed,
        }
        short = 0
        while True:
            began = self._clock.monotonic()
            try:
                async with child.start(
                    self._folder,
                    self._sockets,
                    logs / "gateway.log",
                    handlers,
                    self._environ,
                    keep=(self._lock_fd,),
                ) as started:
                    async with self._briefing:
                        await self._brief(started)
                        self._set(started, "")
                    started.note(self._lock_fd)
                    ended = await self._watched(started)
                problem = f"Its process ended ({ended})"
            except (OSError, OrchardError, TimeoutError) as error:
                problem = f"Its process could not be started ({error})"
            finally:
                self._set(None, "It is being started again.")
            await self._intake.take_leftovers()
            self._restarts += 1
            short = 0 if self._clock.monotonic() - began > _CALM_SECONDS else short + 1
            wait = _STARTS[min(short, len(_STARTS)) - 1] if short else 0.0
            self._problem = f"{problem}; it is started again" + (f" in {wait:g} s." if wait else ".")
            log.warning("the model gateway: %s See logs/gateway.log.", self._problem)
            await asyncio.sleep(wait)

    async def _brief(self, started: child.Child) -> None:
        """A new process is told all that the one before it knew, before it serves."""
        ask = started.peer.call
        await ask("configure", self._configuration, timeout=_PATIENCE_SECONDS)
        for run_id, token_hash in list(self._tokens.items()):
            if (run := self._accounts.run(run_id)) is not None:
                await ask("open_run", OpenedRun(run=run, token_hash=token_hash), timeout=_ASK_SECONDS)
        await ask("serve", timeout=_ASK_SECONDS)

    async def _watched(self, started: child.Child) -> str:
        """How it ended. One that lives and does not answer is ended by who started it."""
        waiting = asyncio.create_task(started.wait(), name="wait for the model gateway")
        try:
            while not waiting.done():
                await asyncio.wait({waiting}, timeout=_LOOK_SECONDS)
                if not waiting.done():
                    with contextlib.suppress(OrchardError):
                        await started.peer.call("view", timeout=_ASK_SECONDS)
            return waiting.result()
        except TimeoutError:
            return "it did not answer any more"
        finally:
            waiting.cancel()

    def _set(self, started: child.Child | None, problem: str) -> None:
        self._child, self._problem = started, problem
        self._slowed.clear()
        if started is not None:
            self._changed.set()
        else:
            self._changed.clear()

    async def _until_alive(self) -> None:
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                await self._changed.wait()
        except TimeoutError:
            raise Unavailable(
                "The model gateway does not run.", why=self._problem, hint="See logs/gateway.log."
            ) from None

    async def _say(self, method: str, body: object) -> None:
        """Nothing while there is no process: the next one is told all that holds then."""
        async with self._briefing:  # one that was told already hears of it afterwards
            told = self._child
        if told is not None:
            await told.peer.call(method, body, timeout=_ASK_SECONDS)

    async def _close(self, living: asyncio.Task[None]) -> None:
        living.cancel()
        await asyncio.wait({living, *self._tasks})
        await self._intake.settle()
        await self._intake.take_leftovers()

    def _forget(self, run_id: str) -> None:
        self._tokens.pop(run_id, None)
        self._accounts.close(run_id)

    # -- what it tells -------------------------------------------------------------------------

    async def _on_written(self, params: dict[str, Any]) -> None:
        await self._intake.take_in()

    async def _on_reached(self, params: dict[str, Any]) -> None:
        told = decode(Reached, params)
        if self._take_reached is not None:
            await self._take_reached(told.run_id, told.account)

    async def _on_slowed(self, params: dict[str, Any]) -> None:
        told = decode(Slowed, params)
        if told.sentence and told.run_id in self._tokens:
            self._slowed[told.run_id] = told.sentence
        else:
            self._slowed.pop(told.run_id, None)

    async def _on_held(self, params: dict[str, Any]) -> None:
        hold = decode(ProviderHold, params)
        self._holds[hold.provider] = hold
        if self._take_hold is not None:
            await self._take_hold(hold)

"""Webhooks that the server sends itself: signed, and late, doubled or out of order when it should."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import aiohttp

from tests.github_server.repository import Repository
from tests.github_server.things import Hook


@dataclass(eq=False, kw_only=True, slots=True)
class Delivery:
    """One, and what became of it. `statuses` has an entry a try: 0 where nobody answered."""

    guid: str
    event: str
    hook: Hook
    repository: Repository
    payload: dict[str, Any]
    statuses: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)  # from request to answer, a try

    @property
    def action(self) -> str:
        return self.payload.get("action", "")

    def content(self) -> bytes:
        text = json.dumps(self.payload)
        return urlencode({"payload": text}).encode() if self.hook.content_type == "form" else text.encode()

    def headers(self) -> dict[str, str]:
        form = self.hook.content_type == "form"
        told = {
            "Accept": "*/*",
            "User-Agent": "GitHub-Hookshot/f00dfee",
            "Content-Type": "application/x-www-form-urlencoded" if form else "application/json",
            "X-GitHub-Event": self.event,
            "X-GitHub-Delivery": self.guid,
            "X-GitHub-Hook-ID": str(self.hook.id),
            "X-GitHub-Hook-Installation-Target-ID": str(self.repository.id),
            "X-GitHub-Hook-Installation-Target-Type": "repository",
        }
        if self.hook.secret:
            body, key = self.content(), self.hook.secret.encode()
            told["X-Hub-Signature"] = f"sha1={hmac.new(key, body, hashlib.sha1).hexdigest()}"
            told["X-Hub-Signature-256"] = f"sha256={hmac.new(key, body, hashlib.sha256).hexdigest()}"
        return told


@dataclass(eq=False, kw_only=True)
class Deliveries:
    """Sends one after the other, as they come. GitHub does not try again by itself: see `redeliver`."""

    sent: list[Delivery] = field(default_factory=list)  # all that were due, also what is held or dropped
    delay_seconds: float = 0.0
    copies: int = 1  # 2: each comes twice
    drop: Callable[[Delivery], bool] = lambda delivery: False
    _held: list[Delivery] | None = None
    _waiting: asyncio.Queue[Delivery] = field(default_factory=asyncio.Queue)
    _task: asyncio.Task[None] | None = None
    _http: aiohttp.ClientSession | None = None

    def due(self, repository: Repository, event: str, payload: dict[str, Any]) -> None:
        """For each of the repository's hooks that wants it."""
        for hook in list(repository.hooks.values()):
            if hook.active and (event == "ping" or {"*", event} & set(hook.events)):
                self.due_at(hook, repository, event, payload)

    def due_at(self, hook: Hook, repository: Repository, event: str, payload: dict[str, Any]) -> None:
        told = json.loads(json.dumps(payload))  # as it is now
        delivery = Delivery(
            guid=str(uuid.uuid4()), event=event, hook=hook, repository=repository, payload=told
        )
        self.sent.append(delivery)
        if self.drop(delivery):
            return
        if self._held is not None:
            self._held.append(delivery)
        else:
            self._put(delivery)

    def _put(self, delivery: Delivery) -> None:
        for _ in range(self.copies):
            self._waiting.put_nowait(delivery)

    def hold(self) -> None:
        """Keeps what comes back, until `release`."""
        self._held = [] if self._held is None else self._held

    def release(self, order: Callable[[list[Delivery]], list[Delivery]] = lambda held: held) -> None:
        """Sends what was held, in that order (`lambda held: held[::-1]`)."""
        held, self._held = self._held or [], None
        for delivery in order(held):
            self._put(delivery)

    def redeliver(self, delivery: Delivery) -> None:
        """The same again, under the same id."""
        self._waiting.put_nowait(delivery)

    async def settled(self) -> None:
        """Returns when all that was sent was answered, or nobody was there to."""
        await self._waiting.join()

    def begin(self) -> None:
        # What else a test's environment says of proxies does not concern loopback.
        self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10), trust_env=False)
        self._task = asyncio.create_task(self._send_all(), name="webhooks")

    async def end(self) -> None:
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._http:
            await self._http.close()

    async def _send_all(self) -> None:
        while True:
            delivery = await self._waiting.get()
            try:
                if self.delay_seconds:
                    await asyncio.sleep(self.delay_seconds)
                await self._send(delivery)
            finally:
                self._waiting.task_done()

    async def _send(self, delivery: Delivery) -> None:
        assert self._http
        clock = asyncio.get_running_loop().time
        began, status = clock(), 0
        try:
            async with self._http.post(
                delivery.hook.url, data=delivery.content(), headers=delivery.headers(), allow_redirects=False
            ) as answer:
                await answer.read()
                status = answer.status
        except (aiohttp.ClientError, TimeoutError, OSError):
            pass
        delivery.seconds.append(clock() - began)
        delivery.statuses.append(status)

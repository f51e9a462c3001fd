"""One credential's session with GitHub: requests off the event loop, limits, tries, ETags, figures.

What is only read, or comes to the same when it is done twice, is tried again. What makes something is not,
once it may have been carried out: it raises with `unknown`, and who wanted it looks whether it is there.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from functools import partial
from random import random
from typing import TYPE_CHECKING, Any, Protocol

from core.clock import Clock
from core.github.api.answer import Answer, NoAnswer
from core.github.api.facts import Rate
from core.github.api.pacing import Pace, Sleep, limited
from core.github.api.refusals import refusal
from core.github.api.threads import started
from core.github.api.trouble import GithubUnreachable

if TYPE_CHECKING:
    from core.github.api.wire import Wire

AT_ONCE = 4  # requests of one credential; GitHub dislikes many at once
_TRIES = 4
_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 8.0
_KEPT_BYTES = 4 * 1024 * 1024  # of answers, for the next time that GitHub says "not modified"


class Credential(Protocol):
    """`name`: what it is, for people; never its value."""

    name: str

    async def token(self) -> str:
        """Of now, learned by known_secrets. Raises GithubError."""
        ...

    async def refused(self) -> bool:
        """GitHub did not take it (401). True: there is a fresh one now."""
        ...

    async def login(self, ask: Callable[[str], Awaitable[Answer]]) -> str:
        """The account that it acts as; `ask` reads a path with it."""
        ...


class Connection:
    def __init__(
        self,
        credential: Credential,
        wire: Wire,
        *,
        clock: Clock,
        request_seconds: float,
        patience_seconds: float,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self.credential = credential
        self._wire = wire
        self.base_url = wire.base_url
        self._clock = clock
        self._request_seconds = request_seconds
        self._pace = Pace(credential.name, clock, patience_seconds, sleep)
        self._sleep = sleep
        self._places = asyncio.Semaphore(AT_ONCE)
        self._changing = asyncio.Lock()
        self._kept: OrderedDict[str, tuple[str, Answer]] = OrderedDict()
        self._kept_bytes = 0
        self._requests = self._counted = self._retries = 0
        self._login = ""

    def rate(self) -> Rate:
        return Rate(
            credential=self.credential.name,
            limit=self._pace.limit,
            remaining=self._pace.remaining,
            resets_at=self._pace.resets_at,
            waits_until=self._pace.waits_until,
            requests=self._requests,
            counted=self._counted,
            retries=self._retries,
        )

    async def login(self) -> str:
        if not self._login:
            self._login = await self.credential.login(partial(self.read, what="say whose credential it is"))
        return self._login

    async def read(self, path: str, *, what: str, etag: str = "") -> Answer:
        """GET. 304 is an answer where an `etag` was given. Raises GithubError."""
        return await self._asked("GET", path, what=what, etag=etag, again=True)

    async def read_kept(self, path: str, *, what: str) -> Answer:
        """GET; the last time's answer where GitHub says that nothing has changed, which costs nothing."""
        kept = self._kept.get(path)
        answer = await self.read(path, what=what, etag=kept[0] if kept else "")
        if answer.status == 304 and kept is not None:
            if path in self._kept:
                self._kept.move_to_end(path)
            return kept[1]
        self._keep(path, answer)
        return answer

    async def change(
        self, verb: str, path: str, body: Any | None = None, *, what: str, again: bool
    ) -> Answer:
        """One at a time. `again`: done twice it comes to the same. Raises GithubError, `unknown` when it may
        have been carried out all the same."""
        async with self._changing:
            await self._pace.change()
            return await self._asked(verb, path, what=what, body=body, again=again)

    def local(self, address: str) -> str:
        """An address of the API's as a path below it; "" for any other, which is sent no credential."""
        base = f"{self.base_url}/"
        return f"/{address.removeprefix(base)}" if address.startswith(base) else ""

    def close(self) -> None:
        """Requests that are under way end by themselves."""
        self._wire.close()

    def _keep(self, path: str, answer: Answer) -> None:
        if (old := self._kept.pop(path, None)) is not None:
            self._kept_bytes -= len(old[1].text)
        if answer.status != 200 or not answer.etag or len(answer.text) > _KEPT_BYTES // 4:
            return
        self._kept[path] = (answer.etag, answer)
        self._kept_bytes += len(answer.text)
        while self._kept_bytes > _KEPT_BYTES:
            self._kept_bytes -= len(self._kept.popitem(last=False)[1][1].text)

    async def _asked(
        self, verb: str, path: str, *, what: str, again: bool, etag: str = "", body: Any | None = None
    ) -> Answer:
        tries, begun, renewed = 1, self._clock.monotonic(), False
        while True:
            await self._pace.clear()
            authorization = f"Bearer {await self.credential.token()}"
            call = partial(self._wire.call, verb, path, authorization=authorization, etag=etag, body=body)
            answer: Answer | None = None
            try:
                answer = await self._in_a_place(call)
                self._counted += answer.status != 304
                was_limit = self._pace.heard(answer.status, answer.headers, answer.text)
            except NoAnswer as error:
                silent, was_limit = error, False
            # A place further: GitHub is slow or broken for long enough, so people are told.
            spent = tries >= _TRIES or self._clock.monotonic() - begun > 3 * self._request_seconds
            if answer is None:
                if spent or (silent.sent and not again):
                    raise _silence(what, silent, changes=verb != "GET") from silent
            elif was_limit:
                if tries >= _TRIES:
                    raise limited(self.credential.name, self._pace.waits_until or self._clock.now())
                tries, self._retries = tries + 1, self._retries + 1
                continue  # `clear` waits
            elif answer.status == 401 and not renewed and await self.credential.refused():
                renewed = True
                continue
            elif answer.status < 400:
                return answer
            elif answer.status < 500 or spent or not again:
                raise refusal(
                    answer.status,
                    answer.text,
                    what=what,
                    credential=self.credential.name,
                    changes=verb != "GET",
                )
            tries, self._retries = tries + 1, self._retries + 1
            await self._sleep(_pause(tries))

    async def _in_a_place(self, call: Callable[[], Answer]) -> Answer:
        """The place is taken as long as the thread runs, also when who waits for it has gone."""
        await self._places.acquire()
        self._requests += 1
        running = started(call, f"github {self.credential.name}")
        running.add_done_callback(self._leave)
        return await asyncio.shield(running)

    def _leave(self, ended: asyncio.Future[Answer]) -> None:
        self._places.release()
        if not ended.cancelled():
            ended.exception()  # looked at: who wanted it may have been cancelled


def _pause(tries: int) -> float:
    longest = min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2.0 ** (tries - 2))
    return longest * (0.5 + random() / 2)  # noqa: S311  # so that projects do not come back together


def _silence(what: str, error: NoAnswer, *, changes: bool) -> GithubUnreachable:
    return GithubUnreachable(
        f"GitHub did not {what}.",
        why=error.why,
        hint="Orchard tries again; see the network and www.githubstatus.com.",
        unknown=changes and error.sent,
    )

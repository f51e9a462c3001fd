"""The WebSocket itself: who comes in, what they say, and the one loop that sends to each."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace

from starlette.requests import HTTPConnection
from starlette.routing import WebSocketRoute
from starlette.types import Message, Receive, Scope, Send

from bot.web.cookies import SESSION, name_of
from bot.web.feed import frames
from bot.web.feed.frames import framed
from bot.web.feed.hub import Hub
from bot.web.feed.listener import Identity, Listener
from bot.web.feed.sight import FrameType, Sight, View, sight_of, wish_of_message, wish_of_query
from bot.web.house import House
from bot.web.problem import problem_of
from bot.web.sockets import line_of, refuse_socket
from bot.web.visitors import LOOKER, Unfinished
from core.clock import Clock
from core.errors import InvalidInput, NotAllowed, OrchardError
from core.security.access import Action, Asker, require
from core.security.logins import Missing, NotLoggedIn
from core.security.rate_limit import Bucket, Limit, take
from core.security.tokens import BadToken

PATHS = ("/", "/ws")
_LONGEST_MESSAGE = 16 * 1024  # characters
_MESSAGES = Limit(per_second=5, burst=20)  # of one listener
_MOST_ERRORS = 20
_UNKNOWN_DATA, _TOO_BIG, _POLICY, _GONE = 1003, 1009, 1008, 1001  # RFC 6455, 7.4.1


class FeedDoor:
    """An ASGI application; one call is one socket."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = HTTPConnection(scope)
        house: House = asked.app.state.house
        try:
            wish = wish_of_query(scope["query_string"])
            sight, identity = await _who(house, asked)
        except OrchardError as error:
            await refuse_socket(problem_of(error), send)
            return
        clock = house.runtime.clock
        listener = Listener(sight=sight, wish=wish, identity=identity, line=line_of(scope))
        try:
            async with self.hub.entered(listener):
                if (await receive())["type"] != "websocket.connect":
                    return
                await send({"type": "websocket.accept"})
                await _Conversation(self.hub, listener, clock, receive, send).run()
        except OrchardError as error:  # there are too many
            await refuse_socket(problem_of(error), send)


class _Conversation:
    def __init__(self, hub: Hub, listener: Listener, clock: Clock, receive: Receive, send: Send) -> None:
        self._hub = hub
        self._listener = listener
        self._clock = clock
        self._receive = receive
        self._send = send
        self._bucket: Bucket | None = None
        self._errors = 0
        self._left = False

    async def run(self) -> None:
        hearing = asyncio.create_task(self._hear(), name="feed: hearing")
        try:
            with contextlib.suppress(OSError):  # they left
                await self._tell()
        finally:
            hearing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await hearing

    # -- what is sent ----------------------------------------------------------------------------------

    async def _tell(self) -> None:
        """Until it parts."""
        listener = self._listener
        fresh = True
        while listener.parting is None:
            try:
                if fresh or listener.wished is not None:
                    fresh = False
                    await self._join()
                await self._pass_on()
            except OrchardError as error:  # the store is away: told, and tried again by whoever comes anew
                await self._write(framed(frames.error(error)))
                listener.part(_GONE, error.slug, self._clock.monotonic())
        if not self._left:
            parting = listener.parting
            await self._send({"type": "websocket.close", "code": parting.code, "reason": parting.reason})

    async def _join(self) -> None:
        listener = self._listener
        if listener.wished is not None:
            listener.live = False
            while (frame := listener.take()) is not None:
                await self._write(frame)
            listener.wish, listener.wished = listener.wished, None
            listener.view = View.of(listener.sight, listener.wish)
        await self._hub.join(listener, self._write)

    async def _pass_on(self) -> None:
        """Everything that is there; then rests until there is more."""
        listener = self._listener
        while listener.parting is None and (frame := listener.take()) is not None:
            await self._write(frame)
        if listener.parting is None and listener.wished is None and listener.lagging:
            await self._write(self._hub.rejoin(listener))
        elif listener.parting is None and listener.wished is None:
            listener.resting = True
            await listener.wake.wait()
            listener.resting = False
            listener.wake.clear()

    async def _write(self, frame: bytes) -> None:
        listener = self._listener
        listener.busy_since = self._clock.monotonic()
        await listener.line.write(frame)
        listener.busy_since = None

    # -- what they say ---------------------------------------------------------------------------------

    async def _hear(self) -> None:
        """Until they leave, or have said what ends it."""
        try:
            while (message := await self._receive())["type"] != "websocket.disconnect":
                if not self._take(message):
                    return
            self._left = True
        finally:
            self._part(_GONE, "over")

    def _take(self, message: Message) -> bool:
        """False: nothing more is heard."""
        text = message.get("text")
        if text is None:
            return self._part(_UNKNOWN_DATA, "texts alone are understood")
        if len(text) > _LONGEST_MESSAGE:
            return self._part(_TOO_BIG, "that is too long")
        self._bucket, wait = take(self._bucket, _MESSAGES, self._clock.monotonic())
        if wait:
            return self._part(_POLICY, "that is too often")
        listener = self._listener
        try:
            wish = wish_of_message(text)
        except InvalidInput as error:
            self._errors += 1
            if self._errors > _MOST_ERRORS:
                return self._part(_POLICY, "nothing of it is understood")
            listener.offer(framed(frames.error(error)), FrameType.ERROR)
            return True
        if wish.since is None and listener.wished is not None:  # one after the other: the cursor stays
            wish = replace(wish, since=listener.wished.since)
        listener.wished = wish
        listener.wake.set()
        return True

    def _part(self, code: int, reason: str) -> bool:
        self._listener.part(code, reason, self._clock.monotonic())
        return False


async def _who(house: House, asked: HTTPConnection) -> tuple[Sight, Identity]:
    """By a token, by a session's cookie, or somebody on this machine who only looks. No cookie is renewed
    here: an answer that is a socket may lose it. Raises NotAllowed of some kind."""
    said = asked.headers.get("authorization")
    cookie = asked.cookies.get(name_of(SESSION, house.site), "")
    is_open = house.site.is_open_to(asked.state.asked)
    if said is not None:
        asker, identity = await _by_token(house, said, str(asked.state.client))
    elif cookie:
        try:
            asker, identity = await _by_session(house, cookie)
        except NotLoggedIn:
            if not is_open:
                raise
            return sight_of(LOOKER, whole=False), Identity(name=LOOKER.name)
    elif is_open:
        return sight_of(LOOKER, whole=False), Identity(name=LOOKER.name)
    else:
        raise NotLoggedIn("You are not logged in.", hint="Log in at /login, or show a token.")
    house.calls.call(asker.name, house.runtime.clock.monotonic())
    sight = sight_of(asker)
    if sight.blind:
        require(Action.SEE_SYSTEM, asker)  # says why
        raise NotAllowed("You may see no project.", hint="Ask the owner.")
    return sight, identity


async def _by_token(house: House, said: str, client: str) -> tuple[Asker, Identity]:
    kind, _, token = said.partition(" ")
    token = token.strip()
    try:
        if kind.lower() != "bearer" or not token.isascii():
            raise BadToken("This token is not good.", hint="Authorization: Bearer TOKEN")
        asker = await house.tokens.asker(token)
    except BadToken:
        house.tries.call(client, house.runtime.clock.monotonic())
        raise

    async def again() -> Asker:
        return await house.tokens.asker(token)

    return asker, Identity(name=asker.name, again=again)


async def _by_session(house: House, cookie: str) -> tuple[Asker, Identity]:
    session = await house.logins.who(cookie)
    if session.missing is not Missing.NOTHING:
        raise Unfinished(session.missing)
    login = session.login.id

    async def again() -> Asker:
        return (await house.logins.standing(login)).asker

    return session.asker, Identity(name=f"login:{login}", again=again)


def routes(hub: Hub) -> list[WebSocketRoute]:
    door = FeedDoor(hub)
    return [WebSocketRoute(path, door, name=f"feed {path}") for path in PATHS]

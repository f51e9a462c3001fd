"""The gateway, version 10: sessions that outlive their connections, and the connections.

https://docs.discord.com/developers/events/gateway
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from aiohttp import WSCloseCode, WSMsgType, web

from bot.localguild import payloads
from bot.localguild.connection import CloseCode, Connection, Dropped
from bot.localguild.guild import Guild
from bot.localguild.intents import KNOWN_BITS, PRIVILEGED, Intent, wants
from bot.localguild.model import Channel, Json
from bot.localguild.settings import GuildSettings

_MAX_PAYLOAD_BYTES = 4096
_MAX_EVENTS, _EVENT_WINDOW_SECONDS = 120, 60.0
_KEPT_FOR_RESUME = 20_000
_CLEAN_CLOSE = (WSCloseCode.OK, WSCloseCode.GOING_AWAY)


OnEvent = Callable[[str, Any], None]
"""Sees the name and data of every event sent to a session."""


class Op(IntEnum):
    DISPATCH = 0
    HEARTBEAT = 1
    IDENTIFY = 2
    PRESENCE = 3
    VOICE_STATE = 4
    RESUME = 6
    RECONNECT = 7
    REQUEST_MEMBERS = 8
    INVALID_SESSION = 9
    HELLO = 10
    HEARTBEAT_ACK = 11


@dataclass(slots=True, kw_only=True)
class Session:
    """What a bot resumes: the events it was sent, numbered."""

    id: str
    intents: Intent
    sequence: int = 0
    sent: deque[tuple[int, str]] = field(default_factory=lambda: deque(maxlen=_KEPT_FOR_RESUME))
    connection: Connection | None = None
    lost_at: float | None = None  # monotonic; when the connection went away


@dataclass(slots=True, kw_only=True)
class GatewayFaults:
    """What goes wrong at the gateway from now on."""

    refuse_connections: int = 0  # so many connection attempts get HTTP 503
    mute_heartbeats: bool = False  # no HEARTBEAT_ACK
    invalidate_resumes: int = 0  # so many RESUMEs get INVALID_SESSION
    invalidate_identifies: int = 0


class Gateway:
    """All sessions of the one application. `dispatch` is the only way an event leaves."""

    def __init__(
        self, guild: Guild, settings: GuildSettings, *, token: str, monotonic: Callable[[], float]
    ) -> None:
        self._guild = guild
        self._settings = settings
        self._token = token
        self._monotonic = monotonic
        self._sessions: dict[str, Session] = {}
        self._connections: set[Connection] = set()
        self._changed = asyncio.Event()
        self._last_identify = float("-inf")
        self.url = ""
        self.on_event: OnEvent | None = None
        self.faults = GatewayFaults()
        self.identifies = 0
        self.resumes = 0

    @property
    def live_sessions(self) -> list[Session]:
        return [one for one in self._sessions.values() if one.connection is not None]

    @property
    def identifies_left(self) -> int:
        return max(self._settings.identifies_per_day - self.identifies, 0)

    async def wait_until(self, condition: Callable[[], bool], timeout: float) -> None:
        """Wait for a change of the sessions that fulfils the condition. Raises TimeoutError."""
        async with asyncio.timeout(timeout):
            while not condition():
                await self._changed.wait()

    def _note_change(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    # events out

    def dispatch(self, event: str, data: Json, *, channel: Channel | None = None) -> None:
        """Send an event to every session whose intents want it; `channel` is where it happened."""
        direct = channel is not None and channel.guild_id is None
        for session in self._sessions.values():
            # its own member's changes reach a bot without the privileged intent too
            own = event == "GUILD_MEMBER_UPDATE" and data["user"]["id"] == str(self._guild.bot.id)
            if own or wants(session.intents, event, direct=direct):
                self._send_event(session, event, self._fitted(session, event, data, direct))

    def _send_event(self, session: Session, event: str, data: Any) -> None:
        if self.on_event is not None:
            self.on_event(event, data)
        session.sequence += 1
        frame = {"op": Op.DISPATCH, "t": event, "s": session.sequence, "d": data}
        text = json.dumps(frame, separators=(",", ":"))
        session.sent.append((session.sequence, text))
        if session.connection is not None:
            session.connection.send_text(text)

    def _fitted(self, session: Session, event: str, data: Json, direct: bool) -> Json:
        if event not in ("MESSAGE_CREATE", "MESSAGE_UPDATE") or direct:
            return data
        bot_id = str(self._guild.bot.id)
        concerns_bot = data["author"]["id"] == bot_id or any(one["id"] == bot_id for one in data["mentions"])
        if concerns_bot or Intent.MESSAGE_CONTENT in session.intents:
            return data
        return payloads.without_content(data)

    # faults at will

    def drop(self, code: int | None = None) -> None:
        """Cut all connections: abruptly, or with a close code. Sessions stay resumable."""
        for connection in list(self._connections):
            connection.abort() if code is None else connection.close(code)

    def ask_to_reconnect(self) -> None:
        for connection in list(self._connections):
            connection.send(Op.RECONNECT, None)

    def invalidate_sessions(self, *, resumable: bool) -> None:
        """Send INVALID_SESSION; when not resumable the sessions are gone."""
        for session in list(self._sessions.values()):
            if session.connection is not None:
                session.connection.send(Op.INVALID_SESSION, resumable)
            if not resumable:
                del self._sessions[session.id]
        self._note_change()

    async def close(self) -> None:
        for connection in list(self._connections):
            connection.close(WSCloseCode.GOING_AWAY)

    # connections in

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if self.faults.refuse_connections > 0:
            self.faults.refuse_connections -= 1
            return web.Response(status=503, text="upstream connect error")
        socket = web.WebSocketResponse(max_msg_size=1 << 20, autoping=True)
        await socket.prepare(request)
        if request.query.get("v", "10") not in ("9", "10"):
            await socket.close(code=CloseCode.INVALID_API_VERSION)
            return socket
        compressed = request.query.get("compress") == "zlib-stream"
        connection = Connection(socket, request.transport, compressed=compressed)
        self._connections.add(connection)
        session: Session | None = None
        try:
            connection.send(Op.HELLO, {"heartbeat_interval": self._settings.heartbeat_interval_ms})
            session = await self._converse(connection)
        except Dropped as dropped:
            connection.close(dropped.code)
        finally:
            self._connections.discard(connection)
            await connection.finish()
            self._detach(connection, session)
        return socket

    async def _converse(self, connection: Connection) -> Session | None:
        """Read frames until the connection ends; the session it carried is found by `_detach`."""
        session: Session | None = None
        recent: deque[float] = deque(maxlen=_MAX_EVENTS)
        silence_seconds = self._settings.heartbeat_interval_ms / 1000 * 2 + 5
        while True:
            try:
                received = await connection.socket.receive(timeout=silence_seconds)
            except TimeoutError:
                raise Dropped(CloseCode.SESSION_TIMED_OUT) from None
            if received.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                return session
            now = self._monotonic()
            if len(recent) == _MAX_EVENTS and now - recent[0] < _EVENT_WINDOW_SECONDS:
                raise Dropped(CloseCode.RATE_LIMITED)
            recent.append(now)
            operation, data = _decode(received.data)
            session = self._receive(connection, session, operation, data) or session

    def _receive(
        self, connection: Connection, session: Session | None, operation: int, data: Any
    ) -> Session | None:
        match operation:
            case Op.HEARTBEAT:
                if not self.faults.mute_heartbeats:
                    connection.send(Op.HEARTBEAT_ACK, None)
            case Op.IDENTIFY | Op.RESUME if session is not None:
                raise Dropped(CloseCode.ALREADY_AUTHENTICATED)
            case Op.IDENTIFY:
                return self._identify(connection, data)
            case Op.RESUME:
                return self._resume(connection, data)
            case Op.PRESENCE | Op.VOICE_STATE | Op.REQUEST_MEMBERS if session is None:
                raise Dropped(CloseCode.NOT_AUTHENTICATED)
            case Op.REQUEST_MEMBERS:
                self._send_members(session, data)
            case Op.PRESENCE | Op.VOICE_STATE:
                pass
            case _:
                raise Dropped(CloseCode.UNKNOWN_OPCODE)
        return None

    def _detach(self, connection: Connection, session: Session | None) -> None:
        for one in list(self._sessions.values()):
            if one.connection is not connection:
                continue
            one.connection, one.lost_at = None, self._monotonic()
            if connection.socket.close_code in _CLEAN_CLOSE and not connection.closed_by_us:
                del self._sessions[one.id]  # a client that says goodbye gives up its session
        self._note_change()

    # identify and resume

    def _identify(self, connection: Connection, data: Any) -> Session | None:
        self._check_token(data)
        now = self._monotonic()
        too_soon = now - self._last_identify < self._settings.identify_interval_seconds
        if self.faults.invalidate_identifies > 0 or too_soon:
            self.faults.invalidate_identifies = max(self.faults.invalidate_identifies - 1, 0)
            connection.send(Op.INVALID_SESSION, False)
            return None
        if self.identifies_left == 0:  # Discord resets the token of a bot that goes on
            raise Dropped(CloseCode.AUTHENTICATION_FAILED)
        intents = _read_intents(data, self._settings.privileged_intents)
        self._last_identify = now
        self.identifies += 1
        session = Session(id=secrets.token_hex(16), intents=intents, connection=connection)
        self._sessions[session.id] = session
        self._send_event(session, "READY", self._ready(session, data))
        if Intent.GUILDS in intents:
            joined_at = self._guild.members[self._guild.bot.id].joined_at
            see_all = Intent.GUILD_PRESENCES in intents
            members = [
                one for one in self._guild.members.values() if see_all or one.user.id == self._guild.bot.id
            ]
            self._send_event(
                session,
                "GUILD_CREATE",
                payloads.guild_create(self._guild, joined_at=joined_at, members=members),
            )
        self._note_change()
        return session

    def _ready(self, session: Session, data: Json) -> Json:
        ready = {
            "v": 10,
            "user": payloads.own_user(self._guild.bot),
            "guilds": [{"id": str(self._guild.id), "unavailable": True}],
            "session_id": session.id,
            "session_type": "normal",
            "resume_gateway_url": self.url,
            "application": {"id": str(self._guild.application_id), "flags": 0},
            "private_channels": [],
            "presences": [],
            "relationships": [],
            "user_settings": {},
            "geo_ordered_rtc_regions": [],
            "_trace": [],
        }
        if "shard" in data:
            ready["shard"] = data["shard"]
        return ready

    def _resume(self, connection: Connection, data: Any) -> Session | None:
        self._check_token(data)
        session = self._sessions.get(data.get("session_id", ""))
        if session is not None and self._has_expired(session):
            del self._sessions[session.id]
            session = None
        if session is None or self.faults.invalidate_resumes > 0:
            self.faults.invalidate_resumes = max(self.faults.invalidate_resumes - 1, 0)
            if session is not None:
                del self._sessions[session.id]
            connection.send(Op.INVALID_SESSION, False)
            return None
        seen = data.get("seq")
        if not isinstance(seen, int) or seen > session.sequence:
            raise Dropped(CloseCode.INVALID_SEQUENCE)
        if session.connection is not None:
            session.connection.close(CloseCode.UNKNOWN_ERROR)
        session.connection, session.lost_at = connection, None
        for number, text in session.sent:
            if number > seen:
                connection.send_text(text)
        self._send_event(session, "RESUMED", {"_trace": []})
        self.resumes += 1
        self._note_change()
        return session

    def _has_expired(self, session: Session) -> bool:
        lost = session.lost_at
        return lost is not None and self._monotonic() - lost > self._settings.resume_window_seconds

    def _check_token(self, data: Any) -> None:
        if not isinstance(data, dict):
            raise Dropped(CloseCode.DECODE_ERROR)
        token = str(data.get("token", "")).removeprefix("Bot ")
        if not secrets.compare_digest(token.encode(), self._token.encode()):
            raise Dropped(CloseCode.AUTHENTICATION_FAILED)

    def _send_members(self, session: Session | None, data: Any) -> None:
        assert session is not None
        if not isinstance(data, dict) or str(data.get("guild_id")) != str(self._guild.id):
            raise Dropped(CloseCode.DECODE_ERROR)
        wanted, query = data.get("user_ids"), str(data.get("query") or "").lower()
        everyone = wanted is None and not query
        if everyone and Intent.GUILD_MEMBERS not in session.intents:
            return  # Discord sends nothing back
        ids = {int(one) for one in (wanted if isinstance(wanted, list) else [wanted or 0])}
        found = [
            member
            for member in self._guild.members.values()
            if everyone
            or (wanted is not None and member.user.id in ids)
            or (wanted is None and member.user.username.lower().startswith(query))
        ]
        chunk: Json = {
            "guild_id": str(self._guild.id),
            "members": [payloads.member(one) for one in found],
            "chunk_index": 0,
            "chunk_count": 1,
            "not_found": [str(one) for one in ids - {m.user.id for m in found}] if wanted else [],
        }
        if data.get("nonce"):
            chunk["nonce"] = data["nonce"]
        self._send_event(session, "GUILD_MEMBERS_CHUNK", chunk)


def _decode(frame: str | bytes) -> tuple[int, Any]:
    if len(frame) > _MAX_PAYLOAD_BYTES:
        raise Dropped(CloseCode.DECODE_ERROR)
    with suppress(ValueError):
        decoded = json.loads(frame)
        if isinstance(decoded, dict) and isinstance(decoded.get("op"), int):
            return decoded["op"], decoded.get("d")
    raise Dropped(CloseCode.DECODE_ERROR)


def _read_intents(data: Json, switched_on: Intent) -> Intent:
    intents = data.get("intents")
    if not isinstance(intents, int) or intents < 0 or intents & ~KNOWN_BITS:
        raise Dropped(CloseCode.INVALID_INTENTS)
    if Intent(intents) & PRIVILEGED & ~switched_on:
        raise Dropped(CloseCode.DISALLOWED_INTENTS)
    return Intent(intents)

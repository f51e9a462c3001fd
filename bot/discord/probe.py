"""What is measured of Discord: how far away its gateway is, and how often it said that we ask too much."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from datetime import datetime
from types import SimpleNamespace

import aiohttp
import discord

from core.domain.metric import Sample

_TOO_MANY = 429


class DiscordProbe:
    """`core.monitoring.service.Probe`. `connected`: the client while it is."""

    def __init__(self, connected: Callable[[], discord.Client | None]) -> None:
        self._connected = connected
        self._limited = 0
        self.trace = aiohttp.TraceConfig()  # of the clients' requests
        self.trace.on_request_end.append(self._ended)

    async def _ended(
        self, _session: aiohttp.ClientSession, _context: SimpleNamespace, ended: aiohttp.TraceRequestEndParams
    ) -> None:
        if ended.response.status == _TOO_MANY:
            self._limited += 1

    def samples(self, now: datetime) -> Iterator[Sample]:
        """No latency before the first heartbeat was answered."""
        client = self._connected()
        if client is not None and math.isfinite(client.latency):
            yield Sample(metric="discord_latency", value=client.latency, at=now, source="discord")
        yield Sample(metric="discord_rate_limited", value=float(self._limited), at=now, source="discord")

"""Sends a call to its provider. Nothing that may have been charged is ever sent twice."""

from __future__ import annotations

import asyncio
import io
import zlib
from collections.abc import Iterable
from contextlib import suppress
from types import TracebackType
from typing import Self

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from core.gateway.addresses import address_of
from core.gateway.complaint import Complained, Complaint
from core.gateway.contract import Provider, Times

_PAUSES = (0.25, 1.0)  # seconds, after a connection that was not made at all
_IDLE_CONNECTION_SECONDS = 15.0  # shorter than providers', so that none is closed under a new call
_AT_ONCE = 256 << 10
_MOST_UNPACKED = 64 << 20


class NotReached(Complained):
    """No connection was made: nothing was sent, nothing can have been charged."""


class Lost(Complained):
    """The provider broke off or said nothing for too long. It may have done its work."""


class Upstream:
    """One pool of connections for all providers."""

    def __init__(self, times: Times) -> None:
        self._times = times
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(
            limit=0, ttl_dns_cache=60, keepalive_timeout=_IDLE_CONNECTION_SECONDS
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._times.connect, sock_read=None),
            trust_env=False,  # it would also take logins out of a .netrc
            read_bufsize=1 << 16,
            max_line_size=64 << 10,
            max_field_size=64 << 10,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def send(
        self,
        provider: Provider,
        method: str,
        path: str,
        query: str,
        headers: Iterable[tuple[str, str]],
        body: bytes | None,
    ) -> aiohttp.ClientResponse:
        """The answer once its headers are there; the caller closes it. Raises NotReached or Lost."""
        assert self._session is not None
        url = URL(address_of(provider.base_url, path, query), encoded=True)
        for pause in (*_PAUSES, None):
            try:
                async with asyncio.timeout(self._times.first_byte):
                    return await self._session.request(
                        method,
                        url,
                        headers=CIMultiDict(headers),
                        data=body if body is None or len(body) < _AT_ONCE else io.BytesIO(body),
                        allow_redirects=False,
                        proxy=provider.proxy or None,
                        skip_auto_headers=("User-Agent", "Content-Type"),
                    )
            except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
                again = isinstance(error, aiohttp.ClientConnectorError) and not isinstance(
                    error, aiohttp.ClientSSLError
                )
                if pause is None or not again:
                    raise NotReached(_gone(provider, _reason(error))) from error
                await asyncio.sleep(pause)
            except (aiohttp.ClientError, OSError) as error:
                if isinstance(error, TimeoutError):
                    raise Lost(
                        Complaint(
                            status=504,
                            message=f"{provider.name} has not begun to answer within "
                            f"{self._times.first_byte:g} s. The call was ended.",
                            retry_after=1,
                        )
                    ) from error
                raise Lost(
                    Complaint(
                        status=502,
                        message=f"{provider.name} broke the connection before it answered: {_reason(error)}.",
                        retry_after=1,
                    )
                ) from error
        raise AssertionError("the last try returns or raises")


def _gone(provider: Provider, reason: str) -> Complaint:
    return Complaint(
        status=502,
        message=f"{provider.name} cannot be reached at {provider.base_url}: {reason}. Nothing was sent.",
        retry_after=5,
    )


def _reason(error: BaseException) -> str:
    """Without what a request holds."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return "its certificate is not one that this machine trusts"
    if isinstance(error, aiohttp.ClientSSLError):
        return "it speaks no TLS that this machine knows"
    if isinstance(error, aiohttp.ClientConnectorError):
        return error.os_error.strerror or type(error.os_error).__name__
    return "no connection in time" if isinstance(error, TimeoutError) else type(error).__name__


class Unpacked:
    """An answer's bytes as they were before the provider packed them against our wish; read along only."""

    def __init__(self, encoding: str) -> None:
        self._plain = encoding.strip().lower() in ("", "identity")
        self._unpack = None
        if encoding.strip().lower() in ("gzip", "deflate"):
            self._unpack = zlib.decompressobj(47 if "gzip" in encoding.lower() else 15)
        self._left = _MOST_UNPACKED

    def __call__(self, piece: bytes) -> bytes:
        """Empty for what cannot be read."""
        if self._plain:
            return piece
        if self._unpack is None or self._left <= 0:
            return b""
        with suppress(zlib.error):
            found = self._unpack.decompress(piece, self._left)
            self._left -= len(found)
            return found
        self._unpack = None
        return b""

"""PURE: which names and origins are Orchard's own, by what a request says of itself.

A page of a stranger can make a browser ask this machine (DNS rebinding, forged forms). It cannot choose the
Host, Origin and Sec-Fetch-Site that the browser sends with it, so these are compared with what is ours.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_OWN_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
_DEFAULT_PORTS = {"http": 80, "https": 443}
_FORWARDED = ("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the checks look at. `headers`: names in lower case, the last of each; `local`: where it came in,
    `peer`: from where, both addresses."""

    method: str
    headers: Mapping[str, str]
    local: str
    port: int
    peer: str
    is_websocket: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """`names`: hosts beside this machine's own; `public`: the origin of a reverse proxy, or ""."""

    encrypted: bool = False
    names: frozenset[str] = frozenset()
    public: str = ""

    @property
    def secure(self) -> bool:
        """Whether browsers reach it by TLS."""
        return self.encrypted or self.public.startswith("https://")

    def knows_host(self, asked: Request) -> bool:
        found = split_host(asked.headers.get("host", ""))
        if found is None:
            return False
        name, port = found
        if self.public and (name, port or _default(self.public)) == _place(self.public):
            return True
        scheme = "https" if self.encrypted else "http"
        if (port or _DEFAULT_PORTS[scheme]) != asked.port:
            return False
        # An address in figures is what no name server can turn elsewhere.
        return name in _OWN_NAMES or name in self.names or name == _bare(asked.local)

    def knows_origin(self, asked: Request) -> bool:
        """Also true where the browser says that nobody else had it ask, or nothing does."""
        origin = asked.headers.get("origin")
        if origin is not None:
            return origin in (self.public, self.origin_of(asked)) and origin != ""
        return asked.headers.get("sec-fetch-site", "none") in ("same-origin", "none")

    def origin_of(self, asked: Request) -> str:
        return f"{'https' if self.encrypted else 'http'}://{asked.headers.get('host', '').lower()}"

    def may_change(self, asked: Request) -> bool:
        """A method that is not safe, or an upgrade to a socket: from our own pages, or from a program with a
        token, which no browser adds by itself."""
        if not self.knows_origin(asked):
            return False
        said = asked.headers.keys() & {"origin", "sec-fetch-site"}
        by_token = "authorization" in asked.headers and "cookie" not in asked.headers
        if asked.is_websocket:
            # Browsers always say an Origin here (RFC 6455, 4.1): without one, and without a cookie, it is a
            # program that asks for itself.
            return "origin" in said or "cookie" not in asked.headers
        return bool(said) or by_token

    def may_read(self, asked: Request) -> bool:
        """Another site may lead a browser here, never read: pictures and frames of us are refused."""
        if self.knows_origin(asked):
            return True
        fetch = asked.headers
        return (
            "origin" not in fetch
            and fetch.get("sec-fetch-mode") == "navigate"
            and fetch.get("sec-fetch-dest") == "document"
        )

    def is_open_to(self, asked: Request) -> bool:
        """Whether it comes from this machine itself, as far as can be told: then looking is free."""
        found = split_host(asked.headers.get("host", ""))
        return (
            not self.public
            and _is_loopback(asked.peer)
            and found is not None
            and found[0] in _OWN_NAMES
            and not any(name in asked.headers for name in _FORWARDED)
            and self.knows_origin(asked)
        )

    def client_of(self, asked: Request) -> str:
        """Whose address it is: behind our own proxy, the one that it saw last."""
        if self.public and _is_loopback(asked.peer):
            last = asked.headers.get("x-forwarded-for", "").rpartition(",")[2].strip()
            if _is_address(last):
                return last
        return asked.peer


def split_host(text: str) -> tuple[str, int | None] | None:
    """A Host header's name in lower case, without brackets, and its port; None: it is none."""
    text = text.strip().lower()
    if not text or any(sign in text for sign in " /@?#,\\\t"):
        return None
    try:
        parts = urlsplit(f"//{text}")
        port = parts.port
    except ValueError:
        return None
    return (parts.hostname.rstrip("."), port) if parts.hostname else None


def _place(origin: str) -> tuple[str, int]:
    parts = urlsplit(origin)
    return parts.hostname or "", parts.port or _default(origin)


def _default(origin: str) -> int:
    return _DEFAULT_PORTS[urlsplit(origin).scheme]


def _bare(address: str) -> str:
    return address.partition("%")[0].removeprefix("::ffff:").lower()


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _is_loopback(address: str) -> bool:
    bare = _bare(address)
    return _is_address(bare) and ipaddress.ip_address(bare).is_loopback

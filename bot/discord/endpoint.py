"""Which Discord the unmodified discord.py talks to.

discord.py keeps its two addresses on classes, so this is process-wide: one Discord a process.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import yarl
from discord.gateway import DiscordWebSocket
from discord.http import Route

from core.errors import InvalidInput

API_VERSION = "v10"


@contextmanager
def endpoint(api_url: str | None, gateway_url: str | None) -> Iterator[None]:
    """Points discord.py at these addresses while the block runs; None: Discord's own."""
    base, gateway = Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY
    try:
        if api_url:
            Route.BASE = rest_base(api_url)
        if gateway_url:
            use_gateway(gateway_url)
        yield
    finally:
        Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY = base, gateway


def use_gateway(url: str) -> None:
    """The first gateway address; the server names the one for resuming itself."""
    DiscordWebSocket.DEFAULT_GATEWAY = _address(url, {"ws", "wss"})


def rest_base(api_url: str) -> str:
    """With the version that discord.py speaks; `http://host`, `.../api` and `.../api/v10` are all fine."""
    address = _address(api_url, {"http", "https"})
    parts = [part for part in address.path.split("/") if part]
    if not parts:
        parts = ["api"]
    if parts[-1] == "api":
        parts.append(API_VERSION)
    return str(address.with_path("/" + "/".join(parts)))


def _address(url: str, schemes: set[str]) -> yarl.URL:
    try:
        address = yarl.URL(url.strip())
    except ValueError as error:
        raise InvalidInput(f"{url!r} is not an address.", why=str(error)) from error
    if address.scheme not in schemes or not address.host:
        raise InvalidInput(
            f"{url!r} is not an address that Discord could have.",
            hint=f"It starts with {' or '.join(sorted(f'{scheme}://' for scheme in schemes))}.",
        )
    return address

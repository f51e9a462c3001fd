"""Where providers are asked: the built-in ones, what settings add, proxies of the environment."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from config.fields import is_own_machine
from config.settings import ModelGatewaySettings
from core.gateway.contract import Provider
from core.gateway.wire import WireFormat

_VERSIONED = re.compile(r".*/v\d+(?:alpha|beta)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    base_url: str
    key_variables: tuple[str, ...]
    speaks: WireFormat = WireFormat.CHAT


BUILT_IN: Mapping[str, Known] = {
    "anthropic": Known(
        base_url="https://api.anthropic.com",
        key_variables=("ANTHROPIC_API_KEY",),
        speaks=WireFormat.ANTHROPIC,
    ),
    "openai": Known(base_url="https://api.openai.com/v1", key_variables=("OPENAI_API_KEY",)),
    "gemini": Known(
        base_url="https://generativelanguage.googleapis.com",
        key_variables=("GEMINI_API_KEY", "GOOGLE_API_KEY"),
        speaks=WireFormat.GEMINI,
    ),
    "mistral": Known(base_url="https://api.mistral.ai/v1", key_variables=("MISTRAL_API_KEY",)),
    "openrouter": Known(base_url="https://openrouter.ai/api/v1", key_variables=("OPENROUTER_API_KEY",)),
}


def address_of(base_url: str, path: str, query: str) -> str:
    """`path` below the base address. Where both say a version, the base address's own is taken: agents
    append /v1 to whatever they are given, and some providers count otherwise."""
    base = base_url.rstrip("/")
    if _VERSIONED.fullmatch(base) and path.startswith("/v1/"):
        path = path.removeprefix("/v1")
    return f"{base}{path}" + (f"?{query}" if query else "")


def known_providers(settings: ModelGatewaySettings) -> dict[str, Known]:
    """The built-in ones, and what settings say instead or beside."""
    said = {
        name: Known(
            base_url=each.base_url,
            key_variables=each.key_variables,
            speaks=BUILT_IN[name].speaks if name in BUILT_IN else WireFormat.CHAT,
        )
        for name, each in settings.providers.items()
    }
    return {**BUILT_IN, **said}


def providers_in_force(settings: ModelGatewaySettings, environ: Mapping[str, str]) -> tuple[Provider, ...]:
    """Whom a gateway with these settings asks; nobody where it is switched off."""
    return providers_of(known_providers(settings), environ) if settings.enabled else ()


def providers_of(known: Mapping[str, Known], environ: Mapping[str, str]) -> tuple[Provider, ...]:
    """Those that have a key in `environ`, by the first of their variables that is set."""
    found = []
    for name, each in known.items():
        variable = next((each for each in each.key_variables if environ.get(each, "").strip()), None)
        if variable is None:
            continue
        key = environ[variable].strip()
        if not key.isascii() or not key.isprintable() or " " in key:
            continue  # no header can hold it
        found.append(
            Provider(
                name=name,
                base_url=each.base_url,
                speaks=each.speaks,
                key=key,
                key_id=f"{variable}:{hashlib.sha256(key.encode()).hexdigest()[:8]}",
                proxy=proxy_of(each.base_url, environ),
            )
        )
    return tuple(found)


def proxy_of(base_url: str, environ: Mapping[str, str]) -> str:
    """The environment's HTTP proxy for an address, as curl reads it; empty: none, and never for loopback."""
    parts = urlsplit(base_url)
    host = (parts.hostname or "").lower()
    if is_own_machine(host):
        return ""
    excepted = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
    for each in (one.strip().lower().lstrip(".") for one in excepted.split(",")):
        if each == "*" or (each and (host == each or host.endswith(f".{each}"))):
            return ""
    names = ("https_proxy", "HTTPS_PROXY") if parts.scheme == "https" else ("http_proxy",)
    found = next((environ[each] for each in (*names, "all_proxy", "ALL_PROXY") if environ.get(each)), "")
    return found if found.startswith("http://") else ""

"""PURE: names that stand for several rules of an allow-list, and the rules that an agent's own row implies.

A named set holds what its tools fetch from by default; a mirror of one's own is a rule of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from core.errors import InvalidInput
from core.isolation.egress.rules import Egress, normal_host, parse_egress

# Where packages are fetched from; nothing of these takes uploads, but npm's and rubygems' with an account.
_REGISTRIES: Mapping[str, tuple[str, ...]] = {
    "pypi": ("pypi.org:443", "files.pythonhosted.org:443"),
    "npm": ("registry.npmjs.org:443", "registry.yarnpkg.com:443"),
    "crates": ("index.crates.io:443", "static.crates.io:443", "crates.io:443"),
    "go": ("proxy.golang.org:443", "sum.golang.org:443"),
    "maven": ("repo.maven.apache.org:443", "repo1.maven.org:443"),
    "rubygems": ("rubygems.org:443", "index.rubygems.org:443"),
}
# By the name of the provider in an agent's row: its models, and where a login of its is renewed.
_PROVIDERS: Mapping[str, tuple[str, ...]] = {
    "anthropic": (
        "api.anthropic.com:443",
        "console.anthropic.com:443",
        "platform.claude.com:443",
        "claude.ai:443",
    ),
    "openai": ("api.openai.com:443", "auth.openai.com:443", "chatgpt.com:443"),
    "gemini": (
        "generativelanguage.googleapis.com:443",
        "cloudcode-pa.googleapis.com:443",
        "oauth2.googleapis.com:443",
    ),
    "mistral": ("api.mistral.ai:443",),
    "openrouter": ("openrouter.ai:443",),
}
NAMED_SETS: Mapping[str, tuple[str, ...]] = {
    **_REGISTRIES,
    "registries": tuple(rule for rules in _REGISTRIES.values() for rule in rules),
    **_PROVIDERS,
    "models": tuple(rule for rules in _PROVIDERS.values() for rule in rules),
}

_USUAL = {"http": 80, "https": 443}
_URL = re.compile(
    r"(https?)://(?:[^/?#@]*@)?(\[[0-9a-f:.]+\]|[^/?#@:\[\]]+)(?::(\d{1,5}))?(?:[/?#].*)?", re.IGNORECASE
)
_LOOPBACK_URL = re.compile(r"https?://(?:127\.0\.0\.1|localhost):(\d{1,5})\b")


def expand(entries: Iterable[str]) -> tuple[str, ...]:
    """The rules that an allow-list's entries say: names of sets are replaced by what they hold."""
    rules = (rule for entry in entries for rule in NAMED_SETS.get(entry.strip().lower(), (entry.strip(),)))
    return tuple(dict.fromkeys(rules))


def check_entry(entry: str) -> str:
    """`entry` as it is kept. Raises InvalidInput when it is no rule and no name of a set."""
    entry = entry.strip()
    if re.fullmatch(r"[a-z]+", entry) and entry != "localhost" and entry not in NAMED_SETS:
        raise InvalidInput(
            f"{entry!r} is no named set of hosts, and no host with a dot.",
            hint=f"Named sets: {', '.join(NAMED_SETS)}. A host in your own network: '{entry}:443'.",
        )
    parse_egress(expand([entry]))
    return entry


def provider_rules(provider: str, base_url: str = "") -> tuple[str, ...]:
    """Where an agent that asks this provider itself has to get; `base_url`, if its settings name another."""
    rules = NAMED_SETS.get(provider, ()) if provider in _PROVIDERS else ()
    return tuple(dict.fromkeys((*rules, *_rule_of(base_url))))


def rules_in_environment(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Addresses that a row of `agents.yaml` or a person's own variables point an agent to: values that are
    URLs as a whole."""
    return tuple(dict.fromkeys(rule for value in environment.values() for rule in _rule_of(value)))


def loopback_ports_in(texts: Iterable[str]) -> tuple[int, ...]:
    """Ports of this machine's loopback that texts of an agent's row hold URLs of."""
    found = (int(port) for text in texts for port in _LOOPBACK_URL.findall(text))
    return tuple(dict.fromkeys(port for port in found if 0 < port < 65536))


def loopback_doors(egress: Egress) -> tuple[int, ...]:
    """Ports of 127.0.0.1 that rules name one by one, from 1024 on: programs do not ask a proxy for those."""
    found = {
        low: None
        for rule in egress.rules
        if rule.network is not None and str(rule.network) == "127.0.0.1/32"
        for low, high in rule.ports
        if low == high >= 1024
    }
    return tuple(found)


def _rule_of(url: str) -> tuple[str, ...]:
    """That of an address with its port; none for what is no plain http(s) URL."""
    match = _URL.fullmatch(url.strip())
    if match is None:
        return ()
    port = int(match[3] or _USUAL[match[1].lower()])
    try:
        found = normal_host(match[2])
    except InvalidInput:
        return ()
    if not 0 < port < 65536:
        return ()
    if found == "localhost":
        return (f"127.0.0.1:{port}",)
    return (f"[{found}]:{port}" if ":" in str(found) else f"{found}:{port}",)

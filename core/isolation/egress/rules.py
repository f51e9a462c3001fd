"""PURE: where a sandbox may connect to. Rules name hosts and ports; what no rule names is refused.

    pypi.example            that host, ports 80 and 443        *.cdn.example:443   hosts below it, not itself
    git.example:22,9418     these ports                        *:443               every public host
    10.1.0.0/16:8000-8100   these addresses, also by a name that another rule allows
    ssh.example:443 raw     whatever is spoken there; else a TLS client has to name the host that it asked for

A name alone opens public addresses only, whatever it resolves to: private, loopback, link-local and metadata
addresses must themselves be named. What a rule does not name is refused before any name is resolved.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from core.errors import InvalidInput

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_USUAL_PORTS = ((80, 80), (443, 443))
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")  # a last label like this makes the whole an IPv4 address (WHATWG)
_PORT = re.compile(r"[0-9]{1,5}")
# Global by registration, and yet doors to somewhere else: translated IPv4, tunnels, a cloud's own agent.
_SPECIAL = tuple(
    ip_network(text)
    for text in (
        "64:ff9b::/96",
        "64:ff9b:1::/48",
        "2001::/32",
        "2002::/16",
        "192.0.0.0/24",
        "192.88.99.0/24",
        "168.63.129.16/32",
        "fec0::/10",
        "::/96",
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """`why` and `hint` are empty when it is allowed."""

    allowed: bool
    why: str = ""
    hint: str = ""


_YES = Verdict(allowed=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Either `name` (with `below`: the hosts below it; an empty name then is every host) or `network`."""

    text: str
    name: str = ""
    below: bool = False
    network: Network | None = None
    ports: tuple[tuple[int, int], ...] = _USUAL_PORTS
    raw: bool = False

    def names(self, host: str | Address) -> bool:
        if not isinstance(host, str):
            return self.network is not None and host in self.network
        if self.network is not None:
            return False
        return (not self.name or host.endswith(f".{self.name}")) if self.below else host == self.name

    def has_port(self, port: int) -> bool:
        return any(low <= port <= high for low, high in self.ports)


@dataclass(frozen=True, slots=True, kw_only=True)
class Egress:
    """All that one sandbox may reach."""

    rules: tuple[Rule, ...] = ()

    def judge(self, host: str | Address, port: int) -> Verdict:
        """Of what is asked for, as `normal_host` gave it."""
        shown = host if isinstance(host, str) or host.version == 4 else f"[{host}]"
        naming = [rule for rule in self.rules if rule.names(host)]
        if any(rule.has_port(port) for rule in naming):
            return _YES
        if naming:
            return Verdict(
                allowed=False,
                why=f"Port {port} of {host} is not in the allow-list ('{naming[0].text}').",
                hint=f"Add '{shown}:{port}' to the project's allow-list.",
            )
        kind = "the address" if not isinstance(host, str) else "the host"
        return Verdict(
            allowed=False,
            why=f"No rule of the allow-list names {kind} {host}.",
            hint=f"Add '{shown}:{port}' to the project's allow-list.",
        )

    def is_raw(self, host: str | Address, port: int) -> bool:
        """Whether what is said in a tunnel to it is nobody's business."""
        return any(rule.raw and rule.names(host) and rule.has_port(port) for rule in self.rules)

    def judge_hello(
        self, name: str | None, host: str | Address, port: int, *, hides: bool = False
    ) -> Verdict:
        """Of the host that a TLS client names in a tunnel to `host`: empty when it names none, None when it
        speaks no TLS.

        What is fetched by the name of another host than was asked for has to be named by a rule as well: many
        hosts share an address. A hidden name may be any.
        """
        shown = host if isinstance(host, str) or host.version == 4 else f"[{host}]"
        raw = f"If that is meant, write '{shown}:{port} raw' into the project's allow-list."
        if name is None:
            return Verdict(allowed=False, why=f"What was said to {host} on port {port} is no TLS.", hint=raw)
        if hides:
            why = f"The TLS client hides the name that it wants of {host} (encrypted ClientHello)."
            return Verdict(allowed=False, why=why, hint=f"Switch that off in the program. {raw}")
        if not name:
            why = f"The TLS client does not say that it wants {host}."
            return _YES if not isinstance(host, str) else Verdict(allowed=False, why=why, hint=raw)
        try:
            wanted = normal_host(name)
        except InvalidInput as error:
            return Verdict(allowed=False, why=f"The TLS client's name is none: {error.message}", hint=raw)
        if wanted == host:
            return _YES
        verdict = self.judge(wanted, port)
        why = f"The TLS client asked for {host} and wants {wanted} there. {verdict.why}"
        return verdict if verdict.allowed else Verdict(allowed=False, why=why, hint=verdict.hint)

    def judge_address(self, address: Address, port: int, *, own: bool = False) -> Verdict:
        """Of what a name resolved to; the name itself has been allowed. `own`: an address of this machine."""
        address = plain_address(address)
        if any(rule.names(address) and rule.has_port(port) for rule in self.rules):
            return _YES
        if not own and is_public(address):
            return _YES
        what = "this machine's own" if own else "not a public"
        return Verdict(
            allowed=False,
            why=f"It resolves to {address}, {what} address.",
            hint=f"If that is meant, add '{address if address.version == 4 else f'[{address}]'}:{port}' too.",
        )


def parse_egress(lines: Iterable[str]) -> Egress:
    """Raises InvalidInput that names every line which is no rule."""
    rules, bad = [], []
    for line in lines:
        try:
            rules.append(parse_rule(line))
        except InvalidInput as error:
            bad.append(str(error))
    if bad:
        raise InvalidInput(
            f"{len(bad)} of the allow-list's rules cannot be read.",
            why=" ".join(bad),
            hint="A rule is HOST, HOST:PORTS, *.HOST or an address range, such as '*.example.org:443'.",
        )
    return Egress(rules=tuple(rules))


@lru_cache(maxsize=1024)  # the same few stand in every project's settings
def parse_rule(text: str) -> Rule:
    """Raises InvalidInput."""
    text = text.strip()
    bare = text.removesuffix(" raw").rstrip()
    raw = bare != text
    host, ports = _split_ports(bare)
    if host == "*":
        return Rule(text=text, below=True, ports=ports, raw=raw)
    if "/" in host:
        try:
            return Rule(text=text, network=ip_network(host), ports=ports, raw=raw)
        except ValueError as error:
            raise InvalidInput(f"{text!r} is no range of addresses: {error}.") from error
    below = host.startswith("*.")
    name = normal_host(host[2:] if below else host)
    if isinstance(name, str):
        return Rule(text=text, name=name, below=below, ports=ports, raw=raw)
    if below:
        raise InvalidInput(f"{text!r}: there is nothing below an address.")
    return Rule(text=text, network=ip_network(name), ports=ports, raw=raw)


def _split_ports(text: str) -> tuple[str, tuple[tuple[int, int], ...]]:
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")) or ":" not in host:
            raise InvalidInput(f"{text!r}: an address in brackets is written like '[2001:db8::1]:443'.")
        ports = rest[1:]
        given = bool(rest)
    else:
        host, colon, ports = text.partition(":")
        given = bool(colon)
        if ":" in ports:
            raise InvalidInput(f"{text!r}: an IPv6 address is written in brackets.")
    return host, _parse_ports(text, ports) if given else _USUAL_PORTS


def _parse_ports(text: str, ports: str) -> tuple[tuple[int, int], ...]:
    if ports == "*":
        return ((1, 65535),)
    found = []
    for part in ports.split(","):
        low, dash, high = part.strip().partition("-")
        found.append((parse_port(low, text), parse_port(high if dash else low, text)))
        if found[-1][0] > found[-1][1]:
            raise InvalidInput(f"{text!r}: the range of ports {part.strip()} runs backwards.")
    return tuple(found)


def parse_port(text: str, whole: str = "") -> int:
    """Decimal digits only, 1 to 65535. Raises InvalidInput, which shows `whole`."""
    if not _PORT.fullmatch(text) or not 1 <= int(text) <= 65535:
        raise InvalidInput(f"{(whole or text)!r}: {text!r} is no port (1 to 65535).")
    return int(text)


def normal_host(text: str) -> str | Address:
    """A host as it is compared and resolved: lower-case ASCII without a trailing dot, or an address.

    Raises InvalidInput for what is neither, among it unusual spellings of addresses (0x7f.1, 2130706433),
    which programs read differently.
    """
    if len(text) > 255:
        raise InvalidInput(f"{_shown(text)} is no host name.")
    if ":" in text:
        return _version_6(text)
    name = _in_ascii(text)
    if len(name) > 253 or not name:
        raise InvalidInput(f"{_shown(text)} is no host name.")
    labels = name.split(".")
    if _NUMBER.fullmatch(labels[-1]):
        try:
            return IPv4Address(name)
        except ValueError:
            raise InvalidInput(
                f"{_shown(text)} is an address in an unusual spelling.", hint="Write it like 192.0.2.1."
            ) from None
    if not all(_LABEL.fullmatch(label) for label in labels):
        raise InvalidInput(f"{_shown(text)} is no host name.")
    return name


def _version_6(text: str) -> Address:
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    try:
        if "%" in bare:
            raise ValueError
        return plain_address(IPv6Address(bare))
    except ValueError:
        raise InvalidInput(f"{_shown(text)} is no address.") from None


def _in_ascii(text: str) -> str:
    if text.isascii():
        return text.lower().removesuffix(".")
    try:
        # Also turns the dots and digits of other scripts into ours, before anything is compared.
        return text.encode("idna").decode("ascii").lower().removesuffix(".")
    except UnicodeError as error:
        raise InvalidInput(f"{_shown(text)} is no host name.") from error


def plain_address(address: Address) -> Address:
    """An IPv4 address written as an IPv6 one is the IPv4 address."""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return address if mapped is None else mapped


def parse_address(text: str) -> Address:
    """From a resolver's answer. Raises InvalidInput."""
    try:
        return plain_address(ip_address(text.partition("%")[0]))
    except ValueError as error:
        raise InvalidInput(f"{_shown(text)} is no address.") from error


def is_public(address: Address) -> bool:
    """Of the internet at large: no private, shared, loopback, link-local, multicast, reserved, tunnel or
    documentation range, and no cloud's metadata service (IANA's special-purpose registries)."""
    address = plain_address(address)
    if not address.is_global or address.is_multicast or address.is_reserved or address.is_unspecified:
        return False
    return not any(address in network for network in _SPECIAL)


def _shown(text: str) -> str:
    return repr(text if len(text) <= 80 else text[:77] + "...")

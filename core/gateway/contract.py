"""What the control plane and the gateway's process say to each other, as JSON-RPC 2.0 lines over stdio.

    control plane -> gateway   configure(Configuration), serve(), open_run(OpenedRun), close_run({run_id}),
                               set_accounts(AccountsSet), set_rates(Rates), lift({providers}),
                               view() -> GatewayFacts
    gateway -> control plane   written({}), reached(Reached), held(ProviderHold), slowed(Slowed)

Keys travel here alone, never in an argument or a variable of a process. PURE.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from core.domain.budget import Account, AccountLimit
from core.gateway.rate import Rates
from core.gateway.refusal import RefusalKind
from core.gateway.wire import WireFormat


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """Seconds that a call may take for one step."""

    connect: float = 10.0
    request: float = 60.0  # to come from the agent
    first_byte: float = 900.0  # models think before they say anything
    idle: float = 300.0  # between two pieces of an answer
    hold: float = 240.0  # for a budget or a provider; agents' own clients wait for 300 and more


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """`speaks`: how it is told the key where the path does not say the format."""

    name: str
    base_url: str
    speaks: WireFormat
    key: str = field(repr=False)
    key_id: str  # names the key without telling it
    proxy: str = ""  # of the environment


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    providers: tuple[Provider, ...]
    times: Times = Times()
    rates: Rates = field(default_factory=Rates)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStart:
    """One turn's right to ask `provider`, and for whom its calls count."""

    run_id: str
    project: str
    story_id: str | None
    phase: str
    agent: str
    provider: str
    accounts: tuple[AccountLimit, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedRun:
    run: RunStart
    token_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountsSet:
    accounts: tuple[AccountLimit, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    run_id: str
    account: Account
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Slowed:
    """Calls of the run wait for its tokens a minute; told again every so often. `sentence` empty: no more."""

    run_id: str
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderHold:
    """A provider takes no more work with a key: `until` (aware UTC) when it said so, or people must act."""

    provider: str
    key_id: str
    kind: RefusalKind  # QUOTA, CREDIT or AUTH
    until: datetime | None
    reason: str  # the provider's words: untrusted


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayFacts:
    """What the process counts while it lives. `added_ms`: what it adds to the time to the first byte."""

    in_flight: int = 0
    held: int = 0
    calls: int = 0
    added_p50_ms: float | None = None
    added_p99_ms: float | None = None
    waits: Mapping[str, float] = field(default_factory=dict)  # by provider: seconds to its next call

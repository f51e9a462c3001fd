"""What the pages and the API stand on: the core's services, bound to the settings as of the start."""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from bot.web.once import OnceKeeper
from bot.web.site import Site
from bot.web.webhooks import Webhooks, limits
from config.web_settings import WebSettings
from core.github.webhooks.deliveries import Deliveries
from core.github.webhooks.signers import Signers
from core.runtime import Runtime
from core.security.entry_links import EntryLinks
from core.security.keys import Purpose
from core.security.logins import LoginRules, Logins
from core.security.passwords import Passwords
from core.security.rate_limit import Limit, RateLimits
from core.security.second_factor import KeySeal, SecondFactor
from core.security.secrets import Secrets
from core.security.tokens import ApiTokens
from core.security.users import Users
from core.security.witness import audited

if TYPE_CHECKING:
    from bot.localguild.people import Link


class Forms:
    """Tokens that show a form to be ours (CSRF): a stranger's page can send one, but knows none.

    Their key lives as long as the process: a form from before a restart has to be loaded anew.
    """

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)

    def token(self, about: str) -> str:
        return hmac.new(self._key, about.encode(), "sha256").hexdigest()

    def fits(self, about: str, token: str) -> bool:
        return hmac.compare_digest(self.token(about).encode(), token.encode())


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    runtime: Runtime
    site: Site
    logins: Logins
    entries: EntryLinks
    second_factor: SecondFactor
    users: Users
    tokens: ApiTokens
    secrets: Secrets
    tries: RateLimits  # passwords, codes and wrong tokens of an address
    calls: RateLimits  # everything of an address, a user, a token
    webhooks: Webhooks
    once: OnceKeeper
    guild: Link | None = None  # a Discord on this machine that the dashboard shows
    forms: Forms = field(default_factory=Forms)


def build_house(runtime: Runtime, settings: WebSettings, guild: Link | None = None) -> House:
    store, clock, vault = runtime.store, runtime.clock, runtime.vault
    security = runtime.configuration().settings.global_.security
    witness, passwords = audited(vault.auditor), Passwords()
    second_factor = SecondFactor(store, KeySeal(vault.key.derived(Purpose.SECOND_FACTOR)), witness)
    rules = LoginRules(
        idle=timedelta(minutes=security.session_timeout_minutes),
        second_factor_required=security.require_2fa,
    )
    kept = Secrets(store, vault.key, vault.auditor)
    logins = Logins(store, clock, passwords, second_factor, rules, witness)
    return House(
        runtime=runtime,
        site=site_of(settings),
        logins=logins,
        entries=EntryLinks(store, clock, logins, witness),
        second_factor=second_factor,
        users=Users(store, passwords, witness),
        tokens=ApiTokens(store, clock, witness),
        secrets=kept,
        tries=RateLimits(_a_minute(settings.logins_per_minute)),
        calls=RateLimits(_a_minute(settings.calls_per_minute)),
        once=OnceKeeper(store, vault.key),
        webhooks=Webhooks(
            store,
            clock,
            vault.auditor,
            Signers(lambda: runtime.configuration().settings, kept, clock),
            Deliveries(store, runtime.nudge_github),
            limits(runtime.configuration().settings.global_.github.webhooks_per_minute),
        ),
        guild=guild,
    )


def site_of(settings: WebSettings) -> Site:
    names = {name.strip("[]").lower().rstrip(".") for name in (settings.host, *settings.trusted_hosts)}
    return Site(
        encrypted=settings.encrypted,
        names=frozenset(names),
        public=(settings.public_url or "").lower().rstrip("/"),
    )


def _a_minute(count: int) -> Limit:
    return Limit(per_second=count / 60, burst=max(1, count // 2))

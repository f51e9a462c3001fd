"""How a local guild is set up: names, limits and times that a test or a demo may change."""

from __future__ import annotations

from dataclasses import dataclass, field

from bot.localguild.intents import Intent
from bot.localguild.permissions import BOT_DEFAULT, EVERYONE_DEFAULT, Permission
from bot.localguild.ratelimits import RatePolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class GuildSettings:
    """Defaults are Discord's own numbers where it has them."""

    guild_name: str = "Local Guild"
    bot_name: str = "Orchard"
    owner_name: str = "owner"
    channels: tuple[str, ...] = ("general",)
    token: str | None = None  # None: one is made up
    bot_permissions: Permission = BOT_DEFAULT
    everyone_permissions: Permission = EVERYONE_DEFAULT
    privileged_intents: Intent = Intent.NONE  # those switched on in the developer portal
    rates: RatePolicy = field(default_factory=RatePolicy)

    heartbeat_interval_ms: int = 41250
    resume_window_seconds: float = 180.0
    identifies_per_day: int = 1000
    response_seconds: float = 3.0  # an interaction's first answer
    token_seconds: float = 900.0  # an interaction token's life after that
    nonce_window_seconds: float = 300.0
    max_guild_channels: int = 500
    max_category_channels: int = 50
    max_active_threads: int = 1000
    max_roles: int = 250
    max_message_bytes: int = 10 << 20
    identify_interval_seconds: float = 0.0  # Discord: 5; sooner ones get INVALID_SESSION

"""What the Discord face was told: the part of the settings that it reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from config.settings import Settings
from core.domain.access import AccessLevel


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscordOptions:
    """`channel_of` gives a project's configured channel (name or id), None where none is set.

    `alert_channel` gives the name or id of the channel for alerts. `mentions` are Discord mentions
    (`<@&role>`, `<@user>`) put in front of what needs a person. `roles` may change things; where these and
    `role_levels` are empty, every member of the server may.
    """

    token: str
    guild_id: int | None = None
    api_url: str | None = None
    gateway_url: str | None = None
    category: str = "Orchard"
    channel_of: Callable[[str], str | None] = lambda _project: None
    alert_channel: Callable[[], str] = lambda: "orchard-alerts"
    mentions: tuple[str, ...] = ()
    roles: frozenset[str] = frozenset()
    role_levels: Mapping[str, AccessLevel] = field(default_factory=dict)


def options_of(current: Callable[[], Settings]) -> DiscordOptions | None:
    """None where Discord is switched off or there is no token.

    Only a project's channel, and that for alerts, are read anew each time: projects are registered while
    Orchard runs.
    """
    settings = current()
    discord = settings.global_.discord
    token = settings.discord_token.get_secret_value().strip() if settings.discord_token else ""
    if not token or not discord.enabled:
        return None

    def channel_of(project: str) -> str | None:
        found = current().projects.get(project)
        return found.discord_channel if found else None

    roles = tuple(f"<@&{role}>" for role in discord.mention_roles)
    return DiscordOptions(
        token=token,
        guild_id=settings.global_.global_discord_guild,
        api_url=settings.discord_api_url,
        gateway_url=settings.discord_gateway_url,
        category=discord.category,
        channel_of=channel_of,
        alert_channel=lambda: current().global_.alerts.channel,
        mentions=roles + tuple(f"<@{user}>" for user in discord.mention_users),
        roles=frozenset(discord.roles),
        role_levels={role: AccessLevel[level.upper()] for role, level in discord.role_levels.items()},
    )

"""Asks Discord whether the token works, and what the bot may do there."""

from __future__ import annotations

from typing import Any

import aiohttp
import discord

from bot.cli.findings import Check
from bot.discord.endpoint import rest_base
from config.settings import Settings

_SECONDS = 8.0
_PUBLIC_API = "https://discord.com/api"
_NEEDED = discord.Permissions(
    view_channel=True,
    send_messages=True,
    send_messages_in_threads=True,
    create_public_threads=True,
    embed_links=True,
    attach_files=True,
    read_message_history=True,
    manage_channels=True,
)


async def check_discord(settings: Settings) -> list[Check]:
    """Token, server and permissions, as far as Discord answers within a few seconds."""
    if settings.discord_token is None:
        return [
            Check(
                name="discord",
                state="note",
                found="no token: Orchard runs without Discord",
                mend="Put DISCORD_TOKEN into .env: discord.com/developers, your application, Bot.",
            )
        ]
    if not settings.global_.discord.enabled:
        return [Check(name="discord", state="note", found="switched off by 'global.discord.enabled'")]
    base = rest_base(settings.discord_api_url or _PUBLIC_API)
    headers = {"Authorization": f"Bot {settings.discord_token.get_secret_value()}"}
    timeout = aiohttp.ClientTimeout(total=_SECONDS)
    try:
        async with aiohttp.ClientSession(headers=headers, timeout=timeout) as session:
            async with session.get(f"{base}/users/@me") as answer:
                if answer.status == 401:
                    return [_refused_token()]
                if answer.status != 200:
                    return [_unclear(base, f"it answered {answer.status}")]
                who = await answer.json()
            async with session.get(f"{base}/users/@me/guilds") as answer:
                guilds = await answer.json() if answer.status == 200 else []
            roles = await _roles(session, base, _chosen(settings, guilds))
        name = str(who["username"])
    except (aiohttp.ClientError, TimeoutError, ValueError, KeyError, TypeError) as error:
        return [_unclear(base, str(error) or "no answer in time")]
    found = f"the token is {name}'s, at {base}"
    server = [_server(settings, guilds), *_absent_roles(settings, roles)]
    return [Check(name="discord", state="ok", found=found), *server]


async def _roles(
    session: aiohttp.ClientSession, base: str, chosen: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Of the one server that is served; none where it cannot be asked."""
    if len(chosen) != 1:
        return []
    async with session.get(f"{base}/guilds/{chosen[0]['id']}/roles") as answer:
        return list(await answer.json()) if answer.status == 200 else []


def _absent_roles(settings: Settings, roles: list[dict[str, Any]]) -> list[Check]:
    """Configured roles that give nobody a right, since the server has none of that name or id."""
    wanted = settings.global_.discord
    known = {str(role[key]) for role in roles for key in ("id", "name")}
    absent = sorted({*wanted.roles, *wanted.role_levels} - known)
    if not roles or not absent:
        return []
    there = ", ".join(sorted(str(role["name"]) for role in roles))
    return [
        Check(
            name="discord roles",
            state="missing",
            found=f"the server has no role {', '.join(absent)}: nobody gets a right by it",
            mend=f"Correct global.discord.roles and role_levels; it has: {there}.",
        )
    ]


def _refused_token() -> Check:
    return Check(
        name="discord",
        state="missing",
        found="Discord refuses the token",
        mend="Put the bot's present token into .env as DISCORD_TOKEN: without the word Bot, without quotes.",
    )


def _unclear(base: str, why: str) -> Check:
    return Check(
        name="discord",
        state="note",
        found=f"a token is set, but {base} could not be asked: {why}",
        mend="Check the network. Orchard connects by itself once Discord answers.",
    )


def _chosen(settings: Settings, guilds: list[dict[str, Any]]) -> list[dict[str, Any]]:
    wanted = settings.global_.global_discord_guild
    return [each for each in guilds if wanted is None or str(each["id"]) == str(wanted)]


def _server(settings: Settings, guilds: list[dict[str, Any]]) -> Check:
    wanted = settings.global_.global_discord_guild
    names = ", ".join(f"{each['name']} ({each['id']})" for each in guilds) or "none"
    chosen = _chosen(settings, guilds)
    if not chosen:
        which = f"server {wanted}" if wanted else "a server"
        return Check(
            name="discord server",
            state="missing",
            found=f"the bot is not in {which}; it is in: {names}",
            mend="Invite it (OAuth2, scopes bot and applications.commands), or correct global_discord_guild.",
        )
    if len(chosen) > 1:
        return Check(
            name="discord server",
            state="missing",
            found=f"the bot is in several servers: {names}",
            mend="Say which one is meant: global.global_discord_guild in orch-config.yaml.",
        )
    has = discord.Permissions(int(chosen[0].get("permissions", 0)))
    if has.administrator:
        has = discord.Permissions.all()
    absent = [name for name, needed in _NEEDED if needed and not getattr(has, name)]
    if absent:
        return Check(
            name="discord server",
            state="missing",
            found=f"{chosen[0]['name']}: the bot lacks {', '.join(_words(name) for name in absent)}",
            mend="Grant its role these permissions: server settings, Roles.",
        )
    return Check(
        name="discord server", state="ok", found=f"{chosen[0]['name']}; the bot has the permissions it needs"
    )


def _words(name: str) -> str:
    return name.replace("_", " ").title()

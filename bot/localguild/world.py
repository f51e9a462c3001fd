"""The running server's parts in one place, and the one way in which a change becomes known."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import datetime

from bot.localguild import payloads
from bot.localguild.commands import CommandBook
from bot.localguild.faults import Faults
from bot.localguild.gateway import Gateway
from bot.localguild.guild import Guild
from bot.localguild.interactions import InteractionBook
from bot.localguild.journal import Journal
from bot.localguild.model import Attachment, Channel, ChannelType, Json, Member, Message, Role, User
from bot.localguild.permissions import Permission
from bot.localguild.ratelimits import RateLimits
from bot.localguild.settings import GuildSettings
from bot.localguild.snowflakes import Snowflakes


class World:
    """Built once a server; handlers and people get it passed in."""

    def __init__(
        self, settings: GuildSettings, *, now: Callable[[], datetime], monotonic: Callable[[], float]
    ) -> None:
        self.settings = settings
        self.now = now
        self.monotonic = monotonic
        self.snowflakes = Snowflakes(now)
        self.base_url = ""
        self.token = settings.token or _made_up_token()
        self.guild = _build_guild(settings, self.snowflakes, now())
        self.gateway = Gateway(self.guild, settings, token=self.token, monotonic=monotonic)
        self.journal = Journal()
        self.commands = CommandBook(self.snowflakes.new, self.guild.application_id)
        self.interactions = InteractionBook(settings, monotonic)
        self.faults = Faults()
        self.rates = RateLimits(settings.rates, monotonic, lambda: now().timestamp())
        self.files: dict[int, Attachment] = {}
        self._people_role: Role | None = None
        self.nonces: dict[tuple[int, str], tuple[float, Message]] = {}

    @property
    def bot_id(self) -> int:
        return self.guild.bot.id

    def announce(
        self,
        event: str,
        data: Json,
        *,
        channel: Channel | None = None,
        only_for: int | None = None,
        for_bot: bool = True,
    ) -> None:
        """Tell everyone of a change: the bot by the gateway, people by the journal.

        An ephemeral message (`only_for`) goes to its reader alone; nothing of a channel that the bot
        cannot see goes to the bot, but for the channel's own comings and goings.
        """
        channel_id = None if channel is None else channel.id
        self.journal.add(event, data, channel_id=channel_id, only_for=only_for)
        hidden = (
            channel is not None
            and event.startswith(("MESSAGE_", "TYPING_", "THREAD_"))
            and Permission.VIEW_CHANNEL not in self.guild.permissions(self.bot_id, channel)
        )
        if for_bot and only_for is None and not hidden:
            self.gateway.dispatch(event, data, channel=channel)

    def announce_message(self, event: str, message: Message) -> None:
        data = payloads.event_message(self.guild, message, viewer_id=self.bot_id)
        channel = self.guild.channels[message.channel_id]
        self.announce(event, data, channel=channel, only_for=message.only_for)

    def set_bot_permissions(self, permissions: Permission) -> Permission:
        """Give the bot these rights and no others, as an administrator would; returns the old ones.

        What everyone has, the bot has: rights beyond `permissions` move to a role of the people.
        """
        own_role = next(one for one in self.guild.roles.values() if one.bot_id == self.bot_id)
        old = self.guild.permissions(self.bot_id)
        everyone = self.guild.roles[self.guild.id]
        if everyone.permissions & ~permissions:
            self._move_rights_to_people(everyone)
            everyone.permissions &= permissions
            self._announce_role("GUILD_ROLE_UPDATE", everyone)
        own_role.permissions = permissions
        self._announce_role("GUILD_ROLE_UPDATE", own_role)
        return old

    def _move_rights_to_people(self, everyone: Role) -> None:
        if self._people_role is None:
            self._people_role = Role(id=self.snowflakes.new(), name="people", position=1)
            self.guild.roles[self._people_role.id] = self._people_role
            self._announce_role("GUILD_ROLE_CREATE", self._people_role)
            for member in self.guild.members.values():
                if not member.user.bot:
                    member.roles.append(self._people_role.id)
        self._people_role.permissions |= everyone.permissions
        self._announce_role("GUILD_ROLE_UPDATE", self._people_role)

    def _announce_role(self, event: str, role: Role) -> None:
        self.announce(event, {"guild_id": str(self.guild.id), "role": payloads.role(role)})

    def add_person(self, name: str, *, roles: tuple[int, ...] = ()) -> Member:
        """A person joins the guild, or is there already under that name."""
        for member in self.guild.members.values():
            if member.user.username == name.lower() and not member.user.bot:
                return member
        user = User(id=self.snowflakes.new(), username=name.lower(), global_name=name)
        member = Member(user=user, joined_at=self.now(), roles=list(roles))
        if self._people_role is not None:
            member.roles.append(self._people_role.id)
        self.guild.users[user.id] = user
        self.guild.members[user.id] = member
        data = {**payloads.member(member), "guild_id": str(self.guild.id)}
        self.announce("GUILD_MEMBER_ADD", data)
        return member


def _made_up_token() -> str:
    """Of the shape of Discord's, so that code which looks at it meets nothing odd."""
    return f"{secrets.token_urlsafe(18)}.{secrets.token_urlsafe(4)[:6]}.{secrets.token_urlsafe(28)[:38]}"


def _build_guild(settings: GuildSettings, snowflakes: Snowflakes, now: datetime) -> Guild:
    owner = User(
        id=snowflakes.new(), username=settings.owner_name.lower(), global_name=settings.owner_name.title()
    )
    bot_id = snowflakes.new()
    bot = User(id=bot_id, username=settings.bot_name, bot=True)
    guild = Guild(
        guild_id=snowflakes.new(),
        name=settings.guild_name,
        owner_id=owner.id,
        application_id=bot_id,  # as for every application made since 2016
        bot=bot,
    )
    guild.users[owner.id] = owner
    everyone = Role(id=guild.id, name="@everyone", permissions=settings.everyone_permissions)
    own_role = Role(
        id=snowflakes.new(),
        name=settings.bot_name,
        permissions=settings.bot_permissions,
        position=1,
        managed=True,
        bot_id=bot.id,
    )
    guild.roles = {everyone.id: everyone, own_role.id: own_role}
    guild.members[owner.id] = Member(user=owner, joined_at=now)
    guild.members[bot.id] = Member(user=bot, joined_at=now, roles=[own_role.id])
    for position, name in enumerate(settings.channels):
        channel = Channel(
            id=snowflakes.new(),
            type=ChannelType.GUILD_TEXT,
            name=name,
            guild_id=guild.id,
            position=position,
        )
        guild.channels[channel.id] = channel
    return guild

"""One guild and what is in it, with look-ups that refuse as Discord does. Pure."""

from __future__ import annotations

from bot.localguild.errors import refusal
from bot.localguild.model import Channel, Member, Message, Role, User
from bot.localguild.permissions import (
    NOTHING,
    Permission,
    permissions_in_channel,
    permissions_in_guild,
)


class Guild:
    """State of the server's one guild, and of the direct conversations with its bot."""

    def __init__(self, *, guild_id: int, name: str, owner_id: int, application_id: int, bot: User) -> None:
        self.id = guild_id
        self.name = name
        self.owner_id = owner_id
        self.application_id = application_id
        self.bot = bot
        self.users: dict[int, User] = {bot.id: bot}
        self.members: dict[int, Member] = {}
        self.roles: dict[int, Role] = {}
        self.channels: dict[int, Channel] = {}  # of the guild, threads and direct ones too

    def check_id(self, guild_id: int) -> None:
        if guild_id != self.id:
            raise refusal(10004)

    @property
    def guild_channels(self) -> list[Channel]:
        """Channels and categories, without threads and direct conversations."""
        return [one for one in self.channels.values() if one.guild_id and not one.is_thread]

    @property
    def threads(self) -> list[Channel]:
        return [one for one in self.channels.values() if one.is_thread]

    def threads_of(self, channel_id: int) -> list[Channel]:
        return [one for one in self.threads if one.parent_id == channel_id]

    def member(self, user_id: int) -> Member:
        if user_id not in self.members:
            raise refusal(10007)
        return self.members[user_id]

    def user(self, user_id: int) -> User:
        if user_id not in self.users:
            raise refusal(10013)
        return self.users[user_id]

    def role(self, role_id: int) -> Role:
        if role_id not in self.roles:
            raise refusal(10011)
        return self.roles[role_id]

    def channel(self, channel_id: int) -> Channel:
        if channel_id not in self.channels:
            raise refusal(10003)
        return self.channels[channel_id]

    def visible_channel(self, user_id: int, channel_id: int) -> Channel:
        """The channel, when this user may see it: 10003 when there is none, 50001 when it is hidden."""
        channel = self.channel(channel_id)
        if Permission.VIEW_CHANNEL not in self.permissions(user_id, channel):
            raise refusal(50001)
        return channel

    def message(self, channel: Channel, message_id: int, *, reader_id: int) -> Message:
        message = channel.messages.get(message_id)
        if message is None or not self.may_see_message(reader_id, message):
            raise refusal(10008)
        return message

    def may_see_message(self, user_id: int, message: Message) -> bool:
        """Ephemeral messages exist for their one reader only."""
        return message.only_for in (None, user_id)

    def permissions(self, user_id: int, channel: Channel | None = None) -> Permission:
        if channel is None:
            return permissions_in_guild(self, user_id)
        return permissions_in_channel(self, user_id, channel)

    def require(self, user_id: int, needed: Permission, channel: Channel | None = None) -> None:
        """Raise 50001 when the channel is hidden from the user, 50013 when a right is missing."""
        granted = self.permissions(user_id, channel)
        if channel is not None and Permission.VIEW_CHANNEL not in granted:
            raise refusal(50001)
        if needed & ~granted != NOTHING:
            raise refusal(50013)

    def top_role_position(self, user_id: int) -> int:
        """The highest role's position; the owner is above everything."""
        if user_id == self.owner_id:
            return 1 << 30
        return max((self.roles[role].position for role in self.member(user_id).roles), default=0)

    def direct_channel(self, first: int, second: int) -> Channel | None:
        for channel in self.channels.values():
            if channel.guild_id is None and set(channel.recipients) == {first, second}:
                return channel
        return None

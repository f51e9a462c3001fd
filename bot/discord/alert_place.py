"""Where a post of an alert is, as it stands in its telling's row."""

from __future__ import annotations

from dataclasses import dataclass

import discord


@dataclass(frozen=True, slots=True, kw_only=True)
class Posted:
    channel_id: int
    message_id: int

    def __str__(self) -> str:
        """As `posted_from` takes it."""
        return f"{self.channel_id}/{self.message_id}"

    def message(self, guild: discord.Guild) -> discord.PartialMessage:
        """Nothing is asked of Discord."""
        state = guild._state
        return discord.PartialMessageable(state=state, id=self.channel_id).get_partial_message(
            self.message_id
        )


def posted_from(text: str) -> Posted | None:
    """None: nothing was posted. Raises nothing."""
    channel, _, message = text.partition("/")
    if not (channel.isascii() and channel.isdigit() and message.isascii() and message.isdigit()):
        return None
    return Posted(channel_id=int(channel), message_id=int(message))

"""A bot and a guild that take their time: on a busy machine Discord's three seconds are soon over.

Tests whose matter is a deadline set theirs again, after this.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from bot.localguild import GuildSettings, RatePolicy

RESPONSE_SECONDS = 45.0  # the guild's, over all of the bot's
_BOTS_SECONDS = {
    "bot.discord.budgetpresses.LOOK_SECONDS": 30.0,
    "bot.discord.client.ANSWER_SECONDS": 40.0,
    "bot.discord.storypresses.LOOK_SECONDS": 30.0,
    "bot.discord.views.LOOK_SECONDS": 30.0,
    "cogs.completion.PATIENCE_SECONDS": 30.0,
    "cogs.desk.ADMIT_SECONDS": 30.0,
    "cogs.notifications.PATIENCE_SECONDS": 30.0,
    "cogs.replies.PATIENCE_SECONDS": 30.0,
}


def patient_bot(put: Callable[[Any, str, float], None] = setattr) -> None:
    """`put`: a monkeypatch's `setattr`, which takes it back."""
    for place, seconds in _BOTS_SECONDS.items():
        module, _, name = place.rpartition(".")
        put(import_module(module), name, seconds)


def patient_guild(**more: Any) -> GuildSettings:
    """Settings of a guild without limits of rate, and with time for an answer."""
    return GuildSettings(**{"rates": RatePolicy.generous(), "response_seconds": RESPONSE_SECONDS, **more})

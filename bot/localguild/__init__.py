"""A Discord of one guild on loopback: to try the bot without an account, and to test it."""

from bot.localguild.faults import Fault, FaultKind
from bot.localguild.people import (
    Answer,
    CannotDo,
    DidNotRespond,
    OverHttp,
    Person,
    PostedMessage,
    SeenChannel,
)
from bot.localguild.ratelimits import Limit, RatePolicy
from bot.localguild.server import LocalGuild
from bot.localguild.settings import GuildSettings

__all__ = [
    "Answer",
    "CannotDo",
    "DidNotRespond",
    "Fault",
    "FaultKind",
    "GuildSettings",
    "Limit",
    "LocalGuild",
    "OverHttp",
    "Person",
    "PostedMessage",
    "RatePolicy",
    "SeenChannel",
]

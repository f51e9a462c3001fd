"""Interactions: what a person started, and how far the bot has answered it.

An interaction may be acknowledged once, within `response_seconds`; its token then works as a webhook's
for `token_seconds`.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum

from bot.localguild.errors import refusal
from bot.localguild.model import Json, Message, User
from bot.localguild.settings import GuildSettings


class InteractionType(IntEnum):
    APPLICATION_COMMAND = 2
    MESSAGE_COMPONENT = 3
    AUTOCOMPLETE = 4
    MODAL_SUBMIT = 5


class CallbackType(IntEnum):
    MESSAGE = 4
    DEFERRED_MESSAGE = 5
    DEFERRED_UPDATE = 6
    UPDATE = 7
    AUTOCOMPLETE = 8
    MODAL = 9


@dataclass(slots=True, kw_only=True, eq=False)
class Interaction:
    id: int
    token: str
    type: InteractionType
    user: User
    channel_id: int
    name: str  # of the command, or of the component's message's command
    created: float  # monotonic seconds
    data: Json = field(default_factory=dict)
    source: Message | None = None  # the message whose component was used
    source_modal: Json | None = None
    triggered_by: Json | None = None  # metadata of the interaction that showed the modal
    callback: CallbackType | None = None
    acknowledged_after: float | None = None  # seconds from the person's act to the first answer
    answered: bool = False  # there is something for the person to see
    original_id: int | None = None
    followups: list[int] = field(default_factory=list)
    modal: Json | None = None
    choices: list[Json] | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def awaits_first_followup(self) -> bool:
        """Deferred with "thinking": the next message takes the place of the thinking one."""
        return self.callback is CallbackType.DEFERRED_MESSAGE and not self.answered

    def note_change(self) -> None:
        changed, self.changed = self.changed, asyncio.Event()
        changed.set()


class InteractionBook:
    """All interactions whose tokens live, by id and token; expired ones are forgotten."""

    def __init__(self, settings: GuildSettings, monotonic: Callable[[], float]) -> None:
        self._settings = settings
        self._monotonic = monotonic
        self._by_token: dict[str, Interaction] = {}  # oldest first
        self._tokens: dict[str, str] = {}  # by interaction id

    def open(self, interaction: Interaction) -> None:
        self._forget_old()
        self._by_token[interaction.token] = interaction
        self._tokens[str(interaction.id)] = interaction.token

    def _forget_old(self) -> None:
        while self._by_token:
            oldest = next(iter(self._by_token.values()))
            if self._age(oldest) <= self._settings.token_seconds:
                return
            del self._by_token[oldest.token], self._tokens[str(oldest.id)]

    def find(self, interaction_id: str) -> Interaction | None:
        return self._by_token.get(self._tokens.get(interaction_id, ""))

    @staticmethod
    def new_token() -> str:
        return secrets.token_urlsafe(120)

    def to_acknowledge(self, interaction_id: int, token: str) -> Interaction:
        """Raises 10062 when unknown or too late, 40060 when it was acknowledged before."""
        interaction = self._by_token.get(token)
        if interaction is None or interaction.id != interaction_id:
            raise refusal(10062)
        if interaction.callback is not None:
            raise refusal(40060)
        if self._age(interaction) > self._settings.response_seconds:
            raise refusal(10062)
        return interaction

    def of_webhook(self, token: str) -> Interaction:
        """Raises 50027 when the token is unknown or has expired, 10015 before the first answer."""
        interaction = self._by_token.get(token)
        if interaction is None or self._age(interaction) > self._settings.token_seconds:
            raise refusal(50027)
        if interaction.callback is None:
            raise refusal(10015)
        return interaction

    def acknowledge(self, interaction: Interaction, callback: CallbackType) -> None:
        interaction.callback = callback
        interaction.acknowledged_after = self._age(interaction)
        interaction.note_change()

    def _age(self, interaction: Interaction) -> float:
        return self._monotonic() - interaction.created

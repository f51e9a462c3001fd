"""A word of the shell: its form, what it asks of Orchard, what it gives."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from core.errors import InvalidInput

if TYPE_CHECKING:
    from rich.console import RenderableType

    from bot.cli.session import Session
    from core.orchestrator.commands import Commands


class Misused(InvalidInput):
    """The words do not fit a command's form: nothing was asked of Orchard."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What somebody typed, and where. `actor`: "shell" or "cli"."""

    session: Session
    words: tuple[str, ...]
    actor: str
    in_shell: bool

    @property
    def commands(self) -> Commands:
        return self.session.commands

    def rest(self, start: int) -> str:
        return " ".join(self.words[start:])


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """`value` is for scripts, `shown` for people. `good`: False ends `orchard do` with exit code 1."""

    value: Any
    shown: RenderableType
    good: bool = True


Answer = Callable[[Asked], Awaitable[Told]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """`form` shows its words: `<...>` must be there, `[...]` may, `...>` takes the rest of the line.

    `completes`: what Tab offers for each word after the name, the last for all that follow: "project",
    "story", "epic", "approval", "path", a list of words such as "design|test", or several of these with
    a `,` in between; "" for nothing.
    """

    form: str
    purpose: str
    answer: Answer
    completes: tuple[str, ...] = ()
    looks: bool = False  # it changes nothing

    @property
    def name(self) -> str:
        return self.form.split()[0]

    def check(self, words: Sequence[str]) -> None:
        """Raises Misused when the words do not fit the form."""
        parts = self.form.split()[1:]
        needed = sum(part.startswith("<") for part in parts)
        endless = any("..." in part for part in parts)
        if len(words) < needed:
            raise Misused("Something is missing.", hint=f"Use: {self.form}")
        if len(words) > len(parts) and not endless:
            raise Misused(
                f"'{words[len(parts)]}' is too much.",
                hint=f"Use: {self.form}. What has spaces goes into quotes.",
            )

    def completion(self, at: int) -> tuple[str, ...]:
        """What could stand as the word `at` places behind the name, from 1."""
        if not self.completes or (at > len(self.completes) and "..." not in self.form):
            return ()
        return tuple(self.completes[min(at, len(self.completes)) - 1].split(","))


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    title: str
    commands: tuple[Command, ...]

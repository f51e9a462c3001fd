"""The secrets that this process has met: taken out of its log, of what it prints of errors, of what it tells.

There is one of it a process, as there is one log: whoever is given a secret says so here before it is used.
"""

from __future__ import annotations

import logging
import sys
import threading
import traceback
from collections.abc import Iterable
from types import TracebackType
from typing import Any

from core.agents.redaction import SHORTEST, Redactor


class KnownSecrets:
    """`learn` may be called from any thread; nothing is forgotten, since a log may tell of it later."""

    def __init__(self) -> None:
        self._values: frozenset[str] = frozenset()
        self.redactor = Redactor()

    def learn(self, values: Iterable[str]) -> None:
        fresh = frozenset(value for value in values if len(value.strip()) >= SHORTEST) - self._values
        if fresh:
            self._values |= fresh
            self.redactor = Redactor(self._values)

    def redactor_with(self, values: Iterable[str]) -> Redactor:
        """Takes these out as well."""
        return Redactor(self._values.union(values))

    def text(self, text: str) -> str:
        return self.redactor.text(text)

    def value(self, value: Any) -> Any:
        """A JSON value, as it is where nothing is to be taken out."""
        return self.redactor.value(value)


known_secrets = KnownSecrets()
_WRITTEN_OUT = {
    code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\n\t"
}


class DiscreetFormatter(logging.Formatter):
    """The whole line, with the exception and the stack that belong to it. What would steer a terminal is
    written out: a line may hold what an agent or a stranger said."""

    def format(self, record: logging.LogRecord) -> str:
        return known_secrets.text(super().format(record)).translate(_WRITTEN_OUT)


def be_discreet() -> None:
    """From now on nothing that this process says of its own errors holds a secret: the handlers that the
    root logger has, the last resort of loggers without any, and exceptions that nobody caught."""
    for handler in (*logging.getLogger().handlers, logging.lastResort):
        if handler is not None and not isinstance(handler.formatter, DiscreetFormatter):
            kept = handler.formatter._fmt if handler.formatter else None
            handler.setFormatter(DiscreetFormatter(kept))
    sys.excepthook = tell_uncaught
    threading.excepthook = _tell_of_thread


def tell_uncaught(
    kind: type[BaseException], error: BaseException | None, place: TracebackType | None
) -> None:
    """A traceback on standard error."""
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error or kind(), place)
        return
    sys.stderr.write(known_secrets.text("".join(traceback.format_exception(kind, error, place))))


def _tell_of_thread(said: threading.ExceptHookArgs) -> None:
    if not issubclass(said.exc_type, SystemExit):
        tell_uncaught(said.exc_type, said.exc_value, said.exc_traceback)

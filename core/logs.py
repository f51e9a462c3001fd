"""Where the log goes: one file of everything in `<state>/logs`, one a component, and the terminal when asked.
What a component says stands in both, so that either can be read alone.

Secrets that this process has met, and what looks like one, are taken out of every line."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path

from core.known_secrets import DiscreetFormatter, be_discreet

_FORMAT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"
_FILE_BYTES = 5 * 2**20
_FILES_KEPT = 3

WHOLE = {
    "global-orchestrator.log": ("core", "bot", "cogs"),
    "discord.log": ("discord",),
}
COMPONENTS = {
    "resource-scheduler.log": (
        *("core.scheduler", "core.orchestrator.scheduling", "core.orchestrator.dispatcher"),
        *("core.orchestrator.fencing", "core.orchestrator.parking"),
    ),
    "security.log": ("core.security", "core.isolation", "bot.web.login", "bot.web.guard"),
    "monitoring.log": ("core.monitoring", "bot.web.feed", "bot.web.metrics"),
    "intelligence.log": ("core.intelligence", "core.store.insights"),
}


@contextmanager
def logging_to(folder: Path, *, debug: bool = False, terminal: bool = False) -> Iterator[None]:
    """Logs to rotated files in `folder` until the block ends."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    be_discreet()
    level = logging.DEBUG if debug else logging.INFO
    added: list[tuple[logging.Logger, logging.Handler, int]] = []
    for file, names in (*WHOLE.items(), *COMPONENTS.items()):
        to_file = _OwnFile(folder / file, maxBytes=_FILE_BYTES, backupCount=_FILES_KEPT, encoding="utf-8")
        to_file.setFormatter(DiscreetFormatter(_FORMAT))
        added += [_attach(name, to_file, level) for name in names]
    if terminal:
        to_terminal = _ToTerminal()
        to_terminal.setFormatter(DiscreetFormatter(_FORMAT))
        to_terminal.setLevel(logging.DEBUG if debug else logging.WARNING)
        added += [_attach(name, to_terminal, level) for names in WHOLE.values() for name in names]
    try:
        yield
    finally:
        for logger, handler, before in reversed(added):
            logger.removeHandler(handler)
            logger.setLevel(before)
            handler.close()


class _OwnFile(RotatingFileHandler):
    """For its owner alone, as the store is: it tells of every project. One that is there stays as it is. On
    a full disk it loses lines, and says so once: the last room is for the state."""

    _failed = False
    _told = False

    def _open(self) -> TextIOWrapper:
        file = os.open(self.baseFilename, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        return os.fdopen(file, "a", encoding=self.encoding, errors=self.errors)

    def emit(self, record: logging.LogRecord) -> None:
        self._failed = False
        super().emit(record)
        self._told = self._failed

    def close(self) -> None:
        with suppress(OSError):  # what was not written by now is lost
            super().close()

    def handleError(self, record: logging.LogRecord) -> None:
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handleError(record)
            return
        self._failed = True
        if not self._told:
            with suppress(OSError, ValueError):
                sys.stderr.write(f"{self.baseFilename} cannot be written: {error.strerror}\n")


class _ToTerminal(logging.Handler):
    """To what is standard error at the moment: a prompt puts something there that writes above it."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            sys.stderr.write(f"{self.format(record)}\n")
        except (OSError, ValueError):
            self.handleError(record)


def _attach(name: str, handler: logging.Handler, level: int) -> tuple[logging.Logger, logging.Handler, int]:
    logger = logging.getLogger(name)
    before = logger.level
    logger.setLevel(level)
    logger.addHandler(handler)
    return logger, handler, before

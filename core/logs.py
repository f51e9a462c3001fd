"""Where the log goes: one file a component under `<state>/logs`, and to the terminal when asked.

Secrets that this process has met, and what looks like one, are taken out of every line."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from logging.handlers import RotatingFileHandler
from pathlib import Path

from core.known_secrets import DiscreetFormatter, be_discreet

_FORMAT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"
_FILE_BYTES = 5 * 2**20
_FILES_KEPT = 3

COMPONENTS = {
    "global-orchestrator.log": ("core", "bot", "cogs"),
    "discord.log": ("discord",),
}


@contextmanager
def logging_to(folder: Path, *, debug: bool = False, terminal: bool = False) -> Iterator[None]:
    """Logs to rotated files in `folder` until the block ends."""
    folder.mkdir(parents=True, exist_ok=True)
    be_discreet()
    level = logging.DEBUG if debug else logging.INFO
    added: list[tuple[logging.Logger, logging.Handler, int]] = []
    for file, names in COMPONENTS.items():
        to_file = RotatingFileHandler(
            folder / file, maxBytes=_FILE_BYTES, backupCount=_FILES_KEPT, encoding="utf-8"
        )
        to_file.setFormatter(DiscreetFormatter(_FORMAT))
        added += [_attach(name, to_file, level) for name in names]
    if terminal:
        to_terminal = _ToTerminal()
        to_terminal.setFormatter(DiscreetFormatter(_FORMAT))
        to_terminal.setLevel(logging.DEBUG if debug else logging.WARNING)
        added += [_attach(name, to_terminal, level) for names in COMPONENTS.values() for name in names]
    try:
        yield
    finally:
        for logger, handler, before in reversed(added):
            logger.removeHandler(handler)
            logger.setLevel(before)
            handler.close()


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

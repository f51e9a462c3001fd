"""The gateway's own process: `python -m core.gateway JOURNAL_FOLDER FD...`, a child of the control plane.

It serves on the listening sockets that it was given, and ends when its standard input does.
"""

from __future__ import annotations

import asyncio
import logging
import resource
import socket
import sys
from contextlib import AsyncExitStack
from pathlib import Path

from core.gateway.discretion import Discretion
from core.gateway.journal import JournalWriter
from core.gateway.process import Process
from core.known_secrets import be_discreet


async def _serve(folder: Path, sockets: list[socket.socket], stdio: socket.socket) -> None:
    async with AsyncExitStack() as stack:
        journal = JournalWriter(folder)
        stack.callback(journal.close)
        await Process(journal, sockets, stack).run(stdio)


def main(arguments: list[str]) -> int:
    said = logging.StreamHandler()
    said.addFilter(Discretion())
    form = "%(asctime)s %(levelname)s %(name)s: %(message)s"
    logging.basicConfig(level=logging.INFO, format=form, handlers=[said])
    be_discreet()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # two a call
    stdio = socket.socket(fileno=0)
    sockets = [socket.socket(fileno=int(each)) for each in arguments[1:]]
    asyncio.run(_serve(Path(arguments[0]), sockets, stdio))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

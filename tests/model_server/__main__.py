"""`python -m tests.model_server --port 0 --script file.yaml`: runs until it is told to stop.

Prints one line of JSON when it listens: {"url", "host", "port", "pid"}. Ends with status 2 and one sentence
on a script that cannot be used.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import json
import os
import signal
import sys
from pathlib import Path

import yaml

from tests.model_server.script import Book, ScriptError, parse_book
from tests.model_server.server import ModelServer


def read_book(path: Path | None, keys: list[str]) -> Book:
    """The book of a YAML file; ScriptError when it cannot be read or understood."""
    try:
        book = parse_book(yaml.safe_load(path.read_text())) if path else Book()
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ScriptError(f"{path} cannot be read: {error}") from None
    return dataclasses.replace(book, keys=book.keys | frozenset(keys))


async def serve(book: Book, host: str, port: int) -> None:
    """Serves until SIGINT or SIGTERM."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with ModelServer(book=book, host=host, port=port) as server:
        where = {"url": server.url, "host": server.host, "port": server.port, "pid": os.getpid()}
        print(json.dumps(where), flush=True)
        await stop.wait()


def main() -> int:
    """Exit status: 0 stopped, 2 the script or the port cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m tests.model_server", description="A scripted model.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes any free one")
    parser.add_argument("--script", type=Path, help="YAML: steps, scripts, keys, models")
    parser.add_argument("--key", action="append", default=[], help="a key to accept; none given: any")
    options = parser.parse_args()
    try:
        asyncio.run(serve(read_book(options.script, options.key), options.host, options.port))
    except (ScriptError, OSError) as error:
        print(f"The scripted model cannot start: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""An Orchard of its own process with a linked project and its web server, for deliveries to be sent to.

Told `busy`, it writes all the time, in transactions as large as a first sync's; told `idle`, it stops.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from bot.app import open_app
from bot.configuration import loader
from core.garbage import leave_out_what_is_loaded
from core.store import github_links
from core.store.database import Store
from core.store.transaction import Transaction

REPOSITORY_ID, REPOSITORY = 4711, "octo/shop"
SECRET = "the secret of the benchmark's webhook"
_ROWS = 200


async def serve(root: Path) -> None:
    environ = {"GITHUB_WEBHOOK_SECRET": SECRET}
    async with open_app(loader(root, environ=environ), discord=False) as app:
        await app.web.ready.wait()
        store = app.runtime.store
        await store.write(_link)
        leave_out_what_is_loaded()  # as `orchard run` does
        lines = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(lines), sys.stdin
        )
        print(json.dumps({"address": app.web.status}), flush=True)
        writer: asyncio.Task[None] | None = None
        while told := (await lines.readline()).strip():
            if writer is not None:
                writer.cancel()
                await asyncio.gather(writer, return_exceptions=True)
                writer = None
            if told == b"busy":
                writer = asyncio.create_task(_write(store))
            print(json.dumps({"told": told.decode()}), flush=True)
        if writer is not None:
            writer.cancel()


def _link(tx: Transaction) -> None:
    github_links.put(tx, "shop", REPOSITORY, by="bench", configured=False)
    github_links.answered(
        tx,
        "shop",
        repository=REPOSITORY,
        repository_id=REPOSITORY_ID,
        default_branch="main",
        clone_url="",
        html_url="",
    )


async def _write(store: Store) -> None:
    number = 0
    while True:
        number += 1

        def work(tx: Transaction, number: int = number) -> None:
            for row in range(_ROWS):
                github_links.keep_etag(tx, "shop", f"/issues?page={row}", f"{number}-{'x' * 500}")

        await store.write(work)


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))

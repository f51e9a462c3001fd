"""Child of test_kill: the whole of Orchard in the folder ROOT, until it is killed."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from bot.app import loader, open_app
from tests.discord.patience import patient_bot
from tests.integration.nursery import forked_templates


async def main(root: Path) -> None:
    async with open_app(loader(root, environ=os.environ), web=False) as app:
        assert app.discord is not None
        while not app.discord.connected:  # noqa: ASYNC110 - there is nothing to be told by
            await asyncio.sleep(0.02)
        print("ready", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    patient_bot()
    with forked_templates():
        asyncio.run(main(Path(sys.argv[1])))

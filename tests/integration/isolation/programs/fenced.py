"""An Orchard with one fenced process, to be killed: prints {"group", "pid"} and waits."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[4]))

from core.isolation import enter
from core.isolation.fences import Fences


async def main() -> None:
    async with Fences.open(lambda breach: None) as fences:
        entry = json.dumps(fences.fence("shop").entry)
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-I", "-S", enter.__file__, entry, "--", "sleep", "60",
            stdout=asyncio.subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        print(json.dumps({"group": fences._ground.name, "pid": child.pid}), flush=True)
        await asyncio.sleep(60)


asyncio.run(main())

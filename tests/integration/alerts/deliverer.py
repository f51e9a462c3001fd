"""Child of test_kill: delivers what is owed in the store of FOLDER to the address URL, until it is killed."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from config.loader import load
from config.settings import GlobalSettings, Settings
from core.bus import Bus
from core.clock import SystemClock
from core.monitoring.delivery.places import Places
from core.monitoring.delivery.service import Delivery
from core.security.secrets import Secrets
from core.security.vault import Vault
from core.store.database import Store


async def main(folder: Path, url: str) -> None:
    clock, bus = SystemClock(), Bus()
    settings = Settings(global_=GlobalSettings(monitoring_webhook_url=url))
    async with Store.open(folder / "orchard.db", clock=clock, bus=bus) as store:
        vault = Vault(load(folder, environ={}), environ={})
        places = Places(lambda: settings, Secrets(store, vault.key, vault.auditor))
        await Delivery(store=store, bus=bus, clock=clock, places=places).run()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))

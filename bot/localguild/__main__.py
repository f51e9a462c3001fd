"""`python -m bot.localguild --port N`: a guild to try a bot in, until interrupted."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal

from bot.localguild.server import LocalGuild
from bot.localguild.settings import GuildSettings


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bot.localguild", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 (default): any free port")
    parser.add_argument("--token", help="the bot's token; made up when not given")
    parser.add_argument("--json", action="store_true", help="print one line of JSON")
    arguments = parser.parse_args()
    asyncio.run(_serve(arguments))


async def _serve(arguments: argparse.Namespace) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for one in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(one, stop.set)
    async with LocalGuild(GuildSettings(token=arguments.token), port=arguments.port) as guild:
        facts = {
            **guild.environment,
            "LOCALGUILD_URL": guild.url,
            "ORCHARD_GLOBAL_DISCORD_GUILD": str(guild.guild_id),
        }
        if arguments.json:
            print(json.dumps(facts), flush=True)
        else:
            print("\n".join(f"export {name}={value}" for name, value in facts.items()), flush=True)
        await stop.wait()


if __name__ == "__main__":
    main()

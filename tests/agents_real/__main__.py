"""`python -m tests.agents_real [NAME...]`: fetches real agents, and checks each with the scripted model.

    --fetch-only    no check: what `make test` does before its tests, which are skipped for what is missing
    --folder PATH   where agents are kept between runs; default: .agents in the checkout

Without names: all that can be fetched. Never a real model, never a real key. Exit status 1 when an agent that
was fetched fails its check; one that could not be fetched is named and passed over.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from core.agents.conformance import Conformance, Mark, Step
from core.agents.install import Fetching, install_agent
from core.agents.installed import installed_agent
from core.agents.rows import AgentRow, load_rows
from core.errors import OrchardError
from tests.agents_real.checking import FOLDER, answers, checked
from tests.model_server.server import ModelServer

_SIGNS = {Mark.OK: "ok", Mark.NOTE: "note", Mark.FAILED: "FAILED", Mark.SKIPPED: "-"}


async def fetch(name: str, row: AgentRow, folder: Path) -> str:
    """Empty when the agent is there in its row's version afterwards, else why it is not."""
    assert row.package is not None
    there = installed_agent(folder, name)
    if there is not None and all(there.versions.get(k) == v for k, v in row.package.packages.items()):
        return ""
    last = Fetching(step="", megabytes=0, seconds=0)

    def keep(now: Fetching) -> None:
        nonlocal last
        last = now

    try:
        await install_agent(name, row, folder, on_progress=keep)
    except OrchardError as error:
        return f"{error.message} {error.why[-200:]}".strip()
    print(f"{name}: fetched, {last.megabytes:.0f} MB", flush=True)
    return ""


async def fetch_all(names: Sequence[str], folder: Path, limit_seconds: float) -> dict[str, str]:
    """Why each that is missing is missing. All at once: registries are slower than this machine."""
    rows = load_rows()
    missing = dict.fromkeys(names, f"it was not there after {limit_seconds:g} s")

    async def one(name: str) -> None:
        missing[name] = await fetch(name, rows[name], folder)

    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(limit_seconds), asyncio.TaskGroup() as group:
            for name in names:
                group.create_task(one(name))
    return {name: why for name, why in missing.items() if why}


async def check_all(names: Sequence[str], folder: Path) -> list[Conformance]:
    """One after the other: they are big, and their seconds are to mean something."""
    found = []
    variables = {"PATH": os.environ.get("PATH", os.defpath)}
    async with ModelServer(book=answers()) as server:
        for name in names:
            with TemporaryDirectory(prefix="orchard-agents-") as state:
                done = await checked(name, server.url, folder=folder, state=Path(state), variables=variables)
            found.append(done)
            print(f"{name}: {'passed' if done.passed else 'FAILED'} in {done.seconds:.0f} s", flush=True)
            for outcome in done.outcomes:
                if outcome.mark is Mark.FAILED:
                    print(f"    {outcome.step}: {outcome.found}", flush=True)
    return found


def table(found: Sequence[Conformance]) -> str:
    steps = [*Step]
    head = ["agent", "version", *map(str, steps), "s"]
    rows = [head]
    for each in found:
        marks = {outcome.step: _SIGNS[outcome.mark] for outcome in each.outcomes}
        version = next((v for k, v in each.versions.items() if k not in ("node", "python")), "?")
        rows.append([each.agent, version, *(marks.get(step, "") for step in steps), f"{each.seconds:.0f}"])
    widths = [max(len(row[n]) for row in rows) for n in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows
    )


async def run(names: Sequence[str], folder: Path, *, fetch_only: bool, limit_seconds: float) -> int:
    missing = await fetch_all(names, folder, limit_seconds)
    for name, why in missing.items():
        print(f"{name}: not fetched: {why}", file=sys.stderr)
    if fetch_only:
        return 0
    found = await check_all([name for name in names if name not in missing], folder)
    print(f"\n{table(found)}")
    return 0 if all(each.passed for each in found) else 1


def main() -> int:
    rows = {name: row for name, row in load_rows().items() if row.package is not None}
    parser = argparse.ArgumentParser(
        prog="python -m tests.agents_real", description="Fetch and check agents."
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(rows)}")
    parser.add_argument("--fetch-only", action="store_true")
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--limit", type=float, default=3600.0, help="seconds for fetching")
    options = parser.parse_args()
    if unknown := sorted(set(options.names) - set(rows)):
        parser.error(f"{', '.join(unknown)} cannot be fetched")
    names = options.names or list(rows)
    work = run(names, options.folder.absolute(), fetch_only=options.fetch_only, limit_seconds=options.limit)
    return asyncio.run(work)


if __name__ == "__main__":
    sys.exit(main())

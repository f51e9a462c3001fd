"""Real projects, their real changes: `python -m tests.real [NAME OLD NEW]...`

Fetches two neighbouring releases of each, puts the older one into a git repository and lets Orchard replay
what happened between them: the later release's tests are red's edits, its code is green's. Exit code 0 when
every gate held and every main branch ends as the later release, byte for byte. `--folders NAME OLD NEW` takes
two unpacked releases instead.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from core.errors import OrchardError
from tests.real import report
from tests.real.drive import Outcome, drive
from tests.real.release import RealInputError, fetch
from tests.real.stage import set_stage
from tests.real.table import PAIRS, Pair

ROOT = Path(__file__).parents[2]


def main(arguments: list[str]) -> int:
    options = _parse(arguments)
    console = Console()
    words = options.releases
    if len(words) % 3:
        console.print("Projects are named as NAME OLD NEW, for example: cachetools 5.4.0 5.5.0", markup=False)
        return 2
    pairs = [
        Pair(name=words[at], old=words[at + 1], new=words[at + 2], needs=tuple(options.needs))
        for at in range(0, len(words), 3)
    ] or list(PAIRS)
    outcomes: list[Outcome] = []
    failed = False
    for pair in pairs:
        console.rule(f"{pair.name} {Path(pair.old).name} -> {Path(pair.new).name}")
        try:
            outcomes.append(_one(pair, options, console))
        except (RealInputError, OrchardError) as error:
            failed = True
            console.print(str(error), style="red", markup=False)
    if outcomes:
        console.print(report.summary(outcomes))
    return 0 if outcomes and not failed and all(outcome.held for outcome in outcomes) else 1


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.real", description=__doc__)
    parser.add_argument("releases", nargs="*", metavar="NAME OLD NEW")
    parser.add_argument("--needs", nargs="*", default=[], help="requirements of the tests, for pip")
    parser.add_argument("--folders", action="store_true", help="OLD and NEW are folders, not versions")
    parser.add_argument(
        "--cache", type=Path, default=ROOT / "var" / "real" / "cache", help="for what is fetched"
    )
    parser.add_argument("--reports", type=Path, default=ROOT / "var" / "real", help="for the text reports")
    parser.add_argument("--timeout", type=float, default=900.0, help="seconds for one project")
    parser.add_argument("--keep", action="store_true", help="leave the repositories, and say where")
    return parser.parse_args(arguments)


def _one(pair: Pair, options: argparse.Namespace, console: Console) -> Outcome:
    def say(text: str) -> None:
        console.print(f"  {text}", style="dim", markup=False)

    if options.folders:
        old, new = Path(pair.old), Path(pair.new)
        pair = Pair(name=pair.name, old=old.name, new=new.name, shape=pair.shape, needs=pair.needs)
        if not (old.is_dir() and new.is_dir()):
            raise RealInputError(f"{old} and {new} should be folders.")
    else:
        say("fetching")
        old, new = (fetch(pair.name, version, options.cache) for version in (pair.old, pair.new))
    folder = Path(tempfile.mkdtemp(prefix="orchard-real-")).resolve()
    try:
        stage = set_stage(pair, old, new, folder, say)
        outcome = asyncio.run(drive(stage, say, timeout_seconds=options.timeout))
    finally:
        if options.keep:
            say(f"kept: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    for line in report.lines(outcome):
        console.print(line, markup=False)
    console.print(report.gates(outcome))
    console.print(report.fates(outcome))
    path = options.reports / f"{pair.name}-{pair.old}-{pair.new}.txt"
    report.write_text(outcome, path)
    console.print(f"The whole report: {path}", markup=False)
    return outcome


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Measurements, as ratios of one run: `python -m tests.bench [NAME...]`, names as in `--help`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable

from rich.console import Console

from tests.bench import cycle
from tests.bench.figure import Figure, table

Options = argparse.Namespace

BENCHMARKS: dict[str, Callable[[Options], list[Figure]]] = {
    "cycle": lambda options: cycle.measure(
        stories=options.stories, rounds=options.rounds, lanes=options.lanes
    ),
}


def main(arguments: list[str]) -> int:
    options = _parse(arguments)
    console = Console()
    figures: list[Figure] = []
    for name in options.names or BENCHMARKS:
        with console.status(name):
            found = BENCHMARKS[name](options)
        figures += found
        if len(options.names) != 1:
            console.print(table(found, title=name))
    console.print(table(figures, title="Measured in one run on this machine"))
    return 0


def _parse(arguments: list[str]) -> Options:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)}; default: all")
    parser.add_argument("--stories", type=int, default=10, help="stories of the cycle's figure")
    parser.add_argument("--rounds", type=int, default=3, help="turns of Orchard and of its baseline")
    parser.add_argument("--lanes", type=int, default=os.cpu_count() or 2, help="stories at a time")
    options = parser.parse_args(arguments)
    if unknown := set(options.names) - set(BENCHMARKS):
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(BENCHMARKS)}")
    return options


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

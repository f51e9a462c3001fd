"""Measurements, as ratios of one run: `python -m tests.bench [NAME...]`, names as in `--help`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable

from rich.console import Console

from tests.bench import (
    access,
    alerts,
    audit,
    cycle,
    dashboard,
    dispatch,
    feed,
    fenced,
    gateway,
    github,
    interactions,
    launches,
    load,
    neighbours,
    probes,
    scheduler,
    simulation,
    standing,
    webhooks,
    workers,
)
from tests.bench.figure import Figure, table

Options = argparse.Namespace

BENCHMARKS: dict[str, Callable[[Options], list[Figure]]] = {
    "cycle": lambda options: cycle.measure(
        stories=options.stories, rounds=options.rounds, lanes=options.lanes
    ),
    "workers": lambda options: workers.measure(workers=options.workers),
    "interactions": lambda options: interactions.measure(projects=options.busy, commands=options.commands),
    "launches": lambda options: launches.measure(launches=options.launches),
    "fences": lambda options: fenced.measure(launches=options.launches, seconds=options.window),
    "neighbours": lambda options: neighbours.measure(seconds=options.window),
    "gateway": lambda options: gateway.measure(calls=options.calls, streams=options.streams),
    "github": lambda options: github.measure(
        issues=options.issues,
        repositories=options.repositories,
        webhooks=options.webhooks,
        seconds=options.window,
    ),
    "webhooks": lambda options: webhooks.measure(deliveries=options.deliveries, senders=options.senders),
    "feed": lambda options: feed.measure(
        listeners=options.listeners, projects=options.projects, seconds=options.window
    ),
    "load": lambda options: load.measure(),
    "dispatch": lambda options: dispatch.measure(claims=options.claims),
    "access": lambda options: access.measure(decisions=options.decisions),
    "alerts": lambda options: alerts.measure(),
    "audit": lambda options: audit.measure(rows=options.rows),
    "scheduler": lambda options: scheduler.measure(decisions=options.decisions),
    "simulation": lambda options: simulation.measure(),
    "dashboard": lambda options: dashboard.measure(
        dashboards=options.dashboards, seconds=options.window, projects=options.busy
    ),
    "probes": lambda options: probes.measure(projects=options.idle, processes=options.processes),
    "year": lambda options: probes.measure_year(projects=options.idle),
    "restart": lambda options: standing.measure_restart(projects=options.projects, rounds=options.rounds),
    "idle": lambda options: standing.measure_idle(projects=options.idle, seconds=options.seconds),
}


def main(arguments: list[str]) -> int:
    options = _parse(arguments)
    console = Console()
    figures: list[Figure] = []
    for name in options.names or BENCHMARKS:
        with console.status(name):
            figures += BENCHMARKS[name](options)
    console.print(table(figures, title="Measured in one run on this machine"))
    return 0


def _parse(arguments: list[str]) -> Options:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)}; default: all")
    parser.add_argument("--stories", type=int, default=10, help="stories of the cycle's figure")
    parser.add_argument("--rounds", type=int, default=3, help="turns of Orchard and of its baseline")
    parser.add_argument("--lanes", type=int, default=os.cpu_count() or 2, help="stories at a time")
    parser.add_argument("--workers", type=int, default=20)
    parser.add_argument("--busy", type=int, default=50, help="busy projects of the interactions")
    parser.add_argument("--commands", type=int, default=400, help="commands typed")
    parser.add_argument("--launches", type=int, default=60)
    parser.add_argument("--window", type=float, default=10.0, help="seconds that shares are watched")
    parser.add_argument("--claims", type=int, default=20000)
    parser.add_argument("--listeners", type=int, default=1000, help="of the live feed")
    parser.add_argument("--rows", type=int, default=20000, help="rows of the audit log")
    parser.add_argument("--calls", type=int, default=400, help="calls by the gateway, and as many without")
    parser.add_argument("--streams", type=int, default=1000, help="streams by the gateway at once")
    parser.add_argument("--issues", type=int, default=5000, help="issues of GitHub's first sync")
    parser.add_argument("--repositories", type=int, default=50, help="repositories that are polled")
    parser.add_argument("--webhooks", type=int, default=100, help="issues told of by webhooks")
    parser.add_argument("--decisions", type=int, default=20000)
    parser.add_argument("--projects", type=int, default=100, help="projects of the restart")
    parser.add_argument("--idle", type=int, default=50, help="projects of the idle control plane")
    parser.add_argument("--processes", type=int, default=10, help="of each project that is probed")
    parser.add_argument("--seconds", type=float, default=20.0, help="how long it is watched")
    parser.add_argument("--dashboards", type=int, default=50, help="open dashboards")
    parser.add_argument("--deliveries", type=int, default=1000, help="of webhooks")
    parser.add_argument("--senders", type=int, default=50, help="that send them at once")
    options = parser.parse_args(arguments)
    if unknown := set(options.names) - set(BENCHMARKS):
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(BENCHMARKS)}")
    return options


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""A cycle with an agent that needs no thinking time, against a shell script that runs the same programs.

One run is recorded: each git and each sandbox (agents, test runs) with its argv, environment, folder, input
and descriptors. Then Orchard, and bash scripts made of the record (one a project, as many at a time as
Orchard was allowed to run), do the same work in turns, from the same folder at the same place.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.bench.farm import drive, plant
from tests.bench.figure import Figure, milliseconds
from tests.bench.replay import Script, differing, read_records, write_scripts

ROOT = Path(__file__).parents[2]
BAR = 1.15


def measure(*, stories: int, rounds: int, lanes: int) -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="orchard-bench-") as name:
        folder = Path(name).resolve()
        root, kept, records = folder / "root", folder / "kept", folder / "records"
        root.mkdir()
        records.mkdir()
        projects = plant(root, stories, lanes=lanes)
        root.rename(kept)
        _restore(kept, root)
        _orchard(root, record_to=records)
        recorded = read_records(records)
        scripts = write_scripts(recorded, projects, records)
        ours: list[float] = []
        own: list[float] = []
        theirs: list[float] = []
        for _ in range(rounds):
            _restore(kept, root)
            told = _orchard(root)
            ours.append(told["cycle"])
            own.append(told["own"] / stories)
            _restore(kept, root)
            theirs.append(_scripts(scripts, lanes))
        note = _fidelity(root, records, sum(_runs_tests(record["argv"]) for record in recorded))
    return [
        *_figures(ours, theirs, stories=stories, lanes=lanes, note=note),
        Figure(
            what="processor time of Orchard itself, a story",
            value=milliseconds(min(own)),
            note="control plane and worker without their children; steadier on a busy machine",
        ),
    ]


def _runs_tests(argv: list[str]) -> bool:
    return any(word.endswith("/orchard_start.py") for word in argv)


def _fidelity(root: Path, records: Path, test_runs: int) -> str:
    """Whether the last round of scripts did what was recorded: exit codes, and a report of each test run."""
    other, ran = differing(records)
    reports = len(list(root.rglob("report/*.xml")))
    return f"{ran} programs, {other} ended otherwise in the script; it made {reports} of {test_runs} reports"


def _figures(ours: list[float], theirs: list[float], *, stories: int, lanes: int, note: str) -> list[Figure]:
    # The best of each: what else the machine does only ever adds.
    seconds, base = min(ours), min(theirs)
    return [
        Figure(
            what=f"{stories} stories, sprint start to merge, {lanes} at a time",
            value=f"{seconds:.2f} s",
            baseline=f"{base:.2f} s",
            ratio=seconds / base,
            bar=f"ratio <= {BAR}",
            holds=seconds / base <= BAR,
            note=note,
        )
    ]


def _restore(kept: Path, root: Path) -> None:
    shutil.rmtree(root, ignore_errors=True)
    subprocess.run(["cp", "-a", kept, root], check=True)


def _orchard(root: Path, *, record_to: Path | None = None) -> dict[str, float]:
    environment = dict(os.environ)
    if record_to is not None:
        environment["ORCHARD_BENCH_RECORD"] = str(record_to)
        environment["PYTHONPATH"] = f"{Path(__file__).with_name('recording')}:{ROOT}"
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.cycle", str(root)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"Orchard did not finish its stories:\n{done.stderr[-4000:]}")
    told: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return told


def _scripts(scripts: list[Script], lanes: int) -> float:
    paths = "\0".join(str(script.path) for script in scripts)
    began = time.monotonic()
    subprocess.run(
        ["xargs", "-0", "-n", "1", "-P", str(lanes), "bash"],
        input=paths,
        text=True,
        env={"PATH": os.environ["PATH"]},
        check=True,
    )
    return time.monotonic() - began


if __name__ == "__main__":
    print(json.dumps(asyncio.run(drive(Path(sys.argv[1])))))

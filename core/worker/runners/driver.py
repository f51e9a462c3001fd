"""How Orchard starts its own drivers of tests: programs of its own in the tests' sandbox."""

from __future__ import annotations

import json
import os
import secrets
import sys
from collections.abc import Sequence
from pathlib import Path

from core.isolation.machine import program_folders
from core.worker.environment import Environment
from core.worker.probe import FOLDER
from core.worker.runners.contract import Place, Plan, Secret

CHANNEL = "ORCHARD_PROBE"
_PASSED_OVER = frozenset({".git", "node_modules", "target", ".venv", "venv", "vendor"})


def draw_secret(prefix: str) -> Secret:
    """`prefix` begins both names: what a language wants of the name of a test."""
    return Secret(
        failing=f"{prefix}{secrets.token_hex(8)}_",
        passing=f"{prefix}{secrets.token_hex(8)}_",
        key=secrets.token_bytes(32),
    )


def secret_told(secret: Secret) -> dict[str, str]:
    return {"key": secret.key.hex(), "failing": secret.failing, "passing": secret.passing}


def driven(name: str, place: Place, environment: Environment, *, prefix: str, **told: object) -> Plan:
    """A run by the driver in that file, which is told all it needs by standard input.

    It runs in Orchard's own interpreter, without anything of the project or the user on its path.
    """
    secret = draw_secret(prefix)
    all_told = {
        **secret_told(secret),
        "cwd": str(place.cwd),
        "checkout": str(place.checkout),
        "select": [str(place.checkout / path) for path in place.select],
        **told,
    }
    return Plan(
        argv=(sys.executable, "-I", "-B", str(FOLDER / name)),
        variables=environment.variables_at(place.checkout),
        stdin=json.dumps(all_told).encode(),
        read_only=(FOLDER, *program_folders(Path(sys.executable))),
        channel=CHANNEL,
        secret=secret,
    )


def files_below(place: Place, ends: Sequence[str]) -> list[str]:
    """Absolute paths of the project's files that end so, sorted; links to folders are not followed."""
    found: list[str] = []
    for folder, names, files in os.walk(place.cwd):
        names[:] = [name for name in names if name not in _PASSED_OVER]
        found += [str(Path(folder) / name) for name in files if name.endswith(tuple(ends))]
    return sorted(found)

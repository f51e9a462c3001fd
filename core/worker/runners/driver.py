"""How Orchard starts its own drivers of tests: programs of its own in the tests' sandbox."""

from __future__ import annotations

import json
import os
import secrets
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from core.isolation.machine import program_folders
from core.worker.environment import Environment
from core.worker.probe import FOLDER
from core.worker.runners.contract import Place, Plan, Secret

_CHANNEL = "ORCHARD_PROBE"
_PASSED_OVER = frozenset({".git", "node_modules", "target", ".venv", "venv", "vendor"})


def watched(
    argv: Sequence[str],
    variables: Mapping[str, str],
    told: Mapping[str, object],
    *,
    prefix: str,
    read_only: Sequence[Path] = (),
) -> Plan:
    """A run of a program in `FOLDER`, which is told `told` and a new secret by standard input.

    `prefix` begins both canaries' names: what a language wants of the name of a test.
    """
    secret = Secret(
        failing=f"{prefix}{secrets.token_hex(8)}_",
        passing=f"{prefix}{secrets.token_hex(8)}_",
        key=secrets.token_bytes(32),
    )
    whole = {"key": secret.key.hex(), "failing": secret.failing, "passing": secret.passing, **told}
    return Plan(
        argv=tuple(argv),
        variables=variables,
        stdin=json.dumps(whole).encode(),
        read_only=(FOLDER, *read_only),
        channel=_CHANNEL,
        secret=secret,
    )


def driven(name: str, place: Place, environment: Environment, *, prefix: str, **told: object) -> Plan:
    """A run by the driver in that file.

    It runs in Orchard's own interpreter, without anything of the project or the user on its path.
    """
    all_told = {
        "cwd": str(place.cwd),
        "checkout": str(place.checkout),
        "select": [str(place.checkout / path) for path in place.select],
        **told,
    }
    return watched(
        (sys.executable, "-I", "-B", str(FOLDER / name)),
        environment.variables_at(place.checkout),
        all_told,
        prefix=prefix,
        read_only=program_folders(Path(sys.executable)),
    )


def files_below(
    place: Place, ends: Sequence[str], *, passed_over: frozenset[str] = _PASSED_OVER
) -> list[str]:
    """Absolute paths of the project's files that end so, sorted; links to folders are not followed."""
    found: list[str] = []
    for folder, names, files in os.walk(place.cwd):
        names[:] = [name for name in names if name not in passed_over]
        found += [str(Path(folder) / name) for name in files if name.endswith(tuple(ends))]
    return sorted(found)

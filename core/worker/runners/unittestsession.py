"""PURE: what a watched run of unittest says, from its channel and its exit code."""

from __future__ import annotations

from core.domain.evidence import RunState
from core.worker.runners.contract import Ended, Reading, Secret
from core.worker.runners.session import (
    FOREIGN,
    broken_off,
    canaries_out_of_place,
    exit_differs,
    is_canary,
    read_channel,
    records_of,
    reported_otherwise,
    results_of,
)


def read_unittest(ended: Ended, secret: Secret, *, folder: str) -> Reading:
    """Results and signs of tampering. `folder` is the project's in the repository, "." for its top."""
    channel = read_channel(ended.channel, secret.key)
    records = channel.records
    if channel.foreign:
        return Reading(state=RunState.CRASHED, tampering=(FOREIGN,))
    if not records_of(records, "began"):
        lines = [line.strip() for line in ended.output.splitlines() if line.strip()]
        said = f": {lines[-1][:300]}" if lines else ", and printed nothing"
        return Reading(
            state=RunState.CRASHED,
            problem=f"unittest ended with exit code {ended.exit_code} before its tests began{said}",
        )
    if not records_of(records, "ended"):
        return Reading(state=RunState.CRASHED, problem=broken_off(ended))
    results = results_of(records, folder)
    tampering = (
        *canaries_out_of_place(results, records, secret),
        *reported_otherwise(records),
        *exit_differs(ended, 0, ()),
    )
    own = tuple(result for result in results.values() if not is_canary(result, secret))
    return Reading(state=RunState.COMPLETED, results=own, tampering=tampering)

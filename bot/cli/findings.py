"""What `orchard doctor` found."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """`state`: "ok", "note" (works, less well) or "missing" (must be mended). `mend` says how."""

    name: str
    state: str
    found: str
    mend: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    checks: tuple[Check, ...]

    @property
    def healthy(self) -> bool:
        return all(check.state != "missing" for check in self.checks)

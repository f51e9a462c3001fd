"""The strategy that the configuration names."""

from __future__ import annotations

from pathlib import Path

from core.scheduler.custom import CustomStrategy
from core.scheduler.dynamic import Dynamic
from core.scheduler.fair_share import FairShare
from core.scheduler.priority import PriorityBased
from core.scheduler.strategy import Strategy

BUILT_IN: dict[str, type[FairShare | PriorityBased | Dynamic]] = {
    "fair_share": FairShare,
    "priority_based": PriorityBased,
    "dynamic": Dynamic,
}


def strategy_named(name: str, folder: Path | None = None) -> Strategy:
    """One of ours, or the user's by import path, also from `folder`, the configuration's; that one is loaded
    when it is first asked, and refused then should it be none. A CustomStrategy is to be closed."""
    return BUILT_IN[name]() if name in BUILT_IN else CustomStrategy(name, folder=folder)

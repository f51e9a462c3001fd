"""How agents reach their models, as the faces show it."""

from __future__ import annotations

from dataclasses import dataclass

from core.gateway.service import GatewayView
from core.store.usage import Hold


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelsView:
    """`gateway`: None beside no running Orchard; `holds`: those in force, by provider."""

    gateway: GatewayView | None
    holds: tuple[Hold, ...] = ()

"""An agent that is ready to be started, and its way to its models. PURE."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayUse:
    """How an agent is pointed at the model gateway. In all texts {gateway} stands for its base URL, with the
    provider in it and no slash at the end, and {token} for what the agent gets in place of a key."""

    provider: str
    environment: Mapping[str, str] = field(default_factory=dict)
    home_files: Mapping[str, str] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()  # put at the end of argv


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSetup:
    """A row of `agents.yaml` with everything resolved."""

    name: str
    kind: str  # "acp" | "command"
    argv: tuple[str, ...]  # absolute
    environment: Mapping[str, str] = field(default_factory=dict)
    home_files: Mapping[str, str] = field(default_factory=dict)  # relative path in its private HOME -> text
    mode: str | None = None  # the session mode in which it asks
    read_only_paths: tuple[Path, ...] = ()  # what it needs to see beside the system: its program, its script
    stop_seconds: tuple[float, float, float] = (2.0, 5.0, 2.0)  # after cancel, after stdin closed, after TERM
    quirks: tuple[str, ...] = ()  # what the driver must know of it: see core/agents/presets.py
    gateway: GatewayUse | None = None  # to be pointed there before it starts; None: it asks its provider
    # directly, with what `environment` holds
    network_allow: tuple[str, ...] = ()  # where it gets to its models by itself, where only some hosts may be


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelAccess:
    """Where a run asks its models, for whoever wants to know how its calls fare: see docs/gateway.md."""

    base_url: str  # of the gateway, with the provider, without a slash at the end
    token: str = field(repr=False)  # in place of a key; good until the run is closed
    run_id: str

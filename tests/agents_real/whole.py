"""A whole Orchard whose agents are real and whose model is scripted."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import yaml

from core.agents.installed import agents_folder, installed_agent
from core.agents.rows import load_rows
from tests.agents_real.checking import FOLDER
from tests.model_server.script import Book, parse_book

KEY = "sk-real-0123456789"
SLOW = bool(os.environ.get("ORCHARD_TEST_AGENTS"))  # whether what takes long is wanted, too


def is_fetched(name: str) -> bool:
    """At the version that its row names."""
    package, there = load_rows()[name].package, installed_agent(FOLDER, name)
    return (
        there is not None
        and package is not None
        and there.versions.get(package.first) == package.packages[package.first]
    )


def stories() -> Book:
    """What the scripted model does for the stories of a farm."""
    return parse_book(yaml.safe_load(Path(__file__).with_name("stories.yaml").read_text("utf-8")))


def staff(root: Path, url: str, *agents: str) -> dict[str, Any]:
    """What a configuration in `root` needs for real agents to work there, the first of them by default: keys
    `global` and `agents`. The provider of each is the model server at `url`, and its key in `.env` is KEY."""
    rows = {name: load_rows()[name] for name in agents}
    gateways = [(row.gateway, row.key_variables[:1]) for row in rows.values()]
    providers = {
        use.provider: {"base_url": url, "key_variables": list(keys)} for use, keys in gateways if use
    }
    (root / ".env").write_text("".join(f"{keys[0]}={KEY}\n" for _, keys in gateways))
    place = agents_folder(root / ".orch-global")
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(FOLDER, target_is_directory=True)
    model = {"variables": {"model": "scripted-1"}}
    return {
        "global": {"default_agent": agents[0], "model_gateway": {"providers": providers}},
        "agents": {name: model for name, row in rows.items() if "model" in row.variables},
    }


def holds_key(state: Path) -> list[Path]:
    """Files of a state folder in which the key stands; agents' own programs are not looked at."""
    return [
        path
        for path in state.rglob("*")
        if path.is_file() and KEY.encode() in path.read_bytes() and "agents" not in path.parts
    ]

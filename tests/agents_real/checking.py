"""A check of a real agent with the scripted model: as `orchard agents check` does it, in a folder apart."""

from __future__ import annotations

from pathlib import Path

import yaml

from config.loader import load
from core.agents.conformance import Conformance
from core.agents.installed import agents_folder
from core.agents.rows import load_rows
from core.orchestrator.agent_desk import AgentDesk
from tests.model_server.script import Book, parse_book

FOLDER = Path(__file__).parents[2] / ".agents"  # kept between runs
_LITELLM = frozenset({"openhands", "aider", "mini-swe-agent"})  # whose models' names begin with the provider


def answers() -> Book:
    """What the scripted model answers to a check's prompts."""
    return parse_book(yaml.safe_load(Path(__file__).with_name("answers.yaml").read_text("utf-8")))


def desk(folder: Path, state: Path, variables: dict[str, str]) -> AgentDesk:
    """For the agents in `folder`, beside settings and state of their own."""
    state.mkdir(parents=True, exist_ok=True)
    (state / "orch-config.yaml").write_text(f"global:\n  global_state_path: {state}/state\n")
    configuration = load(state, environ=variables)
    place = agents_folder(configuration.state_path)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(folder, target_is_directory=True)
    return AgentDesk(configuration, variables)


async def checked(
    name: str, url: str, *, folder: Path, state: Path, variables: dict[str, str], quick: bool = False
) -> Conformance:
    """`url`: of the scripted model, which stands in for the agent's provider behind a real gateway."""
    model = None
    if "model" in load_rows()[name].variables:
        model = "openai/scripted-1" if name in _LITELLM else "scripted-1"
    return await desk(folder, state, variables).check(
        name, upstream=url, model=model, turn_seconds=120.0, quick=quick, keep=state / "kept"
    )

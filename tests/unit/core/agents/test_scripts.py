"""The sessions that other tests play: each loads, is honest where it does not lie, and plays to its end."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.agents.replay.script import load
from core.agents.roles import ROLE_OF, Rights
from core.agents.turn import TurnKind
from core.domain.lifecycles import Phase

GREETER = Path(__file__).parents[3] / "agents_scripts" / "greeter.yaml"
SHORT = (0.3, 0.3, 0.3)
PHASES = [phase.value for phase in ROLE_OF]


def test_every_story_has_every_phase():
    stories = load(str(GREETER)).stories

    assert len(stories) >= 25
    assert {name for name, phases in stories.items() if set(phases) != {*PHASES, "epic"}} == set()


@pytest.mark.parametrize("phase", ROLE_OF)
async def test_the_honest_session_plays_through_within_its_rights(stage, phase):
    (stage.worktree / "greeter.py").write_text('def greet(name):\n    return f"Hello, {name}"\n')
    stage.rights = Rights(role=ROLE_OF[phase], story_id="greeter-1", is_test=lambda path: "tests/" in path)
    prompt = f"Orchard-Story: greeter-1\nOrchard-Title: honest\nOrchard-Phase: {phase.value}\n\nGo."

    end = await stage.play(stage.replay(GREETER, mode="ask"), stage.turn(prompt=prompt))

    assert (end.kind, end.error) == (TurnKind.IDLE, "")
    assert stage.asked == []
    changed = {
        Phase.DESIGN: ".orch-state/stories/greeter-1.md",
        Phase.TEST_RED: "tests/test_farewell.py",
        Phase.CODE_GREEN: "greeter.py",
    }
    if phase in changed:
        text = (stage.worktree / changed[phase]).read_text()
        assert "arewell" in text


async def test_the_honest_epic_is_written_where_it_may_be(stage):
    (stage.worktree / "greeter.py").write_text("")
    stage.rights = Rights(
        role=ROLE_OF[Phase.DESIGN], story_id="shop-e1", is_test=lambda path: "tests/" in path
    )
    prompt = "Orchard-Story: shop-e1\nOrchard-Title: honest\nOrchard-Phase: epic\n\nGo."

    end = await stage.play(stage.replay(GREETER, mode="ask"), stage.turn(prompt=prompt))

    assert (end.kind, end.error, stage.asked) == (TurnKind.IDLE, "", [])
    text = (stage.worktree / ".orch-state/stories/shop-e1.md").read_text()
    assert text.startswith("## Say goodbye\n")
    assert "\nNeeds: 1\n" in text


@pytest.mark.parametrize(
    ("title", "kind", "rungs"),
    [
        ("hanging", TurnKind.FAILED, 4),
        ("crashing", TurnKind.FAILED, 0),
        ("leaving in the middle", TurnKind.FAILED, 0),
        ("out of credit", TurnKind.LIMITED, 1),
        ("limited once", TurnKind.LIMITED, 1),
        ("silent for a while", TurnKind.IDLE, 1),
        ("flooding", TurnKind.IDLE, 1),
        ("leaving a daemon", TurnKind.IDLE, 1),
        ("asking", TurnKind.IDLE, 1),
    ],
)
async def test_bad_manners_end_as_they_should(stage, title, kind, rungs):
    (stage.worktree / "greeter.py").write_text("")
    prompt = f"Orchard-Story: greeter-1\nOrchard-Title: {title}\nOrchard-Phase: code_green\n\nGo."

    agent = stage.replay(GREETER, stop_seconds=SHORT if title == "hanging" else (20, 20, 20))
    turn = stage.turn(prompt=prompt, stall_cancel_seconds=2 if title == "hanging" else 30)
    end = await stage.play(agent, turn)

    assert (end.kind, len(end.rungs)) == (kind, rungs)

"""What shares that follow use keep for who will need it soon."""

from __future__ import annotations

import pytest

from core.scheduler.dynamic import Dynamic
from core.scheduler.resources import Resources
from tests.oracles.instances import project, snapshot, started


@pytest.mark.parametrize(("expected", "kept"), [(0.3, 0), (0.999, 0), (1.0, 1), (1.7, 1), (2.0, 2), (9.0, 3)])
def test_only_whole_agents_are_kept_for_who_will_need_them(expected: float, kept: int) -> None:
    """Three tenths of an agent can start nothing, and to keep them leaves a whole one idle."""
    world = snapshot(
        {"slots": 10},
        project("busy", {"slots": 1}, 20),
        project("quiet", {"slots": 1}, 0, guaranteed={"slots": 3}, expected=Resources(agents=expected)),
    )
    assert started(Dynamic().decide(world)) == {"busy": 10 - kept}

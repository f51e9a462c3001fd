"""What this process has under way that no row tells of: starts, merges, other agents, pauses, parking."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from core.clock import Clock
from core.orchestrator.extra_agents import ExtraAgents
from core.orchestrator.pauses import Pauses


@dataclass(slots=True)
class Floor:
    """Shared by who decides, who starts and who designs. `starting`: stories that a task works for, leased or
    not yet, with their projects; `merging`: by project, those of them that one task merges."""

    clock: Clock
    starting: dict[str, str] = field(default_factory=dict)
    merging: dict[str, tuple[str, ...]] = field(default_factory=dict)
    extra_agents: ExtraAgents = field(default_factory=ExtraAgents)
    is_parking: Callable[[str], bool] = lambda story_id: False
    worker_ready_in: Callable[[str], float] = lambda project: 0.0
    pauses: Pauses = field(init=False)

    def __post_init__(self) -> None:
        self.pauses = Pauses(self.clock)

    def why_not(self, project: str) -> str:
        """Why nothing of a project may start: its worker came to an unasked end lately."""
        name = f"{project}-worker"  # no story is called so
        if not self.pauses.why(name) and (seconds := self.worker_ready_in(project)):
            self.pauses.begin(name, seconds, "the project's worker ended unexpectedly.")
        return self.pauses.why(name)

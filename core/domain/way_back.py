"""Which phases a person can send a cycle to, and what of its work stays there. PURE.

Going back follows the cycle table's SENT_BACK arrows, one after the other: no gate is ever skipped, since the
phases after the one it is sent back to come again, each with its gate.
"""

from __future__ import annotations

from dataclasses import dataclass

from core.domain.lifecycles import CYCLE, CycleEvent, CycleState, Phase
from core.domain.story import Cycle


@dataclass(frozen=True, slots=True, kw_only=True)
class WayBack:
    """`states` are those it passes through, from the present one (excluded) to the phase's own (included)."""

    states: tuple[CycleState, ...]
    red_commit: str | None
    head_commit: str | None


def way_back(cycle: Cycle, phase: Phase) -> WayBack | None:
    """The way to an earlier phase, or the empty one to the present phase; None where no arrows lead there.

    To test_red the tests so far stay, and are judged anew; to code_green all that passed stays; to design
    nothing but the spec does. Whatever is left behind stays in the repository.
    """
    states: list[CycleState] = []
    state = cycle.state
    while state is not CycleState(phase.value):
        following = CYCLE.get((state, CycleEvent.SENT_BACK))
        if following is None:
            return None
        states.append(following)
        state = following
    if not states or phase is Phase.CODE_GREEN:
        return WayBack(states=tuple(states), red_commit=cycle.red_commit, head_commit=cycle.head_commit)
    if phase is Phase.TEST_RED:
        return WayBack(states=tuple(states), red_commit=None, head_commit=cycle.red_commit)
    return WayBack(states=tuple(states), red_commit=None, head_commit=cycle.base_commit)


def command_of(phase: Phase) -> str:
    """The word by which people ask for a phase: `/tdd test` runs `test_red`."""
    return phase.value.partition("_")[0]


def reachable(state: CycleState) -> tuple[Phase, ...]:
    """The phases that can run next when a person asks for one, in the order of a cycle."""
    found = set()
    following: CycleState | None = state
    while following is not None and following.phase is not None:
        found.add(following.phase)
        following = CYCLE.get((following, CycleEvent.SENT_BACK))
    return tuple(phase for phase in Phase if phase in found)

"""Looks a transition up, or says why there is none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from core.domain.lifecycles import WORKFLOW, WorkflowCommand, WorkflowState
from core.errors import InvalidTransition

S = TypeVar("S", bound=str)
E = TypeVar("E", bound=str)


def next_state(table: Mapping[tuple[S, E], S], state: S, event: E, *, entity: str) -> S:
    """The state that `event` leads to. Raises InvalidTransition, naming entity, state and event."""
    try:
        return table[(state, event)]
    except KeyError:
        allowed = ", ".join(sorted(str(e) for s, e in table if s == state)) or "nothing"
        raise InvalidTransition(
            f"{entity} is {state}: '{event}' is not possible now.", hint=f"Possible now: {allowed}."
        ) from None


def allowed_commands(state: WorkflowState) -> tuple[WorkflowCommand, ...]:
    """What people may say to a project in this state, in the order of the enum."""
    return tuple(command for command in WorkflowCommand if (state, command) in WORKFLOW)

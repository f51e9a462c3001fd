"""PURE: which agent works in a role: the role's own, else the project's, else the first fallback that can."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from core.agents.roles import Role

STARTS = 2  # that failed in a row: another agent takes the attempt


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """`reason`: why it is not the one that was asked for, in a sentence; empty where it is."""

    name: str
    reason: str = ""
    wanted: str = ""  # the one that was asked for


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """Whose conversation a story can go on with, and for which role it was begun."""

    name: str
    role: Role


def unheld(_: str) -> str:
    return ""


def no_starts(_: str) -> int:
    return 0


def candidates(
    role: Role, agents_by_role: Mapping[str, str], agent: str | None, fallbacks: tuple[str, ...]
) -> tuple[str, ...]:
    """All that may work in the role, the one that was asked for first."""
    named = (agents_by_role.get(role) or agent, *fallbacks)
    return tuple(dict.fromkeys(name for name in named if name))


def choose(
    role: Role,
    agents_by_role: Mapping[str, str],
    agent: str | None,
    fallbacks: tuple[str, ...],
    *,
    installed: Callable[[str], bool],
    has_key: Callable[[str], bool],
    held: Callable[[str], str],
    failed_starts: Callable[[str], int] = no_starts,
    kept: Kept | None = None,
) -> Choice:
    """The first of the list that can work now; the one asked for when none can, so that its error is seen.

    `held`: a sentence such as "anthropic is at its usage limit until 14:00 UTC", empty where nothing holds
    it. `failed_starts`: how often in a row it could not be started. A conversation that was begun with a
    fallback goes on with it, as long as the list that it was chosen from asks for the same agent first.

    Raises ValueError when no agent is named at all.
    """
    names = candidates(role, agents_by_role, agent, fallbacks)
    if not names:
        raise ValueError(f"no agent is named for {role}")
    wanted = names[0]
    if len(names) == 1:
        return Choice(name=wanted, wanted=wanted)
    tests = (
        lambda name: "" if installed(name) else f"{name} is not installed",
        lambda name: "" if has_key(name) else f"{name} has no key",
        held,
        lambda name: "" if failed_starts(name) < STARTS else f"{name} could not be started {STARTS} times",
    )

    def problem(name: str) -> str:
        return next((said for test in tests if (said := test(name))), "")

    if kept is not None and kept.name in names[1:] and not problem(kept.name):
        before = candidates(kept.role, agents_by_role, agent, fallbacks)
        if before[:1] == (wanted,):
            said = f"{kept.name} goes on with the conversation that it began in place of {wanted}."
            return Choice(name=kept.name, reason=said, wanted=wanted)
    problems: list[str] = []
    for name in names:
        if not (said := problem(name)):
            reason = f"{name} works in place of {wanted}: {'; '.join(problems)}." if problems else ""
            return Choice(name=name, reason=reason, wanted=wanted)
        problems.append(said)
    return Choice(name=wanted, wanted=wanted)

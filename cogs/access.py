"""Who may do what from Discord. PURE: one table and one function; the full access matrix is a later thing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from core.domain.access import AccessLevel, Standing
from core.errors import NotAllowed


class Right(StrEnum):
    LOOK = "look"  # see what is there
    STEER = "steer"  # change what is worked on
    DECIDE = "decide"  # the question, or the project's budgets, say who may, and the core asks them


def control(verb: str) -> str:
    """A button's, select's or form's name in RIGHTS: commands may have the same."""
    return f"button {verb}"


_LOOKING = (
    "global_status",
    "project_list",
    "project_status",
    "resource_status",
    "why",
    "budget",
    "budget show",
    "session",
    "session list",
    "session show",
    "session search",
    "agents",
    "insights",
    "backlog",
    "backlog view",
    "sprint",
    "sprint status",
    "sprint burndown",
    "sprint review",
    "sprint history",
    "state",
    "tdd",
    "tdd status",
    "tdd logs",
    "tdd overview",
    "story",
    "story show",
    # what a person is told is their own affair
    "subscribe",
    "unsubscribe",
    "subscriptions",
    "digest",
    "quiet_hours",
    *map(control, ("page", "state", "proposals", "pick", "why")),
)
_STEERING = (
    "project_register",
    "project_discover",  # reads folders of the machine
    "project_start",
    "project_stop",
    "project_pause",
    "project_resume",
    "resource_optimize",
    "session fork",
    "session link",
    "session unlink",
    "epic",
    "approve",
    "backlog add_story",
    "backlog edit",
    "backlog prioritize",
    "backlog remove",
    "sprint plan",
    "sprint start",
    "sprint pause",
    "sprint resume",
    "tdd start",
    "tdd design",
    "tdd test",
    "tdd code",
    "tdd refactor",
    "tdd commit",
    "tdd next",
    "tdd abort",
    "tdd run_tests",  # takes the machine's time
    "tdd stop_tests",
    "story stop",
    "story steer",
    "story takeover",
    "story handback",
    "request_changes",
    "suggest_fix",
    "skip_task",
    "feedback",
    *map(
        control,
        (
            "accept",
            "accept_all",
            "revise",
            "edit",
            "drop",
            "stop",
            "go_on",
            "step",
            "take",
            "hand_back",
            "steer",
            "optimize",
        ),
    ),
    *map(control, ("fix", "skip", "resume", "feedback", "request_changes")),
)
_DECIDING = (*map(control, ("approve", "reject", "raise", "raise_by")), "budget raise")

# What a level is in Discord: see `standing`.
LEVEL_WORDS = {
    AccessLevel.VIEWER: "everybody here",
    AccessLevel.CONTRIBUTOR: "who may steer Orchard",
    AccessLevel.MAINTAINER: "who may steer Orchard",
    AccessLevel.ADMIN: "who manages this server",
    AccessLevel.OWNER: "the owner of this server",
}

RIGHTS: Mapping[str, Right] = {
    **dict.fromkeys(_LOOKING, Right.LOOK),
    **dict.fromkeys(_STEERING, Right.STEER),
    **dict.fromkeys(_DECIDING, Right.DECIDE),
}
"""One entry a command, and one a button or form (see `control`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Who asks, as Discord says it in the interaction itself."""

    user_id: int
    guild_id: int | None
    owns_guild: bool = False
    manages_guild: bool = False
    roles: frozenset[str] = frozenset()  # ids and names


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessPolicy:
    """`guild_id` is the one server served. Without `roles`, each of its members may do everything."""

    guild_id: int | None
    roles: frozenset[str] = frozenset()


def require(policy: AccessPolicy, person: Person, command: str) -> None:
    """Returns when `person` may run `command`, else raises NotAllowed with the way to get the right."""
    if person.guild_id is None:
        raise NotAllowed("I do not take commands in private messages.", hint="Use them in the server.")
    if policy.guild_id is None or person.guild_id != policy.guild_id:
        raise NotAllowed(
            "This Orchard does not serve this server.",
            why="It is bound to one server.",
            hint="Its owner sets `global_discord_guild` in orch-config.yaml.",
        )
    right = RIGHTS.get(command)
    if right is None:
        raise NotAllowed(f"Nobody may run '{command}' from Discord.", why="It has no access rule.")
    if right is not Right.STEER or standing(policy, person).level > AccessLevel.VIEWER:
        return
    roles = ", ".join(sorted(policy.roles))
    pressed = command.startswith(control(""))
    what = "do this" if pressed else f"run '{command}'"
    raise NotAllowed(
        f"You may look, but not {what}.",
        why=f"It needs one of these roles, or the permission Manage Server: {roles}.",
        hint="Ask someone who manages this server.",
    )


def standing(policy: AccessPolicy, person: Person) -> Standing:
    """What a member of the server is to Orchard."""
    return Standing(level=_level(policy, person), roles=person.roles, person=str(person.user_id))


def _level(policy: AccessPolicy, person: Person) -> AccessLevel:
    if person.owns_guild:
        return AccessLevel.OWNER
    if person.manages_guild:
        return AccessLevel.ADMIN
    if not policy.roles or person.roles & policy.roles:
        return AccessLevel.MAINTAINER
    return AccessLevel.VIEWER

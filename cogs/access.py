"""Who may do what from Discord. PURE: one table and one function; the full access matrix is a later thing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from core.errors import NotAllowed


class Right(StrEnum):
    LOOK = "look"  # see what is there
    STEER = "steer"  # change what is worked on
    DECIDE = "decide"  # answer a question that an agent or a gate put to people


RIGHTS: Mapping[str, Right] = {
    "global_status": Right.LOOK,
    "project_list": Right.LOOK,
    "project_register": Right.STEER,
    "project_discover": Right.STEER,  # reads folders of the machine
    "project_start": Right.STEER,
    "project_stop": Right.STEER,
    "backlog": Right.LOOK,
    "backlog view": Right.LOOK,
    "backlog add_story": Right.STEER,
    "sprint": Right.LOOK,
    "sprint plan": Right.STEER,
    "sprint start": Right.STEER,
    "sprint status": Right.LOOK,
    "sprint pause": Right.STEER,
    "sprint resume": Right.STEER,
    "state": Right.LOOK,
    "suggest_fix": Right.STEER,
    "skip_task": Right.STEER,
    "feedback": Right.STEER,
    # buttons and forms
    "approve": Right.DECIDE,
    "reject": Right.DECIDE,
    "fix": Right.STEER,
    "skip": Right.STEER,
    "page": Right.LOOK,
}


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
    if right is Right.LOOK or not policy.roles:
        return
    if person.owns_guild or person.manages_guild or person.roles & policy.roles:
        return
    roles = ", ".join(sorted(policy.roles))
    raise NotAllowed(
        f"You may look, but not run '{command}'.",
        why=f"It needs one of these roles, or the permission Manage Server: {roles}.",
        hint="Ask someone who manages this server.",
    )

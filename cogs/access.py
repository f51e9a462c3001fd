"""Which action each command and button of Discord is, and who is who there. PURE.

The access matrix (core.security.access) decides. A member is what they are in the server (its owner, who
manages it, who has a configured role) or what the user is that they are linked with, whichever is more. Once
roles have levels (`role_levels`), who is none of these is nobody.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from core.domain.access import AccessLevel, Standing
from core.errors import NotAllowed
from core.security.access import (
    EVERY_PROJECT,
    NOBODY,
    RULES,
    Action,
    Asker,
    Decision,
    Face,
    Levels,
    level_of_roles,
    may,
)

ANY_PROJECT = "?"  # which one is not known yet: it is asked again, for that one, before anything is done
LINK = "link"  # the code that is typed is the right to it


class Right(StrEnum):
    LOOK = "look"  # see what is there
    STEER = "steer"  # change what is worked on
    DECIDE = "decide"  # the question, or the project's budgets, say who may, and the core asks them


def control(verb: str) -> str:
    """A button's, select's or form's name in RIGHTS: commands may have the same."""
    return f"button {verb}"


_ACTIONS: tuple[tuple[Action, tuple[str, ...]], ...] = (
    (Action.SEE_SYSTEM, ("global_status", control("page"))),
    (Action.SEE_RESOURCES, ("resource_status", "why", control("why"))),
    (Action.SEE_AGENTS, ("agents",)),
    (Action.SEE_INSIGHTS, ("insights",)),
    (Action.SEE_BUDGETS, ("budget", "budget show", "chart cost")),
    (Action.SEE_PROJECT, ("chart", "chart burndown", "chart cycle_time", "chart dependencies")),
    (Action.SEE_RESOURCES, ("chart resources",)),
    (Action.SEE_TRANSCRIPTS, ("session", "session list", "session show", "session search")),
    (Action.SEE_PROJECT, ("project_list", "project_status", "backlog", "backlog view", "sprint")),
    (Action.SEE_PROJECT, ("sprint status", "sprint burndown", "sprint review", "sprint history", "state")),
    (Action.SEE_PROJECT, ("tdd", "tdd status", "tdd logs", "tdd overview", "story", "story show")),
    (Action.SEE_PROJECT, ("github", "github status", "github notes")),
    (Action.SEE_ALERTS, ("alerts", control("alert"))),
    (Action.ANSWER_ALERT, tuple(map(control, ("acknowledge", "silence", "unsilence")))),
    (Action.SYNC_REPOSITORY, ("github sync",)),
    (Action.LINK_REPOSITORY, ("github link", "github unlink")),
    (Action.SEE_PROJECT, tuple(map(control, ("state", "proposals", "pick")))),
    # what a person is told is their own affair
    (Action.SET_OWN_NOTICES, ("subscribe", "unsubscribe", "subscriptions", "digest", "quiet_hours")),
    (Action.REGISTER_PROJECT, ("project_register",)),
    (Action.DISCOVER_PROJECTS, ("project_discover",)),  # reads folders of the machine
    (Action.OPTIMIZE_RESOURCES, ("resource_optimize", control("optimize"))),
    (Action.RUN_PROJECT, ("project_start", "project_stop", "project_pause", "project_resume")),
    (Action.RUN_PROJECT, ("project_maintain",)),
    (Action.ARCHIVE_PROJECT, ("project_archive", "project_reopen", control("archive"))),
    (Action.LINK_SESSIONS, ("session fork", "session link", "session unlink")),
    (Action.PLAN_EPIC, ("epic", control("revise"))),
    (Action.APPROVE_STORIES, ("approve", control("accept"), control("accept_all"))),
    (Action.EDIT_BACKLOG, ("backlog add_story", "backlog edit", "backlog prioritize", "backlog remove")),
    (Action.EDIT_BACKLOG, (control("edit"), control("drop"))),
    (Action.PLAN_SPRINT, ("sprint plan",)),
    (Action.RUN_SPRINT, ("sprint start", "sprint pause", "sprint resume", control("resume"))),
    (Action.RUN_STORY, ("tdd start", "tdd design", "tdd test", "tdd code", "tdd refactor", "tdd commit")),
    (Action.RUN_STORY, ("tdd next", "tdd abort", "story stop", "skip_task")),
    (Action.RUN_STORY, tuple(map(control, ("stop", "go_on", "step", "skip")))),
    (Action.RUN_TESTS, ("tdd run_tests", "tdd stop_tests")),  # takes the machine's time
    (Action.STEER_AGENT, ("story steer", "suggest_fix", control("steer"), control("fix"))),
    (Action.TAKE_OVER_STORY, ("story takeover", "story handback", control("take"), control("hand_back"))),
    (Action.REVIEW_WORK, ("request_changes", "feedback", control("feedback"), control("request_changes"))),
    (Action.ANSWER_APPROVAL, (control("approve"), control("reject"))),
    (Action.RAISE_BUDGET, ("budget raise", control("raise"), control("raise_by"))),
)
ACTIONS: Mapping[str, Action] = {
    **{name: action for action, names in _ACTIONS for name in names},
    LINK: Action.LINK_OWN_ACCOUNT,
}
"""One entry a command, and one a button or form (see `control`). None is an operator's."""

PRIVATE = frozenset(map(control, ("acknowledge", "silence", "unsilence")))
"""What somebody may press in a message to them alone, as the user that they are linked with: no role of the
server counts there."""

# What a level is in Discord: see `standing`.
LEVEL_WORDS = {
    AccessLevel.VIEWER: "everybody here",
    AccessLevel.CONTRIBUTOR: "who may steer Orchard",
    AccessLevel.MAINTAINER: "who may steer Orchard",
    AccessLevel.ADMIN: "who manages this server",
    AccessLevel.OWNER: "the owner of this server",
}


def _right(action: Action) -> Right:
    if action in (Action.ANSWER_APPROVAL, Action.RAISE_BUDGET):
        return Right.DECIDE
    return Right.LOOK if RULES[action].level is AccessLevel.VIEWER else Right.STEER


RIGHTS: Mapping[str, Right] = {name: _right(action) for name, action in ACTIONS.items()}


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
    """`guild_id` is the one server served. Without `roles` and `role_levels`, each of its members may do all
    that chat may. Both go by a role's id or its name."""

    guild_id: int | None
    roles: frozenset[str] = frozenset()
    role_levels: Mapping[str, AccessLevel] = field(default_factory=dict)

    def unknown(self, roles: Collection[str]) -> tuple[str, ...]:
        """Those configured that are none of the server's `roles` (ids and names)."""
        return tuple(sorted({*self.roles, *self.role_levels} - set(roles)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Linked:
    """The user that somebody in Discord is linked with."""

    username: str
    levels: Levels
    disabled: bool = False


def require(
    policy: AccessPolicy,
    person: Person,
    command: str,
    *,
    linked: Linked | None = None,
    projects: Collection[str] = (EVERY_PROJECT,),
) -> None:
    """Returns when `person` may run `command` in all of `projects`, else raises NotAllowed with the way to
    get the right."""
    privately = person.guild_id is None
    if privately and (linked is None or command not in PRIVATE):
        raise NotAllowed("I do not take commands in private messages.", hint="Use them in the server.")
    if not privately and (policy.guild_id is None or person.guild_id != policy.guild_id):
        raise NotAllowed(
            "This Orchard does not serve this server.",
            why="It is bound to one server.",
            hint="Its owner sets `global_discord_guild` in orch-config.yaml.",
        )
    action = ACTIONS.get(command)
    if action is None:
        raise NotAllowed(f"Nobody may run '{command}' from Discord.", why="It has no access rule.")
    if command == LINK:
        return
    if linked is not None and linked.disabled:
        raise NotAllowed("Your user is disabled.", hint="Ask the owner of Orchard.")
    asker = asker_of(policy, person, linked)
    refused = [one for one in (_asked(action, asker, project) for project in projects) if not one.allowed]
    if not refused:
        return
    pressed = command.startswith(control(""))
    what = "do this" if pressed else f"run '{command}'"
    enough = {role for role, level in policy.role_levels.items() if level >= RULES[action].level}
    roles = ", ".join(sorted(policy.roles | enough))
    by_role = f" Here it needs one of these roles, or the permission Manage Server: {roles}." if roles else ""
    raise NotAllowed(
        f"You may {'look, but not' if RULES[action].level > AccessLevel.VIEWER else 'not'} {what}.",
        why=f"{refused[0].why}{by_role}",
        hint="Ask someone who manages this server; who has a user of Orchard types /link.",
    )


def _asked(action: Action, asker: Asker, project: str) -> Decision:
    if project != ANY_PROJECT:
        return may(action, asker, project)
    somewhere = [may(action, asker, each) for each in (EVERY_PROJECT, *asker.levels.projects)]
    return next((one for one in somewhere if one.allowed), somewhere[0])


def asker_of(policy: AccessPolicy, person: Person, linked: Linked | None = None) -> Asker:
    """Who has a role that may steer, or where none is configured everybody, may do all that chat may:
    operators' actions are never among that. A disabled user is nobody."""
    level = _level(policy, person)
    steers = AccessLevel.ADMIN if level is not None and level > AccessLevel.VIEWER else None
    own = NOBODY if linked is None else linked.levels
    of_roles = level_of_roles(policy.role_levels, person.roles)
    levels = Levels(everywhere=_highest(level, steers, of_roles, own.everywhere), projects=own.projects)
    name = f"discord:{person.user_id}" if linked is None else f"user:{linked.username}"
    disabled = linked is not None and linked.disabled
    return Asker(name=name, levels=NOBODY if disabled else levels, face=Face.CHAT)


def standing(
    policy: AccessPolicy, person: Person, linked: Linked | None = None, project: str = EVERY_PROJECT
) -> Standing:
    """What a member of the server is to Orchard in a project, or the user that they are linked with."""
    own = None if linked is None else linked.levels.within(project)
    level = _highest(_level(policy, person), level_of_roles(policy.role_levels, person.roles), own)
    return Standing(level=level or AccessLevel.VIEWER, roles=person.roles, person=str(person.user_id))


def _level(policy: AccessPolicy, person: Person) -> AccessLevel | None:
    """In the server, by what is no role with a level; outside of it, nothing."""
    if person.guild_id is None:
        return None
    if person.owns_guild:
        return AccessLevel.OWNER
    if person.manages_guild:
        return AccessLevel.ADMIN
    if person.roles & policy.roles or not (policy.roles or policy.role_levels):
        return AccessLevel.MAINTAINER
    return None if policy.role_levels else AccessLevel.VIEWER


def _highest(*levels: AccessLevel | None) -> AccessLevel | None:
    return max((level for level in levels if level is not None), default=None)

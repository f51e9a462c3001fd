"""The access matrix: what each action needs, of whom, through which face. PURE: one table, two questions.

Every face asks `may` before it acts; what the table does not name nobody may do. Operator actions (users,
levels, isolation, secrets and the like) are for the command line, and for the web after a second factor:
whoever takes over a chat account or a token can drive agents, but not widen what they may do.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from core.domain.access import OPERATOR, AccessLevel, Standing
from core.errors import NotAllowed

EVERY_PROJECT = "*"
"""No project has that name: only a level everywhere reaches it."""


class Face(StrEnum):
    CLI = "cli"  # on the machine, as the user that Orchard runs as
    WEB = "web"  # a logged-in session
    API = "api"  # a token
    CHAT = "chat"  # Discord


class Seat(StrEnum):
    """From where an action is possible at all."""

    ANY = "any"
    OWN = "own"  # the command line, or a session on the web
    OPERATOR = "operator"  # the command line, or the web after a second factor in this session


class Scope(StrEnum):
    """What an API token is for."""

    READ = "read"
    WORK = "work"  # stories, sprints, agents at work
    DECIDE = "decide"  # questions, reviews, budgets
    MANAGE = "manage"  # projects and their order


class Action(StrEnum):
    """Everything that can be done to Orchard, by whatever face."""

    # global: reading
    SEE_SYSTEM = "see system"
    SEE_AGENTS = "see agents"
    SEE_INSIGHTS = "see insights"
    SEE_RESOURCES = "see resources"
    SEE_METRICS = "see metrics"
    SET_OWN_NOTICES = "set own notices"
    LINK_OWN_ACCOUNT = "link own account"
    MANAGE_OWN_LOGIN = "manage own login"  # password, sessions, second factor
    MANAGE_OWN_TOKENS = "manage own tokens"
    ENTER_GUILD = "enter the local guild"  # as a member of it, where there is one
    # global: changing
    DISCOVER_PROJECTS = "discover projects"
    REGISTER_PROJECT = "register project"
    OPTIMIZE_RESOURCES = "optimize resources"
    TRANSFER_INSIGHT = "transfer insight"
    ANSWER_SYSTEM_ALERT = "answer system alert"  # of no project, or of many at once
    # in a project: reading
    SEE_PROJECT = "see project"
    SEE_TRANSCRIPTS = "see transcripts"
    SEE_BUDGETS = "see budgets"
    SEE_ALERTS = "see alerts"
    # in a project: working
    EDIT_BACKLOG = "edit backlog"
    PLAN_EPIC = "plan epic"
    APPROVE_STORIES = "approve stories"
    PLAN_SPRINT = "plan sprint"
    RUN_SPRINT = "run sprint"
    RUN_STORY = "run story"
    STEER_AGENT = "steer agent"
    TAKE_OVER_STORY = "take over story"
    RUN_TESTS = "run tests"
    REVIEW_WORK = "review work"
    LINK_SESSIONS = "link sessions"
    ANSWER_ALERT = "answer alert"  # acknowledge, silence
    # in a project: deciding; the question, or the project's budgets, say who may beyond that
    ANSWER_APPROVAL = "answer approval"
    RAISE_BUDGET = "raise budget"
    # in a project: administration
    RUN_PROJECT = "run project"
    IMPORT_STATE = "import state"
    ARCHIVE_PROJECT = "archive project"
    SYNC_REPOSITORY = "sync repository"
    LINK_REPOSITORY = "link repository"  # whose code Orchard pushes to, whose words it takes in
    # operators: global
    CREATE_USER = "create user"
    SEE_USERS = "see users"
    SET_LEVEL = "set level"
    DISABLE_USER = "disable user"
    RESET_LOGIN = "reset login"  # somebody else's password, sessions, second factor
    CHANGE_SETTINGS = "change settings"
    INSTALL_AGENT = "install agent"
    SEE_AUDIT = "see audit"
    PRUNE_AUDIT = "prune audit"
    BACK_UP = "back up"
    RESTORE = "restore"
    CHANGE_STORE_KEY = "change store key"
    STOP_ORCHARD = "stop orchard"
    # operators: in a project
    GRANT_PROJECT_ACCESS = "grant project access"
    SET_SECRET = "set secret"  # noqa: S105
    SEE_SECRET_NAMES = "see secret names"  # noqa: S105
    CHANGE_ISOLATION = "change isolation"
    TEST_ISOLATION = "test isolation"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """`level` is the least that is needed: of the project where `in_project`, else everywhere.

    `scope`: of a token; None: no token will do.
    """

    level: AccessLevel
    scope: Scope | None
    in_project: bool
    seat: Seat


def _rules() -> dict[Action, Rule]:
    a, level = Action, AccessLevel
    rows: tuple[tuple[AccessLevel, Scope | None, bool, Seat, tuple[Action, ...]], ...] = (
        # level, scope, in a project, from where
        (level.VIEWER, Scope.READ, False, Seat.ANY, (a.SEE_SYSTEM, a.SEE_AGENTS, a.SEE_INSIGHTS)),
        (level.VIEWER, Scope.READ, False, Seat.ANY, (a.SEE_RESOURCES, a.SEE_METRICS)),
        (level.VIEWER, Scope.WORK, False, Seat.ANY, (a.SET_OWN_NOTICES,)),
        (level.VIEWER, None, False, Seat.OWN, (a.LINK_OWN_ACCOUNT, a.MANAGE_OWN_LOGIN, a.MANAGE_OWN_TOKENS)),
        (level.VIEWER, None, False, Seat.OWN, (a.ENTER_GUILD,)),
        (level.ADMIN, Scope.MANAGE, False, Seat.ANY, (a.DISCOVER_PROJECTS, a.REGISTER_PROJECT)),
        (level.ADMIN, Scope.MANAGE, False, Seat.ANY, (a.OPTIMIZE_RESOURCES, a.TRANSFER_INSIGHT)),
        (level.VIEWER, Scope.READ, True, Seat.ANY, (a.SEE_PROJECT, a.SEE_TRANSCRIPTS, a.SEE_BUDGETS)),
        (level.VIEWER, Scope.READ, True, Seat.ANY, (a.SEE_ALERTS,)),
        (level.CONTRIBUTOR, Scope.WORK, True, Seat.ANY, (a.EDIT_BACKLOG, a.PLAN_EPIC, a.PLAN_SPRINT)),
        (level.CONTRIBUTOR, Scope.WORK, True, Seat.ANY, (a.RUN_STORY, a.STEER_AGENT, a.TAKE_OVER_STORY)),
        (level.CONTRIBUTOR, Scope.WORK, True, Seat.ANY, (a.RUN_TESTS, a.LINK_SESSIONS, a.RUN_SPRINT)),
        (level.CONTRIBUTOR, Scope.WORK, True, Seat.ANY, (a.SYNC_REPOSITORY,)),
        (level.CONTRIBUTOR, Scope.DECIDE, True, Seat.ANY, (a.APPROVE_STORIES, a.REVIEW_WORK, a.ANSWER_ALERT)),
        (level.ADMIN, Scope.DECIDE, False, Seat.ANY, (a.ANSWER_SYSTEM_ALERT,)),
        (level.VIEWER, Scope.DECIDE, True, Seat.ANY, (a.ANSWER_APPROVAL, a.RAISE_BUDGET)),
        (level.MAINTAINER, Scope.MANAGE, True, Seat.ANY, (a.RUN_PROJECT, a.IMPORT_STATE, a.ARCHIVE_PROJECT)),
        (level.ADMIN, Scope.MANAGE, True, Seat.ANY, (a.LINK_REPOSITORY,)),
        (level.ADMIN, None, False, Seat.OPERATOR, (a.CREATE_USER, a.SEE_USERS, a.SET_LEVEL, a.DISABLE_USER)),
        (level.ADMIN, None, False, Seat.OPERATOR, (a.RESET_LOGIN, a.INSTALL_AGENT, a.SEE_AUDIT, a.BACK_UP)),
        (level.OWNER, None, False, Seat.OPERATOR, (a.CHANGE_SETTINGS, a.PRUNE_AUDIT, a.RESTORE)),
        (level.OWNER, None, False, Seat.OPERATOR, (a.CHANGE_STORE_KEY, a.STOP_ORCHARD)),
        (level.MAINTAINER, None, True, Seat.OPERATOR, (a.SET_SECRET, a.SEE_SECRET_NAMES, a.TEST_ISOLATION)),
        (level.MAINTAINER, None, True, Seat.OPERATOR, (a.GRANT_PROJECT_ACCESS,)),
        (level.ADMIN, None, True, Seat.OPERATOR, (a.CHANGE_ISOLATION,)),
    )
    return {
        action: Rule(level=least, scope=scope, in_project=inside, seat=seat)
        for least, scope, inside, seat, actions in rows
        for action in actions
    }


RULES: Mapping[Action, Rule] = MappingProxyType(_rules())


@dataclass(frozen=True, slots=True, kw_only=True)
class Levels:
    """What somebody is: `everywhere`, and in single projects. The higher of the two counts."""

    everywhere: AccessLevel | None = None
    projects: Mapping[str, AccessLevel] = field(default_factory=dict)

    def within(self, project: str) -> AccessLevel | None:
        granted = self.projects.get(project)
        if granted is None or self.everywhere is None:
            return granted or self.everywhere
        return max(granted, self.everywhere)


NOBODY = Levels()


def level_of_roles(role_levels: Mapping[str, AccessLevel], roles: Collection[str]) -> AccessLevel | None:
    """The highest that these roles of a chat give, by id or name; None: none of them gives any."""
    return max((level for role, level in role_levels.items() if role in roles), default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """Who asks, through which face, and how well that is known.

    `second_factor`: shown in this session. `scopes` and `projects` narrow a token: None is no limit.
    """

    name: str  # for the record: "cli", "user:ann", "discord:1234"
    levels: Levels
    face: Face
    second_factor: bool = False
    scopes: frozenset[Scope] | None = None
    projects: frozenset[str] | None = None
    user_id: str | None = None


AT_THE_MACHINE = Asker(name="cli", levels=Levels(everywhere=AccessLevel.OWNER), face=Face.CLI)
"""Whoever runs commands as the user that Orchard runs as: the machine is theirs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """`why` says in a sentence why not, `needs` what it takes; both empty when it is allowed."""

    allowed: bool
    why: str = ""
    needs: str = ""


ALLOWED = Decision(allowed=True)


def may(action: Action, who: Asker | Standing | Levels, project: str | None = None) -> Decision:
    """Whether `who` may do it; an action in a project needs its name, in the form the store has it.

    A `Standing` is somebody in chat, but for OPERATOR; plain `Levels` are of a face without rights of an
    operator. Raises nothing: an action without a rule, or a project that is not said, is refused.
    """
    asker = who if isinstance(who, Asker) else _asker(who)
    rule = RULES.get(action)
    if rule is None:
        return Decision(allowed=False, why=f"Nobody may {action}: it has no access rule.")
    if rule.in_project and not project:
        return Decision(allowed=False, why=f"To {action} needs a project.", needs="the name of a project")
    if rule.seat is not Seat.ANY and (refused := _seat(action, rule.seat, asker)):
        return refused
    if (refused := _token(action, rule, asker, project)) is not None:
        return refused
    if rule.in_project:
        has = asker.levels.within(project or "")
    else:
        has = _anywhere(asker.levels) if rule.level is AccessLevel.VIEWER else asker.levels.everywhere
    if has is not None and has >= rule.level:
        return ALLOWED
    where = f" in {project}" if rule.in_project else ""
    needed = f"{rule.level.name.lower()}{where}"
    held = "no level" if has is None else f"the level {has.name.lower()}"
    return Decision(
        allowed=False,
        why=f"You may not {action}{where}: it is for the level {needed} and higher, you have {held}.",
        needs=f"the level {needed}",
    )


def require(action: Action, who: Asker | Standing | Levels, project: str | None = None) -> None:
    """Raises NotAllowed with the reason and the way to get the right."""
    decision = may(action, who, project)
    if not decision.allowed:
        raise NotAllowed(
            decision.why, hint=f"It takes {decision.needs}." if decision.needs else "Ask the owner."
        )


def may_grant(
    giver: Asker,
    gives: AccessLevel | None,
    has: AccessLevel | None,
    project: str | None = None,
) -> Decision:
    """Whether `giver` may move somebody from the level `has` to `gives` (None: none), once the action itself
    is allowed. Only owners change owners and equals: nobody lifts another above, or puts down beside, them.
    """
    own = giver.levels.everywhere if project is None else giver.levels.within(project)
    if own is None:
        return Decision(allowed=False, why="You have no level yourself.", needs="a level")
    if own is AccessLevel.OWNER:
        return ALLOWED
    if gives is not None and gives > own:
        return Decision(
            allowed=False,
            why=f"You cannot give the level {gives.name.lower()}: it is above yours ({own.name.lower()}).",
            needs=f"the level {gives.name.lower()}",
        )
    if has is not None and has >= own:
        above = AccessLevel(min(has + 1, AccessLevel.OWNER))
        return Decision(
            allowed=False,
            why=f"You cannot change somebody whose level is {has.name.lower()}: yours is not above it.",
            needs=f"the level {above.name.lower()}",
        )
    return ALLOWED


def _asker(who: Standing | Levels) -> Asker:
    """Fails safe: all but the operator himself has the rights of chat."""
    if isinstance(who, Levels):
        return Asker(name="", levels=who, face=Face.CHAT)
    if who == OPERATOR:
        return AT_THE_MACHINE
    return Asker(name=f"discord:{who.person}", levels=Levels(everywhere=who.level), face=Face.CHAT)


def _seat(action: Action, seat: Seat, asker: Asker) -> Decision | None:
    if asker.face is Face.CLI or (asker.face is Face.WEB and (asker.second_factor or seat is Seat.OWN)):
        return None
    if asker.face is Face.WEB:
        why = f"To {action} takes a second factor in this session."
        return Decision(allowed=False, why=why, needs="a code of your second factor")
    through = "a chat" if asker.face is Face.CHAT else "a token"
    why = f"To {action} is never possible through {through}."
    with_what = " with a second factor" if seat is Seat.OPERATOR else ""
    return Decision(allowed=False, why=why, needs=f"the command line, or the web{with_what}")


def _token(action: Action, rule: Rule, asker: Asker, project: str | None) -> Decision | None:
    scopes = asker.scopes
    if scopes is None:
        if asker.face is Face.API:
            return Decision(allowed=False, why=f"This token has no scopes, so it may not {action}.")
        return None
    if rule.scope is None:
        return Decision(allowed=False, why=f"No token may {action}.", needs="a session on the web")
    if rule.scope not in scopes:
        why = f"This token may not {action}: it lacks the scope {rule.scope}."
        return Decision(allowed=False, why=why, needs=f"a token with the scope {rule.scope}")
    if asker.projects is None:
        return None
    if not rule.in_project:
        why = f"This token is for single projects, so it may not {action}."
        return Decision(allowed=False, why=why, needs="a token for every project")
    if project not in asker.projects:
        return Decision(
            allowed=False, why=f"This token is not for {project}.", needs=f"a token for {project}"
        )
    return None


def _anywhere(levels: Levels) -> AccessLevel | None:
    """For what every user sees. What it tells of single projects, the face asks SEE_PROJECT for."""
    return levels.everywhere or max(levels.projects.values(), default=None)

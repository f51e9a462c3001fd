"""People who may log in: made, given levels, linked, disabled. Of whoever sits at the machine alone."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from core.domain.access import AccessLevel
from core.errors import InvalidInput
from core.orchestrator.commands.topic import Topic
from core.orchestrator.security_views import LinkCode, LinkedAccount, UserView
from core.store import logins, users

if TYPE_CHECKING:
    from core.security.linking import Linking
    from core.security.users import Users


class UserAdmin(Topic):
    """Levels by name, in any case; "none" takes one away."""

    async def users(self) -> tuple[UserView, ...]:
        """By name, the disabled too."""
        return await self._store.read(
            lambda conn: tuple(_view(conn, user.username) for user in users.every(conn))
        )

    async def create_user(self, username: str, email: str, password: str, level: str | None) -> UserView:
        """The first one is an owner, whatever `level` leaves open. Raises InvalidInput, NotAllowed."""
        wanted = _level(level)
        people = self._users()
        if not await self._store.read(lambda conn: users.owners(conn)):
            if level is not None and wanted is not AccessLevel.OWNER:
                raise InvalidInput(
                    "The first user has to be an owner.",
                    why="Nobody could give others their levels otherwise.",
                    hint="Leave the level out, then create the others.",
                )
            made = await people.create_first_owner(username=username, email=email, password=password)
        else:
            made = await people.create_user(username, email, password, wanted)
        return await self._user(made.username)

    async def grant_project_access(self, user: str, project: str, level: str) -> UserView:
        found = await self._users().grant_project_access(user, project.strip().lower(), _level(level))
        return await self._user(found.username)

    async def set_user_level(self, user: str, level: str) -> UserView:
        """Their level everywhere."""
        found = await self._users().set_level(user, _level(level))
        return await self._user(found.username)

    async def disable_user(self, user: str) -> UserView:
        return await self._user((await self._users().disable(user)).username)

    async def enable_user(self, user: str) -> UserView:
        return await self._user((await self._users().enable(user)).username)

    async def reset_password(self, user: str, password: str) -> None:
        """Their sessions end and their tokens are revoked."""
        await self._users().reset_password(user, password)

    async def reset_second_factor(self, user: str) -> None:
        """For who lost both the phone and the recovery codes. Raises NotFound where there is none."""
        from core.security.keys import Purpose
        from core.security.second_factor import KeySeal, SecondFactor
        from core.security.witness import audited

        seal = KeySeal(self._vault.key.derived(Purpose.SECOND_FACTOR))
        await SecondFactor(self._store, seal, audited(self._vault.auditor)).reset(user)

    async def link_code(self, user: str) -> LinkCode:
        """To be typed in Discord as /link by the person who is that user."""
        from core.security.linking import CODE_MINUTES

        code = await self._linking().make_code(user)
        return LinkCode(username=user.strip().lower(), code=code, minutes=CODE_MINUTES)

    async def redeem_link(self, person: str, code: str) -> str:
        """The person of Discord is the code's user from now on; the user's name. Raises NotAllowed."""
        return (await self._linking().redeem(person, code)).username

    async def linked_account(self, person: str) -> LinkedAccount | None:
        """Who the person of Discord (their id) is; None: linked to nobody."""

        def look(conn: sqlite3.Connection) -> LinkedAccount | None:
            user = users.by_person(conn, person)
            if user is None:
                return None
            return LinkedAccount(
                username=user.username,
                everywhere=user.level,
                projects=user.projects,
                disabled=user.disabled_at is not None,
            )

        return await self._store.read(look)

    async def unlink_account(self, person: str) -> None:
        """Raises NotFound when the account is linked to nobody."""
        await self._linking().unlink(person)

    def _users(self) -> Users:
        from core.security.passwords import Passwords
        from core.security.users import Users
        from core.security.witness import audited

        return Users(self._store, Passwords(), audited(self._vault.auditor))

    def _linking(self) -> Linking:
        from core.security.linking import Linking
        from core.security.witness import audited

        return Linking(self._store, witness=audited(self._vault.auditor))

    async def _user(self, name: str) -> UserView:
        return await self._store.read(lambda conn: _view(conn, name))


def _view(conn: sqlite3.Connection, name: str) -> UserView:
    user = users.get(conn, name)
    factor = logins.factor_of(conn, user.id)
    return UserView(
        username=user.username,
        email=user.email,
        level="" if user.level is None else user.level.name.lower(),
        projects={project: level.name.lower() for project, level in user.projects.items()},
        disabled=user.disabled_at is not None,
        second_factor=factor is not None and factor.confirmed_at is not None,
        accounts=users.people_of(conn, user.id),
        made_at=user.made_at,
        made_by=user.made_by,
    )


def _level(text: str | None) -> AccessLevel | None:
    if text is None or text.strip().lower() == "none":
        return None
    try:
        return AccessLevel[text.strip().upper()]
    except KeyError:
        names = ", ".join(level.name.lower() for level in AccessLevel)
        raise InvalidInput(f"There is no level '{text[:40]}'.", hint=f"Take one of {names}.") from None

"""Users: made, given levels, disabled. Every change asks the access matrix, again inside its transaction."""

from __future__ import annotations

import re
import sqlite3
from dataclasses import dataclass, replace

from core.domain.access import AccessLevel
from core.errors import InvalidInput, NotAllowed, NotFound
from core.ids import new_id
from core.security.access import (
    AT_THE_MACHINE,
    NOBODY,
    Action,
    Asker,
    Decision,
    Levels,
    may,
    may_grant,
    require,
)
from core.security.passwords import Passwords, check_new
from core.security.witness import Deed, DeedKind, Witness, nobody_listens
from core.store import api_tokens, logins, projects, users
from core.store.bound import After
from core.store.database import Store
from core.store.transaction import Transaction
from core.store.users import User

_USERNAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,39}")
# RFC 5322's dot-atom: ASCII alone, so no two addresses look alike.
_EMAIL = re.compile(r"[a-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@[a-z0-9](?:[a-z0-9.-]{0,250}[a-z0-9])?")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Checked:
    username: str
    email: str
    password_hash: str


class Users:
    """`by` is who asks; without one it is whoever sits at the machine."""

    def __init__(self, store: Store, passwords: Passwords, witness: Witness = nobody_listens) -> None:
        self._store = store
        self._passwords = passwords
        self._witness = witness

    async def create_first_owner(
        self, *, username: str, email: str, password: str, by: Asker = AT_THE_MACHINE
    ) -> User:
        """Raises NotAllowed when there is an owner, or for anybody who is not at the machine."""
        if by is not AT_THE_MACHINE:
            raise NotAllowed(
                "The first owner is made on the machine.", hint="There: `orchard users create NAME EMAIL`."
            )
        checked = await self._checked(username, email, password)

        def add(tx: Transaction) -> User:
            if users.owners(tx.conn):
                raise NotAllowed("There is an owner already.", hint="Log in as them, or create a user.")
            return self._add(tx, checked, AccessLevel.OWNER, by)

        return await self._store.write(add)

    async def create_user(
        self,
        username: str,
        email: str,
        password: str,
        global_access_level: AccessLevel | None = None,
        by: Asker = AT_THE_MACHINE,
        *,
        also: After | None = None,
    ) -> User:
        """Without a level they see only the projects that they are granted. `also`: in the same transaction.

        Raises NotAllowed, or InvalidInput for a name, an address or a password that cannot be.
        """
        require(Action.CREATE_USER, by)
        checked = await self._checked(username, email, password)

        def add(tx: Transaction) -> User:
            asker = current(tx.conn, by)
            require(Action.CREATE_USER, asker)
            _held(may_grant(asker, global_access_level, None))
            made = self._add(tx, checked, global_access_level, asker)
            if also is not None:
                also(tx, made)
            return made

        return await self._store.write(add)

    async def grant_project_access(
        self, user: str, project: str, level: AccessLevel | None, by: Asker = AT_THE_MACHINE
    ) -> User:
        """Their level in the project, beside the one that they have everywhere; None takes it away."""

        def grant(tx: Transaction) -> User:
            asker = current(tx.conn, by)
            name = project_of(tx.conn, asker, project)
            require(Action.GRANT_PROJECT_ACCESS, asker, name)
            found = users.get(tx.conn, user)
            _held(may_grant(asker, level, levels_of(found).within(name), name))
            users.set_project_level(tx, found.id, name, level, asker.name)
            self._tell(tx, DeedKind.PROJECT_ACCESS_SET, asker, found, level, name)
            return users.get(tx.conn, found.username)

        return await self._store.write(grant)

    async def set_level(self, user: str, level: AccessLevel | None, by: Asker = AT_THE_MACHINE) -> User:
        """Their level everywhere. Raises NotAllowed when nobody would be left who owns Orchard."""

        def change(tx: Transaction) -> User:
            asker, found = self._over(tx, Action.SET_LEVEL, by, user)
            _held(may_grant(asker, level, None if asker.user_id == found.id else found.highest))
            users.set_level(tx, found.id, level)
            _still_owned(tx, found)
            self._tell(tx, DeedKind.LEVEL_SET, asker, found, level)
            return users.get(tx.conn, found.username)

        return await self._store.write(change)

    async def disable(self, user: str, by: Asker = AT_THE_MACHINE) -> User:
        """They cannot log in, their sessions end, their tokens are revoked, in chat they are nobody."""

        def change(tx: Transaction) -> User:
            asker, found = self._over(tx, Action.DISABLE_USER, by, user)
            users.set_disabled(tx, found.id, True)
            _still_owned(tx, found)
            users.drop_code(tx, found.id)
            logins.end_all(tx, found.id, "the user was disabled")
            api_tokens.revoke_all(tx, found.id)
            self._tell(tx, DeedKind.USER_DISABLED, asker, found)
            return users.get(tx.conn, found.username)

        return await self._store.write(change)

    async def enable(self, user: str, by: Asker = AT_THE_MACHINE) -> User:
        def change(tx: Transaction) -> User:
            asker, found = self._over(tx, Action.DISABLE_USER, by, user)
            users.set_disabled(tx, found.id, False)
            self._tell(tx, DeedKind.USER_ENABLED, asker, found)
            return users.get(tx.conn, found.username)

        return await self._store.write(change)

    async def reset_password(self, user: str, password: str, by: Asker = AT_THE_MACHINE) -> None:
        """Somebody else's. All their sessions end and their tokens are revoked."""
        require(Action.RESET_LOGIN, by)
        found = await self._store.read(lambda conn: users.get(conn, user))
        check_new(password, *_names(found))
        kept = await self._passwords.hash(password)

        def change(tx: Transaction) -> None:
            asker, found = self._over(tx, Action.RESET_LOGIN, by, user)
            users.set_password(tx, found.id, kept)
            users.drop_code(tx, found.id)
            logins.end_all(tx, found.id, "the password was reset")
            api_tokens.revoke_all(tx, found.id)
            self._tell(tx, DeedKind.PASSWORD_CHANGED, asker, found)

        await self._store.write(change)

    async def get(self, user: str, by: Asker = AT_THE_MACHINE) -> User:
        require(Action.SEE_USERS, by)
        return await self._store.read(lambda conn: users.get(conn, user))

    async def every(self, by: Asker = AT_THE_MACHINE) -> tuple[User, ...]:
        """By name, the disabled too."""
        require(Action.SEE_USERS, by)
        return await self._store.read(users.every)

    async def _checked(self, username: str, email: str, password: str) -> _Checked:
        name, address = _username(username), _email(email)
        check_new(password, name, address.partition("@")[0], address)
        return _Checked(username=name, email=address, password_hash=await self._passwords.hash(password))

    def _add(self, tx: Transaction, checked: _Checked, level: AccessLevel | None, by: Asker) -> User:
        user = User(
            id=new_id("user"),
            username=checked.username,
            email=checked.email,
            password_hash=checked.password_hash,
            level=level,
            made_at=tx.now,
            made_by=by.name,
        )
        self._tell(tx, DeedKind.USER_MADE, by, users.add(tx, user), level)
        return user

    def _over(self, tx: Transaction, action: Action, by: Asker, user: str) -> tuple[Asker, User]:
        found = sought(tx.conn, action, by, user)
        return over(tx.conn, action, by, found), found

    def _tell(
        self,
        tx: Transaction,
        kind: DeedKind,
        by: Asker,
        user: User,
        level: AccessLevel | None = None,
        project: str | None = None,
    ) -> None:
        data = {} if level is None else {"level": level.name.lower()}
        subject = f"user:{user.username}"
        self._witness(tx, Deed(kind=kind, actor=by.name, subject=subject, project=project, data=data))


def levels_of(user: User) -> Levels:
    """None at all for a disabled one."""
    return NOBODY if user.disabled_at else Levels(everywhere=user.level, projects=user.projects)


def current(conn: sqlite3.Connection, asker: Asker) -> Asker:
    """With the levels that they have now: they may have lost some since they asked."""
    if asker.user_id is None:
        return asker
    user = users.by_id(conn, asker.user_id)
    return replace(asker, levels=NOBODY if user is None else levels_of(user))


def over(conn: sqlite3.Connection, action: Action, by: Asker, user: User) -> Asker:
    """Who asks, as they are now. Raises NotAllowed unless they may, and are above `user` or are them."""
    asker = current(conn, by)
    require(action, asker)
    if asker.user_id != user.id:
        _held(may_grant(asker, None, user.highest))
    return asker


def own_or_over(conn: sqlite3.Connection, own: Action, by: Asker, user: User) -> Asker:
    """As `over`, with the right to reset logins; for one's own it takes the right to `own`."""
    if by.user_id != user.id:
        return over(conn, Action.RESET_LOGIN, by, user)
    asker = current(conn, by)
    require(own, asker)
    return asker


def disabled(user: User) -> NotAllowed:
    return NotAllowed(
        f"{user.username} is disabled.",
        hint=f"Enable them first: `orchard users disable {user.username} --undo`.",
    )


def sought(conn: sqlite3.Connection, action: Action, by: Asker, name: str) -> User:
    """The user, whether or not `by` may do it to them. Raises NotFound only for who may: to others a name
    that nobody has is the same as one that they have no right over."""
    found = users.find(conn, name)
    if found is None:
        require(action, current(conn, by))
        return users.get(conn, name)
    return found


def project_of(conn: sqlite3.Connection, asker: Asker, name: str) -> str:
    """The project's name as the store has it. Raises NotFound for one that is not there or that they do not
    see, in the same words."""
    if asker.levels.everywhere is not None:
        return projects.get(conn, name).name
    found = projects.find(conn, name)
    if found is None or not may(Action.SEE_PROJECT, asker, found.name).allowed:
        raise NotFound(f"There is no project named '{name[:80]}'.", hint="Look at the list of projects.")
    return found.name


def _held(decision: Decision) -> None:
    if not decision.allowed:
        raise NotAllowed(decision.why, hint=f"It takes {decision.needs}.")


def _still_owned(tx: Transaction, changed: User) -> None:
    if changed.level is AccessLevel.OWNER and changed.disabled_at is None and not users.owners(tx.conn):
        raise NotAllowed(
            f"{changed.username} is the only owner.",
            why="Without an owner nobody could administer Orchard.",
            hint="Make another user an owner first.",
        )


def _names(user: User) -> tuple[str, ...]:
    return (user.username, user.email.partition("@")[0], user.email)


def _username(text: str) -> str:
    name = text.strip().lower()
    if not _USERNAME.fullmatch(name):
        raise InvalidInput(
            f"'{text[:60]}' cannot be a user's name.",
            hint="Up to 40 of a-z, 0-9, dot, dash and underscore, a letter or digit first.",
        )
    return name


def _email(text: str) -> str:
    address = text.strip().lower()
    if not _EMAIL.fullmatch(address) or ".." in address:
        raise InvalidInput(f"'{text[:80]}' is no e-mail address.", hint="Such as ann@example.org.")
    return address

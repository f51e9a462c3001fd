"""Who the people of Discord are: linked to a user by a one-time code, or known by a role they have there.

The user makes the code where they are logged in and types it in Discord. In chat nobody has an operator's
rights, whatever their level is: the access matrix sees to that.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from datetime import timedelta

from core.domain.access import AccessLevel
from core.errors import InvalidInput, NotAllowed, NotFound
from core.security import tries
from core.security.access import (
    AT_THE_MACHINE,
    NOBODY,
    Action,
    Asker,
    Face,
    Levels,
    level_of_roles,
)
from core.security.rate_limit import TooManyTries
from core.security.secret_text import hash_code, new_code
from core.security.users import disabled, levels_of, own_or_over, sought
from core.security.witness import Deed, DeedKind, Witness, nobody_listens
from core.store import users
from core.store.database import Store
from core.store.transaction import Transaction
from core.store.users import User

CODE_MINUTES = 10
_PERSON = re.compile(r"[0-9]{1,20}")


class Linking:
    """`role_levels`: a level for each configured role of Discord, by id or name; none makes an owner."""

    def __init__(
        self,
        store: Store,
        role_levels: Mapping[str, AccessLevel] | None = None,
        witness: Witness = nobody_listens,
    ) -> None:
        for role, level in (role_levels or {}).items():
            if level >= AccessLevel.OWNER:
                raise InvalidInput(
                    f"The role {role} cannot make people owners.",
                    why="Whoever manages the server could take Orchard over.",
                    hint="Give it admin or less, and link the owner's account by a code.",
                )
        self._store = store
        self._role_levels = dict(role_levels or {})
        self._witness = witness

    async def make_code(self, user: str, by: Asker = AT_THE_MACHINE) -> str:
        """To be shown once and typed in Discord within CODE_MINUTES. The user's code from before is void."""
        code = new_code()

        def make(tx: Transaction) -> None:
            found = sought(tx.conn, Action.RESET_LOGIN, by, user)
            own_or_over(tx.conn, Action.LINK_OWN_ACCOUNT, by, found)
            if found.disabled_at:
                raise disabled(found)
            users.set_code(tx, found.id, hash_code(code), tx.now + timedelta(minutes=CODE_MINUTES))

        await self._store.write(make)
        return code

    async def redeem(self, person: str, code: str) -> User:
        """The person of Discord (their id) is that user from now on.

        Raises NotAllowed for a code that is wrong, used or too old, without saying which, or TooManyTries.
        """
        person = _id(person)
        one = tries.of_code("link", person)

        def use(tx: Transaction) -> User | TooManyTries | None:
            if wait := tries.begin(tx, one):
                return TooManyTries(wait.total_seconds())
            user = users.use_code(tx, hash_code(code))
            if user is None or user.disabled_at:
                self._tell(tx, DeedKind.LINK_REFUSED, f"discord:{person}", f"discord:{person}")
                return None
            tries.forgive(tx, one)
            users.link(tx, person, user.id)
            self._tell(tx, DeedKind.ACCOUNT_LINKED, f"discord:{person}", f"user:{user.username}")
            return user

        result = await self._store.write(use)
        if isinstance(result, TooManyTries):
            raise result
        if result is None:
            raise NotAllowed(
                "This code is not good.",
                why="It is wrong, used, or too old.",
                hint="Ask for a new one: `orchard users link NAME` on Orchard's machine makes it.",
            )
        return result

    async def unlink(self, person: str, by: Asker = AT_THE_MACHINE) -> None:
        """One's own, or with the right to reset logins."""

        def unlink(tx: Transaction) -> None:
            user = users.by_person(tx.conn, _id(person))
            if user is None:
                raise NotFound(
                    "This account of Discord is linked to nobody.", hint="`orchard users list` shows who is."
                )
            asker = own_or_over(tx.conn, Action.LINK_OWN_ACCOUNT, by, user)
            users.unlink(tx, _id(person))
            self._tell(tx, DeedKind.ACCOUNT_UNLINKED, asker.name, f"user:{user.username}")

        await self._store.write(unlink)

    async def asker(self, person: str, roles: Collection[str] = ()) -> Asker:
        """Who somebody in Discord is: their user's levels, or what their roles give, whichever is higher.

        `roles`: ids and names. A disabled user's account is nobody, whatever its roles.
        """
        person = _id(person)
        user = await self._store.read(lambda conn: users.by_person(conn, person))
        name = f"discord:{person}" if user is None else f"user:{user.username}"
        of_roles = level_of_roles(self._role_levels, roles)
        levels = together(None if user is None else levels_of(user), of_roles)
        if user is not None and user.disabled_at:
            levels = NOBODY
        return Asker(name=name, levels=levels, face=Face.CHAT, user_id=None if user is None else user.id)

    def _tell(self, tx: Transaction, kind: DeedKind, actor: str, subject: str) -> None:
        self._witness(tx, Deed(kind=kind, actor=actor, subject=subject))


def together(own: Levels | None, of_roles: AccessLevel | None) -> Levels:
    if own is None:
        return Levels(everywhere=of_roles)
    everywhere = max((one for one in (own.everywhere, of_roles) if one is not None), default=None)
    return Levels(everywhere=everywhere, projects=own.projects)


def _id(person: str) -> str:
    plain = person.strip().removeprefix("discord:")
    if not _PERSON.fullmatch(plain):
        raise InvalidInput(
            f"'{person[:60]}' is no account of Discord.", hint="Give its id, a number of some 18 digits."
        )
    return plain

"""API tokens: for programs, with scopes, perhaps for some projects only, always with an end."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from datetime import timedelta

from core.clock import Clock
from core.domain.wording import cleaned
from core.errors import InvalidInput, NotAllowed, NotFound
from core.ids import new_id
from core.security.access import AT_THE_MACHINE, Action, Asker, Face, Scope
from core.security.secret_text import API_PREFIX, hash_token, new_token
from core.security.users import disabled, levels_of, own_or_over, project_of, sought
from core.security.witness import Deed, DeedKind, Witness, nobody_listens
from core.store import api_tokens, users
from core.store.api_tokens import ApiToken
from core.store.bound import After
from core.store.database import Store
from core.store.transaction import Transaction
from core.store.users import User

LONGEST_DAYS = 366
MOST_TOKENS = 50  # of a user
_NAME_CHARACTERS = 60
_USED_EVERY = timedelta(minutes=1)  # so that each call is no write


class BadToken(NotAllowed):
    slug = "bad_token"


class ApiTokens:
    """A token can do what its scopes say and its user may at that moment, and nothing of an operator."""

    def __init__(self, store: Store, clock: Clock, witness: Witness = nobody_listens) -> None:
        self._store = store
        self._clock = clock
        self._witness = witness

    async def make(
        self,
        user: str,
        name: str,
        scopes: Collection[Scope],
        *,
        days: int = 90,
        only: Collection[str] = (),
        by: Asker = AT_THE_MACHINE,
        also: After | None = None,
    ) -> tuple[str, ApiToken]:
        """The token, to be shown once, and what is kept of it. `only`: projects; none named: all they see.
        `also`: in the same transaction, of both.

        One's own on the web; for others, at the machine or with the right to reset logins.
        """
        text = new_token(API_PREFIX)
        label = " ".join(cleaned(name).split())
        _check(label, scopes, days)

        def make(tx: Transaction) -> ApiToken:
            found = sought(tx.conn, Action.RESET_LOGIN, by, user)
            asker = own_or_over(tx.conn, Action.MANAGE_OWN_TOKENS, by, found)
            if found.disabled_at:
                raise disabled(found)
            if len(api_tokens.of_user(tx.conn, found.id)) >= MOST_TOKENS:
                raise NotAllowed(f"{found.username} has {MOST_TOKENS} tokens.", hint="Revoke some first.")
            token = ApiToken(
                id=new_id("token"),
                user_id=found.id,
                name=label,
                scopes=tuple(sorted(set(scopes))),
                projects=tuple(sorted({project_of(tx.conn, asker, one) for one in only})),
                made_at=tx.now,
                expires_at=tx.now + timedelta(days=days),
            )
            api_tokens.add(tx, token, hash_token(text))
            self._tell(tx, DeedKind.TOKEN_MADE, asker, found, token)
            if also is not None:
                also(tx, (text, token))
            return token

        return text, await self._store.write(make)

    async def asker(self, token: str) -> Asker:
        """Who shows it, with what they may now. Raises BadToken, in the same words for every reason."""
        hashed = hash_token(token)

        def look(conn: sqlite3.Connection) -> tuple[ApiToken | None, User | None]:
            token = api_tokens.find(conn, hashed)
            return token, None if token is None else users.by_id(conn, token.user_id)

        found, user = await self._store.read(look)
        now = self._clock.now()
        if found is None or user is None or user.disabled_at or found.revoked_at or found.expires_at <= now:
            raise BadToken(
                "This token is not good.",
                why="It is wrong, revoked, or its time is over.",
                hint="Make a new one.",
            )
        if found.used_at is None or now - found.used_at >= _USED_EVERY:
            token_id = found.id
            await self._store.write(lambda tx: api_tokens.used(tx, token_id))
        return Asker(
            name=f"token:{user.username}/{found.name}",
            levels=levels_of(user),
            face=Face.API,
            scopes=frozenset(Scope(one) for one in found.scopes if one in _SCOPES),
            projects=frozenset(found.projects) or None,
            user_id=user.id,
        )

    async def of(self, user: str, by: Asker = AT_THE_MACHINE) -> tuple[ApiToken, ...]:
        """Those that are not revoked, also those whose time is over."""

        def look(conn: sqlite3.Connection) -> tuple[ApiToken, ...]:
            found = sought(conn, Action.RESET_LOGIN, by, user)
            own_or_over(conn, Action.MANAGE_OWN_TOKENS, by, found)
            return api_tokens.of_user(conn, found.id)

        return await self._store.read(look)

    async def revoke(self, token_id: str, by: Asker = AT_THE_MACHINE) -> None:
        """Raises NotFound when there is none of that id, or it was revoked before."""

        def revoke(tx: Transaction) -> None:
            token = api_tokens.by_id(tx.conn, token_id)
            user = None if token is None else users.by_id(tx.conn, token.user_id)
            if token is None or user is None:
                raise NotFound("There is no such token.", hint="Take its id from the list of tokens.")
            asker = own_or_over(tx.conn, Action.MANAGE_OWN_TOKENS, by, user)
            if not api_tokens.revoke(tx, token_id):
                raise NotFound("This token was revoked before.", hint="Nothing was changed.")
            self._tell(tx, DeedKind.TOKEN_REVOKED, asker, user, token)

        await self._store.write(revoke)

    def _tell(self, tx: Transaction, kind: DeedKind, by: Asker, user: User, token: ApiToken) -> None:
        data = {"token": token.id, "name": token.name, "scopes": " ".join(token.scopes)}
        self._witness(tx, Deed(kind=kind, actor=by.name, subject=f"user:{user.username}", data=data))


_SCOPES = frozenset(map(str, Scope))


def _check(name: str, scopes: Collection[Scope], days: int) -> None:
    if not 1 <= len(name) <= _NAME_CHARACTERS:
        raise InvalidInput("A token needs a name.", hint=f"From 1 to {_NAME_CHARACTERS} characters.")
    if not scopes:
        raise InvalidInput("A token needs a scope.", hint=f"Some of: {', '.join(Scope)}.")
    if unknown := [str(one)[:40] for one in scopes if one not in _SCOPES]:
        raise InvalidInput(f"There is no scope {', '.join(unknown)}.", hint=f"Some of: {', '.join(Scope)}.")
    if not 1 <= days <= LONGEST_DAYS:
        raise InvalidInput(f"A token cannot last {days} days.", hint=f"From 1 to {LONGEST_DAYS}.")

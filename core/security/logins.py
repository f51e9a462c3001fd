"""Logins on the web: opened with a password, raised by a second factor, rotated, idle, ended.

A wrong name, a wrong password and a disabled user cost the same time and get the same words.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from core.clock import Clock
from core.domain.wording import cleaned
from core.errors import NotAllowed, NotFound
from core.ids import new_id
from core.security import tries
from core.security.access import AT_THE_MACHINE, NOBODY, Action, Asker, Face
from core.security.passwords import Crowded, Passwords, check_new
from core.security.rate_limit import TooManyTries
from core.security.second_factor import SecondFactor, wrong_code
from core.security.secret_text import SESSION_PREFIX, hash_token, new_token
from core.security.users import levels_of, own_or_over, sought
from core.security.witness import Deed, DeedKind, Witness, nobody_listens
from core.store import logins, users
from core.store.database import Store
from core.store.logins import Login, Shown
from core.store.transaction import Transaction
from core.store.users import User

_OLD_TOKEN_GRACE = timedelta(seconds=10)  # for requests that were under way when it was rotated
_SEEN_EVERY = timedelta(minutes=1)  # so that reading pages is no writing
_ROTATED_EVERY = timedelta(hours=1)
_KEPT = timedelta(days=30)
_CLIENT_CHARACTERS = 120


class NotLoggedIn(NotAllowed):
    slug = "not_logged_in"


class Missing(StrEnum):
    """What a login still needs before it may do anything."""

    NOTHING = "nothing"
    SECOND_FACTOR = "second_factor"  # a code
    ENROLMENT = "enrolment"  # it is required, and the user has none yet


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginRules:
    idle: timedelta  # `session_timeout_minutes`
    longest: timedelta = timedelta(days=7)  # in all, however busy
    second_factor_required: bool = False  # `require_2fa`


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """`asker` has no rights while something is missing."""

    user: User
    login: Login
    missing: Missing
    asker: Asker
    rotation_due: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """`token` is for the cookie alone; the store knows its hash."""

    token: str = field(repr=False)
    missing: Missing
    recovery_codes: tuple[str, ...] = field(default=(), repr=False)


class Logins:
    def __init__(
        self,
        store: Store,
        clock: Clock,
        passwords: Passwords,
        second_factor: SecondFactor,
        rules: LoginRules,
        witness: Witness = nobody_listens,
    ) -> None:
        self._store = store
        self._clock = clock
        self._passwords = passwords
        self._second_factor = second_factor
        self._rules = rules
        self._witness = witness

    async def log_in(self, name: str, password: str, client: str) -> Opened:
        """`name` may be the address; `client` is where it comes from, such as an address of the network.

        Raises NotAllowed, without a word of what was wrong, TooManyTries, or Crowded.
        """

        def begin(tx: Transaction) -> tuple[tries.Try, timedelta, User | None]:
            user = users.find(tx.conn, name)
            one = tries.of_password(name, client, known=_was_there(tx.conn, user, client))
            return one, tries.begin(tx, one), user

        one, wait, user = await self._store.write(begin)
        if wait:
            raise TooManyTries(wait.total_seconds())
        try:
            checked = await self._passwords.check(user.password_hash if user else None, password)
            known = user if checked.right else None
            renewed = known is not None and known.disabled_at is None and checked.outdated
            anew = await self._passwords.hash(password) if renewed else ""
        except Crowded:
            await self._store.write(lambda tx: tries.undo(tx, one))
            raise
        opened = await self._store.write(lambda tx: self._opened(tx, user, known, one, client, anew))
        if opened is None:
            raise NotAllowed("The name or the password is wrong.", hint="Try again.")
        return opened

    def _opened(
        self, tx: Transaction, tried: User | None, known: User | None, one: tries.Try, client: str, anew: str
    ) -> Opened | None:
        now_is = users.by_id(tx.conn, known.id) if known else None
        if (
            known is None
            or now_is is None
            or now_is.disabled_at
            or now_is.password_hash != known.password_hash
        ):
            # What was typed as a name is not recorded: it may be a password.
            self._refused(tx, tried.username if tried else "?", one, client)
            return None
        tries.forgive(tx, one)
        if anew:
            users.rehash(tx, known.id, known.password_hash, anew)
        logins.prune(tx, tx.now - _KEPT)
        token = new_token(SESSION_PREFIX)
        login = Login(
            id=new_id("login"),
            user_id=known.id,
            made_at=tx.now,
            seen_at=tx.now,
            rotated_at=tx.now,
            client=_clean(client),
        )
        logins.add(tx, login, hash_token(token))
        self._tell(tx, DeedKind.LOGGED_IN, known.username, client=login.client)
        return Opened(token=token, missing=self._shown(tx.conn, login)[0])

    def _refused(self, tx: Transaction, name: str, one: tries.Try, client: str) -> None:
        self._tell(tx, DeedKind.LOGIN_REFUSED, name, client=_clean(client))
        if tries.closed_for(tx, one):
            self._tell(tx, DeedKind.LOCKED_OUT, name, client=_clean(client))

    async def prove(self, token: str, code: str) -> Opened:
        """With a code of the second factor. A new token: whoever saw the old one has not gained anything."""
        session = await self._session(token)
        fresh = new_token(SESSION_PREFIX)

        def prove(tx: Transaction) -> bool | TooManyTries | None:
            checked = self._second_factor.check_in(tx, session.user.id, code)
            if checked is True:
                self._rotate(tx, token, fresh, proved=True)
            return checked

        checked = await self._store.write(prove)
        if checked is not True:
            raise checked or wrong_code()
        return Opened(token=fresh, missing=Missing.NOTHING)

    async def confirm(self, token: str, code: str) -> Opened:
        """The first code of a second factor that was begun: it counts from now on, and as shown here."""
        session = await self._session(token)
        fresh = new_token(SESSION_PREFIX)

        def confirm(tx: Transaction) -> tuple[str, ...] | TooManyTries | None:
            codes = self._second_factor.confirm_in(tx, session.user.id, code)
            if isinstance(codes, tuple):
                self._rotate(tx, token, fresh, proved=True)
            return codes

        codes = await self._store.write(confirm)
        if not isinstance(codes, tuple):
            raise codes or wrong_code(enrolling=True)
        return Opened(token=fresh, missing=Missing.NOTHING, recovery_codes=codes)

    async def rotate(self, token: str) -> str:
        """A new token; the old one is good for some seconds more. Raises NotLoggedIn.

        Of several at once with one token, one gets the new one; the others get their own back, which is good
        for those seconds: a browser keeps the new one, in whatever order the answers come, if answers to the
        others set no cookie.
        """
        await self._session(token)
        fresh = new_token(SESSION_PREFIX)

        def rotate(tx: Transaction) -> str:
            if logins.rotate(tx, hash_token(token), hash_token(fresh), proved=False):
                return fresh
            if self._look(tx.conn, token)[0] is None:
                raise _changed()
            return token

        return await self._store.write(rotate)

    async def who(self, token: str) -> Session:
        """Whose session it is, with the rights that they have now. Raises NotLoggedIn."""
        return await self._session(token)

    async def standing(self, login_id: str, *, active: bool = False) -> Session:
        """As `who`, of a session that showed its token before: of a page or a socket that stays open.

        `active`: a person did something, so it is not idle. Raises NotLoggedIn.
        """
        session = await self._store.read(lambda conn: self._standing(conn, login_id))
        if session is None:
            raise NotLoggedIn("You are not logged in any more.", hint="Log in.")
        if active:
            await self._mark_seen(session)
        return session

    async def change_password(self, token: str, old: str, new: str) -> str:
        """Their own; the new token. All their other sessions end. Raises NotAllowed, TooManyTries."""
        session = await self._session(token)
        if session.missing is not Missing.NOTHING:
            raise NotAllowed("This session is not complete.", hint="Show your second factor first.")
        user, one = session.user, tries.of_code("password", session.user.id)
        check_new(new, user.username, user.email.partition("@")[0], user.email)
        if wait := await self._store.write(lambda tx: tries.begin(tx, one)):
            raise TooManyTries(wait.total_seconds())
        try:
            right = (await self._passwords.check(user.password_hash, old)).right
            kept = await self._passwords.hash(new) if right else ""
        except Crowded:
            await self._store.write(lambda tx: tries.undo(tx, one))
            raise
        if not right:
            await self._store.write(lambda tx: self._refused(tx, user.username, one, session.login.client))
            raise NotAllowed("The present password is wrong.", hint="Try again.")
        fresh = new_token(SESSION_PREFIX)

        def change(tx: Transaction) -> None:
            if not users.rehash(tx, user.id, user.password_hash, kept):
                raise NotAllowed("The password was changed meanwhile.", hint="Log in anew.")
            users.set_password(tx, user.id, kept)
            users.drop_code(tx, user.id)
            tries.forgive(tx, one)
            logins.end_all(tx, user.id, "the password was changed", but=session.login.id)
            self._rotate(tx, token, fresh, proved=False)
            self._tell(tx, DeedKind.PASSWORD_CHANGED, user.username)

        await self._store.write(change)
        return fresh

    async def log_out(self, token: str) -> None:
        """Also with the token before, or one that is over: then nothing happens."""

        def end(tx: Transaction) -> None:
            if found := logins.find(tx.conn, hash_token(token)):
                self._end(tx, found[0], "logged out")

        await self._store.write(end)

    async def of(self, user: str, by: Asker = AT_THE_MACHINE) -> tuple[Login, ...]:
        """The user's sessions, the latest seen first. One's own, or with the right to reset logins."""

        def look(conn: sqlite3.Connection) -> tuple[Login, ...]:
            found = sought(conn, Action.RESET_LOGIN, by, user)
            own_or_over(conn, Action.MANAGE_OWN_LOGIN, by, found)
            return tuple(one for one in logins.open_of(conn, found.id) if not self._over(one))

        return await self._store.read(look)

    async def end(self, user: str, login_id: str, by: Asker = AT_THE_MACHINE) -> None:
        """One session. Raises NotFound when the user has none of that id."""

        def end(tx: Transaction) -> None:
            found = sought(tx.conn, Action.RESET_LOGIN, by, user)
            asker = own_or_over(tx.conn, Action.MANAGE_OWN_LOGIN, by, found)
            one = next((one for one in logins.open_of(tx.conn, found.id) if one.id == login_id), None)
            if one is None:
                raise NotFound("There is no such session.", hint="It may have ended by itself.")
            self._end(tx, one, "revoked", asker.name)

        await self._store.write(end)

    async def end_all(self, user: str, by: Asker = AT_THE_MACHINE, *, but: str = "") -> int:
        """All sessions of the user, but perhaps the one with that id. How many."""

        def end(tx: Transaction) -> int:
            found = sought(tx.conn, Action.RESET_LOGIN, by, user)
            asker = own_or_over(tx.conn, Action.MANAGE_OWN_LOGIN, by, found)
            ending = [one for one in logins.open_of(tx.conn, found.id) if one.id != but]
            for one in ending:
                self._end(tx, one, "revoked", asker.name)
            return len(ending)

        return await self._store.write(end)

    async def _session(self, token: str) -> Session:
        session, stale = await self._store.read(lambda conn: self._look(conn, token))
        if session is None and stale is not None:
            await self._store.write(lambda tx: self._put_away(tx, token))
        if session is None:
            raise NotLoggedIn("You are not logged in.", hint="Log in.")
        await self._mark_seen(session)
        return session

    async def _mark_seen(self, session: Session) -> None:
        if self._clock.now() - session.login.seen_at >= min(_SEEN_EVERY, self._rules.idle / 10):
            await self._store.write(lambda tx: logins.seen(tx, session.login.id))

    def _standing(self, conn: sqlite3.Connection, login_id: str) -> Session | None:
        login = logins.by_id(conn, login_id)
        if login is None or login.ended_at is not None or self._over(login):
            return None
        user = users.by_id(conn, login.user_id)
        if user is None or user.disabled_at:
            return None
        return self._session_of(conn, login, user, rotation_due=False)

    def _look(self, conn: sqlite3.Connection, token: str) -> tuple[Session | None, Login | None]:
        """The session, or the login that is to be ended."""
        found = logins.find(conn, hash_token(token))
        if found is None or found[0].ended_at is not None:
            return None, None
        login, which = found
        user = users.by_id(conn, login.user_id)
        if user is None or user.disabled_at or self._over(login) or self._stolen(login, which):
            return None, login
        due = which is Shown.PRESENT and self._clock.now() - login.rotated_at >= _ROTATED_EVERY
        return self._session_of(conn, login, user, rotation_due=due), None

    def _session_of(
        self, conn: sqlite3.Connection, login: Login, user: User, *, rotation_due: bool
    ) -> Session:
        missing, proved = self._shown(conn, login)
        asker = Asker(
            name=f"user:{user.username}",
            levels=levels_of(user) if missing is Missing.NOTHING else NOBODY,
            face=Face.WEB,
            second_factor=proved,
            user_id=user.id,
        )
        return Session(user=user, login=login, missing=missing, asker=asker, rotation_due=rotation_due)

    def _shown(self, conn: sqlite3.Connection, login: Login) -> tuple[Missing, bool]:
        """What it lacks, and whether a code of the second factor of now was shown in it."""
        factor = logins.factor_of(conn, login.user_id)
        if factor is None or factor.confirmed_at is None:
            return Missing.ENROLMENT if self._rules.second_factor_required else Missing.NOTHING, False
        proved = login.proved_at is not None and login.proved_at >= factor.confirmed_at
        return Missing.NOTHING if proved else Missing.SECOND_FACTOR, proved

    def _over(self, login: Login) -> bool:
        """Also when the clock went back for longer than that: or a session of a day when it was wrong would
        live until that day comes."""
        now = self._clock.now()
        return abs(now - login.seen_at) >= self._rules.idle or abs(now - login.made_at) >= self._rules.longest

    def _stolen(self, login: Login, which: Shown) -> bool:
        """Whoever has a token that was replaced long ago got it elsewhere (as RFC 9700, 4.14.2, reasons)."""
        if which is not Shown.PREVIOUS:
            return which is Shown.FORMER
        return abs(self._clock.now() - login.rotated_at) > _OLD_TOKEN_GRACE

    def _put_away(self, tx: Transaction, token: str) -> None:
        found = logins.find(tx.conn, hash_token(token))
        if found is None or found[0].ended_at is not None:
            return
        login, which = found
        user = users.by_id(tx.conn, login.user_id)
        if self._stolen(login, which):
            self._end(tx, login, "an old token was shown", kind=DeedKind.STOLEN_TOKEN_SHOWN)
        elif user is None or user.disabled_at or self._over(login):
            self._end(tx, login, "its time was over")

    def _rotate(self, tx: Transaction, token: str, fresh: str, *, proved: bool) -> None:
        if not logins.rotate(tx, hash_token(token), hash_token(fresh), proved=proved):
            raise _changed()

    def _end(
        self,
        tx: Transaction,
        login: Login,
        why: str,
        actor: str = "",
        kind: DeedKind = DeedKind.LOGIN_ENDED,
    ) -> None:
        if logins.end(tx, login.id, why):
            user = users.by_id(tx.conn, login.user_id)
            self._tell(tx, kind, user.username if user else "?", actor, why=why, login=login.id)

    def _tell(self, tx: Transaction, kind: DeedKind, username: str, actor: str = "", **data: str) -> None:
        subject = f"user:{username}"
        self._witness(tx, Deed(kind=kind, actor=actor or subject, subject=subject, data=data))


def _was_there(conn: sqlite3.Connection, user: User | None, client: str) -> bool:
    if user is None:
        return False
    place = tries.place_of(_clean(client))
    return any(tries.place_of(each) == place for each in logins.clients_of(conn, user.id))


def _changed() -> NotLoggedIn:
    return NotLoggedIn("This session has changed meanwhile.", hint="Try again, or log in anew.")


def _clean(client: str) -> str:
    return " ".join(cleaned(client[: 4 * _CLIENT_CHARACTERS]).split())[:_CLIENT_CHARACTERS]

"""Links that log somebody in once, made by whoever sits at the machine: to try Orchard without a password.

They are held in memory, by their hashes: none outlives the process. Making one and using one are audited.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from core.clock import Clock
from core.domain.wording import cleaned
from core.errors import InvalidInput, NotAllowed
from core.ids import new_id
from core.security.access import AT_THE_MACHINE, Asker
from core.security.logins import Logins, Opened
from core.security.secret_text import SESSION_PREFIX, hash_token, new_token
from core.security.users import disabled
from core.security.witness import Deed, DeedKind, Witness, nobody_listens
from core.store import logins, users
from core.store.database import Store
from core.store.logins import Login
from core.store.transaction import Transaction

ENTRY_PREFIX = "orce_"
LONGEST = timedelta(hours=1)
_MOST = 100  # links that wait to be used
_CLIENT_CHARACTERS = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class _Link:
    user_id: str
    until: float  # by the monotonic clock


class EntryLinks:
    def __init__(
        self, store: Store, clock: Clock, sessions: Logins, witness: Witness = nobody_listens
    ) -> None:
        self._store = store
        self._clock = clock
        self._sessions = sessions
        self._witness = witness
        self._links: dict[str, _Link] = {}

    async def make(self, user: str, lasting: timedelta, by: Asker = AT_THE_MACHINE) -> str:
        """The token of a link that logs `user` in. Raises NotAllowed for who is not at the machine and for a
        disabled user; InvalidInput for a time that is none or longer than an hour."""
        if by is not AT_THE_MACHINE:
            raise NotAllowed("A link that logs in is made on the machine.", hint="Log in with a password.")
        if not timedelta(0) < lasting <= LONGEST:
            raise InvalidInput("Such a link lasts up to an hour.", why=f"{lasting} is not within that.")
        self._forget_old()
        if len(self._links) >= _MOST:
            raise NotAllowed("Too many links wait to be used.", hint="Wait until they are over.")

        def tell(tx: Transaction) -> str:
            found = users.get(tx.conn, user)
            if found.disabled_at:
                raise disabled(found)
            data = {"minutes": max(1, round(lasting.total_seconds() / 60))}
            subject = f"user:{found.username}"
            self._witness(tx, Deed(kind=DeedKind.ENTRY_MADE, actor=by.name, subject=subject, data=data))
            return found.id

        user_id, token = await self._store.write(tell), new_token(ENTRY_PREFIX)
        until = self._clock.monotonic() + lasting.total_seconds()
        self._links[hash_token(token)] = _Link(user_id=user_id, until=until)
        return token

    def whose(self, token: str) -> str | None:
        """The id of the user whom it would log in; it stays good. None: it is over, or none of ours."""
        self._forget_old()
        link = self._links.get(hash_token(token))
        return None if link is None else link.user_id

    async def enter(self, token: str, client: str) -> Opened:
        """Logs in: of several who use one link at once, one does. Raises NotAllowed.

        A user with a second factor still has to show it.
        """
        self._forget_old()
        link = self._links.pop(hash_token(token), None)
        if link is None:
            raise NotAllowed(
                "This link is over.",
                why="It is good once, and for a short time.",
                hint="Have a new one made where Orchard runs.",
            )
        fresh = new_token(SESSION_PREFIX)
        await self._store.write(lambda tx: self._open(tx, link, fresh, client))
        return Opened(token=fresh, missing=(await self._sessions.who(fresh)).missing)

    def _open(self, tx: Transaction, link: _Link, token: str, client: str) -> None:
        user = users.by_id(tx.conn, link.user_id)
        if user is None or user.disabled_at:
            raise NotAllowed("This link is over.", why="Its user is not there any more.")
        login = Login(
            id=new_id("login"),
            user_id=user.id,
            made_at=tx.now,
            seen_at=tx.now,
            rotated_at=tx.now,
            client=" ".join(cleaned(client[: 4 * _CLIENT_CHARACTERS]).split())[:_CLIENT_CHARACTERS],
        )
        logins.add(tx, login, hash_token(token))
        subject = f"user:{user.username}"
        data = {"client": login.client, "by": "a one-time link"}
        self._witness(tx, Deed(kind=DeedKind.LOGGED_IN, actor=subject, subject=subject, data=data))

    def _forget_old(self) -> None:
        now = self._clock.monotonic()
        self._links = {key: link for key, link in self._links.items() if link.until > now}

"""The second factor: codes of an authenticator (TOTP, RFC 6238), and recovery codes for when it is lost."""

from __future__ import annotations

import hmac
import re
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeVar

import pyotp

from core.errors import InvalidInput, NotAllowed, NotFound, Unavailable
from core.security import tries
from core.security.access import AT_THE_MACHINE, Action, Asker
from core.security.rate_limit import TooManyTries
from core.security.sealing import NONCE_BYTES, Place, Unsealable, seal, unseal
from core.security.secret_text import hash_code, new_code
from core.security.users import over, sought
from core.security.witness import Deed, DeedKind, Witness, nobody_listens
from core.store import logins, users
from core.store.database import Store
from core.store.transaction import Transaction

T = TypeVar("T")

STEP_SECONDS = 30
RECOVERY_CODES = 10
_DRIFT_STEPS = 1  # either way: a phone's clock, and the time that typing takes
_DIGITS = re.compile(r"[0-9]{6}")
_ISSUER = "Orchard"


class Seal(Protocol):
    """Keeps what the store holds of a secret unreadable without a key."""

    def seal(self, text: str, about: str) -> bytes: ...
    def unseal(self, sealed: bytes, about: str) -> str:
        """Raises Unsealable when the key is another, or it was made for something else."""
        ...


class KeySeal:
    """By a key of 32 bytes, which is for this purpose alone."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def seal(self, text: str, about: str) -> bytes:
        nonce = secrets.token_bytes(NONCE_BYTES)
        return nonce + seal(self._key, nonce, _place(about), text)

    def unseal(self, sealed: bytes, about: str) -> str:
        return unseal(self._key, sealed[:NONCE_BYTES], _place(about), sealed[NONCE_BYTES:])


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolment:
    """To be shown once: the secret in base 32 for typing, the address for a picture to scan."""

    secret: str
    address: str


class SecondFactor:
    """`user_id` is of somebody who has just proved their password: faces take it from the session."""

    def __init__(self, store: Store, seal: Seal, witness: Witness = nobody_listens) -> None:
        self._store = store
        self._seal = seal
        self._witness = witness

    async def begin(self, user_id: str) -> Enrolment:
        """Counts only once `confirm` has seen a code of it. Raises NotAllowed when there is one already."""
        secret = pyotp.random_base32()
        sealed = self._seal.seal(secret, user_id)

        def keep(tx: Transaction) -> str:
            user = _user(tx, user_id)
            if not logins.begin_factor(tx, user_id, sealed):
                raise NotAllowed(
                    "You have a second factor already.", hint="Remove it first; that takes a code of it."
                )
            return user.username

        name = await self._store.write(keep)
        address = pyotp.TOTP(secret).provisioning_uri(name=name, issuer_name=_ISSUER)
        return Enrolment(secret=secret, address=address)

    async def confirm(self, user_id: str, code: str) -> tuple[str, ...]:
        """From now on it is asked for. The recovery codes, to be shown once: each is good for one time."""

        return _or_raise(await self._store.write(lambda tx: self.confirm_in(tx, user_id, code)))

    def confirm_in(self, tx: Transaction, user_id: str, code: str) -> tuple[str, ...] | TooManyTries | None:
        """The same in a transaction, as `check_in`."""
        factor = logins.factor_of(tx.conn, user_id)
        if factor is None or factor.confirmed_at is not None:
            raise NotFound("No second factor waits to be confirmed.", hint="Begin anew.")
        if wait := tries.begin(tx, _try(user_id)):
            return TooManyTries(wait.total_seconds())
        if not self._take_totp(tx, user_id, code):
            self._tell(tx, DeedKind.SECOND_FACTOR_REFUSED, user_id)
            return None
        tries.forgive(tx, _try(user_id))
        self._tell(tx, DeedKind.SECOND_FACTOR_SET, user_id)
        return _new_recovery_codes(tx, user_id)

    async def check(self, user_id: str, code: str) -> None:
        """Returns when it is a code of the authenticator or a recovery code, and uses it up.

        Raises NotAllowed for every other, TooManyTries after some.
        """
        _or_raise(await self._store.write(lambda tx: self.check_in(tx, user_id, code)))

    def check_in(self, tx: Transaction, user_id: str, code: str) -> bool | TooManyTries | None:
        """The same in a transaction, which keeps what was counted: so it returns what is to be raised."""
        if wait := tries.begin(tx, _try(user_id)):
            return TooManyTries(wait.total_seconds())
        factor = logins.factor_of(tx.conn, user_id)
        if factor is None or factor.confirmed_at is None or not self._take(tx, user_id, code):
            self._tell(tx, DeedKind.SECOND_FACTOR_REFUSED, user_id)
            if tries.closed_for(tx, _try(user_id)):
                self._tell(tx, DeedKind.LOCKED_OUT, user_id)
            return None
        tries.forgive(tx, _try(user_id))
        return True

    async def renew_recovery_codes(self, user_id: str, code: str) -> tuple[str, ...]:
        """Those from before are void. Takes a code."""

        def renew(tx: Transaction) -> tuple[str, ...] | TooManyTries | None:
            checked = self.check_in(tx, user_id, code)
            return _new_recovery_codes(tx, user_id) if checked is True else checked or None

        return _or_raise(await self._store.write(renew))

    async def remove(self, user_id: str, code: str) -> None:
        """Somebody's own. Takes a code."""

        def remove(tx: Transaction) -> bool | TooManyTries | None:
            checked = self.check_in(tx, user_id, code)
            if checked is True:
                logins.remove_factor(tx, user_id)
                self._tell(tx, DeedKind.SECOND_FACTOR_REMOVED, user_id)
            return checked

        _or_raise(await self._store.write(remove))

    async def reset(self, user: str, by: Asker = AT_THE_MACHINE) -> None:
        """Somebody else's, who lost both phone and recovery codes. Their sessions end."""

        def reset(tx: Transaction) -> None:
            found = sought(tx.conn, Action.RESET_LOGIN, by, user)
            asker = over(tx.conn, Action.RESET_LOGIN, by, found)
            if not logins.remove_factor(tx, found.id):
                raise NotFound(f"{found.username} has no second factor.", hint="Nothing was changed.")
            logins.end_all(tx, found.id, "the second factor was reset")
            self._tell(tx, DeedKind.SECOND_FACTOR_REMOVED, found.id, asker.name)

        await self._store.write(reset)

    async def recovery_codes_left(self, user_id: str) -> int:
        return await self._store.read(lambda conn: logins.recovery_codes_left(conn, user_id))

    def _take(self, tx: Transaction, user_id: str, code: str) -> bool:
        if self._take_totp(tx, user_id, code):
            return True
        if not logins.use_recovery_code(tx, user_id, hash_code(code, user_id)):
            return False
        self._tell(tx, DeedKind.RECOVERY_CODE_USED, user_id)
        return True

    def _take_totp(self, tx: Transaction, user_id: str, code: str) -> bool:
        factor = logins.factor_of(tx.conn, user_id)
        typed = "".join(code[:40].split())
        if factor is None or not _DIGITS.fullmatch(typed):
            return False
        totp = pyotp.TOTP(self._unsealed(factor.sealed, user_id))
        step = matching_step(totp, typed, tx.now)
        # RFC 6238, 5.2: no code is taken twice.
        return step is not None and logins.take_step(tx, user_id, step)

    def _unsealed(self, sealed: bytes, user_id: str) -> str:
        try:
            return self._seal.unseal(sealed, user_id)
        except Unsealable as error:
            raise Unavailable(
                "The second factor cannot be read.",
                why="It was sealed with another key than the one of now.",
                hint="Bring the former key back, or reset it: `orchard users reset NAME --second-factor`.",
            ) from error

    def _tell(self, tx: Transaction, kind: DeedKind, user_id: str, actor: str | None = None) -> None:
        subject = f"user:{_user(tx, user_id).username}"
        self._witness(tx, Deed(kind=kind, actor=actor or subject, subject=subject))


def reseal(tx: Transaction, old: Seal, new: Seal) -> int:
    """Under another key, with whatever else its change does in this transaction. How many.

    Raises Unsealable when `old` opens one of them not: then none is changed.
    """
    kept = logins.sealed_factors(tx.conn)
    for user_id, sealed in kept.items():
        logins.set_sealed(tx, user_id, new.seal(old.unseal(sealed, user_id), user_id))
    return len(kept)


def matching_step(totp: pyotp.TOTP, code: str, now: datetime) -> int | None:
    """The step (30 seconds each since 1970) whose code it is, of those around now. All are compared."""
    present = int(now.timestamp()) // STEP_SECONDS
    found = None
    for step in range(max(0, present - _DRIFT_STEPS), present + _DRIFT_STEPS + 1):
        if hmac.compare_digest(totp.generate_otp(step).encode(), code.encode("utf-8", "surrogatepass")):
            found = step
    return found


def wrong_code(*, enrolling: bool = False) -> NotAllowed:
    other = "begin anew" if enrolling else "take a recovery code"
    return NotAllowed("This code is not right.", hint=f"Wait for the next one, or {other}.")


def _or_raise(result: T | TooManyTries | None) -> T:
    if result is None:
        raise wrong_code()
    if isinstance(result, TooManyTries):
        raise result
    return result


def _user(tx: Transaction, user_id: str) -> users.User:
    user = users.by_id(tx.conn, user_id)
    if user is None:
        raise InvalidInput("There is no such user.")
    return user


def _new_recovery_codes(tx: Transaction, user_id: str) -> tuple[str, ...]:
    codes = tuple(new_code() for _ in range(RECOVERY_CODES))
    logins.set_recovery_codes(tx, user_id, [hash_code(code, user_id) for code in codes])
    return codes


def _try(user_id: str) -> tries.Try:
    return tries.of_code("second factor", user_id)


def _place(about: str) -> Place:
    return Place(project="", name=f"second factor of {about}", version=1)

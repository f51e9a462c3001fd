"""Another key for the store, its secrets and its audit log; also from plain to encrypted, and back.

Works on a store that nobody has open. A copy under the new key is made and proven beside it and then put in
its place, so a kill at any moment leaves a store that opens with the old key or with the new one. Where the
key is in a file, the new one waits beside it until then, and `settled` takes the one that fits.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from core.clock import Clock
from core.durable_file import sync_folder
from core.errors import InvalidInput, OrchardError, Unavailable
from core.security.audit import AuditKind, Mark
from core.security.keys import Key, KeySource, Purpose, keep_key, read_key, replace_key
from core.security.sealing import Unsealable
from core.security.secrets import reseal
from core.store import audit, migrations
from core.store.auditor import Auditor
from core.store.cipher import Cipher, connect_plain
from core.store.replacing import (
    Proven,
    cipher_of,
    connected,
    counts,
    draft_beside,
    explained,
    held,
    no_store,
    prove,
    put_in_place,
)
from core.store.transaction import Transaction


def change_key(
    path: Path,
    old: Key,
    new: Key,
    *,
    encrypted: bool,
    clock: Clock,
    actor: str,
    seen: Mark | None = None,
) -> Proven:
    """The store at `path` is `encrypted` or plain from now on, and everything in it sealed and signed with
    `new`.

    The same key twice only encrypts or decrypts the file. Raises Unavailable, with nothing changed, when the
    store is in use, `old` is not its key, or a secret or the audit log is not sound or has lost what was
    `seen` of it. Backups keep the key that they have.
    """
    if not path.exists():
        raise no_store(path)
    before = cipher_of(path, old)
    after = Cipher(new) if encrypted else None
    with explained(path, before), held(path, before) as source, draft_beside(path, "rekey") as draft:
        if migrations.version(source) != migrations.steps()[-1].number:
            raise Unavailable(
                "The store is of an older Orchard.",
                hint="Let this one bring it up: `orchard run`, stop it, then try again.",
            )
        rows = counts(source)
        _copy(path, before, draft, after)
        how = _Told(encrypted=encrypted, clock=clock, actor=actor, seen=seen)
        recorded = _hand_over(draft, old, new, after, how)
        proven = prove(draft, new)
        if dict(proven.rows) != {**rows, "audit_log": rows["audit_log"] + recorded}:
            raise Unavailable(
                "The copy under the new key has not all rows.", hint="Nothing was changed. Try again."
            )
        put_in_place(draft, path)
    return proven


def change_key_in_file(
    path: Path,
    source: KeySource,
    *,
    encrypted: bool,
    clock: Clock,
    actor: str,
    seen: Mark | None = None,
) -> Proven:
    """A new random key in the key file and the store. The old one is kept beside it, named by its id: backups
    that were made before open with it. Raises as `change_key`, and InvalidInput where there is no key in the
    file."""
    settled(path, source.file)
    old = read_key(source.file)
    if old is None:
        raise InvalidInput(
            f"There is no key in {source.file}.",
            why="A key from the environment or a command is changed where it comes from.",
            hint="Put the old one there, or give the new one in ORCHARD_NEW_KEY.",
        )
    waiting = _waiting(source.file)
    new = keep_key(waiting, Key.new())
    try:
        proven = change_key(path, old, new, encrypted=encrypted, clock=clock, actor=actor, seen=seen)
    except OrchardError:
        waiting.unlink()
        raise
    _settle(source.file, old, new)
    return proven


def settled(path: Path, file: Path) -> Key | None:
    """The key in the file, after a change that was cut off is finished or given up, whichever the store is
    at.

    To be asked for at start, before the store is opened. Raises Unavailable when neither key fits."""
    old, new = read_key(file), read_key(_waiting(file))
    if new is None:
        return old
    if path.exists() and fits(path, new):
        _settle(file, old, new)
        return new
    if old is not None and (not path.exists() or fits(path, old)):
        _waiting(file).unlink()
        return old
    raise Unavailable(
        "The store opens with none of the keys.",
        why=f"A change of the key was cut off; {file} and {_waiting(file).name} beside it were tried.",
        hint=f"Put the key of a backup in {file}, move {_waiting(file)} away, then `orchard restore FILE`.",
    )


def fits(path: Path, key: Key) -> bool:
    """Whether the store opens with it and its audit log is signed with it. Raises Unavailable for other
    faults."""
    cipher = cipher_of(path, key)
    try:
        with closing(connected(path, cipher)) as conn:
            at = audit.head(conn)
            return at.key_id in ("", key.id)  # '': nothing was signed or sealed yet
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_NOTADB:
            return False
        with explained(path, cipher):
            raise
        raise AssertionError from error  # `explained` raises always


def _copy(path: Path, before: Cipher | None, draft: Path, after: Cipher | None) -> None:
    """All pages, rows, numbers. Through SQLCipher unless both are plain."""
    if before is None and after is None:
        with closing(connected(path, None)) as conn, closing(connected(draft, None)) as target:
            conn.backup(target)
            target.execute("PRAGMA journal_mode = DELETE")
        return
    opened = connect_plain(path, isolation_level=None) if before is None else connected(path, before)
    with closing(opened) as conn:
        conn.execute("PRAGMA temp_store = MEMORY")
        conn.execute("ATTACH ? AS fresh KEY ?", (str(draft), "" if after is None else after.phrase))
        conn.execute("SELECT sqlcipher_export('fresh')").fetchone()
        for name in ("application_id", "user_version"):
            conn.execute(f"PRAGMA fresh.{name} = {conn.execute(f'PRAGMA main.{name}').fetchone()[0]}")
        conn.execute("DETACH fresh")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    encrypted: bool
    clock: Clock
    actor: str
    seen: Mark | None


def _hand_over(draft: Path, old: Key, new: Key, cipher: Cipher | None, how: _Told) -> int:
    """Secrets and signatures in the copy, in one transaction. Returns how many rows the audit log got."""
    from core.security import second_factor  # with argon2 behind it, for a key that hardly ever changes

    with closing(connected(draft, cipher)) as conn:
        conn.execute("PRAGMA synchronous = FULL")
        conn.execute("BEGIN IMMEDIATE")
        before = audit.head(conn).seq
        auditor = Auditor(new)
        auditor.sign_anew(conn, Auditor(old), seen=how.seen)
        sealed = reseal(conn, old, new)
        tx = Transaction(conn, how.clock.now())
        try:
            seals = (second_factor.KeySeal(key.derived(Purpose.SECOND_FACTOR)) for key in (old, new))
            factors = second_factor.reseal(tx, *seals)
        except Unsealable as error:
            raise Unavailable(
                "A second factor does not open with the key that the store has.",
                why="Its row was altered, or it was sealed with another key.",
                hint="Reset it (`orchard users reset NAME --second-factor`), then try again.",
            ) from error
        conn.execute("DELETE FROM idempotency_keys")  # digests and answers that only the old key reads
        data: Mapping[str, object] = {
            "from": old.id,
            "to": new.id,
            "secrets": sealed,
            "second_factors": factors,
            "encrypted": how.encrypted,
        }
        auditor.record(tx, AuditKind.KEY_CHANGED, actor=how.actor, data=data)
        conn.execute("COMMIT")
        return audit.head(conn).seq - before


def _waiting(file: Path) -> Path:
    return file.with_name(f"{file.name}.next")


def _settle(file: Path, old: Key | None, new: Key) -> None:
    """The file holds the new key; the old one is kept by its id. Each step may be done already."""
    if old is not None and old != new:
        keep_key(file.with_name(f"{file.name}.{old.id}"), old)
    replace_key(file, new)
    _waiting(file).unlink(missing_ok=True)
    sync_folder(file.parent)

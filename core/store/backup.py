"""Backups of the store: made while it is in use, proven, encrypted as it is; and put back.

A backup is one file, complete in itself, of one moment. It opens with the key that the store had then; a
plain one is signed with it.
"""

from __future__ import annotations

import re
import secrets
import shutil
import sqlite3
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from core.clock import Clock
from core.durable_file import sync_folder
from core.errors import Unavailable
from core.security.audit import AuditKind, Mark
from core.security.keys import Key
from core.store import audit, migrations
from core.store.auditor import Auditor
from core.store.cipher import is_plain
from core.store.replacing import (
    Proven,
    cipher_of,
    clear,
    connected,
    counts,
    draft_beside,
    explained,
    held,
    no_store,
    prove,
    put_in_place,
)
from core.store.signed_file import sign_file, strip_signature
from core.store.transaction import Transaction
from core.store.withdrawn import Withdrawn, withdraw_again, withdrawn_of

_STAMP = "%Y%m%dT%H%M%S"  # UTC; names sort by age
_NAME = re.compile(r"orchard-(?P<at>\d{8}T\d{6})Z-[0-9a-f]{6}\.db")


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    path: Path
    at: datetime
    proven: Proven


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """`given_up` are the rows of the audit log that the store had beyond the backup; None where it could not
    be read. `kept` is the store as it was, None in a dry run or where there was none."""

    proven: Proven
    given_up: int | None
    kept: Path | None


def back_up(path: Path, folder: Path, key: Key, *, clock: Clock) -> Backup:
    """A proven backup of the store at `path`, in `folder`, with mode 0600. Others go on writing meanwhile.

    One step of SQLite's online backup, of one snapshot: its tables have as many rows as the snapshot's.
    Blocks for about two seconds a gigabyte. Raises Unavailable, and then leaves no file, when it cannot be
    made or is not sound.
    """
    at = clock.now()
    final = folder / f"orchard-{at:{_STAMP}}Z-{secrets.token_hex(3)}.db"
    cipher = cipher_of(path, key)
    with explained(path, cipher):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with explained(path, cipher), draft_beside(final, "part") as draft:
        if not path.exists():
            raise no_store(path)
        with closing(connected(path, cipher)) as conn, closing(connected(draft, cipher)) as target:
            migrations.check_owner(conn, path)
            conn.execute("BEGIN")
            rows = counts(conn)
            conn.backup(target, pages=-1)
            conn.execute("ROLLBACK")
            target.execute("PRAGMA journal_mode = DELETE")  # complete in itself
        proven = prove(draft, key)
        if dict(proven.rows) != rows:
            raise Unavailable("The backup has not all rows of the store.", hint="Try again.")
        if cipher is None:
            sign_file(draft, key)
        put_in_place(draft, final)
    return Backup(path=final, at=at, proven=proven)


def newest_backup(folder: Path) -> datetime | None:
    """When the newest one was made, by its name; None where there is none."""
    names = [match["at"] for path in folder.glob("orchard-*.db") if (match := _NAME.fullmatch(path.name))]
    return datetime.strptime(max(names), _STAMP).replace(tzinfo=UTC) if names else None


def prune_backups(folder: Path, *, keep_days: int, keep: int | None = None, clock: Clock) -> tuple[Path, ...]:
    """Removes backups that are older, by their names, or beyond the newest `keep`, but never the newest one,
    and what is left of ones that were cut off more than a day ago. Returns what was removed."""
    yesterday = f"{clock.now() - timedelta(days=1):{_STAMP}}"
    for part in folder.glob("orchard-*.db.part"):
        match = _NAME.fullmatch(part.name.removesuffix(".part"))
        if match is not None and match["at"] < yesterday:
            clear(part)
    found = sorted(path for path in folder.glob("orchard-*.db") if _NAME.fullmatch(path.name))
    beyond = set(found[: -max(1, keep)]) if keep is not None else set()
    limit = f"{clock.now() - timedelta(days=keep_days):{_STAMP}}"
    old = []
    for path in found[:-1]:
        match = _NAME.fullmatch(path.name)
        if match is not None and (match["at"] < limit or path in beyond):
            path.unlink()
            old.append(path)
    return tuple(old)


def restore(
    backup: Path,
    path: Path,
    key: Key,
    *,
    clock: Clock,
    actor: str,
    encrypted: bool | None = None,
    unsigned: bool = False,
    seen: Mark | None = None,
    dry_run: bool,
) -> Restored:
    """Puts the backup in the store's place; nobody may have that open. It is brought to this program's
    schema, and its audit log says which rows were given up. The store as it was is kept beside it; who was
    shut out in that stays shut out, and everybody logs in anew.

    A dry run does all that on a copy and then drops it. `encrypted` refuses a backup that is not as it should
    be. Raises Unavailable, with nothing changed, for a backup that is not sound, has another key, or is plain
    and not signed as Orchard signs its own, unless `unsigned` says that this is known.
    `seen`: the head of the store's audit log that was kept elsewhere, for a store that cannot be read.
    """
    if not backup.is_file():
        raise Unavailable(
            "There is no such backup.",
            why=f"{backup} is no file.",
            hint="Give its path, or its name in the folder of backups beside the store.",
        )
    prove(backup, key)
    cipher = cipher_of(backup, key)
    if encrypted is not None and encrypted != (cipher is not None):
        raise Unavailable(
            f"The backup is {'plain' if encrypted else 'encrypted'}.",
            why=f"security.encryption_at_rest is {'on' if encrypted else 'off'}.",
            hint="Set it as the backup is and restore; then set it back and run `orchard key change`.",
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    with explained(path, None), ExitStack() as stack:
        draft = stack.enter_context(draft_beside(path, "restore"))
        shutil.copyfile(backup, draft)
        # Of the copy, which nobody can change any more.
        if not strip_signature(draft, key) and is_plain(draft) and not unsigned:
            raise _not_signed(backup)
        lost, withdrawn = _lost(path, key, stack)
        sound = withdrawn is not None
        if not sound and seen is not None and Auditor(key).signed(seen):
            lost = seen
        given_up = _told(draft, backup, key, lost, withdrawn or {}, clock=clock, actor=actor)
        proven = prove(draft, key)
        if dry_run:
            return Restored(proven=proven, given_up=given_up, kept=None)
        kept = _kept(path, sound=sound, at=clock.now())
        put_in_place(draft, path)
    if kept is not None and sound and is_plain(kept):
        with explained(kept, None):
            sign_file(kept, key)
    return Restored(proven=proven, given_up=given_up, kept=kept)


def _not_signed(backup: Path) -> Unavailable:
    return Unavailable(
        f"{backup.name} is not signed with Orchard's key.",
        why="It was altered, or Orchard did not make it: nobody can vouch for what stands in it.",
        hint="Use another backup. For a copy of your own that nobody else could write to, add --unsigned.",
    )


def _lost(path: Path, key: Key, stack: ExitStack) -> tuple[Mark | None, Withdrawn | None]:
    """The head of the store that is replaced, which is held from now on, and what was withdrawn in it; None
    when it could not be opened. A damaged one is not held: nobody can write to it."""
    if not path.exists():
        return None, None
    try:
        cipher = cipher_of(path, key)
    except Unavailable:  # no SQLCipher: what is not plain is as good as damaged, and nobody here has it open
        cipher = None
    try:
        conn = stack.enter_context(held(path, cipher))
        return audit.head(conn), withdrawn_of(conn)
    except sqlite3.DatabaseError:
        return None, None


def _told(
    draft: Path,
    backup: Path,
    key: Key,
    lost: Mark | None,
    withdrawn: Withdrawn,
    *,
    clock: Clock,
    actor: str,
) -> int | None:
    """The audit log of the restored store says so. Returns how many of the old store's rows are given up."""
    cipher = cipher_of(draft, key)
    with explained(draft, cipher), closing(connected(draft, cipher)) as conn:
        conn.execute("PRAGMA synchronous = FULL")
        migrations.migrate(conn, draft)
        conn.execute("BEGIN IMMEDIATE")
        end = audit.head(conn).seq
        given_up = None if lost is None else max(0, lost.seq - end)
        data = {
            "backup": backup.name,
            "ended_at": end,
            "lost_up_to": None if lost is None else lost.seq,
            "lost_hash": None if lost is None else lost.hash.hex(),
        }
        tx = Transaction(conn, clock.now())
        withdraw_again(tx, withdrawn)
        Auditor(key).record(tx, AuditKind.STORE_RESTORED, actor=actor, data=data)
        conn.execute("COMMIT")
    return given_up


def _kept(path: Path, *, sound: bool, at: datetime) -> Path | None:
    """The old store under another name, too. What lies beside one that does not open goes with it, or SQLite
    would take its write-ahead log for the new store's."""
    if not path.exists():
        clear(path)  # a write-ahead log without its file
        return None
    kept = path.with_name(f"{path.name}.before-{at:{_STAMP}}Z-{secrets.token_hex(3)}")
    kept.hardlink_to(path)
    if not sound:
        for ending in ("-wal", "-shm", "-journal"):
            beside = path.with_name(path.name + ending)
            if beside.exists():
                beside.rename(kept.with_name(kept.name + ending))
    sync_folder(path.parent)
    return kept

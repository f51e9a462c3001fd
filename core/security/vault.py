"""Orchard's key and what stands on it here: how the store is opened, what signs its audit log, what seals.

The key is looked for when it is first needed, so a command that only looks needs none beside a plain store.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, closing
from functools import cached_property
from pathlib import Path

from config.loader import Configuration
from core.bus import Bus
from core.clock import Clock
from core.domain.event import Event
from core.errors import OrchardError, Unavailable
from core.folder import variables
from core.security.audited_events import kept_of
from core.security.head_file import HeadFile
from core.security.keys import Key, KeySource, make_key
from core.store.auditor import Auditor
from core.store.cipher import Cipher, is_plain
from core.store.database import Store
from core.store.rekey import settled
from core.store.transaction import Transaction

log = logging.getLogger(__name__)

KEY_FILE = "orchard.key"
STORE_FILE = "orchard.db"
BACKUPS = "backups"
HEAD_FILE = "audit.head"


class Vault:
    """Of one state folder. Whatever asks for the key may raise Unavailable or InvalidInput, and may block for
    as long as the command that gives it takes."""

    def __init__(self, configuration: Configuration, environ: Mapping[str, str] | None = None) -> None:
        security = configuration.settings.global_.security
        self.encrypted = security.encryption_at_rest
        self.store_path = configuration.state_path / STORE_FILE
        self.backups = configuration.state_path / BACKUPS
        self.head_file = HeadFile(configuration.state_path / HEAD_FILE)
        file = configuration.state_path / KEY_FILE
        if security.key_file is not None:
            file = configuration.root / Path(security.key_file).expanduser()
        self.source = KeySource(file=file, command=security.key_command)
        self.environ = variables(configuration.root) if environ is None else environ

    @cached_property
    def key(self) -> Key:
        """The key of now, made where there never was one. Raises Unavailable when the store had another."""
        settled(self.store_path, self.source.file)
        if (found := self.source.load(self.environ)) is not None:
            return found
        _check_unused(self.store_path, self.source.file)
        return make_key(self.source.file)

    @cached_property
    def auditor(self) -> Auditor:
        return Auditor(self.key)

    @property
    def key_in_file(self) -> bool:
        """Else it comes from the environment or a command, and is changed there."""
        return not self.environ.get(self.source.variable, "").strip() and not self.source.command

    def cipher(self) -> Cipher | None:
        return Cipher(self.key) if self.encrypted else None

    @asynccontextmanager
    async def open_store(self, *, clock: Clock, bus: Bus) -> AsyncIterator[Store]:
        """As Store.open, encrypted or plain as the settings say; what people decide goes to the audit log."""
        if not self.encrypted and self.store_path.exists() and self.store_path.stat().st_size:
            _check_plain(self.store_path)
        store = Store.open(
            self.store_path, clock=clock, bus=bus, cipher=self.cipher(), witness=self._on_event
        )
        async with store as opened:
            try:
                yield opened
            finally:
                await self.keep_head(opened)

    async def keep_head(self, store: Store) -> None:
        """The audit log's end is kept outside the store, where this Orchard has its key. Logs what keeps it
        from that: nothing is undone by it."""
        if "key" not in self.__dict__:  # nobody asked for it, so nothing was recorded
            return
        try:
            await store.read(lambda conn: self.head_file.keep(conn, self.auditor))
        except OrchardError as error:
            log.error("%s", error)

    async def check_key(self, store: Store) -> None:
        """Raises Unavailable when the store's audit log is signed with another key."""
        signed = await store.read(_signed_by)
        if signed not in ("", self.key.id):
            raise Unavailable(
                "The store belongs to another key.",
                why=f"Its audit log is signed with key {signed}, and Orchard was given {self.key.id}.",
                hint=f"Give Orchard the key that it had: ORCHARD_KEY, security.key_command or "
                f"{self.source.file}.",
            )

    def _on_event(self, tx: Transaction, event: Event) -> None:
        """What is of weight gets its row in the transaction that made it true."""
        if (kept := kept_of(event)) is not None:
            self.auditor.record(
                tx, kept.kind, actor=kept.actor, project=event.project, subject=kept.subject, data=kept.data
            )


def _signed_by(conn: sqlite3.Connection) -> str:
    row = conn.execute("SELECT key_id FROM audit_head WHERE id = 1").fetchone()
    return str(row[0]) if row else ""


def _check_plain(path: Path) -> None:
    if not is_plain(path):
        raise Unavailable(
            "The store is encrypted, or no database.",
            why=f"security.encryption_at_rest is off, and {path} is no plain database.",
            hint="Switch it on; if the store never was encrypted, restore a backup: `orchard restore FILE`.",
        )


def _check_unused(path: Path, file: Path) -> None:
    """No new key is made for a store that had one: it could open nothing."""
    if not path.exists() or not path.stat().st_size:
        return
    had = True
    if is_plain(path):
        try:
            with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as conn:
                had = bool(_signed_by(conn))
        except sqlite3.OperationalError:  # a store of before there were keys
            had = False
    if had:
        raise Unavailable(
            "Orchard's key is gone.",
            why=f"The store {path} has one, and ORCHARD_KEY, security.key_command and {file} hold none.",
            hint="Put it back from where you keep it; a backup needs the same key.",
        )

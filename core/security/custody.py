"""What is done to a store that nobody has open: another key, and a backup put in its place."""

from __future__ import annotations

from contextlib import closing, suppress
from pathlib import Path

from config.loader import Configuration
from core.clock import SystemClock
from core.errors import Unavailable
from core.folder import only_one, state_folder
from core.security.access import AT_THE_MACHINE, Action, Asker, require
from core.security.keys import VARIABLE, Key
from core.security.vault import Vault
from core.store.auditor import Auditor
from core.store.backup import Restored, restore
from core.store.rekey import change_key, change_key_in_file, settled
from core.store.replacing import Proven, cipher_of, connected

NEW_VARIABLE = "ORCHARD_NEW_KEY"


def change_store_key(configuration: Configuration, by: Asker = AT_THE_MACHINE) -> Proven:
    """Another key for the store, its secrets and signatures; also makes it encrypted, or plain, as the
    settings say. A key in a file is replaced by a new one; where it comes from elsewhere, the new one is in
    ORCHARD_NEW_KEY. Raises NotAllowed, or Unavailable with nothing changed.
    """
    require(Action.CHANGE_STORE_KEY, by)
    vault, clock = Vault(configuration), SystemClock()
    with only_one(state_folder(configuration)):
        now = vault.key  # made where a store had none yet; a change that was cut off is finished
        seen = vault.head_file.read()
        if vault.key_in_file:
            proven = change_key_in_file(
                vault.store_path,
                vault.source,
                encrypted=vault.encrypted,
                clock=clock,
                actor=by.name,
                seen=seen,
            )
            if (kept := vault.source.load(vault.environ)) is not None:
                _keep_head(vault, kept)
            return proven
        text = vault.environ.get(NEW_VARIABLE, "")
        if not text.strip():
            raise Unavailable(
                "There is no new key.",
                why=f"Orchard's key comes from {VARIABLE} or a command, so Orchard cannot keep another.",
                hint=f"Give it in {NEW_VARIABLE} (`openssl rand -hex 32` makes one), then put it where the "
                "old one is.",
            )
        new = Key.parse(text, source=NEW_VARIABLE)
        proven = change_key(
            vault.store_path, now, new, encrypted=vault.encrypted, clock=clock, actor=by.name, seen=seen
        )
        _keep_head(vault, new)
        return proven


def restore_backup(
    configuration: Configuration,
    backup: Path,
    *,
    dry_run: bool,
    unsigned: bool = False,
    by: Asker = AT_THE_MACHINE,
) -> Restored:
    """Puts it in the store's place, and keeps the store as it was; a dry run proves all of it and changes
    nothing. `backup`: a path, or the name of one in the folder of backups. `unsigned` takes a plain one that
    Orchard has not signed. Raises Unavailable.
    """
    require(Action.RESTORE, by)
    vault = Vault(configuration)
    named = vault.backups / backup.name
    if not backup.is_file() and backup.name == str(backup) and named.is_file():
        backup = named
    with only_one(state_folder(configuration)):
        settled(vault.store_path, vault.source.file)
        key = vault.source.load(vault.environ)
        if key is None:
            raise Unavailable(
                "There is no key.",
                why=f"A backup opens with the key that the store had; {vault.source.file} holds none.",
                hint="Put the key back, then try again.",
            )
        try:
            seen = vault.head_file.read()
        except Unavailable:  # what is restored does not stand on it
            seen = None
        restored = restore(
            backup,
            vault.store_path,
            key,
            clock=SystemClock(),
            actor=by.name,
            encrypted=vault.encrypted,
            unsigned=unsigned,
            seen=seen,
            dry_run=dry_run,
        )
        if not dry_run:
            _keep_head(vault, key)
        return restored


def _keep_head(vault: Vault, key: Key) -> None:
    """The audit log's end as it is now is kept outside the store, too: before Orchard runs again."""
    with (
        suppress(Unavailable),
        closing(connected(vault.store_path, cipher_of(vault.store_path, key))) as conn,
    ):
        vault.head_file.keep(conn, Auditor(key))

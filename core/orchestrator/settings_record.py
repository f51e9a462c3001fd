"""Files of settings that changed while Orchard did not run are a row of its audit log: which, and what they
are now. Who changed them is not known."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from pathlib import Path

from config.loader import REGISTRATIONS, Configuration
from config.project_section import OWN_FILE
from core.security.audit import AuditKind
from core.security.keys import Key, Purpose
from core.store.auditor import Auditor
from core.store.transaction import Transaction

_SUBJECT = "files"


def fingerprints(configuration: Configuration, key: Key) -> dict[str, str]:
    """SHA-256 of each file, as `sha256sum` shows it, by its path; of `.env`, whose values could be guessed by
    it, an HMAC with the key. "unreadable" for what cannot be read."""
    folder = configuration.state_path / REGISTRATIONS
    registered = sorted(folder.glob("*.yaml")) if folder.is_dir() else []
    own = [Path(project.path) / OWN_FILE for project in configuration.settings.projects.values()]
    environment = configuration.root / ".env"
    found = {}
    for path in (configuration.config_file, environment, *registered, *own):
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            continue
        except OSError:
            found[str(path)] = "unreadable"
            continue
        keyed = hmac.new(key.derived(Purpose.AUDIT), b"orchard/settings\n" + data, "sha256").hexdigest()
        found[str(path)] = f"keyed:{keyed}" if path == environment else hashlib.sha256(data).hexdigest()
    return found


def note_files(tx: Transaction, auditor: Auditor, found: Mapping[str, str], *, actor: str) -> tuple[str, ...]:
    """Records what is different from the last row of this kind; the names of those files."""
    row = tx.conn.execute(
        "SELECT data FROM audit_log WHERE kind = ? AND subject = ? ORDER BY seq DESC LIMIT 1",
        (AuditKind.SETTINGS_CHANGED.value, _SUBJECT),
    ).fetchone()
    known: Mapping[str, str] = json.loads(row[0])["files"] if row is not None else {}
    names = sorted({*known, *found})
    changed = tuple(name for name in names if known.get(name) != found.get(name))
    if changed:
        data = {"files": dict(found), "changed": list(changed), "first": row is None}
        auditor.record(tx, AuditKind.SETTINGS_CHANGED, actor=actor, subject=_SUBJECT, data=data)
    return changed

"""What is shown of people, secrets, the audit log and backups: never a password, a value or a key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from core.domain.access import AccessLevel


@dataclass(frozen=True, slots=True, kw_only=True)
class UserView:
    """Levels by their names in lower case; `level` "": only where it was granted. `accounts`: ids of
    Discord."""

    username: str
    email: str
    level: str
    projects: Mapping[str, str]
    disabled: bool
    second_factor: bool
    accounts: tuple[str, ...]
    made_at: datetime
    made_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkedAccount:
    """The user that an account of Discord is; levels as numbers, of AccessLevel."""

    username: str
    everywhere: AccessLevel | None
    projects: Mapping[str, AccessLevel]
    disabled: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkCode:
    username: str
    code: str  # shown once
    minutes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretView:
    """`given_to`: "agents", "tests", by the project's settings."""

    project: str
    name: str
    version: int
    set_at: datetime
    set_by: str
    given_to: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    seq: int
    at: datetime
    kind: str
    actor: str
    project: str | None
    subject: str
    data: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditVerdict:
    """`problems` are sentences, the first hundred of `found`."""

    sound: bool
    rows: int
    first: int
    last: int
    found: int
    problems: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditPage:
    """JSON lines without their ends, oldest first; `last` is where the next page goes on, None: that was
    all."""

    lines: tuple[str, ...]
    last: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupView:
    path: str
    at: datetime
    rows: int
    encrypted: bool
    removed: tuple[str, ...]  # older ones, by security.backup_retention_days

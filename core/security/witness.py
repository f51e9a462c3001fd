"""Who hears of what was done with people's rights: told inside the transaction, so neither stands alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from core.security.audit import AuditKind
from core.store.auditor import Auditor
from core.store.transaction import Transaction


class DeedKind(StrEnum):
    USER_MADE = "user.made"
    USER_DISABLED = "user.disabled"
    USER_ENABLED = "user.enabled"
    LEVEL_SET = "user.level_set"
    PROJECT_ACCESS_SET = "user.project_access_set"
    PASSWORD_CHANGED = "user.password_changed"  # noqa: S105
    ENTRY_MADE = "login.link_made"  # one that logs in once
    LOGGED_IN = "login.made"
    LOGIN_REFUSED = "login.refused"
    LOCKED_OUT = "login.locked_out"  # too many wrong passwords or codes
    LOGIN_ENDED = "login.ended"
    STOLEN_TOKEN_SHOWN = "login.stolen_token_shown"  # noqa: S105
    SECOND_FACTOR_SET = "second_factor.set"
    SECOND_FACTOR_REFUSED = "second_factor.refused"
    SECOND_FACTOR_REMOVED = "second_factor.removed"
    RECOVERY_CODE_USED = "second_factor.recovery_code_used"
    ACCOUNT_LINKED = "account.linked"
    ACCOUNT_UNLINKED = "account.unlinked"
    LINK_REFUSED = "account.link_refused"
    TOKEN_MADE = "token.made"  # noqa: S105
    TOKEN_REVOKED = "token.revoked"  # noqa: S105


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """`actor` did it, `subject` it was done to ("user:ann"). `data` is JSON and holds no secret."""

    kind: DeedKind
    actor: str
    subject: str
    project: str | None = None
    data: Mapping[str, str | int | None] = field(default_factory=dict)


Witness = Callable[[Transaction, Deed], None]
"""What it raises undoes what was done: what cannot be recorded does not happen."""


def nobody_listens(tx: Transaction, deed: Deed) -> None:
    """For where no record is kept."""


def audited(auditor: Auditor) -> Witness:
    """Everything goes to the audit log; each row says in its data which deed it was."""

    def record(tx: Transaction, deed: Deed) -> None:
        auditor.record(
            tx,
            _audit_kind(deed),
            actor=deed.actor,
            project=deed.project,
            subject=deed.subject,
            data={**deed.data, "deed": deed.kind.value},
        )

    return record


def _audit_kind(deed: Deed) -> AuditKind:
    if deed.kind in (DeedKind.LEVEL_SET, DeedKind.PROJECT_ACCESS_SET):
        return AuditKind.ACCESS_GRANTED if deed.data.get("level") else AuditKind.ACCESS_REVOKED
    return _AUDIT_KINDS[deed.kind]


_AUDIT_KINDS = {
    DeedKind.USER_MADE: AuditKind.USER_CREATED,
    DeedKind.USER_DISABLED: AuditKind.USER_DISABLED,
    DeedKind.USER_ENABLED: AuditKind.USER_CHANGED,
    DeedKind.PASSWORD_CHANGED: AuditKind.PASSWORD_CHANGED,
    DeedKind.ENTRY_MADE: AuditKind.TOKEN_CREATED,
    DeedKind.LOGGED_IN: AuditKind.LOGIN_SUCCEEDED,
    DeedKind.LOGIN_REFUSED: AuditKind.LOGIN_FAILED,
    DeedKind.LOCKED_OUT: AuditKind.LOCKED_OUT,
    DeedKind.LOGIN_ENDED: AuditKind.SESSION_REVOKED,
    DeedKind.STOLEN_TOKEN_SHOWN: AuditKind.SESSION_REVOKED,
    DeedKind.SECOND_FACTOR_SET: AuditKind.SECOND_FACTOR_CHANGED,
    DeedKind.SECOND_FACTOR_REFUSED: AuditKind.LOGIN_FAILED,
    DeedKind.SECOND_FACTOR_REMOVED: AuditKind.SECOND_FACTOR_CHANGED,
    DeedKind.RECOVERY_CODE_USED: AuditKind.SECOND_FACTOR_CHANGED,
    DeedKind.ACCOUNT_LINKED: AuditKind.IDENTITY_LINKED,
    DeedKind.ACCOUNT_UNLINKED: AuditKind.IDENTITY_UNLINKED,
    DeedKind.LINK_REFUSED: AuditKind.ACCESS_DENIED,
    DeedKind.TOKEN_MADE: AuditKind.TOKEN_CREATED,
    DeedKind.TOKEN_REVOKED: AuditKind.TOKEN_REVOKED,
}

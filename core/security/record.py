"""What is done with people's rights becomes rows of the audit log: the Witness that its services ask for."""

from __future__ import annotations

from core.security.audit import AuditKind
from core.security.witness import Deed, DeedKind, Witness
from core.store.audit import Auditor
from core.store.transaction import Transaction

KINDS: dict[DeedKind, AuditKind] = {
    DeedKind.USER_MADE: AuditKind.USER_CREATED,
    DeedKind.USER_DISABLED: AuditKind.USER_DISABLED,
    DeedKind.USER_ENABLED: AuditKind.USER_CHANGED,
    DeedKind.LEVEL_SET: AuditKind.ACCESS_GRANTED,
    DeedKind.PROJECT_ACCESS_SET: AuditKind.ACCESS_GRANTED,
    DeedKind.PASSWORD_CHANGED: AuditKind.PASSWORD_CHANGED,
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


def recording(auditor: Auditor) -> Witness:
    """Each deed is a row in its own transaction; its exact kind is in the row's data as `deed`."""

    def record(tx: Transaction, deed: Deed) -> None:
        auditor.record(
            tx,
            KINDS[deed.kind],
            actor=deed.actor,
            project=deed.project,
            subject=deed.subject,
            data={**deed.data, "deed": deed.kind.value},
        )

    return record

"""Who hears of what was done with people's rights: told inside the transaction, so neither stands alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from core.store.transaction import Transaction


class DeedKind(StrEnum):
    USER_MADE = "user.made"
    USER_DISABLED = "user.disabled"
    USER_ENABLED = "user.enabled"
    LEVEL_SET = "user.level_set"
    PROJECT_ACCESS_SET = "user.project_access_set"
    PASSWORD_CHANGED = "user.password_changed"  # noqa: S105
    LOGGED_IN = "login.made"
    LOGIN_REFUSED = "login.refused"
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

"""Who a person is to Orchard. PURE."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class AccessLevel(IntEnum):
    """Each level may do what the lower ones may."""

    VIEWER = 1  # read-only access
    CONTRIBUTOR = 2  # development access
    MAINTAINER = 3  # project-level administration
    ADMIN = 4  # multi-project management
    OWNER = 5  # full system administration


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What is known of somebody who answers: their level, and who they are in Discord.

    `roles` holds ids and names, `person` the Discord user's id as text; both empty for the command line.
    """

    level: AccessLevel
    roles: frozenset[str] = frozenset()
    person: str = ""


OPERATOR = Standing(level=AccessLevel.OWNER)
"""Whoever runs commands as the user that Orchard runs as: the machine is theirs."""

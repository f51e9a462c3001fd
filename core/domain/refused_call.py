"""Why Orchard did not let an agent do what it asked for. PURE."""

from __future__ import annotations

from enum import StrEnum


class RefusedCall(StrEnum):
    RIGHTS = "rights"  # it would change what its role may not, or leave the worktree
    COMMAND = "command"  # a command line with something in it that no agent may run
    PEOPLE = "people"  # a person said no, nobody answered in time, or nobody could be asked
    CROWD = "crowd"  # it had too many questions open already


SAID = {
    RefusedCall.RIGHTS: "outside of its role's rights",
    RefusedCall.COMMAND: "a command that no agent may run",
    RefusedCall.PEOPLE: "not allowed by people",
    RefusedCall.CROWD: "with too many questions open",
}

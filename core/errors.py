"""The error tree. Each error has a sentence for the user, a reason, and a next step.

OrchardError
├── InvalidInput        what was typed or configured cannot be accepted
├── NotFound            no such project, story, approval
├── NotAllowed          the state forbids it now (says state, why, what is allowed)
├── InvalidTransition   a state machine has no such arrow
├── LostRace            the row had moved on when we came to move it
├── Unavailable         something outside is missing or down (git, bubblewrap, an agent)
└── SchemaTooNew        the store was written by a newer program
"""

from __future__ import annotations


class OrchardError(Exception):
    """Base of every error that people may see.

    `message` says what happened, `why` the cause, `hint` what to do next. `slug` is a short
    stable reason, used as a metric's label and in `--json` output.
    """

    slug = "error"

    def __init__(self, message: str, *, why: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.why = why
        self.hint = hint

    def __str__(self) -> str:
        return " ".join(part for part in (self.message, self.why, self.hint) if part)


class InvalidInput(OrchardError):
    slug = "invalid_input"


class NotFound(OrchardError):
    slug = "not_found"


class NotAllowed(OrchardError):
    slug = "not_allowed"


class InvalidTransition(OrchardError):
    slug = "invalid_transition"


class LostRace(OrchardError):
    slug = "lost_race"


class Unavailable(OrchardError):
    slug = "unavailable"


class SchemaTooNew(OrchardError):
    slug = "schema_too_new"

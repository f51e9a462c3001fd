"""What a story's pull request waits for, as `/why` says it. PURE."""

from __future__ import annotations

from core.domain.github import Pull, PullState


def pull_wait(pull: Pull) -> str:
    """In one sentence, as `scheduling.words.words_of` takes it apart; "" when it waits for nothing outside.

    Who looks after it outside has said it best; before they have, it is what they do next.
    """
    match pull.state:
        case PullState.WANTED | PullState.OPEN if pull.waits:
            return pull.waits
        case PullState.WANTED if pull.number is None:
            return "waits to become a pull request; next when it is pushed and opened."
        case PullState.WANTED:
            return f"waits to be pushed to pull request #{pull.number} again; next when it is there."
        case PullState.OPEN:
            return f"waits for pull request #{pull.number}; next when GitHub has been asked about it."
        case _:
            return ""

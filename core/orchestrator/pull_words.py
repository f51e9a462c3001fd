"""PURE: what a story waits for whose work is a pull request.

As in "waits for the checks of pull request #12: 2 of 5 have passed; next when lint is done."
"""

from __future__ import annotations

from collections.abc import Sequence

from core.domain.github import Check, CheckConclusion, ChecksState, Pull, PullState, ReviewState

_NAMED = 3


def pull_wait(pull: Pull, approvals: int = 0) -> str:
    """In one sentence, as `scheduling.words.words_of` takes it apart; "" when it waits for nothing outside.

    `approvals`: how many the project asks for; 0: none, or not known here.
    """
    match pull.state:
        case PullState.WANTED if pull.number is None:
            return "waits to become a pull request; next when it is pushed and opened."
        case PullState.WANTED:
            return f"waits to be pushed to {_named(pull)} again; next when it is there."
        case PullState.OPEN:
            return _open(pull, approvals)
        case _:
            return ""


def _open(pull: Pull, approvals: int) -> str:
    of = f"of {_named(pull)}"
    match pull.checks_state:
        case ChecksState.FAILED:
            failed = _names(pull.checks, CheckConclusion.FAILED)
            return f"waits: the checks {of} failed ({failed}); next when its agent has been told."
        case ChecksState.RUNNING:
            passed = sum(1 for check in pull.checks if check.conclusion is CheckConclusion.PASSED)
            have = "has" if passed == 1 else "have"
            running = _names(pull.checks, CheckConclusion.RUNNING)
            count = f"{passed} of {len(pull.checks)} {have} passed"
            return f"waits for the checks {of}: {count}; next when {running} {_is(pull.checks)} done."
    if pull.review is ReviewState.CHANGES_REQUESTED:
        return f"waits: changes were requested {of}; next when its agent has been told."
    if pull.approvals < approvals:
        more = "an approving review" if approvals == 1 else f"{approvals} approving reviews"
        got = f" ({pull.approvals} given)" if pull.approvals else ""
        return f"waits for {more} {of}{got}; next when somebody approves it there: {pull.url}."
    if pull.checks_state is ChecksState.NONE:
        return f"waits for the checks {of}: none has begun; next when they have passed, or none comes."
    if pull.review is ReviewState.WAITING:
        return f"waits for the review {of}; next when somebody approves it there: {pull.url}."
    return f"waits for GitHub to merge {_named(pull)}; next when it has."


def _named(pull: Pull) -> str:
    return "its pull request" if pull.number is None else f"pull request #{pull.number}"


def _names(checks: Sequence[Check], conclusion: CheckConclusion) -> str:
    names = [check.name for check in checks if check.conclusion is conclusion]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _is(checks: Sequence[Check]) -> str:
    running = sum(1 for check in checks if check.conclusion is CheckConclusion.RUNNING)
    return "is" if running == 1 else "are"

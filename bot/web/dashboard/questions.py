"""A question with all that it is about: the whole command or diff, and the form that answers it."""

from __future__ import annotations

from functools import lru_cache

from markupsafe import Markup

from bot.web.dashboard.markup import drawn
from bot.web.dashboard.views.diff import Diff, diff_of
from core.domain.access import Standing
from core.domain.approval import Approval, ApprovalKind, ApprovalState, may_answer

_SHORT = 12  # lines


def drawn_question(
    asked: Approval, standing: Standing, *, named: bool = False, folded: bool = False
) -> Markup:
    """For somebody of this standing. `named`: says of which project and story it is. `folded`: what it is
    about is there, but closed; a short command is open all the same."""
    why_not = may_answer(asked, standing) if asked.state is ApprovalState.PENDING else ""
    return _drawn(asked, why_not, named, folded and asked.detail.count("\n") > _SHORT)


@lru_cache(maxsize=64)
def _drawn(asked: Approval, why_not: str, named: bool, folded: bool) -> Markup:
    # A command may hold what looks like a diff, to hide in what is not shown of one.
    is_change = asked.kind is ApprovalKind.MERGE
    diff = _diff(asked.detail) if is_change else Diff(before=asked.detail, files=())
    return drawn("question", asked=asked, diff=diff, why_not=why_not, named=named, folded=folded)


@lru_cache(maxsize=64)
def _diff(text: str) -> Diff:
    return diff_of(text)

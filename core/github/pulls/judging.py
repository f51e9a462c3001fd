"""What the checks and reviews of a pull request come to: land it, wait, or send its story back. PURE."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from core.domain.github import Check, CheckConclusion, ChecksState, ReviewState, checks_state

_NAMED = 3  # checks or people named in a sentence
_PROVEN_AGAIN = "when the merge queue has proven it on top of the new main branch."


class Opinion(StrEnum):
    """What a review says; GitHub's states."""

    APPROVED = "approved"
    CHANGES_REQUESTED = "changes_requested"
    COMMENTED = "commented"  # leaves what its author said before
    DISMISSED = "dismissed"  # was an opinion, and counts no more


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """One review by one person, in the order in which GitHub lists them (the oldest first)."""

    by: str  # login
    opinion: Opinion
    counts: bool  # whether its author is asked at all
    approves: bool = True  # whether an approval of theirs is one: GitHub asks for the right to write


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What people think of a pull request by now."""

    approved_by: tuple[str, ...]
    wanting: tuple[str, ...]  # those who want changes

    @property
    def approvals(self) -> int:
        return len(self.approved_by)

    def state(self, *, needed: int) -> ReviewState:
        if self.wanting:
            return ReviewState.CHANGES_REQUESTED
        if self.approved_by and self.approvals >= needed:
            return ReviewState.APPROVED
        return ReviewState.WAITING if needed else ReviewState.NONE


class Outcome(StrEnum):
    LANDABLE = "landable"
    WAITING = "waiting"
    FAILED = "failed"  # its checks did: its story goes back
    OVERDUE = "overdue"  # people are asked
    AGAIN = "again"  # it has to be proven on top of the newest main branch once more


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a project wants of a pull request before it goes in (settings, `github:`)."""

    approvals: int
    checks_begin_seconds: float
    checks_minutes: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """One pull request as it stands."""

    number: int
    checks: tuple[Check, ...]
    standing: Standing
    waited_seconds: float  # since its head was pushed
    draft: bool = False
    conflicts: bool = False  # GitHub says that it does not fit on its base
    behind: bool = False  # GitHub merges only what stands on the newest main branch, and this does not


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """`why` is a sentence. `then` goes on: of one that waits with "when ..."; of one that is overdue it is
    what a person has to do."""

    outcome: Outcome
    why: str
    then: str = ""

    @property
    def waits(self) -> str | None:
        """The whole of it, after a story's name, as `scheduling.words.words_of` takes it apart. None: nothing
        keeps it here, and whoever merges says what does there."""
        if self.outcome is Outcome.LANDABLE:
            return None
        why = self.why.removesuffix(".")
        said = f"w{why[1:]}" if why.startswith("Waits ") else f"waits: {why}"
        return f"{said}; next {self.then}" if self.then else f"{said}."


def standing(reviews: Sequence[Review]) -> Standing:
    """The last opinion of each person whose opinion counts. A comment takes nothing back; a dismissed review
    is no opinion, nor are those before it.

    Source: GitHub's "About pull request reviews": only a person's most recent approving or
    change-requesting review counts, and a dismissed one does not.
    """
    last: dict[str, Review] = {}
    for review in reviews:
        if review.counts and review.opinion is not Opinion.COMMENTED:
            last.pop(review.by, None)  # in the order of what counts
            last[review.by] = review
    said = last.values()
    return Standing(
        approved_by=tuple(each.by for each in said if each.opinion is Opinion.APPROVED and each.approves),
        wanting=tuple(each.by for each in said if each.opinion is Opinion.CHANGES_REQUESTED),
    )


def judge(facts: Facts, terms: Terms) -> Judgement:
    """The first rule that has something to say; none: it may land."""
    for rule in _RULES:
        if (said := rule(facts, terms)) is not None:
            return said
    passed = len(facts.checks)
    checked = f"{_count(passed, 'check')} passed" if passed else "it has no checks"
    approved = f", approved by {_some(facts.standing.approved_by)}" if facts.standing.approved_by else ""
    return Judgement(
        outcome=Outcome.LANDABLE, why=f"Pull request #{facts.number} may go in: {checked}{approved}."
    )


def _failed(facts: Facts, terms: Terms) -> Judgement | None:
    failed = [check.name for check in facts.checks if check.conclusion is CheckConclusion.FAILED]
    if not failed:
        return None
    running = sum(check.conclusion is CheckConclusion.RUNNING for check in facts.checks)
    more = f"; {running} still run" if running > 1 else "; 1 still runs" if running else ""
    return Judgement(
        outcome=Outcome.FAILED,
        why=f"{_count(len(failed), 'check')} of pull request #{facts.number} failed: {_some(failed)}{more}.",
    )


def _conflicts(facts: Facts, terms: Terms) -> Judgement | None:
    if not facts.conflicts:
        return None
    return Judgement(
        outcome=Outcome.AGAIN,
        why=f"Pull request #{facts.number} no longer fits on the main branch.",
        then=_PROVEN_AGAIN,
    )


def _behind(facts: Facts, terms: Terms) -> Judgement | None:
    if not facts.behind:
        return None
    return Judgement(
        outcome=Outcome.AGAIN,
        why=f"Pull request #{facts.number} does not stand on the newest main branch, as its repository asks.",
        then=_PROVEN_AGAIN,
    )


def _changes(facts: Facts, terms: Terms) -> Judgement | None:
    wanting = facts.standing.wanting
    if not wanting:
        return None
    return Judgement(
        outcome=Outcome.WAITING,
        why=f"{_some(wanting)} wanted changes in pull request #{facts.number}.",
        then="when they approve it, or their review is dismissed.",
    )


def _draft(facts: Facts, terms: Terms) -> Judgement | None:
    if not facts.draft:
        return None
    return Judgement(
        outcome=Outcome.WAITING,
        why=f"Pull request #{facts.number} is a draft.",
        then="when it is marked as ready for review on GitHub.",
    )


def _checks(facts: Facts, terms: Terms) -> Judgement | None:
    match checks_state(facts.checks):
        case ChecksState.RUNNING:
            return _running(facts, terms)
        case ChecksState.NONE if facts.waited_seconds < terms.checks_begin_seconds:
            return Judgement(
                outcome=Outcome.WAITING,
                why=f"Waits for the checks of pull request #{facts.number} to begin.",
                then=f"when one has begun, or {terms.checks_begin_seconds:g} s after the push: it has none.",
            )
    return None


def _running(facts: Facts, terms: Terms) -> Judgement:
    running = [check.name for check in facts.checks if check.conclusion is CheckConclusion.RUNNING]
    passed, all_ = len(facts.checks) - len(running), len(facts.checks)
    have = "has" if passed == 1 else "have"
    several = len(running) > 1
    if facts.waited_seconds > terms.checks_minutes * 60:
        return Judgement(
            outcome=Outcome.OVERDUE,
            why=f"The checks of pull request #{facts.number} take longer than {terms.checks_minutes:g} min"
            f": {passed} of {all_} {have} passed, {_some(running)} still {'run' if several else 'runs'}.",
            then="Look at them on GitHub, run them again or cancel them there; then /suggest_fix, and "
            "they are waited for anew. `github.checks_minutes` says how long they may take.",
        )
    return Judgement(
        outcome=Outcome.WAITING,
        why=f"Waits for the checks of pull request #{facts.number}: {passed} of {all_} {have} passed.",
        then=f"when {_some(running)} {'are' if several else 'is'} done.",
    )


def _approvals(facts: Facts, terms: Terms) -> Judgement | None:
    missing = terms.approvals - facts.standing.approvals
    if missing <= 0:
        return None
    have = facts.standing.approvals
    return Judgement(
        outcome=Outcome.WAITING,
        why=f"Pull request #{facts.number} needs {_count(missing, 'more approval' if have else 'approval')}.",
        then="when somebody who may write in the repository approves it on GitHub.",
    )


_RULES: tuple[Callable[[Facts, Terms], Judgement | None], ...] = (
    _failed,
    _conflicts,
    _changes,
    _draft,
    _checks,
    _approvals,
    _behind,
)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_NAMED])
    return f"{shown} and {len(names) - _NAMED} more" if len(names) > _NAMED else shown

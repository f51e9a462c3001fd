"""What comes of a look at a pull request, in the store: one transaction each, so all of it or none."""

from __future__ import annotations

import sqlite3

from core.domain.event import EventKind
from core.domain.evidence import Refusal, RefusalCode, Verdict
from core.domain.github import Check, Pull, PullState
from core.domain.lifecycles import CycleEvent, CycleState, Phase
from core.domain.story import Cycle, Hold, StoryState
from core.domain.untrusted import cut
from core.github.api.facts import PullFacts, ReviewVerdict
from core.github.pulls import text as pull_text
from core.github.pulls.judging import Judgement, Outcome
from core.github.pulls.reading import Seen, Vote, Wish
from core.orchestrator.blocking import block
from core.orchestrator.gate_events import emit_refused
from core.orchestrator.sent_back import tell_sent_back
from core.orchestrator.story_guards import go_on
from core.store import cycles, gates, github_heard, leases, merges, pulls, stories
from core.store.transaction import Transaction

_TOLD = 2000  # characters of a review, in an event


def intent(story_id: str) -> str:
    return f"pull:{story_id}"


def waiting(conn: sqlite3.Connection, pull: Pull) -> Cycle | None:
    """The story's cycle, while it waits for its pull request and nobody is at work with it."""
    cycle = cycles.get(conn, pull.story_id)
    if cycle is None or cycle.state is not CycleState.COMMIT:
        return None
    if stories.get(conn, pull.story_id).state is not StoryState.ACTIVE:
        return None
    if any(lease.story_id == pull.story_id for lease in leases.held(conn, pull.project)):
        return None
    if any(merge.story_id == pull.story_id for merge in merges.open_of(conn, pull.project)):
        return None
    return cycle


def leave(tx: Transaction, pull: Pull) -> bool:
    """Whether nobody waits for it any more: its story is over, sent back or with a person."""
    gone = goes_another_way(tx.conn, pull)
    if gone:
        pulls.close(tx, pull.story_id)
        github_heard.settle(tx, pull.project, intent(pull.story_id))
    return gone


def goes_another_way(conn: sqlite3.Connection, pull: Pull) -> bool:
    cycle = cycles.get(conn, pull.story_id)
    if cycle is None or cycle.state is not CycleState.COMMIT or cycle.hold is Hold.TAKEN:
        return True
    return stories.get(conn, pull.story_id).state is not StoryState.ACTIVE


def record_opened(tx: Transaction, pull: Pull, facts: PullFacts, *, new: bool) -> Pull:
    """It stands on GitHub with its candidate. Raises LostRace; its number is then found by its branch."""
    opened = pulls.opened(tx, pull.story_id, head=pull.candidate, number=facts.number, url=facts.url)
    github_heard.settle(tx, pull.project, intent(pull.story_id))
    data = {"number": facts.number, "url": facts.url, "commit": pull.candidate}
    if new:
        data["branch"] = pull.branch
    tx.emit(
        EventKind.PULL_OPENED if new else EventKind.PULL_UPDATED,
        project=pull.project,
        story_id=pull.story_id,
        data=data,
    )
    return opened


def is_news(conn: sqlite3.Connection, pull: Pull, seen: Seen, judged: Judgement, *, approvals: int) -> bool:
    """Whether `take_in` would write down anything."""
    known = (set(pull.checks), pull.review, pull.approvals, pull.waits)
    waits = pull.waits if judged.waits is None else judged.waits
    said = (set(seen.checks), seen.standing.state(needed=approvals), seen.standing.approvals, waits)
    settled = judged.outcome in (Outcome.WAITING, Outcome.AGAIN) and pull.state is PullState.OPEN
    settled |= judged.outcome is Outcome.LANDABLE and pull.state is PullState.LANDABLE
    heard = all(github_heard.was_heard(conn, pull.project, "vote", vote.id) for vote in seen.votes)
    heard &= all(github_heard.was_heard(conn, pull.project, wish.kind, wish.id) for wish in seen.wishes)
    return not (known == said and settled and heard)


def take_in(
    tx: Transaction,
    pull: Pull,
    seen: Seen,
    judged: Judgement,
    *,
    approvals: int,
    check_failures: int,
    lands: bool,
) -> Pull:
    """The checks and reviews of the head that was looked at. `lands`: the merge queue may have it.

    Raises LostRace when another candidate is wanted by now; then all of it is looked at again.
    """
    before = pulls.get(tx.conn, pull.story_id)
    now = pulls.looked(
        tx,
        pull.story_id,
        head=seen.facts.head_sha,
        checks=seen.checks,
        review=seen.standing.state(needed=approvals),
        approvals=seen.standing.approvals,
        waits=judged.waits,
    )
    if _said(before.checks) != _said(now.checks):
        _tell_checks(tx, now)
    for vote in seen.votes:
        _tell_vote(tx, now, vote)
    cycle = waiting(tx.conn, pull)
    if cycle is None or cycle.blocked_reason:
        return now
    wishes = _unheard(tx, pull, seen)
    if wishes or judged.outcome is Outcome.FAILED:
        return _send_back(tx, cycle, now, seen, wishes, judged, check_failures)
    if judged.outcome is Outcome.OVERDUE:
        block(tx, cycle, f"{judged.why} {judged.then}".strip())
    if judged.outcome is Outcome.LANDABLE and lands and now.state is PullState.OPEN:
        return pulls.landable(tx, pull.story_id, head=now.head)
    if now.state is PullState.LANDABLE and not (judged.outcome is Outcome.LANDABLE and lands):
        return pulls.not_landable(tx, pull.story_id)
    return now


def prove_again(tx: Transaction, pull: Pull) -> None:
    """The merge queue makes a candidate on top of the newest main branch, which is then wanted."""
    if waiting(tx.conn, pull) is not None and pulls.get(tx.conn, pull.story_id).head == pull.head:
        pulls.close(tx, pull.story_id)


def ask_people(tx: Transaction, pull: Pull, reason: str, *, closed_by: str | None = None) -> None:
    """Nothing that an agent can mend. When people have helped, the merge queue proves the story again and it
    is pushed and opened anew. `closed_by`: the pull request was closed; "" when nobody knows by whom."""
    cycle, now = waiting(tx.conn, pull), pulls.get(tx.conn, pull.story_id)
    if cycle is None or now.candidate != pull.candidate or now.state not in pulls.AT_WORK:
        return
    pulls.close(tx, pull.story_id)
    github_heard.settle(tx, pull.project, intent(pull.story_id))
    if closed_by is not None:
        tell_closed(tx, pull, by=closed_by, why=reason)
    if not cycle.blocked_reason:
        block(tx, cycle, reason)


def refuse_merge(tx: Transaction, pull: Pull, why: str) -> None:
    """GitHub's rules do not let it in for now: told at once, and once as long as they say the same."""
    then = "when its rules are kept; it is tried again with each change there."
    sentence = (
        f"waits: GitHub does not merge pull request #{pull.number}: {why.removesuffix('.')}; next {then}"
    )
    if pulls.waits(tx, pull.story_id, sentence):
        tx.emit(
            EventKind.PULL_REFUSED,
            project=pull.project,
            story_id=pull.story_id,
            data={"number": pull.number, "url": pull.url, "why": why},
        )


def closed_reason(pull: Pull) -> str:
    return (
        f"Pull request #{pull.number} was closed on GitHub, or its branch {pull.branch} was deleted there. "
        "/suggest_fix has it proven and opened anew; opening it again there does, too. /skip_task "
        "gives the story up."
    )


def base_reason(pull: Pull, base: str, main: str) -> str:
    return (
        f"Pull request #{pull.number} is to go into the branch {base} by now, but the project's main branch "
        f"is {main}. Where {main} was renamed on GitHub, rename it in the checkout, too, and set main_branch:"
        f" {base} for the project; else set the base back there. Then it goes on."
    )


def foreign_reason(pull: Pull, head: str) -> str:
    return (
        f"Somebody else pushed to {pull.branch}, the branch of pull request #{pull.number}: it holds "
        f"{head[:12]}, Orchard pushed {pull.head[:12]}. Nothing was overwritten. Take the story over "
        "(/story takeover) to bring those commits in; or leave them: set the branch back there, and it goes "
        "on, or delete it on GitHub and /suggest_fix: Orchard pushes its own."
    )


def _mends_itself(pull: Pull, reason: str) -> bool:
    """Whether what stands in the way is over when the pull request stands there as Orchard made it."""
    bases = base_reason(pull, "\0", "").partition("\0")[0]
    pushes = foreign_reason(pull, "\0").partition("\0")[0]
    return reason == closed_reason(pull) or reason.startswith((bases, pushes))


def record_reopened(tx: Transaction, pull: Pull) -> bool:
    """It stands there again as Orchard made it. False when its story stands still for another reason, or no
    more."""
    cycle = waiting(tx.conn, pull)
    if cycle is None or not _mends_itself(pull, cycle.blocked_reason):
        return False
    was_closed = cycle.blocked_reason == closed_reason(pull)
    pulls.reopened(tx, pull.story_id, head=pull.head)
    cycles.unblock(tx, pull.story_id, cycle.feedback)
    go_on(tx, pull.project, "github")
    tx.emit(
        EventKind.STORY_UNBLOCKED,
        project=pull.project,
        story_id=pull.story_id,
        data={
            "by": "github",
            "text": f"pull request #{pull.number} {'was opened again' if was_closed else 'is as it was'}",
        },
    )
    return True


def tell_closed(tx: Transaction, pull: Pull, *, by: str, why: str) -> None:
    tx.emit(
        EventKind.PULL_CLOSED,
        project=pull.project,
        story_id=pull.story_id,
        data={"number": pull.number, "url": pull.url, "by": by, "why": why},
    )


def _send_back(
    tx: Transaction,
    cycle: Cycle,
    pull: Pull,
    seen: Seen,
    wishes: tuple[Wish, ...],
    judged: Judgement,
    check_failures: int,
) -> Pull:
    """To code_green, with what checks and people said; after so many failures in a row, people are asked."""
    assert pull.number is not None
    remarks = [wish.remark for wish in wishes]
    feedback, reasons = [], []
    if remarks:
        feedback.append(pull_text.requested_changes(pull.number, remarks))
        reasons.append(pull_text.changes_reason(pull.number, remarks))
    if judged.outcome is Outcome.FAILED:
        feedback.append(pull_text.failed_checks(pull.number, seen.failed))
        reasons.append(pull_text.failed_reason(pull.number, seen.failed))
        pull = pulls.failed(tx, pull.story_id, head=pull.head)
        _refuse(tx, cycle, judged, seen)
    else:
        pulls.close(tx, pull.story_id)
    back = cycles.move(
        tx,
        cycle.story_id,
        CycleEvent.SENT_BACK,
        state=CycleState.COMMIT,
        feedback="\n\n".join(feedback),
        rebase_onto=None,
    )
    tell_sent_back(tx, back, cycle.state, "; ".join(reasons), pull=pull.number)
    if judged.outcome is Outcome.FAILED and pull.failures >= check_failures:
        times = "once" if pull.failures == 1 else f"{pull.failures} times in a row"
        block(
            tx, back, f"The checks of pull request #{pull.number} failed {times}. The last time: {judged.why}"
        )
        pulls.count_anew(tx, pull.story_id)
    return pulls.get(tx.conn, pull.story_id)


def _refuse(tx: Transaction, cycle: Cycle, judged: Judgement, seen: Seen) -> None:
    """The checks are part of the commit gate."""
    refusal = Refusal(
        code=RefusalCode.CHECKS_FAILED,
        sentence=cut(judged.why, 1000),
        tests=tuple(check.name for check in seen.failed),
    )
    verdict = Verdict(phase=Phase.COMMIT, refusals=(refusal,))
    gates.add(tx, cycle.story_id, phase=Phase.COMMIT, attempt=cycle.attempt, verdict=verdict, commit=None)
    emit_refused(tx, cycle, Phase.COMMIT, verdict)


def _unheard(tx: Transaction, pull: Pull, seen: Seen) -> tuple[Wish, ...]:
    return tuple(wish for wish in seen.wishes if github_heard.comment(tx, pull.project, wish.kind, wish.id))


def _tell_vote(tx: Transaction, pull: Pull, vote: Vote) -> None:
    """Once: an approval that was heard is; a wish for changes is known by its own event being there."""
    if not github_heard.comment(tx, pull.project, "vote", vote.id):
        return
    approved = vote.verdict is ReviewVerdict.APPROVED
    tx.emit(
        EventKind.PULL_REVIEWED,
        project=pull.project,
        story_id=pull.story_id,
        data={
            "number": pull.number,
            "url": pull.url,
            "by": vote.by,
            "verdict": "approved" if approved else "changes requested",
            "text": cut(vote.text, _TOLD),
        },
    )


def _tell_checks(tx: Transaction, pull: Pull) -> None:
    tx.emit(
        EventKind.CHECKS_CHANGED,
        project=pull.project,
        story_id=pull.story_id,
        data={
            "number": pull.number,
            "url": pull.url,
            "commit": pull.head,
            "state": str(pull.checks_state),
            "checks": [
                {"name": check.name, "conclusion": str(check.conclusion), "url": check.url}
                for check in pull.checks
            ],
        },
    )


def _said(checks: tuple[Check, ...]) -> set[tuple[str, str, str]]:
    return {(check.name, str(check.conclusion), check.url) for check in checks}

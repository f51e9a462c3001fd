"""A story's one comment on its issue: how it stands, for somebody who reads it on a phone. PURE.

What is said changes only with the story: no time that passes, no share of the machine, nothing that would be
edited for its own sake. All words of people and agents go through `quoting`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from core.domain.github import CheckConclusion, ChecksState, Pull, PullState, ReviewState
from core.domain.lifecycles import Phase
from core.domain.story import OVER, Cycle, Story, StoryState, StoryStatus
from core.github.markers import PROGRESS, marker
from core.github.quoting import code, commit, line, link

_DETAILS = 3
_NAMED_CHECKS = 5
_SENTENCE = 400
_SUMMARY = 160
_COMMAND = re.compile(r"(?:^|\s)/[a-z]")
_PHASES = {
    Phase.DESIGN: "Design",
    Phase.TEST_RED: "Failing test",
    Phase.CODE_GREEN: "Code",
    Phase.REFACTOR: "Refactoring",
    Phase.COMMIT: "Merge",
}
_AT = {
    Phase.DESIGN: "designed",
    Phase.TEST_RED: "given a failing test",
    Phase.CODE_GREEN: "written",
    Phase.REFACTOR: "cleaned up",
    Phase.COMMIT: "merged",
}
_SIGNS = {
    StoryStatus.PROPOSED: "💡",
    StoryStatus.BACKLOG: "📋",
    StoryStatus.PLANNED: "🗓️",
    StoryStatus.WAITING: "⏳",
    StoryStatus.RUNNING: "🔨",
    StoryStatus.AWAITING_APPROVAL: "✋",
    StoryStatus.BLOCKED: "🆘",
    StoryStatus.STOPPED: "⏸️",
    StoryStatus.TAKEN: "🧑‍💻",
    StoryStatus.DONE: "✅",
    StoryStatus.SKIPPED: "🚫",
    StoryStatus.ABORTED: "🚫",
    StoryStatus.REMOVED: "🚫",
}
_OVER = frozenset(StoryStatus(state.value) for state in OVER)
_NEEDS_PEOPLE = (StoryStatus.BLOCKED, StoryStatus.AWAITING_APPROVAL, StoryStatus.STOPPED, StoryStatus.TAKEN)


@dataclass(frozen=True, slots=True, kw_only=True)
class GateSeen:
    """A gate's verdict, in a line."""

    phase: Phase
    passed: bool
    summary: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What is known of a story. `sentence` follows its name, as in `explanation`, with `details` and `next`
    behind it; all of it without secrets and ids of people."""

    story: Story
    status: StoryStatus
    cycle: Cycle | None
    branch: str
    gates: tuple[GateSeen, ...] = ()  # oldest first
    sentence: str = ""
    details: tuple[str, ...] = ()
    next: str = ""
    pull: Pull | None = None
    approved: tuple[str, ...] = ()  # who said yes to the merge, and how: "ann, in Discord"
    sprint: int | None = None
    html_url: str = ""  # of the repository; "": commits are named, not linked
    held: str = ""  # the version of the words that wait for a person


def comment(seen: Progress) -> str:
    """The whole comment, with the marker by which it is found again."""
    parts = [
        f"{_SIGNS[seen.status]} **{line(seen.story.id)}** {_standing(seen)}",
        re.sub(r"\n{3,}", "\n\n", "\n".join(_why(seen)).strip()),
        _held(seen.held),
        "\n".join(_phases(seen)) if seen.cycle is not None else "",
        "\n".join(_links(seen)),
        f"<sub>{_foot(seen)}</sub>\n{marker(PROGRESS, seen.story.id)}",
    ]
    return "\n\n".join(part for part in parts if part)


def _held(version: str) -> str:
    if not version:
        return ""
    return (
        "✋ The words of this issue were changed, and its author may not change a story: its agent goes by "
        "those before. Who may write here can have these taken in, by a comment:\n\n"
        f"    orchard: accept {version}"
    )


# -- how it stands -----------------------------------------------------------------------------------


def _standing(seen: Progress) -> str:
    """The first line's rest: what is true now, in words for whoever wrote the issue."""
    cycle = seen.cycle
    phase = cycle.state.phase if cycle is not None else None
    sprint = f"sprint {seen.sprint}" if seen.sprint is not None else "a sprint"
    match seen.status:
        case StoryStatus.BACKLOG:
            return "is in the backlog."
        case StoryStatus.PLANNED:
            return f"is planned for {sprint}, which has not started."
        case StoryStatus.RUNNING if cycle is not None and phase is not None:
            again = f", attempt {cycle.attempt}" if cycle.attempt > 1 else ""
            return f"is being {_AT[phase]}{again}."
        case StoryStatus.WAITING if (waits := pull_waits(seen.pull)) is not None:
            return f"waits {waits}"
        case StoryStatus.WAITING:
            return _sentence(seen) or "waits for its turn."
        case StoryStatus.DONE:
            return f"is done: merged{_as_commit(seen)}."
        case StoryStatus.REMOVED:
            return "was taken out of the backlog."
        case StoryStatus.BLOCKED:
            return "is blocked and needs a person."
        case _:
            return _sentence(seen) or f"is {seen.status}."


def _sentence(seen: Progress) -> str:
    """With phases as the list calls them."""
    said = re.sub(r"\b(test_red|code_green)\b", lambda match: _PHASES[Phase(match[0])].lower(), seen.sentence)
    return line(said, _SENTENCE)


def pull_waits(pull: Pull | None) -> str | None:
    """What a pull request waits for, as in "waits for the checks of #12: 2 of 5 have passed."; None: it is
    not at work."""
    if pull is None or pull.state not in (PullState.WANTED, PullState.OPEN, PullState.LANDABLE):
        return None
    named = link(f"#{pull.number}", pull.url) if pull.number is not None else "the pull request"
    if pull.state is PullState.WANTED or pull.number is None:
        return f"for {named} to be {'updated' if pull.number is not None else 'opened'}."
    if pull.state is PullState.LANDABLE:
        return f"to be merged: {named} has all that it needs."
    if pull.checks_state is ChecksState.FAILED:
        return f"because checks of {named} have failed."
    if pull.review is ReviewState.CHANGES_REQUESTED:
        return f"because changes were requested in {named}."
    if pull.checks_state is ChecksState.PASSED and (said := _said_of(pull)):
        return f"for {named}: {line(said, _SENTENCE)}."
    if pull.checks_state is ChecksState.PASSED:
        return f"for a review of {named}; its checks have passed."
    if pull.checks_state is ChecksState.NONE:
        return f"for the checks of {named} to begin."
    passed = sum(check.conclusion is CheckConclusion.PASSED for check in pull.checks)
    return f"for the checks of {named}: {passed} of {len(pull.checks)} have passed."


def _said_of(pull: Pull) -> str:
    """What the last look at it found, which may be GitHub's own reason against merging it."""
    said = pull.waits.partition("; next ")[0]
    return said.removeprefix("waits").removeprefix(":").strip().removesuffix(".")


def _why(seen: Progress) -> Iterator[str]:
    if seen.status is StoryStatus.BLOCKED and seen.cycle is not None:
        yield f"> {line(seen.cycle.blocked_reason.strip().partition(chr(10))[0], _SENTENCE)}"
        yield ""
    if seen.status in _OVER or seen.status in (StoryStatus.RUNNING, StoryStatus.BACKLOG):
        return
    for detail in seen.details[:_DETAILS]:
        yield f"* {line(detail, 300)}"  # another mark than the phases', or they were one list
    if seen.next and (seen.status in _NEEDS_PEOPLE or seen.details):
        yield ""
        where = ", in Discord" if _COMMAND.search(seen.next) else ""
        yield f"**Next{where}:** {line(seen.next, 300)}"


# -- phases ------------------------------------------------------------------------------------------


def _phases(seen: Progress) -> Iterator[str]:
    """A line each: a table would be wider than a phone."""
    now = _place(seen)
    for place, phase in enumerate(Phase):
        last = next((gate for gate in reversed(seen.gates) if gate.phase is phase), None)
        if place < now or seen.status is StoryStatus.DONE:
            sign, said = "✅", line(last.summary, _SUMMARY) if last is not None and last.passed else "passed"
        elif place > now:
            sign, said = "▫️", ""
        else:
            sign, said = _present_sign(seen), _present(seen, phase, last)
        yield f"- {sign} {_PHASES[phase]}{f': {said}' if said else ''}"


def _place(seen: Progress) -> int:
    """Of the present phase among all; a story that was ended stands where its last verdict was."""
    phase = seen.cycle.state.phase if seen.cycle is not None else None
    if phase is None and seen.gates:
        last = seen.gates[-1]
        return list(Phase).index(last.phase) + last.passed
    return list(Phase).index(phase) if phase is not None else 0


def _present_sign(seen: Progress) -> str:
    if seen.status in (StoryStatus.SKIPPED, StoryStatus.ABORTED, StoryStatus.REMOVED):
        return "⏹️"
    return {StoryStatus.RUNNING: "▶️", StoryStatus.BLOCKED: "🆘"}.get(seen.status, "⏳")


def _present(seen: Progress, phase: Phase, last: GateSeen | None) -> str:
    if last is not None and not last.passed:
        refused = _refused_since_passed(seen.gates, phase)
        return f"refused{f' {refused} times, last' if refused > 1 else ''}: {line(last.summary, _SUMMARY)}"
    if last is not None and phase is Phase.COMMIT and seen.status not in _OVER:
        return line(last.summary, _SUMMARY)
    return "at work" if seen.status is StoryStatus.RUNNING else ""


def _refused_since_passed(gates: Sequence[GateSeen], phase: Phase) -> int:
    count = 0
    for gate in reversed([gate for gate in gates if gate.phase is phase]):
        if gate.passed:
            break
        count += 1
    return count


# -- links -------------------------------------------------------------------------------------------


def _links(seen: Progress) -> Iterator[str]:
    cycle, pull = seen.cycle, seen.pull
    if seen.approved:
        yield f"**Approved by** {', '.join(line(each, 80) for each in seen.approved)}  "
    if pull is not None and pull.checks:
        yield f"**Checks:** {_checks(pull)}  "
    if pull is not None and pull.approvals:
        yield f"**Reviews:** {pull.approvals} approving  "
    where = []
    if pull is not None and pull.number is not None:
        where.append(f"pull request {link(f'#{pull.number}', pull.url)}")
    if seen.status is not StoryStatus.DONE and cycle is not None and cycle.head_commit:
        # What was not pushed is at no address.
        pushed = pull is not None and pull.head == cycle.head_commit
        where.append(f"commit {commit(cycle.head_commit, seen.html_url if pushed else '')}")
        if pushed:
            where.append(f"branch {code(seen.branch)}")
    if where:
        said = " · ".join(where)
        yield f"{said[:1].upper()}{said[1:]}"


def _checks(pull: Pull) -> str:
    counts = {
        "✅": sum(check.conclusion is CheckConclusion.PASSED for check in pull.checks),
        "❌": sum(check.conclusion is CheckConclusion.FAILED for check in pull.checks),
        "⏳": sum(check.conclusion is CheckConclusion.RUNNING for check in pull.checks),
    }
    said = " ".join(f"{sign} {count}" for sign, count in counts.items() if count)
    failed = [check for check in pull.checks if check.conclusion is CheckConclusion.FAILED]
    if not failed:
        return said
    named = ", ".join(link(line(check.name, 60), check.url) for check in failed[:_NAMED_CHECKS])
    more = f" and {len(failed) - _NAMED_CHECKS} more" if len(failed) > _NAMED_CHECKS else ""
    return f"{said} ({named}{more})"


def _as_commit(seen: Progress) -> str:
    merged = seen.cycle.merge_commit if seen.cycle is not None else None
    return f" as {commit(merged, seen.html_url)}" if merged else ""


def _foot(seen: Progress) -> str:
    if seen.story.state in OVER or seen.story.state is StoryState.BACKLOG:
        return "Orchard keeps this comment up to date."
    return (
        "Orchard keeps this comment up to date. Tell its agent something: a comment that begins with "
        "<code>orchard:</code>."
    )

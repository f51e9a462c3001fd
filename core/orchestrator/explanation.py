"""Why a story does what it does, in sentences, from what is known of it. PURE.

A sentence follows the story's name: "shop-3 waits: memory is full ...". Commands are said as Discord knows
them; the faces put them into their own words.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime

from core.domain.approval import Approval, ApprovalKind, what_then, who_may
from core.domain.event import Event, EventKind
from core.domain.github import Pull, PullState
from core.domain.lifecycles import Phase, ProjectStatus, WorkflowState
from core.domain.needs import why_not_needed
from core.domain.project import Project
from core.domain.story import Cycle, Hold, Sprint, Story, StoryStatus
from core.domain.way_back import command_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Needed:
    """A story that has to be done first, and how it is getting on."""

    story: Story
    status: StoryStatus
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AtWork:
    """The lease of the phase that runs now."""

    phase: Phase
    since: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageLimit:
    agent: str
    reason: str
    since: datetime
    until: datetime | None
    resumes: bool  # by itself


@dataclass(frozen=True, slots=True, kw_only=True)
class StoryFacts:
    """`known`: what the running scheduler says of it (sentence, details, next); `runs`: one runs at all.

    `last`: the newest event of each kind that says since when something is so. `unusable`: why nothing of the
    project can be run with its settings.
    """

    now: datetime
    story: Story
    status: StoryStatus
    cycle: Cycle | None
    project: Project
    runs: bool
    sprint: Sprint | None = None
    at_work: AtWork | None = None
    doing: str = ""  # what its agent does now, in half a sentence
    questions: tuple[Approval, ...] = ()  # pending, the oldest first
    unmet: tuple[Needed, ...] = ()
    limit: UsageLimit | None = None
    closed: str = ""  # until when it is outside its work hours, in a sentence
    unusable: str = ""
    denied: tuple[str, ...] = ()  # hosts that its runs were refused since it last got on
    pull: Pull | None = None
    last: dict[EventKind, Event] = field(default_factory=dict)
    known: tuple[str, tuple[str, ...], str] = ("", (), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    sentence: str
    details: tuple[str, ...] = ()
    next: str = ""


_HOSTS_SAID = 3
_AT_WORK = (StoryStatus.BLOCKED, StoryStatus.RUNNING, StoryStatus.WAITING)


def explained(facts: StoryFacts) -> Explanation:
    found = _explained(facts)
    if not facts.denied or facts.status not in _AT_WORK:
        return found
    hosts = ", ".join(facts.denied[:_HOSTS_SAID])
    more = f" and {len(facts.denied) - _HOSTS_SAID} more" if len(facts.denied) > _HOSTS_SAID else ""
    said = (
        f"Its agent was refused {hosts}{more}: the project's allow-list (network_allow in orch-config.yaml) "
        "does not name it."
    )
    return replace(found, details=(*found.details, said))


def _explained(facts: StoryFacts) -> Explanation:
    match facts.status:
        case StoryStatus.PROPOSED | StoryStatus.BACKLOG | StoryStatus.PLANNED:
            return _before_work(facts)
        case StoryStatus.BLOCKED:
            return _blocked(facts)
        case StoryStatus.STOPPED | StoryStatus.TAKEN:
            return _held(facts)
        case StoryStatus.AWAITING_APPROVAL:
            return _asked(facts)
        case StoryStatus.RUNNING:
            return _running(facts)
        case StoryStatus.WAITING:
            return _waiting(facts)
        case _:
            return _over(facts)


# -- not at work -------------------------------------------------------------------------------------


def _before_work(facts: StoryFacts) -> Explanation:
    story, workflow = facts.story, facts.project.workflow
    details = tuple(_needs(facts))
    if story.state.value == StoryStatus.PROPOSED:
        epic = f" for {story.epic_id}" if story.epic_id else ""
        said = f"is proposed{epic}: nobody has approved it yet."
        return Explanation(sentence=said, details=details, next=f"Approve it: /approve {story.id}.")
    if story.state.value == StoryStatus.PLANNED:
        number = f" {facts.sprint.number}" if facts.sprint else ""
        said = f"is chosen for sprint{number}, which has not started."
        return Explanation(sentence=said, details=details, next=f"Start it: /sprint start {story.project}.")
    following = {
        WorkflowState.SPRINT_ACTIVE: f"Let it join the sprint that runs: /tdd start {story.id}.",
        WorkflowState.SPRINT_PAUSED: f"The sprint goes on: /sprint resume {story.project}. Then it can "
        f"join: /tdd start {story.id}.",
        WorkflowState.BLOCKED: f"Let it join the sprint: /tdd start {story.id}.",
        WorkflowState.SPRINT_REVIEW: "The last sprint is reviewed first: "
        f"/feedback {story.project} or /request_changes {story.project}.",
    }.get(workflow, f"Choose it for a sprint: /sprint plan {story.project}.")
    return Explanation(sentence="is in the backlog, in no sprint.", details=details, next=following)


def _over(facts: StoryFacts) -> Explanation:
    story, cycle = facts.story, facts.cycle
    if facts.status is StoryStatus.DONE:
        commit = f": merged as {cycle.merge_commit[:10]}" if cycle and cycle.merge_commit else ""
        merged = facts.last.get(EventKind.STORY_MERGED)
        at = f" at {_moment(merged.at, facts.now)}" if merged else ""
        return Explanation(sentence=f"is done{commit}{at}.")
    kind = {
        StoryStatus.SKIPPED: EventKind.STORY_SKIPPED,
        StoryStatus.ABORTED: EventKind.STORY_ABORTED,
        StoryStatus.REMOVED: EventKind.STORY_REMOVED,
    }[facts.status]
    ended = facts.last.get(kind)
    if ended is None:
        return Explanation(sentence=f"was {story.state}.")
    reason = str(ended.data.get("reason") or "").strip()
    by = f" by {ended.actor} at {_moment(ended.at, facts.now)}"
    return Explanation(sentence=f"was {story.state}{by}{f': {reason}' if reason else '.'}")


# -- with people -------------------------------------------------------------------------------------


def _blocked(facts: StoryFacts) -> Explanation:
    cycle = _cycle(facts)
    first, _, rest = cycle.blocked_reason.strip().partition("\n")
    tries = cycle.attempt
    after = f", attempt {tries}" if tries > 1 else ""
    name = facts.story.id
    again = f"/tdd {command_of(cycle.state.phase)} {name}, " if cycle.state.phase else ""
    return Explanation(
        sentence=f"is blocked in {cycle.state}{after}: {first}",
        details=(*(line for line in rest.splitlines() if line.strip()), *_obstacle_sentences(facts)),
        next=_after_pause(
            facts,
            f"A person helps: /suggest_fix {name}, {again}/story takeover {name}, /skip_task {name} or "
            f"/tdd abort {name}.",
        ),
    )


def _held(facts: StoryFacts) -> Explanation:
    cycle = _cycle(facts)
    who = cycle.held_by or "a person"
    if cycle.hold is Hold.TAKEN:
        since = _since(facts, EventKind.STORY_TAKEN)
        return Explanation(
            sentence=f"is with {who}, who works in its folder{since}.",
            details=tuple(_obstacle_sentences(facts)),
            next=f"It goes on when they hand it back: /story handback {facts.story.id}.",
        )
    since = _since(facts, EventKind.STORY_STOPPED)
    return Explanation(
        sentence=f"is stopped in {cycle.state} by {who}{since}.",
        details=tuple(_obstacle_sentences(facts)),
        next=_after_pause(
            facts,
            f"Let it go on: /tdd start {facts.story.id}; or one phase of it: /tdd next {facts.story.id}.",
        ),
    )


def _asked(facts: StoryFacts) -> Explanation:
    merges = [one for one in facts.questions if one.kind is ApprovalKind.MERGE]
    asked = (merges or list(facts.questions))[0]
    details = list(asked.reasons)
    details.append(f"It may be answered by {who_may(asked)}; asked {_moment(asked.asked_at, facts.now)}.")
    if asked.due_at is not None:
        details.append(f"Unanswered by {_moment(asked.due_at, facts.now)}, {what_then(asked)}.")
    if len(facts.questions) > 1:
        details.append(f"{len(facts.questions)} questions about it are open.")
    details += _obstacle_sentences(facts)
    return Explanation(
        sentence=f"waits for an answer: {asked.question}",
        details=tuple(details),
        next=f"Answer it: /approve {facts.story.id}.",
    )


# -- at work -----------------------------------------------------------------------------------------


def _running(facts: StoryFacts) -> Explanation:
    cycle = _cycle(facts)
    phase = str(facts.at_work.phase if facts.at_work else cycle.state)
    if not facts.runs:
        return Explanation(
            sentence=f"was in {phase}, attempt {cycle.attempt}, when Orchard ended. {_NOT_RUNNING}",
            details=tuple(_obstacle_sentences(facts)[1:]),
            next=f"{_START_IT} It goes on from its last passed gate.",
        )
    what = "is being merged" if phase == Phase.COMMIT else f"is in {phase}, attempt {cycle.attempt}"
    since = ""
    details: list[str] = []
    if facts.at_work is not None:
        spent = _span((facts.now - facts.at_work.since).total_seconds())
        since = f", since {_moment(facts.at_work.since, facts.now)} ({spent})"
        if facts.at_work.expires_at <= facts.now:
            details.append("Its worker has said nothing for too long: the phase is about to be taken back.")
    started = facts.last.get(EventKind.PHASE_STARTED)
    if started is not None and started.data.get("agent") and phase != Phase.COMMIT:
        details.append(f"Its agent is {started.data['agent']}.")
        if why := started.data.get("why"):
            details.append(_capital(str(why)))
    if cycle.hold is Hold.STEP:
        details.append(f"It is stopped after this phase, as {cycle.held_by or 'a person'} asked.")
    doing = f": {facts.doing.removeprefix(f'{phase}: ').strip()}" if facts.doing else "."
    return Explanation(sentence=f"{what}{since}{doing}", details=(*details, *facts.known[1]))


def _waiting(facts: StoryFacts) -> Explanation:
    obstacles = _obstacles(facts)
    details = [said for said in (_parked(facts), _pull(facts)) if said]
    if obstacles:
        sentence = f"waits: {obstacles[0][0]}"
        details += [_capital(said) for said, _ in obstacles[1:]]
        details += _needs(facts)
        return Explanation(
            sentence=sentence,
            details=tuple(details),
            next=" Then: ".join(dict.fromkeys(then for _, then in obstacles if then)),
        )
    sentence, more, then = facts.known
    return Explanation(
        sentence=sentence or "waits for a worker.",
        details=(*details, *more),
        next=then or ("It goes on by itself when that is over." if sentence else "A worker is free."),
    )


def _parked(facts: StoryFacts) -> str:
    parked = facts.last.get(EventKind.STORY_PARKED)
    if not _cycle(facts).parked or parked is None:
        return ""
    taker = parked.data.get("taker")
    reason = str(parked.data.get("reason") or "").removeprefix("parks: ").rstrip(".")
    place = f" to make place for {taker}" if taker else ""
    why = f" ({reason})" if reason else ""
    return (
        f"It was parked in {parked.data.get('phase', 'its phase')} at {_moment(parked.at, facts.now)}{place}"
        f"{why}; its work is kept and goes on where it was."
    )


def _pull(facts: StoryFacts) -> str:
    """Where it stands outside, and what was said of it there."""
    pull = facts.pull
    if pull is None or not pull.url or pull.state in (PullState.MERGED, PullState.CLOSED):
        return ""
    checks = ", ".join(f"{check.name} {check.conclusion}" for check in pull.checks)
    return f"Its pull request is {pull.url}{f': {checks}' if checks else ''}."


_NOT_RUNNING = "Orchard is not running."
_START_IT = "Start Orchard: orchard run."


def _obstacles(facts: StoryFacts) -> list[tuple[str, str]]:
    """What keeps it from starting whatever there is room for, the widest first: a sentence, and what ends
    it."""
    found: list[tuple[str, str]] = []
    if not facts.runs:
        found.append((_NOT_RUNNING, _START_IT))
    found += _project_obstacles(facts)
    if facts.unmet:
        found.append((_needs_sentence(facts), _needs_next(facts)))
    if facts.closed:
        found.append((facts.closed, "Work hours begin; then it goes on by itself."))
    return found


def _project_obstacles(facts: StoryFacts) -> list[tuple[str, str]]:
    project, name = facts.project, facts.project.name
    found: list[tuple[str, str]] = []
    if project.status is not ProjectStatus.ACTIVE:
        since = _since(facts, EventKind.PROJECT_STOPPED) if project.status is ProjectStatus.PAUSED else ""
        found.append(
            (f"{name} is {project.status}{since}: nothing of it runs.", f"Start it: /project_start {name}.")
        )
    if facts.unusable:
        found.append((facts.unusable, f"Mend that, then: /project_start {name}."))
    if project.workflow is WorkflowState.SPRINT_PAUSED:
        found.append(_paused(facts))
    elif project.workflow is WorkflowState.BLOCKED:
        said = f"{name} stands still: its stories at work are blocked or wait for ones that are."
        found.append((said, "A person helps the blocked ones: /suggest_fix or /skip_task."))
    elif project.workflow is not WorkflowState.SPRINT_ACTIVE:
        found.append((f"no sprint of {name} runs ({project.workflow}).", f"Start one: /sprint start {name}."))
    return found


def _paused(facts: StoryFacts) -> tuple[str, str]:
    name = facts.project.name
    if (limit := facts.limit) is None:
        changed = facts.last.get(EventKind.WORKFLOW_CHANGED)
        since = f" by {changed.actor} at {_moment(changed.at, facts.now)}" if changed else ""
        return f"the sprint of {name} is paused{since}.", f"Let it go on: /sprint resume {name}."
    reason = limit.reason.strip().partition("\n")[0].rstrip(".")
    said = f"{limit.agent} takes no more work since {_moment(limit.since, facts.now)}"
    said += f": {reason}." if reason else "."
    until = "" if limit.until is None else _moment(limit.until, facts.now)
    if limit.resumes and until:
        return said, f"The sprint goes on by itself at {until}; or at once: /sprint resume {name}."
    when = f" after {until}" if until else " when the limit is over"
    return said, f"A person lets it go on{when}: /sprint resume {name}."


def _after_pause(facts: StoryFacts, following: str) -> str:
    """What a person can do for a story, once its sprint is not paused: until then it is refused."""
    if facts.project.workflow is not WorkflowState.SPRINT_PAUSED:
        return following
    return f"{_paused(facts)[1]} Then: {following}"


def _obstacle_sentences(facts: StoryFacts) -> list[str]:
    """For a story that waits for people first: what else is in its way."""
    own = [] if facts.runs else [_NOT_RUNNING]
    return own + [_capital(said) for said, _ in _project_obstacles(facts)]


# -- needs, hours, words -----------------------------------------------------------------------------


def _needs_sentence(facts: StoryFacts) -> str:
    if never := [each for each in facts.unmet if why_not_needed(each.story)]:
        gone = ", ".join(why_not_needed(each.story) for each in never[:5])
        return f"{gone}, and will never be done."
    named = ", ".join(f"{each.story.id} ({each.status})" for each in facts.unmet[:5])
    more = f" and {len(facts.unmet) - 5} more" if len(facts.unmet) > 5 else ""
    return f"{named}{more} {'has' if len(facts.unmet) == 1 else 'have'} to be done first."


def _needs_next(facts: StoryFacts) -> str:
    if any(why_not_needed(each.story) for each in facts.unmet):
        return f"Take the need away: /backlog edit {facts.story.id}."
    if len(facts.unmet) == 1:
        return f"{facts.unmet[0].story.id} is merged."
    return "All of them are merged."


def _needs(facts: StoryFacts) -> list[str]:
    """Each story that it needs, where it is and how it is getting on."""
    return [
        f"It needs {each.story.id} ({each.story.title}) in {each.story.project}: {each.status}"
        f"{f', {why}' if (why := each.why.partition(chr(10))[0].strip()) else '.'}"
        for each in facts.unmet
    ]


def _cycle(facts: StoryFacts) -> Cycle:
    assert facts.cycle is not None  # a story at work has one
    return facts.cycle


def _since(facts: StoryFacts, kind: EventKind) -> str:
    event = facts.last.get(kind)
    return f" since {_moment(event.at, facts.now)}" if event else ""


def _moment(at: datetime, now: datetime) -> str:
    return f"{at:%H:%M} UTC" if at.date() == now.date() else f"{at:%Y-%m-%d %H:%M} UTC"


def _span(seconds: float) -> str:
    seconds = max(0.0, seconds)
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _capital(sentence: str) -> str:
    """As a sentence of its own; names of projects and agents stay as they are written."""
    begins = sentence.startswith(("it ", "no ", "the ", "when "))
    return f"{sentence[:1].upper()}{sentence[1:]}" if begins else sentence

"""A story with all that proves how far it is. PURE."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from bot.web.dashboard import signs
from core.domain.approval import Approval
from core.domain.event import Event
from core.domain.evidence import Evidence
from core.domain.story import Story, StoryStatus
from core.orchestrator.resource_views import WhyView
from core.orchestrator.views import GateView, StoryDetail

Fact = tuple[str, str, tuple[str, ...]]  # name, count in words, what they are

_TOLD = ("summary", "reason", "question", "text", "title", "message", "commit", "why", "error", "host")
_COMMIT = 10  # characters of a commit's name
_LONGEST = 240  # characters of what an event says
_OVER = frozenset({StoryStatus.DONE, StoryStatus.SKIPPED, StoryStatus.ABORTED, StoryStatus.REMOVED})


@dataclass(frozen=True, slots=True, kw_only=True)
class GateCard:
    key: str
    phase: str
    passed: bool
    attempt: int
    at: datetime
    seconds: float
    cached: bool
    refusals: tuple[str, ...]
    facts: tuple[Fact, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    seq: int
    at: datetime
    word: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoryPicture:
    story: Story
    sign: str
    word: str
    status: StoryStatus
    at_work: bool
    steps: int  # phases behind it, of 5
    why: str
    step: str  # what happens inside of its phase now
    details: tuple[str, ...]
    next: str
    needs: tuple[str, ...]
    links: tuple[tuple[str, str], ...]  # what it is, and where
    base: str | None
    head: str | None
    spec: str
    gates: tuple[GateCard, ...]  # the newest first
    approvals: tuple[Approval, ...]  # those that wait first, then the newest
    log: tuple[LogLine, ...]  # the newest first


def story_picture(detail: StoryDetail, why: WhyView, events: Sequence[Event], step: str) -> StoryPicture:
    view, cycle = detail.view, detail.view.cycle
    at_work = cycle is not None and cycle.state in signs.PHASES and view.status not in _OVER
    links = [(f"{link.what} {link.number}", link.url) for link in view.addresses if _is_web(link.url)]
    links += [("link", url) for url in view.story.links if _is_web(url)]
    steps = 0
    if cycle is not None:
        steps = signs.steps_of(cycle.state) if at_work or view.status is StoryStatus.DONE else 0
    approvals = sorted(detail.approvals, key=lambda one: one.asked_at, reverse=True)
    sentence = f"{view.story.id} {why.sentence}" if why.sentence else view.why
    return StoryPicture(
        story=view.story,
        sign=signs.STORY[view.status],
        word=view.status.value,
        status=view.status,
        at_work=at_work,
        steps=steps,
        why=sentence,
        step=step if step.partition(": ")[2] not in sentence else "",
        details=why.details,
        next=why.next,
        needs=view.needs,
        links=tuple(links),
        base=cycle.base_commit if cycle is not None else None,
        head=cycle.head_commit if cycle is not None else None,
        spec=cycle.spec if cycle is not None else "",
        gates=tuple(gate_card(gate) for gate in reversed(detail.gates)),
        approvals=tuple(sorted(approvals, key=lambda one: one.state.value != "pending")),
        log=tuple(log_line(event) for event in reversed(events)),
    )


def _is_web(url: str) -> bool:
    return url.startswith(("https://", "http://"))


def gate_card(gate: GateView) -> GateCard:
    evidence = gate.verdict.evidence
    return GateCard(
        key=f"{gate.phase}-{gate.attempt}-{gate.at.isoformat()}",
        phase=gate.phase.value,
        passed=gate.verdict.passed,
        attempt=gate.attempt,
        at=gate.at,
        seconds=evidence.seconds,
        cached=evidence.cached,
        refusals=tuple(refusal.sentence for refusal in gate.verdict.refusals),
        facts=tuple(facts_of(evidence)),
    )


def facts_of(evidence: Evidence) -> list[Fact]:
    """What there is to tell, in the order in which somebody who doubts would ask."""
    found: list[Fact] = []
    lists: Mapping[str, tuple[str, ...]] = {
        "red": evidence.red,
        "green": evidence.green,
        "passed at once": evidence.characterisation,
        "flaky": evidence.flaky,
        "failed before": evidence.failing_before,
        "skipped": evidence.skipped,
        "changed": evidence.changed_files,
        "notes": evidence.notes,
    }
    for name, items in lists.items():
        if items:
            what = "file" if name == "changed" else "note" if name == "notes" else "test"
            found.append((name, f"{len(items)} {what}{'' if len(items) == 1 else 's'}", items))
    if evidence.passed_count:
        count = evidence.passed_count
        found.append(("passed", f"{count} test{'' if count == 1 else 's'}", ()))
    if evidence.exit_code_only:
        found.append(("report", "none: the exit code alone", ()))
    if evidence.command:
        found.append(("command", "", (" ".join(evidence.command),)))
    if evidence.tree:
        found.append(("tree", evidence.tree[:12], ()))
    return found


def log_line(event: Event) -> LogLine:
    name = next((name for name in _TOLD if event.data.get(name)), "")
    said = str(event.data.get(name, ""))[: _COMMIT if name == "commit" else None]
    phase = str(event.data.get("phase", ""))
    by = str(event.data.get("by", ""))
    first = said.partition("\n")[0]
    parts = [part for part in (phase, f"by {by}" if by else "", first) if part]
    text = " · ".join(parts)
    return LogLine(
        seq=event.seq,
        at=event.at,
        word=event.kind.value.replace("_", " "),
        text=text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…",
    )

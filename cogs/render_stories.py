"""Stories as messages: proposed, shown whole, held, logged. PURE."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cogs.buttons import answer_buttons, epic_buttons, epic_failed_buttons, proposal_buttons, story_buttons
from cogs.message import Attachment, Button, Card, Choice, Field, Message, Select, Tone, paginate
from cogs.render import STORY_SIGNS, done, paged, stamp, story_line
from cogs.render_github import pull_lines
from cogs.text import code, count, cut, fence, one_line, plain, title
from core.domain.approval import ApprovalKind, ApprovalState
from core.domain.event import Event, EventKind
from core.domain.story import EpicState, StoryStatus
from core.orchestrator.views import (
    CyclesView,
    EpicView,
    GateView,
    RunView,
    StoryDetail,
    StoryView,
    TakeoverView,
)

_EPIC_SAYS = {
    EpicState.DESIGNING: "🎨 The design agent works on it. Its stories are posted here when they are there.",
    EpicState.PROPOSED: "💡 Choose a story to read, edit or approve it.",
    EpicState.SETTLED: "✅ Every story was approved or removed.",
    EpicState.FAILED: "⛔ The design agent gave nothing usable.",
}


def epic_begun(view: EpicView) -> Message:
    epic = view.epic
    return done(
        f"🎨 {epic.id} is being designed",
        f"{fence(epic.text, limit=1800)}\nThe design agent proposes stories; they are posted here, "
        "and nothing is done before you approve them.",
    )


def epic_revised(view: EpicView, text: str) -> Message:
    return done(
        f"🎨 {view.epic.id} is designed anew",
        f"{fence(text, limit=1800)}\nWhat is still proposed is replaced when the new stories are there.",
    )


def epic(view: EpicView, page: int = 0) -> Message:
    """Its proposals, to choose one from; what became of the others stands among them."""
    epic = view.epic
    lines = tuple(f"**{n}.** {story_line(s, criteria=True)}" for n, s in enumerate(view.stories, 1))
    head = f"{plain(cut(epic.text, 500))}\n{_EPIC_SAYS[epic.state]}"
    if epic.error:
        head += f"\n{plain(epic.error, 800)}"
    shown = paged(f"Epic {epic.id}", head, lines or ("No stories yet.",), page, what="epic", argument=epic.id)
    pages = paginate(lines)
    page = min(max(page, 0), len(pages) - 1)
    first = sum(len(one) for one in pages[:page])
    here = view.stories[first : first + len(pages[page])]
    choices = tuple(
        Choice(
            value=story.story.id,
            label=one_line(f"{story.story.id} {story.story.title}", 100),
            more=one_line(story.story.body, 100),
        )
        for story in here
        if story.status is StoryStatus.PROPOSED
    )
    select = Select(verb="pick", target=epic.id, placeholder="Choose a proposed story…", choices=choices)
    buttons: tuple[Button, ...] = ()
    if epic.state is EpicState.PROPOSED:
        buttons = epic_buttons(epic.id, look_through=False)
    elif epic.state is EpicState.FAILED:
        buttons = epic_failed_buttons(epic.id)
    return Message(cards=shown.cards, buttons=(*shown.buttons, *buttons), select=select if choices else None)


def approved(views: Sequence[StoryView]) -> Message:
    lines = "\n".join(story_line(view, criteria=True) for view in views)
    word = "story is" if len(views) == 1 else "stories are"
    return done(f"👍 {len(views)} {word} in the backlog", f"{lines}\nNext: `/sprint plan`.")


def changed(view: StoryView, what: str) -> Message:
    """A story after it was edited, moved or removed."""
    return done(what, story_line(view, criteria=True))


def held(view: StoryView, what: str) -> Message:
    """A story after somebody stopped it, let it go on, steered it: with the buttons that fit now."""
    made = done(what, story_line(view))
    return Message(cards=made.cards, buttons=story_buttons(view.story.id, view.status))


def taken(view: TakeoverView) -> Message:
    story = view.view.story
    body = (
        f"The agent waits. The files are here, on Orchard's machine:\n{fence(view.path, limit=1000)}\n"
        f"Branch {code(view.branch)}. Change what you like there, then press Hand back "
        f"(or `/story handback`): the gate judges what you left."
    )
    made = done(f"🙋 {story.id} is yours", body)
    return Message(cards=made.cards, buttons=story_buttons(story.id, view.view.status))


def story(detail: StoryDetail) -> Message:
    """Everything of a story. What is too long is attached whole."""
    view = detail.view
    story, cycle = view.story, view.cycle
    fields: list[Field] = []
    if story.acceptance_criteria:
        criteria = "\n".join(f"☐ {plain(text, 400)}" for text in story.acceptance_criteria)
        fields.append(Field(name="Acceptance criteria", value=criteria))
    if facts := _facts(view):
        fields.append(Field(name="Planned by", value=facts))
    if story.links:
        fields.append(Field(name="Links", value="\n".join(f"<{_link(link)}>" for link in story.links)))
    if detail.pull is not None and detail.pull.number is not None:
        fields.append(Field(name="Pull request", value=pull_lines(detail.pull)))
    if detail.gates:
        fields.append(Field(name="Gates", value="\n".join(_gate(gate) for gate in detail.gates)))
        passed = [gate for gate in detail.gates if gate.verdict.passed]
        if passed:
            fields.append(Field(name=f"Evidence of {passed[-1].phase}", value=_evidence(passed[-1])))
    if detail.approvals:
        questions = "\n".join(
            f"{'✋' if a.state is ApprovalState.PENDING else '•'} {plain(a.question, 150)}: **{a.state}**"
            for a in detail.approvals
        )
        fields.append(Field(name="Questions", value=questions))
    if cycle is not None and cycle.feedback:
        fields.append(Field(name="For the agent's next prompt", value=fence(cycle.feedback, limit=900)))
    status = story_line(view)
    card = Card(
        title=f"{STORY_SIGNS[view.status]} {story.id} · {title(story.title)}",
        body=f"{status}\n{plain(story.body)}".strip(),
        fields=tuple(fields),
        footer=f"added by {one_line(story.added_by, 60)}",
        at=story.added_at,
        tone=Tone.BAD if view.status is StoryStatus.BLOCKED else Tone.NEUTRAL,
    )
    spec = cycle.spec if cycle is not None else ""
    files = (Attachment(name=f"{story.id}-design.md", text=spec),) if spec.strip() else ()
    # Its post may be gone, or far up: what it asks can be read and answered here as well.
    asked = next((one for one in detail.approvals if one.state is ApprovalState.PENDING), None)
    if asked is not None and asked.detail.strip():
        end = "diff" if asked.kind is ApprovalKind.MERGE else "txt"
        files = (*files, Attachment(name=f"{story.id}.{end}", text=asked.detail))
    buttons = (
        proposal_buttons(story.id)
        if view.status is StoryStatus.PROPOSED
        else story_buttons(story.id, view.status)
    )
    if asked is not None:
        buttons = (*answer_buttons(asked.id), *buttons)
    return Message(cards=(card,), attachments=files, buttons=buttons)


def cycles(view: CyclesView, now: float, page: int = 0) -> Message:
    """The project's stories at work; `now` in seconds since the epoch."""
    lines = [_cycle_line(story, now) for story in view.stories]
    lines += [
        f"⚠️ {code(o.later)} changes what {code(o.first)} changes: "
        f"{', '.join(code(file, 80) for file in o.files[:6])}{' …' if len(o.files) > 6 else ''}"
        for o in view.overlaps
    ]
    if view.merging:
        lines.append("🔀 Merge queue: " + " → ".join(code(one) for one in view.merging[:20]))
    return paged(
        f"At work in {view.project}",
        "",
        tuple(lines) or ("Nothing is at work. `/sprint start` or `/tdd start` begins.",),
        page,
        what="cycles",
        argument=view.project,
    )


def tests_running(project: str, story_id: str | None) -> Message:
    what = f"the tests of {code(story_id)}" if story_id else f"the tests of {code(project)}'s main branch"
    body = f"🧪 Running {what}. This message tells the result; so does a post, should it take long."
    return Message(cards=(Card(body=body, tone=Tone.QUIET),))


def tests_ran(view: RunView) -> Message:
    report = view.report
    whose = code(report.story_id) if report.story_id else code(view.project)
    if report.error:
        card = Card(
            title="🧪 The tests could not be run", body=f"{whose}: {plain(report.error)}", tone=Tone.BAD
        )
        return Message(cards=(card,))
    good = report.exit_code == 0 and not report.failed_count
    parts = [f"{report.passed} passed", f"{report.failed_count} failed"]
    parts += [f"{report.skipped} skipped"] if report.skipped else []
    told = "exit code only" if report.exit_code_only else ", ".join(parts)
    lines = [f"{whose} at {code(report.commit[:12])}: {told} in {report.seconds:.1f} s."]
    lines += [f"✗ {code(name, 150)}" for name in report.failed[:15]]
    if report.failed_count > 15:
        lines.append(f"… and {report.failed_count - 15} more")
    files: tuple[Attachment, ...] = ()
    if report.output.strip():
        lines.append(fence(report.output[-1200:], limit=1300))
        files = (Attachment(name="output.txt", text=report.output),)
    heading = "🧪 All tests pass" if good else "🧪 Tests fail"
    card = Card(title=heading, body="\n".join(lines), tone=Tone.GOOD if good else Tone.BAD)
    return Message(cards=(card,), attachments=files)


def log(story_id: str, events: Sequence[Event], transcript: str, page: int = 0) -> Message:
    """What happened, newest first; the last turn's words as a file."""
    lines = tuple(_event_line(event) for event in reversed(events))
    made = paged(
        f"What happened to {story_id}",
        "",
        lines or ("Nothing yet.",),
        page,
        what="log",
        argument=story_id,
    )
    if not transcript.strip():
        return made
    file = Attachment(name=f"{story_id}-last-turn.txt", text=transcript)
    return Message(cards=made.cards, buttons=made.buttons, attachments=(file,))


def _cycle_line(view: StoryView, now: float) -> str:
    cycle = view.cycle
    if cycle is None or cycle.state.phase is None:
        return story_line(view)
    minutes = max(now - cycle.started_at.timestamp(), 0) / 60
    spent = f"{minutes:.0f} min" if minutes < 180 else f"{minutes / 60:.1f} h"
    line, _, rest = story_line(view).partition("\n")
    return f"{line} · {spent}" + (f"\n{rest}" if rest else "")


def _facts(view: StoryView) -> str:
    story = view.story
    parts = [
        count(story.estimate, "point") if story.estimate is not None else "",
        f"priority {story.priority}",
        "labels " + ", ".join(code(label, 50) for label in story.labels) if story.labels else "",
        "needs " + ", ".join(code(need) for need in view.needs) if view.needs else "",
        f"of epic {code(story.epic_id)}" if story.epic_id else "",
    ]
    return " · ".join(part for part in parts if part)


def _link(link: str) -> str:
    """An address in angle brackets: no preview, and no way out of them."""
    return one_line(link, 500).replace("<", "%3C").replace(">", "%3E").replace(" ", "%20")


def _gate(gate: GateView) -> str:
    verdict = gate.verdict
    attempt = f" (try {gate.attempt})" if gate.attempt > 1 else ""
    when = stamp(gate.at.timestamp(), "R")
    if verdict.passed:
        commit = f" {code(gate.commit[:10])}" if gate.commit else ""
        return f"✅ {code(gate.phase)}{attempt}{commit} {when}"
    said = "; ".join(str(refusal.code) for refusal in verdict.refusals)
    return f"❌ {code(gate.phase)}{attempt} {plain(said, 200)} {when}"


def _evidence(gate: GateView) -> str:
    seen = gate.verdict.evidence
    parts = [
        (seen.green, "red tests pass now"),
        (seen.red if not seen.green else (), "honest red tests"),
        (seen.characterisation, "tests passed at once"),
        (seen.flaky, "flaky"),
        (seen.skipped, "skipped"),
    ]
    counts = [f"{seen.passed_count} passed"] + [f"{len(names)} {what}" for names, what in parts if names]
    lines = [", ".join(counts) + (" (exit code only)" if seen.exit_code_only else "")]
    lines += [f"• {code(name, 120)}" for name in (seen.green or seen.red)[:8]]
    if seen.changed_files:
        lines.append("changed: " + ", ".join(code(name, 80) for name in seen.changed_files[:10]))
    return "\n".join(lines)


def _event_line(event: Event) -> str:
    when = stamp(event.at.timestamp(), "t")
    by = f" · {_actor(event.actor)}" if event.actor not in {"orchard", "gate", "agent"} else ""
    return f"{when} **{str(event.kind).replace('_', ' ')}**{_told(event.data, event.kind)}{by}"


_TOLD = ("phase", "attempt", "from", "to", "summary", "reason", "text", "question", "said", "error", "doing")


def _told(data: Mapping[str, Any], kind: EventKind) -> str:
    parts = [str(data[key]) for key in _TOLD if data.get(key) not in (None, "")]
    return f" · {plain(one_line(' · '.join(parts), 220))}" if parts else ""


def _actor(actor: str) -> str:
    kind, _, name = actor.partition(":")
    return f"<@{name}>" if kind == "discord" and name.isdigit() else plain(actor, 60)

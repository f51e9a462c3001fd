"""Events as posts: where each goes, what it says, whom it calls. PURE.

What an epic, a hold, an overlap or a usage limit says stands in `scrum_notices`, what limits and shares say
in `resource_notices`, what budgets say in `budget_notices`, what the network refused in `network_notices`,
what GitHub says in `github_notices`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from bot.discord.budget_notices import BUDGETS
from bot.discord.github_notices import GITHUB
from bot.discord.network_notices import NETWORK
from bot.discord.notice import Data, Notice, Place, Render, entries, listed, number, say, text, texts
from bot.discord.render import approval, who
from bot.discord.resource_notices import RESOURCES
from bot.discord.scrum_notices import SCRUM
from cogs.buttons import answer_buttons, story_buttons
from cogs.message import Card, Field, Message, Tone
from cogs.text import code, count, plain, title
from core.domain.approval import Approval, ApprovalKind, ApprovalState
from core.domain.event import Event, EventKind
from core.domain.ping import Ping
from core.domain.story import StoryStatus

ATTEMPTS_SHOWN = 5


def mark(event: Event) -> str:
    """The footer by which a post is known again after a crash, together with its time."""
    return f"{event.story_id or event.project or 'orchard'} · #{event.seq}"


def notice(event: Event, story_title: str = "") -> Notice | None:
    """The post of an event; None for a kind that people are not told."""
    render = _RENDERERS.get(event.kind)
    if render is None:
        return None
    made = render(event, event.data, story_title)
    return replace(made, message=marked(made.message, event))


def marked(message: Message, event: Event) -> Message:
    """The message with the event's mark on its first card."""
    first = replace(message.cards[0], footer=mark(event), at=event.at)
    return replace(message, cards=(first, *message.cards[1:]))


def bare(event: Event) -> Message:
    """What is posted when Discord refuses the rendered form: less, but not nothing."""
    card = Card(body=code(str(event.kind)), footer=mark(event), at=event.at, tone=Tone.QUIET)
    return Message(cards=(card,))


# -- one function a kind ---------------------------------------------------------------------


def _project_registered(event: Event, data: Data, _: str) -> Notice:
    """The first post of a project's channel, by which people find it."""
    where = f" Its files: {code(text(data, 'path'), 300)}." if text(data, "path") else ""
    notes = "".join(f"\n• {plain(note, 300)}" for note in texts(data, "notes")[:5])
    return say(
        f"📦 **{title(event.project or '', 60)}** is registered.{where}{notes}\n"
        "Say what you want: `/epic` has stories proposed, `/backlog add_story` adds one. "
        "`/state` shows what is possible.",
        place=Place.CHANNEL,
    )


def _backup_failed(event: Event, data: Data, _: str) -> Notice:
    return say(
        f"⚠️ **No backup of Orchard's store was made.** {plain(text(data, 'message'), 600)}\n"
        f"{plain(text(data, 'hint'), 300)} It is tried again {plain(text(data, 'again'), 60)}.",
        place=Place.CHANNEL,
        tone=Tone.BAD,
    )


def _project_started(event: Event, data: Data, _: str) -> Notice:
    return say(
        f"🟢 **{event.project}** works now. Started by {who(event.actor)}.",
        place=Place.CHANNEL,
        tone=Tone.GOOD,
    )


def _at_rest(sentence: str) -> Render:
    """Of a project that works no longer. `sentence`: with {project} and {who}."""

    def render(event: Event, data: Data, _: str) -> Notice:
        said = sentence.format(project=event.project, who=who(event.actor))
        return say(said, place=Place.CHANNEL, tone=Tone.QUIET)

    return render


def _project_unavailable(event: Event, data: Data, _: str) -> Notice:
    hint = f"\n{plain(text(data, 'hint'))}" if text(data, "hint") else ""
    name = event.project or text(data, "project")
    return say(
        f"🛠️ **{title(name, 60)}** cannot work: {plain(text(data, 'message'))}{hint}",
        place=Place.CHANNEL,
        tone=Tone.BAD,
        ping=Ping.BLOCKED,
    )


def _sprint_planned(event: Event, data: Data, _: str) -> Notice:
    stories = texts(data, "stories")
    shown = ", ".join(code(story) for story in stories[:40]) + ("…" if len(stories) > 40 else "")
    number_of = count(len(stories), "story", "stories")
    return say(
        f"🗓️ Sprint planned by {who(event.actor)}: {number_of}. {shown}{_goal(data)}",
        place=Place.CHANNEL,
    )


def _sprint_started(event: Event, data: Data, _: str) -> Notice:
    return say(
        f"🏃 Sprint {_sprint_number(data)} started by {who(event.actor)}.{_goal(data)}",
        place=Place.CHANNEL,
        tone=Tone.GOOD,
    )


def _sprint_finished(event: Event, data: Data, _: str) -> Notice:
    stories = data.get("stories")
    states = stories if isinstance(stories, Mapping) else {}
    lines = [
        f"{_END_SIGNS.get(str(state), '•')} {code(str(story))} {title(str(state), 40)}"
        for story, state in states.items()
    ]
    shown = "\n".join(lines[:60]) + (f"\n… and {len(lines) - 60} more" if len(lines) > 60 else "")
    return say(
        f"🏁 Sprint {_sprint_number(data)} is finished.{_goal(data)}\n{shown}\nNext: `/feedback`.",
        place=Place.CHANNEL,
        tone=Tone.GOOD,
        ping=Ping.DONE,
    )


def _phase_started(event: Event, data: Data, _: str) -> Notice:
    attempt = f", try {title(text(data, 'attempt'), 20)}" if text(data, "attempt") not in {"", "1"} else ""
    agent = f" by {code(text(data, 'agent'), 60)}" if text(data, "agent") else ""
    instead = text(data, "why")  # another agent than the one asked for
    because = f"\n🔁 {plain(instead[:1].upper() + instead[1:], 800)}" if instead else ""
    return say(f"▶️ {code(text(data, 'phase'))}{attempt} started{agent}.{because}", tone=Tone.QUIET)


def _gate_passed(event: Event, data: Data, _: str) -> Notice:
    evidence = data.get("evidence")
    facts: Data = evidence if isinstance(evidence, Mapping) else data
    fields = [
        Field(name=name, value=listed(texts(facts, key)))
        for key, name in (
            ("red", "Failed honestly at red"),
            ("green", "Pass now"),
            ("characterisation", "Passed at once (not counted)"),
            ("flaky", "Flaky (not counted)"),
        )
        # What was red and passes by now is told once.
        if texts(facts, key) and not (key == "red" and texts(facts, "green"))
    ]
    commit = f" · {code(text(data, 'commit')[:10])}" if text(data, "commit") else ""
    return say(
        f"✅ {code(text(data, 'phase'))} passed: {plain(text(data, 'summary'))}{commit}",
        fields=tuple(fields),
        tone=Tone.GOOD,
    )


def _gate_refused(event: Event, data: Data, _: str) -> Notice:
    fields = tuple(
        Field(
            name=title(text(entry, "code") or "refused", 200),
            value="\n".join(
                part
                for part in (
                    plain(text(entry, "sentence")),
                    listed(texts(entry, "tests")),
                    listed(texts(entry, "files")),
                )
                if part
            )
            or "—",
        )
        for entry in entries(data, "refusals")
    )
    summary = "" if fields else f": {plain(text(data, 'summary'))}"
    return say(
        f"❌ {code(text(data, 'phase'))}, try {title(text(data, 'attempt'), 20) or '?'}, "
        f"was refused{summary}.",
        fields=fields,
        tone=Tone.BAD,
    )


def _sent_back(event: Event, data: Data, _: str) -> Notice:
    return say(
        f"↩️ Back from {code(text(data, 'from'))} to {code(text(data, 'to'))}: {plain(text(data, 'reason'))}",
        tone=Tone.ASK,
    )


def _approval_requested(event: Event, data: Data, story_title: str) -> Notice:
    asked = Approval(
        id=text(data, "approval") or "unknown",
        project=event.project or "",
        story_id=event.story_id or "",
        kind=ApprovalKind.MERGE,
        question=text(data, "question"),
        detail="",
        reasons=texts(data, "reasons"),
        subject="",
        state=ApprovalState.PENDING,
        asked_at=event.at,
    )
    return Notice(message=approval(asked, story_title), place=Place.CHANNEL, ping=Ping.QUESTION)


def _approval_answered(event: Event, data: Data, _: str) -> Notice:
    state = text(data, "state")
    sign = {"approved": "👍", "rejected": "👎"}.get(state, "🚫")
    by = f" by {who(text(data, 'by'))}" if text(data, "by") else ""
    reason = f": {plain(text(data, 'reason'))}" if text(data, "reason") else "."
    tone = Tone.GOOD if state == "approved" else Tone.ASK
    return say(f"{sign} {title(state.capitalize(), 40) or 'Answered'}{by}{reason}", tone=tone)


def _escalated(event: Event, data: Data, story_title: str) -> Notice:
    return _asked_again(event, data, story_title, "Now these are asked as well")


def _overdue(event: Event, data: Data, story_title: str) -> Notice:
    return _asked_again(event, data, story_title, "The question stays open for")


def _asked_again(event: Event, data: Data, story_title: str, words: str) -> Notice:
    """The whole of what is asked stands in the first post; here are its buttons once more."""
    to = text(data, "to")
    told = say(
        f"{plain(text(data, 'question'))}\nNobody answered in time."
        + (f" {words}: {plain(to, 500)}." if to else ""),
        heading=f"⏰ {event.story_id or event.project} still waits for an answer"
        + (f" · {title(story_title, 150)}" if story_title else ""),
        place=Place.CHANNEL,
        tone=Tone.ASK,
        ping=Ping.QUESTION,
    )
    approval_id = text(data, "approval")
    if not approval_id:
        return told
    return replace(told, message=replace(told.message, buttons=answer_buttons(approval_id)))


def _auto_approved(event: Event, data: Data, _: str) -> Notice:
    return say(f"🤖 Approved as low risk: {plain('; '.join(texts(data, 'reasons')))}", tone=Tone.GOOD)


def _blocked(event: Event, data: Data, story_title: str) -> Notice:
    tried = f" after {title(text(data, 'tried'), 20)} tries" if text(data, "tried") not in {"", "1"} else ""
    return say(
        f"Stuck in {code(text(data, 'phase'))}{tried}.\n{plain(text(data, 'reason'))}",
        heading=f"⛔ {event.story_id} is blocked" + (f" · {title(story_title, 150)}" if story_title else ""),
        place=Place.CHANNEL,
        tone=Tone.BAD,
        fields=_attempts(data),
        ping=Ping.BLOCKED,
        buttons=story_buttons(event.story_id or "", StoryStatus.BLOCKED),
    )


def _attempts(data: Data) -> tuple[Field, ...]:
    """What was tried, oldest first; of many the last ones, since they know the most. Tries that came to the
    same are told once."""
    told: list[tuple[str, list[str], str]] = []
    for entry in entries(data, "tried_list"):
        phase, attempt, said = text(entry, "phase"), text(entry, "attempt") or "?", text(entry, "said")
        if told and (told[-1][0], told[-1][2]) == (phase, said):
            told[-1][1].append(attempt)
        else:
            told.append((phase, [attempt], said))
    return tuple(
        Field(
            name=title(
                f"{phase}, " + (f"try {tries[0]}" if len(tries) == 1 else f"tries {', '.join(tries)}"), 200
            ),
            value=plain(said, 900) or "—",
        )
        for phase, tries, said in told[-ATTEMPTS_SHOWN:]
    )


def _unblocked(event: Event, data: Data, _: str) -> Notice:
    return say(
        f"🛟 {who(text(data, 'by') or event.actor)} suggests:\n{plain(text(data, 'text'))}",
        tone=Tone.GOOD,
    )


def _merged(event: Event, data: Data, story_title: str) -> Notice:
    return say(
        f"🎉 {code(event.story_id or '')} {title(story_title, 150)} is done: "
        f"{code(text(data, 'commit')[:10])} "
        f"is on {code(text(data, 'branch'), 60)}.",
        place=Place.CHANNEL,
        tone=Tone.GOOD,
        ping=Ping.DONE,
    )


def _skipped(event: Event, data: Data, story_title: str) -> Notice:
    return say(_ended("⏭️", "skipped", event, data, story_title), place=Place.CHANNEL, tone=Tone.QUIET)


def _aborted(event: Event, data: Data, story_title: str) -> Notice:
    return say(_ended("🛑", "aborted", event, data, story_title), place=Place.CHANNEL, tone=Tone.BAD)


def _salvaged(event: Event, data: Data, _: str) -> Notice:
    files = texts(data, "files")
    saved = f"Unfinished work in {count(len(files), 'file')} was saved to {code(text(data, 'ref'))}."
    return say(
        f"🧰 {saved}\n{listed(files)}",
        tone=Tone.QUIET,
    )


def _quarantined(event: Event, data: Data, _: str) -> Notice:
    until = f" until {plain(text(data, 'until'), 60)}" if text(data, "until") else ""
    seconds = number(data, "seconds")
    if not until and seconds is not None:
        until = f" for {seconds:.0f} s"
    return say(
        f"🚑 The worker of **{event.project}** crashed {title(text(data, 'restarts'), 20)} times and rests"
        f"{until}. Its stories stand where their last passed gate put them.",
        place=Place.CHANNEL,
        tone=Tone.BAD,
    )


_RENDERERS: Mapping[EventKind, Render] = {
    EventKind.PROJECT_REGISTERED: _project_registered,
    EventKind.PROJECT_STARTED: _project_started,
    EventKind.PROJECT_STOPPED: _at_rest("⏸️ **{project}** is stopped by {who}. What its agents made is kept."),
    EventKind.PROJECT_MAINTAINED: _at_rest(
        "🛠️ **{project}** is in maintenance, by {who}: nothing runs until it is started."
    ),
    EventKind.PROJECT_ARCHIVED: _at_rest(
        "🗄️ **{project}** is archived by {who}. What Orchard knew is kept in a file."
    ),
    EventKind.PROJECT_REOPENED: _at_rest(
        "📂 **{project}** is open again, by {who}, with all its history: nothing runs until it is started."
    ),
    EventKind.PROJECT_UNAVAILABLE: _project_unavailable,
    EventKind.BACKUP_FAILED: _backup_failed,
    EventKind.SPRINT_PLANNED: _sprint_planned,
    EventKind.SPRINT_STARTED: _sprint_started,
    EventKind.SPRINT_FINISHED: _sprint_finished,
    EventKind.PHASE_STARTED: _phase_started,
    EventKind.GATE_PASSED: _gate_passed,
    EventKind.GATE_REFUSED: _gate_refused,
    EventKind.STORY_SENT_BACK: _sent_back,
    EventKind.APPROVAL_REQUESTED: _approval_requested,
    EventKind.APPROVAL_ANSWERED: _approval_answered,
    EventKind.APPROVAL_ESCALATED: _escalated,
    EventKind.APPROVAL_OVERDUE: _overdue,
    EventKind.AUTO_APPROVED: _auto_approved,
    EventKind.STORY_BLOCKED: _blocked,
    EventKind.STORY_UNBLOCKED: _unblocked,
    EventKind.STORY_MERGED: _merged,
    EventKind.STORY_SKIPPED: _skipped,
    EventKind.STORY_ABORTED: _aborted,
    EventKind.WORK_SALVAGED: _salvaged,
    EventKind.WORKER_QUARANTINED: _quarantined,
    **SCRUM,
    **RESOURCES,
    **BUDGETS,
    **NETWORK,
    **GITHUB,
}

_END_SIGNS = {"done": "✅", "skipped": "⏭️", "aborted": "🛑"}


def _ended(sign: str, word: str, event: Event, data: Data, story_title: str) -> str:
    reason = f"\n{plain(text(data, 'reason'))}" if text(data, "reason") else ""
    by = who(text(data, "by") or event.actor)
    return f"{sign} {code(event.story_id or '')} {title(story_title, 150)} was {word} by {by}.{reason}"


def _goal(data: Data) -> str:
    return f"\nGoal: {plain(text(data, 'goal'))}" if text(data, "goal") else ""


def _sprint_number(data: Data) -> str:
    return plain(text(data, "number") or text(data, "sprint"), 40)

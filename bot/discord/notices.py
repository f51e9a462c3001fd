"""Events as posts: where each goes, what it says, whether it pings. PURE.

Event data is read leniently: an old row of an older program must still be told. What is too long for
Discord is not cut here: `cogs.message.fit` cuts it and attaches the whole.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from bot.discord.render import approval, blocked_buttons, who
from cogs.message import Button, Card, Field, Message, Tone
from cogs.text import code, one_line, plain, title
from core.domain.approval import Approval, ApprovalKind, ApprovalState
from core.domain.event import Event, EventKind


class Place(StrEnum):
    CHANNEL = "the project's channel"
    THREAD = "the story's thread"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A post to be made. `pings`: people are needed, or it is done."""

    message: Message
    place: Place
    pings: bool = False


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

_Render = Callable[[Event, Mapping[str, Any], str], Notice]


def _say(
    text: str,
    *,
    place: Place = Place.THREAD,
    tone: Tone = Tone.NEUTRAL,
    fields: tuple[Field, ...] = (),
    heading: str = "",
    pings: bool = False,
    buttons: tuple[Button, ...] = (),
) -> Notice:
    card = Card(title=heading, body=text, fields=fields, tone=tone)
    return Notice(message=Message(cards=(card,), buttons=buttons), place=place, pings=pings)


def _project_started(event: Event, data: Mapping[str, Any], _: str) -> Notice:
    return _say(
        f"🟢 **{event.project}** works now. Started by {who(event.actor)}.",
        place=Place.CHANNEL,
        tone=Tone.GOOD,
    )


def _project_stopped(event: Event, data: Mapping[str, Any], _: str) -> Notice:
    return _say(
        f"⏸️ **{event.project}** is stopped by {who(event.actor)}. What its agents made is kept.",
        place=Place.CHANNEL,
        tone=Tone.QUIET,
    )


def _project_unavailable(event: Event, data: Mapping[str, Any], _: str) -> Notice:
    hint = f"\n{plain(_text(data, 'hint'))}" if _text(data, "hint") else ""
    name = event.project or _text(data, "project")
    return _say(
        f"🛠️ **{title(name, 60)}** cannot work: {plain(_text(data, 'message'))}{hint}",
        place=Place.CHANNEL,
        tone=Tone.BAD,
        pings=True,
    )


def _sprint_planned(event: Event, data: Mapping[str, Any], _: str) -> Notice:
    stories = _texts(data, "stories")
    shown = ", ".join(code(story) for story in stories[:40]) + ("…" if len(stories) > 40 else "")
    return _say(
        f"🗓️ Sprint planned by {who(event.actor)}: {len(stories)} stories. {shown}{_goal(data)}",
        place=Place.CHANNEL,
    )


def _sprint_started(event: Event, data: Mapping[str, Any], _: str) -> Notice:
    return _say(
        f"🏃 Sprint {_number(data)} started by {who(event.actor)}.{_goal(data)}",
        place=Place.CHANNEL,
        tone=Tone.GOOD,
    )


def _sprint_finished(event: Event, data: Mapping[str, Any], _: str) -> Notice:
    stories = data.get("stories")
    states = stories if isinstance(stories, Mapping) else {}
    lines = [
        f"{_END_SIGNS.get(str(state), '•')} {code(str(story))} {state}" for story, state in states.items()
    ]
    shown = "\n".join(lines[:60]) + (f"\n… and {len(lines) - 60} more" if len(lines) > 60 else "")
    return _say(
        f"🏁 Sprint {_number(data)} is finished.{_goal(data)}\n{shown}\nNext: `/feedback`.",
        place=Place.CHANNEL,
        tone=Tone.GOOD,
        pings=True,
    )


def _phase_started(event: Event, data: Mapping[str, Any], _: str) -> Notice:
    attempt = f", try {_text(data, 'attempt')}" if _text(data, "attempt") not in {"", "1"} else ""
    agent = f" by {code(_text(data, 'agent'), 60)}" if _text(data, "agent") else ""
    return _say(f"▶️ {code(_text(data, 'phase'))}{attempt} started{agent}.", tone=Tone.QUIET)


def _gate_passed(event: Event, data: Mapping[str, Any], _: str) -> Notice:
    evidence = data.get("evidence")
    facts: Mapping[str, Any] = evidence if isinstance(evidence, Mapping) else data
    fields = [
        Field(name=name, value=_listed(_texts(facts, key)))
        for key, name in (
            ("red", "Failed honestly at red"),
            ("green", "Pass now"),
            ("characterisation", "Passed at once (not counted)"),
            ("flaky", "Flaky (not counted)"),
        )
        if _texts(facts, key)
    ]
    commit = f" · {code(_text(data, 'commit')[:10])}" if _text(data, "commit") else ""
    return _say(
        f"✅ {code(_text(data, 'phase'))} passed: {plain(_text(data, 'summary'))}{commit}",
        fields=tuple(fields),
        tone=Tone.GOOD,
    )


def _gate_refused(event: Event, data: Mapping[str, Any], _: str) -> Notice:
    refusals = data.get("refusals")
    entries = (
        [entry for entry in refusals if isinstance(entry, Mapping)] if isinstance(refusals, list) else []
    )
    fields = tuple(
        Field(
            name=one_line(_text(entry, "code") or "refused", 200),
            value="\n".join(
                part
                for part in (
                    plain(_text(entry, "sentence")),
                    _listed(_texts(entry, "tests")),
                    _listed(_texts(entry, "files")),
                )
                if part
            )
            or "—",
        )
        for entry in entries
    )
    summary = "" if fields else f": {plain(_text(data, 'summary'))}"
    return _say(
        f"❌ {code(_text(data, 'phase'))}, try {_text(data, 'attempt') or '?'}, was refused{summary}.",
        fields=fields,
        tone=Tone.BAD,
    )


def _sent_back(event: Event, data: Mapping[str, Any], _: str) -> Notice:
    return _say(
        f"↩️ Back from {code(_text(data, 'from'))} to {code(_text(data, 'to'))}: "
        f"{plain(_text(data, 'reason'))}",
        tone=Tone.ASK,
    )


def _approval_requested(event: Event, data: Mapping[str, Any], story_title: str) -> Notice:
    asked = Approval(
        id=_text(data, "approval") or "unknown",
        project=event.project or "",
        story_id=event.story_id or "",
        kind=ApprovalKind.MERGE,
        question=_text(data, "question"),
        detail="",
        reasons=_texts(data, "reasons"),
        subject="",
        state=ApprovalState.PENDING,
        asked_at=event.at,
    )
    return Notice(message=approval(asked, story_title), place=Place.CHANNEL, pings=True)


def _approval_answered(event: Event, data: Mapping[str, Any], _: str) -> Notice:
    state = _text(data, "state")
    sign = {"approved": "👍", "rejected": "👎"}.get(state, "🚫")
    by = f" by {who(_text(data, 'by'))}" if _text(data, "by") else ""
    reason = f": {plain(_text(data, 'reason'))}" if _text(data, "reason") else "."
    tone = Tone.GOOD if state == "approved" else Tone.ASK
    return _say(f"{sign} {state.capitalize() or 'Answered'}{by}{reason}", tone=tone)


def _auto_approved(event: Event, data: Mapping[str, Any], _: str) -> Notice:
    return _say(f"🤖 Approved as low risk: {plain('; '.join(_texts(data, 'reasons')))}", tone=Tone.GOOD)


def _blocked(event: Event, data: Mapping[str, Any], story_title: str) -> Notice:
    tried = f" after {_text(data, 'tried')} tries" if _text(data, "tried") not in {"", "1"} else ""
    return _say(
        f"Stuck in {code(_text(data, 'phase'))}{tried}.\n{plain(_text(data, 'reason'))}",
        heading=f"⛔ {event.story_id} is blocked" + (f" · {title(story_title, 150)}" if story_title else ""),
        place=Place.CHANNEL,
        tone=Tone.BAD,
        pings=True,
        buttons=blocked_buttons(event.story_id or ""),
    )


def _unblocked(event: Event, data: Mapping[str, Any], _: str) -> Notice:
    return _say(
        f"🛟 {who(_text(data, 'by') or event.actor)} suggests:\n{plain(_text(data, 'text'))}",
        tone=Tone.GOOD,
    )


def _merged(event: Event, data: Mapping[str, Any], story_title: str) -> Notice:
    return _say(
        f"🎉 {code(event.story_id or '')} {title(story_title, 150)} is done: "
        f"{code(_text(data, 'commit')[:10])} "
        f"is on {code(_text(data, 'branch'), 60)}.",
        place=Place.CHANNEL,
        tone=Tone.GOOD,
        pings=True,
    )


def _skipped(event: Event, data: Mapping[str, Any], story_title: str) -> Notice:
    return _say(_ended("⏭️", "skipped", event, data, story_title), place=Place.CHANNEL, tone=Tone.QUIET)


def _aborted(event: Event, data: Mapping[str, Any], story_title: str) -> Notice:
    return _say(_ended("🛑", "aborted", event, data, story_title), place=Place.CHANNEL, tone=Tone.BAD)


def _salvaged(event: Event, data: Mapping[str, Any], _: str) -> Notice:
    files = _texts(data, "files")
    return _say(
        f"🧰 Unfinished work in {len(files)} files was saved to {code(_text(data, 'ref'))}.\n"
        f"{_listed(files)}",
        tone=Tone.QUIET,
    )


def _quarantined(event: Event, data: Mapping[str, Any], _: str) -> Notice:
    until = f" until {plain(_text(data, 'until'), 60)}" if _text(data, "until") else ""
    seconds = data.get("seconds")
    if not until and isinstance(seconds, int | float):
        until = f" for {seconds:.0f} s"
    return _say(
        f"🚑 The worker of **{event.project}** crashed {_text(data, 'restarts')} times and rests{until}. "
        "Its stories stand where their last passed gate put them.",
        place=Place.CHANNEL,
        tone=Tone.BAD,
    )


_RENDERERS: Mapping[EventKind, _Render] = {
    EventKind.PROJECT_STARTED: _project_started,
    EventKind.PROJECT_STOPPED: _project_stopped,
    EventKind.PROJECT_UNAVAILABLE: _project_unavailable,
    EventKind.SPRINT_PLANNED: _sprint_planned,
    EventKind.SPRINT_STARTED: _sprint_started,
    EventKind.SPRINT_FINISHED: _sprint_finished,
    EventKind.PHASE_STARTED: _phase_started,
    EventKind.GATE_PASSED: _gate_passed,
    EventKind.GATE_REFUSED: _gate_refused,
    EventKind.STORY_SENT_BACK: _sent_back,
    EventKind.APPROVAL_REQUESTED: _approval_requested,
    EventKind.APPROVAL_ANSWERED: _approval_answered,
    EventKind.AUTO_APPROVED: _auto_approved,
    EventKind.STORY_BLOCKED: _blocked,
    EventKind.STORY_UNBLOCKED: _unblocked,
    EventKind.STORY_MERGED: _merged,
    EventKind.STORY_SKIPPED: _skipped,
    EventKind.STORY_ABORTED: _aborted,
    EventKind.WORK_SALVAGED: _salvaged,
    EventKind.WORKER_QUARANTINED: _quarantined,
}

_END_SIGNS = {"done": "✅", "skipped": "⏭️", "aborted": "🛑"}


def _ended(sign: str, word: str, event: Event, data: Mapping[str, Any], story_title: str) -> str:
    reason = f"\n{plain(_text(data, 'reason'))}" if _text(data, "reason") else ""
    by = who(_text(data, "by") or event.actor)
    return f"{sign} {code(event.story_id or '')} {title(story_title, 150)} was {word} by {by}.{reason}"


def _text(data: Mapping[str, Any], key: str) -> str:
    value = data.get(key)
    return "" if value is None else str(value)


def _texts(data: Mapping[str, Any], key: str) -> tuple[str, ...]:
    value = data.get(key)
    return tuple(map(str, value)) if isinstance(value, list | tuple) else ()


def _listed(names: tuple[str, ...]) -> str:
    return "\n".join(code(name, 400) for name in names)


def _goal(data: Mapping[str, Any]) -> str:
    return f"\nGoal: {plain(_text(data, 'goal'))}" if _text(data, "goal") else ""


def _number(data: Mapping[str, Any]) -> str:
    return plain(_text(data, "number") or _text(data, "sprint"), 40)

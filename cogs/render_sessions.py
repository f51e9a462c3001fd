"""Agents' sessions as messages that read well on a phone; what was said is attached. PURE."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from cogs.message import Attachment, Field, Message, Tone
from cogs.render import done, paged, stamp
from cogs.render_resources import long_pages
from cogs.text import code, count, fence, plain, title, told
from core.agents.reading import since_last_prompt
from core.domain.budget import Unit, worded
from core.domain.session import TurnOutcome
from core.orchestrator.session_views import (
    ForkView,
    LinkView,
    SearchHit,
    SearchView,
    SessionDetail,
    SessionView,
    TurnView,
)

_END = 900  # characters of the last words that stand in the message itself
_SIGNS = {
    TurnOutcome.IDLE: "✅",
    TurnOutcome.BLOCKED: "⛔",
    TurnOutcome.LIMITED: "🪫",
    TurnOutcome.FAILED: "❌",
    TurnOutcome.CANCELLED: "⏹️",
    TurnOutcome.CUT: "✂️",
}


def sessions(views: Sequence[SessionView], page: int = 0, *, argument: str = "-") -> Message:
    """The latest first. `argument`: what its pages are asked for by."""
    lines = tuple(map(_session_line, views)) or ("No agent has had a session here yet.",)
    head = (
        "" if not views else f"`/session show` shows one: its id is in front. {count(len(views), 'session')}"
    )
    heading = "Sessions" if argument == "-" else f"Sessions of {title(argument, 100)}"
    return paged(heading, head, lines, page, what="sessions", argument=argument)


def session(detail: SessionDetail, page: int = 0) -> Message:
    """Its turns; on the first page also how it ended, with the prompt and all that was said attached."""
    view = detail.view
    own = code(view.session.session_id, 80) if view.session.session_id else "none of its own"
    head = "\n".join(
        (
            f"**{title(view.title, 200)}**" if view.title else "",
            f"🤖 {title(view.session.agent, 60)} · session {own} · {_spent(view.tokens, view.microdollars)}",
        )
    ).strip()
    lines = [*map(_turn_line, detail.turns)]
    if detail.fork is not None:
        lines.append(f"🌿 Its first turn goes on from {code(detail.fork.turn_id, 80)}.")
    lines += [f"🔗 Linked to {code(link.linked_id, 80)}." for link in detail.links]
    if detail.gone:
        lines.append(f"🗑️ {told(detail.gone, 500)}")
    heading = f"Session {title(view.id, 100)}"
    tone = Tone.NEUTRAL if detail.turns[-1].turn.outcome is TurnOutcome.IDLE else Tone.QUIET
    made = long_pages(heading, head, lines, page, what="session", argument=view.id, tone=tone)
    return made if page > 0 else _with_words(made, detail)


def found(view: SearchView, page: int = 0, *, kept: str = "") -> Message:
    """`kept`: where its pages are found."""
    lines = tuple(map(_hit_line, view.hits))
    if not lines:
        lines = (f"Nothing was found among {count(view.indexed, 'turn')}.",)
    head = f"🔎 {code(view.query, 200)}"
    if view.waiting:
        waits = count(view.waiting, "turn is", "turns are")
        head += f"\n{waits} not indexed yet: the running Orchard does that."
    return paged("Found in sessions", head, lines, page, what="found", argument=kept)


def forked(view: ForkView) -> Message:
    return done(f"🌿 {view.fork.story_id} goes on from {view.fork.turn_id}", told(view.sentence))


def linked(view: LinkView) -> Message:
    links = ", ".join(code(link.linked_id, 80) for link in view.links) or "none"
    return done(f"🔗 Links of {view.story_id}", f"{told(view.sentence)}\nIts links: {links}.")


def _session_line(view: SessionView) -> str:
    last = view.session.last
    return (
        f"{_SIGNS[last.outcome]} {code(view.id, 80)} **{title(view.title, 100)}**\n"
        f"  {title(view.session.agent, 40)} · {count(len(view.session.turns), 'turn')} · "
        f"{_spent(view.tokens, view.microdollars)} · {plain(last.phase)} "
        f"{stamp(last.ended_at.timestamp(), 'R')}"
    )


def _turn_line(view: TurnView) -> str:
    turn = view.turn
    seconds = max(0, int((turn.ended_at - turn.started_at).total_seconds()))
    took = worded(Unit.MILLISECONDS, seconds * 1000)
    own = f" of {code(turn.template_source, 100)}" if turn.template_source else ""
    lines = [
        f"{_SIGNS[turn.outcome]} {code(turn.turn_id, 80)} **{plain(turn.phase)}**, try {turn.attempt}: "
        f"{turn.outcome} · {took} · {count(turn.tools, 'tool')} · {_spent(view.tokens, view.microdollars)}",
        f"  {stamp(turn.started_at.timestamp(), 'f')}, {turn.how.words}"
        + (f": {told(turn.why, 300)}" if turn.why else ""),
        f"  prompt {code(turn.template, 60)} version {turn.template_version}{own}",
    ]
    if turn.error:
        lines.append(f"  ⚠️ {plain(' '.join(turn.error.split()), 300)}")
    return "\n".join(lines)


def _spent(tokens: int, microdollars: int) -> str:
    if not tokens and not microdollars:
        return "nothing metered"
    return f"{tokens:,} tokens" + (f", {worded(Unit.MICRODOLLARS, microdollars)}" if microdollars else "")


def _with_words(made: Message, detail: SessionDetail) -> Message:
    last = detail.turns[-1]
    files = []
    if last.prompt:
        files.append(Attachment(name=f"{last.turn.turn_id}-prompt.txt", text=last.prompt))
    card = made.cards[0]
    if detail.transcript:
        files.append(Attachment(name=f"{last.turn.turn_id}.txt", text=detail.transcript))
        if words := since_last_prompt(detail.transcript).strip():
            ending = words if len(words) <= _END else f"…{words[-_END:]}"
            card = replace(
                card, fields=(*card.fields, Field(name="How it ended", value=fence(ending, limit=1000)))
            )
    return Message(cards=(card,), buttons=made.buttons, attachments=tuple(files))


def _hit_line(hit: SearchHit) -> str:
    turn = hit.turn
    return (
        f"{code(turn.turn_id, 80)} {plain(turn.phase)}, try {turn.attempt} · {title(turn.agent, 40)} · "
        f"{stamp(turn.ended_at.timestamp(), 'R')}\n> {plain(' '.join(hit.snippet.split()), 300)}"
    )

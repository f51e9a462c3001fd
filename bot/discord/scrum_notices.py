"""What is told of epics, of stories that people hold or steer, of overlaps and usage limits. PURE."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from bot.discord.notice import Data, Notice, Place, Render, listed, number, quoted, say, text, texts
from bot.discord.render import moment, resume_button, who
from cogs.buttons import epic_buttons, epic_failed_buttons, story_buttons
from cogs.message import Field, Tone
from cogs.text import code, count, fence, one_line, plain, title
from core.domain.event import Event, EventKind
from core.domain.ping import Ping
from core.domain.story import StoryStatus

OUTPUT_SHOWN = 900  # characters of a test run's output


def _epic_proposed(event: Event, data: Data, _: str) -> Notice:
    """The notifier puts the stories' titles in; this is what is known without them."""
    proposed = texts(data, "stories")
    return say(
        f"{count(len(proposed), 'story', 'stories')} proposed. "
        f"Read, edit and approve: `/approve`.\n{listed(proposed)}",
        heading=f"💡 {title(_epic(data))}",
        place=Place.CHANNEL,
        tone=Tone.ASK,
        ping=Ping.QUESTION,
        buttons=epic_buttons(_epic(data)),
    )


def _epic_failed(event: Event, data: Data, _: str) -> Notice:
    tried = number(data, "tried")
    after = f" after {tried:.0f} tries" if tried is not None and tried > 1 else ""
    return say(
        f"The design agent gave nothing usable{after}.\n{quoted(text(data, 'error'))}\n"
        "Say it in other words, and it tries again.",
        heading=f"⛔ {title(_epic(data))} has no stories",
        place=Place.CHANNEL,
        tone=Tone.BAD,
        ping=Ping.BLOCKED,
        buttons=epic_failed_buttons(_epic(data)),
    )


def _stories_approved(event: Event, data: Data, _: str) -> Notice:
    approved = texts(data, "stories")
    stories = count(len(approved), "story", "stories")
    return say(
        f"👍 {stories} approved by {_by(event, data)}: {_in_line(approved)}. Next: `/sprint plan`.",
        place=Place.CHANNEL,
        tone=Tone.GOOD,
    )


def _changes_requested(event: Event, data: Data, _: str) -> Notice:
    added = texts(data, "stories")
    into = f"\nAdded to the backlog: {_in_line(added)}." if added else ""
    return say(
        f"✍️ {_by(event, data)} asks for changes:\n{quoted(text(data, 'text'))}{into}",
        place=Place.CHANNEL,
        tone=Tone.ASK,
    )


def _stopped(event: Event, data: Data, _: str) -> Notice:
    if step := text(data, "after"):
        return say(
            f"⏹️ One step of {_by(event, data)} is over: {code(step)}. `/tdd next` takes the next one; "
            "`/tdd start` lets the story go on by itself.",
            tone=Tone.QUIET,
            buttons=story_buttons(event.story_id or "", StoryStatus.STOPPED),
        )
    return say(
        f"⏹️ Stopped by {_by(event, data)}. Nothing is lost; `/tdd start` lets it go on.", tone=Tone.QUIET
    )


def _released(event: Event, data: Data, _: str) -> Notice:
    if step := text(data, "for"):
        return say(f"▶️ {_by(event, data)} takes one step: {code(step)}.", tone=Tone.GOOD)
    return say(f"▶️ {_by(event, data)} lets it go on.", tone=Tone.GOOD)


def _steered(event: Event, data: Data, _: str) -> Notice:
    reached = "The agent has it now." if data.get("reached") is True else "The agent's next prompt has it."
    return say(f"🧭 {_by(event, data)} steers:\n{quoted(text(data, 'text'))}\n{reached}")


def _taken(event: Event, data: Data, _: str) -> Notice:
    where = f" The files are in {code(text(data, 'path'), 400)}." if text(data, "path") else ""
    return say(
        f"🙋 {_by(event, data)} works on it; the agent waits.{where} `/story handback` gives it back.",
        tone=Tone.ASK,
    )


def _handed_back(event: Event, data: Data, _: str) -> Notice:
    note = f"\n{quoted(text(data, 'note'))}" if text(data, "note") else ""
    return say(f"🤝 {_by(event, data)} gives it back; the gate judges what is there.{note}", tone=Tone.GOOD)


def _stalled(event: Event, data: Data, _: str) -> Notice:
    seconds = number(data, "seconds")
    long = f" for {seconds / 60:.0f} min" if seconds is not None and seconds >= 90 else ""
    seen = text(data, "doing")
    doing = f"\n{plain(seen[:1].upper() + seen[1:], 600)}." if seen else ""
    return say(
        f"🐌 The agent shows nothing{long} in {code(text(data, 'phase'))}.{doing}\n"
        "Its turn is ended and tried again when that goes on. `/story steer` and `/story stop` reach it now.",
        tone=Tone.ASK,
    )


def _usage_limited(event: Event, data: Data, _: str) -> Notice:
    until = _time(text(data, "until"))
    when = f"until {moment(until)}" if until else "; it does not say until when"
    by_itself = data.get("resumes") is True
    others = f" {plain(text(data, 'others'), 300)}" if text(data, "others") else ""
    then = "It goes on by itself then." if by_itself else "Resume it when the agent works again."
    return say(
        f"🪫 {code(text(data, 'agent') or 'The agent', 60)} takes no more work {when}.\n"
        f"{plain(text(data, 'reason'), 1500)}\nNothing is lost: each story stands at its last passed gate. "
        f"{then}{others}",
        place=Place.CHANNEL,
        tone=Tone.ASK,
        ping=None if by_itself else Ping.BLOCKED,
        buttons=(resume_button(event.project),) if event.project else (),
    )


def _usage_reset(event: Event, data: Data, _: str) -> Notice:
    by = text(data, "by") or event.actor
    whom = f" {who(by)} resumed it." if by not in {"", "orchard"} else ""
    return say(
        f"🔋 {code(text(data, 'agent') or 'The agent', 60)} works again.{whom}",
        place=Place.CHANNEL,
        tone=Tone.GOOD,
    )


def _overlap(event: Event, data: Data, _: str) -> Notice:
    other = code(text(data, "other") or "another story")
    return say(
        f"⚠️ {other} changes the same files:\n{listed(texts(data, 'files'), 20)}\n"
        "This story takes the other's work in as soon as that is merged.",
        tone=Tone.ASK,
    )


def _rebased(event: Event, data: Data, _: str) -> Notice:
    after = f" after {code(text(data, 'after'))} was merged" if text(data, "after") else ""
    return say(f"🔀 Moved onto {code(text(data, 'onto')[:10] or 'the main branch')}{after}.", tone=Tone.QUIET)


def _tests_ran(event: Event, data: Data, _: str) -> Notice:
    inner = data.get("report")
    report: Data = inner if isinstance(inner, Mapping) else data
    place = Place.THREAD if event.story_id else Place.CHANNEL
    on = f" on {code(text(report, 'commit')[:10])}" if text(report, "commit") else ""
    asked = f"Asked by {_by(event, data)}."
    if text(report, "error"):
        body = f"🧪 The tests could not run{on}: {plain(text(report, 'error'), 1500)} {asked}"
        return say(body, place=place, tone=Tone.BAD)
    failed = number(report, "failed_count") or float(len(texts(report, "failed")))
    code_of = number(report, "exit_code") or 0.0
    good = not failed and not code_of
    seconds = number(report, "seconds")
    took = f" in {seconds:.1f} s" if seconds is not None else ""
    if report.get("exit_code_only") is True:
        result = f"the command ended with {code_of:.0f} (it gives no report)"
    else:
        passed, skipped = number(report, "passed") or 0.0, number(report, "skipped") or 0.0
        result = f"{passed:.0f} passed, {failed:.0f} failed, {skipped:.0f} skipped"
    fields = []
    if texts(report, "failed"):
        fields.append(Field(name="Failed", value=listed(texts(report, "failed"), 12)))
    if not good and text(report, "output").strip():
        fields.append(Field(name="Output", value=fence(text(report, "output")[-OUTPUT_SHOWN:], limit=1000)))
    return say(
        f"🧪 {'✅' if good else '❌'} {result}{took}{on}. {asked}",
        place=place,
        tone=Tone.GOOD if good else Tone.BAD,
        fields=tuple(fields),
    )


SCRUM: Mapping[EventKind, Render] = {
    EventKind.EPIC_PROPOSED: _epic_proposed,
    EventKind.EPIC_FAILED: _epic_failed,
    EventKind.STORIES_APPROVED: _stories_approved,
    EventKind.CHANGES_REQUESTED: _changes_requested,
    EventKind.STORY_STOPPED: _stopped,
    EventKind.STORY_RELEASED: _released,
    EventKind.STORY_STEERED: _steered,
    EventKind.STORY_TAKEN: _taken,
    EventKind.STORY_HANDED_BACK: _handed_back,
    EventKind.AGENT_STALLED: _stalled,
    EventKind.USAGE_LIMITED: _usage_limited,
    EventKind.USAGE_RESET: _usage_reset,
    EventKind.OVERLAP_FORESEEN: _overlap,
    EventKind.STORY_REBASED: _rebased,
    EventKind.TESTS_RAN: _tests_ran,
}


def _epic(data: Data) -> str:
    return one_line(text(data, "epic") or "epic", 60)


def _by(event: Event, data: Data) -> str:
    return who(text(data, "by") or event.actor)


def _in_line(stories: tuple[str, ...]) -> str:
    return ", ".join(code(story) for story in stories[:40]) + ("…" if len(stories) > 40 else "")


def _time(written: str) -> datetime | None:
    try:
        at = datetime.fromisoformat(written)
    except ValueError:
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)

"""What somebody is told of their own: subscriptions, quiet hours, digests. PURE."""

from __future__ import annotations

from cogs.message import Message
from cogs.render import goal, paged, stamp
from cogs.text import code, plain, post_link, title
from core.domain.event import EventKind
from core.domain.ping import Ping
from core.orchestrator.views import Digest, NotificationView

KIND_SIGNS = {Ping.DONE: "🎉", Ping.BLOCKED: "⛔", Ping.QUESTION: "✋"}
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_TOLD_ABOVE = frozenset({EventKind.STORY_MERGED, EventKind.SPRINT_FINISHED})
_EVERY = "*"


def notifications(view: NotificationView, note: str = "", page: int = 0) -> Message:
    """What a person is called for, and when not."""
    kinds: dict[str, list[Ping]] = {}
    for one in view.subscriptions:
        kinds.setdefault(one.project, []).append(one.kind)
    lines = tuple(
        f"{code(project) if project else '**every project**'}: "
        f"{', '.join(f'{KIND_SIGNS[kind]} {kind}' for kind in Ping if kind in wanted)}"
        for project, wanted in kinds.items()
    )
    lines = lines or ("You are called for nothing of your own: `/subscribe` changes that.",)
    quiet = "No quiet hours: `/quiet_hours` sets some."
    if view.quiet is not None:
        hours = f"{view.quiet.start:%H:%M} to {view.quiet.end:%H:%M}"
        quiet = (
            f"🌙 Quiet from {hours} ({code(view.quiet.time_zone)}). What you miss is told once, afterwards."
        )
    head = "\n".join(part for part in (note, quiet) if part)
    user = view.person.partition(":")[2]
    return paged("What you hear of", head, lines, page, what="subscriptions", argument=user)


def digest(found: Digest, guild_id: int | None, page: int = 0) -> Message:
    """What happened, with links to what still waits for people."""
    lines = (*_waiting(found, guild_id), *_happened(found))
    since, until = stamp(found.since.timestamp(), "f"), stamp(found.until.timestamp(), "t")
    of = f"{code(found.project)}, " if found.project else ""
    head = f"{of}since {since}, until {until}"
    argument = f"{found.project or _EVERY}~{_short(found.after)}~{_short(found.last)}"
    lines = lines or ("Nothing happened, and nothing waits for you.",)
    return paged("Digest", head, lines, page, what="digest", argument=argument)


def stretch(argument: str) -> tuple[str | None, int, int]:
    """A digest's project and stretch out of its pages' argument. Raises ValueError for anything else."""
    project, after, last = argument.split("~")
    return (None if project == _EVERY else project), int(after, 36), int(last, 36)


def _waiting(found: Digest, guild_id: int | None) -> tuple[str, ...]:
    questions = tuple(
        f"✋ {code(asked.story_id)} {title(asked.question, 200)} · {stamp(asked.asked_at.timestamp(), 'R')}"
        f"{_link(found, asked.id, guild_id)}"
        for asked in found.questions
    )
    blocked = tuple(
        f"⛔ {code(view.story.id)} **{title(view.story.title, 120)}**{_link(found, view.story.id, guild_id)}"
        f"\n  {plain(view.why, 250)}"
        for view in found.blocked
    )
    return questions + blocked


def _happened(found: Digest) -> tuple[str, ...]:
    merged = tuple(
        f"🎉 {code(view.story.id)} **{title(view.story.title, 120)}** {plain(view.why, 80)}"
        for view in found.merged
    )
    sprints = tuple(
        f"🏁 Sprint {sprint.number} of {code(sprint.project)} is finished"
        + (f". {goal(sprint)}" if sprint.goal else "")
        for sprint in found.finished_sprints
    )
    others = [
        f"{many} × {str(kind).replace('_', ' ')}"
        for kind, many in found.counts.items()
        if kind not in _TOLD_ABOVE
    ]
    return merged + sprints + ((f"And: {', '.join(others)}",) if others else ())


def _link(found: Digest, ref: str, guild_id: int | None) -> str:
    place = found.posts.get(ref)
    if place is None or guild_id is None:
        return ""
    return f" · [post]({post_link(guild_id, place.channel_id, place.message_id)})"


def _short(number: int) -> str:
    """In base 36: a button's id has little room."""
    digits = ""
    while True:
        number, rest = divmod(number, 36)
        digits = _DIGITS[rest] + digits
        if not number:
            return digits

"""Shares, limits and waits as messages that read well on a phone. PURE."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from cogs.buttons import story_buttons
from cogs.chart import NAME
from cogs.message import BODY_LIMIT, Attachment, Button, Card, Look, Message, Tone
from cogs.render import STORY_SIGNS, paged, stamp
from cogs.text import code, count, fence, length, plain, title, told
from core.domain.story import Priority, StoryStatus
from core.ids import project_of
from core.orchestrator.resource_views import (
    LockView,
    Optimization,
    ProjectResources,
    ResourcesView,
    ResourceView,
    WhyView,
)
from core.scheduler.quota import Quota
from core.scheduler.resources import Resource

CELLS = 8  # of a text bar: it shares a phone's line with its figures
LINE_LIMIT = 1000  # characters; what is longer goes on in the next line
_BODY_ROOM = BODY_LIMIT - 300
_TARGET_LIMIT = 60  # characters of what a button carries
_LABELS = {
    Resource.AGENTS: "agents",
    Resource.CYCLES: "stories",
    Resource.CPU: "CPU",
    Resource.MEMORY_MB: "memory",
    Resource.DISK_MB: "disk",
    Resource.TOKENS_PER_MINUTE: "tokens",
}
_TIERS = {Priority.CRITICAL: "🔴", Priority.HIGH: "🟠", Priority.NORMAL: "🟡", Priority.LOW: "🟢"}


# -- who holds what --------------------------------------------------------------------------


def resources(
    view: ResourcesView, page: int = 0, picture: bytes | None = None, *, drawing: bool = False
) -> Message:
    """Capacity, then a project a line, locks, and what holds limits. The picture stands on the first page."""
    head = [_policy(view), *map(_capacity, view.total)]
    if drawing:
        head.append("Drawing the picture…")
    lines = [
        *([f"⏳ {told(view.pressure)}"] if view.pressure else []),
        *(f"⚠️ {told(problem)}" for problem in view.problems),
        *(map(_project_line, view.projects) if view.projects else ["No project yet."]),
        *map(_lock_line, view.locks),
        *_under("**Limits are held by**", (f"• {told(one)}" for one in view.enforcement)),
    ]
    tone = Tone.BAD if view.problems else Tone.ASK if view.pressure else Tone.NEUTRAL
    made = long_pages("Resources", "\n".join(head), lines, page, what="resources", argument="-", tone=tone)
    return made if page > 0 else _with_picture(made, picture)


def project_resources(
    view: ResourcesView,
    one: ProjectResources,
    page: int = 0,
    picture: bytes | None = None,
    *,
    drawing: bool = False,
) -> Message:
    """All that is known of one project's share. The picture stands on the first page."""
    held = f"{bar(one.share, one.entitled)} holds {_percent(one.share)} of its {_percent(one.entitled)}"
    head = "\n".join(
        [
            f"{_TIERS[one.tier]} {one.tier} · weight {one.quota.priority_weight:g} · strategy "
            f"{code(view.strategy, 80)}",
            held,
            f"{count(one.running, 'agent')} at work, {count(one.waiting, 'story waits', 'stories wait')}",
            _table(one.resources),
            *(["Drawing the picture…"] if drawing else []),
        ]
    )
    lines = [
        *([f"🚧 {_barred(one)}"] if one.barred else []),
        f"Allocated: {_allocated(one.quota)}",
        *([f"Because: {told(one.quota.reason)}"] if one.quota.reason else []),
        *([f"🔮 {title(one.project, 60)} {told(one.forecast)}"] if one.forecast else []),
        *(_lock_line(lock) for lock in view.locks if _concerns(lock, one.project)),
        *(f"⚠️ {told(problem)}" for problem in one.problems),
        *([f"⏳ {told(view.pressure)}"] if view.pressure else []),
    ]
    tone = Tone.BAD if one.problems else Tone.ASK if one.barred else Tone.NEUTRAL
    heading = f"Resources of {title(one.project, 100)}"
    made = long_pages(heading, head, lines, page, what="resources", argument=one.project, tone=tone)
    return made if page > 0 else _with_picture(made, picture)


def _with_picture(made: Message, picture: bytes | None) -> Message:
    if picture is None:
        return made
    card = replace(made.cards[0], image=NAME)
    return Message(cards=(card,), buttons=made.buttons, attachments=(Attachment(name=NAME, data=picture),))


def compact(one: ProjectResources) -> str:
    """A project's share in a line, for a message that is edited only when something changed: what is
    measured anew each second is not in it."""
    agents = _of(one.running, one.quota.allocated_agents)
    line = f"🤖 {agents} {_agents(one)} · {_quota_rest(one.quota)}"
    return line + (f"\n🚧 {_barred(one, 300)}" if one.barred else "")


def _policy(view: ResourcesView) -> str:
    when = f" · shared anew {stamp(view.rebalanced_at.timestamp(), 'R')}" if view.rebalanced_at else ""
    return f"Strategy {code(view.strategy, 80)}{when}"


def _capacity(view: ResourceView) -> str:
    """Of all projects: what is taken of what there is."""
    taken = max(view.used or 0.0, view.reserved)
    if view.limit is None or not math.isfinite(view.limit):
        return f"{_label(view.resource)} **{_amount(view.resource, taken)}**, no limit"
    if view.resource == Resource.CPU:  # processes that want a core, which may be more than there are
        return f"{bar(taken, view.limit)} load **{_tenths(taken)} on {_amount(view.resource, view.limit)}**"
    shown = _amounts(view.resource, taken, view.limit)
    return f"{bar(taken, view.limit)} {_label(view.resource)} **{shown}**"


def _project_line(one: ProjectResources) -> str:
    agents = _of(one.running, one.quota.allocated_agents)
    waiting = f" · {one.waiting} wait{'s' if one.waiting == 1 else ''}" if one.waiting else ""
    parts = [
        f"{_TIERS[one.tier]} **{title(one.project, 60)}** {agents} {_agents(one)}{waiting}",
        f"  {bar(one.share, one.entitled)} {_percent(one.share)} of its {_percent(one.entitled)}",
    ]
    if one.barred:
        parts.append(f"  🚧 {_barred(one)}")
    parts += [f"  ⚠️ {told(problem)}" for problem in one.problems]
    return "\n".join(parts)


def _agents(one: ProjectResources) -> str:
    counted = one.running if one.quota.allocated_agents is None else one.quota.allocated_agents
    return "agent" if counted == 1 else "agents"


def _barred(one: ProjectResources, limit: int = 50_000) -> str:
    """The sentence by itself: where it is shown, it is clear that something waits."""
    words = one.barred.removeprefix("waits: ").removeprefix("it is ")
    return told(words[:1].upper() + words[1:], limit)


def _lock_line(lock: LockView) -> str:
    held = ", ".join(code(holder, 80) for holder in lock.holders) or "nobody"
    waiting = ", ".join(code(one, 80) for one in lock.waiting)
    queue = f" · wait: {waiting}" if waiting else ""
    return f"🔒 **{title(lock.name, 80)}** {len(lock.holders)} of {lock.places}: {held}{queue}"


def _concerns(lock: LockView, project: str) -> bool:
    return any(project_of(story) == project for story in (*lock.holders, *lock.waiting))


def _table(views: Sequence[ResourceView]) -> str:
    """Narrow enough for a phone's code block: 33 columns."""
    rows = [f"{'':7} {'used':>7} {'given':>8} {'limit':>8}"]
    for view in views:
        used = view.reserved if view.used is None else view.used
        cells = (_short(view.resource, used), _short(view.resource, view.allocated))
        limit = _short(view.resource, view.limit)
        rows.append(f"{_label(view.resource):7} {cells[0]:>7} {cells[1]:>8} {limit:>8}")
    return fence("\n".join(rows), limit=900)


# -- sharing anew ----------------------------------------------------------------------------


def optimization(done: Optimization, page: int = 0, *, kept: str = "", may_do: bool = False) -> Message:
    """What changed, or would change, in the words of the shell's report. `kept` is where its pages are found;
    `may_do`: the dry run was of the configured strategy, so a button does it."""
    head = "\n".join(
        (
            f"Time: {done.seconds:.2f}s",
            f"Changes: {len(done.changes)}",
            f"Strategy: {code(done.strategy, 100)}",
        )
    )
    would = "it would make" if done.dry_run else "made"
    lines = [
        *(f"⚠️ {told(problem)}" for problem in done.problems),
        *_under(f"Changes {would}:", (f"• {told(change)}" for change in done.changes)),
        *([] if done.changes else ["Every share stays as it is."]),
        *_under("Would start at once:", (f"▶️ {told(one)}" for one in done.starts)),
        *_under("Would be parked:", (f"🅿️ {told(one)}" for one in done.parks)),
        *_under("Shares then:" if done.dry_run else "Shares now:", map(_quota_line, done.after)),
    ]
    heading = "🔧 Resource Optimization " + ("(dry run: nothing was changed)" if done.dry_run else "Results")
    tone = Tone.BAD if done.problems else Tone.QUIET if done.dry_run else Tone.GOOD
    made = long_pages(heading, head, lines, page, what="optimized", argument=kept, tone=tone)
    if not may_do:
        return made
    return Message(cards=made.cards, buttons=(*made.buttons, do_it(done.strategy)))


def do_it(strategy: str) -> Button:
    """Shares anew, should this strategy still be the configured one."""
    target = strategy if 0 < length(strategy) <= _TARGET_LIMIT else "-"
    return Button(label="Do it", verb="optimize", target=target, look=Look.PRIMARY)


def _quota_line(quota: Quota) -> str:
    because = f": {told(quota.reason)}" if quota.reason else ""
    return f"**{title(quota.project_name, 60)}** {_allocated(quota)}{because}"


def _allocated(quota: Quota) -> str:
    agents = "any number of agents"
    if quota.allocated_agents is not None:
        agents = count(quota.allocated_agents, "agent")
    return f"{agents} · {_quota_rest(quota)}"


def _quota_rest(quota: Quota) -> str:
    memory = "all memory"
    if quota.allocated_memory_mb is not None:
        memory = _amount(Resource.MEMORY_MB, quota.allocated_memory_mb)
    return f"{memory} · CPU {quota.allocated_cpu_percent:g} %"


# -- why a story waits -----------------------------------------------------------------------


def why(view: WhyView) -> Message:
    """One sentence, what is behind it, and what has to happen."""
    lines = [f"{code(view.story_id, 80)} **{told(view.sentence or f'is {view.status}')}**"]
    lines += [f"• {told(one)}" for one in view.details]
    if view.next:
        lines.append(f"⏭️ Next: {told(view.next)}")
    card = Card(
        title=f"{STORY_SIGNS[view.status]} {title(view.story_id, 80)} · {title(view.title, 150)}",
        body="\n".join(lines),
        footer=f"{view.project} · {view.status}",
        tone=Tone.BAD if view.status is StoryStatus.BLOCKED else Tone.NEUTRAL,
    )
    return Message(cards=(card,), buttons=story_buttons(view.story_id, view.status))


# -- figures and pages -----------------------------------------------------------------------


def long_pages(
    heading: str, head: str, lines: Sequence[str], page: int, *, what: str, argument: str, tone: Tone
) -> Message:
    """`paged`, with room for the head, and each line short enough to be on a page whole."""
    fitting = tuple(piece for line in lines for piece in _pieces(line))
    room = max(_BODY_ROOM - length(head), LINE_LIMIT)
    return paged(heading, head, fitting, page, what=what, argument=argument, tone=tone, size=room)


def _pieces(line: str) -> Iterator[str]:
    """The line, at blanks in parts of at most LINE_LIMIT characters where it is longer."""
    while length(line) > LINE_LIMIT:
        cut = line.rfind(" ", 1, LINE_LIMIT // 2)  # a character may count as two
        cut = cut if cut > 0 else LINE_LIMIT // 2
        yield line[:cut]
        line = line[cut:].lstrip()
    yield line


def _under(heading: str, lines: Iterable[str]) -> list[str]:
    """The lines, the first with the heading above it; none without lines."""
    found = list(lines)
    return [f"{heading}\n{found[0]}", *found[1:]] if found else []


def bar(part: float, whole: float) -> str:
    """How much of the whole: filled cells, and an arrow for what is above it."""
    ratio = part / whole if whole > 0 else math.inf if part > 0 else 0.0
    filled = CELLS if ratio >= 1 else min(round(ratio * CELLS), CELLS - 1)
    if 0 < ratio < 1:
        filled = max(filled, 1)
    return "▰" * filled + "▱" * (CELLS - filled) + ("▸" if ratio > 1.005 else "")


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if math.isfinite(share) else "more than all"


def _of(part: int, whole: int | None) -> str:
    return f"{part}" if whole is None else f"{part}/{whole}"


def _label(resource: str) -> str:
    return _LABELS[Resource(resource)] if resource in _LABELS else plain(resource, 30)


def _amount(resource: str, amount: float) -> str:
    match resource:
        case Resource.MEMORY_MB | Resource.DISK_MB:
            return f"{amount:,.0f} MB" if amount < 1024 else f"{_tenths(amount / 1024)} GB"
        case Resource.CPU:
            return f"{_tenths(amount)} cores"
        case _:
            return f"{amount:,.0f}"


def _amounts(resource: str, part: float, whole: float) -> str:
    """Part of whole, in the whole's unit: `6.1 of 24 GB`."""
    match resource:
        case Resource.MEMORY_MB | Resource.DISK_MB if whole >= 1024:
            return f"{_tenths(part / 1024)} of {_amount(resource, whole)}"
        case Resource.CPU:
            return f"{_tenths(part)} of {_amount(resource, whole)}"
        case _:
            return f"{part:,.0f} of {_amount(resource, whole)}"


def _tenths(amount: float) -> str:
    return f"{amount:,.1f}".removesuffix(".0")


def _short(resource: str, amount: float | None) -> str:
    """For a narrow column; a dash: no limit, or not known."""
    if amount is None or not math.isfinite(amount):
        return "-"
    return _amount(resource, amount).removesuffix(" cores")

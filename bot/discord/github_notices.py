"""What is told of GitHub: links, issues, pull requests, their checks and reviews. PURE."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from bot.discord.notice import Data, Notice, Place, Render, entries, number, quoted, say, text
from bot.discord.render import who
from cogs.message import Message, Tone
from cogs.render import address_link
from cogs.render_github import check_lines
from cogs.text import code, count, link, plain, title
from core.domain.event import Event, EventKind
from core.domain.github import Address, Check, CheckConclusion, ChecksState, LinkState
from core.domain.ping import Ping

_TONES = {
    ChecksState.PASSED: Tone.GOOD,
    ChecksState.FAILED: Tone.BAD,
    ChecksState.RUNNING: Tone.QUIET,
    ChecksState.NONE: Tone.QUIET,
}
_SAYS = {
    ChecksState.PASSED: "🟢 The checks of {} have passed",
    ChecksState.FAILED: "🔴 Checks of {} failed",
    ChecksState.RUNNING: "🟡 The checks of {} run",
    ChecksState.NONE: "⚪ {} has no checks yet",
}


def _linked(event: Event, data: Data, _: str) -> Notice:
    return say(
        f"🔗 **{title(event.project or '', 60)}** is linked with {_repository(data)} by "
        f"{who(text(data, 'by') or event.actor)}. Its issues become stories here; `/github status` shows how "
        "it stands.",
        place=Place.CHANNEL,
        tone=Tone.GOOD,
    )


def _unlinked(event: Event, data: Data, _: str) -> Notice:
    return say(
        f"✂️ **{title(event.project or '', 60)}** is linked with {_repository(data)} no more, by "
        f"{who(text(data, 'by') or event.actor)}. What is at GitHub stays as it is.",
        place=Place.CHANNEL,
        tone=Tone.QUIET,
    )


def _troubled(event: Event, data: Data, _: str) -> Notice:
    return say(
        f"⚠️ {_repository(data)}: {plain(text(data, 'text') or text(data, 'state'), 1500)}",
        place=Place.CHANNEL,
        tone=Tone.BAD,
        ping=None if text(data, "state") == LinkState.UNREACHABLE else Ping.BLOCKED,  # which mends itself
    )


def _recovered(event: Event, data: Data, _: str) -> Notice:
    return say(f"🟢 {_repository(data)} answers again.", place=Place.CHANNEL, tone=Tone.GOOD)


def _synced(event: Event, data: Data, _: str) -> Notice:
    words = (
        ("added", "became stories"),
        ("closed", "closed"),
        ("reopened", "reopened"),
        ("edited", "edited"),
    )
    parts = [
        f"{found:.0f} {'became a story' if key == 'added' and found == 1 else said}"
        for key, said in words
        if (found := number(data, key))
    ]
    first = " It was read for the first time." if data.get("first") is True else ""
    return say(
        f"📥 Issues of {_repository(data)}: {', '.join(parts) or 'none to take in'}.{first}",
        place=Place.CHANNEL,
        tone=Tone.QUIET,
    )


def _held(event: Event, data: Data, _: str) -> Notice:
    """Somebody has to read it; the version names what was there then."""
    return say(
        f"✋ Issue {_numbered(data)} was changed, and {plain(text(data, 'by'), 100)}, whose issue it is, may "
        "not change a story: its agent goes by the words before. Who may write there can have these taken "
        f"in, by a comment: {code('orchard: accept ' + text(data, 'version'))}",
        tone=Tone.ASK,
    )


def _followed(event: Event, data: Data, _: str) -> Notice:
    what = text(data, "what")
    if what == "held":
        return _held(event, data, _)
    was = {"gone": "is gone", "edited": "was edited", "closed": "was closed", "reopened": "was reopened"}
    return say(f"🔖 Issue {_numbered(data)} {was.get(what, plain(what, 100))} at GitHub.", tone=Tone.QUIET)


def _opened(event: Event, data: Data, _: str) -> Notice:
    branch = f" from {code(text(data, 'branch'), 100)}" if text(data, "branch") else ""
    return say(f"🔀 Pull request {_numbered(data)} is open{branch}{_commit(data)}.")


def _updated(event: Event, data: Data, _: str) -> Notice:
    return say(f"🔀 Pull request {_numbered(data)} was pushed anew{_commit(data)}.", tone=Tone.QUIET)


def checks(event: Event, data: Data, _: str = "") -> Notice:
    """One post for all that the checks of a pull request come to: edited as they come, and with each push."""
    try:
        state = ChecksState(text(data, "state"))
    except ValueError:
        state = ChecksState.NONE
    found = tuple(_check(one) for one in entries(data, "checks"))
    ended = sum(one.conclusion is not CheckConclusion.RUNNING for one in found)
    so_far = f": {ended} of {count(len(found), 'check')} ended" if state is ChecksState.RUNNING else ""
    heading = _SAYS[state].format(f"pull request {_numbered(data)}")
    return say("\n".join([f"{heading}{_commit(data)}{so_far}", *check_lines(found)]), tone=_TONES[state])


def _reviewed(event: Event, data: Data, _: str) -> Notice:
    verdict, said = text(data, "verdict"), text(data, "text")
    approved = verdict == "approved"
    did = "approved" if approved else "asks for changes to" if "change" in verdict else "looked at"
    by = plain(text(data, "by"), 100) or "Somebody"
    words = f"{'👍' if approved else '👀'} {by} {did} pull request {_numbered(data)}"
    return say(
        f"{words}:\n{quoted(said, 3000)}" if said.strip() else f"{words}.",
        tone=Tone.GOOD if approved else Tone.ASK,
    )


def _refused(event: Event, data: Data, _: str) -> Notice:
    why = plain(text(data, "why"), 800) or "it does not say why."
    return say(f"🚧 GitHub does not merge pull request {_numbered(data)} yet: {why}", tone=Tone.ASK)


def _closed(event: Event, data: Data, _: str) -> Notice:
    by = f" by {plain(text(data, 'by'), 100)}" if text(data, "by") not in ("", "orchard") else ""
    why = f": {plain(text(data, 'why'), 800)}" if text(data, "why") else "."
    return say(f"🚪 Pull request {_numbered(data)} was closed{by}{why}", tone=Tone.ASK)


GITHUB: Mapping[EventKind, Render] = {
    EventKind.GITHUB_LINKED: _linked,
    EventKind.GITHUB_UNLINKED: _unlinked,
    EventKind.GITHUB_TROUBLED: _troubled,
    EventKind.GITHUB_RECOVERED: _recovered,
    EventKind.GITHUB_SYNCED: _synced,
    EventKind.ISSUE_FOLLOWED: _followed,
    EventKind.PULL_OPENED: _opened,
    EventKind.PULL_UPDATED: _updated,
    EventKind.CHECKS_CHANGED: checks,
    EventKind.PULL_REVIEWED: _reviewed,
    EventKind.PULL_REFUSED: _refused,
    EventKind.PULL_CLOSED: _closed,
}
LINKED = frozenset(
    {
        EventKind.STORY_MERGED,
        EventKind.STORY_BLOCKED,
        EventKind.STORY_SKIPPED,
        EventKind.STORY_ABORTED,
    }
)
"""Whose posts in the project's channel say where their story is on GitHub."""


def of_one_pull(seen: Sequence[Event], event: Event) -> tuple[Event, ...]:
    """What the checks of the event's pull request came to, oldest first: `seen` are its story's. PURE."""
    about = text(event.data, "number")
    return tuple(one for one in seen if text(one.data, "number") == about)


def with_addresses(message: Message, addresses: Sequence[Address]) -> Message:
    """The message, whose first card says where its story is on GitHub."""
    if not addresses:
        return message
    words = {one.what: f"{'Issue ' if one.what == 'issue' else ''}{address_link(one)}" for one in addresses}
    line = " · ".join(said[:1].upper() + said[1:] for said in words.values())
    first = replace(message.cards[0], body=f"{message.cards[0].body}\n{line}")
    return replace(message, cards=(first, *message.cards[1:]))


def _check(data: Data) -> Check:
    try:
        conclusion = CheckConclusion(text(data, "conclusion"))
    except ValueError:
        conclusion = CheckConclusion.RUNNING
    return Check(
        name=text(data, "name") or "check",
        conclusion=conclusion,
        summary=text(data, "summary"),
        url=text(data, "url"),
    )


def _repository(data: Data) -> str:
    return link(text(data, "repository") or "the repository", text(data, "url"))


def _numbered(data: Data) -> str:
    return link(f"#{text(data, 'number')}", text(data, "url"))


def _commit(data: Data) -> str:
    return f" · {code(text(data, 'commit')[:10])}" if text(data, "commit") else ""

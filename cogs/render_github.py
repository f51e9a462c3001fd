"""A project's repository on GitHub, its pull requests and their checks. PURE."""

from __future__ import annotations

from collections.abc import Sequence

from cogs.message import Attachment, Card, Field, Message, Tone
from cogs.render import done, paged, stamp
from cogs.text import code, count, cut, link, plain, title
from core.domain.github import Check, CheckConclusion, LinkState, Pull, PullState, ReviewState
from core.orchestrator.github_views import GithubView, KeepingView, NotesView, SyncView

CHECK_SIGNS = {
    CheckConclusion.RUNNING: "⏳",
    CheckConclusion.PASSED: "✅",
    CheckConclusion.FAILED: "❌",
}
CHECKS_SHOWN = 20
_PULLS_SHOWN = 10
_STATES = {
    LinkState.NEW: "⏳ GitHub was not asked yet",
    LinkState.LINKED: "🟢 linked",
    LinkState.UNAUTHORIZED: "🔑 no credential that GitHub takes",
    LinkState.FORBIDDEN: "⛔ the credential may not do what is needed",
    LinkState.GONE: "🕳️ the repository is gone, or out of sight",
    LinkState.UNREACHABLE: "📡 GitHub cannot be reached",
}
_REVIEWS = {
    ReviewState.WAITING: "waits for a review",
    ReviewState.APPROVED: "approved",
    ReviewState.CHANGES_REQUESTED: "changes are requested",
}


def linked(view: GithubView) -> Message:
    label = "Issues with its label become stories; what `/github status` shows is kept up to date."
    made = done(f"🔗 {view.link.project} is linked", f"{repository(view)}\n{label}")
    return Message(cards=(*made.cards, *_troubles(view)))


def unlinked(project: str, name: str) -> Message:
    body = (
        f"{title(project, 60)} and {code(name, 150)} go separate ways: nothing is synced any more. "
        "Its stories keep their issues' addresses, and what is at GitHub stays as it is."
    )
    return done("Unlinked", body)


def status(view: GithubView) -> Message:
    """One project's repository at a glance."""
    link_ = view.link
    lines = [f"{_STATES[link_.state]} · {repository(view)}"]
    lines.append(count(view.issues, "story is an issue", "stories are issues") + " there" + _synced(view))
    lines.append(_webhooks(view))
    if view.keeping is not None:
        lines += [line for line in (_next(view.keeping), _rate(view.keeping)) if line]
    else:
        lines.append("No Orchard runs: nothing is looked at.")
    fields = [Field(name=_pull_name(one), value=pull_lines(one)) for one in view.pulls[:_PULLS_SHOWN]]
    if len(view.pulls) > _PULLS_SHOWN:
        more = f"… and {len(view.pulls) - _PULLS_SHOWN} more"
        fields.append(Field(name="Pull requests", value=more))
    good = link_.state is LinkState.LINKED
    card = Card(
        title=f"GitHub · {title(link_.project, 60)}",
        body="\n".join(line for line in lines if line),
        fields=tuple(fields),
        tone=Tone.GOOD if good else Tone.NEUTRAL if link_.state is LinkState.NEW else Tone.BAD,
    )
    return Message(cards=(card, *_troubles(view)))


def every(views: Sequence[GithubView], page: int = 0) -> Message:
    lines = tuple(
        f"**{title(view.link.project, 60)}** · {_STATES[view.link.state]} · {repository(view)} · "
        f"{count(len(view.pulls), 'pull request')} at work{_synced(view)}"
        for view in views
    )
    nothing = ("No project is linked with a repository. `/github link` begins.",)
    return paged("GitHub", "", lines or nothing, page, what="github", argument="-")


def synced(view: SyncView) -> Message:
    counted = (
        (view.added, "new"),
        (view.edited, "edited"),
        (view.closed, "closed"),
        (view.reopened, "reopened"),
    )
    said = ", ".join(f"{number} {word}" for number, word in counted if number)
    body = f"{repository(view.view)}: {said or 'nothing new'}, in {view.seconds:.1f} s."
    body += f"\n⏸️ {plain(view.held, 500)}" if view.held else ""
    made = done("🔄 GitHub was looked at", body)
    return Message(cards=(*made.cards, *_troubles(view.view)))


def notes(view: NotesView) -> Message:
    """Whole as a file, since Discord's markdown is not GitHub's."""
    where = f"\n{link('The draft release', view.url)}" if view.url else ""
    body = f"{plain(cut(view.text, 3000), 3500)}{where}"
    card = Card(title=f"📝 {title(view.heading, 150)}", body=body)
    return Message(cards=(card,), attachments=(Attachment(name="release-notes.md", text=view.text),))


def repository(view: GithubView) -> str:
    return link(view.link.repository, view.link.html_url)


def pull_lines(pull: Pull) -> str:
    """Where it is, what its checks and reviews say."""
    where = link(f"#{pull.number}", pull.url) if pull.number is not None else "not opened yet"
    parts = [where, _pull_state(pull)]
    if pull.review in _REVIEWS:
        parts.append(_REVIEWS[pull.review])
    if pull.failures:
        parts.append(f"its checks failed {count(pull.failures, 'time')} in a row")
    waits = [plain(pull.waits, 300)] if pull.waits else []
    return "\n".join([" · ".join(parts), *waits, *check_lines(pull.checks)])


def check_lines(checks: Sequence[Check]) -> list[str]:
    """Those that failed first."""
    order = list(CHECK_SIGNS)[::-1]
    shown = sorted(checks, key=lambda one: (order.index(one.conclusion), one.name))
    lines = [
        f"{CHECK_SIGNS[one.conclusion]} {link(one.name, one.url)}"
        + (f": {plain(one.summary, 150)}" if one.summary else "")
        for one in shown[:CHECKS_SHOWN]
    ]
    return lines + ([f"… and {len(shown) - CHECKS_SHOWN} more"] if len(shown) > CHECKS_SHOWN else [])


def _pull_name(pull: Pull) -> str:
    return title(pull.story_id, 80)


def _pull_state(pull: Pull) -> str:
    return {
        PullState.WANTED: "is about to be pushed",
        PullState.OPEN: "open",
        PullState.LANDABLE: "goes in next",
        PullState.MERGED: "merged",
        PullState.CLOSED: "closed",
    }[pull.state]


def _synced(view: GithubView) -> str:
    at = view.link.synced_at
    return f" · read {stamp(at.timestamp(), 'R')}" if at is not None else " · not read yet"


def _webhooks(view: GithubView) -> str:
    refused = view.webhooks.refused if view.webhooks is not None else 0
    wrong = f"\n⚠️ {count(refused, 'delivery', 'deliveries')} refused: not signed, or by another secret"
    if view.delivered_at is None:
        said = "No webhook ever came: GitHub is asked again and again. `orchard github hook` sets one up."
    else:
        came = stamp(view.delivered_at.timestamp(), "R")
        said = f"{count(view.delivered, 'webhook')} in 24 hours, the last {came}"
    return said + (wrong if refused else "")


def _next(keeping: KeepingView) -> str:
    if keeping.doing:
        return f"Now: {plain(keeping.doing, 200)}"
    return f"Looks again {stamp(keeping.next_at.timestamp(), 'R')}" if keeping.next_at is not None else ""


def _rate(keeping: KeepingView) -> str:
    rate = keeping.rate
    if rate is None or rate.remaining is None:
        return ""
    until = f" until {stamp(rate.resets_at.timestamp(), 't')}" if rate.resets_at is not None else ""
    of = f" of {rate.limit:,}" if rate.limit is not None else ""
    return f"{rate.remaining:,}{of} requests left{until} ({plain(rate.credential, 100)})"


def _troubles(view: GithubView) -> tuple[Card, ...]:
    said = []
    if view.link.trouble:
        said.append(plain(view.link.trouble, 800))
    if view.default_branch_differs:
        said.append(
            f"GitHub's default branch is {code(view.link.default_branch, 80)}, the project's main branch "
            f"{code(view.default_branch_differs, 80)}: Orchard works on the project's."
        )
    return (Card(body="⚠️ " + "\n".join(said), tone=Tone.BAD),) if said else ()

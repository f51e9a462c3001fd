"""What the terminal shows of GitHub. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

from bot.cli.marks import clean, done, following, indented, next_step, one_line, when
from bot.cli.words import translated
from core.domain.github import CheckConclusion, LinkState, Pull, ReviewState

if TYPE_CHECKING:
    from core.orchestrator.github_views import GithubView, HookView, KeepingView, NotesView, SyncView

_SIGNS = {CheckConclusion.PASSED: "✓", CheckConclusion.FAILED: "✗", CheckConclusion.RUNNING: "…"}
_STATES = {
    LinkState.NEW: ("not asked yet", "yellow"),
    LinkState.LINKED: ("linked", "green"),
    LinkState.UNAUTHORIZED: ("no credential that GitHub takes", "red"),
    LinkState.FORBIDDEN: ("the credential may not do what is needed", "red"),
    LinkState.GONE: ("gone, or out of the credential's sight", "red"),
    LinkState.UNREACHABLE: ("GitHub cannot be reached", "red"),
}


def linked(view: GithubView, *, in_shell: bool = False) -> RenderableType:
    where = view.link
    parts: list[RenderableType] = [done(f"{where.project} is linked with {clean(where.repository)}.")]
    parts += _troubles(view, in_shell=in_shell)
    if view.keeping is None:
        parts.append(following("No Orchard runs: GitHub is asked when one does: orchard run"))
    else:
        parts.append(next_step("See how it stands", f"github status {where.project}", in_shell=in_shell))
    return Group(*parts)


def unlinked(project: str, repository: str) -> RenderableType:
    return Group(
        done(f"{clean(project)} is linked with {clean(repository)} no more."),
        indented("Nothing is synced; what is at GitHub stays as it is.", "dim"),
    )


def status(views: Sequence[GithubView], *, in_shell: bool = False) -> RenderableType:
    if not views:
        return Group(
            Text("No project is linked with a repository."),
            next_step("Link one", "github link PROJECT OWNER/NAME", in_shell=in_shell),
        )
    return Group(*(_one(view, in_shell) for view in views))


def synced(view: SyncView, *, in_shell: bool = False) -> RenderableType:
    counted = (
        (view.added, "new"),
        (view.edited, "edited"),
        (view.closed, "closed"),
        (view.reopened, "reopened"),
    )
    said = ", ".join(f"{number} {word}" for number, word in counted if number) or "nothing new"
    repository = clean(view.view.link.repository)
    held = [indented(clean(view.held), "yellow")] if view.held else []
    return Group(
        done(f"{repository}: {said}, in {view.seconds:.1f} s."),
        *held,
        *_troubles(view.view, in_shell=in_shell),
    )


def notes(view: NotesView) -> RenderableType:
    parts: list[RenderableType] = [Text(clean(view.text).rstrip())]
    if view.url:
        parts.append(indented(clean(view.url), "dim"))
    return Group(*parts)


def hook(view: HookView) -> RenderableType:
    where = clean(view.settings_url)
    head = (
        done(f"GitHub has the webhook of {clean(view.repository)}.")
        if view.made
        else Text(f"Enter this at {where or 'GitHub, in the settings of the repository, Webhooks'}:")
    )
    rows = (
        ("Payload URL", view.payload_url or "-"),
        ("Content type", view.content_type),
        ("Secret", view.secret or "none is set: GITHUB_WEBHOOK_SECRET in .env"),
        ("Events", ", ".join(view.events)),
    )
    parts: list[RenderableType] = [head]
    parts += [indented(f"{name + ':':<14}{clean(value)}") for name, value in rows]
    if view.problem:
        parts.append(indented(clean(view.problem), "yellow"))
    return Group(*parts)


def _one(view: GithubView, in_shell: bool) -> RenderableType:
    link = view.link
    said, style = _STATES[link.state]
    head = Text.assemble((link.project, "bold"), "  ", clean(link.repository), "  ", (said, style))
    lines = [clean(link.html_url)] if link.html_url else []
    read = f"read {when(link.synced_at)}" if link.synced_at else "not read yet"
    are = "1 story is an issue" if view.issues == 1 else f"{view.issues} stories are issues"
    lines.append(f"{are}; {read}")
    lines.append(f"{_webhooks(view)}{_keeping(view.keeping)}")
    parts: list[RenderableType] = [head, indented("\n".join(lines))]
    for pull in view.pulls:
        parts += _pull(pull)
    return Group(*parts, *_troubles(view, in_shell=in_shell))


def _webhooks(view: GithubView) -> str:
    said = "no webhook ever came"
    if view.delivered_at is not None:
        said = f"{view.delivered} webhooks in 24 hours, the last {when(view.delivered_at)}"
    if view.webhooks is not None and view.webhooks.refused:
        said += f"; {view.webhooks.refused} of any repository refused: not signed, or by another secret"
    return said


def _keeping(keeping: KeepingView | None) -> str:
    if keeping is None:
        return "; no Orchard runs, so nothing is looked at"
    now = f"; now: {clean(keeping.doing)}" if keeping.doing else ""
    at = f"; looks again {when(keeping.next_at)}" if keeping.next_at and not now else ""
    rate = keeping.rate
    if rate is None or rate.remaining is None:
        return f"{now}{at}"
    of = f" of {rate.limit:,}" if rate.limit is not None else ""
    return f"{now}{at}\n{rate.remaining:,}{of} requests left ({clean(rate.credential)})"


def _pull(pull: Pull) -> list[RenderableType]:
    number = f"#{pull.number}" if pull.number is not None else "not opened yet"
    words = [pull.story_id, number, pull.state.value, f"checks: {pull.checks_state.value}"]
    if pull.review is not ReviewState.NONE:
        words.append(f"review: {pull.review.value}")
    if pull.failures:
        words.append(f"failed {pull.failures} times in a row")
    lines = ["  ".join(words)]
    if pull.url:
        lines.append(f"  {clean(pull.url)}")
    if pull.waits:
        lines.append(f"  {one_line(pull.waits, 300)}")
    lines += [
        f"  {_SIGNS[one.conclusion]} {one_line(one.name, 60)}"
        + (f": {one_line(one.summary, 100)}" if one.summary else "")
        for one in pull.checks
    ]
    return [indented("\n".join(lines))]


def _troubles(view: GithubView, *, in_shell: bool) -> list[RenderableType]:
    said = [translated(clean(view.link.trouble), in_shell=in_shell)] if view.link.trouble else []
    if view.default_branch_differs:
        said.append(
            f"GitHub's default branch is {clean(view.link.default_branch)}, the project's main branch "
            f"{clean(view.default_branch_differs)}: Orchard works on the project's."
        )
    return [indented("\n".join(said), "yellow")] if said else []

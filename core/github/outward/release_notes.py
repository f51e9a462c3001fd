"""What a sprint brought, for whoever uses the project: a release's text. PURE."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.domain.story import Sprint, Story
from core.github.markers import SPRINT, marker
from core.github.quoting import commit, line, link, plain, quotation

_SECTIONS = (
    ("Fixed", frozenset({"bug", "fix", "bugfix", "defect", "regression"})),
    ("Security", frozenset({"security", "vulnerability"})),
    ("Documentation", frozenset({"docs", "documentation"})),
)
_NEW = "New and changed"
_LONGEST = 120_000  # of GitHub's 125,000


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """A story that went in, and where that can be seen. None, "": it is not there."""

    story: Story
    commit: str = ""
    pull_number: int | None = None
    pull_url: str = ""
    issue_number: int | None = None
    issue_url: str = ""


def release_notes(sprint: Sprint, merged: Sequence[Merged], *, html_url: str = "") -> str:
    """Markdown. `html_url`: the repository's page."""
    parts = []
    if sprint.goal.strip():
        parts.append(quotation(sprint.goal, 500))
    rest = list(merged)
    sections: list[tuple[str, list[Merged]]] = []
    for title, labels in _SECTIONS:
        found = [one for one in rest if labels & {label.casefold() for label in one.story.labels}]
        rest = [one for one in rest if one not in found]
        sections.append((title, found))
    for title, found in ((_NEW, rest), *sections):
        if found:
            lines = "\n".join(_line(one, html_url) for one in found)
            parts.append(f"### {title}\n\n{lines}")
    if not merged:
        parts.append("Nothing was merged.")
    text = "\n\n".join(parts)
    if len(text) > _LONGEST:  # at a line's end, so that nothing stays open
        text = text[:_LONGEST].rpartition("\n")[0] + "\n\n…"
    return text


def release_body(sprint: Sprint, notes: str) -> str:
    """With the mark by which the release is known again."""
    return f"{notes}\n\n{marker(SPRINT, sprint.id)}"


def release_name(sprint: Sprint) -> str:
    goal = plain(sprint.goal, 80)
    return f"Sprint {sprint.number}: {goal}" if goal else f"Sprint {sprint.number}"


def release_tag(sprint: Sprint) -> str:
    """Only a draft's: people name it as they like when they publish it."""
    return f"sprint-{sprint.number}"


def _line(one: Merged, html_url: str) -> str:
    where = []
    if one.pull_number is not None:
        where.append(link(f"#{one.pull_number}", one.pull_url))
    if one.issue_number is not None:
        where.append(link(f"issue #{one.issue_number}", one.issue_url))
    if one.commit:
        where.append(commit(one.commit, html_url))
    behind = ", ".join([line(one.story.id), *where])
    return f"- {line(one.story.title)} ({behind})"

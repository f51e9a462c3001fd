"""A sprint's release notes, read from the store."""

from __future__ import annotations

import sqlite3
from dataclasses import replace

from core.domain.story import Sprint, StoryState
from core.github.outward.release_notes import Merged, release_name, release_notes
from core.github.outward.standing import discreet
from core.known_secrets import known_secrets
from core.orchestrator.github_views import NotesView
from core.store import cycles, github_issues, github_links, github_releases, pulls, sprints


def sprint_notes(conn: sqlite3.Connection, project: str, number: int | None = None) -> NotesView:
    """Of the sprint of that number; None: of the last one. Raises NotFound."""
    sprint = sprints.of_number(conn, project, number)
    return NotesView(
        project=project,
        heading=release_name(_discreet(sprint)),
        text=notes_of(conn, sprint),
        url=github_releases.of_sprint(conn, sprint.id) or "",
    )


def notes_of(conn: sqlite3.Connection, sprint: Sprint) -> str:
    link = github_links.find(conn, sprint.project)
    chosen = sprints.stories(conn, sprint.id)
    merged = []
    for story in sorted(chosen, key=lambda story: story.number):
        if story.state is not StoryState.DONE:
            continue
        cycle = cycles.get(conn, story.id)
        pull = pulls.find(conn, story.id)
        issue = github_issues.of_story(conn, story.id)
        merged.append(
            Merged(
                story=discreet(story),
                commit=(cycle.merge_commit or "") if cycle is not None else "",
                pull_number=pull.number if pull is not None else None,
                pull_url=pull.url if pull is not None else "",
                issue_number=issue.number if issue is not None else None,
                issue_url=issue.url if issue is not None else "",
            )
        )
    return release_notes(_discreet(sprint), merged, html_url=link.html_url if link is not None else "")


def _discreet(sprint: Sprint) -> Sprint:
    return replace(sprint, goal=known_secrets.text(sprint.goal))

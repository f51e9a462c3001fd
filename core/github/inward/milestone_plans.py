"""Milestones as sprints, inward: an open one whose stories wait is planned when no sprint is.

People start it.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Mapping, Sequence

from core.domain.lifecycles import WorkflowState
from core.domain.story import Story, StoryState
from core.errors import NotAllowed
from core.github.api.facts import MilestoneFacts
from core.github.api.repo import Repo
from core.github.inward.issue_entry import ACTOR, part
from core.orchestrator.commands.sprints import plan_sprint
from core.store import github_links, github_milestones, projects, sprints, stories
from core.store.database import Store
from core.store.transaction import Transaction

GOAL_CHARACTERS = 500


class MilestonePlans:
    def __init__(self, store: Store, repo: Repo, project: str) -> None:
        self._store = store
        self._repo = repo
        self._project = project

    async def plan(self, *, look_again: bool) -> bool:
        """Whether a sprint was planned. GitHub is asked when there is something to plan; of milestones that
        were closed when it was asked last only where `look_again`. Raises GithubError."""
        waiting = await self._store.read(lambda conn: self._waiting(conn, known_too=look_again))
        if not waiting:
            return False
        milestones = await self._repo.milestones()
        return await self._store.write(lambda tx: self._plan(tx, milestones))

    def _waiting(self, conn: sqlite3.Connection, *, known_too: bool) -> Mapping[int, Sequence[str]]:
        """Stories of the backlog by the number of their milestone; nothing while there is a sprint."""
        if projects.get(conn, self._project).workflow is not WorkflowState.BACKLOG_READY:
            return {}
        rows = conn.execute(
            "SELECT s.id, json_extract(g.seen, '$.milestone') AS number FROM stories s"
            " JOIN github_issues_here g ON g.story_id = s.id"
            " WHERE s.project = ? AND s.state = 'backlog' AND g.is_open = 1 AND json_valid(g.seen)"
            " AND json_extract(g.seen, '$.milestone') IS NOT NULL"
            " ORDER BY s.priority_rank, s.place, s.number",
            (self._project,),
        )
        found: dict[int, list[str]] = defaultdict(list)
        for row in rows:
            found[row["number"]].append(row["id"])
        closed = {
            each.number for each in github_milestones.of_project(conn, self._project) if not each.is_open
        }
        return found if known_too else {number: ids for number, ids in found.items() if number not in closed}

    def _plan(self, tx: Transaction, milestones: Sequence[MilestoneFacts]) -> bool:
        github_links.check(tx.conn, self._repo.link)
        for each in milestones:
            github_milestones.note(tx, self._project, each.number, title=each.title, is_open=each.is_open)
        waiting = self._waiting(tx.conn, known_too=True)
        ready = [each for each in milestones if each.is_open and each.number in waiting]
        if not ready:
            for number in waiting.keys() - {
                each.number for each in milestones
            }:  # deleted, or not ours to see
                github_milestones.note(tx, self._project, number, title="", is_open=False)
            return False
        first = min(ready, key=lambda each: (each.due_on or "9999", each.number))
        goal = " ".join(first.title.split())[:GOAL_CHARACTERS]
        sprint = plan_sprint(tx, self._project, waiting[first.number], goal, actor=ACTOR)
        github_milestones.bind(tx, self._project, first.number, sprint.id)
        return True


def replan(tx: Transaction, project: str, moved: Sequence[tuple[Story, int | None]]) -> None:
    """Stories that came to the milestone of the planned sprint, or left it, do so in the sprint."""
    sprint = sprints.current(tx.conn, project)
    if sprint is None or projects.get(tx.conn, project).workflow is not WorkflowState.SPRINT_PLANNED:
        return
    milestone = github_milestones.of_sprint(tx.conn, sprint.id)
    if milestone is None:
        return
    planned = [story.id for story in sprints.stories(tx.conn, sprint.id)]
    wanted = list(planned)
    for story, number in moved:
        state = stories.get(tx.conn, story.id).state
        if number == milestone.number and state is StoryState.BACKLOG:
            wanted.append(story.id)
        elif number != milestone.number and story.id in wanted:
            wanted.remove(story.id)
    if not wanted or wanted == planned:
        return
    try:
        with part(tx):
            plan_sprint(tx, project, wanted, "", actor=ACTOR)
    except NotAllowed:
        return  # it has started meanwhile

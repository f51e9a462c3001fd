"""What the design of an epic does to the store: one transaction each, so a crash leaves all of it or none."""

from __future__ import annotations

from core.agents import prompts
from core.agents.setup import AgentSetup
from core.domain.event import EventKind
from core.domain.lifecycles import Phase, ProjectStatus
from core.domain.proposals import Proposal, render_proposals
from core.domain.story import Epic, Story, StoryBrief, StoryState
from core.errors import LostRace
from core.orchestrator.backlogs import settle_backlog
from core.store import epics, needs, projects, stories
from core.store.database import Transaction
from core.worker.contract import PhaseJob, PhaseReport, ProjectSetup

TITLE_CHARACTERS = 100  # of the first line of an epic's text, in its agent's prompt
FAULTS_TOLD = 20


def begin_design(
    tx: Transaction, epic_id: str, setup: ProjectSetup, agent: AgentSetup
) -> tuple[Epic, PhaseJob]:
    """Raises LostRace when nothing is to be designed any more, or its project was stopped meanwhile."""
    epic = epics.begin(tx, epic_id)
    if (status := projects.get(tx.conn, epic.project).status) is not ProjectStatus.ACTIVE:
        raise LostRace(f"{epic.project} is {status}.")
    title, _, rest = epic.text.partition("\n")
    short = len(title) <= TITLE_CHARACTERS
    job = PhaseJob(
        project=setup,
        agent=agent,
        story=StoryBrief(
            id=epic.id,
            title=title if short else f"{title[:TITLE_CHARACTERS]} ...",
            body=rest.strip() if short else epic.text,
            acceptance_criteria=(),
            spec=render_proposals(_proposed(tx, epic)),
        ),
        phase=Phase.DESIGN,
        attempt=epic.attempt,
        generation=epic.generation,
        base_commit=None,
        red_commit=None,
        head_commit=None,
        red_evidence=None,
        feedback=_feedback(epic),
        session_id=epic.session_id,
        epic=True,
    )
    return epic, job


def _feedback(epic: Epic) -> str:
    """What people want stays said beside what was wrong with the last attempt."""
    wish = prompts.changes_wanted(epic.wish) if epic.wish else ""
    return "\n\n".join(part for part in (wish, epic.feedback) if part)


def _proposed(tx: Transaction, epic: Epic) -> list[Proposal]:
    """What people have not decided on yet, as they have edited it: what a revision starts from."""
    found = [story for story in stories.of_epic(tx.conn, epic.id) if story.state is StoryState.PROPOSED]
    places = {story.id: index for index, story in enumerate(found)}
    needed = needs.of_stories(tx.conn, places)
    return [
        Proposal(
            title=story.title,
            body=story.body,
            acceptance_criteria=story.acceptance_criteria,
            priority=story.priority,
            estimate=story.estimate,
            labels=story.labels,
            needs=tuple(places[other] for other in needed.get(story.id, ()) if other in places),
        )
        for story in found
    ]


def take_in(tx: Transaction, epic: Epic, proposals: tuple[Proposal, ...], report: PhaseReport) -> None:
    """The proposals as stories, in the place of those that nobody has approved."""
    proposed = epics.propose(tx, epic, session_id=report.session_id or epic.session_id)
    for old in stories.of_epic(tx.conn, epic.id):
        if old.state is StoryState.PROPOSED:
            _replace(tx, old)
    added = [
        stories.add(
            tx,
            epic.project,
            title=one.title,
            body=one.body,
            acceptance_criteria=one.acceptance_criteria,
            priority=one.priority,
            estimate=one.estimate,
            labels=one.labels,
            epic_id=epic.id,
            state=StoryState.PROPOSED,
            added_by="agent",
        )
        for one in proposals
    ]
    for story, one in zip(added, proposals, strict=True):
        if one.needs:
            needs.replace(tx, story.id, [added[index].id for index in one.needs])
    settle_backlog(tx, epic.project, "orchard")
    tx.emit(
        EventKind.EPIC_PROPOSED,
        project=epic.project,
        actor="agent",
        data={"epic": proposed.id, "stories": [story.id for story in added]},
    )


def _replace(tx: Transaction, old: Story) -> None:
    stories.move(tx, old.id, StoryState.PROPOSED, StoryState.REMOVED)
    tx.emit(
        EventKind.STORY_REMOVED,
        project=old.project,
        story_id=old.id,
        actor="agent",
        data={"reason": "its epic was designed again", "by": "agent"},
    )


def fail_design(tx: Transaction, epic: Epic, error: str) -> None:
    failed = epics.fail(tx, epic, error)
    tx.emit(
        EventKind.EPIC_FAILED,
        project=epic.project,
        data={"epic": failed.id, "error": error, "tried": failed.attempt},
    )
    settle_backlog(tx, epic.project, "orchard")


def feedback_of(faults: tuple[str, ...]) -> str:
    more = [f"And {len(faults) - FAULTS_TOLD} more."] if len(faults) > FAULTS_TOLD else []
    return prompts.unreadable_proposals([*faults[:FAULTS_TOLD], *more])

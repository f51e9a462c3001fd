"""Stories at work: helped, skipped, stopped."""

from __future__ import annotations

from core.domain.event import EventKind
from core.domain.lifecycles import (
    CycleEvent,
    WorkflowCommand,
)
from core.domain.story import StoryState
from core.errors import NotAllowed
from core.orchestrator import overview
from core.orchestrator.commands.topic import TEXT_LIMIT, Topic, allowed, checked
from core.orchestrator.reports import settle_sprint
from core.orchestrator.views import (
    StoryView,
)
from core.store import approvals, cycles, leases, merges, projects, stories
from core.store.database import Transaction


class Cycles(Topic):
    async def suggest_fix(self, story_id: str, text: str, *, actor: str) -> StoryView:
        """Gives a blocked story new tries; the text reaches the agent's next prompt."""
        text = checked("suggestion", text, TEXT_LIMIT)

        def help_on(tx: Transaction) -> StoryView:
            story = stories.get(tx.conn, story_id.strip().lower())
            cycle = cycles.get(tx.conn, story.id)
            if cycle is None or not cycle.blocked_reason:
                raise NotAllowed(
                    f"{story.id} is not blocked.", hint="A fix can be suggested for a blocked story only."
                )
            found = allowed(tx.conn, story.project, WorkflowCommand.SUGGEST_FIX)
            cycles.unblock(tx, story.id, f"{cycle.feedback}\n\nA person suggests: {text}".strip())
            projects.move_workflow(tx, found.name, WorkflowCommand.SUGGEST_FIX, actor=actor)
            tx.emit(
                EventKind.STORY_UNBLOCKED,
                project=story.project,
                story_id=story.id,
                actor=actor,
                data={"by": actor, "text": text},
            )
            return overview.story_view(tx.conn, story, self._why)

        return await self._store.write(help_on)

    async def skip_story(self, story_id: str, reason: str, *, actor: str) -> StoryView:
        """Takes a story out of its sprint. Commits stay at `refs/orchard/stories/<story>`, what was not
        committed at `refs/orchard/salvage/<story>/<n>`."""
        reason = checked("reason", reason, TEXT_LIMIT, required=False)

        def skip(tx: Transaction) -> StoryView:
            story = stories.get(tx.conn, story_id.strip().lower())
            if story.state is not StoryState.ACTIVE:
                raise NotAllowed(f"{story.id} is {story.state}: only a story of a running sprint is skipped.")
            found = allowed(tx.conn, story.project, WorkflowCommand.SKIP_TASK)
            cycle = cycles.get(tx.conn, story.id)
            assert cycle is not None  # ACTIVE stories have one
            open_merges = [m for m in merges.open_of(tx.conn, story.project) if m.story_id == story.id]
            if any(merge.candidate for merge in open_merges):
                raise NotAllowed(
                    f"{story.id} is being merged this moment.", hint="Look again in a few seconds."
                )
            for merge in open_merges:
                merges.finish(tx, merge.id, "abandoned")
            for lease in leases.held(tx.conn, story.project):
                if lease.story_id == story.id:
                    leases.release(tx, story.id, lease.generation)
            approvals.cancel_of_story(tx, story.id)
            cycles.move(tx, story.id, CycleEvent.ABORTED, state=cycle.state)
            moved = stories.move(tx, story.id, StoryState.ACTIVE, StoryState.SKIPPED)
            projects.move_workflow(tx, found.name, WorkflowCommand.SKIP_TASK, actor=actor)
            tx.emit(
                EventKind.STORY_SKIPPED,
                project=story.project,
                story_id=story.id,
                actor=actor,
                data={"by": actor, "reason": reason},
            )
            settle_sprint(tx, story.project)
            return overview.story_view(tx.conn, moved, self._why)

        view = await self._store.write(skip)
        if self._engine is not None:
            await self._engine.cancel(view.story.project, view.story.id)
        return view

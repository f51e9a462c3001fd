"""A person's hand on a story at work: stopped, steered, taken over, handed back."""

from __future__ import annotations

from pathlib import Path

from core.agents import prompts
from core.domain.approval import ApprovalKind
from core.domain.event import EventKind
from core.domain.lifecycles import CycleEvent, CycleState
from core.domain.story import Cycle, Hold, Story
from core.errors import NotAllowed, OrchardError, Unavailable
from core.ids import branch_of
from core.orchestrator import overview
from core.orchestrator.commands.topic import TEXT_LIMIT, Engine, Topic, checked
from core.orchestrator.sent_back import tell_sent_back
from core.orchestrator.sprint_end import settle_sprint
from core.orchestrator.story_guards import (
    at_work,
    check_not_asked,
    check_not_blocked,
    check_not_taken,
    go_on,
    let_go,
)
from core.orchestrator.views import StoryView, TakeoverView
from core.store import approvals, cycles
from core.store.database import Transaction


class Interventions(Topic):
    async def stop_story(self, story_id: str, *, actor: str) -> StoryView:
        """Ends what runs for it now and starts nothing more; it goes on from its last passed gate."""

        def stop(tx: Transaction) -> StoryView:
            return overview.story_view(tx.conn, stop_story(tx, story_id, actor=actor), self._why)

        view = await self._store.write(stop)
        if self._engine is not None:
            await self._engine.cancel(view.story.project, view.story.id)
        return view

    async def steer_story(self, story_id: str, text: str, *, actor: str) -> StoryView:
        """Tells the agent something: its running turn, where there is one, else with its next prompt.

        It is stored before anything is sent: neither a crash nor a turn that has just ended loses it.
        """
        text = checked("text", text, TEXT_LIMIT)
        story = await self._store.write(lambda tx: keep_steering(tx, story_id, text))
        reached = self._engine is not None and await self._engine.steer(story.project, story.id, text)

        def told(tx: Transaction) -> StoryView:
            tell_steered(tx, story, text, actor=actor, reached=reached)
            return overview.story_view(tx.conn, story, self._why)

        return await self._store.write(told)

    async def take_over(self, story_id: str, *, actor: str) -> TakeoverView:
        """Gives a person the story's folder once nothing of Orchard works in it; asked again, tells it again.

        A merge question about it is withdrawn, and a story that waits to be merged goes back to code_green:
        the gates judge what the person leaves.
        """
        engine = self._running("The folder of a story can be given")

        def take(tx: Transaction) -> tuple[Story, bool]:
            story, cycle = at_work(tx.conn, story_id, "taken over")
            if cycle.hold is Hold.TAKEN and cycle.held_by == actor:
                return story, False
            check_not_taken(cycle)
            let_go(tx, story)
            approvals.cancel_of_story(
                tx, story.id, ApprovalKind.MERGE, by=actor, reason="A person took the story over."
            )
            if cycle.blocked_reason:
                cycles.unblock(tx, story.id, cycle.feedback)
                go_on(tx, story.project, actor)
            if cycle.state is CycleState.COMMIT:
                cycle = _back_from_commit(tx, cycle, actor)
            cycles.patch(
                tx,
                story.id,
                state=cycle.state,
                hold=Hold.TAKEN.value,
                held_by=actor,
                by_hand=False,
                parked=False,
                conflicts=0,
            )
            tx.emit(
                EventKind.STORY_TAKEN,
                project=story.project,
                story_id=story.id,
                actor=actor,
                data={"by": actor, "path": str(engine.worktree(story.project, story.id))},
            )
            settle_sprint(tx, story.project)
            return story, True

        story, fresh = await self._store.write(take)
        path = engine.worktree(story.project, story.id)
        if fresh or not engine.is_open(story.project, story.id):  # else nobody touches what a person works in
            await engine.cancel(story.project, story.id)
            path = await self._opened(engine, story)
        view = await self._store.read(lambda conn: overview.story_view(conn, story, self._why))
        return TakeoverView(view=view, path=str(path), branch=branch_of(story.id))

    async def hand_back(self, story_id: str, note: str = "", *, actor: str) -> StoryView:
        """The folder as it is now is judged by the gate of the story's phase; the agents go on from there."""
        note = checked("note", note, TEXT_LIMIT, required=False)

        def back(tx: Transaction) -> StoryView:
            story, cycle = at_work(tx.conn, story_id, "handed back")
            if cycle.hold is not Hold.TAKEN:
                raise NotAllowed(
                    f"{story.id} is not with a person.",
                    why=f"It is in {cycle.state}{', stopped' if cycle.hold is Hold.STOPPED else ''}.",
                    hint="To work in its folder: /story takeover.",
                )
            cycles.patch(
                tx,
                story.id,
                state=cycle.state,
                hold=Hold.NONE.value,
                held_by=None,
                by_hand=True,
                feedback=f"{cycle.feedback}\n\n{prompts.handed_back(note)}".strip(),
            )
            tx.emit(
                EventKind.STORY_HANDED_BACK,
                project=story.project,
                story_id=story.id,
                actor=actor,
                data={"by": actor, "note": note},
            )
            go_on(tx, story.project, actor)
            return overview.story_view(tx.conn, story, self._why)

        return self._nudged(await self._store.write(back))

    async def _opened(self, engine: Engine, story: Story) -> Path:
        try:
            return await engine.open_worktree(story.project, story.id)
        except OrchardError as error:
            raise Unavailable(
                f"{story.id} is yours now, but its folder is not ready.",
                why=str(error),
                hint="Hand it back, and take it over again when that is mended.",
            ) from error

    def _nudged(self, view: StoryView) -> StoryView:
        """A person wants it to go on: whatever back-off it waits for is over."""
        if self._engine is not None:
            self._engine.nudge(view.story.id)
        return view


def stop_story(tx: Transaction, story_id: str, *, actor: str) -> Story:
    """What runs for it is cancelled by the caller, after the commit."""
    story, cycle = at_work(tx.conn, story_id, "stopped")
    check_not_taken(cycle)
    check_not_blocked(cycle)
    if cycle.hold is Hold.STOPPED:
        raise NotAllowed(
            f"{story.id} is stopped already, by {cycle.held_by}.",
            hint="Possible now: /tdd start, /tdd next, /story takeover, /skip_task, /tdd abort.",
        )
    let_go(tx, story)
    cycles.patch(tx, story.id, state=cycle.state, hold=Hold.STOPPED.value, held_by=actor)
    tx.emit(
        EventKind.STORY_STOPPED,
        project=story.project,
        story_id=story.id,
        actor=actor,
        data={"by": actor, "after": None},
    )
    settle_sprint(tx, story.project)
    return story


def keep_steering(tx: Transaction, story_id: str, text: str) -> Story:
    """For the next prompt, whatever becomes of the running turn."""
    story, cycle = at_work(tx.conn, story_id, "steered")
    check_not_blocked(cycle)
    check_not_asked(tx.conn, cycle)
    if cycle.state is CycleState.COMMIT:
        raise NotAllowed(
            f"{story.id} is in commit: no agent works on it any more.",
            why="Its work is proven on the newest main branch and merged.",
            hint="To change something, send it back: /tdd code.",
        )
    _add_feedback(tx, cycle, text)
    return story


def tell_steered(tx: Transaction, story: Story, text: str, *, actor: str, reached: bool) -> None:
    """What `keep_steering` kept was offered to the running turn, which got it or not."""
    cycle = cycles.get(tx.conn, story.id)
    # Its phase may have ended between the two: what no turn heard is for the next one.
    if cycle is not None and not reached and cycle.state.phase and text not in cycle.feedback:
        _add_feedback(tx, cycle, text)
    tx.emit(
        EventKind.STORY_STEERED,
        project=story.project,
        story_id=story.id,
        actor=actor,
        data={"by": actor, "text": text, "reached": reached},
    )


def _add_feedback(tx: Transaction, cycle: Cycle, text: str) -> None:
    feedback = f"{cycle.feedback}\n\n{prompts.said(text)}".strip()
    cycles.patch(tx, cycle.story_id, state=cycle.state, feedback=feedback)


def _back_from_commit(tx: Transaction, cycle: Cycle, actor: str) -> Cycle:
    moved = cycles.move(tx, cycle.story_id, CycleEvent.SENT_BACK, state=cycle.state)
    reason = "a person takes it over: what they leave is judged before it is merged"
    tell_sent_back(tx, moved, cycle.state, reason, actor=actor)
    return moved

"""Stories at work: sent on their way, helped, skipped, ended."""

from __future__ import annotations

from core.agents import prompts
from core.domain.event import EventKind
from core.domain.lifecycles import CycleEvent, CycleState, Phase, WorkflowCommand, WorkflowState
from core.domain.story import Cycle, Hold, Story, StoryState
from core.domain.way_back import WayBack, command_of, reachable, way_back
from core.errors import NotAllowed
from core.orchestrator import overview
from core.orchestrator.commands.interventions import Interventions
from core.orchestrator.commands.topic import TEXT_LIMIT, allowed, checked
from core.orchestrator.commands.watching import Watching
from core.orchestrator.needing import block_if_never, block_what_needs, check_can_be_met
from core.orchestrator.sent_back import tell_sent_back
from core.orchestrator.sprint_end import settle_sprint
from core.orchestrator.story_guards import (
    at_work,
    check_may_run,
    check_not_asked,
    check_not_blocked,
    check_not_taken,
    go_on,
    is_leased,
    let_go,
    merge_question,
)
from core.orchestrator.views import StoryView
from core.store import approvals, cycles, projects, sprints, stories, touched
from core.store.database import Transaction


class Cycles(Interventions, Watching):
    async def start_story(self, story_id: str, *, actor: str) -> StoryView:
        """A stopped story goes on by itself; while a sprint runs, one of the backlog joins it."""

        def start(tx: Transaction) -> StoryView:
            story = stories.get(tx.conn, story_id.strip().lower())
            if story.state is StoryState.BACKLOG:
                return overview.story_view(tx.conn, _join(tx, story, actor), self._why)
            story, cycle = at_work(tx.conn, story.id, "started")
            check_may_run(tx.conn, story.project)
            check_not_taken(cycle)
            check_not_blocked(cycle)
            if cycle.hold is Hold.NONE:
                raise NotAllowed(
                    f"{story.id} is not stopped: it goes on by itself.",
                    why=f"It is in {cycle.state}, attempt {cycle.attempt}.",
                    hint="Possible now: /tdd next, /story stop, /story steer, /story takeover.",
                )
            _release(tx, cycle, actor)
            return overview.story_view(tx.conn, story, self._why)

        return self._nudged(await self._store.write(start))

    async def next_phase(self, story_id: str, *, actor: str) -> StoryView:
        """One phase with its retries and its gate, then the story is stopped. What runs now is that phase."""

        def step(tx: Transaction) -> StoryView:
            story, cycle = at_work(tx.conn, story_id, "sent on")
            check_may_run(tx.conn, story.project)
            check_not_taken(cycle)
            check_not_blocked(cycle)
            check_not_asked(tx.conn, cycle)
            cycles.patch(tx, story.id, state=cycle.state, hold=Hold.STEP.value, held_by=actor)
            if cycle.hold is Hold.STOPPED:
                tx.emit(
                    EventKind.STORY_RELEASED,
                    project=story.project,
                    story_id=story.id,
                    actor=actor,
                    data={"by": actor, "for": str(cycle.state)},
                )
            go_on(tx, story.project, actor)
            return overview.story_view(tx.conn, story, self._why)

        return self._nudged(await self._store.write(step))

    async def run_phase(self, story_id: str, phase: Phase, reason: str = "", *, actor: str) -> StoryView:
        """The present phase runs now, whatever it waited for; an earlier one is gone back to.

        A later one is refused: each phase begins when the gate before it has passed.
        """
        reason = checked("reason", reason, TEXT_LIMIT, required=False)

        def run(tx: Transaction) -> tuple[StoryView, bool]:
            story, cycle = at_work(tx.conn, story_id, f"sent to {phase}")
            check_may_run(tx.conn, story.project)
            check_not_taken(cycle)
            way = way_back(cycle, phase)
            if way is None:
                raise _out_of_reach(cycle, phase, asked=merge_question(tx.conn, story.id))
            ran = is_leased(tx.conn, story)
            if ran and not way.states:
                raise NotAllowed(
                    f"{phase} of {story.id} runs this moment.",
                    hint="Possible now: /story steer, /story stop, /tdd next.",
                )
            check_can_be_met(tx.conn, story)
            let_go(tx, story)
            approvals.cancel_of_story(tx, story.id, by=actor, reason=f"{phase} comes again.")
            _unblock(tx, cycle, reason, actor)
            _send_back(tx, cycle, phase, way, reason, actor)
            if cycle.hold is not Hold.NONE:
                _release(tx, cycle, actor)
            go_on(tx, story.project, actor)
            return overview.story_view(tx.conn, story, self._why), ran

        view, ran = await self._store.write(run)
        if ran and self._engine is not None:
            await self._engine.cancel(view.story.project, view.story.id)
        return self._nudged(view)

    async def suggest_fix(self, story_id: str, text: str, *, actor: str) -> StoryView:
        """Gives a blocked story new tries; the text reaches the agent's next prompt."""
        text = checked("suggestion", text, TEXT_LIMIT)

        def help_on(tx: Transaction) -> StoryView:
            return overview.story_view(tx.conn, suggest_fix(tx, story_id, text, actor=actor), self._why)

        return self._nudged(await self._store.write(help_on))

    async def skip_story(self, story_id: str, reason: str, *, actor: str) -> StoryView:
        """Takes a story out of its sprint. Commits stay at `refs/orchard/stories/<story>`, what was not
        committed at `refs/orchard/salvage/<story>/<n>`."""
        reason = checked("reason", reason, TEXT_LIMIT, required=False)

        def skip(tx: Transaction) -> StoryView:
            return overview.story_view(tx.conn, skip_story(tx, story_id, reason, actor=actor), self._why)

        return await self._ended(await self._store.write(skip))

    async def abort_story(self, story_id: str, reason: str, *, actor: str) -> StoryView:
        """Ends a story as a failure, at once and for good. Its work is kept as a skipped one's is."""
        reason = checked("reason", reason, TEXT_LIMIT)

        def abort(tx: Transaction) -> StoryView:
            story, cycle = at_work(tx.conn, story_id, "aborted")
            ended = _end(tx, story, cycle, StoryState.ABORTED, reason, actor)
            return overview.story_view(tx.conn, ended, self._why)

        return await self._ended(await self._store.write(abort))

    async def _ended(self, view: StoryView) -> StoryView:
        if self._engine is not None:
            await self._engine.cancel(view.story.project, view.story.id)
        return view


def release_story(tx: Transaction, story_id: str, *, actor: str) -> Story:
    """The story, stopped before, may go on; the caller has the engine look."""
    story, cycle = at_work(tx.conn, story_id, "started")
    check_may_run(tx.conn, story.project)
    check_not_taken(cycle)
    check_not_blocked(cycle)
    if cycle.hold is Hold.NONE:
        raise NotAllowed(
            f"{story.id} is not stopped: it goes on by itself.",
            why=f"It is in {cycle.state}, attempt {cycle.attempt}.",
            hint="Possible now: /tdd next, /story stop, /story steer, /story takeover.",
        )
    _release(tx, cycle, actor)
    return story


def suggest_fix(tx: Transaction, story_id: str, text: str, *, actor: str) -> Story:
    story = stories.get(tx.conn, story_id)
    cycle = cycles.get(tx.conn, story.id)
    if cycle is None or not cycle.blocked_reason:
        raise NotAllowed(
            f"{story.id} is not blocked.",
            why="A fix can be suggested for a blocked story only.",
            hint="To a story that goes on by itself: /story steer.",
        )
    found = allowed(tx.conn, story.project, WorkflowCommand.SUGGEST_FIX)
    check_can_be_met(tx.conn, story)
    _unblock(tx, cycle, text, actor)
    projects.move_workflow(tx, found.name, WorkflowCommand.SUGGEST_FIX, actor=actor)
    return story


def skip_story(tx: Transaction, story_id: str, reason: str, *, actor: str) -> Story:
    """What runs for it is cancelled by the caller, after the commit."""
    story, cycle = at_work(tx.conn, story_id, "skipped")
    allowed(tx.conn, story.project, WorkflowCommand.SKIP_TASK)
    return _end(tx, story, cycle, StoryState.SKIPPED, reason, actor)


def _end(tx: Transaction, story: Story, cycle: Cycle, state: StoryState, reason: str, actor: str) -> Story:
    let_go(tx, story)
    approvals.cancel_of_story(tx, story.id)
    touched.replace(tx, story.id, ())
    cycles.move(tx, story.id, CycleEvent.ABORTED, state=cycle.state, hold=Hold.NONE.value)
    moved = stories.move(tx, story.id, StoryState.ACTIVE, state)
    if projects.get(tx.conn, story.project).workflow is WorkflowState.BLOCKED:
        projects.move_workflow(tx, story.project, WorkflowCommand.SKIP_TASK, actor=actor)
    skipped = state is StoryState.SKIPPED
    tx.emit(
        EventKind.STORY_SKIPPED if skipped else EventKind.STORY_ABORTED,
        project=story.project,
        story_id=story.id,
        actor=actor,
        data={"by": actor, "reason": reason},
    )
    block_what_needs(tx, moved)
    settle_sprint(tx, story.project)
    return moved


def _join(tx: Transaction, story: Story, actor: str) -> Story:
    found = projects.get(tx.conn, story.project)
    sprint = sprints.current(tx.conn, found.name)
    if found.workflow is not WorkflowState.SPRINT_ACTIVE or sprint is None:
        raise NotAllowed(
            f"{story.id} is in the backlog, and {found.name} is {found.workflow}: it has no sprint to join.",
            hint="Choose it for a sprint: /sprint plan, then /sprint start.",
        )
    sprints.join(tx, sprint, story.id)
    moved = stories.move(tx, story.id, StoryState.PLANNED, StoryState.ACTIVE)
    cycles.begin(tx, moved)
    tx.emit(
        EventKind.STORY_JOINED_SPRINT,
        project=story.project,
        story_id=story.id,
        actor=actor,
        data={"sprint": sprint.number, "by": actor},
    )
    block_if_never(tx, moved)
    return moved


def _release(tx: Transaction, cycle: Cycle, actor: str) -> None:
    """It goes on by itself again."""
    now = cycles.get(tx.conn, cycle.story_id)
    assert now is not None
    cycles.patch(tx, cycle.story_id, state=now.state, hold=Hold.NONE.value, held_by=None)
    tx.emit(
        EventKind.STORY_RELEASED,
        project=cycle.project,
        story_id=cycle.story_id,
        actor=actor,
        data={"by": actor},
    )
    go_on(tx, cycle.project, actor)


def _unblock(tx: Transaction, cycle: Cycle, text: str, actor: str) -> None:
    """New tries, with what the last refusal said and what the person says; nothing for one not blocked."""
    if not cycle.blocked_reason:
        return
    said = prompts.suggestion(text) if text else ""
    cycles.unblock(tx, cycle.story_id, "\n\n".join(part for part in (cycle.feedback, said) if part))
    cycles.patch(tx, cycle.story_id, state=cycle.state, conflicts=0)
    tx.emit(
        EventKind.STORY_UNBLOCKED,
        project=cycle.project,
        story_id=cycle.story_id,
        actor=actor,
        data={"by": actor, "text": text},
    )


def _send_back(tx: Transaction, cycle: Cycle, phase: Phase, way: WayBack, reason: str, actor: str) -> None:
    """Along the table's arrows; to the present phase, only the reason is kept for its next prompt."""
    said = prompts.wanted_again(phase, reason)
    if not way.states:
        if reason and not cycle.blocked_reason:
            feedback = f"{cycle.feedback}\n\n{said}".strip()
            cycles.patch(tx, cycle.story_id, state=cycle.state, feedback=feedback)
        return
    moved = cycle
    for _ in way.states:
        moved = cycles.move(
            tx,
            cycle.story_id,
            CycleEvent.SENT_BACK,
            state=moved.state,
            red_commit=way.red_commit,
            head_commit=way.head_commit,
            feedback=said,
            by_hand=False,
        )
    tell_sent_back(tx, moved, cycle.state, reason or f"a person wants {phase} again", actor=actor)


def _out_of_reach(cycle: Cycle, phase: Phase, *, asked: bool) -> NotAllowed:
    order = list(Phase)
    here = cycle.state.phase
    assert here is not None  # only stories at work come here
    if order.index(phase) < order.index(here):
        why = f"From {here} it can only be sent back to {', '.join(reachable(cycle.state)[:-1])}."
    elif asked:
        why = f"The gate of {here} has passed, but no person has answered yet whether it may be merged."
    else:
        why = f"The gate of {here} has not passed yet, and no gate is skipped."
    possible = ", ".join(f"/tdd {command_of(each)}" for each in reachable(CycleState(here.value)))
    return NotAllowed(
        f"{cycle.story_id} is in {here}: {phase} cannot run now.",
        why=why,
        hint=f"Possible now: {possible}, /tdd next.",
    )

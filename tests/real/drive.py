"""Drives the whole of Orchard, as it is, through one story: the real change between two releases."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from config.loader import load
from core.domain.event import Event
from core.domain.story import StoryStatus
from core.orchestrator.views import StoryDetail
from core.runtime import Runtime, open_runtime
from tests.real.stage import Stage, git, project_name

_ENDED = frozenset({StoryStatus.DONE, StoryStatus.BLOCKED, StoryStatus.ABORTED, StoryStatus.SKIPPED})
_ACTOR = "cli"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    stage: Stage
    detail: StoryDetail
    events: tuple[Event, ...]
    merged_tree: str  # of the main branch at the end
    differing: tuple[str, ...]  # files in which it is not the later release
    seconds: float
    timed_out: bool = False

    @property
    def held(self) -> bool:
        """Whether all gates passed and the main branch is the later release, byte for byte."""
        return self.detail.view.status is StoryStatus.DONE and self.merged_tree == self.stage.later_tree


async def drive(stage: Stage, say: Callable[[str], None], *, timeout_seconds: float) -> Outcome:
    """Raises OrchardError when Orchard refuses to begin; whatever happens after that is in the Outcome."""
    pair, name = stage.pair, project_name(stage.pair)
    began = time.monotonic()
    timed_out = False
    # An empty environment: no token, no setting of this shell takes part.
    async with open_runtime(lambda: load(stage.folder, environ={})) as runtime:
        commands = runtime.commands
        await commands.start_project(name, actor=_ACTOR)
        story = await commands.add_story(
            name,
            f"From {pair.old} to {pair.new}",
            body=f"What {pair.name} {pair.new} does and {pair.old} does not.",
            acceptance_criteria=[f"The tests of {pair.name} {pair.new} pass."],
            actor=_ACTOR,
        )
        await commands.plan_sprint(name, stories=[story.id], goal="The next release", actor=_ACTOR)
        await commands.start_sprint(name, actor=_ACTOR)
        try:
            async with asyncio.timeout(timeout_seconds):
                await _until_ended(runtime, story.id, say)
        except TimeoutError:
            timed_out = True
        detail = await commands.story(story.id)
        events = await commands.events(story_id=story.id, limit=1000)
    differing = git(stage.checkout, "diff", "--name-only", "main", stage.later_tree)
    return Outcome(
        stage=stage,
        detail=detail,
        events=events,
        merged_tree=git(stage.checkout, "rev-parse", "main^{tree}"),
        differing=tuple(differing.splitlines()),
        seconds=time.monotonic() - began,
        timed_out=timed_out,
    )


async def _until_ended(runtime: Runtime, story_id: str, say: Callable[[str], None]) -> None:
    """Approves what a person is asked, as the release's authors did."""
    said = ""
    while True:
        view = (await runtime.commands.story(story_id)).view
        if view.status in _ENDED:
            return
        for approval in await runtime.commands.approvals():
            await runtime.commands.answer_approval(approval.id, True, reason="released", actor=_ACTOR)
        progress = runtime.progress.get(story_id)
        phase = view.cycle.state if view.cycle else ""
        now = f"{phase}: {progress.step if progress else view.status}"
        if now != said:
            say(now)
            said = now
        await asyncio.sleep(0.1)

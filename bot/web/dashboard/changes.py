"""What a story changed: by its last passed gate, and in its files now, while somebody works in them."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass, field

from markupsafe import Markup

from bot.web.dashboard.live import View
from bot.web.dashboard.markup import drawn
from bot.web.dashboard.views.diff import diff_of
from core.domain.approval import ApprovalKind, ApprovalState
from core.domain.story import Cycle, StoryStatus
from core.errors import OrchardError
from core.orchestrator.commands import Commands
from core.orchestrator.views import ChangesView

log = logging.getLogger(__name__)

_LINES = 2000  # of its files now, drawn anew while they change
_AT_WORK_SECONDS, _AT_REST_SECONDS = 2.0, 15.0  # between two looks at its files
_REST = 10  # so many times as long as the last look took
_AT_WORK = (StoryStatus.RUNNING, StoryStatus.TAKEN)

Parts = dict[str, Markup]
Stand = tuple[object, ...]


def changes_view(commands: Commands, story_id: str) -> View[Parts]:
    """Drawn in the look, for all that watch, and on a thread of its own: a diff has thousands of lines."""
    return View(
        name=f"changes {story_id}",
        look=_Changes(commands=commands, story_id=story_id).look,
        seconds=_AT_WORK_SECONDS,
        wakes=lambda event: event.story_id == story_id,
    )


@dataclass(slots=True, kw_only=True)
class _Changes:
    commands: Commands
    story_id: str
    _passed: ChangesView | None = field(default=None, init=False)
    _now: ChangesView | None = field(default=None, init=False)
    _trouble: str = field(default="", init=False)  # why its files could not be read
    _seen: Stand = field(default=(), init=False)  # how it stood when they were looked at
    _next: float = field(default=0.0, init=False)  # when they are looked at again, by the monotonic clock
    _drawn: tuple[Stand, Parts] = field(default=((), {}), init=False)

    async def look(self) -> Parts:
        detail = await self.commands.story(self.story_id)
        cycle, status = detail.view.cycle, detail.view.status
        if cycle is None or cycle.base_commit is None:
            return {}
        await self._look_at_passed(cycle)
        await self._look_at_files(cycle, status)
        asked = any(
            one.state is ApprovalState.PENDING and one.kind is ApprovalKind.MERGE for one in detail.approvals
        )
        passed, now = self._passed, self._now
        if now is not None and not now.left_out and passed is not None and now.text == passed.text:
            now = None  # a gate has judged all of it
        shown = None if asked else passed  # the question shows them
        key = (shown, now, self._trouble)
        if self._drawn[0] != key:
            self._drawn = (key, await asyncio.to_thread(_drawn, shown, now, self._trouble))
        return self._drawn[1]

    async def _look_at_passed(self, cycle: Cycle) -> None:
        known = self._passed
        if known is not None and (known.base, known.commit) == (cycle.base_commit, cycle.head_commit):
            return
        try:
            self._passed = await self.commands.changes(self.story_id)
        except OrchardError as error:  # its commits are gone with a cleaned repository
            log.info("the changes of %s are not shown: %s", self.story_id, error)
            self._passed = ChangesView(
                story_id=self.story_id, base=cycle.base_commit, commit=cycle.head_commit, text=""
            )

    async def _look_at_files(self, cycle: Cycle, status: StoryStatus) -> None:
        stand = (cycle.base_commit, cycle.head_commit, cycle.state, status)
        began = time.monotonic()
        if stand == self._seen and began < self._next:
            return
        try:
            self._now, self._trouble = await self.commands.changes_now(self.story_id), ""
        except OrchardError as error:
            log.info("the files of %s are not shown: %s %s", self.story_id, error, error.why)
            self._now, self._trouble = None, f"{error.message} {error.hint}".strip()
        ended = time.monotonic()
        pause = _AT_WORK_SECONDS if status in _AT_WORK else _AT_REST_SECONDS
        self._seen, self._next = stand, ended + max(pause, _REST * (ended - began))


def _drawn(passed: ChangesView | None, now: ChangesView | None, trouble: str) -> Parts:
    parts: Parts = {}
    if (now is not None and (now.text or now.left_out)) or trouble:
        diff = diff_of(now.text, most=_LINES) if now is not None and now.text else None
        base, left_out = (now.base or "", now.left_out) if now is not None else ("", ())
        parts["now"] = drawn("diffs_now", base=base, diff=diff, left_out=left_out, trouble=trouble)
    if passed is not None and passed.base is not None and (diff := diff_of(passed.text)).files:
        parts["changes"] = drawn("diffs", base=passed.base, diff=diff)
    return parts

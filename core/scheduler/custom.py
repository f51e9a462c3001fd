"""A strategy of the user's, named by import path, and the guard around it.

It runs in a process that can be killed: a thread that loops could never be given up and would take half the
interpreter for ever. What it says is checked; refused, with a message, is one that raises, takes too long or
allocates more than there is. The last good allocation stays then, or fair shares when there is none yet.
Calls block, at most for the time limits: the event loop hands them to a thread.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from core.errors import OrchardError
from core.scheduler.allocation import as_plain, check_allocation, within
from core.scheduler.custom_process import StrategyProcess, Unanswered
from core.scheduler.decision import Decision, Rule
from core.scheduler.fair_share import rank_by_share
from core.scheduler.passes import PATIENCE_SECONDS, run_pass
from core.scheduler.reclaim import ReclaimRules
from core.scheduler.snapshot import Snapshot
from core.scheduler.soundness import make_sound


class StrategyRefused(OrchardError):
    slug = "strategy_refused"


class CustomStrategy:
    """One at a time: not for several threads at once. `close` ends its process; it starts again on demand.

    `time_limit_seconds` is for one call, `start_limit_seconds` for importing it. After a refusal it is
    asked again when `retry_seconds` of the snapshots' time have passed, or its file was changed. Its module
    is looked for in `folder` too, the configuration's.
    """

    def __init__(
        self,
        path: str,
        *,
        folder: Path | None = None,
        time_limit_seconds: float = 2.0,
        start_limit_seconds: float = 15.0,
        retry_seconds: float = 60.0,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        self.name = path
        self._limit_seconds = time_limit_seconds
        self._start_limit_seconds = start_limit_seconds
        self._retry_seconds = retry_seconds
        self._patience_seconds = patience_seconds
        self._process = StrategyProcess(path, folder)
        self._last_good: Mapping[str, Mapping[str, float]] | None = None
        self._known: frozenset[str] = frozenset()  # the projects that the last good allocation is about
        self._refusal = ""
        self._refused_at = -math.inf

    @property
    def refusal(self) -> str:
        """Why its last answer does not count; empty: it does."""
        return self._refusal

    @property
    def kept(self) -> str:
        """What decides while it is refused."""
        return "shares are fair" if self._last_good is None else "its last good allocation stays"

    def decide(self, snapshot: Snapshot) -> Decision:
        """Never raises for what the strategy does: `problems` says that it was refused, and why."""
        sound = make_sound(snapshot)
        now = sound.snapshot.now
        waits = 0.0 <= now - self._refused_at < self._retry_seconds
        if not self._refusal or not waits or self._process.was_edited:
            try:
                self._last_good = self.ask(sound.snapshot)
                self._known = frozenset(project.name for project in sound.snapshot.projects)
                self._refusal = ""
            except StrategyRefused as refusal:
                self._refusal = str(refusal)
                self._refused_at = now
        problems = sound.problems
        if self._refusal:
            problems = (f"{self._refusal} Until it is right, {self.kept}.", *problems)
        bounded = sound.snapshot
        if (good := self._last_good) is not None:
            # One that came after that allocation is bound by nothing but its own limit.
            projects = (
                within(project, good) if project.name in self._known else project
                for project in bounded.projects
            )
            bounded = replace(bounded, projects=tuple(projects))
        return run_pass(
            self.name,
            replace(sound, snapshot=bounded, problems=problems),
            lambda ledger: rank_by_share,
            rule=Rule.SHARE if self._last_good is None else Rule.ALLOCATION,
            reclaim=ReclaimRules(),
            patience_seconds=self._patience_seconds,
        )

    def ask(self, snapshot: Snapshot) -> Mapping[str, Mapping[str, float]]:
        """Its allocation for a sound snapshot, checked. StrategyRefused: it did not give a good one."""
        process = self._process
        try:
            fault = "" if process.is_usable else process.start(self._start_limit_seconds)
            if fault:
                raise StrategyRefused(f"The strategy {self.name} cannot be loaded:", why=f"{fault}.")
            answer = process.ask(as_plain(snapshot), self._limit_seconds)
        except Unanswered as reason:
            raise StrategyRefused(f"The strategy {self.name} {reason}.") from reason
        except OSError as error:
            self.close()
            raise StrategyRefused(f"The strategy {self.name} cannot be asked:", why=f"{error}.") from error
        if "allocation" not in answer:
            raise StrategyRefused(f"The strategy {self.name} failed:", why=f"{answer.get('error')}.")
        allocation: Mapping[str, Mapping[str, float]] = answer["allocation"]
        if fault := check_allocation(allocation, snapshot):
            raise StrategyRefused(f"The allocation of {self.name} is refused:", why=fault)
        return allocation

    def close(self) -> None:
        self._process.close()

"""Runs a tiny story with a real agent, by the driver and in the sandbox of every other turn, and says what of
it works: starts, session, edits, asks, reports usage, resumes, cancels, leaves nothing behind.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from core.agents import conformance, remains
from core.agents.check_place import STORY, Place
from core.agents.check_turns import CheckTurns, Direct, Heard, Lane, Subject
from core.agents.conformance import Conformance, Mark, OnOutcome, Outcome, Step
from core.agents.turn import TurnKind
from core.clock import Clock, SystemClock
from core.errors import Unavailable
from core.isolation.plan import Level, Machine

_DIRECTLY = Direct()
_COMMAND_SECONDS = 8.0  # how long a command without tools may think before it is stopped


async def check_agent(
    subject: Subject,
    *,
    machine: Machine,
    lane: Lane = _DIRECTLY,
    level: Level | None = None,
    turn_seconds: float = 300.0,
    keep: Path | None = None,
    quick: bool = False,
    on_outcome: OnOutcome = lambda _: None,
    clock: Clock | None = None,
) -> Conformance:
    """Three turns in a repository made for them, only the first when `quick`, and a look at what is left.

    Faults of the agent are rows of the answer; raises OrchardError only when the check itself cannot be made.
    Nothing of it is left, but for the turns' transcripts and the agent's stderr where `keep` names a folder.
    """
    began = time.monotonic()
    level = level or machine.strongest
    # Not below /tmp: a sandbox has a /tmp of its own, and one agent refuses to work from there.
    with TemporaryDirectory(prefix="orchard-check-", dir=_roomy()) as folder:
        place = await Place.make(Path(folder).resolve())
        turns = CheckTurns(subject, place, machine, lane, level, turn_seconds, clock or SystemClock())
        check = _Check(subject, place, turns, level, turn_seconds, on_outcome)
        try:
            outcomes = await check.play(quick=quick)
        finally:
            if keep is not None:
                await asyncio.to_thread(_keep, place.transcripts, keep)
    return Conformance(
        agent=subject.setup.name,
        versions=subject.versions,
        by=lane.by,
        isolation=str(level),
        outcomes=outcomes,
        seconds=time.monotonic() - began,
    )


def _keep(transcripts: Path, folder: Path) -> None:
    try:
        shutil.copytree(transcripts, folder, dirs_exist_ok=True)
    except (OSError, shutil.Error) as error:
        raise Unavailable(f"The transcripts could not be kept in {folder}.", why=str(error)) from error


def _roomy() -> str | None:
    return "/var/tmp" if os.access("/var/tmp", os.W_OK | os.X_OK) else None  # noqa: S108 - made by tempfile


class _Check:
    def __init__(
        self,
        subject: Subject,
        place: Place,
        turns: CheckTurns,
        level: Level,
        turn_seconds: float,
        on_outcome: OnOutcome,
    ) -> None:
        self._subject = subject
        self._place = place
        self._turns = turns
        self._level = level
        self._turn_seconds = turn_seconds
        self._on_outcome = on_outcome
        self._outcomes: list[Outcome] = []

    async def play(self, *, quick: bool) -> tuple[Outcome, ...]:
        before = await asyncio.to_thread(remains.files, self._place.top, self._level)
        first = await self._turns.take("first", conformance.editing_prompt())
        if self._judge_start(first):
            self._judge_edits(first)
            if not quick:
                await self._resume(first)
                await self._cancel()
        else:
            for step in (Step.EDITS, Step.ASKS, Step.USAGE, Step.RESUMES, Step.CANCELS):
                self._add(step, Mark.SKIPPED, "it has no session")
        await self._look_behind(before)
        return tuple(self._outcomes)

    def _add(self, step: Step, mark: Mark, found: str, mend: str = "") -> None:
        self._put(Outcome(step=step, mark=mark, found=found, mend=mend))

    def _put(self, outcome: Outcome) -> None:
        self._outcomes.append(outcome)
        self._on_outcome(outcome)

    def _judge_start(self, heard: Heard) -> bool:
        end = heard.end
        assert end is not None
        first = self._place.first_answer_seconds("first")
        if heard.session_seconds is None:
            if first is not None:
                self._add(Step.STARTS, Mark.OK, f"answered after {first:.1f} s")
                self._add(Step.SESSION, Mark.FAILED, end.error, end.hint)
            else:
                self._add(Step.STARTS, Mark.FAILED, end.error, end.hint)
                self._add(Step.SESSION, Mark.SKIPPED, "it did not start")
            return False
        seconds = heard.session_seconds
        if self._subject.setup.kind == "command":
            self._add(Step.STARTS, Mark.OK, f"{seconds:.1f} s")
            self._add(Step.SESSION, Mark.OK, "none: a command is started for each turn")
            return True
        self._add(Step.STARTS, Mark.OK, f"answered after {first or seconds:.1f} s")
        self._add(
            Step.SESSION,
            Mark.OK,
            f"ready after {seconds:.1f} s, mode {self._subject.setup.mode or 'its own'}",
        )
        return True

    def _judge_edits(self, heard: Heard) -> None:
        end = heard.end
        assert end is not None
        said = self._place.read(conformance.GREETING_FILE)
        mend = end.hint or _SEE
        if end.kind is not TurnKind.IDLE:
            self._add(Step.EDITS, Mark.FAILED, end.error or f"its turn ended: {end.kind}", mend)
        elif said is None:
            self._add(Step.EDITS, Mark.FAILED, f"{conformance.GREETING_FILE} was not made", mend)
        elif said.strip() != conformance.GREETING:
            self._add(Step.EDITS, Mark.FAILED, f"{conformance.GREETING_FILE} holds {said[:80]!r}", mend)
        else:
            self._add(Step.EDITS, Mark.OK, f"one file as asked, {end.tools} tool calls, {end.seconds:.1f} s")
        if heard.asked:
            self._add(Step.ASKS, Mark.OK, f"{heard.asked} requests reached Orchard")
        elif self._subject.setup.kind == "command":
            self._add(Step.ASKS, Mark.NOTE, "never: a command cannot; the sandbox and the gate confine it")
        else:
            self._add(
                Step.ASKS,
                Mark.NOTE,
                f"not in mode {self._subject.setup.mode or 'its own'}; the sandbox and the gate confine it",
            )
        self._put(conformance.usage_outcome(heard.metered, end.usage, self._subject.usage))

    async def _resume(self, first: Heard) -> None:
        wanted = self._subject.sessions
        assert first.end is not None
        if self._subject.setup.kind == "command" or wanted == "none" or first.end.session_id is None:
            self._add(Step.RESUMES, Mark.NOTE, "never: each turn is fresh, told what went before")
            return
        heard = await self._turns.take(
            "second", conformance.remembering_prompt(), session_id=first.end.session_id
        )
        end = heard.end
        assert end is not None
        how = self._place.how_taken_up("second")
        said = (self._place.read(conformance.MEMORY_FILE) or "").strip()
        if end.kind is not TurnKind.IDLE:
            self._add(Step.RESUMES, Mark.FAILED, end.error or f"its turn ended: {end.kind}", end.hint)
        elif not heard.resumed:
            fresh = "fresh_session" in self._subject.setup.quirks
            mend = "" if fresh else f"Give its row 'quirks: [fresh_session]'. {_SEE}"
            self._add(Step.RESUMES, Mark.NOTE if fresh else Mark.FAILED, "a fresh session each time", mend)
        elif said != conformance.GREETING_FILE:
            mend = "Its old session does not carry what was said: give its row 'quirks: [fresh_session]'."
            self._add(Step.RESUMES, Mark.FAILED, f"by {how}, but it wrote {said[:80]!r}", mend)
        else:
            self._add(Step.RESUMES, Mark.OK, f"by {how}, and it knows what went before")

    async def _cancel(self) -> None:
        cancel = asyncio.Event()
        turn = asyncio.ensure_future(self._turns.take("third", conformance.waiting_prompt(), cancel=cancel))
        try:
            seen = await self._until_running(turn)
            asked = time.monotonic()
            cancel.set()
            heard = await turn
        finally:
            cancel.set()
            with suppress(Exception):
                await turn
        end = heard.end
        assert end is not None
        seconds = time.monotonic() - asked
        left = await asyncio.to_thread(remains.running, "tail", self._place.top)
        rungs = ", ".join(end.rungs) or "nothing more"
        if left:
            self._add(Step.CANCELS, Mark.FAILED, f"its command still runs: {left[0]}", _OURS)
        elif end.kind is TurnKind.IDLE and self._subject.setup.kind == "command":
            self._add(Step.CANCELS, Mark.NOTE, "it ended by itself before it could be stopped")
        elif end.kind is not TurnKind.CANCELLED:
            found = f"its turn ended before it was cancelled: {end.error or end.text[:160] or end.kind}"
            self._add(Step.CANCELS, Mark.FAILED, found, end.hint)
        elif not seen and self._subject.setup.kind != "command":
            self._add(Step.CANCELS, Mark.FAILED, f"it never ran its command, and ended in {seconds:.1f} s")
        else:
            what = "its tools ended" if seen else "it ended; it had run no command"
            self._add(Step.CANCELS, Mark.OK, f"in {seconds:.1f} s ({rungs}); {what}")

    async def _until_running(self, turn: asyncio.Future[Heard]) -> bool:
        """Whether its command runs; False when the turn is over, or nothing came of it in time."""
        patience = self._turn_seconds
        if self._subject.setup.kind == "command":
            patience = _COMMAND_SECONDS
        try:
            async with asyncio.timeout(patience):
                while not turn.done():
                    if await asyncio.to_thread(remains.running, "tail", self._place.top):
                        return True
                    await asyncio.wait({turn}, timeout=0.1)
        except TimeoutError:
            pass
        return False

    async def _look_behind(self, before: frozenset[str]) -> None:
        found: tuple[str, ...] = ()
        for _ in range(20):
            found = await asyncio.to_thread(remains.left_since, before, self._place.top, self._level)
            if not found:
                break
            await asyncio.sleep(0.25)  # a killed process is in /proc until its parent has reaped it
        changed = await self._place.git("status", "--short")
        refs = await self._place.git("for-each-ref", "--format=%(refname)")
        own = {"refs/heads/main", f"refs/heads/orchard/{STORY}"}
        found += tuple(f"a git reference {ref}" for ref in refs.split() if ref not in own)
        found += tuple(f"in the repository's checkout: {line}" for line in changed.splitlines())
        if found:
            self._add(Step.LEAVES, Mark.FAILED, "; ".join(found[:6]), _OURS)
        else:
            self._add(Step.LEAVES, Mark.OK, "no process, no file outside its home and its worktree")


_SEE = "Check it again with --keep FOLDER, and read what it said and what it wrote to stderr there."
_OURS = "Orchard's containment should have ended that: please report it with the output of 'orchard doctor'."

"""A strategy of the user's, named by import path, and the guard around it.

It runs in a process that can be killed: a thread that loops could never be given up and would take half the
interpreter for ever. What it says is checked; refused, with a message, is one that raises, takes too long or
allocates more than there is. The last good allocation stays then, or fair shares when there is none yet.
Calls block, at most for the time limits: the event loop hands them to a thread.
"""

from __future__ import annotations

import json
import math
import os
import select
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from core.errors import OrchardError
from core.scheduler.allocation import as_plain, check_allocation, within
from core.scheduler.decision import Decision, Rule
from core.scheduler.fair_share import rank_by_share
from core.scheduler.passes import PATIENCE_SECONDS, run_pass
from core.scheduler.reclaim import ReclaimRules
from core.scheduler.snapshot import Snapshot
from core.scheduler.soundness import make_sound

_KEPT_OF_ENVIRONMENT = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR")
_LONGEST_ANSWER = 64 << 20


class StrategyRefused(OrchardError):
    slug = "strategy_refused"


class CustomStrategy:
    """One at a time: not for several threads at once. `close` ends its process; it starts again on demand.

    `time_limit_seconds` is for one call, `start_limit_seconds` for importing it. After a refusal it is
    asked again when `retry_seconds` of the snapshots' time have passed.
    """

    def __init__(
        self,
        path: str,
        *,
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
        self._process: subprocess.Popen[bytes] | None = None
        self._last_good: Mapping[str, Mapping[str, float]] | None = None
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
        sound = make_sound(snapshot).snapshot
        if not self._refusal or not 0.0 <= sound.now - self._refused_at < self._retry_seconds:
            try:
                self._last_good = self.ask(sound)
                self._refusal = ""
            except StrategyRefused as refusal:
                self._refusal = str(refusal)
                self._refused_at = sound.now
        problems: tuple[str, ...] = ()
        if self._refusal:
            problems = (f"{self._refusal} Until it is right, {self.kept}.",)
        bounded = snapshot
        if self._last_good is not None:
            projects = (within(project, self._last_good) for project in sound.projects)
            bounded = replace(snapshot, projects=tuple(projects))
            problems += make_sound(snapshot).problems
        return run_pass(
            self.name,
            bounded,
            lambda ledger: rank_by_share,
            rule=Rule.SHARE if self._last_good is None else Rule.ALLOCATION,
            reclaim=ReclaimRules(),
            patience_seconds=self._patience_seconds,
            problems=problems,
        )

    def ask(self, snapshot: Snapshot) -> Mapping[str, Mapping[str, float]]:
        """Its allocation for a sound snapshot, checked. StrategyRefused: it did not give a good one."""
        try:
            if self._process is None or self._process.poll() is not None:
                self._start()
            answer = self._call(as_plain(snapshot), self._limit_seconds)
            if "allocation" not in answer:
                raise StrategyRefused(f"The strategy {self.name} failed:", why=f"{answer.get('error')}.")
            allocation: Mapping[str, Mapping[str, float]] = answer["allocation"]
            if fault := check_allocation(allocation, snapshot):
                raise StrategyRefused(f"The allocation of {self.name} is refused:", why=fault)
        except StrategyRefused:
            raise
        except (OSError, ValueError) as error:
            self.close()
            raise StrategyRefused(f"The strategy {self.name} cannot be asked:", why=f"{error}.") from error
        return allocation

    def close(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()

    def _start(self) -> None:
        self.close()
        environment = {name: os.environ[name] for name in _KEPT_OF_ENVIRONMENT if name in os.environ}
        environment["PYTHONPATH"] = os.pathsep.join(path or str(Path.cwd()) for path in sys.path)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "core.scheduler.custom_child", self.name, str(self._limit_seconds)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            bufsize=0,
            start_new_session=True,  # Ctrl-C in a terminal is for Orchard
        )
        answer = self._call(None, self._start_limit_seconds)
        if "error" in answer:
            self.close()
            raise StrategyRefused(f"The strategy {self.name} cannot be loaded:", why=f"{answer['error']}.")

    def _call(self, question: Any, limit_seconds: float) -> dict[str, Any]:
        """One question and its answer; the process is killed when it takes longer."""
        process = self._process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        until = time.monotonic() + limit_seconds
        unsent = memoryview((json.dumps(question) + "\n").encode())
        read = bytearray()
        os.set_blocking(process.stdin.fileno(), False)
        while not read.endswith(b"\n"):
            left = until - time.monotonic()
            writing = [process.stdin] if unsent else []
            readable, writable, _ = select.select([process.stdout], writing, [], max(left, 0.0))
            if left <= 0.0 or len(read) > _LONGEST_ANSWER:
                self.close()
                what = f"took longer than {limit_seconds:g} s" if left <= 0.0 else "answered without end"
                raise StrategyRefused(f"The strategy {self.name} {what} and was stopped.")
            if writable:
                unsent = unsent[os.write(process.stdin.fileno(), unsent[: select.PIPE_BUF]) :]
            if readable:
                chunk = os.read(process.stdout.fileno(), 1 << 16)
                if not chunk:
                    self.close()
                    raise StrategyRefused(f"The strategy {self.name} ended its process.")
                read += chunk
        found = json.loads(read)
        if not isinstance(found, dict):
            raise StrategyRefused(f"The strategy {self.name} answered with {type(found).__name__}.")
        return found

"""Measured runs, kept as files: the same tree, command and environment need not be measured again."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from core.domain.evidence import Failure, Outcome, RunState, SuiteRun, TestResult

_FORMAT = 3
_KEPT = 500  # files; the oldest go

Runs = tuple[SuiteRun, ...]


def run_key(**parts: object) -> str:
    """A file name from everything that decides a run's result."""
    text = json.dumps({"format": _FORMAT, **parts}, sort_keys=True, default=list)
    return hashlib.sha256(text.encode()).hexdigest()[:40]


class RunCache:
    """`folder` is `<state_path>/runs`. Only whole runs without a trace of tampering are kept."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._going: dict[str, asyncio.Task[Runs]] = {}
        self._waiting: dict[str, int] = {}

    def has(self, key: str) -> bool:
        return self._path(key).is_file()

    async def get(self, key: str, measure: Callable[[], Awaitable[Runs]]) -> Runs:
        """The kept runs, or new ones. Callers that ask for the same at the same time share one measurement;
        it is given up when the last of them is cancelled."""
        task = self._going.get(key)
        if task is None:
            # The look is a part of it: who found nothing must not begin after who measured has ended.
            task = asyncio.create_task(self._kept_or_new(key, measure), name=f"suite {key[:8]}")
            self._going[key] = task
            self._waiting[key] = 0
        self._waiting[key] += 1
        try:
            return await asyncio.shield(task)
        finally:
            self._waiting[key] -= 1
            if self._waiting[key] == 0:
                del self._waiting[key]
                self._going.pop(key, None)
                if not task.done():
                    task.cancel()
                    await asyncio.wait([task])

    async def _kept_or_new(self, key: str, measure: Callable[[], Awaitable[Runs]]) -> Runs:
        kept = await asyncio.to_thread(self._load, key)
        if kept is not None:
            return kept
        runs = await measure()
        await self.put(key, runs)
        return runs

    async def put(self, key: str, runs: Runs) -> None:
        """Keeps runs that can be used; others are dropped, to be measured again."""
        if all(run.state is RunState.COMPLETED and not run.tampering for run in runs):
            await asyncio.to_thread(self._keep, key, runs)

    def _path(self, key: str) -> Path:
        return self._folder / f"{key}.json"

    def _load(self, key: str) -> Runs | None:
        """None also for a file that is damaged or of another version: it is measured again."""
        path = self._path(key)
        try:
            document = json.loads(path.read_bytes())
            runs = tuple(_run_from(entry) for entry in document["runs"])
            os.utime(path)  # used lately: the last to be pruned
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None
        return runs

    def _keep(self, key: str, runs: Runs) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"runs": [asdict(run) for run in runs]})
        fresh = self._folder / f".{key}.{secrets.token_hex(4)}"
        fresh.write_text(text)
        fresh.replace(self._path(key))
        self._prune()

    def _prune(self) -> None:
        kept = sorted(self._folder.glob("*.json"), key=_used_at)
        for path in kept[:-_KEPT]:
            path.unlink(missing_ok=True)


def _used_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:  # another worker was faster
        return 0.0


def _run_from(entry: dict[str, Any]) -> SuiteRun:
    fields = dict(entry)
    fields["state"] = RunState(fields["state"])
    fields["results"] = tuple(_result_from(result) for result in fields["results"])
    fields["command"] = tuple(fields["command"])
    fields["tampering"] = tuple(fields["tampering"])
    fields["rewritten"] = tuple(fields["rewritten"])
    return SuiteRun(**fields)


def _result_from(entry: dict[str, Any]) -> TestResult:
    fields = dict(entry)
    fields["outcome"] = Outcome(fields["outcome"])
    if fields.get("failure") is not None:
        fields["failure"] = Failure(**{name: _frozen(value) for name, value in fields["failure"].items()})
    return TestResult(**fields)


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value

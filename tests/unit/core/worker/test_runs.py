"""Kept runs: what is kept, what is shared, what is measured again."""

from __future__ import annotations

import asyncio
import threading

import pytest

from core.domain.evidence import Failure, Outcome, RunState, SuiteRun, TestResult
from core.worker import runs
from core.worker.runs import RunCache, run_key
from tests.waiting import SECONDS, until


def _run(**changes) -> SuiteRun:
    result = TestResult(
        id="a::b",
        outcome=Outcome.FAILED,
        file="tests/test_a.py",
        failure=Failure(exception="KeyError", files=("a.py", "b.py"), owner_foreign=True),
    )
    fields = {
        "tree": "t",
        "command": ("pytest", "-q"),
        "runner": "pytest",
        "state": RunState.COMPLETED,
        "exit_code": 1,
    }
    return SuiteRun(**{**fields, "results": (result,), **changes})


class _Measured:
    def __init__(self, *found: SuiteRun) -> None:
        self.found = found
        self.times = 0
        self.go = asyncio.Event()
        self.go.set()

    async def __call__(self) -> tuple[SuiteRun, ...]:
        self.times += 1
        await self.go.wait()
        return self.found


async def test_a_kept_run_comes_back_whole(tmp_path):
    measure = _Measured(_run(), _run(state=RunState.COMPLETED, output_tail="ü\ud800"))
    first = await RunCache(tmp_path).get("key", measure)
    second = await RunCache(tmp_path).get("key", measure)
    assert first == second == measure.found
    assert measure.times == 1


@pytest.mark.parametrize(
    "run", [_run(state=RunState.TIMED_OUT), _run(state=RunState.CRASHED), _run(tampering=("a lie",))]
)
async def test_unusable_runs_are_measured_again(tmp_path, run):
    measure, cache = _Measured(run), RunCache(tmp_path)
    await cache.get("key", measure)
    await cache.get("key", measure)
    assert measure.times == 2
    assert not cache.has("key")


@pytest.mark.parametrize(
    "damage", [b"", b"{", b"[]", b'{"runs": [{}]}', b'{"runs": [{"state": "?"}]}', b"\xff"]
)
async def test_a_damaged_file_is_measured_again(tmp_path, damage):
    (tmp_path / "key.json").write_bytes(damage)
    measure = _Measured(_run())
    assert await RunCache(tmp_path).get("key", measure) == measure.found
    assert measure.times == 1
    assert await RunCache(tmp_path).get("key", _Measured()) == measure.found


async def test_asking_at_the_same_time_is_one_measurement(tmp_path):
    measure, cache = _Measured(_run()), RunCache(tmp_path)
    measure.go.clear()
    asking = [asyncio.create_task(cache.get("key", measure)) for _ in range(5)]
    await until(lambda: measure.times)
    asking[0].cancel()  # the others still want it
    measure.go.set()
    found = await asyncio.gather(*asking, return_exceptions=True)
    assert isinstance(found[0], asyncio.CancelledError)
    assert found[1:] == [measure.found] * 4
    assert measure.times == 1


async def test_the_first_may_go_while_the_kept_file_is_looked_for(tmp_path, monkeypatch):
    """In a thread, which takes as long as it takes: who looked in vain must not measure what was measured
    meanwhile."""
    looked, go_on = [], threading.Event()

    def look(cache, key):
        looked.append(key)
        assert go_on.wait(SECONDS)

    monkeypatch.setattr(RunCache, "_load", look)
    measure, cache = _Measured(_run()), RunCache(tmp_path)
    asking = [asyncio.create_task(cache.get("key", measure)) for _ in range(5)]
    await until(lambda: looked)
    asking[0].cancel()
    await asyncio.wait([asking[0]])
    go_on.set()
    found = await asyncio.gather(*asking, return_exceptions=True)
    assert found[1:] == [measure.found] * 4
    assert (len(looked), measure.times) == (1, 1)


async def test_when_nobody_waits_any_more_the_measurement_ends(tmp_path):
    began, ended = asyncio.Event(), asyncio.Event()

    async def measure() -> tuple[SuiteRun, ...]:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return ()

    cache = RunCache(tmp_path)
    asking = asyncio.create_task(cache.get("key", measure))
    await began.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert ended.is_set()
    again = _Measured(_run())
    assert await cache.get("key", again) == again.found


async def test_an_error_reaches_everybody_and_is_not_kept(tmp_path):
    async def measure() -> tuple[SuiteRun, ...]:
        raise RuntimeError("no python")

    cache = RunCache(tmp_path)
    found = await asyncio.gather(*(cache.get("key", measure) for _ in range(3)), return_exceptions=True)
    assert [str(error) for error in found] == ["no python"] * 3
    assert await cache.get("key", _Measured(_run())) == (_run(),)


async def test_only_so_many_are_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "_KEPT", 3)
    cache = RunCache(tmp_path)
    for number in range(6):
        await cache.get(f"key{number}", _Measured(_run()))
    assert len(list(tmp_path.glob("*.json"))) == 3


def test_every_part_of_a_key_counts():
    base = {"tree": "a", "command": ("x", "y"), "environment": "e"}
    assert run_key(**base) == run_key(**base)
    assert len({run_key(**{**base, name: "other"}) for name in base} | {run_key(**base)}) == 4
    assert run_key(tree="a", command=("x y",)) != run_key(tree="a", command=("x", "y"))

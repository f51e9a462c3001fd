"""The worker as its own process, spoken to as the control plane does."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from typing import Any

import psutil
import pytest
import pytest_asyncio

from core.domain.lifecycles import Phase
from core.errors import InvalidInput, Unavailable
from core.executors.local import LocalExecutor, WorkerHandle
from core.rpc import INVALID_PARAMS, METHOD_NOT_FOUND, Peer, PeerGone, RpcError
from core.worker.contract import (
    BatchJob,
    BatchReport,
    FastForwardJob,
    FastForwardReport,
    ForwardStep,
    MergeEnd,
    MergeJob,
    Park,
    Parked,
    PhaseEnd,
    PhaseReport,
    RemoveWorktree,
    Steer,
    Steered,
    SuiteJob,
    SuiteReport,
)
from core.worker.main import HEARTBEAT_SECONDS
from tests.integration.nursery import forked_templates
from tests.waiting import SECONDS, until

pytestmark = [pytest.mark.timeout(120), pytest.mark.asyncio(loop_scope="module")]


class ControlPlane:
    """Notes what a worker tells."""

    def __init__(self, handle: WorkerHandle) -> None:
        self.handle = handle
        self.told: list[tuple[str, dict[str, Any]]] = []
        names = (
            "heartbeat",
            "progress",
            "process_started",
            "process_ended",
            "salvaged",
            "touched",
            "stalled",
        )
        handlers = {name: self._noter(name) for name in names}
        self.peer = Peer(handle.reader, handle.writer, handlers)

    def _noter(self, name: str) -> Any:
        async def note(params: dict[str, Any]) -> None:
            self.told.append((name, params))

        return note

    def heard(self, name: str) -> list[dict[str, Any]]:
        return [params for told, params in self.told if told == name]

    def children(self, kind: str) -> list[int]:
        return [child["pid"] for child in self.heard("process_started") if child["kind"] == kind]

    async def run_phase(self, job) -> PhaseReport:
        return await self.peer.request(PhaseReport, "run_phase", job, 90)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def executor(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LocalExecutor]:
    """One for all. How its template starts is not the matter here."""
    with forked_templates():
        async with LocalExecutor.open(tmp_path_factory.mktemp("logs"), heartbeat_seconds=0.3) as opened:
            yield opened


@asynccontextmanager
async def _worker(executor: LocalExecutor) -> AsyncIterator[ControlPlane]:
    plane = ControlPlane(await executor.start("shop"))
    task = asyncio.create_task(plane.peer.run())
    try:
        yield plane
    finally:
        await plane.handle.stop(0)
        await task


HANG = {"hang": {"ignore": ["cancel", "eof", "term"]}}


async def test_stories_run_side_by_side_while_heartbeats_go_on(
    executor, calculator, job_of, play, red, story
) -> None:
    agent = play(test_red=[{"sleep": 1.0}, *red])
    async with _worker(executor) as plane:
        stories = [replace(story, id=f"shop-{number}") for number in (1, 2)]
        work = [asyncio.create_task(plane.run_phase(job_of(agent, story=each))) for each in stories]
        await until(lambda: any(len(beat["running"]) == 2 for beat in plane.heard("heartbeat")))
        reports = await asyncio.gather(*work)
        assert [report.end for report in reports] == [PhaseEnd.PASSED] * 2, reports
        await until(lambda: plane.heard("heartbeat")[-1]["running"] == [])
        pids = {child["pid"] for child in plane.heard("process_started")}
        assert {child["pid"] for child in plane.heard("process_ended")} == pids
        assert {child["kind"] for child in plane.heard("process_started")} == {"agent", "test"}
        assert all(child["argv"] and child["start_ticks"] for child in plane.heard("process_started"))


async def test_a_story_goes_to_the_main_branch_and_its_worktree_goes(
    executor, calculator, job_of, play, red, green, setup, story
) -> None:
    agent = play(test_red=red, code_green=green)
    async with _worker(executor) as plane:
        first = await plane.run_phase(job_of(agent))
        assert first.verdict is not None
        facts = {
            "base_commit": first.base_commit,
            "red_commit": first.head_commit,
            "red_evidence": first.verdict.evidence,
        }
        second = await plane.run_phase(
            job_of(agent, Phase.CODE_GREEN, head_commit=first.head_commit, **facts)
        )
        assert second.end is PhaseEnd.PASSED, second
        head = str(second.head_commit)
        merge = MergeJob(project=setup, story=story, generation=1, head_commit=head, **facts)
        batch = BatchJob(project=setup, merges=(merge,))
        (report,) = (await plane.peer.request(BatchReport, "prepare_merge", batch, 90)).reports
        assert report.end is MergeEnd.READY, report
        forward = FastForwardJob(
            project=setup,
            main_commit=str(report.main_commit),
            steps=(ForwardStep(story_id="shop-1", candidate=str(report.candidate)),),
        )
        done = await plane.peer.request(FastForwardReport, "fast_forward", forward, SECONDS)
        assert done.end == "merged"
        await plane.peer.call("remove_worktree", RemoveWorktree(project=setup, story_id="shop-1"), SECONDS)
    assert "def mul" in (calculator.path / "calc.py").read_text()
    assert not (setup.state_path / "worktrees" / "shop" / "shop-1").exists()
    assert calculator.git("rev-parse", "refs/orchard/stories/shop-1") == second.head_commit
    assert calculator.git("worktree", "list").count("\n") == 0


async def test_cancel_stops_an_agent_that_ignores_it(executor, calculator, job_of, play, lives) -> None:
    async with _worker(executor) as plane:
        work = asyncio.create_task(plane.run_phase(job_of(play(test_red=[HANG]))))
        await until(lambda: bool(plane.children("agent")))
        assert await plane.peer.call("cancel", {"story_id": "shop-1"}, SECONDS) == {"running": True}
        assert (await work).end is PhaseEnd.CANCELLED
        assert not lives(plane.children("agent")[0])
        assert await plane.peer.call("cancel", {"story_id": "shop-1"}, SECONDS) == {"running": False}


async def test_term_lets_running_phases_answer_first(executor, calculator, job_of, play) -> None:
    async with _worker(executor) as plane:
        work = asyncio.create_task(plane.run_phase(job_of(play(test_red=[HANG]))))
        await until(lambda: bool(plane.children("agent")))
        stopping = asyncio.create_task(plane.handle.stop(SECONDS))
        assert (await work).end is PhaseEnd.CANCELLED
        assert (await stopping).code == 0


@pytest.mark.parametrize("how", ["killed", "control plane gone"])
async def test_no_process_is_left_when_the_worker_ends(
    executor, calculator, job_of, play, setup, level, how
) -> None:
    agent = play(test_red=[{"spawn_daemon": "echo $$ > daemon.pid; exec sleep 600"}, HANG])
    async with _worker(executor) as plane:
        work = asyncio.create_task(plane.run_phase(job_of(agent, project=replace(setup, isolation=level))))
        place = setup.state_path / "worktrees" / "shop" / "shop-1" / "daemon.pid"
        await until(lambda: place.exists() and place.read_text().strip() != "")
        family = psutil.Process(plane.handle.pid).children(recursive=True)
        assert family
        if how == "killed":
            plane.handle.kill()
        else:
            plane.handle.writer.close()
        with pytest.raises(PeerGone):
            await work
        await until(lambda: not any(_lives(process) for process in family))


# --- making place


def _park(story: str = "shop-1", seconds: float = 0.0) -> Park:
    return Park(story_id=story, within_seconds=seconds, taker="bank", reason="bank is below its share.")


async def test_only_a_phase_with_an_agent_of_its_own_can_be_parked(
    executor, calculator, job_of, play, story
) -> None:
    async with _worker(executor) as plane:

        async def asked(name: str, seconds: float = 0.0) -> bool:
            return (await plane.peer.request(Parked, "park", _park(name, seconds), SECONDS)).running

        assert not await asked("shop-1")  # no worker of it has ever run
        epic = replace(story, id="shop-e1")
        agent = play(test_red=["hang"], epic=["hang"])
        works = [
            asyncio.create_task(plane.run_phase(job))
            for job in (job_of(agent), job_of(agent, Phase.DESIGN, story=epic, epic=True))
        ]
        await until(lambda: len(plane.children("agent")) == 2)
        assert not await asked("shop-e1")
        with pytest.raises(InvalidInput, match="nan s"):
            await asked("shop-1", float("nan"))
        assert await asked("shop-1", 3600.0)
        assert await asked("shop-1")
        report = await works[0]
        assert report.end is PhaseEnd.PARKED
        assert (report.parked_for, report.parked_reason) == ("bank", "bank is below its share.")
        assert not await asked("shop-1")
        await plane.peer.call("cancel", {"story_id": "shop-e1"}, SECONDS)
        assert (await works[1]).end is PhaseEnd.CANCELLED


@pytest.mark.parametrize("when", ["while it parks", "after it reported"])
async def test_a_worker_killed_around_a_park_loses_nothing(
    executor, calculator, job_of, play, red, setup, when
) -> None:
    """After its report, which may have been lost too: then the next one goes on in the files, though the job
    does not know where they stand and the main branch has moved."""
    kills_itself = when == "while it parks"
    half = {"write": {"path": "tests/test_half.py", "text": "x = 1\n"}}
    agent = play(test_red=[half, HANG if kills_itself else "hang"])
    if kills_itself:
        agent = replace(agent, stop_seconds=(300.0, 300.0, 300.0))  # so that it still parks when it is killed
    job = job_of(agent)
    place = setup.state_path / "worktrees" / "shop" / "shop-1" / "tests" / "test_half.py"
    async with _worker(executor) as plane:
        work = asyncio.create_task(plane.run_phase(job))
        await until(place.exists)
        await plane.peer.request(Parked, "park", _park(), SECONDS)
        if not kills_itself:
            assert (await work).end is PhaseEnd.PARKED
        plane.handle.kill()
        with suppress(PeerGone):
            await work
    old = calculator.git("rev-parse", "HEAD")
    newer = calculator.commit({"other.txt": "newer\n"})
    async with _worker(executor) as plane:
        report = await plane.run_phase(replace(job, agent=play(test_red=red)))
        assert report.end is PhaseEnd.PASSED, report
        salvages = plane.heard("salvaged")
    if kills_itself:
        assert report.base_commit == newer
        assert calculator.git("show", f"{salvages[0]['ref']}:tests/test_half.py") == "x = 1"
    else:
        assert salvages == []
        assert report.base_commit == old
        assert {change.path for change in report.changes} == {"tests/test_half.py", "tests/test_mul.py"}


@pytest.mark.parametrize("step", ["worktree", "environment", "agent", "gate", "commit"])
async def test_a_worker_killed_at_any_step_is_taken_over_by_the_next(
    executor, calculator, job_of, play, red, step
) -> None:
    agent = play(test_red=[*red, {"sleep": 0.2}])
    async with _worker(executor) as plane:
        work = asyncio.create_task(plane.run_phase(job_of(agent)))
        await until(lambda: work.done() or any(note["step"] == step for note in plane.heard("progress")))
        plane.handle.kill()
        with suppress(PeerGone):  # the last step may be over before the kill: then the report is lost
            await work
    async with _worker(executor) as plane:
        report = await plane.run_phase(job_of(agent))
        assert report.end is PhaseEnd.PASSED, report
        assert [change.path for change in report.changes] == ["tests/test_mul.py"]
        assert report.head_commit == calculator.git("rev-parse", "orchard/shop-1")
        assert calculator.git("rev-parse", "orchard/shop-1^") == report.base_commit


async def test_a_second_worker_waits_for_what_a_killed_one_left_running(
    executor, calculator, job_of, play, red, setup
) -> None:
    agent = play(test_red=[HANG])
    async with _worker(executor) as plane:
        work = asyncio.create_task(plane.run_phase(job_of(agent)))
        await until(lambda: bool(plane.children("agent")))
        async with _worker(executor) as other:
            second = asyncio.create_task(other.run_phase(job_of(play(test_red=red))))
            await until(lambda: sum(len(beat["running"]) for beat in other.heard("heartbeat")) >= 2)
            assert not second.done()
            os.kill(plane.handle.pid, signal.SIGKILL)
            with pytest.raises(PeerGone):
                await work
            assert (await second).end is PhaseEnd.PASSED


@pytest.mark.parametrize("where", ["before", "at the gate"])
async def test_work_by_hand_survives_a_killed_worker(
    executor, calculator, job_of, play, red, setup, where
) -> None:
    nobody = play()
    base = calculator.git("rev-parse", "HEAD")
    place = setup.state_path / "worktrees" / "shop" / "shop-1"
    async with _worker(executor) as plane:
        await plane.run_phase(job_of(play(test_red=["crash"])))  # it has a worktree now
    calculator.git("switch", "-q", "-c", "mine", at=place)
    test = "from calc import mul\n\nassert mul(2, 3) == 6\n"
    calculator.write({"tests/test_mul.py": test}, at=place)
    calculator.git("add", "-A", at=place)
    calculator.git("commit", "-q", "-m", "by hand", at=place)
    job = job_of(nobody, base_commit=base, head_commit=base, by_hand=True)
    endless = replace(job, project=replace(setup, test_command="sleep 600"))  # it never ends before the kill
    async with _worker(executor) as plane:
        work = asyncio.create_task(plane.run_phase(endless))
        step = "worktree" if where == "before" else "gate"
        await until(lambda: any(note["step"] == step for note in plane.heard("progress")))
        plane.handle.kill()
        with pytest.raises(PeerGone):
            await work
    async with _worker(executor) as plane:
        report = await plane.run_phase(job)
        assert report.end is PhaseEnd.PASSED, report
        assert [change.path for change in report.changes] == ["tests/test_mul.py"]
        assert plane.heard("salvaged") == []
        assert plane.heard("touched")[-1]["files"] == ["tests/test_mul.py"]
    assert calculator.git("log", "-1", "--format=%s", "mine") == "by hand"
    kept = calculator.git("for-each-ref", "--format=%(subject)", "refs/orchard/hands").splitlines()
    assert kept == ["by hand"]


async def test_words_reach_a_turn_and_are_said_not_to_where_none_runs(
    executor, calculator, job_of, play, red
) -> None:
    async with _worker(executor) as plane:
        word = Steer(story_id="shop-1", text="go on")
        assert await plane.peer.request(Steered, "steer", word, SECONDS) == Steered(reached=False)
        agent = play(test_red=[{"steered": {"then": red, "else": []}}])
        work = asyncio.create_task(plane.run_phase(job_of(agent)))
        await until(lambda: bool(plane.children("agent")))
        assert await plane.peer.request(Steered, "steer", word, SECONDS) == Steered(reached=True)
        assert (await work).end is PhaseEnd.PASSED
        assert await plane.peer.request(Steered, "steer", word, SECONDS) == Steered(reached=False)


async def test_tests_run_when_asked_and_stop_when_asked(executor, calculator, setup, lives) -> None:
    slow = {"tests/test_slow.py": "import time\n\ntime.sleep(60)\n"}
    async with _worker(executor) as plane:
        job = SuiteJob(project=setup, story_id=None)
        report = await plane.peer.request(SuiteReport, "run_tests", job, 60)
        assert (report.passed, report.failed_count, report.error) == (1, 0, "")
        calculator.commit(slow)
        work = asyncio.create_task(plane.peer.request(SuiteReport, "run_tests", job, 60))
        await until(lambda: len(plane.children("test")) == 2)
        with pytest.raises(Unavailable, match="run already"):
            await plane.peer.request(SuiteReport, "run_tests", job, 60)
        assert await plane.peer.call("cancel_tests", {"story_id": None}, SECONDS) == {"running": True}
        assert (await work).error == "The test run was stopped."
        assert await plane.peer.call("cancel_tests", {}, SECONDS) == {"running": False}
        assert not any(map(lives, plane.children("test")))
        # an end that is asked for lets it answer
        work = asyncio.create_task(plane.peer.request(SuiteReport, "run_tests", job, 60))
        await until(lambda: len(plane.children("test")) == 3)
        stopping = asyncio.create_task(plane.handle.stop(SECONDS))
        assert (await work).error == "The test run was stopped."
        assert (await stopping).code == 0


@pytest.mark.parametrize("when", ["at once", "while it runs"])
async def test_no_test_run_outlives_a_killed_worker(executor, calculator, setup, when) -> None:
    calculator.commit({"tests/test_slow.py": "import time\n\ntime.sleep(60)\n"})
    async with _worker(executor) as plane:
        job = SuiteJob(project=setup, story_id=None)
        work = asyncio.create_task(plane.peer.request(SuiteReport, "run_tests", job, 60))
        await until(lambda: bool(plane.children("test")))
        worker = psutil.Process(plane.handle.pid)
        if when == "while it runs":
            await until(lambda: any(each.name() == "sh" for each in worker.children(recursive=True)))
        family = worker.children(recursive=True)
        plane.handle.kill()
        with pytest.raises(PeerGone):
            await work
        if when == "at once":  # bubblewrap may not have bound its lives together yet: what was told is enough
            (told,) = plane.heard("process_started")
            with suppress(psutil.NoSuchProcess):
                psutil.Process(told["pid"]).kill()
        await until(lambda: not any(_lives(process) for process in family))


@pytest.mark.parametrize("template", [True, False])
async def test_the_pulse_is_what_was_asked_for(calculator, tmp_path, template) -> None:
    async with AsyncExitStack() as stack:
        stack.enter_context(forked_templates())
        executor = await stack.enter_async_context(LocalExecutor.open(tmp_path, heartbeat_seconds=0.05))
        if not template:
            await executor.start("first")
            assert executor._template is not None
            executor._template_died(executor._template)
        async with _worker(executor) as plane:
            await until(lambda: bool(plane.heard("heartbeat")))
            began = time.monotonic()
            beats = len(plane.heard("heartbeat"))
            await until(lambda: len(plane.heard("heartbeat")) >= beats + 10)
            assert time.monotonic() - began < 9 * HEARTBEAT_SECONDS


async def test_bad_calls_are_answered_and_end_nothing(executor, calculator, job_of, play) -> None:
    async with _worker(executor) as plane:
        for method, params, code in (
            ("run_phase", {"story": 3}, INVALID_PARAMS),
            ("cancel", {}, INVALID_PARAMS),
            ("steer", {"story_id": "shop-1"}, INVALID_PARAMS),
            ("run_tests", {"story_id": None}, INVALID_PARAMS),
            ("cancel_tests", {"story_id": 3}, INVALID_PARAMS),
            ("no_such", {}, METHOD_NOT_FOUND),
        ):
            with pytest.raises(RpcError) as caught:
                await plane.peer.call(method, params, SECONDS)
            assert caught.value.code == code
        plane.handle.writer.write(b"\xff\xfe not json\n[1]\n{}\n")
        work = asyncio.create_task(plane.run_phase(job_of(play(test_red=[HANG]))))
        await until(lambda: bool(plane.children("agent")))
        with pytest.raises(Unavailable, match="at work already"):
            await plane.run_phase(job_of(play(test_red=[HANG])))
        await plane.peer.call("cancel", {"story_id": "shop-1"}, SECONDS)
        assert (await work).end is PhaseEnd.CANCELLED


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False

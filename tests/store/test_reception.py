"""What a running Orchard hears of its workers and asks them, on a real store; the worker is played."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace

import pytest

from core.domain.approval import ApprovalState, Asking
from core.domain.event import EventKind
from core.domain.lifecycles import CycleState, Phase
from core.domain.story import Hold
from core.errors import LostRace
from core.orchestrator.reception import Reception
from core.orchestrator.worker_requests import WorkerRequests
from core.rpc import encode
from core.store import approvals, cycles, leases, processes
from core.worker.contract import ChildProcess, OpenedWorktree, PermissionQuestion, ProjectSetup
from tests.waiting import SECONDS

QUESTION = PermissionQuestion(
    story_id="shop-1", phase=Phase.DESIGN, generation=1, title="Fetch", detail="curl x", reasons=()
)


@pytest.fixture
async def claimed(store, new_project, new_cycle):
    def begin(tx):
        new_project(tx)
        new_cycle(tx)
        leases.claim(tx, "shop-1", phase=Phase.DESIGN, owner="shop#1", lease_seconds=60)

    await store.write(begin)
    return store


async def test_a_question_whose_worker_is_gone_is_not_kept(claimed, tmp_path, bus):
    reception = Reception(
        claimed, lease_seconds=60, state_path=tmp_path, wake=lambda: None, asking=lambda _: Asking()
    )
    with bus.subscribe() as events:
        asking = asyncio.create_task(reception.handlers_for("shop", "shop#1")["ask"](encode(QUESTION)))
        while (event := await anext(events)).kind is not EventKind.APPROVAL_REQUESTED:
            pass
        asking.cancel()  # as a peer does with its handlers when the stream ends
        await asyncio.gather(asking, return_exceptions=True)
        await claimed.write(
            lambda tx: approvals.answer(tx, event.data["approval"], state=ApprovalState.APPROVED, by="cli")
        )
        await reception.settle_question(await anext(events))
    assert reception._questions == {}


async def test_an_answer_that_is_told_before_anybody_waits_for_it_is_heard(claimed, tmp_path):
    class Quick:
        """People answer before whoever asked knows which question it is."""

        read = staticmethod(claimed.read)

        async def write(self, work):
            asked = await claimed.write(work)
            await claimed.write(
                lambda tx: approvals.answer(tx, asked, state=ApprovalState.APPROVED, by="cli")
            )
            return asked

    reception = Reception(
        Quick(), lease_seconds=60, state_path=tmp_path, wake=lambda: None, asking=lambda _: Asking()
    )
    async with asyncio.timeout(SECONDS):
        answer = await reception.handlers_for("shop", "shop#1")["ask"](encode(QUESTION))
    assert answer.allowed
    assert reception._questions == {}


async def test_a_process_whose_word_comes_while_its_worker_ends_is_not_kept(claimed, tmp_path):
    class Behind:
        """What it reads is of before that word."""

        write = staticmethod(claimed.write)

        async def read(self, query):
            return ()

    child = ChildProcess(pid=2**22 + 1, start_ticks=7, group=1, kind="agent", story_id="shop-1", argv=())
    handle = SimpleNamespace(pid=2**22 + 2, start_ticks=7)
    reception = Reception(
        Behind(), lease_seconds=60, state_path=tmp_path, wake=lambda: None, asking=lambda _: Asking()
    )
    await reception.handlers_for("shop", "shop#1")["process_started"](encode(child))
    assert [row.pid for row in await claimed.read(processes.every)] == [child.pid]
    await reception.worker_ended("shop", "shop#1", handle, "killed", asked=False)
    assert await claimed.read(processes.every) == ()


async def test_a_folder_is_not_given_for_a_story_that_was_handed_back_meanwhile(claimed):
    def hold(tx, to):
        cycles.patch(tx, "shop-1", state=CycleState.DESIGN, hold=to.value, held_by="cli")

    class Supervisor:
        async def ensure(self, project):
            return "shop#1"

        async def request(self, kind, owner, method, job):
            await claimed.write(lambda tx: hold(tx, Hold.NONE))
            return OpenedWorktree(path=Path("/srv/work"), base_commit="base")

    async def quiet(story, seconds):
        return True

    setup = ProjectSetup(name="shop", path=Path("/srv/shop"), main_branch="main", state_path=Path("/srv"))
    requests = WorkerRequests(claimed, Supervisor(), SimpleNamespace(project=lambda _: setup), quiet=quiet)
    await claimed.write(lambda tx: hold(tx, Hold.TAKEN))
    with pytest.raises(LostRace, match="handed back"):
        await requests.open_worktree("shop", "shop-1")
    assert (await claimed.read(lambda conn: cycles.get(conn, "shop-1"))).base_commit is None

"""What workers say, and that they came and went: each word is a row before it is anything else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from core.domain.approval import Approval, ApprovalKind, ApprovalState, Asking, PermissionAnswer
from core.domain.event import Event, EventKind
from core.domain.story import EpicState
from core.errors import LostRace
from core.executors.local import WorkerHandle
from core.isolation.orphans import end_orphans
from core.orchestrator.network_events import tell_denied, tell_refused, tell_used
from core.orchestrator.overlaps import record_touched
from core.orchestrator.recovery import end_processes, forget
from core.rpc import Handler, decode
from core.store import approvals, epics, leases, processes, workers
from core.store.database import Store, Transaction
from core.worker.checkouts import sweep_checkouts
from core.worker.contract import (
    CallsRefused,
    ChildProcess,
    Heartbeat,
    NetworkDenied,
    NetworkUsed,
    PermissionQuestion,
    Progress,
    Salvage,
    Stalled,
    Touched,
)


class Reception:
    """Hears every worker. `wake` is called when a story may have become runnable."""

    def __init__(
        self,
        store: Store,
        *,
        lease_seconds: float,
        state_path: Path,
        wake: Callable[[], None],
        asking: Callable[[str], Asking],
    ) -> None:
        """`asking`: how a project puts its questions."""
        self._store = store
        self._asking = asking
        self._lease_seconds = lease_seconds
        self._state_path = state_path
        self._wake = wake
        self._questions: dict[str, asyncio.Future[PermissionAnswer]] = {}
        self._children: dict[str, dict[int, int]] = {}  # worker's owner name to pid to start ticks
        self.progress: dict[str, Progress] = {}  # story to what happens inside its phase

    def handlers_for(self, project: str, owner: str) -> Mapping[str, Handler]:
        async def heartbeat(params: dict[str, Any]) -> None:
            beat = decode(Heartbeat, params)
            if beat.running:
                await self._store.write(lambda tx: leases.renew(tx, beat.running, owner, self._lease_seconds))

        async def progress(params: dict[str, Any]) -> None:
            said = decode(Progress, params)
            self.progress[said.story_id] = said

        start_ticks = self._children.setdefault(owner, {})

        async def process_started(params: dict[str, Any]) -> None:
            child = decode(ChildProcess, params)
            start_ticks[child.pid] = child.start_ticks
            await self._store.write(lambda tx: _register(tx, project, child))

        async def process_ended(params: dict[str, Any]) -> None:
            pid = int(params["pid"])
            ticks = start_ticks.pop(pid, None)
            if ticks is not None:
                await self._store.write(lambda tx: processes.ended(tx, pid, ticks))

        async def salvaged(params: dict[str, Any]) -> None:
            salvage = decode(Salvage, params)
            await self._store.write(
                lambda tx: tx.emit(
                    EventKind.WORK_SALVAGED,
                    project=project,
                    story_id=salvage.story_id,
                    data={"ref": salvage.ref, "files": list(salvage.files[:50])},
                )
            )

        async def touched(params: dict[str, Any]) -> None:
            said = decode(Touched, params)
            await self._store.write(lambda tx: record_touched(tx, said))

        async def stalled(params: dict[str, Any]) -> None:
            said = decode(Stalled, params)
            await self._store.write(lambda tx: _tell_stalled(tx, project, said))

        async def network_denied(params: dict[str, Any]) -> None:
            said = decode(NetworkDenied, params)
            await self._store.write(lambda tx: tell_denied(tx, project, said))

        async def network_used(params: dict[str, Any]) -> None:
            said = decode(NetworkUsed, params)
            await self._store.write(lambda tx: tell_used(tx, project, said))

        async def calls_refused(params: dict[str, Any]) -> None:
            said = decode(CallsRefused, params)
            await self._store.write(lambda tx: tell_refused(tx, project, said))

        async def ask(params: dict[str, Any]) -> PermissionAnswer:
            return await self._ask(project, decode(PermissionQuestion, params))

        return {
            "heartbeat": heartbeat,
            "progress": progress,
            "process_started": process_started,
            "process_ended": process_ended,
            "salvaged": salvaged,
            "touched": touched,
            "stalled": stalled,
            "network_denied": network_denied,
            "network_used": network_used,
            "calls_refused": calls_refused,
            "ask": ask,
        }

    async def _ask(self, project: str, question: PermissionQuestion) -> PermissionAnswer:
        if await self._store.read(lambda conn: epics.find(conn, question.story_id)) is not None:
            return PermissionAnswer(
                allowed=False,
                reason="Nobody is asked while an epic is designed: work by what is in the folder.",
            )
        asking = self._asking(project)

        def asked(tx: Transaction) -> str:
            leases.check(tx.conn, question.story_id, question.generation)
            return approvals.ask(
                tx,
                project=project,
                story_id=question.story_id,
                kind=ApprovalKind.PERMISSION,
                subject=f"permission:{question.story_id}:{question.generation}:{question.detail}",
                question=f"May the agent of {question.story_id} do this? {question.title}",
                detail=question.detail,
                reasons=question.reasons,
                asking=asking,
            ).id

        approval_id = await self._store.write(asked)
        future = self._questions.setdefault(approval_id, asyncio.get_running_loop().create_future())
        # The answer may have been told before anybody waited for it here.
        self._settle(await self._store.read(lambda conn: approvals.get(conn, approval_id)))
        return await asyncio.shield(future)

    async def settle_question(self, event: Event) -> None:
        approval_id = str(event.data.get("approval"))
        if approval_id in self._questions:  # whoever asked may be gone
            self._settle(await self._store.read(lambda conn: approvals.get(conn, approval_id)))

    def _settle(self, approval: Approval) -> None:
        if approval.state is ApprovalState.PENDING:
            return
        if (future := self._questions.pop(approval.id, None)) is not None:
            allowed = approval.state is ApprovalState.APPROVED
            future.set_result(PermissionAnswer(allowed=allowed, reason=approval.reason))

    async def worker_started(self, project: str, owner: str, handle: WorkerHandle) -> None:
        def record(tx: Transaction) -> None:
            generation = workers.next_generation(tx, project)
            processes.started(
                tx,
                pid=handle.pid,
                start_ticks=handle.start_ticks,
                group=handle.pid,
                kind="worker",
                project=project,
                story_id=None,
                argv=("orchard worker", project),
            )
            tx.emit(
                EventKind.WORKER_STARTED, project=project, data={"pid": handle.pid, "generation": generation}
            )

        await self._store.write(record)

    async def worker_ended(
        self, project: str, owner: str, handle: WorkerHandle, cause: str, *, asked: bool
    ) -> None:
        children = self._children.pop(owner, {})
        rows = await self._store.read(processes.every)
        left = [row for row in rows if children.get(row.pid) == row.start_ticks]
        # They die with their worker by themselves; what does not is ended here, while it is still known.
        reaped = await asyncio.to_thread(end_processes, left)
        await asyncio.to_thread(end_orphans)
        await asyncio.to_thread(sweep_checkouts, self._state_path)

        def record(tx: Transaction) -> None:
            processes.ended(tx, handle.pid, handle.start_ticks)
            forget(tx, left, reaped)
            for pid, ticks in children.items():  # a word of one may have been on its way when these were read
                processes.ended(tx, pid, ticks)
            for lease in leases.held(tx.conn, project):
                if lease.owner == owner:
                    approvals.cancel_of_story(tx, lease.story_id, ApprovalKind.PERMISSION)
            leases.release_all_of(tx, owner)
            if asked:
                tx.emit(EventKind.WORKER_STOPPED, project=project, data={"pid": handle.pid})
            else:
                tx.emit(EventKind.WORKER_LOST, project=project, data={"pid": handle.pid, "cause": cause})

        await self._store.write(record)
        self._wake()

    async def worker_quarantined(self, project: str, crashes: int, seconds: float) -> None:
        await self._store.write(
            lambda tx: tx.emit(
                EventKind.WORKER_QUARANTINED, project=project, data={"restarts": crashes, "seconds": seconds}
            )
        )


def _register(tx: Transaction, project: str, child: ChildProcess) -> None:
    processes.started(
        tx,
        pid=child.pid,
        start_ticks=child.start_ticks,
        group=child.group,
        kind=child.kind,
        project=project,
        story_id=child.story_id,
        argv=child.argv,
    )


def _tell_stalled(tx: Transaction, project: str, said: Stalled) -> None:
    """A word of an older generation counts for nothing: that turn is over."""
    data = {"phase": str(said.phase), "seconds": said.seconds, "doing": said.doing}
    if (epic := epics.find(tx.conn, said.story_id)) is not None:
        if epic.generation == said.generation and epic.state is EpicState.DESIGNING:
            tx.emit(EventKind.AGENT_STALLED, project=project, data={**data, "epic": epic.id})
        return
    try:
        leases.check(tx.conn, said.story_id, said.generation)
    except LostRace:
        return
    tx.emit(EventKind.AGENT_STALLED, project=project, story_id=said.story_id, data=data)

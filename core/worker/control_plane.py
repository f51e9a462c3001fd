"""The control plane, as its worker speaks to it."""

from __future__ import annotations

from contextlib import suppress

from core.domain.approval import PermissionAnswer
from core.rpc import Peer, PeerGone
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
from core.worker.discretion import told


class ToControlPlane:
    """What the worker says, without the secrets that it knows.

    Notifications are lost with the control plane, which is no loss: it asks again.
    """

    def __init__(self) -> None:
        self.peer: Peer | None = None

    async def progress(self, progress: Progress) -> None:
        await self._notify("progress", progress)

    async def salvaged(self, salvage: Salvage) -> None:
        await self._notify("salvaged", salvage)

    async def process_started(self, process: ChildProcess) -> None:
        await self._notify("process_started", process)

    async def process_ended(self, pid: int) -> None:
        await self._notify("process_ended", {"pid": pid})

    async def touched(self, touched: Touched) -> None:
        await self._notify("touched", touched)

    async def stalled(self, stalled: Stalled) -> None:
        await self._notify("stalled", stalled)

    async def network_denied(self, denied: NetworkDenied) -> None:
        await self._notify("network_denied", denied)

    async def network_used(self, used: NetworkUsed) -> None:
        await self._notify("network_used", used)

    async def calls_refused(self, refused: CallsRefused) -> None:
        await self._notify("calls_refused", refused)

    async def heartbeat(self, heartbeat: Heartbeat) -> None:
        await self._notify("heartbeat", heartbeat)

    async def ask(self, question: PermissionQuestion) -> PermissionAnswer:
        """Waits for people, as long as it takes."""
        assert self.peer is not None
        return await self.peer.request(PermissionAnswer, "ask", told(question))

    async def _notify(self, method: str, params: object) -> None:
        if self.peer is not None:
            with suppress(PeerGone):
                await self.peer.notify(method, told(params))

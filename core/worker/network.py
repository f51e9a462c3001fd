"""What one run wanted of the network and had of it: told while it happens, kept for its report."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from core.domain.lifecycles import Phase
from core.worker.contract import NetworkDenied, NetworkUsed

if TYPE_CHECKING:
    from core.isolation.egress.proxy import Denial, Traffic

_KEPT = 20  # denials a run
_SAID = 3  # in the sentence
_HOSTS = 20  # in the report


class TellNetwork(Protocol):
    async def network_denied(self, denied: NetworkDenied) -> None: ...
    async def network_used(self, used: NetworkUsed) -> None: ...


def sentence_of(denied: NetworkDenied) -> str:
    """For people and for the transcript."""
    where = f"{denied.host}:{denied.port}" if denied.host else "A request that could not be read"
    setting = "setup_network_allow" if denied.what == "setup" else "network_allow"
    said = f"Network: {where} was refused. {denied.why} {denied.hint}".strip()
    return f"{said} (The allow-list: '{setting}' of the project in orch-config.yaml.)"


class NetworkWatch:
    """Of one run. `what`: "agent" or "setup"."""

    def __init__(
        self,
        tell: TellNetwork | None,
        *,
        what: str,
        story_id: str | None = None,
        phase: Phase | None = None,
        generation: int = 0,
        clean: Callable[[str], str] = str,
        note: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`clean` takes secrets out of a text; `note` writes a sentence down where the run is recorded."""
        self._tell = tell
        self._about = {"what": what, "story_id": story_id, "phase": phase, "generation": generation}
        self._clean = clean
        self._note = note
        self._told: set[asyncio.Task[None]] = set()
        self.denials: list[NetworkDenied] = []

    def denied(self, denial: Denial) -> None:
        """On the event loop. A host name can itself carry what is to be kept secret."""
        if len(self.denials) >= _KEPT:
            return
        said = NetworkDenied(
            host=self._clean(denial.host),
            port=denial.port,
            why=self._clean(denial.why),
            hint=self._clean(denial.hint),
            **self._about,  # type: ignore[arg-type]
        )
        if any((said.host, said.port) == (other.host, other.port) for other in self.denials):
            return
        self.denials.append(said)
        self._note(sentence_of(said))
        if self._tell is not None:
            task = asyncio.create_task(self._tell.network_denied(said), name="tell a denial")
            self._told.add(task)
            task.add_done_callback(self._told.discard)

    async def end(self, traffic: Traffic) -> None:
        """When the ways are closed: tells what was carried, if anything was asked for."""
        await asyncio.gather(*self._told, return_exceptions=True)
        if self._tell is None or not traffic.connections:
            return
        most = sorted(traffic.hosts.items(), key=lambda host: -host[1])[:_HOSTS]
        await self._tell.network_used(
            NetworkUsed(
                sent_bytes=traffic.sent_bytes,
                received_bytes=traffic.received_bytes,
                connections=traffic.connections,
                denied=traffic.denied,
                hosts={self._clean(host): size for host, size in most},
                **self._about,  # type: ignore[arg-type]
            )
        )

    @property
    def hint(self) -> str:
        """What a person should know where the run failed; empty when nothing was refused."""
        return " ".join(sentence_of(denied) for denied in self.denials[:_SAID])

"""What runs wanted and had of the network, as events of their project."""

from __future__ import annotations

from typing import Any

from core.domain.event import EventKind
from core.store import stories
from core.store.transaction import Transaction
from core.worker.contract import NetworkDenied, NetworkUsed
from core.worker.network import sentence_of


def tell_denied(tx: Transaction, project: str, said: NetworkDenied) -> None:
    """Also of a run that is over by now: it did happen."""
    data = {"host": said.host, "port": said.port, "why": said.why, "hint": said.hint}
    _emit(tx, EventKind.NETWORK_DENIED, project, said, {**data, "text": sentence_of(said)})


def tell_used(tx: Transaction, project: str, said: NetworkUsed) -> None:
    data = {
        "sent": said.sent_bytes,
        "received": said.received_bytes,
        "connections": said.connections,
        "denied": said.denied,
        "hosts": dict(said.hosts),
    }
    _emit(tx, EventKind.NETWORK_USED, project, said, data)


def _emit(
    tx: Transaction,
    kind: EventKind,
    project: str,
    said: NetworkDenied | NetworkUsed,
    data: dict[str, Any],
) -> None:
    about = {"what": said.what, "phase": str(said.phase) if said.phase else None}
    story = said.story_id
    if story is not None and stories.find(tx.conn, story) is None:  # an epic's agent
        about["epic"], story = story, None
    tx.emit(kind, project=project, story_id=story, data={**about, **data})

"""What runs wanted and had of the network, and what agents were not let do, as events of their project."""

from __future__ import annotations

from typing import Any

from core.domain.event import EventKind
from core.domain.refused_call import SAID, RefusedCall
from core.store import stories
from core.store.transaction import Transaction
from core.worker.contract import CallsRefused, NetworkDenied, NetworkUsed
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


def tell_refused(tx: Transaction, project: str, said: CallsRefused) -> None:
    counts = {each.value: said.refused.get(each.value, 0) for each in RefusedCall}
    parts = [f"{number} {SAID[RefusedCall(each)]}" for each, number in counts.items() if number > 0]
    if parts:
        data = {"refused": counts, "text": f"Tool calls refused: {', '.join(parts)}"}
        _emit(tx, EventKind.CALLS_REFUSED, project, said, data)


def _emit(
    tx: Transaction,
    kind: EventKind,
    project: str,
    said: NetworkDenied | NetworkUsed | CallsRefused,
    data: dict[str, Any],
) -> None:
    about: dict[str, Any] = {} if isinstance(said, CallsRefused) else {"what": said.what}
    about["phase"] = str(said.phase) if said.phase else None
    story = said.story_id
    if story is not None and stories.find(tx.conn, story) is None:  # an epic's agent
        about["epic"], story = story, None
    tx.emit(kind, project=project, story_id=story, data={**about, **data})

"""What is sent, as text: a JSON object a frame, `type` and `data`, and `cursor` where one has moved. PURE."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from bot.web.feed.sight import FrameType, View, type_of
from core.domain.event import Event
from core.domain.metric import METRICS, Sample
from core.errors import OrchardError

_MOST_SAMPLES = 500  # a frame
_MOST_CHARACTERS = 64 * 1024  # of an event; a report of thousands of tests is read elsewhere
_TOLD_OF_ALERTS = (
    *("id", "rule", "project", "state", "severity", "summary"),
    *("value", "count", "since", "changed_at", "seq"),
)


def framed(text: str) -> bytes:
    """As it goes over the wire (RFC 6455, 5.2): a server's frame, whole, not masked. It is the same for
    everybody, so it is made once."""
    payload = text.encode()
    size = len(payload)
    if size < 126:
        return bytes((0x81, size)) + payload
    if size < 2**16:
        return b"\x81\x7e" + size.to_bytes(2) + payload
    return b"\x81\x7f" + size.to_bytes(8) + payload


def frame(kind: FrameType, data: Mapping[str, Any], cursor: int | None = None) -> str:
    said: dict[str, Any] = {"type": kind.value}
    if cursor is not None:
        said["cursor"] = cursor
    said["data"] = data
    return _text(said)


def event_frame(event: Event, *, whole: bool) -> str:
    """An alert's change is an `alert_update`, whose data are the alert. Not `whole`: no texts, nobody."""
    if type_of(event) is FrameType.ALERT:
        alert = dict(event.data)
        told = alert if whole else {name: alert[name] for name in _TOLD_OF_ALERTS if name in alert}
        return frame(FrameType.ALERT, told, event.seq)
    head = {
        "seq": event.seq,
        "kind": event.kind.value,
        "at": _time(event.at),
        "project": event.project,
        "story": event.story_id,
    }
    if not whole:
        return frame(FrameType.EVENT, head, event.seq)
    text = frame(FrameType.EVENT, {**head, "actor": event.actor, "data": dict(event.data)}, event.seq)
    if len(text) > _MOST_CHARACTERS:
        return frame(FrameType.EVENT, {**head, "actor": event.actor, "data": {}, "cut": True}, event.seq)
    return text


def sample_text(sample: Sample) -> str:
    """One element of a metric frame's `samples`; the unit is that of METRICS."""
    labels = {name: value for name, value in sample.labels if name != "project"}
    said: dict[str, Any] = {
        "metric": sample.metric,
        "project": sample.project,
        "value": sample.value,
        "unit": METRICS[sample.metric].unit.value,
        "at": _time(sample.at),
        "source": sample.source,
    }
    if labels:
        said["labels"] = labels
    return _text(said)


def metric_frames(texts: Iterable[str], *, full: bool) -> Iterator[str]:
    """`texts`: of samples. `full`: these are all that there are, not what has changed."""
    rest = list(texts)
    for begin in range(0, len(rest), _MOST_SAMPLES):
        samples = ",".join(rest[begin : begin + _MOST_SAMPLES])
        # Made of what is JSON already: it is the same for many views.
        yield f'{{"type":"metric_update","data":{{"full":{_text(full)},"samples":[{samples}]}}}}'


def hello(view: View, cursor: int) -> str:
    data = {
        "projects": None if view.projects is None else sorted(view.projects),
        "kinds": None if view.kinds is None else sorted(view.kinds),
        "texts": view.sight.whole,
    }
    return frame(FrameType.HELLO, data, cursor)


def summary(skipped: Mapping[str, int], *, since: int, cursor: int) -> str:
    """`skipped`: by type, how many frames. What they were comes again by `since`."""
    return frame(FrameType.SUMMARY, {"skipped": dict(skipped), "since": since}, cursor)


def error(problem: OrchardError) -> str:
    data = {"slug": problem.slug, "message": problem.message, "why": problem.why, "hint": problem.hint}
    return frame(FrameType.ERROR, data)


def _time(at: datetime) -> str:
    return at.isoformat()


def _text(said: Any) -> str:
    return json.dumps(said, separators=(",", ":"))  # ASCII: half a surrogate in a text is no UTF-8

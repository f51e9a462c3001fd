"""A stream of server-sent events, cut into events. PURE.

As the HTML standard's section "Parsing an event stream" has it; only the data of an event is kept.
"""

from __future__ import annotations

MOST_BYTES = 4 << 20  # of one event: the last one of a Responses stream repeats the whole answer
_BOM = b"\xef\xbb\xbf"


class EventSplitter:
    """Takes the bytes of a stream in any pieces and gives the data of each event that is whole.

    Keeps at most one event. One longer than `most_bytes` is left out and counted in `dropped`.
    """

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self.dropped = 0
        self._most = most_bytes
        self._line = bytearray()
        self._data: list[bytes] = []
        self._size = 0  # of the event so far, its open line too
        self._too_long = False
        self._skip_newline = False  # the last piece ended between CR and LF
        self._first = True

    def feed(self, piece: bytes) -> list[bytes]:
        if not piece:
            return []
        if self._skip_newline:
            piece = piece.removeprefix(b"\n")
        events: list[bytes] = []
        for part in piece.splitlines(keepends=True):
            text = part.rstrip(b"\r\n")
            self._keep(text)
            if len(text) < len(part):
                self._end_line(events)
        self._skip_newline = piece.endswith(b"\r")
        return events

    def end(self) -> list[bytes]:
        """What was not yet closed by an empty line, once the stream is over."""
        events: list[bytes] = []
        if self._line:
            self._end_line(events)
        self._end_event(events)
        return events

    def _keep(self, text: bytes) -> None:
        self._size += len(text)
        if self._too_long:
            self._line[:] = b"x" if self._line or text else b""  # only whether the line is empty counts
        elif self._size > self._most:
            self._too_long = True
            self._data.clear()
            self._line[:] = b"x"
        else:
            self._line += text

    def _end_line(self, events: list[bytes]) -> None:
        line = bytes(self._line)
        self._line.clear()
        if self._first:
            line = line.removeprefix(_BOM)
            self._first = False
        if not line:
            self._end_event(events)
        elif not self._too_long:
            name, _, value = line.partition(b":")
            if name == b"data":
                self._data.append(value.removeprefix(b" "))
            else:
                self._size -= len(line)  # a comment or a name is not kept

    def _end_event(self, events: list[bytes]) -> None:
        if self._too_long:
            self.dropped += 1
        elif self._data:
            events.append(b"\n".join(self._data))
        self._data.clear()
        self._size = 0
        self._too_long = False

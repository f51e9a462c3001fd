"""Which process the kernel ended for want of memory, from its own log. Needs the right to read that, and the
machine's own numbers of processes: those in the log are no others.
"""

from __future__ import annotations

import errno
import os
import re
from dataclasses import dataclass

_RECORD_BYTES = 16384
_AT_MOST = 10_000  # records in one reading
_FIRST_NAMESPACE = 0xEFFFFFFC  # the machine's own, of PIDs (Linux: PROC_PID_INIT_INO)
_WHERE = re.compile(r"oom-kill:.*oom_memcg=(?P<group>[^,]*),.*pid=(?P<pid>\d+)")
_WHAT = re.compile(
    r"Killed process (?P<pid>\d+) \((?P<program>.*)\) total-vm:.*anon-rss:(?P<anonymous>\d+)kB"
    r", file-rss:(?P<file>\d+)kB, shmem-rss:(?P<shared>\d+)kB"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryKill:
    """`group`: path of the cgroup that was full, as the kernel names it. `pid` is of the machine."""

    group: str
    pid: int
    program: str
    memory_mb: float


class KernelLog:
    """From when it was opened on. Where it may not be read, it says nothing."""

    def __init__(self) -> None:
        self._fd: int | None = None
        self._groups: dict[int, str] = {}  # pid: group, until the record that names the program
        self._kills: list[MemoryKill] = []
        try:
            if os.stat("/proc/self/ns/pid").st_ino != _FIRST_NAMESPACE:  # noqa: PTH116
                return
            self._fd = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            os.lseek(self._fd, 0, os.SEEK_END)
        except OSError:
            self.close()

    @property
    def readable(self) -> bool:
        return self._fd is not None

    def close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def take(self, group_ending: str) -> list[MemoryKill]:
        """What was ended in groups whose path ends so, since it was last asked for."""
        self._read()
        found = [kill for kill in self._kills if kill.group.endswith(group_ending)]
        self._kills = [kill for kill in self._kills if kill not in found][-1000:]
        return found

    def _read(self) -> None:
        for _ in range(_AT_MOST):
            if self._fd is None:
                return
            try:
                record = os.read(self._fd, _RECORD_BYTES)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno == errno.EPIPE:
                    continue  # overwritten before we came to read it: the next one follows
                return
            self.hear(record.decode(errors="replace"))

    def hear(self, record: str) -> None:
        """One record of the log."""
        text = record.partition(";")[2].partition("\n")[0]
        if where := _WHERE.search(text):
            self._groups[int(where["pid"])] = where["group"]
        elif what := _WHAT.search(text):
            pid = int(what["pid"])
            memory = sum(int(what[name]) for name in ("anonymous", "file", "shared"))
            self._kills.append(
                MemoryKill(
                    group=self._groups.pop(pid, ""), pid=pid, program=what["program"], memory_mb=memory / 1024
                )
            )

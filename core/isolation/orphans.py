"""What goes on without whoever launched it.

bubblewrap asks the kernel to end a sandbox with its launcher, but only after some milliseconds of making it:
when the launcher is killed within these, the sandbox does not hear of it. Each launch marks what it starts
with who it is, so that any other process of ours can tell, by identity, and end it.
"""

from __future__ import annotations

import os
import secrets
import signal

from core.isolation.contain import stat_fields

MARK = "ORCHARD_CONTAINED"  # in the environment of all that a launch starts: finds what slipped away


def new_mark() -> str:
    """Of one launch of this process: a word of its own behind its pid, its start in ticks, and the namespace
    in which that is its pid."""
    fields = stat_fields(os.getpid())
    return f"{os.getpid()}.{fields[19] if fields else 0}.{_namespace()}.{secrets.token_hex(16)}"


def marked(mark: str) -> list[int]:
    """All processes but this one whose environment holds the mark. Zombies have none."""
    wanted = f"{MARK}={mark}".encode()
    return [pid for pid in _pids() if wanted in _environment(pid)]


def end_orphans() -> int:
    """Kills, with all that a sandbox's first process takes along, what lives of launchers that do not: how
    many processes. Blocks: reads the environments of all processes, some milliseconds."""
    ended = 0
    for pid in _pids():
        try:
            fd = os.pidfd_open(pid)
        except OSError:
            continue
        try:
            if _is_orphan(pid):
                signal.pidfd_send_signal(fd, signal.SIGKILL)
                ended += 1
        except (ProcessLookupError, PermissionError):
            continue
        finally:
            os.close(fd)
    return ended


def _is_orphan(pid: int) -> bool:
    start = f"{MARK}=".encode()
    for entry in _environment(pid).split(b"\0"):
        if entry.startswith(start):
            words = entry.removeprefix(start).decode(errors="replace").split(".")
            ours = len(words) == 4 and words[0].isdigit() and words[2] == _namespace()
            return ours and not _lives(int(words[0]), words[1])
    return False


def _lives(pid: int, start_ticks: str) -> bool:
    fields = stat_fields(pid)
    return fields is not None and fields[0] not in ("Z", "X") and fields[19] == start_ticks


def _namespace() -> str:
    return str(os.stat("/proc/self/ns/pid").st_ino)  # noqa: PTH116


def _pids() -> list[int]:
    own = os.getpid()
    return [int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) != own]  # noqa: PTH208


def _environment(pid: int) -> bytes:
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:  # noqa: PTH123 - thousands of Path objects for nothing
            return file.read()
    except OSError:
        return b""

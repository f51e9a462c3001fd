"""The first process of what is fenced in: goes inside, then becomes the program. Nothing escapes, for nothing
was started before.

    python -I -S enter.py ENTRY -- PROGRAM ...        ENTRY: {"join": [cgroup.procs ...], "nice": n or null}

Standard library only, and little of it: a worker's template imports it, and so does every worker started
without one.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any


def take(entry: dict[str, Any]) -> None:
    """Puts this process inside. Raises OSError when a group is not there: it must not run outside."""
    for path in entry.get("join", ()):
        fd = os.open(path, os.O_WRONLY)
        try:
            os.write(fd, b"0")
        finally:
            os.close(fd)
    nice = entry.get("nice")
    if nice is not None:
        be_nice(0, int(nice))


def be_nice(pid: int, nice: int) -> bool:
    """Niceness of a process (0: this one) and of its session's scheduling group, where the kernel makes one
    for each: there a process's own niceness counts only within its session. False when it was refused."""
    done = True
    try:
        if os.getpriority(os.PRIO_PROCESS, pid) != nice:
            os.setpriority(os.PRIO_PROCESS, pid, nice)
    except ProcessLookupError:
        return True
    except PermissionError:
        done = False  # an ordinary user may only go up
    place = f"/proc/{pid or 'self'}/autogroup"
    try:
        with open(place) as file:  # noqa: PTH123
            if file.read().rpartition("nice ")[2].strip() == str(nice):
                return done
        with open(place, "w") as file:  # noqa: PTH123
            file.write(str(nice))
    except (FileNotFoundError, ProcessLookupError):
        return done  # no such groups here, or it has ended
    except OSError:
        return False  # refused, or once more too soon (the kernel takes one change in 0.1 s)
    return done


def main(arguments: list[str]) -> int:
    split = arguments.index("--")
    command = arguments[split + 1 :]
    try:
        take(json.loads(arguments[0]))
        os.execvp(command[0], command)  # noqa: S606 - no shell is meant
    except OSError as error:
        os.write(2, f"enter: {error.filename or command[0]}: {error.strerror}\n".encode())
        return 127 if isinstance(error, FileNotFoundError) else 126


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

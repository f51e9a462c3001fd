"""Exhausts one thing without end, or works: a project's neighbour. argv: which, and a folder of its own.

    busy  fork_bomb  memory_bomb  disk_fill  log_flood  work

`work` prints a line for each piece of work that is done: processor seconds that it took.
"""

import os
import signal
import sys
import time

UNTIL = time.monotonic() + 180  # also when whoever began it is gone


def busy() -> None:
    while time.monotonic() < UNTIL:
        pass


def fork_bomb() -> None:
    while time.monotonic() < UNTIL:
        try:
            os.fork()
        except OSError:  # as many as there may be: on with it
            continue


def memory_bomb() -> None:
    """A child is ended for it, and the next one begins."""
    while time.monotonic() < UNTIL:
        try:
            pid = os.fork()
        except OSError:
            continue
        if pid == 0:
            with open("/proc/self/oom_score_adj", "w") as file:  # noqa: PTH123
                file.write("1000")
            kept = []
            while True:
                kept.append(b"x" * (1 << 20))
        os.waitpid(pid, 0)


def disk_fill() -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    while time.monotonic() < UNTIL:
        with open("fill", "wb", buffering=0) as file:  # noqa: PTH123
            try:
                while True:
                    file.write(b"x" * (1 << 20))
            except OSError:
                continue


def log_flood() -> None:
    while time.monotonic() < UNTIL:
        os.write(1, b"all work and no play\n" * 500)


def work() -> None:
    while time.monotonic() < UNTIL:
        began = time.process_time()
        for _ in range(1_000_000):
            pass
        os.write(1, b"%.6f\n" % (time.process_time() - began))


if __name__ == "__main__":
    os.chdir(sys.argv[2])
    {each.__name__: each for each in (busy, fork_bomb, memory_bomb, disk_fill, log_flood, work)}[
        sys.argv[1]
    ]()

"""Runs a program as it was asked for, and writes down everything that is needed to run it again.

python -I -S relay.py FOLDER PROGRAM ARGUMENT...      one file a program in FOLDER, its input beside it
"""

from __future__ import annotations

import json
import os
import stat
import sys
import time
from pathlib import Path

_CHUNK = 1 << 16
PARENT = "%PARENT%"  # in a record, where a program was told the number of the process that starts it


def main(folder: str, argv: list[str]) -> int:
    began = time.time()
    starter = str(os.getppid())
    record = {
        "argv": [PARENT if word == starter else word for word in argv],
        "cwd": str(Path.cwd()),
        "environment": dict(os.environ),
        "parent": os.getppid(),
        "began": began,
        "fds": (fds := _open_fds()),
        "contents": {fd: content for fd in fds if (content := _content(fd))},
        **_there(argv),
    }
    name = f"{folder}/{began:.6f}-{os.getpid()}"
    copy = os.open(name + ".in", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    inside, feed = os.pipe()
    # The same second in the replay gives the same commits.
    os.environ["GIT_AUTHOR_DATE"] = os.environ["GIT_COMMITTER_DATE"] = f"{int(began)} +0000"
    pid = os.fork()
    if pid == 0:
        os.dup2(inside, 0)
        os.close(inside)
        os.close(feed)
        mine = str(os.getppid())
        os.execvp(argv[0], [mine if word == starter else word for word in argv])
    os.close(inside)
    for fd in fds:
        os.close(fd)
    for fd in (1, 2):  # the reader of our output must see its end when the program closes it
        os.dup2(os.open(os.devnull, os.O_WRONLY), fd)
    feeder = os.fork()
    if feeder == 0:
        _feed(feed, copy)
        os._exit(0)
    os.close(feed)
    _, status = os.waitpid(pid, 0)
    os.kill(feeder, 9)
    os.waitpid(feeder, 0)
    code = os.waitstatus_to_exitcode(status)
    record["code"] = code if code >= 0 else 128 - code
    fresh = Path(name + ".new")
    fresh.write_text(json.dumps(record))
    fresh.rename(name + ".json")
    return int(record["code"])


def _feed(pipe: int, copy: int) -> None:
    while chunk := os.read(0, _CHUNK):
        os.write(copy, chunk)
        try:
            while chunk:
                chunk = chunk[os.write(pipe, chunk) :]
        except BrokenPipeError:
            return


def _open_fds() -> list[int]:
    open_now = [int(entry.name) for entry in Path("/proc/self/fd").iterdir()]
    return sorted(fd for fd in open_now if _inherited(fd))


def _inherited(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:  # that of the listing itself
        return False
    return fd > 2


def _content(fd: int) -> str:
    """In hexadecimal, of what is read from a file: a filter of system calls. Its place stays as it is."""
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        return ""
    return os.pread(fd, _CHUNK, 0).hex()


def _there(argv: list[str]) -> dict[str, object]:
    """The folders and small files that it is given and that are there: Orchard made them with no command."""
    words = [*argv, *os.environ.values(), str(Path.cwd())]
    named = [Path(word) for word in dict.fromkeys(words) if word.startswith("/")]
    mine = [path for path in named if path.parts[1:2] not in (("usr",), ("proc",), ("dev",))]
    for word, _source, target in zip(argv, argv[1:], argv[2:], strict=False):
        if word == "--bind":  # what is writable in a sandbox may have been filled before
            mine += [path for path in sorted(Path(target).rglob("*"))[:200] if ".git" not in path.parts]
    folders = {str(path) for path in mine if path.is_dir()}
    if index := os.environ.get("GIT_INDEX_FILE"):
        folders.add(str(Path(index).parent))
    files = {}
    for path in mine:
        if path.is_file() and path.stat().st_size < 1 << 16 and not os.access(path, os.X_OK):
            content = path.read_bytes()
            if b"\0" not in content:  # git's own files are made by git
                files[str(path)] = content.decode(errors="surrogateescape")
        elif path.is_socket():  # a way out that nobody takes: what is mounted has to be there
            files[str(path)] = ""
            folders.add(str(path.parent))
    return {"folders": sorted(folders), "files": files}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))

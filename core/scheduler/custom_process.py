"""The process in which a strategy of the user's runs: started, asked a line of JSON, ended with all it began.

`contain` stands around it: whatever the strategy forks, also into sessions of its own, is killed with it, and
all of it goes when Orchard does.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.isolation import contain

_KEPT_OF_ENVIRONMENT = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR")
_MEMORY_BYTES = 1 << 30
_LONGEST_ANSWER = 64 << 20
_END_SECONDS = 10.0


class Unanswered(Exception):
    """The process gave no answer that can be read. The message begins with a verb: "took longer than 2 s"."""


class StrategyProcess:
    """`folder` is where the user's modules are looked for, after all others. Calls block, at most for their
    limits; the process is gone after an Unanswered."""

    def __init__(self, path: str, folder: Path | None) -> None:
        self._path = path
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._files: Mapping[str, tuple[int, int] | None] = {}  # it was read from, as they were then

    @property
    def is_usable(self) -> bool:
        """It runs, and runs what is written now."""
        return self._process is not None and self._process.poll() is None and not self.was_edited

    @property
    def was_edited(self) -> bool:
        """Whether a file of the strategy's is another than the one that was read."""
        return any(_stamp(file) != stamp for file, stamp in self._files.items())

    def start(self, limit_seconds: float) -> str:
        """Loads the strategy; what is wrong with it, or empty. OSError: the process cannot be started."""
        self.close()
        environment = {name: os.environ[name] for name in _KEPT_OF_ENVIRONMENT if name in os.environ}
        folders = [path or str(Path.cwd()) for path in sys.path]
        folder = str(self._folder.resolve()) if self._folder else ""
        environment["PYTHONPATH"] = os.pathsep.join([*folders, folder] if folder else folders)
        keeper = [sys.executable, "-I", "-S", contain.__file__, f"--parent={os.getpid()}"]
        # No compiled files: an edit within the same second would not be noticed.
        child = [sys.executable, "-P", "-B", "-m", "core.scheduler.custom_child", self._path, folder]
        self._process = subprocess.Popen(
            [*keeper, f"--data={_MEMORY_BYTES}", "--", *child],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            bufsize=0,
            start_new_session=True,  # Ctrl-C in a terminal is for Orchard
        )
        os.set_blocking(self._process.stdin.fileno(), False)  # type: ignore[union-attr]
        answer = self.ask(None, limit_seconds)
        self._files = {file: _stamp(file) for file in answer.get("files", ())}
        fault = str(answer.get("error", ""))
        if fault:
            self.close()
        return fault

    def ask(self, question: Any, limit_seconds: float) -> dict[str, Any]:
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            raise Unanswered("has no process")
        until = time.monotonic() + limit_seconds
        unsent = memoryview((json.dumps(question) + "\n").encode())
        read = bytearray()
        try:
            while not read.endswith(b"\n"):
                left = until - time.monotonic()
                if left <= 0.0:
                    raise Unanswered(f"took longer than {limit_seconds:g} s and was stopped")
                if len(read) > _LONGEST_ANSWER:
                    raise Unanswered("answered without end and was stopped")
                writing = [process.stdin] if unsent else []
                readable, writable, _ = select.select([process.stdout], writing, [], left)
                if writable:
                    unsent = unsent[os.write(process.stdin.fileno(), unsent[: select.PIPE_BUF]) :]
                if readable:
                    chunk = os.read(process.stdout.fileno(), 1 << 16)
                    if not chunk:
                        raise Unanswered("ended its process")
                    read += chunk
            found = json.loads(read)
            if not isinstance(found, dict):
                raise Unanswered(f"answered with {type(found).__name__}")
        except BrokenPipeError as error:
            self.close()
            raise Unanswered("ended its process") from error
        except (OSError, ValueError) as error:
            self.close()
            raise Unanswered(f"cannot be understood: {error}") from error
        except Unanswered:
            self.close()
            raise
        return found

    def close(self) -> None:
        """Returns when nothing of it is left."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()  # the keeper kills all that is there, then ends
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
        try:
            process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _stamp(file: str) -> tuple[int, int] | None:
    """When it was written last and its length; None: it is not there."""
    try:
        found = Path(file).stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size

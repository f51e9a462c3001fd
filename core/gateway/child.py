"""The gateway's process as its parent sees it: one start, its conversation, its end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from core.rpc import LINE_LIMIT, Handler, Peer

_ROOT = Path(__file__).resolve().parents[2]
_STOP_SECONDS = 5.0
# What its own libraries read; keys and everything else of our environment stay out.
_PASSED = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR", "PYTHONPATH", "TZ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    pid: int
    peer: Peer
    process: asyncio.subprocess.Process

    def note(self, fd: int) -> None:
        """Writes down which process it is, for `end_noted` in another life."""
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{self.pid} {_start_ticks(self.pid)}".encode(), 0)

    async def wait(self) -> str:
        """How it ended."""
        code = await self.process.wait()
        return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def end_noted(fd: int) -> None:
    """Kills the process that `note` wrote down, if that very one still lives."""
    words = os.pread(fd, 100, 0).split()
    if len(words) != 2 or not all(word.isdigit() for word in words):
        return
    pid, ticks = map(int, words)
    if ticks and _start_ticks(pid) == ticks:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _start_ticks(pid: int) -> int:
    """With the pid, an identity; 0 for a process that is not there."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0
    return int(text.rpartition(")")[2].split()[19])


@asynccontextmanager
async def start(
    folder: Path,
    sockets: Sequence[socket.socket],
    log: Path,
    handlers: Mapping[str, Handler],
    environ: Mapping[str, str],
    *,
    keep: Sequence[int] = (),
) -> AsyncIterator[Child]:
    """Serves on `sockets` once told to; holds the descriptors `keep` as long as it lives. At the end its
    input ends, and soon it does too. Raises OSError."""
    ours, theirs = socket.socketpair()
    numbers = [each.fileno() for each in sockets]
    try:
        with log.open("ab") as errors:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "core.gateway",
                str(folder),
                *map(str, numbers),
                cwd=_ROOT,
                stdin=theirs.fileno(),
                stdout=errors,
                stderr=errors,
                pass_fds=(*numbers, *keep),
                env={name: environ[name] for name in _PASSED if name in environ},
                start_new_session=True,
            )
    except BaseException:
        ours.close()
        raise
    finally:
        theirs.close()
    reader, writer = await asyncio.open_connection(sock=ours, limit=LINE_LIMIT)
    peer = Peer(reader, writer, handlers)
    talking = asyncio.create_task(peer.run(), name="the model gateway's conversation")
    try:
        yield Child(pid=process.pid, peer=peer, process=process)
    finally:
        writer.close()
        await _ended(process)
        talking.cancel()
        await asyncio.wait({talking})


async def _ended(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_STOP_SECONDS):
            await process.wait()
            return
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()

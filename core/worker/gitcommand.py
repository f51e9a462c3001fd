"""Running `git` so that a repository's content and configuration start no program of an agent's choosing."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import re
import signal
import subprocess
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import Unavailable
from core.isolation.contain import descendants, send

MINIMUM = (2, 38)  # `merge-tree --write-tree`

_GRACE_SECONDS = 10.0  # of a git that was asked to end
_PIECE = 1 << 16  # bytes
_SAID_CHARACTERS = 500  # of git's own words, in the sentence: a path may be longer

# Given with every command, so that neither the repository's nor the user's configuration decides them.
_HARDENED = (
    ("core.hooksPath", "/dev/null"),
    ("core.fsmonitor", "false"),
    ("core.untrackedCache", "false"),
    ("core.pager", "cat"),
    ("core.askPass", ""),
    ("credential.helper", ""),
    ("core.quotePath", "false"),
    ("core.checkStat", "default"),  # with trustctime: a forged mtime hides no change
    ("core.trustctime", "true"),
    ("core.sparseCheckout", "false"),
    ("core.splitIndex", "false"),
    ("core.longPaths", "true"),
    ("commit.gpgSign", "false"),
    ("tag.gpgSign", "false"),
    ("log.showSignature", "false"),
    ("merge.verifySignatures", "false"),
    ("merge.autoStash", "false"),
    ("submodule.recurse", "false"),
    ("fetch.recurseSubmodules", "false"),
    ("diff.ignoreSubmodules", "none"),
    ("advice.addEmbeddedRepo", "false"),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
)
_PROGRAM = re.compile(r"(filter|merge)\.(?P<name>.+)\.(?P<key>clean|smudge|process|driver)", re.DOTALL)
_LFS = {"clean": "git-lfs clean -- %f", "smudge": "git-lfs smudge -- %f", "process": "git-lfs filter-process"}


class GitFailed(Unavailable):
    """A git command ended with an error. `stderr` is its words."""

    slug = "git_failed"

    def __init__(
        self, message: str, *, why: str = "", hint: str = "", exit_code: int = 128, stderr: str = ""
    ) -> None:
        super().__init__(message, why=why, hint=hint)
        self.exit_code = exit_code
        self.stderr = stderr


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    exit_code: int
    stdout: bytes
    stderr: str
    cut: bool = False


def _environment(*, personal: bool) -> dict[str, str]:
    """`personal`: with the user's own configuration (line endings, LFS), as in the user's own checkout."""
    kept = ("PATH", "TMPDIR", "TZ", "LD_LIBRARY_PATH", *(("HOME", "XDG_CONFIG_HOME") if personal else ()))
    environment = {name: os.environ[name] for name in kept if name in os.environ}
    environment |= {
        "LC_ALL": "C",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "",
        "SSH_ASKPASS": "",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_GRAFT_FILE": "/dev/null",
        "GIT_LITERAL_PATHSPECS": "1",
        "GIT_PAGER": "cat",
        "GIT_EDITOR": ":",
        "GIT_ATTR_NOSYSTEM": "1",
    }
    if not personal:
        environment |= {"HOME": "/nonexistent", "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
    return environment


def _configuration(settings: Sequence[tuple[str, str]]) -> dict[str, str]:
    # By environment rather than `-c`: a driver's name may hold "=", and git's own children inherit it.
    environment = {"GIT_CONFIG_COUNT": str(len(settings))}
    for number, (key, value) in enumerate(settings):
        environment[f"GIT_CONFIG_KEY_{number}"] = key
        environment[f"GIT_CONFIG_VALUE_{number}"] = value
    return environment


async def run_git(
    arguments: Sequence[str],
    *,
    cwd: Path,
    settings: Sequence[tuple[str, str]] = (),
    environment: Mapping[str, str] | None = None,
    stdin: bytes | None = None,
    personal: bool = False,
    check: bool = True,
    ok: tuple[int, ...] = (0,),
    pass_fds: tuple[int, ...] = (),
    limit_bytes: int | None = None,
) -> Answer:
    """`git <arguments>`, hardened, waited for. `settings` are configuration that wins over the repository's.

    Raises GitFailed when the exit code is not in `ok` (with `check`) or git is not installed. A cancelled
    caller ends the command first, so that no git runs on in the background; so does one that has said more
    than `limit_bytes` (not with `stdin`): then the answer is `cut`, and holds so much.
    """
    assert stdin is None or limit_bytes is None
    try:
        process = await _started(
            asyncio.create_subprocess_exec(
                "git",
                *arguments,
                cwd=cwd,
                env={
                    **_environment(personal=personal),
                    **_configuration((*_HARDENED, *settings)),
                    **(environment or {}),
                },
                stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=pass_fds,
            )
        )
    except FileNotFoundError as error:
        if not cwd.is_dir():
            raise GitFailed(f"The folder {cwd} is not there.", why=str(error)) from error
        raise GitFailed("git is not installed.", why=str(error), hint="Install git 2.38 or newer.") from error
    except NotADirectoryError as error:
        raise GitFailed(f"{cwd} is not a folder.", why=str(error)) from error
    try:
        if limit_bytes is not None:
            stdout, stderr = await _first(process, limit_bytes)
        else:
            stdout, stderr = await process.communicate(stdin)
    except BaseException:
        await _end(process)
        raise
    if limit_bytes is not None and len(stdout) > limit_bytes:
        return Answer(exit_code=0, stdout=stdout[:limit_bytes], stderr="", cut=True)
    words = stderr.decode(errors="replace")
    code = process.returncode if process.returncode is not None else -1
    if check and code not in ok:
        raise _failed(arguments[0], code, words)
    return Answer(exit_code=code, stdout=stdout, stderr=words)


def _failed(command: str, code: int, words: str) -> GitFailed:
    last = words.strip().splitlines()[-1:] or [f"exit code {code}"]
    return GitFailed(
        f"git {command} failed: {last[0][:_SAID_CHARACTERS]}",
        why=words.strip()[-2000:],
        exit_code=code,
        stderr=words,
    )


async def _started(start: Coroutine[Any, Any, asyncio.subprocess.Process]) -> asyncio.subprocess.Process:
    """asyncio KILLs what its caller cancels while it starts, and git's lock files would stay: so it is let
    start, and then ended as later on."""
    starting = asyncio.create_task(start, name="git: start")
    cancelled = False
    while not starting.done():
        try:
            await asyncio.wait([starting])
        except asyncio.CancelledError:
            cancelled = True
    if not cancelled:
        return starting.result()
    if not starting.cancelled() and starting.exception() is None:
        await _end(starting.result())
    raise asyncio.CancelledError


async def _first(process: asyncio.subprocess.Process, limit: int) -> tuple[bytes, bytes]:
    """What it says, up to a little over the limit; where there is more, it is ended."""
    stdout, stderr = process.stdout, process.stderr
    assert stdout is not None
    assert stderr is not None
    words = asyncio.create_task(stderr.read(), name="git: stderr")
    try:
        said = bytearray()
        while len(said) <= limit and (piece := await stdout.read(_PIECE)):
            said += piece
        if len(said) > limit:
            await _end(process)
            while await stdout.read(_PIECE):  # what is in the pipe, so that it closes
                pass
        await process.wait()
        return bytes(said), await words
    finally:
        words.cancel()


async def _end(process: asyncio.subprocess.Process) -> None:
    """Waits for the end however often the caller is cancelled meanwhile: nobody else would."""
    clock = asyncio.get_running_loop().time
    patience = clock() + _GRACE_SECONDS
    if process.returncode is None:
        _signal(process, signal.SIGTERM)  # git removes its lock files on TERM, and not on KILL
    while process.returncode is None:
        if clock() > patience:
            _signal(process, signal.SIGKILL)
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(0.01)


def _signal(process: asyncio.subprocess.Process, number: int) -> None:
    """To what it started, too: git's way to another machine is a program of its own, which outlives it."""
    for pid in (*descendants(process.pid), process.pid):
        send(pid, number)


@functools.lru_cache(maxsize=1)
def git_version() -> tuple[int, ...]:
    """The installed git's version. Raises GitFailed when there is none or it is older than 2.38."""
    try:
        done = subprocess.run(["git", "--version"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise GitFailed("git is not installed.", why=str(error), hint="Install git 2.38 or newer.") from error
    return require_version(done.stdout)


def require_version(text: str) -> tuple[int, ...]:
    """The version in `git --version`'s words. Raises GitFailed when it is too old."""
    match = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", text)
    version = tuple(int(part) for part in match.groups(default="0")) if match else (0, 0, 0)
    if version < MINIMUM:
        raise GitFailed(
            f"git {'.'.join(map(str, version))} is too old.",
            why="Orchard merges with `git merge-tree --write-tree`, which came with git 2.38.",
            hint="Install git 2.38 or newer.",
        )
    return version


def silence_programs(configuration: bytes, *, lfs: bool) -> tuple[tuple[str, str], ...]:
    """Settings that switch off every filter and merge driver that the configuration defines.

    `configuration` is the output of `git config -z --list`. A `.gitattributes` file, which an agent may
    write, picks filters and drivers by name; what they run stands in the configuration. Git LFS in its
    usual form is kept when `lfs`: without it, large files would enter the tree whole. A silenced merge
    driver ends in a conflict, since an absent one would silently take one side.
    """
    settings: list[tuple[str, str]] = []
    found: dict[str, dict[str, str]] = {}
    for entry in configuration.decode(errors="surrogateescape").split("\0"):
        name, _, value = entry.partition("\n")
        if match := _PROGRAM.fullmatch(name):
            found.setdefault(f"{match[1]}.{match['name']}", {})[match["key"]] = value
    for driver, programs in sorted(found.items()):
        if driver.startswith("merge."):
            settings.append((f"{driver}.driver", "false"))
        elif lfs and driver == "filter.lfs" and programs.items() <= _LFS.items():
            settings += [(f"{driver}.{key}", program) for key, program in programs.items()]
            settings.append((f"{driver}.required", "true"))
        else:
            settings += [(f"{driver}.{key}", "") for key in ("clean", "smudge", "process")]
            settings.append((f"{driver}.required", "false"))
    return tuple(settings)

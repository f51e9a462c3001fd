"""Short commands to Podman or Docker, each with an end."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from core.isolation.container.plan import LABEL, Container

# What a client needs to find its engine, its storage and its settings; nothing else of ours is for it.
_KEPT = (
    "CONTAINERS_CONF",
    "CONTAINERS_STORAGE_CONF",
    "DBUS_SESSION_BUS_ADDRESS",
    "DOCKER_CONFIG",
    "DOCKER_CONTEXT",
    "DOCKER_HOST",
    "HOME",
    "PATH",
    "TMPDIR",
    "USER",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_RUNTIME_DIR",
)
_SHORT_SECONDS = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """`code` is None when the program could not be started or took too long; `said` has then the reason."""

    code: int | None
    said: str

    @property
    def fine(self) -> bool:
        return self.code == 0


def client_environment() -> dict[str, str]:
    return {name: os.environ[name] for name in _KEPT if name in os.environ}


async def command(
    program: Path, options: tuple[str, ...], *words: str, timeout_seconds: float = _SHORT_SECONDS
) -> Answer:
    """Runs `program OPTIONS WORDS` to its end; standard output and error together."""
    try:
        process = await asyncio.create_subprocess_exec(
            str(program), *options, *words,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=client_environment(),
            cwd="/",
            start_new_session=True,
        )  # fmt: skip
    except OSError as error:
        return Answer(code=None, said=f"{program}: {error.strerror}")
    try:
        async with asyncio.timeout(timeout_seconds):
            output, _ = await process.communicate()
    except TimeoutError:
        return Answer(code=None, said=f"`{program.name} {words[0]}` took over {timeout_seconds:.0f} s.")
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    return Answer(code=process.returncode, said=output.decode(errors="replace").strip())


async def remove_container(container: Container, name: str) -> None:
    """Also one that is not there."""
    await command(container.program, container.options, "rm", "--force", name)


async def prune_containers(program: Path, options: tuple[str, ...]) -> None:
    """Removes the records of ours that have ended long ago: what a crash of the machine leaves.

    A running one is somebody's: it ends with its launcher, whatever happens.
    """
    filters = ("--filter", f"label={LABEL}", "--filter", "until=10m")
    await command(program, options, "container", "prune", "--force", *filters)

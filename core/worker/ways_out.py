"""The ways out of one sandbox of level `network`: an allow-list proxy of its own, and single ports of this
machine, such as the model gateway's, at the same address inside as outside."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp

from core.isolation.egress.named_hosts import loopback_doors
from core.isolation.egress.proxy import Denial, EgressProxy, Traffic
from core.isolation.egress.rules import parse_egress
from core.isolation.egress.tunnel import open_passage
from core.isolation.plan import Door, Level

_PROXY_PORT = 3128
_MAVEN_HEEDS = (
    "aether.connector.http.useSystemProperties=true",
    "aether.transport.apache.useSystemProperties=true",
)
_LONGEST_FOLDER = 90  # bytes; a socket's path has 107


@dataclass(frozen=True, slots=True, kw_only=True)
class WaysOut:
    """`traffic` grows while they are open. Without doors at a level that has no network of its own."""

    doors: tuple[Door, ...] = ()
    traffic: Traffic = field(default_factory=Traffic)


def jvm_variables(doors: Iterable[Door], *, home: Path, cache: Path) -> dict[str, str]:
    """What makes Java's tools ask the proxy, and keep to `home` and `cache`: they heed neither
    `https_proxy` nor HOME. Empty without a proxy.

    https://docs.oracle.com/en/java/javase/21/core/java-networking.html; Maven 3.9 reads the same only when
    told to. Java prints the variable on each start, so nothing else is given it.
    """
    port = next((door.port for door in doors if door.proxy), None)
    if port is None:
        return {}
    ends = ("Host=127.0.0.1", f"Port={port}")
    parts = (f"{scheme}.proxy{end}" for scheme in ("http", "https") for end in ends)
    said = [*parts, *_MAVEN_HEEDS, f"user.home={home}", f"maven.repo.local={cache / 'maven'}"]
    options = " ".join(f"-D{each}" for each in said)
    return {"JAVA_TOOL_OPTIONS": options, "GRADLE_USER_HOME": str(cache / "gradle")}


def has_own_network(level: Level) -> bool:
    """Whether a sandbox of the level reaches its doors only."""
    return level in (Level.NETWORK, Level.CONTAINER)


@asynccontextmanager
async def open_ways(
    *,
    level: Level,
    state_path: Path,
    key: str,
    rules: Iterable[str],
    ports: Iterable[int] = (),
    denied: Callable[[Denial], None],
) -> AsyncIterator[WaysOut]:
    """Open to the end of the block. `key` names the run: two at the same time have different ones.

    `ports` are of 127.0.0.1, beside those that `rules` name. Raises InvalidInput for a rule that is none.
    """
    if not has_own_network(level):
        yield WaysOut()
        return
    egress = parse_egress(rules)
    straight = [port for port in dict.fromkeys((*ports, *loopback_doors(egress))) if port >= 1024]
    proxy_port = next(port for port in range(_PROXY_PORT, 65536) if port not in straight)
    folder = _folder(state_path.resolve() / "doors", key)
    try:
        async with AsyncExitStack() as stack:
            proxy = await stack.enter_async_context(EgressProxy.open(folder / "proxy", egress, denied))
            doors = [Door(socket=folder / "proxy", port=proxy_port, proxy=True)]
            for port in straight:
                await stack.enter_async_context(open_passage(folder / str(port), "127.0.0.1", port))
                doors.append(Door(socket=folder / str(port), port=port))
            yield WaysOut(doors=tuple(doors), traffic=proxy.traffic)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _folder(above: Path, key: str) -> Path:
    """The same for the same run, so that what a killed worker left is replaced; elsewhere where the state
    folder's own path is too long for sockets."""
    folder = above / hashlib.sha256(key.encode()).hexdigest()[:12]
    if len(os.fsencode(folder)) > _LONGEST_FOLDER:
        return Path(mkdtemp(prefix="orchard-doors-")).resolve()
    shutil.rmtree(folder, ignore_errors=True)
    above.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.mkdir(mode=0o700)
    return folder

"""Run inside a role's own sandbox by `isolation`: tries what its agent must not get through with, and prints
what came of it as one JSON line. What depends on the level alone is the attack suite's. Standard library
only, and harmless where nothing holds it: what it writes was made for it."""

import json
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path

TOLD = json.loads(sys.argv[1])


def read(path: str) -> str:
    entries = sorted(os.listdir(path)) if Path(path).is_dir() else [Path(path).read_text()[:20]]  # noqa: PTH208
    if not entries:
        raise OSError("it is empty")
    return f"read: {', '.join(entries)[:60]}"


def read_home() -> str:
    """Folders above an interpreter that every sandbox is shown are there, and hold nothing else."""
    seen = [name for name in TOLD["private"] if os.path.lexists(f"{TOLD['home']}/{name}")]
    if not seen:
        raise OSError("nothing of it is there")
    return f"seen: {', '.join(seen)[:60]}"


def leave(path: str) -> str:
    """Whether it came through, only the outside can tell: a sandbox has temporary folders of its own."""
    Path(path).write_text("x")
    return "written"


def write(path: str) -> str:
    place = Path(path)
    place.write_text("x")
    place.unlink()
    return "written"


def connect(host: str, port: int) -> str:
    with socket.create_connection((host, port), timeout=3):
        return "connected"


def resolve() -> str:
    return str(socket.getaddrinfo("example.org", 443)[0][4][0])


def ask_proxy(target: str) -> str:
    with socket.create_connection(("127.0.0.1", TOLD["proxy"]), timeout=20) as proxy:
        proxy.sendall(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode())
        said = proxy.recv(400).decode("latin-1").splitlines()
    if " 200 " not in said[0]:
        raise OSError(said[-1])
    return said[0]


# What is tried, from which level on it must fail, and how.
TRIES: list[tuple[str, str, Callable[[], str]]] = [
    ("read a file beside the worktree", "filesystem", lambda: read(TOLD["secret"])),
    ("read Orchard's own folder", "filesystem", lambda: read(TOLD["state"])),
    ("read the user's home", "filesystem", read_home),
    ("write beside the worktree", "filesystem", lambda: leave(TOLD["beside"])),
    ("write the repository's git configuration", "filesystem", lambda: write(TOLD["git"] + "/config.new")),
    ("plant a git hook", "filesystem", lambda: write(TOLD["git"] + "/hooks/post-commit")),
    ("write what the role may not", "filesystem", lambda: write(TOLD["forbidden"])),
    ("connect to a port of this machine", "network", lambda: connect("127.0.0.1", TOLD["port"])),
    ("resolve a name", "network", resolve),
]
if TOLD["proxy"]:
    TRIES += [
        (
            "reach a host that no rule names, by the proxy",
            "network",
            lambda: ask_proxy("unlisted.invalid:443"),
        ),
        ("reach a private address, by the proxy", "network", lambda: ask_proxy("10.0.0.1:443")),
        ("reach the metadata address, by the proxy", "network", lambda: ask_proxy("169.254.169.254:80")),
    ]


def attempt(name: str, level: str, work: Callable[[], str]) -> dict[str, str]:
    try:
        return {"name": name, "from": level, "held": "no", "found": work()}
    except Exception as error:
        said = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return {"name": name, "from": level, "held": "yes", "found": str(said)[:200]}


print(json.dumps([attempt(*each) for each in TRIES]))

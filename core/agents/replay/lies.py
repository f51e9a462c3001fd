"""What no agent should do. For tests: each of these must be caught by somebody."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from typing import Any

from .player import Player, step
from .script import Step

_NONSENSE: tuple[bytes, ...] = (
    b"Starting up, please wait...\n",
    b"[]\n",
    b"42\n",
    b'"text"\n',
    b"null\n",
    b"{}\n",
    b'{"jsonrpc": "2.0", "method": "session/upd\n',
    b"\xff\xfe\x00broken\n",
    b'{"jsonrpc": "2.0", "id": [1], "result": {}}\n',
    b'{"jsonrpc": "2.0", "id": {"a": 1}, "method": "x"}\n',
    b'{"jsonrpc": "2.0", "id": 987654, "result": {"of": "nothing that was asked"}}\n',
    b'{"jsonrpc": "2.0", "id": 987655, "error": "a text"}\n',
    b'{"jsonrpc": "2.0", "method": 7}\n',
    b'{"jsonrpc": "2.0", "method": "session/update"}\n',
    b'{"jsonrpc": "2.0", "method": "session/update", "params": []}\n',
    b'{"jsonrpc": "2.0", "method": "session/update", "params": {"sessionId": 5, "update": 6}}\n',
    b'{"jsonrpc": "2.0", "method": "no/such", "params": {}}\n',
    b'{"jsonrpc": "2.0", "id": "odd", "method": "no/such", "params": {}}\n',
    b"\n",
)


@step
def write_outside(player: Player, each: Step) -> None:
    path = os.path.join(player.cwd, each.value["path"])  # noqa: PTH118
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)  # noqa: PTH103, PTH120
        with open(path, "w", encoding="utf-8", newline="") as file:  # noqa: PTH123
            file.write(each.value["text"])
    except OSError as error:
        _mutter(f"write_outside: {error}")


@step
def commit(player: Player, each: Step) -> None:
    value: dict[str, Any] = each.value if isinstance(each.value, dict) else {"message": each.value}
    identity = [
        "-c",
        "user.name=Agent",
        "-c",
        "user.email=agent@example.invalid",
        "-c",
        "commit.gpgsign=false",
    ]
    commands = [["add", "-A"], [*identity, "commit", "--no-verify", "-m", value["message"]]]
    if "branch" in value:
        commands.insert(0, ["checkout", "-b", value["branch"]])
    for arguments in commands:
        done = subprocess.run(
            ["git", *arguments], cwd=player.cwd, capture_output=True, stdin=subprocess.DEVNULL, check=False
        )
        if done.returncode:
            _mutter(f"git {arguments[0]}: {done.stderr.decode(errors='replace').strip()}")
            return


@step
def spawn_daemon(player: Player, each: Step) -> None:
    value: dict[str, Any] = each.value if isinstance(each.value, dict) else {"command": each.value}
    # The shell between it and us ends at once: the daemon is an orphan, in a session of its own.
    subprocess.run(
        ["/bin/sh", "-c", '( exec /bin/sh -c "$1" ) &', "sh", value["command"]],
        cwd=player.cwd,
        stdin=subprocess.DEVNULL,
        stdout=None if value.get("keep_stdout") else subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        check=False,
    )


@step
def exit_(player: Player, each: Step) -> None:
    sys.stdout.buffer.flush()
    os._exit(int(each.value))


@step
def crash(player: Player, each: Step) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@step
def hang(player: Player, each: Step) -> None:
    value = each.value if isinstance(each.value, dict) else {}
    player.behaviour.ignored |= set(value.get("ignore", ("cancel", "eof", "term")))
    if player.session:  # seen by the client, so that a test knows when it hangs
        ignored = ", ".join(sorted(player.behaviour.ignored)) or "nothing"
        player.close_tool(player.open_tool(f"Hang, ignoring {ignored}", "think"), "completed", "")
    if "cancel" in player.behaviour.ignored:
        threading.Event().wait(value.get("seconds"))
    else:
        player.cancelled.wait(value.get("seconds"))
    player.check_cancelled()


@step
def flood(player: Player, each: Step) -> None:
    value = each.value
    for number in range(int(value.get("updates", 0))):
        player.update("agent_message_chunk", content={"type": "text", "text": f"flood {number} "})
    if size := int(value.get("line_bytes", 0)):
        player.update("agent_message_chunk", content={"type": "text", "text": "x" * size})
    for stream, name in ((player.link.write, "stdout_bytes"), (_raw_stderr, "stderr_bytes")):
        left = int(value.get(name, 0))
        while left > 0:
            stream(b"nonsense " * 10 + b"\n")
            left -= 91


@step
def garbage(player: Player, each: Step) -> None:
    lines = _NONSENSE if each.value is True else [str(line).encode() + b"\n" for line in each.value]
    for line in lines:
        player.link.write(line)


def _raw_stderr(data: bytes) -> None:
    os.write(2, data)


def _mutter(text: str) -> None:
    print(f"replay: {text}", file=sys.stderr)

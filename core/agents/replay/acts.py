"""What a recorded session does to files, and the commands that it runs."""

from __future__ import annotations

import base64
import binascii
import os
import re
import signal
import subprocess
import time
from typing import Any

from .player import Cancelled, Player, step
from .script import Step

_OLD_SHOWN = 100_000  # bytes of a replaced file that go into the diff
_OUTPUT_KEPT = 1 << 20


@step
def read(player: Player, each: Step) -> None:
    player.tool(f"Read {each.value}", "read", lambda: _text(player, each.value), paths=(each.value,))


@step
def write(player: Player, each: Step) -> None:
    _put(player, each, each.value["path"], each.value)


@step
def spec(player: Player, each: Step) -> None:
    story = player.header.get("Story", "")
    if not re.fullmatch(r"[\w.-]*\w", story):
        raise each.fault(f"no file can be named after the story {story!r}")
    path = f".orch-state/stories/{story}.md"
    _edit(player, f"Write {path}", path, each.value)


@step
def append(player: Player, each: Step) -> None:
    path = each.value["path"]
    _edit(player, f"Append to {path}", path, each.value["text"], mode="ab")


@step
def replace(player: Player, each: Step) -> None:
    path, old, new = each.value["path"], each.value["old"], each.value["new"]
    try:
        text = _text(player, path)
    except OSError as error:
        raise each.fault(f"{path} cannot be read: {error.strerror}") from error
    if (count := text.count(old)) != 1:
        raise each.fault(f"'old' is in {path} {count} times, not once")
    _edit(player, f"Edit {path}", path, text.replace(old, new))


@step
def delete(player: Player, each: Step) -> None:
    _delete(player, each.value)


@step
def files(player: Player, each: Step) -> None:
    for path, content in each.value.items():
        if content is None:
            _delete(player, path)
        else:
            _put(player, each, path, {"text": content} if isinstance(content, str) else content)


@step
def patch(player: Player, each: Step) -> None:
    paths = tuple(
        dict.fromkeys(
            line[6:].split("\t")[0].strip()
            for line in each.value.splitlines()
            if line.startswith(("--- a/", "+++ b/"))
        )
    )

    def apply() -> str:
        # The worktree's own .git may lead nowhere in a sandbox; applying a patch needs no repository.
        environment = {**os.environ, "GIT_DIR": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
        done = subprocess.run(
            ["git", "apply", "--whitespace=nowarn", "-"],
            input=each.value.encode(),
            cwd=player.cwd,
            env=environment,
            capture_output=True,
            check=False,
        )
        if done.returncode:
            raise each.fault(f"does not apply: {done.stderr.decode(errors='replace').strip()}")
        return ""

    player.tool(f"Apply a patch to {', '.join(paths[:3]) or 'nothing'}", "edit", apply, paths=paths)


@step
def run(player: Player, each: Step) -> None:
    value = each.value if isinstance(each.value, dict) else {"command": each.value}
    command = value["command"]
    words = [str(word) for word in command] if isinstance(command, list) else ["/bin/sh", "-c", command]
    shown = " ".join(words) if isinstance(command, list) else command
    seconds = float(value.get("timeout_seconds", 600))
    player.tool(
        shown.splitlines()[0][:100] if shown else "nothing",
        "execute",
        lambda: _run(player, words, seconds),
        raw={"command": shown},
        ask=bool(value.get("ask")),
    )


def _run(player: Player, words: list[str], seconds: float) -> str:
    """In a session of its own, as real agents do, so that ending it ends what it started."""
    process = subprocess.Popen(
        words,
        cwd=player.cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )

    def kill() -> None:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return

    player.kill_tool = kill
    deadline = time.monotonic() + seconds
    output = b""
    assert process.stdout is not None
    os.set_blocking(process.stdout.fileno(), False)
    try:
        while True:
            chunk = process.stdout.read(65536)
            output = (output + (chunk or b""))[-_OUTPUT_KEPT:]
            if chunk == b"" and process.poll() is not None:
                break
            if not chunk:
                if process.poll() is not None and chunk is None:
                    break  # something it started still holds the pipe
                if time.monotonic() > deadline:
                    raise OSError(f"not done in {seconds:g} s")
                if player.cancelled.wait(0.005) and "cancel" not in player.behaviour.ignored:
                    raise Cancelled
    finally:
        kill()
        process.wait()
        process.stdout.close()
        player.kill_tool = None
    code = process.returncode
    return f"{output.decode(errors='replace')}\n[exit code {code}]"


def _put(player: Player, each: Step, path: str, content: dict[str, Any]) -> None:
    data: str | bytes
    if "base64" in content:
        try:
            data = base64.b64decode(content["base64"], validate=True)
        except (binascii.Error, TypeError) as error:
            raise each.fault(f"{path}: is no base64: {error}") from error
    else:
        data = content["text"]
    _edit(player, f"Write {path}", path, data, executable=content.get("executable"))


def _edit(
    player: Player,
    title: str,
    path: str,
    data: str | bytes,
    *,
    mode: str = "wb",
    executable: bool | None = None,
) -> None:
    whole = os.path.join(player.cwd, path)  # noqa: PTH118
    raw = data.encode() if isinstance(data, str) else data

    def act() -> str:
        os.makedirs(os.path.dirname(whole), exist_ok=True)  # noqa: PTH103, PTH120
        with open(whole, mode) as file:  # noqa: PTH123
            file.write(raw)
        if executable is not None:
            os.chmod(whole, 0o755 if executable else 0o644)  # noqa: PTH101
        return ""

    player.tool(title, "edit", act, paths=(path,), content=_diff(player, path, data, mode))


def _diff(player: Player, path: str, data: str | bytes, mode: str) -> list[dict[str, Any]] | None:
    if isinstance(data, bytes):
        return None
    old: str | None
    try:
        old = _text(player, path)
    except (OSError, UnicodeError):
        old = None
    if old is not None and len(old) > _OLD_SHOWN:
        return None
    new = (old or "") + data if mode == "ab" else data
    whole = os.path.join(player.cwd, path)  # noqa: PTH118
    return [{"type": "diff", "path": whole, "oldText": old, "newText": new}]


def _delete(player: Player, path: str) -> None:
    def act() -> str:
        os.unlink(os.path.join(player.cwd, path))  # noqa: PTH108, PTH118
        return ""

    player.tool(f"Delete {path}", "delete", act, paths=(path,))


def _text(player: Player, path: str) -> str:
    with open(os.path.join(player.cwd, path), encoding="utf-8", errors="replace", newline="") as file:  # noqa: PTH118, PTH123
        return file.read()

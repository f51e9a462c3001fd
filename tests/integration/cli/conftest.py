"""The program as people start it: a process in a folder of its own, with a terminal or without."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pyte
import pytest

from core.orchestrator.control import socket_path
from tests.integration.nursery import Forked

SOURCE = Path(__file__).parents[3]
PATIENCE = 100.0  # seconds; only a failing test waits for so long
# What a command imports; the interpreter itself reads the variables that begin so, at its start.
_WARM = (
    "bot.cli.program",
    "bot.cli.conversation",
    "bot.cli.doctor",
    "bot.cli.running",
    "bot.cli.questions",
    "typer.rich_utils",
    "tests.integration.nursery:read_shipped_settings",
)
_LINES, _COLUMNS = 30, 80
_ONE_TEST = {"test_it.py": "def test_it(): pass\n"}
_OF_THE_INTERPRETER = ("PYTHON", "LANG", "LC_")
_ESCAPES = re.compile(r"\x1b(\[[0-9;?]*[ -/]*[@-~]|\][^\x07]*\x07|[()][A-Z0-9]|[=>])")


@dataclass
class Program:
    """`orchard`, for one folder; forked from a process that has its imports, unless `fresh`."""

    root: Path
    fresh: bool = False
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        kept = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
        return {
            **kept,
            "LANG": "C.UTF-8",
            "PYTHONPATH": str(SOURCE),
            "ORCHARD_ROOT": str(self.root),
            "ORCHARD_WEB__ENABLED": "false",  # what is about it says otherwise
            **self.variables,
        }

    def argv(self, *words: str | Path) -> list[str]:
        return [sys.executable, "-m", "bot", *map(str, words)]

    def __call__(self, *words: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
        """Runs to the end; nothing to read unless `input` is given."""
        typed = options.pop("input", None)
        options = {
            "stdin": subprocess.DEVNULL if typed is None else subprocess.PIPE,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            **options,
        }
        with self._popen(words, options.pop("env", {}), options) as process:
            try:
                said, complained = process.communicate(typed, PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
        assert "Traceback" not in (complained or ""), complained
        return subprocess.CompletedProcess(process.args, process.returncode, said, complained)

    def _popen(
        self, words: tuple[str | Path, ...], more: Mapping[str, str], options: Mapping[str, Any]
    ) -> subprocess.Popen[str]:
        argv, settings = self.argv(*words), {"cwd": self.root, "text": True, **options}
        environment = {**self.environment, **more}
        if self.fresh or any(name.startswith(_OF_THE_INTERPRETER) for name in (*self.variables, *more)):
            return subprocess.Popen(argv, env=environment, **settings)
        return Forked(argv, _WARM, env=environment, **settings)

    def json(self, *words: str | Path) -> Any:
        done = self(*words, "--json")
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)

    def start(self, *words: str | Path, **options: Any) -> subprocess.Popen[str]:
        streams = {
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.STDOUT,
        }
        return self._popen(words, {}, {**streams, **options})

    def is_asked(self) -> bool:
        """Whether somebody has connected to the Orchard that runs here: its socket is there twice then."""
        name = str(socket_path(self.root / ".orch-global"))
        listed = Path("/proc/net/unix").read_text().splitlines()
        return sum(line.endswith(f" {name}") for line in listed) > 1

    def on_terminal(
        self, words: tuple[str, ...], variables: Mapping[str, str], number: int
    ) -> subprocess.Popen[str]:
        """With the terminal of this number for its own: its keys are signals to it."""
        streams = {"stdin": number, "stdout": number, "stderr": number, "start_new_session": True}
        if self.fresh:
            streams["preexec_fn"] = _take_terminal
        return self._popen(words, variables, streams)

    @contextmanager
    def running(self, *flags: str) -> Iterator[Running]:
        """`orchard run`, until the block ends."""
        process = self.start("run", *flags)
        assert process.stdout is not None
        said: list[str] = []
        try:
            for line in process.stdout:
                said.append(line)
                if line.startswith("Ctrl-C"):
                    break
            else:
                pytest.fail(f"Orchard did not start: {''.join(said)}")
            yield Running(process=process, said="".join(said))
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.send_signal(signal.SIGINT)
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            process.stdout.close()


def _take_terminal() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # `nohup make test` has it ignored
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


@dataclass
class Running:
    process: subprocess.Popen[str]
    said: str


class Terminal:
    """A program on a terminal of 80 columns. What it writes is compared without its escape sequences, or as
    they leave the line that the cursor is in."""

    def __init__(self, begin: Callable[[int], subprocess.Popen[str]]) -> None:
        """`begin` starts the program with the number of its terminal for its streams."""
        self._fd, own = pty.openpty()
        fcntl.ioctl(own, termios.TIOCSWINSZ, struct.pack("HHHH", _LINES, _COLUMNS, 0, 0))
        try:
            self._process = begin(own)
        finally:
            os.close(own)
        self.pid = self._process.pid
        self._screen = pyte.Screen(_COLUMNS, _LINES)
        self._stream = pyte.ByteStream(self._screen)
        self._raw = b""
        self._read = 0  # how much of the text was expected already

    @property
    def text(self) -> str:
        return _ESCAPES.sub("", self._raw.decode(errors="replace")).replace("\r", "")

    def type(self, text: str) -> None:
        os.write(self._fd, text.encode())

    def expect(self, text: str) -> str:
        """Waits until `text` was written after what was expected last; gives what came until then."""
        end = time.monotonic() + PATIENCE
        while (at := self.text.find(text, self._read)) < 0:
            if not self._more(end):
                raise AssertionError(f"{text!r} did not come; since then: {self.text[self._read :]!r}")
        before = self.text[self._read : at]
        self._read = at + len(text)
        return before

    def expect_line(self, line: str) -> None:
        """Waits until a person reads this where the cursor is: a program may write what it changes only, so
        that "status" comes as "stat", a move and "us"."""
        end = time.monotonic() + PATIENCE
        while (shown := self._screen.display[self._screen.cursor.y].rstrip()) != line:
            if not self._more(end):
                raise AssertionError(f"{line!r} is not to be read: {shown!r}")

    def enter(self, line: str) -> None:
        """Types a line at the prompt."""
        self.expect("multi-orch>")
        self.type(f"{line}\r")

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    def wait(self) -> int:
        """The exit code."""
        end = time.monotonic() + PATIENCE
        while (code := self._process.poll()) is None:
            if not self._more(end, patience=0.05):
                raise AssertionError(f"it did not end: {self.text[-500:]!r}")
        return code

    def _more(self, end: float, patience: float = 1.0) -> bool:
        """Reads what there is. False when nothing can come any more."""
        if time.monotonic() > end:
            return False
        ready, _, _ = select.select([self._fd], [], [], patience)
        if not ready:
            return True
        try:
            chunk = os.read(self._fd, 65536)
        except OSError:  # the other side is gone
            time.sleep(0.02)
            return patience < 1.0
        if b"\x1b[6n" in chunk:  # where is the cursor?
            os.write(self._fd, b"\x1b[1;1R")
        self._raw += chunk
        self._stream.feed(chunk)
        return True

    def close(self) -> None:
        self._process.kill()
        self._process.wait(PATIENCE)
        os.close(self._fd)


@pytest.fixture
def orchard(tmp_path: Path) -> Program:
    (tmp_path / "orchard").mkdir()
    return Program(tmp_path / "orchard")


@pytest.fixture
def terminal(orchard: Program) -> Iterator[Callable[..., Terminal]]:
    """Starts `orchard WORDS` on a terminal."""
    opened: list[Terminal] = []

    def start(*words: str, **variables: str) -> Terminal:
        opened.append(Terminal(partial(orchard.on_terminal, words, {"TERM": "xterm-256color", **variables})))
        return opened[-1]

    yield start
    for each in opened:
        each.close()


@pytest.fixture
def checkout(tmp_path: Path) -> Callable[..., Path]:
    """Makes a git checkout with one commit and a test, or the files that are given."""

    def make(name: str, files: Mapping[str, str] = _ONE_TEST) -> Path:
        folder = tmp_path / name
        for path, text in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
        who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
        for words in (["init", "-q", "-b", "main"], ["add", "-A"], [*who, "commit", "-q", "-m", "First"]):
            subprocess.run(["git", *words], cwd=folder, check=True)
        return folder

    return make

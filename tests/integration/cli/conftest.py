"""The program as people start it: a process in a folder of its own, with a terminal or without."""

from __future__ import annotations

import contextlib
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
from pathlib import Path
from typing import Any

import pytest

from tests.integration.nursery import Forked

SOURCE = Path(__file__).parents[3]
PATIENCE = 45.0  # seconds; only a failing test waits for so long
# What a command imports; the interpreter itself reads the variables that begin so, at its start.
_WARM = ("bot.cli.program", "bot.cli.conversation", "bot.cli.doctor", "bot.cli.running", "bot.cli.questions")
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


@dataclass
class Running:
    process: subprocess.Popen[str]
    said: str


class Terminal:
    """A program on a terminal of 80 columns. What it writes is compared without its escape sequences."""

    def __init__(self, argv: list[str], environment: Mapping[str, str], folder: Path) -> None:
        self.pid, self._fd = pty.fork()
        if self.pid == 0:  # the child: nothing but exec may happen here
            try:
                signal.signal(signal.SIGHUP, signal.SIG_DFL)  # `nohup make test` has it ignored
                fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 80, 0, 0))
                os.chdir(folder)
                os.execve(argv[0], argv, dict(environment))
            finally:
                os._exit(127)
        self._raw = b""
        self._read = 0  # how much of the text was expected already
        self.code: int | None = None

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

    def enter(self, line: str) -> None:
        """Types a line at the prompt."""
        self.expect("multi-orch>")
        self.type(f"{line}\r")

    def press_until(self, key: str, text: str) -> None:
        """A key again and again, a second apart: the first may come too soon to count.

        Not faster, since the kernel throws away what is being written when it sees Ctrl-C.
        """
        end = time.monotonic() + PATIENCE
        while self.text.find(text, self._read) < 0:
            assert time.monotonic() < end, f"{text!r} did not come: {self.text[self._read :]!r}"
            self.type(key)
            pause = time.monotonic() + 1.0
            while time.monotonic() < pause and self.text.find(text, self._read) < 0:
                self._more(end, patience=0.1)
        self.expect(text)

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def wait(self) -> int:
        """The exit code."""
        end = time.monotonic() + PATIENCE
        while self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.code = os.waitstatus_to_exitcode(status)
            elif not self._more(end, patience=0.05):
                raise AssertionError(f"it did not end: {self.text[-500:]!r}")
        return self.code

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
        return True

    def close(self) -> None:
        if self.code is None:
            with contextlib.suppress(OSError):
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
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
        environment = {**orchard.environment, "TERM": "xterm-256color", **variables}
        opened.append(Terminal(orchard.argv(*words), environment, orchard.root))
        return opened[-1]

    yield start
    for each in opened:
        each.close()


@pytest.fixture
def checkout(tmp_path: Path) -> Callable[[str], Path]:
    """Makes a git checkout with one commit and a test."""

    def make(name: str) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        (folder / "test_it.py").write_text("def test_it(): pass\n")
        who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
        for words in (["init", "-q", "-b", "main"], ["add", "-A"], [*who, "commit", "-q", "-m", "First"]):
            subprocess.run(["git", *words], cwd=folder, check=True)
        return folder

    return make

"""What the drivers of compiled tests share: the signed channel, running programs, judging by exit codes.

A driver is started by Orchard in the tests' sandbox. None of the project's code runs in its process; a test's
outcome is how processes end that run that test alone, whatever they print.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import hmac
import json
import os
import random
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_TAIL = 4000
_PR_SET_DUMPABLE = 4


class Put:
    """Files of the checkout as they were: another run may follow in it."""

    def __init__(self) -> None:
        self._before: dict[str, bytes | None] = {}
        self._left: dict[str, tuple[int, ...]] = {}  # as our own last change of them left them

    def write(self, path: str, text: str, *, add: bool = False) -> None:
        self._keep(path)
        with open(path, "ab" if add else "wb") as file:
            file.write(text.encode(errors="surrogateescape"))
        self._left[path] = _stamp(path)

    def remove(self, path: str) -> None:
        self._keep(path)
        os.unlink(path)
        self._left[path] = ()

    def before(self, path: str) -> str:
        """What is written there, or was before it was touched; "" for nothing."""
        if path in self._before:
            return (self._before[path] or b"").decode(errors="surrogateescape")
        try:
            with open(path, "rb") as file:
                return file.read().decode(errors="surrogateescape")
        except OSError:
            return ""

    def _keep(self, path: str) -> None:
        if path not in self._before:
            known = os.path.isfile(path)
            self._before[path] = self.before(path).encode(errors="surrogateescape") if known else None

    def back(self, driver: Driver) -> None:
        """Tells what was changed, and what of it somebody else has changed since."""
        top = driver.told["checkout"]
        changed = [path for path, stamp in self._left.items() if _stamp(path) != stamp]
        driver.send(
            "put back",
            files=[os.path.relpath(path, top) for path in self._before],
            changed=[os.path.relpath(path, top) for path in changed],
        )
        for path, content in self._before.items():
            if content is not None:
                with open(path, "wb") as file:
                    file.write(content)
            elif os.path.lexists(path):
                os.unlink(path)


def _stamp(path: str) -> tuple[int, ...]:
    """Empty for a file that is not there."""
    try:
        found = os.lstat(path)
    except OSError:
        return ()
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


class Driver:
    """Reads what it is told from standard input; writes records to the channel."""

    def __init__(self) -> None:
        # Its open files are then closed to other processes of the same user.
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
        self.told: dict[str, Any] = json.loads(sys.stdin.buffer.read())
        self._key = bytes.fromhex(self.told.pop("key"))
        self._channel = int(os.environ.pop("ORCHARD_PROBE"))
        os.set_inheritable(self._channel, False)
        self._last = b""
        self._held: dict[str, tuple[str, tuple[int, ...]]] = {}

    def send(self, kind: str, **facts: object) -> None:
        payload = json.dumps({"kind": kind, **facts}).encode()
        self._last = hmac.new(self._key, self._last + payload, hashlib.sha256).hexdigest()[:32].encode()
        line = self._last + b" " + payload + b"\n"
        while line:
            line = line[os.write(self._channel, line) :]

    def hold(self, unit: str, program: str) -> None:
        """Call it at once when the program was built: tests of others run between that and its own."""
        self._held[program] = (unit, _stamp(program))

    def tell_swapped(self) -> None:
        for program, (unit, stamp) in self._held.items():
            if _stamp(program) != stamp:
                self.send("swapped", unit=unit)

    def canaries(self) -> tuple[str, str]:
        """Names of one unit's canaries: (failing, passing)."""
        return self.told["failing"] + secrets.token_hex(8), self.told["passing"] + secrets.token_hex(8)


@dataclass(frozen=True)
class Ran:
    code: int  # negative: the signal
    output: str  # both streams, whole
    seconds: float


def run(argv: Sequence[str], *, cwd: str, env: dict[str, str], apart: bool = False) -> Ran:
    """Waits for the program itself, not for what it leaves behind: that is killed. `apart`: only its standard
    output counts as its output, the rest goes where ours goes.
    """
    began = time.monotonic()
    with tempfile.TemporaryFile() as said:
        with subprocess.Popen(
            list(argv),
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=None if apart else said,
            start_new_session=True,
        ) as process:
            code = process.wait()
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
        said.seek(0)
        text = said.read().decode(errors="replace")
    return Ran(code=code, output=text, seconds=time.monotonic() - began)


@dataclass(frozen=True)
class Binary:
    """One compiled test program, in which the canaries are."""

    unit: str  # what its tests are named by, relative to the project's folder
    cwd: str
    env: dict[str, str]
    failing: str
    passing: str
    failed_code: int  # of a run in which a test failed
    argv: Callable[[Sequence[str]], list[str]]  # a run of these tests, one after another
    file_of: Callable[[str], str]  # of a test, relative to the project's folder
    skipped: Callable[[str, str], bool]  # a test that passed, by its name and what it printed
    by_file: bool = False  # its tests are named by their files


def judge(
    driver: Driver, binary: Binary, names: Sequence[str], ignored: Sequence[str], *, bare: bool
) -> None:
    """Each test in two processes: beside the canary that passes, and beside the one that must fail.

    A test that ends its process early with success ends it so in both. Which of the two comes first is drawn,
    and both canaries are called alike: what a process can see of its arguments does not tell which it is in.
    `bare`: the program may be without tests and canaries, since its source asks for that.
    """
    aside = (binary.failing, binary.passing)
    found = {name.rpartition("::")[2]: name for name in names if name.rpartition("::")[2] in aside}
    codes = {
        name: run(binary.argv([found[name]]), cwd=binary.cwd, env=binary.env).code if name in found else None
        for name in aside
    }
    driver.send(
        "unit",
        unit=binary.unit,
        failing=_word(codes[binary.failing], binary.failed_code),
        passing=_word(codes[binary.passing], binary.failed_code),
        bare=bare and not names and not ignored,
    )
    for name in names:
        if name in ignored:
            _tell(driver, binary, name, Ran(0, "", 0.0), skipped=True)
        elif name not in found.values():
            ran, heard = _beside_both(binary, name, found)
            skipped = ran.code == 0 and binary.skipped(name, ran.output)
            _tell(driver, binary, name, ran, skipped=skipped, early=ran.code == 0 and not heard)


def _word(code: int | None, failed: int) -> str:
    if code is None:
        return "missing"
    return {0: "passed", failed: "failed"}.get(code, f"ended with code {code}")


def _beside_both(binary: Binary, name: str, found: Mapping[str, str]) -> tuple[Ran, bool]:
    """The test's own run, and whether the failing canary was heard beside it."""
    ran: dict[str, Ran] = {}
    for canary in random.SystemRandom().sample((binary.failing, binary.passing), 2):
        beside = [found[canary]] if canary in found else []
        ran[canary] = run(binary.argv([name, *beside]), cwd=binary.cwd, env=binary.env)
    own = ran[binary.passing]
    lines = own.output.splitlines(keepends=True)
    output = "".join(line for line in lines if binary.passing not in line)
    heard = binary.failing not in found or ran[binary.failing].code == binary.failed_code
    return Ran(own.code, output, own.seconds), heard


def _tell(driver: Driver, binary: Binary, name: str, ran: Ran, *, skipped: bool, early: bool = False) -> None:
    word = "skipped" if skipped else "ok" if ran.code == 0 else "FAILED"
    unit = binary.file_of(name) if binary.by_file else binary.unit
    print(f"{unit}::{name} ... {word}", flush=True)
    if ran.code != 0:
        print(ran.output[-_TAIL:], flush=True)
    driver.send(
        "test",
        unit=unit,
        name=name,
        file=binary.file_of(name),
        code=ran.code,
        skipped=skipped,
        early=early,
        seconds=round(ran.seconds, 4),
        output=ran.output[-_TAIL:] if ran.code != 0 else "",
    )

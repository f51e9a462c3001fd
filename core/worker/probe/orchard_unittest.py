"""Runs unittest's tests in the project's interpreter, where there is no pytest, and tells their outcomes.

    <project's python> orchard_unittest.py        what to do comes as JSON by standard input

Two tests of Orchard's come last, in the same session. Standard library only; Python 3.8 and newer.
"""

from __future__ import annotations

import hashlib
import hmac
import importlib
import json
import os
import sys
import time
import traceback
import unittest
from typing import Any, Dict, List, Tuple  # noqa: UP035 - read by Python 3.8

_TEXT = 4000


class Channel:
    """Signed records to Orchard's pipe; unittest's and the project's code never see the key."""

    def __init__(self, fd: int, key: bytes) -> None:
        os.set_inheritable(fd, False)
        last = b""

        def send(record: Dict[str, Any]) -> None:  # noqa: UP006
            nonlocal last
            payload = json.dumps(record).encode()
            last = hmac.new(key, last + payload, hashlib.sha256).hexdigest()[:32].encode()
            line = last + b" " + payload + b"\n"
            while line:
                line = line[os.write(fd, line) :]

        self.send = send


class Result(unittest.TestResult):
    def __init__(self, channel: Channel, tree: Any, facts: Any, top: str) -> None:
        super().__init__()
        self._channel, self._tree, self._facts, self._cwd = channel, tree, facts, os.getcwd()
        self._tree_top = os.path.realpath(top)
        self._began = 0.0
        self._bad = False

    def startTest(self, test: Any) -> None:  # unittest's own names
        super().startTest(test)
        self._began, self._bad = time.monotonic(), False

    def addSuccess(self, test: Any) -> None:
        if not self._bad:  # a part of it may have failed
            self._tell(test, "passed")

    def addFailure(self, test: Any, err: Any) -> None:
        self._tell(test, "failed", err)

    def addError(self, test: Any, err: Any) -> None:
        self._tell(test, "failed", err)

    def addSubTest(self, test: Any, subtest: Any, err: Any) -> None:
        if err is not None:
            self._bad = True
            self._tell(test, "failed", err)

    def addSkip(self, test: Any, reason: str) -> None:
        error = sys.exc_info()[1]
        marked = getattr(type(test), "__unittest_skip__", False) or getattr(
            getattr(test, getattr(test, "_testMethodName", ""), None), "__unittest_skip__", False
        )
        by = self._file(test) if marked else ""
        if not marked and error is not None:
            by = self._facts.skipped_by(error, self._tree) or ""
        self._tell(test, "skipped", text=str(reason), skipped_by=by)

    def addExpectedFailure(self, test: Any, err: Any) -> None:
        self._tell(test, "skipped", expected=True, skipped_by=self._file(test))

    def addUnexpectedSuccess(self, test: Any) -> None:
        self._tell(test, "failed", text="Unexpected success")

    def _file(self, test: Any) -> str:
        module = sys.modules.get(type(test).__module__)
        path: str = self._tree.relative(getattr(module, "__file__", None))
        return path

    def _tell(self, test: Any, outcome: str, err: Any = None, text: str = "", **more: Any) -> None:
        name = getattr(test, "_testMethodName", None) or str(test)
        file = self._file(test)
        local = os.path.relpath(os.path.join(self._tree_top, file), self._cwd) if file else ""
        record = {
            "kind": "report",
            "classname": "::".join(part for part in (local, type(test).__qualname__) if part),
            "name": name,
            "when": "call",
            "outcome": outcome,
            "expected": False,
            "seconds": round(time.monotonic() - self._began, 6) if self._began else 0.0,
            "file": file,
            "text": text,
            **more,
        }
        if err is not None:
            record["failure"] = self._facts.describe(err[1], "call", self._tree)
            record["text"] = "".join(traceback.format_exception(*err))[-_TEXT:]
        print(f"{record['classname']}::{name} ... {outcome}", flush=True)
        if err is not None:
            print(record["text"], flush=True)
        self._channel.send(record)


def blunted() -> List[str]:  # noqa: UP006
    """Which assertions do not bite any more. Called when all of the project's tests are over."""
    case = unittest.TestCase()
    found = []
    for name, arguments in (
        ("assertEqual", (1, 2)), ("assertTrue", (False,)), ("assertFalse", (True,)), ("assertIn", (1, [])),
        ("assertIs", (1, None)), ("assertIsNone", (1,)), ("assertListEqual", ([1], [2])), ("fail", ()),
    ):  # fmt: skip
        try:
            getattr(case, name)(*arguments)
        except AssertionError:
            continue
        found.append(f"unittest.TestCase.{name}")
    return found


def _load(file: str) -> Tuple[str, str]:  # noqa: UP006
    """The folder to import a test file from, and its module's name: packages reach up as far as they go."""
    folder, name = os.path.dirname(file), os.path.basename(file)[:-3]
    while os.path.isfile(os.path.join(folder, "__init__.py")):
        folder, above = os.path.dirname(folder), os.path.basename(folder)
        name = f"{above}.{name}"
    return folder, name


def main() -> int:
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [path for path in sys.path if path != here] + [here]
    import orchard_facts
    import orchard_settings

    settings = orchard_settings.take()
    if settings is None:
        sys.stderr.write("orchard_unittest: not started by Orchard\n")
        return 4
    channel = Channel(settings.pop("fd"), bytes.fromhex(settings.pop("key")))
    failing, passing = settings.pop("failing"), settings.pop("passing")
    files = settings["files"]
    tree = orchard_facts.Tree(settings["checkout"])
    sys.path.insert(0, os.getcwd())
    sys.argv[:] = ["python -m unittest"]
    channel.send({"kind": "began"})
    result = Result(channel, tree, orchard_facts, settings["checkout"])
    for file in files:
        suite = _suite(file, channel, tree, orchard_facts)
        if suite is not None:
            suite.run(result)
    _canaries(result, channel, failing, passing)
    channel.send({"kind": "ended"})
    sys.stdout.flush()
    return 0


def _suite(file: str, channel: Channel, tree: Any, facts: Any) -> Any:
    """None for a file that cannot be imported, which is told."""
    folder, name = _load(file)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    record = {"kind": "collect", "file": tree.relative(file), "classname": "", "name": name}
    try:
        module = importlib.import_module(name)
        known = os.path.realpath(module.__file__ or "")
        if known != os.path.realpath(file):
            raise ImportError(f"{name} is the name of {known} too: make their folders packages")
        return unittest.defaultTestLoader.loadTestsFromModule(module)
    except unittest.SkipTest as skip:
        channel.send({**record, "outcome": "skipped", "text": str(skip)})
    except BaseException as error:
        text = "".join(traceback.format_exception(type(error), error, error.__traceback__))[-_TEXT:]
        print(text, flush=True)
        failure = facts.describe(error, "collect", tree)
        channel.send({**record, "outcome": "failed", "failure": failure, "text": text})
    return None


def _canaries(result: Result, channel: Channel, failing: str, passing: str) -> None:
    def fails(self: Any) -> None:
        raise AssertionError("as it must")

    def passes(self: Any) -> None:
        pass

    case = type("Canary", (unittest.TestCase,), {failing: fails, passing: passes})
    send = channel.send
    dull = blunted()

    def with_assertions(record: Dict[str, Any]) -> None:  # noqa: UP006
        send({**record, "blunted": dull} if record.get("name") == failing else record)

    channel.send = with_assertions
    unittest.TestSuite([case(failing), case(passing)]).run(result)
    channel.send = send


if __name__ == "__main__":
    sys.exit(main())

"""Orchard's eye inside the project's pytest session, loaded by `-p` from outside of the checkout.

PYTEST_DONT_REWRITE. pytest 7 and newer, Python 3.8 and newer, standard library otherwise.

It adds two canaries to the session, compares what each test raised with what is reported, and writes each
outcome at once to a pipe that Orchard holds: one line `<mac> <json>` a record, each mac over the one before
and the record, so that lines written or dropped by somebody else show. What it must know comes by standard
input, once, and is not kept where `sys.argv`, the environment or a module's globals would show it.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import sys
import types
import unittest
from typing import Any, Callable, Dict, Generator, List, Optional  # noqa: UP035 - read by Python 3.8

import orchard_facts
import orchard_settings
import pytest

NAME = "orchard_probe"
_TEXT = 4000  # characters of a report's text
_KEPT_BYTES = 4 << 20  # of what one step of one test prints

Record = Dict[str, Any]  # noqa: UP006
Send = Callable[[Record], None]


def open_channel(fd: int, key: bytes) -> Send:
    """A function that appends one record to the pipe. It keeps the key to itself."""
    pipe = os.dup(fd)  # not inherited by the programs that tests start
    os.close(fd)
    owner = os.getpid()
    last = [b""]

    def send(record: Record) -> None:
        if os.getpid() != owner:
            return  # a fork of the session
        payload = json.dumps(record, ensure_ascii=True).encode()
        last[0] = hmac.new(key, last[0] + payload, hashlib.sha256).hexdigest()[:32].encode()
        line = last[0] + b" " + payload + b"\n"
        while line:
            line = line[os.write(pipe, line) :]

    return send


class Probe:
    """The plugin object of the process that owns the session. In an xdist worker it has no channel."""

    def __init__(self, settings: Record, send: Optional[Send]) -> None:  # noqa: UP045
        self._send = send
        self._failing: str = settings["failing"]
        self._passing: str = settings["passing"]
        self._root: str = settings["root"]
        self._select: List[str] = settings["select"]  # noqa: UP006
        self.report: str = settings.get("report", "")
        self._output_limit: int = settings.get("output_limit", 1 << 62)
        self._tree = orchard_facts.Tree(self._root)
        self._paths: Dict[str, str] = {}  # noqa: UP006

    # --- the session

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self, session: pytest.Session) -> None:
        if self._send is not None:
            version = ".".join(str(part) for part in sys.version_info[:3])
            self._send({"kind": "began", "pytest": pytest.__version__, "python": version})

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """xdist: what its workers must know to collect the same tests."""
        node.workerinput[NAME] = {
            "failing": self._failing,
            "passing": self._passing,
            "root": self._root,
            "select": self._select,
        }

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """After every deselection and reordering: narrow down, then set the canaries around what is left.

        The failing one comes last, when all code under test has had its chance to tamper. None stands between
        two of the project's tests, where it would tear down the fixtures that they share.
        """
        if self._select:
            wanted = set(self._select)
            session.items[:] = [item for item in session.items if self._path_of(item) in wanted]
        file = CanaryFile.from_parent(session, path=_here())
        first = Canary.from_parent(file, name=self._passing, callobj=_passes)
        last = Canary.from_parent(file, name=self._failing, callobj=_failing(self._failing))
        session.items.insert(0, first)
        session.items.append(last)

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, Any, None]:
        manager = session.config.pluginmanager
        if "hypothesis" not in sys.modules and manager.hasplugin("hypothesispytest"):
            # For a summary that can only be empty it would import all of hypothesis: 0.6 s, and 3 s where
            # that was never compiled with pytest's assertions.
            manager.unregister(name="hypothesispytest")
        yield
        if self._send is None:
            return
        digest = ""
        if self.report and os.path.exists(self.report):
            with open(self.report, "rb") as file:
                digest = hashlib.sha256(file.read()).hexdigest()
        self._send({"kind": "ended", "status": int(session.exitstatus), "report": digest})

    def pytest_internalerror(self, excrepr: Any) -> None:
        if self._send is not None:
            self._send({"kind": "internal", "text": str(excrepr)[-_TEXT:]})

    # --- collection

    @pytest.hookimpl(hookwrapper=True)
    def pytest_make_collect_report(self, collector: Any) -> Generator[None, Any, None]:
        outcome = yield
        report = outcome.get_result()
        if report.passed:
            return
        call = getattr(report, "call", None)
        path = self._tree.relative(str(getattr(collector, "path", "") or ""))
        facts: Record = {"file": path}
        if call is not None and call.excinfo is not None:
            facts["failure"] = orchard_facts.describe(call.excinfo.value, "collect", self._tree)
        report.orchard = facts

    def pytest_collectreport(self, report: Any) -> None:
        if self._send is None or report.passed:
            return
        facts = getattr(report, "orchard", None) or {}
        self._send(
            {"kind": "collect", "outcome": report.outcome, **_named(report), **facts, "text": _text(report)}
        )

    # --- what tests print

    @pytest.hookimpl(hookwrapper=True, trylast=True)
    def pytest_runtest_setup(self, item: Any) -> Generator[None, Any, None]:
        yield
        self._shorten_capture(item)

    @pytest.hookimpl(hookwrapper=True, trylast=True)
    def pytest_runtest_call(self, item: Any) -> Generator[None, Any, None]:
        yield
        self._shorten_capture(item)

    @pytest.hookimpl(hookwrapper=True, trylast=True)
    def pytest_runtest_teardown(self, item: Any) -> Generator[None, Any, None]:
        yield
        self._shorten_capture(item)

    def _shorten_capture(self, item: Any) -> None:
        """Before pytest reads what a test printed into memory, as a whole. Innermost of all wrappers."""
        manager = item.config.pluginmanager.getplugin("capturemanager")
        captures = getattr(manager, "_global_capturing", None)
        for name in ("out", "err"):
            file: Any = getattr(getattr(captures, name, None), "tmpfile", None)
            try:
                number = file.fileno()
                size = os.fstat(number).st_size
            except (AttributeError, OSError, ValueError):
                continue  # another way of capturing, in memory
            if size > _KEPT_BYTES:
                os.ftruncate(number, _KEPT_BYTES)
            if self._send is not None and size > self._output_limit:
                self._send({"kind": "flooded", **_named(item)})

    # --- tests

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_makereport(self, item: Any, call: Any) -> Generator[None, Any, None]:
        own = call.excinfo  # before pytest puts an exception of its own in place of unittest's
        outcome = yield
        report = outcome.get_result()
        facts: Record = {"file": self._path_of(item)}
        if report.skipped:
            facts["skipped_by"] = self._skipped_by(item, own or call.excinfo)
        if call.excinfo is not None:
            error = call.excinfo.value
            facts["raised"] = type(error).__name__
            if not _is_control_flow(error):
                facts["failure"] = orchard_facts.describe(error, call.when, self._tree)
        if item.name == self._failing and call.when == "call":
            facts["blunted"] = blunted()
        report.orchard = facts

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: Any) -> None:
        if self._send is None:
            return
        facts = getattr(report, "orchard", None) or {}
        record = {
            "kind": "report",
            **_named(report),
            "when": report.when,
            "outcome": report.outcome,
            "expected": hasattr(report, "wasxfail"),
            "seconds": round(float(getattr(report, "duration", 0.0)), 6),
            **facts,
        }
        if not report.passed:
            record["text"] = _text(report)
        self._send(record)

    def _skipped_by(self, item: Any, info: Any) -> str:
        """The file that has a test skipped or expected to fail: by a call in it, or by a mark on the test."""
        if info is not None and _is_control_flow(info.value):
            path: Optional[str] = orchard_facts.skipped_by(info.value, self._tree)  # noqa: UP045
            if path is not None:
                return path
        return self._path_of(item) if _is_marked(item) else ""

    def _path_of(self, item: Any) -> str:
        path: str = self._tree.relative(str(getattr(item, "path", "") or ""))
        return path


class CanaryFile(pytest.Module):
    """Stands for this file, which no conftest of the project applies to."""

    def _getobj(self) -> Any:
        return types.ModuleType("canaries")


class Canary(pytest.Function):
    """A test function like the project's own, but for its fixtures: an honest autouse fixture that suits only
    the project's tests must not break it."""

    def setup(self) -> None:
        pass

    def repr_failure(self, excinfo: Any, style: Any = None) -> Any:
        return self.name  # one line, which Orchard takes out of what people see


def _passes() -> None:
    pass


def _failing(name: str) -> Callable[[], None]:
    def fails() -> None:
        raise AssertionError(name)

    return fails


def blunted() -> List[str]:  # noqa: UP006
    """Which ways of asserting do not bite any more. Called when all of the project's tests are over."""
    found = []
    try:
        unittest.TestCase().assertEqual(1, 2)  # noqa: PT009
        found.append("unittest.TestCase.assertEqual")
    except AssertionError:
        pass
    try:
        unittest.TestCase().assertTrue(False)  # noqa: PT009
        found.append("unittest.TestCase.assertTrue")
    except AssertionError:
        pass
    try:
        with pytest.raises(ZeroDivisionError):
            pass
        found.append("pytest.raises")
    except pytest.fail.Exception:
        pass
    if pytest.approx(1.0) == 2.0:
        found.append("pytest.approx")
    return found


def _is_control_flow(error: BaseException) -> bool:
    kinds = (pytest.skip.Exception, pytest.xfail.Exception, unittest.SkipTest)
    return isinstance(error, kinds)


def _is_marked(item: Any) -> bool:
    if any(True for name in ("skip", "skipif", "xfail") for _ in item.iter_markers(name)):
        return True
    holders = (getattr(item, "obj", None), getattr(item, "cls", None))
    names = ("__unittest_skip__", "__unittest_expecting_failure__")
    return any(getattr(holder, name, False) for holder in holders for name in names)


def _named(report: Any) -> Record:
    """The JUnit identity of a report, by pytest's own rule."""
    from _pytest.junitxml import bin_xml_escape, mangle_test_address

    names = mangle_test_address(report.nodeid)
    return {"classname": ".".join(names[:-1]), "name": str(bin_xml_escape(names[-1]))}


def _text(report: Any) -> str:
    try:
        if isinstance(report.longrepr, tuple):  # a skip: where, in which line, why
            return str(report.longrepr[2])[-_TEXT:]
        return str(report.longreprtext)[-_TEXT:]
    except Exception as trouble:  # a plugin's own report class
        return f"({trouble!r})"


def _here() -> Any:
    from pathlib import Path

    return Path(os.path.abspath(__file__))


def start(settings: Record) -> "Probe":  # noqa: UP037
    return Probe(settings, open_channel(settings["fd"], bytes.fromhex(settings["key"])))


_ready: List[Probe] = []  # noqa: UP006 - made before pytest reads its plugins, handed over in pytest_configure


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    worker = getattr(config, "workerinput", None)
    if worker is not None:
        config.pluginmanager.register(Probe(worker[NAME], None), NAME + "_worker")
        return
    if not _ready:
        return  # a session that a test runs inside of this one
    option = config.option
    for name in ("stepwise", "stepwise_skip", "lf", "failedfirst", "newfirst", "collectonly"):
        if hasattr(option, name):
            setattr(option, name, False)
    option.maxfail = 0
    if _ready[0].report:
        option.xmlpath = _ready[0].report  # a command's own --junitxml would win over the environment's
        option.junitprefix = None
    config.pluginmanager.register(_ready.pop(), NAME + "_session")


_settings = orchard_settings.take()
if _settings is not None:
    _ready.append(start(_settings))
del _settings

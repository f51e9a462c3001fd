"""Runs a Maven project's tests with surefire and hands on its reports, signed. See orchard_driver.

The reports are written by Maven's own process, not by the one in which tests run. Two tests of Orchard's are
added to each module, in a package that comes last.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from typing import Any

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from orchard_driver import Driver, Put, Ran, run

_ROUNDS = 4  # of builds, each without the test files that do not compile
_REPORT_BYTES = 16 << 20
_SKIPPED = frozenset({".git", "target", "node_modules"})
_TEST = {
    "jupiter": ("org.junit.jupiter.", "org.junit.jupiter.api.Test", "org.junit.jupiter.api.Assertions"),
    "junit4": ("org.junit.", "org.junit.Test", "org.junit.Assert"),
    "testng": ("org.testng.", "org.testng.annotations.Test", "org.testng.Assert"),
}
_CANARY = """package {package};

public class CanaryTest {{
    private static boolean bites(Runnable tried) {{
        try {{ tried.run(); }} catch (AssertionError expected) {{ return true; }}
        return false;
    }}
    @{test} public void {failing}() {{
        boolean all = bites(() -> {asserts}.assertEquals(1, 2))
            & bites(() -> {asserts}.assertEquals("a", "b"))
            & bites(() -> {asserts}.assertTrue(false))
            & bites(() -> {asserts}.assertFalse(true))
            & bites(() -> {asserts}.assertNull("a"))
            & bites(() -> {asserts}.fail("as it must"));
        if (all) throw new AssertionError("as it must");
    }}
    @{test} public void {passing}() {{}}
}}
"""
_ERROR = re.compile(
    r"^\[ERROR\] (?P<file>/[^\n]*?\.java):\[(?P<at>\d+,\d+)\] (?P<message>[^\n]*)\n"
    r"(?P<more>(?:(?:\[ERROR\])? {2,}[^\n]*\n)*)",
    re.MULTILINE,
)
_PACKAGE = re.compile(r"^\s*package\s+([\w.]+)\s*;", re.MULTILINE)
_FAILED_GOAL = re.compile(
    r"^\[ERROR\] (?:Failed to execute goal [^\n]*|The goal you [^\n]*|[^\n]*offline mode[^\n]*)", re.MULTILINE
)
# What Maven's own process says when a class is done: tests can add to what it prints, and take nothing back.
_FAILED_CLASS = re.compile(
    r"^\[[A-Z]+\] Tests run: \d+, Failures: \d+, Errors: \d+, [^\n]*<<< (?:FAILURE|ERROR)![^\n]*? in (\S+)$",
    re.MULTILINE,
)
_RAN = re.compile(
    r"surefire[^\n]*:test \(|T E S T S|There are test failures|Tests are skipped|forked VM|No tests to run"
)


class Maven:
    def __init__(self, driver: Driver) -> None:
        self.driver = driver
        told = driver.told
        self.cwd, self.checkout = told["cwd"], told["checkout"]
        self.select = set(told["select"])
        self.repository = told["repository"]
        self.files = Put()
        self.env = {**os.environ, "MAVEN_OPTS": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC", "CI": "1"}
        self.classes: dict[str, str] = {}  # of the project: name -> file
        self.canaries: dict[str, tuple[str, str, str]] = {}  # by module: class, failing, passing

    def main(self) -> None:
        modules: dict[str, list[str]] = {}
        for folder, names, files in os.walk(self.cwd):
            names[:] = [name for name in names if name not in _SKIPPED]
            for name in files:
                if name.endswith(".java"):
                    self._know(os.path.join(folder, name), modules)
        for module, tests in modules.items():
            self._add_canaries(module, tests)
        self.tests = {test for tests in modules.values() for test in tests}
        ran = self._build(modules)
        if ran is not None:
            self._reports(modules, ran)

    def _know(self, path: str, modules: dict[str, list[str]]) -> None:
        found = _PACKAGE.search(self.files.before(path))
        simple = os.path.basename(path).removesuffix(".java")
        self.classes[f"{found[1]}.{simple}" if found else simple] = path
        module, inside, _ = path.partition("/src/test/java/")
        if inside and os.path.isfile(os.path.join(module, "pom.xml")):
            modules.setdefault(module, []).append(path)

    def _add_canaries(self, module: str, tests: list[str]) -> None:
        text = "\n".join(self.files.before(path) for path in tests)
        kind = next((kind for kind, (begins, _, _) in _TEST.items() if begins in text), "")
        if not kind:
            return
        failing, passing = self.driver.canaries()
        package = f"zzz_{passing}"
        _, test, asserts = _TEST[kind]
        folder = os.path.join(module, "src", "test", "java", package)
        os.mkdir(folder)
        self.files.write(
            os.path.join(folder, "CanaryTest.java"),
            _CANARY.format(package=package, test=test, asserts=asserts, failing=failing, passing=passing),
        )
        self.canaries[module] = (f"{package}.CanaryTest", failing, passing)

    def back(self) -> None:
        self.files.back(self.driver)
        for module, (name, _, _) in self.canaries.items():
            shutil.rmtree(os.path.join(module, "src/test/java", name.partition(".")[0]), ignore_errors=True)

    # --- building and running

    def _maven(self) -> Ran:
        words = ["mvn", "--offline", "--batch-mode", "-ntp", "-fae", "-Dstyle.color=never", "test"]
        words += [f"-Dmaven.repo.local={self.repository}", "-Dmaven.legacyLocalRepo=true"]
        words += ["-DskipTests=false", "-Dmaven.test.skip=false", "-Dmaven.test.failure.ignore=false"]
        words += ["-Dsurefire.runOrder=alphabetical", "-DtrimStackTrace=false"]
        if self.select:
            wanted = [name for name, path in self.classes.items() if path in self.select]
            wanted += [name for name, _, _ in self.canaries.values()]
            words += [f"-Dtest={','.join(wanted)}", "-DfailIfNoSpecifiedTests=false"]
            words += ["-Dsurefire.failIfNoSpecifiedTests=false"]
        return run(words, cwd=self.cwd, env=self.env)

    def _build(self, modules: dict[str, list[str]]) -> Ran | None:
        """None: nothing could be run, and why is told."""
        for module in modules or [self.cwd]:
            shutil.rmtree(os.path.join(module, "target"), ignore_errors=True)
        for _ in range(_ROUNDS):
            ran = self._maven()
            print(ran.output[-8000:], flush=True)
            errors = self._errors(ran.output)
            if not errors:
                goal = _FAILED_GOAL.search(ran.output)
                if ran.code != 0 and goal and not _RAN.search(ran.output):
                    self.driver.send("stopped", why=f"Maven could not run the tests: {goal[0][8:300]}")
                    return None
                return ran
            if all("/zzz_" in path for path in errors):
                self.driver.send(
                    "stopped", why="a test that Orchard adds does not compile beside the project's"
                )
                return None
            mine = {path: found for path, found in errors.items() if path in self.tests}
            for path, found in (mine or errors).items():
                self.driver.send("broken", unit=self._local(path), errors=found[:20])
            if not mine:  # the code itself does not compile
                for path in sorted(self.tests):
                    if os.path.exists(path):
                        self.driver.send("unbuilt", unit=self._local(path))
                return None
            for path in mine:
                self.files.remove(path)
        self.driver.send("stopped", why="test files that do not compile keep others from compiling")
        return None

    def _errors(self, output: str) -> dict[str, list[dict[str, Any]]]:
        found: dict[str, dict[str, dict[str, Any]]] = {}
        for error in _ERROR.finditer(output):
            path = os.path.normpath(error["file"])
            if not path.startswith(self.checkout + "/"):
                continue
            more = error["more"].replace("[ERROR]", "")
            known = found.setdefault(path, {})
            if error["at"] not in known or more.strip():
                known[error["at"]] = self._error(path, error["message"], more)
        return {path: list(errors.values()) for path, errors in found.items()}

    def _error(self, path: str, message: str, more: str) -> dict[str, Any]:
        package = _PACKAGE.search(self.files.before(path))
        code = {name: file for name, file in self.classes.items() if "/src/test/" not in file}
        return {
            "message": message,
            "more": more,
            "text": f"{self._local(path)}: {message}\n{more}",
            "file": self._from_top(path),
            "package": package[1] if package else "",
            "code": {name: self._from_top(file) for name, file in code.items()},
            "own": {name: self._from_top(file) for name, file in self.classes.items() if name not in code},
        }

    def _reports(self, modules: dict[str, list[str]], ran: Ran) -> None:
        files = {name: self._local(path) for name, path in self.classes.items()}
        self.driver.send("classes", files=files, folder=os.path.relpath(self.cwd, self.checkout))
        for module in modules:
            reports = os.path.join(module, "target", "surefire-reports")
            name, failing, passing = self.canaries.get(module, ("", "", ""))
            left = any(os.path.exists(path) for path in modules[module])
            unit = self._local(module)
            self.driver.send("module", unit="the module" if unit == "." else unit, name=name, failing=failing,
                             passing=passing, empty=not left)  # fmt: skip
            for file in sorted(os.listdir(reports)) if os.path.isdir(reports) else ():
                path = os.path.join(reports, file)
                if file.startswith("TEST-") and file.endswith(".xml") and not os.path.islink(path):
                    with open(path, "rb") as report:
                        text = report.read(_REPORT_BYTES).decode(errors="replace")
                    self.driver.send("report", text=text, of=file[len("TEST-") : -len(".xml")])
        self.driver.send("maven", code=ran.code, failed=sorted(set(_FAILED_CLASS.findall(ran.output))))

    def _local(self, path: str) -> str:
        return os.path.relpath(path, self.cwd)

    def _from_top(self, path: str) -> str:
        return os.path.relpath(path, self.checkout)


if __name__ == "__main__":
    driver = Driver()
    driver.send("began")
    maven = Maven(driver)
    try:
        maven.main()
    finally:
        maven.back()
    driver.send("ended")

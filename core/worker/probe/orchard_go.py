"""Builds a Go module's tests with go and runs each test in a process of its own. See orchard_driver."""

from __future__ import annotations

import json
import os
import re
import sys
from typing import Any

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from orchard_driver import Binary, Driver, Put, Ran, judge, run

_ROUNDS = 4  # of builds, each without the test files that do not compile
_FAILED = 1
_CANARY = """package {package}

import "testing"

func {failing}(t *testing.T) {{ t.Fatal("as it must") }}
func {passing}(t *testing.T) {{}}
"""
_ERROR = re.compile(
    r"^(?:vet: )?(?P<file>[^\s:][^:\n]*\.go):(?P<line>\d+)(?::\d+)?: (?P<message>.*)$", re.MULTILINE
)
_TEST = re.compile(r"^(?:Test|Fuzz|Example)\w*$")
_FUNCTION = re.compile(r"^func ((?:Test|Fuzz|Example)\w*)\(", re.MULTILINE)
_DEFINED = re.compile(r"^\s*(?:type|func|var|const)\s+(\w+)", re.MULTILINE)
_DOT = re.compile(r'^\s*(?:import\s+)?\.\s+"', re.MULTILINE)
_IMPORT = re.compile(r'^\s*(?:import\s+)?(?P<name>[\w.]+\s+)?"(?P<path>[^"\n]+)"', re.MULTILINE)


class Go:
    def __init__(self, driver: Driver) -> None:
        self.driver = driver
        told = driver.told
        self.cwd, self.checkout, self.cache = told["cwd"], told["checkout"], told["cache"]
        self.select = set(told["select"])
        self.files = Put()
        self.env = {**os.environ, "GOCACHE": os.path.join(self.cache, "go-build"), "GOPROXY": "off"}
        self.env |= {"GOMODCACHE": told["modules"], "GOSUMDB": "off"}
        self.env |= {"GOFLAGS": "", "GOENV": "off", "CI": "1", "UPDATE_SNAPS": "false", "NO_COLOR": "1"}

    def main(self) -> None:
        ran = run(["go", "list", "-e", "-json", "./..."], cwd=self.cwd, env=self.env, apart=True)
        if ran.code != 0:
            self.driver.send("stopped", why=f"go cannot read the module (exit code {ran.code})")
            return
        self.packages = list(_documents(ran.output))
        for number, package in enumerate(self.packages):
            tests = [*package.get("TestGoFiles", ()), *package.get("XTestGoFiles", ())]
            tests += [name for name in package.get("InvalidGoFiles", ()) if name.endswith("_test.go")]
            paths = [os.path.join(package["Dir"], name) for name in dict.fromkeys(tests)]
            if paths and (not self.select or self.select & set(paths)):
                self._package(package, paths, os.path.join(self.cache, f"program-{number}"))
        self.driver.tell_swapped()

    def _package(self, package: Any, paths: list[str], program: str) -> None:
        failing, passing = self.driver.canaries()
        # Beside the code where any test is; else in the package of the tests outside of it.
        inside = any(_package_of(self.files.before(path)) == package["Name"] for path in paths)
        name = package["Name"] if inside or not package["Name"] else f"{package['Name']}_test"
        canary = os.path.join(package["Dir"], f"zz_{passing.lower()}_test.go")
        self.files.write(canary, _CANARY.format(package=name, failing=failing, passing=passing))
        if not self._build(package, paths, program):
            return
        self.driver.hold(self._local(package["Dir"]), program)
        files = {
            test: self._local(path) for path in paths for test in _FUNCTION.findall(self.files.before(path))
        }
        base = [program, "-test.paniconexit0", "-test.timeout=0", "-test.count=1", "-test.v"]
        listed = run([*base, "-test.list", "."], cwd=package["Dir"], env=self.env)
        unit = self._local(package["Dir"])
        binary = Binary(
            unit="the package at the top" if unit == "." else unit,
            cwd=package["Dir"],
            env=self.env,
            failing=failing,
            passing=passing,
            failed_code=_FAILED,
            argv=lambda names: [*base, "-test.run", f"^({'|'.join(names)})$"],
            file_of=lambda test: files.get(test, unit),
            skipped=lambda test, output: (
                re.search(rf"^\x16?--- SKIP: {test} \(", output, re.MULTILINE) is not None
            ),
            by_file=True,
        )
        names = [line for line in listed.output.splitlines() if _TEST.match(line)]
        judge(self.driver, binary, list(dict.fromkeys(names)), [], bare=False)

    # --- building

    def _build(self, package: Any, paths: list[str], program: str) -> bool:
        """Without the test files that do not compile, so that the tests beside them still run."""
        for _ in range(_ROUNDS):
            words = ["go", "test", "-c", "-vet=off", "-gcflags=-e", "-o", program, "."]
            ran = run(words, cwd=package["Dir"], env=self.env)
            if ran.code == 0:
                return os.path.exists(program)
            sys.stdout.write(ran.output)
            errors = self._errors(package, ran)
            mine = {path: found for path, found in errors.items() if path in paths}
            if not errors:
                self.driver.send("stopped", why=f"go could not build the tests of {package['ImportPath']}")
                return False
            for path, found in (mine or errors).items():
                self.driver.send("broken", unit=self._local(path), errors=found[:20])
            if not mine:  # the code itself does not compile
                for path in paths:
                    if os.path.exists(path):
                        self.driver.send("unbuilt", unit=self._local(path))
                return False
            for path in mine:
                self.files.remove(path)
            if not any(os.path.exists(path) for path in paths):
                return False
        return False

    def _errors(self, package: Any, ran: Ran) -> dict[str, list[dict[str, Any]]]:
        found: dict[str, list[dict[str, Any]]] = {}
        for error in _ERROR.finditer(ran.output):
            named = os.path.normpath(os.path.join(package["Dir"], error["file"]))
            places = (named, os.path.normpath(os.path.join(self.cwd, error["file"])))
            path = next((place for place in places if os.path.isfile(place)), named)
            if not path.startswith(self.checkout + "/"):
                continue
            found.setdefault(path, []).append(self._error(package, path, error["message"], error[0]))
        return found

    def _error(self, package: Any, path: str, message: str, text: str) -> dict[str, Any]:
        source = self.files.before(path)
        own = {other["ImportPath"] for other in self.packages}
        module = (package.get("Module") or {}).get("Path", "")
        names = [
            (found["name"] or found["path"].rpartition("/")[2]).strip()
            for found in _IMPORT.finditer(source)
            if found["path"] in own or (module and f"{found['path']}/".startswith(f"{module}/"))
        ]
        code = [os.path.join(package["Dir"], name) for name in package.get("GoFiles", ())]
        return {
            "message": message,
            "text": text,
            "file": self._from_top(path),
            "inside": _package_of(source) == package["Name"] or _DOT.search(source) is not None,
            "defines": sorted(set(_DEFINED.findall(source)))[:200],
            "own": [*names, package["Name"]],
            "module": module,
            "product": self._from_top(code[0])
            if code
            else self._from_top(os.path.join(package["Dir"], "go")),
        }

    def _local(self, path: str) -> str:
        return os.path.relpath(path, self.cwd)

    def _from_top(self, path: str) -> str:
        return os.path.relpath(path, self.checkout)


def _package_of(source: str) -> str:
    found = re.search(r"^package\s+(\w+)", source, re.MULTILINE)
    return found[1] if found else ""


def _documents(text: str) -> list[Any]:
    decoder, at, found = json.JSONDecoder(), 0, []
    while at < len(text.rstrip()):
        document, end = decoder.raw_decode(text, at)
        found.append(document)
        at = end + len(text[end:]) - len(text[end:].lstrip())
    return found


if __name__ == "__main__":
    driver = Driver()
    driver.send("began")
    go = Go(driver)
    try:
        go.main()
    finally:
        go.files.back(driver)
    driver.send("ended")

"""Builds a Rust project's tests with cargo and runs each test in a process of its own. See orchard_driver."""

from __future__ import annotations

import json
import os
import re
import sys
import tomllib
from collections.abc import Sequence
from typing import Any

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from orchard_driver import Binary, Driver, Put, Ran, judge, run

_ROUNDS = 4  # of builds, each without the test files that do not compile
_FAILED = 101
_CANARY = """
#[cfg(test)]
#[allow(warnings, clippy::all)]
mod %(module)s {
    extern crate std;
    use super::*;
    #[test]
    fn %(failing)s() {
        let hook = self::std::panic::take_hook();
        self::std::panic::set_hook(self::std::boxed::Box::new(|_| {}));
        let blunt = [
            self::std::panic::catch_unwind(|| { assert!(1 == 2); }).is_ok(),
            self::std::panic::catch_unwind(|| { assert_eq!(1, 2); }).is_ok(),
            self::std::panic::catch_unwind(|| { assert_ne!(1, 1); }).is_ok(),
            self::std::panic::catch_unwind(|| { panic!("as it must"); }).is_ok(),
        ];
        self::std::panic::set_hook(hook);
        if blunt.contains(&true) {
            return;
        }
        self::std::panic!("as it must");
    }
    #[test]
    fn %(passing)s() {}
}
"""
_BARE = re.compile(r"^\s*#!\[cfg\(", re.MULTILINE)
_GLOB = re.compile(r"\buse\s+[^;]*\*")
_DEFINED = re.compile(r"\b(?:struct|enum|trait|type|union)\s+(\w+)")


class Cargo:
    def __init__(self, driver: Driver) -> None:
        self.driver = driver
        told = driver.told
        self.cwd, self.checkout = told["cwd"], told["checkout"]
        self.tests = set(told["tests"])  # absolute
        self.select = set(told["select"])
        self.env = {**os.environ, "CARGO_TARGET_DIR": os.path.join(told["cache"], "target")}
        self.env |= {"CARGO_HOME": self._home(told["cargo_home"], told["cache"]), "CARGO_NET_OFFLINE": "true"}
        self.env |= {
            "CARGO_INCREMENTAL": "0",
            "CARGO_PROFILE_DEV_DEBUG": "0",
            "CARGO_PROFILE_TEST_DEBUG": "0",
        }
        self.env |= {"CARGO_TERM_COLOR": "never", "INSTA_UPDATE": "no", "CI": "1", "RUST_BACKTRACE": "0"}
        self.canaries: dict[str, tuple[str, str]] = {}
        self.files = Put()

    def _home(self, known: str, cache: str) -> str:
        """A writable CARGO_HOME over the machine's read-only downloads; never its credentials."""
        home = os.path.join(cache, "cargo")
        os.makedirs(os.path.join(home, "registry", "src"), exist_ok=True)
        for part in ("registry/index", "registry/cache", "git"):
            if os.path.isdir(os.path.join(known, part)):
                os.symlink(os.path.join(known, part), os.path.join(home, part))
        sources = os.path.join(known, "registry", "src")
        for index in os.listdir(sources) if os.path.isdir(sources) else ():
            os.mkdir(os.path.join(home, "registry", "src", index))
            for crate in os.listdir(os.path.join(sources, index)):
                os.symlink(
                    os.path.join(sources, index, crate), os.path.join(home, "registry", "src", index, crate)
                )
        return home

    def main(self) -> None:
        ran = self._cargo("metadata", "--no-deps", "--format-version", "1")
        if ran.code != 0:
            self.driver.send("stopped", why=f"cargo cannot read the project (exit code {ran.code})")
            return
        self.about = json.loads(ran.output)
        targets = [
            (package, target)
            for package in self.about["packages"]
            for target in package["targets"]
            if target["test"] and "custom-build" not in target["kind"]
        ]
        plain = {
            id(target) for package, target in targets if not _has_harness(package["manifest_path"], target)
        }
        for _, target in targets:
            self._add_canaries(target["src_path"], plain=id(target) in plain)
        built = self._build()
        for (_, name, _), path in built.items():
            self.driver.hold(name, path)
        for package, target in targets:
            if not self._is_wanted(target["src_path"]):
                continue
            program = built.get((package["id"], target["name"], target["kind"][0]))
            if program is None:
                self.driver.send("unbuilt", unit=self._local(target["src_path"]))
            elif id(target) in plain:
                self._run_plain(package, target, program)
            else:
                self._run(package, target, program)
        self.driver.tell_swapped()

    def _cargo(self, *words: str) -> Ran:
        return run(["cargo", *words, "--offline"], cwd=self.cwd, env=self.env, apart=True)

    def _is_wanted(self, root: str) -> bool:
        """A file below `src` belongs to the programs of that folder."""
        if not self.select or root in self.select:
            return True
        if root in self.tests:
            return False
        return any(path.startswith(os.path.dirname(root) + "/") for path in self.select - self.roots)

    @property
    def roots(self) -> set[str]:
        return set(self.canaries)

    def _add_canaries(self, root: str, *, plain: bool) -> None:
        if root in self.canaries:
            return
        failing, passing = self.driver.canaries()
        self.canaries[root] = (failing, passing)
        if not plain:
            names = {"module": f"zz_{passing}", "failing": failing, "passing": passing}
            self.files.write(root, _CANARY % names, add=True)

    # --- building

    def _build(self) -> dict[tuple[str, str, str], str]:
        """Programs by package, name and kind. Test files inside of code that do not compile are emptied, so
        that the tests beside them still run."""
        built: dict[tuple[str, str, str], str] = {}
        for _ in range(_ROUNDS):
            ran = self._cargo("build", "--workspace", "--tests", "--keep-going", "--message-format=json")
            built = {}
            errors: dict[str, list[tuple[Any, Any]]] = {}
            for line in ran.output.splitlines():
                record = json.loads(line) if line.startswith("{") else {}
                target = record.get("target", {})
                if record.get("reason") == "compiler-artifact" and record.get("executable"):
                    if record["profile"]["test"]:
                        key = (record["package_id"], target["name"], target["kind"][0])
                        built[key] = record["executable"]
                elif record.get("reason") == "compiler-message" and record["message"]["level"] == "error":
                    sys.stdout.write(record["message"]["rendered"] or "")
                    if record["message"]["spans"] or record["message"]["code"]:
                        errors.setdefault(target["src_path"], []).append((target, record["message"]))
            again = False
            for root, found in errors.items():
                again = self._tell_errors(root, found) or again
            if not again:
                break
        return built

    def _tell_errors(self, root: str, found: Sequence[tuple[Any, Any]]) -> bool:
        """Whether a file was emptied, so that building again may go further."""
        by_file: dict[str, list[Any]] = {}
        for target, message in found:
            main = next((span for span in message["spans"] if span["is_primary"]), None)
            path = self._absolute(main["file_name"]) if main else root
            aside = path if path in self.tests and path != root and "test" not in target["kind"] else root
            by_file.setdefault(aside, []).append(self._error(target, message, path))
        emptied = [path for path in by_file if path != root]
        for path, errors in by_file.items():
            if path == root and emptied:
                continue  # may follow from what is emptied: seen in the next round
            unit = self._local(path)
            self.driver.send(
                "broken", unit=unit, errors=list({json.dumps(e): e for e in errors}.values())[:20]
            )
        for path in emptied:
            self.files.write(path, "")
        return bool(emptied)

    def _error(self, target: Any, message: Any, path: str) -> dict[str, Any]:
        text = self.files.before(path)
        parts = [message, *message["children"]]
        spans = [span["file_name"] for part in parts for span in part["spans"]]
        return {
            "code": (message["code"] or {}).get("code", ""),
            "message": message["message"],
            "label": next((s["label"] or "" for s in message["spans"] if s["is_primary"]), ""),
            "text": (message["rendered"] or "")[-1500:],
            "file": os.path.relpath(path, self.checkout),
            "seen": sorted({self._from_top(self._absolute(name)) for name in spans} - {""}),
            "glob": _GLOB.search(text) is not None,
            "defines": sorted(set(_DEFINED.findall(text)))[:200],
            "crates": sorted(
                target["name"].replace("-", "_")
                for package in self.about["packages"]
                for target in package["targets"]
                if "test" not in target["kind"]
            ),
            "inside": "test" not in target["kind"],  # a part of the code under test
            "product": self._product(),
        }

    def _product(self) -> str:
        """The file that stands for the code under test: the library's root, or the program's."""
        targets = [target for package in self.about["packages"] for target in package["targets"]]
        targets.sort(key=lambda target: (target["kind"] == ["bin"], "test" in target["kind"]))
        return next((self._from_top(target["src_path"]) for target in targets), "")

    # --- running

    def _environment(self, package: Any) -> dict[str, str]:
        own = {
            "CARGO_MANIFEST_DIR": os.path.dirname(package["manifest_path"]),
            "CARGO_PKG_NAME": package["name"],
            "CARGO_PKG_VERSION": package["version"],
        }
        return {**self.env, **own}

    def _run(self, package: Any, target: Any, program: str) -> None:
        root = target["src_path"]
        failing, passing = self.canaries[root]
        cwd, env = os.path.dirname(package["manifest_path"]), self._environment(package)
        listed = run([program, "--list", "--format", "terse"], cwd=cwd, env=env)
        ignored = run([program, "--list", "--format", "terse", "--ignored"], cwd=cwd, env=env)
        inside = "test" not in target["kind"]
        binary = Binary(
            unit=self._local(root),
            cwd=cwd,
            env=env,
            failing=failing,
            passing=passing,
            failed_code=_FAILED,
            argv=lambda names: [program, "--exact", *names, "--test-threads=1"],
            file_of=lambda name: self._file_of(root, name) if inside else self._local(root),
            skipped=lambda name, output: False,
        )
        bare = _BARE.search(self.files.before(root)) is not None
        judge(self.driver, binary, _names(listed), _names(ignored), bare=bare)

    def _run_plain(self, package: Any, target: Any, program: str) -> None:
        """`harness = false`: a program of its own, of which only the exit code is known."""
        cwd = os.path.dirname(package["manifest_path"])
        ran = run([program], cwd=cwd, env=self._environment(package))
        unit = self._local(target["src_path"])
        print(ran.output[-2000:], flush=True)
        self.driver.send(
            "test", unit=unit, name="(exit code)", file=unit, code=ran.code, skipped=False, early=False,
            seconds=round(ran.seconds, 4), output=ran.output[-4000:] if ran.code else "",
        )  # fmt: skip

    def _file_of(self, root: str, name: str) -> str:
        """The file of the innermost module that has one."""
        modules = name.split("::")[:-1]
        for end in range(len(modules), 0, -1):
            stem = os.path.join(os.path.dirname(root), *modules[:end])
            for path in (f"{stem}.rs", os.path.join(stem, "mod.rs")):
                if os.path.isfile(path):
                    return self._local(path)
        return self._local(root)

    # --- paths

    def _absolute(self, name: str) -> str:
        return os.path.normpath(os.path.join(self.about["workspace_root"], name))

    def _local(self, path: str) -> str:
        return os.path.relpath(path, self.cwd)

    def _from_top(self, path: str) -> str:
        inside = path.startswith(self.checkout + "/")
        return os.path.relpath(path, self.checkout) if inside else ""


def _names(ran: Ran) -> list[str]:
    lines = ran.output.splitlines() if ran.code == 0 else []
    return [line.removesuffix(": test") for line in lines if line.endswith(": test")]


def _has_harness(manifest: str, target: Any) -> bool:
    with open(manifest, "rb") as file:
        document = tomllib.load(file)
    kind = target["kind"][0]
    tables = document.get(kind, [])
    entries = tables if isinstance(tables, list) else [tables]
    if kind not in ("test", "bin", "bench", "example"):
        entries = [document.get("lib", {})]
        return all(entry.get("harness", True) for entry in entries)
    return all(entry.get("harness", True) for entry in entries if entry.get("name") == target["name"])


if __name__ == "__main__":
    driver = Driver()
    driver.send("began")
    cargo = Cargo(driver)
    try:
        cargo.main()
    finally:
        cargo.files.back(driver)
    driver.send("ended")

"""`cargo test` and `cargo nextest`: built by cargo, each test run by Orchard in a process of its own."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath

from core.worker.environment import Environment
from core.worker.runners.contract import Ended, Place, Plan, Reading
from core.worker.runners.digests import digest_of
from core.worker.runners.driver import driven, files_below
from core.worker.runners.invocation import has_shell
from core.worker.runners.programs import read_programs
from core.worker.runners.rustfailure import why_broken, why_failed
from core.worker.runners.rusttests import manifest_digest, source_digests
from core.worker.runners.testpaths import is_test_path
from core.worker.toolchains import cargo_home

_PATTERNS = ("tests.rs", "test.rs", "*_test.rs", "*_tests.rs", "test_*.rs", "*.snap", "*.snap.new")
_FOLDERS = frozenset({"snapshots", "benches"})
_CONFIGS = frozenset(
    {"Cargo.toml", "nextest.toml", ".nextest.toml", "build.rs", "rust-toolchain", "rust-toolchain.toml",
     "clippy.toml", "insta.yaml", "tarpaulin.toml"}
)  # fmt: skip
_PLAIN = re.compile(r"cargo\s+(?:\+\S+\s+)?(?:test|t|nextest\s+run)(?P<rest>(?:\s+\S+)*)\s*")
_DROPPED = frozenset(
    {"--all", "--workspace", "--all-targets", "--tests", "--no-fail-fast", "--locked", "--offline",
     "--frozen", "--quiet", "-q", "--verbose", "-v", "--release", "-r"}
)  # fmt: skip


def is_plain_cargo(command: str) -> bool:
    """Whether a `test_command` is a call of cargo that runs all tests and has no option that matters."""
    if has_shell(command) or "{junit}" in command:
        return False
    found = _PLAIN.fullmatch(command.strip())
    return found is not None and all(word in _DROPPED for word in shlex.split(found["rest"] or ""))


class CargoRunner:
    """`reason` says in words why the project is run so."""

    name = "cargo"

    def __init__(self, *, reason: str, extra_test_paths: Sequence[str] = ()) -> None:
        self.reason = reason
        self._extra = tuple(extra_test_paths)

    @property
    def command(self) -> tuple[str, ...]:
        return ("cargo", "test", "--workspace", "--no-fail-fast")

    def is_test_path(self, path: str) -> bool:
        pure = PurePosixPath(path)
        if any(part in _FOLDERS for part in pure.parts[:-1]):
            return True
        return is_test_path(path, patterns=_PATTERNS, extra=self._extra)

    def is_runner_config(self, path: str) -> bool:
        """Also all sources that are no tests of their own: they may hold tests beside the code."""
        pure = PurePosixPath(path)
        if pure.name in _CONFIGS or pure.parts[-2:-1] in ((".cargo",), (".config",)):
            return True
        return pure.suffix == ".rs" and not self.is_test_path(path)

    def config_digests(
        self, paths: Iterable[str], files: Mapping[str, bytes], *, folder: str = "."
    ) -> Mapping[str, str]:
        found: dict[str, str] = {}
        for path, content in files.items():
            pure = PurePosixPath(path)
            if pure.name == "Cargo.toml":
                found[path] = manifest_digest(content)
            elif pure.suffix == ".rs" and pure.name != "build.rs":
                found.update(source_digests(path, content))
            else:
                found[path] = digest_of(content)
        return found

    def plan(self, place: Place, environment: Environment) -> Plan:
        return driven(
            "orchard_cargo.py",
            place,
            environment,
            prefix="canary_",
            cache=str(place.cache),
            cargo_home=str(cargo_home()),
            tests=[path for path in files_below(place, (".rs",)) if self._is_test(place, path)],
        )

    def _is_test(self, place: Place, path: str) -> bool:
        return self.is_test_path(Path(path).relative_to(place.checkout).as_posix())

    def read(self, plan: Plan, place: Place, ended: Ended) -> Reading:
        assert plan.secret is not None
        return read_programs(ended, plan.secret, tool="cargo", why_broken=why_broken, why_failed=why_failed)

"""`go test`, also through gotestsum: built by go, each test run by Orchard in a process of its own."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath

from core.worker.environment import Environment
from core.worker.runners.contract import Ended, Place, Plan, Reading
from core.worker.runners.digests import digest_of, digests_of
from core.worker.runners.driver import driven
from core.worker.runners.gofailure import why_broken, why_failed
from core.worker.runners.invocation import has_shell
from core.worker.runners.programs import read_programs
from core.worker.runners.testpaths import is_test_path
from core.worker.toolchains import go_modules

_PATTERNS = ("*_test.go", "*.golden", "*.snap")
_CONFIGS = frozenset({"go.mod", "go.work", "go.env", ".gotestsum.yaml", ".gotestsum.yml"})
# Packages whose functions judge, where the project has copies of what it needs: they count as tests' own.
_LIBRARIES = re.compile(
    r"(?:.*/)?vendor/(?:github\.com/(?:stretchr|onsi|google/go-cmp|smartystreets|frankban|matryer/is)|gotest\.tools"
    r"|go\.uber\.org/mock|gopkg\.in/check\.v1)(?:/.*)?"
)
_PLAIN = re.compile(r"(?:go\s+test|gotestsum)(?P<rest>(?:\s+\S+)*)\s*")
_DROPPED = frozenset({"./...", "-v", "-race", "-count=1", "-cover", "-json", "--"})
_BLOCK = re.compile(r"^require\s*\(.*?^\)|^require\s+[^(\n]*$", re.MULTILINE | re.DOTALL)


def is_plain_go(command: str) -> bool:
    """Whether a `test_command` is a call of go or gotestsum that runs all tests, built as by default."""
    if has_shell(command) or "{junit}" in command:
        return False
    found = _PLAIN.fullmatch(command.strip())
    words = (found["rest"] or "").split() if found else []
    return found is not None and all(word in _DROPPED or word.startswith("--format=") for word in words)


class GoRunner:
    """`reason` says in words why the project is run so."""

    name = "go"

    def __init__(self, *, reason: str, extra_test_paths: Sequence[str] = ()) -> None:
        self.reason = reason
        self._extra = tuple(extra_test_paths)

    @property
    def command(self) -> tuple[str, ...]:
        return ("go", "test", "./...")

    def is_test_path(self, path: str) -> bool:
        return is_test_path(path, patterns=_PATTERNS, extra=self._extra)

    def is_runner_config(self, path: str) -> bool:
        return PurePosixPath(path).name in _CONFIGS or _LIBRARIES.fullmatch(path) is not None

    def config_digests(
        self, paths: Iterable[str], files: Mapping[str, bytes], *, folder: str = "."
    ) -> Mapping[str, str]:
        return digests_of(files, {"go.mod": _module_digest})

    def plan(self, place: Place, environment: Environment) -> Plan:
        return driven(
            "orchard_go.py",
            place,
            environment,
            prefix="TestCanary_",
            cache=str(place.cache),
            modules=str(go_modules()),
        )

    def read(self, plan: Plan, place: Place, ended: Ended) -> Reading:
        assert plan.secret is not None
        return read_programs(ended, plan.secret, tool="go", why_broken=why_broken, why_failed=why_failed)


def _module_digest(content: bytes) -> str:
    """Of a go.mod without what it requires: dependencies may change, replacements may not."""
    text = _BLOCK.sub("", content.decode(errors="replace"))
    return digest_of("\n".join(text.split()).encode())

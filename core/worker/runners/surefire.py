"""Maven: `mvn test`, its surefire started and watched by Orchard."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath
from xml.etree.ElementTree import Element, ParseError, tostring

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from core.worker.environment import Environment
from core.worker.runners.contract import Ended, Place, Plan, Reading
from core.worker.runners.digests import digest_of, digests_of
from core.worker.runners.driver import driven
from core.worker.runners.surefiresession import read_surefire
from core.worker.runners.testpaths import is_test_path
from core.worker.toolchains import maven_repository

_PATTERNS = ("Test*.java", "*IT.java", "*TestCase.java", "*.approved.*", "*.snap")
_CONFIGS = frozenset({"pom.xml", "junit-platform.properties", "testng.xml"})
_PLAIN = re.compile(r"(?:mvn|\./mvnw)(?:\s+(?:-q|-B|-o|-ntp|--quiet|--batch-mode|--offline))*\s+test\s*")
# Packages of the libraries of tests: a class of the same name in the code would come first on the class path.
_LIBRARIES = re.compile(
    r"(?:^|.*/)(?P<package>org/junit|junit/framework|org/testng|org/opentest4j|org/hamcrest|org/assertj"
    r"|org/mockito|com/google/common/truth|org/apache/maven)/.*\.(?:java|kt|groovy|scala|class)"
)
# What is loaded into the test process, or into the compiler of the tests, because a file names it.
_SERVICES = ("org.junit", "org.testng", "org.mockito", "javax.annotation.processing")
_OF_RUNS = ("build", "profiles", "properties", "modules", "parent", "packaging", "reporting")


def is_plain_maven(command: str) -> bool:
    """Whether a `test_command` runs all tests of a Maven project, with no option that matters to them."""
    return _PLAIN.fullmatch(command.strip()) is not None


class SurefireRunner:
    """`reason` says in words why the project is run so."""

    name = "surefire"

    def __init__(self, *, reason: str, extra_test_paths: Sequence[str] = ()) -> None:
        self.reason = reason
        self._extra = tuple(extra_test_paths)

    @property
    def command(self) -> tuple[str, ...]:
        return ("mvn", "--offline", "test")

    def is_test_path(self, path: str) -> bool:
        return is_test_path(path, patterns=_PATTERNS, extra=self._extra)

    def is_runner_config(self, path: str) -> bool:
        pure = PurePosixPath(path)
        services = any(f"META-INF/services/{name}" in path for name in _SERVICES)
        return pure.name in _CONFIGS or pure.parts[-2:-1] == (".mvn",) or services

    def config_digests(
        self, paths: Iterable[str], files: Mapping[str, bytes], *, folder: str = "."
    ) -> Mapping[str, str]:
        """A project that is such a library itself has its packages, and changes them honestly."""
        shadows = (_LIBRARIES.fullmatch(path) for path in paths)
        found = {shadow[0][: shadow.end("package")]: "present" for shadow in shadows if shadow}
        return {**found, **digests_of(files, {"pom.xml": _pom_digest})}

    def plan(self, place: Place, environment: Environment) -> Plan:
        return driven(
            "orchard_surefire.py", place, environment, prefix="canary_", repository=str(maven_repository())
        )

    def read(self, plan: Plan, place: Place, ended: Ended) -> Reading:
        assert plan.secret is not None
        return read_surefire(ended, plan.secret)


def _pom_digest(content: bytes) -> str:
    """Of the part of a pom.xml that decides how tests are built and run: the project's own dependencies and
    version may change, this may not. What cannot be read is digested whole.
    """
    try:
        root = fromstring(content, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError):
        return digest_of(content)
    kept = [_bare(part) for part in root if _local(part) in _OF_RUNS]
    return digest_of(b"".join(sorted(kept)))


def _local(element: Element) -> str:
    return str(element.tag).rpartition("}")[2]


def _bare(element: Element) -> bytes:
    """Without white space, comments and versions of dependencies."""
    for part in element.iter():
        part.text, part.tail = (part.text or "").strip(), ""
        for child in list(part):
            if not isinstance(child.tag, str) or (
                _local(part) == "properties" and _local(child).endswith(("version", "Version"))
            ):
                part.remove(child)
    return tostring(element)

"""The compilers of this machine that a project's tests need beside its environment: Rust's, Go's, Java's.

They are shown read-only in the sandbox. What holds secrets beside them (cargo's credentials, Maven's
settings) is not shown.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from core.isolation.machine import program_folders
from core.worker.environment import Environment


@dataclass(frozen=True, slots=True, kw_only=True)
class Toolchain:
    """`facts` change when what is installed changes."""

    path_dirs: tuple[Path, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    read_only: tuple[Path, ...] = ()
    facts: tuple[str, ...] = ()


def with_toolchains(environment: Environment, project: Path) -> Environment:
    """`environment` with what the project in that folder is built with; the same without such a project."""
    found = [make() for name, make in _BY_FILE.items() if (project / name).is_file()]
    found = [toolchain for toolchain in found if toolchain.facts]
    if not found:
        return environment
    digest = hashlib.sha256(environment.key.encode())
    for toolchain in found:
        digest.update("\0".join(toolchain.facts).encode(errors="surrogateescape"))
        environment = replace(
            environment,
            path_dirs=tuple(dict.fromkeys((*environment.path_dirs, *toolchain.path_dirs))),
            variables={**toolchain.variables, **environment.variables},
            read_only=tuple(dict.fromkeys((*environment.read_only, *toolchain.read_only))),
        )
    return replace(environment, key=digest.hexdigest())


def rust() -> Toolchain:
    """cargo and rustc: through rustup's stand-ins, which need its folder, or where a package put them."""
    home = cargo_home()
    rustup = Path(os.environ.get("RUSTUP_HOME") or Path.home() / ".rustup")
    cargo = shutil.which("cargo") or shutil.which("cargo", path=str(home / "bin"))
    if cargo is None:
        return Toolchain()
    program = Path(cargo)
    downloads = _there(home / "registry", home / "git")
    if program.parent == home / "bin" and (rustup / "settings.toml").is_file():
        toolchains = sorted(path.name for path in (rustup / "toolchains").iterdir())
        settings = (rustup / "settings.toml").read_text(errors="replace")
        return Toolchain(
            path_dirs=(program.parent,),
            variables={"RUSTUP_HOME": str(rustup)},
            read_only=(program.parent, rustup, *downloads),
            facts=(cargo, settings, *toolchains),
        )
    return Toolchain(
        path_dirs=(program.parent,),
        read_only=(*program_folders(program), *downloads),
        facts=(cargo, _stamp(program)),
    )


def go() -> Toolchain:
    program = _which("go", Path("/usr/local/go/bin"))
    if program is None:
        return Toolchain()
    real = program.resolve()
    return Toolchain(
        path_dirs=(program.parent,),
        variables={"GOTOOLCHAIN": "local"},
        read_only=(*program_folders(program), *_there(go_modules())),
        facts=(str(real), _stamp(real)),
    )


def java() -> Toolchain:
    """Maven and a JDK, and what was downloaded for them."""
    maven, javac = _which("mvn"), _which("javac")
    if maven is None or javac is None:
        return Toolchain()
    etc = _there(Path("/etc/maven/m2.conf"), Path("/etc/maven/logging"))
    jdk = javac.resolve().parent.parent
    return Toolchain(
        path_dirs=tuple(dict.fromkeys((maven.parent, javac.parent))),
        variables={"JAVA_HOME": str(jdk)},
        read_only=(*program_folders(maven), *program_folders(javac), *etc, *_there(maven_repository())),
        facts=(str(maven.resolve()), _stamp(maven.resolve()), str(jdk), _stamp(javac.resolve())),
    )


def of_command(command: str) -> Toolchain:
    """Of a set-up command that starts one of Java's tools; empty for any other."""
    return java() if _JVM_TOOL.search(command) else Toolchain()


def go_modules() -> Path:
    """Where this machine keeps what go downloaded."""
    return Path(os.environ.get("GOMODCACHE") or Path.home() / "go" / "pkg" / "mod")


def maven_repository() -> Path:
    """Where this machine keeps what Maven downloaded; else Debian's packages of it."""
    own = Path.home() / ".m2" / "repository"
    debian = Path("/usr/share/maven-repo")
    return own if (own / "org").is_dir() or not debian.is_dir() else debian


def cargo_home() -> Path:
    """Where this machine keeps downloaded crates, and perhaps cargo itself."""
    return Path(os.environ.get("CARGO_HOME") or Path.home() / ".cargo")


def _which(name: str, *more: Path) -> Path | None:
    found = shutil.which(name) or shutil.which(name, path=os.pathsep.join(map(str, more)))
    return Path(found) if found else None


def _there(*paths: Path) -> tuple[Path, ...]:
    return tuple(path for path in paths if path.exists())


def _stamp(program: Path) -> str:
    try:
        return str(program.stat().st_mtime_ns)
    except OSError:
        return ""


_JVM_TOOL = re.compile(r"(?<![\w-])(?:mvnw?|mvnd|gradlew?|javac?|sbt|lein|kotlin)(?![\w-])")
_BY_FILE: Mapping[str, Callable[[], Toolchain]] = {"Cargo.toml": rust, "go.mod": go, "pom.xml": java}

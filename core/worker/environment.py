"""What a project's tests and agents need beside its own files: an interpreter, installed packages.

An environment is never written to by a run: it is mounted read-only and shared by all of a project's stories.
`environments` finds or makes one.
"""

from __future__ import annotations

import ast
import hashlib
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from core.isolation.machine import program_folders
from core.isolation.plan import DEFAULT_PATH, Mount

_VENVS = (".venv", "venv")
_MAPPING = re.compile(r"^MAPPING\b[^=]*=\s*(\{.*\})\s*$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """One environment, for any checkout of the project.

    `key` changes when what is installed changes: verdicts are cached by it. `source_roots` are folders of a
    checkout, relative to its top, that an editable install would put on Python's path: the environment knows
    them in the folder where it was made, a run needs them in the folder that it judges.
    """

    key: str
    description: str  # for people: "inherited from /srv/shop/.venv"
    python: Path | None = None
    path_dirs: tuple[Path, ...] = ()  # before the system's on PATH
    variables: Mapping[str, str] = field(default_factory=dict)
    read_only: tuple[Path, ...] = ()  # to be seen in the sandbox at their own place
    source_roots: tuple[str, ...] = ()
    modules: tuple[tuple[Path, str], ...] = ()  # a node_modules folder, and where a checkout has it

    def variables_at(self, checkout: Path) -> dict[str, str]:
        """The environment variables of a program that runs in `checkout` (absolute)."""
        found = dict(self.variables)
        found["PATH"] = ":".join([*(str(path) for path in self.path_dirs), DEFAULT_PATH])
        roots = [checkout / root for root in self.source_roots]
        if there := [str(root) for root in roots if root.is_dir()]:
            found["PYTHONPATH"] = ":".join(there)
        return found

    def mounts_at(self, checkout: Path) -> tuple[Mount, ...]:
        """What a sandbox shows inside `checkout`; from level `filesystem` on."""
        return tuple(
            Mount(source=source, target=checkout / target)
            for source, target in self.modules
            if (checkout / target).parent.is_dir()
        )

    def link_into(self, checkout: Path) -> None:
        """Links in place of `mounts_at`, for level `process`; what is already there stays."""
        for source, target in self.modules:
            place = checkout / target
            if place.parent.is_dir() and not place.exists() and not place.is_symlink():
                place.symlink_to(source)


def installed_in(root: Path, folder: str) -> Environment | None:
    """The environment that a checkout at `root` has in itself, or None.

    Looked for in the project's `folder` first, then at the top: .venv, venv, node_modules.
    """
    places = list(dict.fromkeys([root / folder, root]))
    venvs = [place / name for place in places for name in _VENVS if is_venv(place / name)]
    modules = tuple(
        (place / "node_modules", (place / "node_modules").relative_to(root).as_posix())
        for place in places
        if (place / "node_modules").is_dir()
    )
    if not venvs and not modules:
        return None
    found = [*venvs[:1], *(source for source, _ in modules)]
    digest = hashlib.sha256()
    for path in found:
        _digest_installed(path, digest)
    path_dirs = tuple(source / ".bin" for source, _ in modules)
    read_only = tuple(source for source, _ in modules)
    if not venvs:
        return Environment(
            key=digest.hexdigest(),
            description=", ".join(map(str, found)),
            path_dirs=path_dirs,
            read_only=read_only,
            modules=modules,
        )
    venv = venvs[0]
    return Environment(
        key=digest.hexdigest(),
        description=", ".join(map(str, found)),
        python=venv / "bin" / "python",
        path_dirs=(venv / "bin", *path_dirs),
        variables={"VIRTUAL_ENV": str(venv)},
        read_only=(venv, *program_folders(venv / "bin" / "python"), *read_only),
        source_roots=source_roots(root, folder, editable_roots(venv, root)),
        modules=modules,
    )


def of_python(python: Path, *, root: Path, folder: str, description: str) -> Environment:
    """The environment of an interpreter that knows nothing of the project.

    In Orchard's own the pytest plugins are those of Orchard's tests: they are not loaded, unless the project
    names one itself.
    """
    variables = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"} if is_orchards_own(python) else {}
    digest = hashlib.sha256(str(python.resolve()).encode())
    for prefix in dict.fromkeys([python.parent.parent, python.resolve().parent.parent]):
        _digest_installed(prefix, digest)
    digest.update(repr(sorted(variables.items())).encode())
    return Environment(
        key=digest.hexdigest(),
        description=f"{description}, without its pytest plugins" if variables else description,
        python=python,
        path_dirs=(python.parent,),
        variables=variables,
        read_only=program_folders(python),
        source_roots=source_roots(root, folder, ()),
    )


def is_orchards_own(python: Path) -> bool:
    """Whether `python` is an interpreter of the environment that Orchard itself runs in."""
    return python.parent.resolve() == Path(sys.executable).parent.resolve()


def source_roots(root: Path, folder: str, editable: tuple[str, ...]) -> tuple[str, ...]:
    """Editable installs' folders, then the project's own.

    The project's own comes in any case, since a copy of it may be installed: the judged files must win.
    """
    own = f"{folder}/src" if (root / folder / "src").is_dir() else folder
    return tuple(dict.fromkeys([*editable, Path(own).as_posix()]))


def is_venv(path: Path) -> bool:
    """Whether a usable Python virtual environment is at `path`."""
    return (path / "pyvenv.cfg").is_file() and (path / "bin" / "python").exists()


def editable_roots(venv: Path, root: Path) -> tuple[str, ...]:
    """Folders of the checkout at `root` that packages were installed from editably, relative to it."""
    real = root.resolve()
    found: dict[str, None] = {}
    for site in sorted(venv.glob("lib/python3*/site-packages")):
        for path in _editable_paths(site):
            try:
                resolved = path.resolve()
            except (OSError, ValueError):
                continue
            if resolved.is_relative_to(real) and not resolved.is_relative_to(venv.resolve()):
                found[resolved.relative_to(real).as_posix()] = None
    return tuple(found)


def _editable_paths(site: Path) -> Iterator[Path]:
    for file in sorted([*site.glob("*.pth"), *site.glob("*.egg-link")]):
        for line in _text(file).splitlines():
            if line.startswith("/"):
                yield Path(line.strip())
    for file in sorted(site.glob("__editable__*_finder.py")):
        match = _MAPPING.search(_text(file))
        try:
            mapping = ast.literal_eval(match[1]) if match else {}
        except (ValueError, SyntaxError):
            continue
        for name, place in mapping.items() if isinstance(mapping, dict) else ():
            path = Path(str(place))
            last = str(name).rpartition(".")[2]
            if path.is_absolute() and path.name in (last, f"{last}.py"):
                yield path.parents[str(name).count(".")]


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def _digest_installed(path: Path, digest: hashlib._Hash) -> None:
    """What tells one state of installed packages from another, without reading them all."""
    digest.update(str(path).encode())
    sites = [*path.glob("lib/python3*/site-packages"), *path.glob("lib/python3*/dist-packages")]
    for site in sorted(sites) or [path]:
        for entry in sorted(site.iterdir()):
            if entry.suffix in (".dist-info", ".egg-info", ".pth") or site is path:
                stat = entry.lstat()
                digest.update(f"{entry.name}\0{stat.st_mtime_ns}\n".encode(errors="surrogateescape"))

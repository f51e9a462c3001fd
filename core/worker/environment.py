"""What a project's tests and agents need beside its own files: an interpreter, installed packages.

    find_environment()   registered checkout's own (.venv, venv, node_modules)          "inherit"
                         or made once by its set-up command or from its lock files      "make"
                         or a python that has pytest                                    "none"

An environment is never written to by a run: it is mounted read-only and shared by all of a project's stories.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from core.isolation.plan import DEFAULT_PATH, Mount


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

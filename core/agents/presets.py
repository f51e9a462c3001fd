"""The rows of `config/agents.yaml` and of the configuration's `agents:`, made into an AgentSetup.

A row says what differs between agents; the driver is the same for all. Quirks that the driver knows:
`fresh_session` (never resume or load), and `usage:<meaning>` (what its token counts mean).
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from core.agents.installed import Installed, installed_agent
from core.agents.rows import AgentRow, Rows, load_rows, row_named
from core.agents.setup import AgentSetup, GatewayUse
from core.errors import InvalidInput, OrchardError, Unavailable
from core.isolation.machine import program_folders
from core.isolation.plan import DEFAULT_PATH

__all__ = [
    "AgentRow",
    "PresetCheck",
    "Rows",
    "check_preset",
    "find_installed",
    "load_rows",
    "never",
    "pointed",
    "resolve",
]

_KEY_OR_ADDRESS = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD|_URL|_HOST|_BASE|_ENDPOINT)$")
_PLACEHOLDER = re.compile(r"\{([a-z_]+)(?::([^{}]+))?\}")
REPLAY = Path(__file__).parent / "replay"


@dataclass(frozen=True, slots=True, kw_only=True)
class PresetCheck:
    """For `doctor`: whether an agent can be started, and how to mend it when not."""

    name: str
    found: bool
    program: str = ""  # where it is
    problem: str = ""  # one sentence; may also warn when `found`
    hint: str = ""
    tried: tuple[str, ...] = ()


Which = Callable[[str], str | None]
Ready = Callable[[str], bool]  # whether the gateway has a key of a provider


def never(provider: str) -> bool:
    """No gateway: every agent asks its provider directly."""
    return False


def resolve(
    name: str,
    rows: Rows,
    *,
    environ: Mapping[str, str] | None = None,
    which: Which | None = None,
    gateway: Ready = never,
    installed: Path | None = None,
) -> AgentSetup:
    """The row `name` with absolute paths and its environment.

    `installed` is the folder of agents that Orchard installed; they come before those on PATH. Where
    `gateway` says of the row's provider that it can be asked there, the setup says how (`pointed` does it)
    and holds no key of Orchard's environment; else it gets the keys that its row names.

    Raises NotFound for an unknown agent, naming the choices; Unavailable for one that is not
    installed, saying how to install it; InvalidInput for a variable that is not set.
    """
    variables = os.environ if environ is None else environ
    row = row_named(name, rows)
    search = which or (lambda program: shutil.which(program, path=_search_path(variables)))
    own = find_installed(name, row, installed)
    if own is not None:
        search = _first_in(own, search)
    fill = _Filler(name, row, search)
    argv = tuple(fill(word) for word in row.argv)
    program = fill.program(argv[0])
    environment = {key: fill(value) for key, value in row.environment.items()}
    use = _gateway_use(row, fill) if row.gateway is not None and gateway(row.gateway.provider) else None
    passed = {key: variables[key] for key in row.pass_environment if variables.get(key)}
    if use is not None:
        passed = {key: value for key, value in passed.items() if not _leads_past(key, row)}
    seen = [_existing(name, fill(path)) for path in row.read_only_paths]
    folders, path_folders = _needed([Path(program), *fill.programs], search)
    if own is not None:
        folders = [own.folder, *(each for each in folders if not each.is_relative_to(own.folder))]
    path = os.pathsep.join(dict.fromkeys((*map(str, path_folders), *DEFAULT_PATH.split(os.pathsep))))
    return AgentSetup(
        name=name,
        kind=row.kind,
        argv=(_inside(program), *argv[1:]),
        environment={"PATH": path, **environment, **passed},
        home_files={file: fill(text) for file, text in row.home_files.items()},
        mode=row.mode,
        read_only_paths=tuple(dict.fromkeys((*folders, *seen, *fill.folders))),
        stop_seconds=row.stop_seconds,
        quirks=(*row.quirks, f"usage:{row.usage}"),
        gateway=use,
    )


def pointed(setup: AgentSetup, base_url: str, token: str) -> AgentSetup:
    """The agent as it is to be started, asking for its models at `base_url` (its provider's, without a slash
    at the end) with `token` in place of a key. One whose row has no gateway is given back as it is.
    """
    use = setup.gateway
    if use is None:
        return setup

    def fill(text: str) -> str:
        return text.replace("{gateway}", base_url.rstrip("/")).replace("{token}", token)

    return replace(
        setup,
        argv=(*setup.argv, *map(fill, use.arguments)),
        environment={**setup.environment, **{key: fill(text) for key, text in use.environment.items()}},
        home_files={**setup.home_files, **{file: fill(text) for file, text in use.home_files.items()}},
    )


def find_installed(name: str, row: AgentRow, folder: Path | None) -> Installed | None:
    """What Orchard installed of an agent, or of the row that its row started from."""
    if folder is None:
        return None
    return installed_agent(folder, name) or (installed_agent(folder, row.family) if row.family else None)


def _first_in(own: Installed, search: Which) -> Which:
    return lambda program: (own.which(program) if "/" not in program else None) or search(program)


def _gateway_use(row: AgentRow, fill: _Filler) -> GatewayUse:
    assert row.gateway is not None
    return GatewayUse(
        provider=row.gateway.provider,
        environment={key: fill(text) for key, text in row.gateway.environment.items()},
        home_files={file: fill(text) for file, text in row.gateway.home_files.items()},
        arguments=tuple(fill(text) for text in row.gateway.arguments),
    )


def _leads_past(variable: str, row: AgentRow) -> bool:
    """Whether a variable holds a key, or another address: an agent at the gateway gets neither."""
    return variable in row.key_variables or _KEY_OR_ADDRESS.search(variable) is not None


def check_preset(
    name: str,
    rows: Rows | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    which: Which | None = None,
    installed: Path | None = None,
) -> PresetCheck:
    """Whether an agent is there and has a key; never raises for a missing one."""
    known = load_rows() if rows is None else rows
    variables = os.environ if environ is None else environ
    try:
        setup = resolve(name, known, environ=variables, which=which, installed=installed)
    except OrchardError as error:
        return PresetCheck(name=name, found=False, problem=error.message, hint=error.hint)
    row = known[name]
    problem = hint = ""
    if not row.has_key(variables):
        problem = f"None of {', '.join(row.key_variables)} is set."
        hint = f"Put {row.key_variables[0]} into Orchard's environment or .env."
    return PresetCheck(
        name=name, found=True, program=setup.argv[0], problem=problem, hint=hint, tried=row.tried
    )


def _search_path(environ: Mapping[str, str]) -> str:
    return os.pathsep.join(part for part in (environ.get("PATH", ""), DEFAULT_PATH) if part)


class _Filler:
    """Fills placeholders, and remembers what that made necessary."""

    def __init__(self, name: str, row: AgentRow, which: Which) -> None:
        self._name = name
        self._row = row
        self._which = which
        self.programs: list[Path] = []
        self.folders: list[Path] = []

    def __call__(self, text: str) -> str:
        return _PLACEHOLDER.sub(self._value, text)

    def _value(self, found: re.Match[str]) -> str:
        key, argument = found.group(1), found.group(2)
        if key == "python" and argument is None:
            self.programs.append(Path(sys.executable))
            return sys.executable
        if key == "replay" and argument is None:
            self.folders.append(REPLAY)
            return str(REPLAY)
        if key == "program" and argument is not None:
            program = self.program(argument)
            self.programs.append(Path(program))
            return program
        if key not in self._row.variables or argument is not None:
            return found.group(0)  # braces that are not ours, as in JSON
        value = self._row.variables[key]
        if not value:
            raise InvalidInput(
                f"The agent {self._name!r} needs its variable {key!r}.",
                hint=f"Set agents.{self._name}.variables.{key} in orch-config.yaml.",
            )
        return str(Path(value).expanduser()) if value.startswith("~") else value

    def program(self, word: str) -> str:
        """The absolute path of a program named by path or looked up on PATH."""
        wanted = str(Path(word).expanduser()) if word.startswith("~") else word
        if "/" in wanted and not Path(wanted).is_absolute():
            raise InvalidInput(
                f"The agent {self._name!r} names its program by a relative path, {word}.",
                hint="An agent starts in a worktree: give an absolute path, or a name on PATH.",
            )
        found = self._which(wanted)
        if found is None:
            raise Unavailable(
                f"The agent {self._name!r} is not installed: there is no program {word}.",
                hint=self._how_to_install(),
            )
        return str(Path(found).absolute())

    def _how_to_install(self) -> str:
        row = self._row
        ours = f"orchard agents install {row.family or self._name}" if row.package else ""
        return f"Install it: {' or '.join(filter(None, (ours, row.install)))}" if ours or row.install else ""


def _existing(name: str, text: str) -> Path:
    path = Path(text).expanduser()
    if not path.is_absolute():
        raise InvalidInput(
            f"The agent {name!r} names a relative path, {text}.",
            hint="An agent starts in a worktree: give an absolute path.",
        )
    if not path.exists():
        raise Unavailable(f"The agent {name!r} needs {path}, which is not there.", hint="Mend its row.")
    return path


def _inside(program: str) -> str:
    """The path to start: a sandbox has no links that lead to a program, but a Python environment is one."""
    path = Path(program)
    return program if (path.parent.parent / "pyvenv.cfg").exists() else str(path.resolve())


def _needed(programs: list[Path], which: Which) -> tuple[list[Path], list[Path]]:
    """What programs outside the system must see, and the folders of the interpreters that `env` looks up."""
    folders: list[Path] = []
    on_path: list[Path] = []
    for program in programs:
        folders += program_folders(program)
        real = program.resolve()
        modules = [parent for parent in real.parents if parent.name == "node_modules"]
        if modules:
            folders.append(modules[-1])
        interpreter = _interpreter_by_env(real, which)
        if interpreter is not None:
            folders += program_folders(interpreter)
            on_path.append(interpreter.parent)
    visible = [folder for folder in dict.fromkeys(folders) if not folder.is_relative_to("/usr")]
    system = {Path(part) for part in DEFAULT_PATH.split(os.pathsep)}
    return visible, [folder for folder in dict.fromkeys(on_path) if folder not in system]


def _interpreter_by_env(program: Path, which: Which) -> Path | None:
    """From `#!/usr/bin/env node`."""
    try:
        with program.open("rb") as file:
            words = file.readline(256).split()
    except OSError:
        return None
    if len(words) < 2 or words[0] not in (b"#!/usr/bin/env", b"#!/bin/env"):
        return None
    names = [os.fsdecode(word) for word in words[1:] if not word.startswith(b"-")]
    found = which(names[0]) if names else None
    return Path(found).absolute() if found else None

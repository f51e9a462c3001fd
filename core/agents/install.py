"""Fetches agents from their registries into Orchard's own folder, whole or not at all.

Which registry that is, is the affair of npm and pip as they are configured on this machine. The layout,
and why an interrupted installation does no harm, stands in `core/agents/installed.py`.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import platform
import re
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from core.agents.installed import RECORD, Installed, installed_agent
from core.agents.interpreters import find_python
from core.agents.rows import AgentRow, PackageRow
from core.clock import Clock, SystemClock
from core.errors import InvalidInput, NotFound, OrchardError, Unavailable
from core.isolation.plan import DEFAULT_PATH

_LOOK_SECONDS = 1.0
_SAID_CHARACTERS = 400
_NO_ANSWER = re.compile(
    r"ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH|ERR_SOCKET"
    r"|NewConnectionError|ConnectTimeout|ReadTimeout|Temporary failure in name|Network is unreachable"
    r"|Connection refused|Max retries exceeded",
    re.IGNORECASE,
)
_NO_ROOM = re.compile(r"ENOSPC|EDQUOT|No space left|Disk quota", re.IGNORECASE)
_NO_VERSION = re.compile(
    r"ETARGET|E404|404 Not Found|No matching version|No matching distribution|Could not find a version",
    re.IGNORECASE,
)
_NO_LIST = "from versions: none"  # pip's word also where no registry answered
_OTHER_PYTHON = re.compile(r"Requires-Python|requires a different Python", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetching:
    """How far an installation is."""

    step: str  # for people
    megabytes: float
    seconds: float


OnFetching = Callable[[Fetching], None]


async def install_agent(
    name: str,
    row: AgentRow,
    folder: Path,
    *,
    version: str | None = None,
    environ: Mapping[str, str] | None = None,
    on_progress: OnFetching = lambda _: None,
    clock: Clock | None = None,
) -> Installed:
    """The packages of `row` in a folder of their own below `folder`/`name`, and the record that names it.

    `version` is another one than the row's for the agent's own package. What was installed before stays
    in force until the new one is whole, and is there, unnamed, until the next installation, since agents
    may still run from it.

    Raises InvalidInput for a row without packages or a version that is none, Unavailable when another process
    installs the same agent, something that this needs is missing, the registry does not answer, or the disk
    is full.
    """
    if row.package is None:
        raise InvalidInput(
            f"Orchard cannot install {name}: its row names no packages.",
            hint=f"Install it yourself: {row.install}" if row.install else "",
        )
    wanted = _wanted(row.package, version)
    place = folder / name
    variables = os.environ if environ is None else environ
    with _Alone(place, name) as lock:
        before = installed_agent(folder, name)
        _sweep(place, keep=before)
        fresh = Path(tempfile.mkdtemp(dir=place))
        fetch = _Fetch(name, fresh, variables, on_progress, lock)
        try:
            versions = await (fetch.npm if row.package.npm else fetch.pypi)(row.package, wanted)
            _first_program(name, row, fresh, versions)
            at = (clock or SystemClock()).now().isoformat(timespec="seconds")
            _write_record(place, {"folder": fresh.name, "versions": versions, "at": at})
        except BaseException as error:
            shutil.rmtree(fresh, ignore_errors=True)
            if isinstance(error, OSError) and _NO_ROOM.search(str(error)):
                raise _full(name, str(error), place) from error
            raise
    return Installed(name=name, folder=fresh, versions=versions, at=at)


def uninstall_agent(name: str, folder: Path) -> None:
    """Removes what was installed. Raises NotFound when nothing was, Unavailable while that goes on."""
    place = folder / name
    if not place.is_dir():
        raise NotFound(
            f"{name} was not installed by Orchard.", hint="orchard agents list shows where each agent is."
        )
    with _Alone(place, name):
        (place / RECORD).unlink(missing_ok=True)  # first: without it there is no agent, whatever is left
        _sweep(place, keep=None)
    shutil.rmtree(place, ignore_errors=True)


def _wanted(package: PackageRow, version: str | None) -> dict[str, str]:
    if version is not None and not re.fullmatch(r"[0-9A-Za-z][0-9A-Za-z.+_-]*", version):
        raise InvalidInput(f"{version!r} is no version.", hint="Give one like 1.2.3.")
    return {**package.packages, **({package.first: version} if version else {})}


class _Alone:
    """Only one process at a time changes an agent's folder. What it starts holds the lock, too, so that
    nothing is swept away under a fetcher whose parent was killed."""

    def __init__(self, place: Path, name: str) -> None:
        self._place, self._name = place, name
        self._fd = -1

    def __enter__(self) -> int:
        try:
            self._place.mkdir(parents=True, exist_ok=True)
            self._fd = os.open(self._place / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise Unavailable(
                f"Orchard cannot write {self._place}.", why=str(error), hint="Mend its rights."
            ) from error
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._fd)
            raise Unavailable(
                f"{self._name} is being installed or removed at this moment.", hint="Wait until that is done."
            ) from None
        return self._fd

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)


def _sweep(place: Path, *, keep: Installed | None) -> None:
    for each in place.iterdir():
        if each.is_dir() and (keep is None or each.resolve() != keep.folder):
            shutil.rmtree(each, ignore_errors=True)


def _write_record(place: Path, record: Mapping[str, object]) -> None:
    fresh = place / f"{RECORD}.new"
    with fresh.open("w", encoding="utf-8") as file:
        json.dump(record, file, indent=2)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(place / RECORD)


def _first_program(name: str, row: AgentRow, fresh: Path, versions: Mapping[str, str]) -> None:
    """Refuses an installation that lacks the program that the row starts."""
    made = Installed(name=name, folder=fresh, versions=versions, at="")
    if "/" not in row.argv[0] and "{" not in row.argv[0] and made.which(row.argv[0]) is None:
        raise Unavailable(
            f"{name} was fetched, but has no program {row.argv[0]}; it was not installed.",
            why=", ".join(f"{package} {version}" for package, version in versions.items()),
            hint="Its packages changed: install a version that was tried, or mend its row's argv.",
        )


class _Fetch:
    def __init__(
        self, name: str, folder: Path, environ: Mapping[str, str], on_progress: OnFetching, lock: int
    ) -> None:
        self._name = name
        self._folder = folder
        self._environ = environ
        self._on_progress = on_progress
        self._lock = lock

    async def npm(self, package: PackageRow, wanted: Mapping[str, str]) -> dict[str, str]:
        npm = self._program("npm", "Install Node.js, which brings npm.")
        every = dict(wanted)
        if package.node is not None:
            every[_node_package()] = package.node
        # Install scripts are other people's programs, outside any sandbox: a row names the few
        # that its agent needs.
        argv = [
            npm, "install", "--prefix", str(self._folder), "--no-audit", "--no-fund", "--no-progress",
            "--no-update-notifier", "--ignore-scripts", "--save-exact", "--engine-strict=false",
            "--loglevel=error",
            # Its own pauses are 10 and 60 s for each of some hundred packages: an hour without a network.
            "--fetch-retries=2", "--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=5000",
            *(f"{each}@{version}" for each, version in every.items()),
        ]  # fmt: skip
        await self._run(argv, f"fetching {_listed(every)}")
        for script in package.finish:
            node = self._program("node", "Install Node.js.")
            await self._run([node, str(self._folder / "node_modules" / script)], f"running {script}")
        versions = {}
        for each in every:
            told = json.loads((self._folder / "node_modules" / each / "package.json").read_text("utf-8"))
            versions["node" if each == _node_package() else each] = str(told["version"])
        return versions

    async def pypi(self, package: PackageRow, wanted: Mapping[str, str]) -> dict[str, str]:
        python = await find_python(package.python, self._environ)
        if python is None:
            raise Unavailable(
                f"{self._name} needs Python {package.python} or newer, which is not on this machine.",
                hint=f"Install Python {package.python}, so that python{package.python} is on PATH.",
            )
        venv = self._folder / "venv"
        own = str(venv / "bin" / "python")
        await self._run([str(python), "-m", "venv", str(venv)], "making its environment")
        argv = [
            own,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-input",
            "--no-compile",
            "--disable-pip-version-check",
        ]
        specs = [f"{each}=={version}" for each, version in wanted.items()]
        await self._run([*argv, *specs], f"fetching {_listed(wanted)}")
        # In its sandbox it could not keep what it compiled, and would start slowly each time.
        compiling = [own, "-m", "compileall", "-q", "-q", "-j", str(os.cpu_count() or 1), str(venv / "lib")]
        with suppress(_Failed):  # packages hold files that are no Python of this version
            await self._run(compiling, "compiling it")
        listing = "import importlib.metadata as m, json, platform, sys; print(json.dumps({'python':"
        listing += " platform.python_version(), **{n: m.version(n) for n in sys.argv[1:]}}))"
        said = await self._run([own, "-c", listing, *wanted], "looking at it")
        versions: dict[str, str] = json.loads(said.splitlines()[-1])
        return versions

    def _program(self, program: str, hint: str) -> str:
        path = os.pathsep.join((self._environ.get("PATH", ""), DEFAULT_PATH))
        found = shutil.which(program, path=path)
        if found is None:
            raise Unavailable(
                f"{self._name} is fetched by {program}, which is not on this machine.", hint=hint
            )
        return found

    async def _run(self, argv: Sequence[str], step: str) -> str:
        """What it printed. Raises OrchardError with what went wrong; ends all that it started."""
        began = asyncio.get_running_loop().time()
        environment = {
            **{key: value for key, value in self._environ.items() if key not in ("PYTHONPATH", "PYTHONHOME")},
            "PIP_REQUIRE_VIRTUALENV": "0",
        }
        with tempfile.TemporaryFile() as output:
            async with _ended(argv, environment, output.fileno(), self._lock) as process:
                waiting = asyncio.ensure_future(process.wait())
                while not waiting.done():
                    await asyncio.wait({waiting}, timeout=_LOOK_SECONDS)
                    seconds = asyncio.get_running_loop().time() - began
                    size = await asyncio.to_thread(_megabytes, self._folder)
                    self._on_progress(Fetching(step=step, megabytes=size, seconds=seconds))
            output.seek(0)
            said = output.read().decode(errors="replace")
        if process.returncode:
            raise self._fault(argv[0], step, process.returncode, said)
        return said

    def _fault(self, program: str, step: str, code: int, said: str) -> OrchardError:
        tail = _tail(said)
        if _NO_ROOM.search(said):
            return _full(self._name, tail, self._folder.parent)
        if _OTHER_PYTHON.search(said) and "No matching" in said:
            return _Failed(
                f"{self._name} could not be installed: that version wants another Python.",
                why=tail,
                hint="Choose another version, or install the Python that it names.",
            )
        unheard = _NO_ANSWER.search(said)
        if _NO_VERSION.search(said) and not (unheard and _NO_LIST in said):
            return _Failed(
                f"{self._name} could not be installed: its registry has no such version.",
                why=tail,
                hint="Leave --version away to take the one that was tried.",
            )
        if unheard:
            return _Failed(
                f"{self._name} could not be installed: its registry did not answer.",
                why=_line_of(unheard),
                hint="Check the network, a proxy, and how npm or pip is configured; then try again.",
            )
        what = f"{Path(program).name} ended with status {code} ({step})"
        return _Failed(f"{self._name} could not be installed: {what}.", why=tail, hint="Nothing was changed.")


class _Failed(Unavailable):
    """A program that fetches did not do it."""


@asynccontextmanager
async def _ended(
    argv: Sequence[str], environment: Mapping[str, str], output: int, lock: int
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A program in a group of its own, which is gone when this is left."""
    process = await asyncio.create_subprocess_exec(
        *argv,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        env=dict(environment),
        start_new_session=True,
        pass_fds=(lock,),
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await asyncio.shield(process.wait())


def _full(name: str, why: str, place: Path) -> Unavailable:
    return _Failed(
        f"{name} could not be installed: the disk is full.",
        why=why,
        hint=f"Make room at {place}; what was there before is untouched.",
    )


def _node_package() -> str:
    """The package that holds Node itself for this machine, without an install script."""
    systems = {"Linux": "linux", "Darwin": "darwin"}
    machines = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64", "arm64": "arm64"}
    system, machine = systems.get(platform.system()), machines.get(platform.machine().lower())
    if system is None or machine is None:
        raise Unavailable(
            f"There is no packaged Node for {platform.system()} on {platform.machine()}.",
            hint="Install Node 22 yourself and set the row's package.node to null.",
        )
    return f"node-{system}-{machine}"


def _listed(packages: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in packages.items())


def _tail(said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [line for line in lines if re.match(r"(npm )?(error|ERROR)\b", line)] or lines
    return " ".join(errors[:4] if errors is not lines else lines[-4:])[:_SAID_CHARACTERS]


def _line_of(found: re.Match[str]) -> str:
    said = found.string
    begin, end = said.rfind("\n", 0, found.start()) + 1, said.find("\n", found.end())
    return said[begin : end if end >= 0 else None].strip()[:_SAID_CHARACTERS]


def _megabytes(folder: Path) -> float:
    total = 0
    for root, _, files in os.walk(folder):
        for name in files:
            with suppress(OSError):
                total += Path(root, name).lstat().st_size
    return total / 1e6

"""What every test may rely on: bubblewrap where a test is marked with it, examples that repeat."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import psutil
import pytest
import pytest_asyncio
from hypothesis import HealthCheck, settings
from hypothesis.internal.conjecture import providers

from core.isolation.machine import probe_machine
from core.isolation.plan import Level
from tests.blank_stores import blank_stores

if TYPE_CHECKING:
    from tests.github_server.server import GithubServer

# A shell that put the tests into the background has them ignore Ctrl-C, and so would each program they start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The same examples each time, and no clock: a run says something of the code, never of the machine's load.
# `--hypothesis-profile=thorough` looks for new ones.
settings.register_profile(
    "repeatable",
    derandomize=True,
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("thorough", deadline=None, max_examples=2000)
# `make fuzz`: as many as wanted, and what shows a fault is kept for the next time.
settings.register_profile(
    "fuzz",
    deadline=None,
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "5000")),
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("repeatable")

# The tests' files in memory where there is plenty, since every commit to a store or a repository otherwise
# waits for the disk, and all workers for the same one: a third of the whole run. What a killed process wrote
# stays on any file system; a power cut is not among the tests.
with suppress(OSError):
    _memory = Path("/dev/shm")
    _room = min(psutil.disk_usage(str(_memory)).free, psutil.virtual_memory().available)
    if os.access(_memory, os.W_OK) and _room > 6 << 30:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(_memory))

_missing = pytest.StashKey[str]()
_skipped = pytest.StashKey[list[str]]()


@pytest.hookimpl(trylast=True)  # after --hypothesis-profile
def pytest_configure() -> None:
    """Hypothesis also draws from the constants of all modules that are loaded by then: other examples in each
    worker, whichever tests it ran before, and much reading of code. It has no setting for that."""
    if settings.get_current_profile_name() == "repeatable":
        none = providers._local_constants
        providers._get_local_constants = lambda: none


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Reading all tests makes much and drops little: the garbage collector looks through none of it, neither
    then nor later."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture(scope="session", autouse=True)
def stores_begin_with_their_schema() -> Iterator[None]:
    with blank_stores():
        yield


@pytest.fixture
def not_in_memory() -> Iterator[Path]:
    """A folder on the disk: for files that count as such, and for containers, which are given nothing below
    /dev."""
    with TemporaryDirectory(prefix="orchard-disk-") as name:
        yield Path(name)


@pytest_asyncio.fixture
async def github_server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[GithubServer]:
    """The GitHub-like server, in the test's own loop. The token `good-token` is Orchard's, who may write to
    `acme/shop`."""
    from tests.github_server.server import GithubServer

    async with GithubServer(folder=tmp_path_factory.mktemp("github")) as server:
        server.add_repository("acme/shop", kind="Organization").grant("orch-bot", "write")
        server.add_token("good-token", "orch-bot")
        yield server


@pytest.hookimpl(trylast=True)  # after -k and -m have chosen
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skips what is marked `bwrap` where bubblewrap cannot be used; asked once, by really running it."""
    marked = [item for item in items if item.get_closest_marker("bwrap")]
    if not marked:
        return
    machine = asyncio.run(probe_machine())
    if Level.FILESYSTEM in machine.levels:
        return
    reason = f"needs bubblewrap: {machine.reasons[Level.FILESYSTEM]}"
    for item in marked:
        item.add_marker(pytest.mark.skip(reason=reason))
    config.stash[_missing] = reason
    config.stash[_skipped] = [item.nodeid for item in marked]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Names every test that was not run because of it; pytest's own summary folds them."""
    if skipped := config.stash.get(_skipped, None):
        terminalreporter.section(f"{len(skipped)} tests not run")
        terminalreporter.line(config.stash[_missing])
        for name in skipped:
            terminalreporter.line(f"  {name}")

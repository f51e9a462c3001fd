"""SIGKILL in the middle of a change of the key: the store is whole, with the key that is settled on."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from core.bus import Bus
from core.clock import SystemClock
from core.security.audit import AuditKind
from core.security.keys import KeySource, make_key
from core.security.second_factor import KeySeal
from core.store import audit, rekey
from core.store.auditor import Auditor
from core.store.cipher import Cipher, is_plain
from core.store.database import Store
from core.store.replacing import connected, prove

pytestmark = pytest.mark.timeout(600)  # a fork and a look at the whole store for each step

ROWS = 100
CLOCK = SystemClock()
LOADED = KeySeal  # before the forks: reading a module is no moment of the change
# What changes files, and what opens connections: each is a moment to be killed at.
_MOMENTS = {"open", "os.rename", "os.link", "os.remove", "sqlite3.connect", "os.listdir"}


@pytest.fixture(params=[False, True], ids=["plain", "encrypted"])
def encrypted(request: pytest.FixtureRequest) -> bool:
    if request.param:
        pytest.importorskip("sqlcipher3", reason="the extra sqlcipher is not installed")
    return bool(request.param)


@pytest.fixture
def store(in_memory: Path, encrypted: bool) -> tuple[Path, KeySource]:
    source = KeySource(file=in_memory / "key")
    key = make_key(source.file)
    path = in_memory / "orchard.db"

    async def fill() -> None:
        auditor = Auditor(key)
        cipher = Cipher(key) if encrypted else None
        async with Store.open(path, clock=CLOCK, bus=Bus(), cipher=cipher) as opened:

            def work(tx):  # type: ignore[no-untyped-def]
                for number in range(ROWS):
                    auditor.record(
                        tx, AuditKind.SETTINGS_CHANGED, actor="a", data={"n": number, "x": "y" * 500}
                    )

            await opened.write(work)

    asyncio.run(fill())
    return path, source


def in_child(work: Callable[[], object]) -> int:
    """The pid of a fork that runs it and ends without any clean-up."""
    if pid := os.fork():
        return pid
    try:
        work()
    except BaseException:
        os._exit(1)
    os._exit(0)


def look(path: Path, source: KeySource, encrypted: bool) -> int:
    """How often the key was changed. Everything is there, under the key that is settled on."""
    key = rekey.settled(path, source.file)
    assert key is not None
    assert key == source.load({})
    assert is_plain(path) is not encrypted
    proven = prove(path, key)
    with closing(connected(path, Cipher(key) if encrypted else None)) as conn:
        changes = len(audit.entries(conn, kind=AuditKind.KEY_CHANGED, limit=10_000))
    assert proven.audit_rows == ROWS + changes
    return changes


def test_killed_before_any_of_its_steps(store: tuple[Path, KeySource], encrypted: bool) -> None:
    path, source = store
    steps, changes, ended = 0, [0], False
    while not ended:
        steps += 1

        def work(left: int = steps) -> None:
            def count(event: str, arguments: tuple[object, ...]) -> None:
                nonlocal left
                if event in _MOMENTS:
                    left -= 1
                    if left == 0:
                        os.kill(os.getpid(), signal.SIGKILL)

            sys.addaudithook(count)
            rekey.change_key_in_file(path, source, encrypted=encrypted, clock=CLOCK, actor="x")

        _, status = os.waitpid(in_child(work), 0)
        ended = os.WIFEXITED(status)
        if ended:
            assert os.WEXITSTATUS(status) == 0
        changes.append(look(path, source, encrypted))
    assert steps > 10
    assert changes[1] == 0  # the first was before anything
    assert changes[-1] - changes[-2] == 1  # the last was not killed
    assert 1 < len(set(changes)) < len(changes)  # some were killed before the store was changed, some after


def test_killed_at_any_moment(store: tuple[Path, KeySource], encrypted: bool) -> None:
    path, source = store

    def work() -> None:
        while True:
            rekey.change_key_in_file(path, source, encrypted=encrypted, clock=CLOCK, actor="x")

    for _ in range(8):
        child = in_child(work)
        time.sleep(random.uniform(0.01, 0.25))  # which moment does not matter: it is always in a change
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status)
        look(path, source, encrypted)

"""Whose launcher is gone is ended by anybody of ours; nobody else is."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from core.isolation.orphans import MARK, end_orphans, marked, new_mark

Start = Callable[[str], subprocess.Popen[bytes]]


@pytest.fixture
def start() -> Iterator[Start]:
    """A program with a mark in its environment, that has begun, unless somebody of ours was quick to end it:
    other tests do run Orchard beside these."""
    begun: list[subprocess.Popen[bytes]] = []

    def start_one(mark: str) -> subprocess.Popen[bytes]:
        argv = ["/bin/sh", "-c", "echo begun; read line"]
        process = subprocess.Popen(
            argv, env={MARK: mark}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        )
        begun.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() in (b"begun\n", b"")
        return process

    yield start_one
    for process in begun:
        process.kill()
        process.communicate()


@pytest.fixture
def dead_mark() -> str:
    """Of a launcher that has ended."""
    code = "from core.isolation.orphans import new_mark; print(new_mark())"
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.strip()


def test_what_a_dead_launcher_left_is_ended(start: Start, dead_mark: str) -> None:
    left = start(dead_mark)
    end_orphans()
    assert left.wait(50) == -9


def test_whoever_took_the_number_of_a_dead_launcher_is_not_it(start: Start, dead_mark: str) -> None:
    _, ticks, namespace, word = dead_mark.split(".")
    left = start(f"{os.getppid()}.{int(ticks) + 1}.{namespace}.{word}")
    end_orphans()
    assert left.wait(50) == -9


@pytest.mark.parametrize("change", ["ours", "other namespace", "no mark of ours"])
def test_others_are_left_alone(start: Start, dead_mark: str, change: str) -> None:
    """A launcher in a container has a number of its own there: who it is cannot be told from outside."""
    pid, ticks, namespace, word = dead_mark.split(".")
    mark = {
        "ours": new_mark(),
        "other namespace": f"{pid}.{ticks}.{int(namespace) + 1}.{word}",
        "no mark of ours": "0" * 32,
    }[change]
    alive, orphan = start(mark), start(dead_mark)
    assert alive.pid in marked(mark)
    end_orphans()
    assert orphan.wait(50) == -9
    assert alive.poll() is None

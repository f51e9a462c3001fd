"""What is left is found by real processes and files."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from core.agents import remains
from core.isolation.plan import Level


@pytest.fixture
def sleeper():
    """Starts a program that stays, and ends it afterwards."""
    started = []

    def start(**options):
        process = subprocess.Popen(["tail", "-f", "/dev/null"], start_new_session=True, **options)
        started.append(process)
        while b"tail" not in Path(f"/proc/{process.pid}/cmdline").read_bytes():
            time.sleep(0.001)  # its exec has begun, but its arguments are not there yet
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.mark.parametrize("sign", ["cwd", "env"])
def test_a_process_in_a_session_of_its_own_is_found_by_each_sign(tmp_path, sleeper, sign):
    before = remains.files(tmp_path, Level.FILESYSTEM)
    assert remains.left_since(before, tmp_path, Level.FILESYSTEM) == ()

    options = (
        {"cwd": tmp_path} if sign == "cwd" else {"env": {"HOME": f"{tmp_path}/home", "PATH": "/usr/bin"}}
    )
    process = sleeper(**options)

    assert f"process {process.pid}: tail -f /dev/null" in remains.left_since(
        before, tmp_path, Level.FILESYSTEM
    )
    assert len(remains.running("tail", tmp_path)) == 1
    assert remains.running("sleep", tmp_path) == ()


def test_files_beside_home_and_worktree_are_found(tmp_path):
    (tmp_path / "repository").mkdir()
    before = remains.files(tmp_path, Level.FILESYSTEM)
    for name in ("home", "worktree", "elsewhere"):
        (tmp_path / name).mkdir()

    assert remains.left_since(before, tmp_path, Level.FILESYSTEM) == (f"file {tmp_path}/elsewhere",)


def test_at_the_weakest_level_new_names_in_the_users_home_count_too(tmp_path, monkeypatch):
    home = tmp_path / "user"
    (home / ".config").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    top = tmp_path / "check"
    top.mkdir()
    before = remains.files(top, Level.PROCESS)
    (home / ".config" / "agentrc").touch()

    assert remains.left_since(before, top, Level.PROCESS) == (f"file {home}/.config/agentrc",)
    assert remains.left_since(before, top, Level.FILESYSTEM) == ()

"""`.ci/setup` on machines that lack something: it says what, and goes on where it can."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parents[3]
NEEDED = ("bash", "env", "dirname", "id", "git", "grep", "tail", "mktemp", "rm", "cat", "touch", "find")


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A copy of the script beside a finished environment, and a `bin` that is all of PATH."""
    (tmp_path / "bin").mkdir()
    for name in NEEDED:
        (tmp_path / "bin" / name).symlink_to(shutil.which(name) or "/bin/false")
    (tmp_path / ".ci").mkdir()
    shutil.copy(HERE / ".ci" / "setup", tmp_path / ".ci" / "setup")
    for name in ("requirements.lock", "pyproject.toml"):
        (tmp_path / name).write_text("")
        os.utime(tmp_path / name, (1, 1))
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / ".orchard-setup").write_text("")
    return tmp_path


def program(machine: Path, name: str, script: str) -> None:
    path = machine / "bin" / name
    path.unlink(missing_ok=True)
    path.write_text(f"#!/usr/bin/env bash\n{script}\n")
    path.chmod(0o755)


def setup(machine: Path) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": str(machine / "bin")}
    return subprocess.run(
        [machine / ".ci" / "setup"], env=environment, capture_output=True, text=True, timeout=30, check=False
    )


def test_a_finished_environment_is_left_alone(machine):
    program(machine, "bwrap", "")
    assert (setup(machine).returncode, setup(machine).stderr) == (0, "")


def test_an_old_python_alone_is_a_clear_error(machine):
    (machine / ".venv" / ".orchard-setup").unlink()
    program(machine, "python3", '[ "$1" = --version ] && echo "Python 3.9.2"; exit 1')
    done = setup(machine)
    assert done.returncode == 1
    assert "needs Python 3.11 or newer; found: Python 3.9.2" in done.stderr


def test_without_root_the_missing_package_is_named(machine):
    program(machine, "id", "echo 1000")
    program(machine, "apt-get", f"touch {machine}/called")
    done = setup(machine)
    assert done.returncode == 0
    assert "as root: apt-get install bubblewrap" in done.stderr
    assert "tests marked 'bwrap' are skipped" in done.stderr
    assert not (machine / "called").exists()


def test_offline_root_goes_on_and_does_not_try_at_each_call(machine):
    program(machine, "id", "echo 0")
    program(machine, "apt-get", f'echo "$*" >>{machine}/called; echo "E: Unable to fetch"; exit 100')
    done = setup(machine)
    assert done.returncode == 0
    assert "could not be installed: E: Unable to fetch" in done.stderr
    calls = (machine / "called").read_text().splitlines()
    assert [call.split()[0] for call in calls] == ["install", "update"]
    assert setup(machine).returncode == 0
    assert (machine / "called").read_text().splitlines() == calls


def test_root_installs_bubblewrap_after_an_update_where_the_lists_are_old(machine):
    program(machine, "id", "echo 0")
    script = f'[ "$1" = update ] && touch {machine}/lists; [ -e {machine}/lists ] || exit 100'
    program(machine, "apt-get", f"{script}; touch {machine}/done")
    done = setup(machine)
    assert (done.returncode, done.stderr) == (0, "Installing bubblewrap ...\n")


def test_the_lock_names_no_index_and_no_place():
    text = (HERE / "requirements.lock").read_text()
    assert "://" not in text
    assert "--index-url" not in text
    assert "--find-links" not in text
    assert str(HERE) not in text
    pinned = [line for line in text.splitlines() if "==" in line]
    assert len(pinned) > 40
    assert all(line.endswith("\\") for line in pinned), "every pin has hashes"

"""The same for somebody who is not root. Runs a system Python, which must be new enough."""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
PROGRAM = Path(__file__).parent / "programs" / "ordinary_user.py"
SOURCES = ("core/__init__.py", "core/errors.py", "core/isolation")


@pytest.fixture(scope="module")
def report() -> Iterator[dict[str, Any]]:
    python = shutil.which("python3", path="/usr/bin:/usr/local/bin")
    new_enough = "import sys; sys.exit(sys.version_info < (3, 11))"
    if python is None or subprocess.run([python, "-c", new_enough]).returncode:
        pytest.skip("no Python 3.11 outside root's own folders")
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("only root can become another user, by setpriv")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        for source in SOURCES:
            target = folder / "code" / source
            target.parent.mkdir(parents=True, exist_ok=True)
            if (ROOT / source).is_dir():  # what other tests' Pythons compile just now comes and goes
                shutil.copytree(ROOT / source, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(ROOT / source, target)
        shutil.copy(PROGRAM, folder)
        own = folder / "own"
        own.mkdir()
        os.chown(own, 65534, 65534)
        subprocess.run(["chmod", "-R", "a+rX", folder], check=True)
        done = subprocess.run(
            [
                "setpriv",
                "--reuid=65534",
                "--regid=65534",
                "--clear-groups",
                python,
                folder / PROGRAM.name,
                own,
            ],
            env={"PYTHONPATH": str(folder / "code"), "HOME": "/nonexistent", "PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
            timeout=50,
        )
        assert done.returncode == 0, done.stderr
        yield json.loads(done.stdout)


def test_level_process_works(report) -> None:
    assert report["process"]["code"] == 3
    assert report["process"]["output"].startswith("65534\ns3cret")


@pytest.mark.bwrap
def test_level_filesystem_hides_and_protects(report) -> None:
    if "filesystem" not in report["levels"]:
        pytest.skip(report["reasons"]["filesystem"])
    assert report["filesystem"]["code"] == 3
    output = report["filesystem"]["output"]
    assert output.startswith("65534\n")
    assert "s3cret" not in output
    assert "tests/made" in output  # refused, and said
    assert "'made'" not in output
    assert "CapEff:\t0000000000000000" in output


@pytest.mark.bwrap
def test_the_process_limit_holds(report) -> None:
    if "filesystem" not in report["levels"]:
        pytest.skip(report["reasons"]["filesystem"])
    assert 20 <= int(report["forks"].splitlines()[-1]) < 40


def test_what_holds_a_project_is_said_with_its_reason(report) -> None:
    found = report["enforcement"]
    assert set(found) == {"memory", "cpu", "processes", "disk"}
    for means, why in found.values():
        assert means in ("cgroup v1", "cgroup v2") or len(why) > 20

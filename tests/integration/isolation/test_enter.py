from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from core.isolation import enter
from core.isolation.disk import disk_mb


def entered(entry: dict[str, object], *argv: str) -> subprocess.CompletedProcess[str]:
    into = [sys.executable, "-I", "-S", enter.__file__, json.dumps(entry), "--"]
    return subprocess.run([*into, *argv], capture_output=True, text=True, check=False)


def test_it_becomes_the_program() -> None:
    done = entered({"join": [], "nice": None}, "sh", "-c", "echo $$; exit 3")
    assert (done.returncode, done.stderr) == (3, "")


def test_it_joins_every_group_before_the_program_runs(tmp_path: Path) -> None:
    groups = [tmp_path / "a", tmp_path / "b"]
    for group in groups:
        group.touch()
    done = entered({"join": [str(group) for group in groups]}, "cat", *map(str, groups))
    assert done.stdout == "00"


def test_without_its_group_nothing_runs(tmp_path: Path) -> None:
    done = entered({"join": [str(tmp_path / "gone" / "cgroup.procs")]}, "touch", str(tmp_path / "ran"))
    assert done.returncode == 127
    assert "gone" in done.stderr
    assert not (tmp_path / "ran").exists()


async def test_disk_counts_blocks_and_each_hard_link_once(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.mkdir()
    other.mkdir()
    (one / "file").write_bytes(b"x" * (2 << 20))
    (other / "same").hardlink_to(one / "file")
    (one / "out").symlink_to("/usr")
    with (one / "sparse").open("wb") as file:
        file.truncate(1 << 30)
    assert await disk_mb([one, other]) == pytest.approx(2, abs=0.1)
    assert await disk_mb([tmp_path / "missing"]) == 0.0
    assert await disk_mb([]) == 0.0


async def test_a_disk_that_takes_too_long_is_not_known(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    slow = tmp_path / "bin" / "du"
    slow.parent.mkdir()
    slow.write_text("#!/bin/sh\nexec sleep 60\n")
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", f"{slow.parent}:/usr/bin:/bin")
    assert await disk_mb([tmp_path], timeout_seconds=0.2) is None
    monkeypatch.setenv("PATH", str(tmp_path))
    assert await disk_mb([tmp_path]) is None

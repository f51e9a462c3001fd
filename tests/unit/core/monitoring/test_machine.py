"""What may really be used: of the machine, and of the groups around us."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from core.monitoring.machine import read_machine

MB = 1 << 20

Files = dict[str, object]
Groups = Callable[[str, dict[str, Files]], Path]


@pytest.fixture
def groups(tmp_path: Path) -> Groups:
    """`groups(kind, {"a/b": {"memory.max": 1}})`: a hierarchy, and a process in its deepest group."""

    def make(kind: str, found: dict[str, Files]) -> Path:
        top, process = tmp_path / "fs", tmp_path / "proc"
        process.mkdir()
        for name, files in found.items():
            (top / name).mkdir(parents=True, exist_ok=True)
            for file, value in {"cgroup.procs": "", **files}.items():
                (top / name / file).write_text(str(value))
        own = "/" + max(found, key=len)
        tail = "cgroup2 cgroup2 rw" if kind == "v2" else "cgroup cgroup rw,cpu,memory"
        (process / "mountinfo").write_text(f"30 20 0:26 / {top} rw - {tail}\n")
        (process / "cgroup").write_text(f"0::{own}\n" if kind == "v2" else f"3:cpu,memory:{own}\n")
        return process

    return make


def test_without_a_limit_it_is_the_machine(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    found = read_machine(tmp_path, tmp_path / "proc")
    assert found.cores == len(os.sched_getaffinity(0))
    assert found.memory_total_mb == pytest.approx(psutil.virtual_memory().total / MB)
    assert 0 < found.memory_available_mb <= found.memory_total_mb
    assert found.disk_total_mb == pytest.approx(shutil.disk_usage(tmp_path).total / MB)
    assert 0 < found.disk_free_mb <= found.disk_total_mb  # in memory, folders alone take nothing
    assert found.load_1m >= 0


def test_this_process_can_be_read(tmp_path: Path) -> None:
    found = read_machine(tmp_path / "is" / "not" / "there")
    assert found.cores >= 1
    assert 0 < found.memory_available_mb <= found.memory_total_mb


@pytest.mark.parametrize(
    ("kind", "inner", "around"),
    [
        (
            "v2",
            {"memory.max": "max", "memory.current": 100 * MB, "cpu.max": "max 100000"},
            {
                "memory.max": 512 * MB,
                "memory.current": 200 * MB,
                "memory.stat": f"anon 5\ninactive_file {50 * MB}\n",
                "cpu.max": "150000 100000",
            },
        ),
        (
            "v1",
            {
                "memory.limit_in_bytes": 9223372036854771712,
                "memory.usage_in_bytes": 100 * MB,
                "cpu.cfs_quota_us": -1,
                "cpu.cfs_period_us": 100000,
            },
            {
                "memory.limit_in_bytes": 512 * MB,
                "memory.usage_in_bytes": 200 * MB,
                "memory.stat": f"inactive_file 7\ntotal_inactive_file {50 * MB}\n",
                "cpu.cfs_quota_us": 75000,
                "cpu.cfs_period_us": 50000,
            },
        ),
    ],
)
def test_a_limit_around_us_is_what_there_is(
    kind: str, inner: Files, around: Files, groups: Groups, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    roomy = psutil.virtual_memory()._replace(total=4096 * MB, available=2048 * MB)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: roomy)
    monkeypatch.setattr(os, "getloadavg", lambda: (6.0, 0.0, 0.0))  # the real one changes meanwhile
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    found = read_machine(tmp_path, groups(kind, {"box": around, "box/own": inner}))
    assert found.memory_total_mb == 512
    assert found.memory_available_mb == 512 - 150
    assert found.cores == 1  # of a quota of one and a half
    assert found.load_1m == 1.5


def test_more_used_than_there_is_leaves_nothing(groups: Groups, tmp_path: Path) -> None:
    files: Files = {"memory.max": 64 * MB, "memory.current": 70 * MB, "cpu.max": "1000 100000"}
    found = read_machine(tmp_path, groups("v2", {"box": files}))
    assert (found.memory_total_mb, found.memory_available_mb, found.cores) == (64, 0, 1)


def test_what_cannot_be_read_is_no_limit(groups: Groups, tmp_path: Path) -> None:
    files: Files = {"memory.max": "what?", "memory.current": "", "cpu.max": "1 0"}
    found = read_machine(tmp_path, groups("v2", {"box": files}))
    assert found.memory_total_mb == pytest.approx(psutil.virtual_memory().total / MB)
    assert found.cores == len(os.sched_getaffinity(0))

from __future__ import annotations

from pathlib import Path

import pytest

from core.isolation.cgroup import UNIFIED, Home, read_homes
from core.isolation.cgroup_fence import CgroupFence
from core.isolation.cgroup_ground import Part, folder_name
from core.isolation.limits import Means, ProjectLimits, Resource

HYBRID_MOUNTS = """\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:9 - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
"""
HYBRID_OWN = """\
4:memory:/user/1000
3:name=systemd:/
2:cpu,cpuacct:/
0::/user.slice
"""


def test_each_hierarchy_of_a_hybrid_machine_is_found() -> None:
    found = read_homes(HYBRID_MOUNTS, HYBRID_OWN)
    root = Path("/sys/fs/cgroup")
    assert found["memory"] == Home(version=1, path=root / "memory/user/1000")
    assert found["cpu"] == found["cpuacct"] == Home(version=1, path=root / "cpu,cpuacct")
    assert found[UNIFIED] == Home(version=2, path=root / "unified/user.slice")
    assert "pids" not in found


def test_a_container_sees_its_own_part() -> None:
    mounts = "30 20 0:26 /docker/ab /sys/fs/cgroup ro,nosuid - cgroup2 cgroup rw,nsdelegate"
    place = Path("/sys/fs/cgroup")
    assert read_homes(mounts, "0::/docker/ab")[UNIFIED].path == place
    assert read_homes(mounts, "0::/docker/ab/x")[UNIFIED].path == place / "x"
    assert read_homes(mounts, "0::/docker/abc")[UNIFIED].path is None
    assert read_homes(mounts, "0::/../other")[UNIFIED].path is None


def test_a_mount_point_with_a_space_is_read() -> None:
    mounts = r"30 20 0:26 / /mnt/my\040groups rw - cgroup2 cgroup rw"
    assert read_homes(mounts, "0::/a")[UNIFIED].path == Path("/mnt/my groups/a")


@pytest.mark.parametrize("text", ["", "nonsense", "1 2 3 - cgroup", "0::"])
def test_what_is_no_such_file_has_no_groups(text: str) -> None:
    assert read_homes(text, "0::/") == {}


def test_every_project_has_a_folder_of_its_own() -> None:
    names = ["shop", "Shop", "a/b", "a_b", "a.b", "..", ".", "a.2f.b", "läden"]
    folders = [folder_name(name) for name in names]
    assert len(set(folders)) == len(names)
    assert all("/" not in folder and folder not in (".", "..") for folder in folders)


V2_FILES = {
    "cgroup.procs": "", "memory.max": "max", "memory.swap.max": "max", "memory.current": "52428800",
    "memory.peak": "104857600", "memory.events": "low 0\noom 3\noom_kill 2\n", "cpu.weight": "100",
    "cpu.max": "max 100000", "cpu.stat": "usage_usec 2500000\nuser_usec 1\n", "pids.max": "max",
    "pids.current": "7", "pids.events": "max 4\n", "cgroup.kill": "",
}  # fmt: skip


@pytest.fixture
def delegated(tmp_path: Path) -> Path:
    """A folder with the files of cgroup-v2.rst: this machine's v2 may have no controllers to try it on."""
    for name, content in V2_FILES.items():
        (tmp_path / name).write_text(content)
    return tmp_path


def v2(folder: Path) -> CgroupFence:
    return CgroupFence({name: Part(version=2, path=folder) for name in (UNIFIED, "memory", "cpu", "pids")})


def test_limits_stand_in_v2_s_files(delegated: Path) -> None:
    groups = v2(delegated)
    wanted = ProjectLimits(memory_mb=100, cpu_weight=3, cpu_cores=1.5, processes=60)
    assert groups.apply(wanted) == ()
    written = {name: (delegated / name).read_text() for name in V2_FILES}
    assert written["memory.max"] == str(100 << 20)
    assert written["memory.swap.max"].startswith("0")
    assert written["cpu.weight"] == "300"
    assert written["cpu.max"] == "150000 100000"
    assert written["pids.max"].startswith("60")


def test_use_is_read_from_v2_s_files(delegated: Path) -> None:
    groups = v2(delegated)
    use = groups.use()
    assert (use.memory_mb, use.cpu_seconds, use.processes) == (50.0, 2.5, 7)
    assert (groups.memory_kills(), groups.refused_forks(), groups.peak_memory_mb()) == (2, 4, 100.0)
    assert groups.means(Resource.MEMORY) is Means.CGROUP2
    assert groups.means(Resource.DISK) is None


def test_what_cannot_be_set_is_said(delegated: Path) -> None:
    (delegated / "pids.max").unlink()
    (problem,) = v2(delegated).apply(ProjectLimits(processes=60))
    assert "pids.max could not be set" in problem
    assert not (delegated / "pids.max").exists()

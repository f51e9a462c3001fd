"""Whether doctor sees that a project's programs stay root by number."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from core.doctor.own_user import becomes_own_user
from core.isolation.plan import Machine

pytestmark = [
    pytest.mark.bwrap,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user"),
]


async def test_a_file_system_that_maps_no_ids_is_seen(machine: Machine, tmp_path: Path) -> None:
    assert await becomes_own_user(machine, tmp_path, tmp_path)
    assert not await becomes_own_user(machine, tmp_path, Path("/proc/sys/fs"))
    assert list(tmp_path.iterdir()) == []


async def test_nobody_asks_where_orchard_is_not_root(machine: Machine, tmp_path: Path) -> None:
    assert await becomes_own_user(replace(machine, own_user=False), tmp_path / "nowhere")

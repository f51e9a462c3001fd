"""What a worker does when it is asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import Unavailable
from core.worker import handlers
from core.worker.contract import ProjectSetup


async def test_a_worker_that_could_not_begin_ends_in_peace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def held(setup: ProjectSetup) -> int:
        raise Unavailable("Another worker of shop is at work.")

    monkeypatch.setattr(handlers, "hold_project", held)
    worker = handlers.Worker()
    setup = ProjectSetup(name="shop", path=tmp_path, main_branch="main", state_path=tmp_path)
    with pytest.raises(Unavailable):
        await worker._services_of(setup)
    await worker.kill()

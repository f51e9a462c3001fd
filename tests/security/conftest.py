"""The machine that is attacked."""

from __future__ import annotations

import pytest

from core.isolation.machine import probe_machine
from core.isolation.plan import Machine


@pytest.fixture
async def machine() -> Machine:
    return await probe_machine()

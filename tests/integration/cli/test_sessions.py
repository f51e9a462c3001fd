"""`orchard sessions` beside no running Orchard."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest


@pytest.fixture
def orchard(tmp_path):
    def run(*words):
        environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
        argv = [sys.executable, "-m", "bot", "--root", tmp_path, "sessions", *words]
        return subprocess.run(argv, capture_output=True, text=True, env=environ, timeout=60)

    return run


def test_what_is_not_there_is_said_and_nothing_is_begun_by_looking(orchard, tmp_path):
    listed, searched, shown = (
        orchard("list", "--json"),
        orchard("search", "lock", "--json"),
        orchard("show", "shop-3"),
    )

    assert (listed.returncode, json.loads(listed.stdout)) == (0, [])
    assert json.loads(searched.stdout)["hits"] == []
    assert shown.returncode == 1
    assert "There is no session 'shop-3'" in shown.stderr
    assert not (tmp_path / ".orch-global").exists()

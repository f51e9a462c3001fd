"""A running Orchard, and the command line beside it."""

from __future__ import annotations

import json
import re
import signal
import urllib.request

import pytest

from core.orchestrator.control import socket_path
from tests.waiting import wait_until

pytestmark = pytest.mark.timeout(180)  # many processes
SETTINGS = "global: {default_agent: replay}\nagents: {replay: {variables: {script: /nonexistent}}}\n"


def test_it_says_what_runs_and_what_does_not_and_stops_when_told(orchard):
    orchard.fresh = True  # a process as people start it
    orchard.variables |= {"ORCHARD_WEB__ENABLED": "true", "ORCHARD_WEB__PORT": "0"}
    with orchard.running() as running:
        orchard.fresh = False
        assert re.search(r"^Orchard runs\. Isolation: ", running.said, re.MULTILINE)
        assert re.search(r"^Web: http://127\.0\.0\.1:\d+$", running.said, re.MULTILINE)
        assert "Discord: no token: running without Discord. Set DISCORD_TOKEN in .env" in running.said
        view = orchard.json("status")
        assert (view["running"], view["startup_complete"]) == (True, True)
        assert f"Web: {view['web']}\n" in running.said
        with urllib.request.urlopen(f"{view['web']}/status", timeout=40) as answer:
            assert json.load(answer)["running"]
        second = orchard("run")
        assert second.returncode == 1
        assert f"already runs with the folder {orchard.root}" in second.stderr
        assert f"(pid {running.process.pid})" in second.stderr
        running.process.send_signal(signal.SIGTERM)
        rest = running.process.stdout.read()
        assert running.process.wait(100) == 0
    assert rest == "Stopping: agents are ended, what they left is kept.\nStopped.\n"
    assert not socket_path(orchard.root / ".orch-global").exists()
    assert not orchard.json("status")["running"]


def test_what_is_registered_beside_it_is_known_to_it(orchard, checkout):
    path = checkout("shop")
    with orchard.running("--no-discord"):
        assert orchard("register", "shop", path).returncode == 0
        done = orchard("shell", input="add shop Pay by card\nplan shop\nstatus shop\n")
        assert done.returncode == 0, done.stdout
        assert "shop-1: Pay by card" in done.stdout
        assert orchard.json("status", "shop")["workflow"]["state"] == "SPRINT_PLANNED"
        refused = orchard("start", "shop")
        assert refused.returncode == 1
        assert "Project shop has no agent." in refused.stderr
        (orchard.root / "orch-config.yaml").write_text(SETTINGS)  # read anew, without a restart
        assert "/nonexistent" in orchard("start", "shop").stderr
    assert orchard.json("status", "shop")["sprint"]["stories"][0]["story"]["id"] == "shop-1"


def test_shares_are_shown_shared_anew_and_tried_out(orchard, checkout):
    orchard("register", "shop", checkout("shop"))
    orchard("start", "shop")
    with orchard.running("--no-discord"):
        assert [each["project"] for each in orchard.json("resources")["projects"]] == ["shop"]
        report = orchard("optimize").stdout
        assert report.startswith("🔧 Resource Optimization Results:\n  Time: ")
        assert "  Strategy: fair_share\n" in report
        tried = orchard.json("optimize", "--dry-run", "--strategy", "dynamic")
        assert (tried["strategy"], tried["dry_run"]) == ("dynamic", True)
        done = orchard(
            "shell", input="add shop Pay by card\nwhy shop-1\nresources\nreload\noptimize dynamic\n"
        )
        assert "→ Next: Choose it for a sprint: plan shop." in done.stdout
        assert "Strategy: fair_share" in done.stdout
        assert "nothing has changed" in done.stdout
        assert "global.resource_allocation_strategy: dynamic" in done.stdout
        assert done.returncode == 1  # the strategy is another one


def test_one_project_with_a_bad_file_keeps_nothing_else_from_running(orchard, checkout):
    for name in ("shop", "bank"):
        orchard("register", name, checkout(name))
    orchard("start", "shop")
    own = orchard.root.parent / "shop" / ".orch-state" / "config.yaml"
    own.parent.mkdir()
    own.write_text("test_comand: make\n")
    broken = orchard.root / ".orch-global" / "projects.d" / "club.yaml"
    broken.write_text("path: [\n")
    with orchard.running("--no-discord") as running:
        assert "Projects: 2." in running.said
        assert "⚠ shop: The settings of shop have one mistake:" in running.said
        assert "⚠ club: The settings of club have one mistake:" in running.said
        assert "did you mean 'test_command'" in orchard("projects").stdout
        assert "did you mean 'test_command'" in orchard("start", "shop").stderr
        assert "is not YAML" in orchard("start", "club").stderr
        assert "Project bank has no agent." in orchard("start", "bank").stderr  # all else is fine with it
        doctor = orchard("doctor")
        assert doctor.returncode == 1
        assert "✗ shop: The settings of shop have one mistake:" in doctor.stdout
        assert "✗ club: The settings of club have one mistake:" in doctor.stdout
        assert f"Orchard runs (pid {running.process.pid}); 2 projects registered" in doctor.stdout
        own.unlink()
        assert "Project shop has no agent." in orchard("start", "shop").stderr
    assert broken.read_text() == "path: [\n"


def test_one_that_hangs_can_be_given_up_on(orchard):
    with orchard.running("--no-discord") as running:
        running.process.send_signal(signal.SIGSTOP)
        asking = orchard.start("status")
        wait_until(orchard.is_asked, "the question to be put")
        assert asking.poll() is None
        asking.send_signal(signal.SIGINT)
        said, _ = asking.communicate(timeout=100)
        assert (asking.returncode, said) == (130, "")


def test_a_killed_orchard_is_no_obstacle(orchard):
    with orchard.running("--no-discord") as running:
        running.process.kill()
        running.process.wait(100)
    assert not orchard.json("status")["running"]
    with orchard.running("--no-discord"):
        assert orchard.json("status")["running"]

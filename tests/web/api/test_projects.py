"""Projects by the API, from their registration to their archive."""

from __future__ import annotations

import json
import stat
import subprocess
import zipfile
from pathlib import Path

import pytest

from core.domain.access import AccessLevel
from core.domain.approval import ApprovalKind
from core.store import approvals


@pytest.fixture(scope="module")
def admin(own_house):
    return own_house.token(AccessLevel.ADMIN, "read", "work", "decide", "manage")


@pytest.fixture
def checkout(tmp_path):
    folder = tmp_path / "pear"
    folder.mkdir()
    (folder / "calc.py").write_text("x = 1\n")
    for words in (
        ("init", "-q", "-b", "main"),
        ("config", "user.name", "Dev"),
        ("config", "user.email", "dev@example.org"),
        ("add", "-A"),
        ("commit", "-q", "-m", "First"),
    ):
        subprocess.run(["git", "-C", folder, *words], check=True, capture_output=True)
    return folder


def register(browser, name, path, **headers):
    browser.headers.update(headers)
    try:
        return browser.call("POST", "/projects", {"name": name, "path": str(path)})
    finally:
        for header in headers:
            del browser.headers[header]


def test_a_project_is_registered_listed_and_archived_with_a_file(own_house, admin, checkout):
    made = register(admin, "pear", checkout)
    assert (made.status, made.headers["Location"]) == (201, "/api/projects/pear")
    assert made.json["project"]["status"] == "initializing"
    assert "pear" in [one["project"]["name"] for one in admin.call("GET", "/projects").json]
    added = admin.call("POST", "/projects/pear/tasks", {"title": "Ripen"})
    assert added.status == 201
    gone = admin.call("DELETE", "/projects/pear")
    assert (gone.status, gone.json["project"]["status"]) == (200, "archived")
    with zipfile.ZipFile(gone.json["path"]) as archive:
        manifest = json.loads(archive.read("manifest.json"))
        stories = [json.loads(line) for line in archive.read("tables/stories.jsonl").splitlines()]
        kinds = [json.loads(line)["kind"] for line in archive.read("tables/events.jsonl").splitlines()]
    assert manifest["project"] == "pear"
    assert sum(manifest["rows"].values()) == gone.json["rows"]
    assert [story["title"] for story in stories] == ["Ripen"]
    assert "project_registered" in kinds
    assert stat.S_IMODE(Path(gone.json["path"]).stat().st_mode) == 0o600
    assert checkout.joinpath("calc.py").exists()
    assert admin.call("GET", "/projects/pear/status").json["status"] == "archived"
    assert admin.call("GET", "/projects/pear/tasks").json[0]["title"] == "Ripen"
    again = admin.call("DELETE", "/projects/pear")
    assert (again.status, again.json["slug"]) == (409, "invalid_transition")
    assert admin.call("PUT", "/projects/pear/status", {"status": "active"}).status == 409
    log = own_house.operator().call("GET", "/audit?limit=500").json
    assert [row["project"] for row in log if row["data"].get("event") == "project_archived"] == ["pear"]


def test_archiving_one_at_work_stops_it_and_withdraws_its_questions(own_house, admin):
    def put(tx):
        return approvals.ask(
            tx,
            project="bank",
            story_id=story.id,
            kind=ApprovalKind.PERMISSION,
            subject="permission:it",
            question="May it?",
            detail="+1",
            reasons=(),
        )

    story = own_house.do(own_house.runtime.commands.add_story("bank", "Vault", actor="cli"))
    asked = own_house.do(own_house.runtime.store.write(put))
    assert admin.call("GET", "/projects/bank/status").json["status"] == "active"
    seen = admin.call("GET", "/projects/bank").headers["ETag"]
    admin.headers["If-Match"] = '"of-another-time"'
    try:
        assert admin.call("DELETE", "/projects/bank").status == 412
        assert admin.call("GET", "/projects/bank/status").json["status"] == "active"
        admin.headers["If-Match"] = seen
        assert admin.call("DELETE", "/projects/bank").json["project"]["status"] == "archived"
    finally:
        del admin.headers["If-Match"]
    assert admin.call("GET", f"/approvals/{asked.id}").json["state"] == "cancelled"
    kinds = [event.kind for event in own_house.do(own_house.runtime.commands.events(project="bank"))]
    assert kinds[-3:] == ["project_stopped", "approval_answered", "project_archived"]


@pytest.mark.parametrize("path", ["relative", "/nowhere/at/all", "/tmp\x00x", "", "/etc"])
def test_what_is_no_checkout_is_refused_and_nothing_is_left(admin, path):
    refused = register(admin, "plum", path)
    assert refused.status == 400, refused.text
    assert admin.call("GET", "/projects/plum").status == 404


def test_a_crash_after_a_registration_is_answered_as_if_there_was_none(
    own_house, admin, checkout, monkeypatch
):
    from bot.web.once import OnceKeeper

    async def lost(*_):
        raise SystemError("killed")

    with monkeypatch.context() as killed:
        killed.setattr(OnceKeeper, "done", lost)
        register(admin, "quince", checkout, **{"Idempotency-Key": "registering"})
    own_house.app.web.application.state.house.once.under_way.clear()
    again = register(admin, "quince", checkout, **{"Idempotency-Key": "registering"})
    assert (again.status, again.json["project"]["name"]) == (201, "quince")


def test_maintenance_and_pause(own_house, admin, checkout):
    register(admin, "fig", checkout)
    commands = own_house.runtime.commands
    before = admin.call("GET", "/projects/fig/status")
    refused = admin.call("PUT", "/projects/fig/status", {"status": "paused"})
    assert refused.status == 403
    assert "nothing to stop" in refused.json["message"]
    assert admin.call("PUT", "/projects/fig/status", {"status": "initializing"}).status == 400
    same = admin.call("GET", "/projects/fig/status")
    assert same.json == before.json
    started = admin.call("PUT", "/projects/fig/status", {"status": "active"})
    assert (started.status, started.json["slug"]) == (409, "cannot_start")  # it has no agent here
    assert own_house.do(commands.project("fig")).project.status == "initializing"
    admin.headers["If-Match"] = '"stale"'
    try:
        assert admin.call("PUT", "/projects/fig/status", {"status": "archived"}).status == 412
    finally:
        del admin.headers["If-Match"]
    archived = admin.call("PUT", "/projects/fig/status", {"status": "archived"})
    assert (archived.status, archived.json["status"]) == (200, "archived")
    assert archived.headers["ETag"] == admin.call("GET", "/projects/fig/status").headers["ETag"]
    opened = admin.call("PUT", "/projects/fig/status", {"status": "paused"})
    assert (opened.status, opened.json["status"]) == (200, "paused")


def test_who_may_not_register_or_archive_is_refused(own_house):
    one = own_house.token(AccessLevel.CONTRIBUTOR, "read", "work", "manage")
    assert one.call("POST", "/projects", {"name": "x", "path": "/x"}).status == 403
    assert one.call("DELETE", "/projects/bank").status == 403
    assert one.call("PUT", "/projects/bank/status", {"status": "archived"}).status == 403

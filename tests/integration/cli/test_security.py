"""`orchard users`, `secrets`, `audit`, `key`, `backup` and `restore`, as somebody new types them."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bot.cli.program import app

pytestmark = pytest.mark.timeout(180)  # many commands
PASSWORD = "wandering ocean lamp tulip"


@pytest.fixture
def orchard(tmp_path: Path):
    def run(*words: str, piped: str = "", good: bool = True) -> str:
        result = CliRunner().invoke(app, ["--root", str(tmp_path), *words], input=piped)
        assert (result.exit_code == 0) is good, result.output
        return result.output

    return run


def test_the_first_user_is_the_owner_and_no_password_stands_on_a_command_line(orchard, tmp_path) -> None:
    assert "users create" in orchard("users", "list")
    assert "no password" in orchard("users", "create", "ann", "ann@example.org", good=False)
    assert "12 to 512" in orchard("users", "create", "ann", "ann@example.org", piped="short\n", good=False)
    said = orchard("users", "create", "ann", "a@example.org", "--level", "viewer", piped=PASSWORD, good=False)
    assert "has to be an owner" in said
    assert "owner everywhere" in orchard("users", "create", "ann", "ann@example.org", piped=f"{PASSWORD}\n")
    assert "only owner" in orchard("users", "disable", "ann", good=False)
    listed = json.loads(orchard("users", "list", "--json"))
    assert [(user["username"], user["level"]) for user in listed] == [("ann", "owner")]
    assert PASSWORD not in orchard("audit", "show")
    assert all(PASSWORD.encode() not in file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())


def test_key_backup_and_restore(orchard, tmp_path) -> None:
    orchard("users", "create", "ann", "ann@example.org", piped=PASSWORD)
    made = json.loads(orchard("backup", "--json"))
    orchard("users", "create", "bob", "bob@example.org", piped="purple rivers climb softly")
    assert "Nothing was changed" in orchard("restore", made["path"], "--dry-run")
    assert "bob" in orchard("users", "list")
    assert "is restored" in orchard("restore", Path(made["path"]).name)
    assert "bob" not in orchard("users", "list")
    assert "sound" in orchard("audit", "verify")
    key = tmp_path / ".orch-global" / "orchard.key"
    before = key.read_text()
    orchard("key", "change")
    assert key.read_text() != before
    assert "sound" in orchard("audit", "verify")
    key.rename(tmp_path / "elsewhere")
    assert "key is gone" in orchard("audit", "verify", good=False)
    assert not key.exists()
    key.write_text(before)
    key.chmod(0o600)
    assert "another key" in orchard("users", "create", "eve", "eve@example.org", piped=PASSWORD, good=False)


def test_the_settings_turn_a_plain_store_into_an_encrypted_one(orchard, tmp_path) -> None:
    pytest.importorskip("sqlcipher3")
    orchard("users", "create", "ann", "ann@example.org", piped=PASSWORD)
    (tmp_path / "orch-config.yaml").write_text("global: {security: {encryption_at_rest: true}}\n")
    assert "not encrypted" in orchard("users", "list", good=False)
    assert "encrypted" in orchard("key", "change")
    assert "ann" in orchard("users", "list")
    store = tmp_path / ".orch-global" / "orchard.db"
    assert b"ann@example.org" not in store.read_bytes()
    (tmp_path / "orch-config.yaml").write_text("global: {security: {encryption_at_rest: false}}\n")
    assert "is encrypted, or no database" in orchard("users", "list", good=False)


def test_the_log_is_exported_once_and_an_altered_row_is_found(orchard, tmp_path) -> None:
    import sqlite3

    orchard("users", "create", "ann", "ann@example.org", piped=PASSWORD)
    file = tmp_path / "audit.jsonl"
    orchard("audit", "export", str(file))
    assert json.loads(file.read_text().splitlines()[0])["kind"] == "user_created"
    assert "there already" in orchard("audit", "export", str(file), good=False)
    conn = sqlite3.connect(tmp_path / ".orch-global" / "orchard.db")
    (trigger,) = conn.execute(
        "SELECT name FROM sqlite_schema WHERE type = 'trigger' AND sql LIKE '%UPDATE ON audit_log%'"
    ).fetchone()
    conn.execute(f"DROP TRIGGER {trigger}")
    conn.execute("UPDATE audit_log SET actor = 'eve' WHERE seq = 1")
    conn.commit()
    conn.close()
    said = orchard("audit", "verify", good=False)
    assert "not sound" in said
    assert "Row 1 is not as it was written" in said


def test_a_log_whose_end_is_gone_with_its_head_is_found_by_what_is_kept_outside(orchard, tmp_path) -> None:
    orchard("users", "create", "ann", "ann@example.org", piped=PASSWORD)
    store, head = (tmp_path / ".orch-global" / name for name in ("orchard.db", "audit.head"))
    older = store.read_bytes()
    orchard("users", "create", "bob", "bob@example.org", piped="purple rivers climb softly")
    assert head.stat().st_mode & 0o777 == 0o600
    assert "sound" in orchard("audit", "verify")
    kept = head.read_text()
    store.write_bytes(older)  # whole and signed: of itself it is sound
    for _ in range(2):  # the evidence outlives whoever looks, and whoever goes on
        assert "was seen before and is gone" in orchard("audit", "verify", good=False)
        orchard("users", "create", "eve", "eve@example.org", piped="some other words here", good=_ == 0)
    assert head.read_text() == kept
    head.write_text("{}")
    assert "holds no head" in orchard("audit", "verify", good=False)
    head.unlink()
    assert "not known" in orchard("audit", "verify")
    assert "not known" not in orchard("audit", "verify")


def test_what_is_done_with_agents_is_in_the_log(orchard, tmp_path) -> None:
    orchard("agents", "uninstall", "codex", good=False)
    assert json.loads(orchard("audit", "show", "--json")) == []
    (tmp_path / ".orch-global" / "agents" / "codex").mkdir(parents=True)
    orchard("agents", "uninstall", "codex")
    (row,) = json.loads(orchard("audit", "show", "--json"))
    assert (row["kind"], row["subject"], row["data"]["deed"]) == (
        "operator_acted",
        "agent:codex",
        "agent_removed",
    )

from __future__ import annotations

import os
import re
import sqlite3
import stat
import subprocess
import sys
import tempfile
from importlib.resources import files
from pathlib import Path

import pytest

from core.bus import Bus
from core.clock import SystemClock
from core.errors import SchemaTooNew, Unavailable
from core.store import migrations
from core.store.database import Store

NEWEST = migrations.steps()[-1].number


@pytest.fixture(autouse=True)
def _made_by_its_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not a copy of one that was."""
    monkeypatch.setattr(Store, "open", Store.open.__wrapped__)  # type: ignore[attr-defined]


def objects(conn: sqlite3.Connection) -> dict[str, str]:
    """Every table and index with its text, free of comments and layout."""
    rows = conn.execute("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL")
    plain = {name: " ".join(re.sub(r"--[^\n]*", "", sql).split()) for name, sql in rows}
    return {name: re.sub(r" ?([(),]) ?", r"\1", sql) for name, sql in plain.items()}


async def opened(path: Path) -> None:
    async with Store.open(path, clock=SystemClock(), bus=Bus()):
        pass


def test_all_steps_make_what_fresh_says(conn: sqlite3.Connection) -> None:
    fresh = sqlite3.connect(":memory:")
    fresh.executescript((files("core.store.schema") / "fresh.sql").read_text())
    assert objects(conn) == objects(fresh)
    fresh.close()


def test_every_older_version_is_brought_up(tmp_path: Path, conn: sqlite3.Connection) -> None:
    for version in range(1, NEWEST):
        file = tmp_path / f"{version}.db"
        old = sqlite3.connect(file, isolation_level=None)
        old.execute("PRAGMA legacy_alter_table = ON")  # as `migrate` has it while a step rebuilds a table
        for step in migrations.steps()[:version]:
            old.executescript(";".join(step.statements))
        old.execute("PRAGMA legacy_alter_table = OFF")
        old.execute(f"PRAGMA application_id = {migrations.APPLICATION_ID}")
        old.execute(f"PRAGMA user_version = {version}")
        assert migrations.migrate(old, file) == NEWEST
        assert objects(old) == objects(conn)
        old.close()


def test_a_step_that_fails_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = migrations.Step(
        number=NEWEST + 1, name="x", statements=("CREATE TABLE half (a)", "CREATE TABLE projects (b)")
    )
    with_broken = (*migrations.steps(), broken)
    monkeypatch.setattr(migrations, "steps", lambda: with_broken)
    conn = sqlite3.connect(tmp_path / "x.db", isolation_level=None)
    with pytest.raises(sqlite3.OperationalError, match="already exists"):
        migrations.migrate(conn, tmp_path / "x.db")
    assert migrations.version(conn) == NEWEST
    assert "half" not in objects(conn)
    conn.close()


def test_a_script_that_ends_inside_a_statement_is_refused() -> None:
    with pytest.raises(ValueError, match="ends inside a statement"):
        migrations.split("CREATE TABLE a (b);\nCREATE TABLE c (")


def test_statements_are_split_where_they_end_and_comments_do_not_matter() -> None:
    text = "-- one; two\nCREATE TABLE a (\n b TEXT -- c;\n);\nCREATE INDEX i ON a (b);\n-- end\n"
    assert len(migrations.split(text)) == 2


async def test_a_newer_schema_is_refused_and_left_alone(path: Path) -> None:
    await opened(path)
    conn = sqlite3.connect(path)
    conn.execute(f"PRAGMA user_version = {NEWEST + 1}")
    conn.close()
    before = path.read_bytes()
    with pytest.raises(SchemaTooNew) as caught:
        await opened(path)
    assert f"schema {NEWEST + 1}" in caught.value.why
    assert "Update Orchard" in caught.value.hint
    assert path.read_bytes() == before


async def test_another_programs_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.db"
    conn = sqlite3.connect(path)
    conn.execute("CREATE TABLE notes (text)")
    conn.commit()
    conn.close()
    before = path.read_bytes()
    with pytest.raises(Unavailable, match="another program"):
        await opened(path)
    assert path.read_bytes() == before


async def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "readme.txt"
    path.write_text("Read me. " * 1000)
    with pytest.raises(Unavailable, match="no database") as caught:
        await opened(path)
    assert str(path) in caught.value.why
    assert path.read_text() == "Read me. " * 1000


async def test_a_damaged_store_is_reported_as_such(path: Path) -> None:
    await opened(path)
    with path.open("r+b") as file:  # the first page's tree of tables
        file.seek(100)
        file.write(b"\xa5" * 3900)
    with pytest.raises(Unavailable, match="damaged") as caught:
        await opened(path)
    assert "backup" in caught.value.hint


async def test_a_folder_in_place_of_the_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="cannot be opened") as caught:
        await opened(tmp_path)
    assert str(tmp_path) in caught.value.why


async def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Unavailable, match="cannot be opened"):
        await opened(tmp_path / "file" / "orchard.db")


async def test_a_folder_without_the_right_to_write_is_refused() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o555)
        # root may write everywhere: look with a plain user's eyes
        user = os.geteuid()
        if user == 0:
            os.seteuid(65534)
        try:
            with pytest.raises(Unavailable, match="cannot be opened") as caught:
                await opened(folder / "orchard.db")
        finally:
            if user == 0:
                os.seteuid(0)
            folder.chmod(0o700)
    assert "may write" in caught.value.hint


async def test_a_store_without_the_right_to_write_is_refused() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder, path = Path(name), Path(name) / "orchard.db"
        await opened(path)
        path.chmod(0o444)
        folder.chmod(0o555)
        user = os.geteuid()
        if user == 0:
            os.seteuid(65534)
        try:
            with pytest.raises(Unavailable, match="cannot be"):
                await opened(path)
        finally:
            if user == 0:
                os.seteuid(0)
            folder.chmod(0o700)


async def test_the_file_is_private(path: Path) -> None:
    await opened(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_settings_that_durability_rests_on(path: Path) -> None:
    async with Store.open(path, clock=SystemClock(), bus=Bus()) as store:

        def settings(conn: sqlite3.Connection) -> tuple[object, ...]:
            names = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
            return tuple(conn.execute(f"PRAGMA {name}").fetchone()[0] for name in names)

        assert await store.write(lambda tx: settings(tx.conn)) == ("wal", 2, 1, 10_000)
        assert (await store.read(settings))[2:] == (1, 10_000)


OPEN = """
import asyncio, sys
from pathlib import Path
from core.bus import Bus
from core.clock import SystemClock
from core.store.database import Store

async def main():
    async with Store.open(Path(sys.argv[1]), clock=SystemClock(), bus=Bus()):
        pass

sys.stdin.read(1)
asyncio.run(main())
"""


def test_many_processes_may_make_the_same_store_at_once(path: Path) -> None:
    children = [
        subprocess.Popen(
            [sys.executable, "-c", OPEN, str(path)],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=Path(__file__).parents[2],
        )
        for _ in range(6)
    ]
    try:
        for child in children:
            assert child.stdin is not None
            child.stdin.write(b"x")
            child.stdin.flush()
        for child in children:
            _, errors = child.communicate(timeout=50)
            assert child.returncode == 0, errors.decode()
    finally:
        for child in children:
            child.kill()
            child.wait()
    conn = sqlite3.connect(path)
    assert migrations.version(conn) == NEWEST
    conn.close()

from __future__ import annotations

import asyncio
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.bus import Bus
from core.clock import SystemClock
from core.domain.project import Project
from core.errors import Unavailable
from core.security.audit import AuditKind, ProblemKind
from core.security.keys import Key, KeySource, Purpose, keep_key, make_key, read_key
from core.security.second_factor import KeySeal
from core.security.secrets import Secrets
from core.store import audit, cipher, faults, logins, rekey
from core.store.auditor import Auditor
from core.store.backup import back_up, prune_backups, restore
from core.store.database import Store
from core.store.replacing import connected, prove

OLD, NEW = Key(bytes(range(32))), Key(bytes(range(1, 33)))
VALUE = "value-that-nobody-reads"
CLOCK = SystemClock()


@pytest.fixture(params=[False, True], ids=["plain", "encrypted"])
def encrypted(request: pytest.FixtureRequest) -> bool:
    if request.param:
        pytest.importorskip("sqlcipher3", reason="the extra sqlcipher is not installed")
    return bool(request.param)


@pytest.fixture
def sqlcipher() -> None:
    pytest.importorskip("sqlcipher3", reason="the extra sqlcipher is not installed")


def opening(path: Path, key: Key | None) -> Any:
    return Store.open(path, clock=CLOCK, bus=Bus(), cipher=None if key is None else cipher.Cipher(key))


@pytest.fixture
def fill(path: Path, new_project: Callable[..., Project]) -> Callable[[Key, bool], None]:
    """A store with a project, a secret and its row of the audit log."""

    async def filled(key: Key, encrypted: bool) -> None:
        async with opening(path, key if encrypted else None) as store:
            await store.write(new_project)
            await Secrets(store, key, Auditor(key)).set("shop", "TOKEN", VALUE, actor="cli:ann")

    return lambda key, encrypted: asyncio.run(filled(key, encrypted))


def value_in(path: Path, key: Key) -> str:
    async def read() -> str:
        async with opening(path, None if cipher.is_plain(path) else key) as store:
            handed = await Secrets(store, key, Auditor(key)).hand_out(
                "shop", ["TOKEN"], actor="o", process="p"
            )
            assert (await store.read(Auditor(key).verify)).sound
            return handed.environment(["x"], {})["TOKEN"]

    return asyncio.run(read())


def refused(path: Path, key: Key | None) -> Unavailable:
    async def attempt() -> None:
        async with opening(path, key):
            pass

    before = path.read_bytes()
    with pytest.raises(Unavailable) as caught:
        asyncio.run(attempt())
    assert path.read_bytes() == before
    return caught.value


# -- opening -----------------------------------------------------------------------------------


@pytest.mark.usefixtures("sqlcipher")
def test_no_page_of_an_encrypted_store_is_readable(path: Path, fill: Callable[[Key, bool], None]) -> None:
    fill(OLD, True)
    content = path.read_bytes()
    assert not any(word in content for word in (b"SQLite", b"shop", b"TOKEN", b"CREATE TABLE"))
    assert value_in(path, OLD) == VALUE


@pytest.mark.usefixtures("sqlcipher")
def test_another_key_a_plain_file_and_no_key_are_told_apart(
    path: Path, fill: Callable[[Key, bool], None], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    fill(OLD, True)
    assert refused(path, NEW).message == "The store does not open with this key."
    assert "encryption_at_rest" in refused(path, None).hint
    plain = tmp_path / "plain.db"
    with sqlite3.connect(plain) as conn:
        conn.execute("CREATE TABLE notes (text)")
    conn.close()
    assert refused(plain, OLD).message == "The store is not encrypted."
    assert capfd.readouterr().err == ""


def test_without_the_extra_nothing_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    cipher._load.cache_clear()
    for name in ("sqlcipher3", "sqlcipher3.dbapi2"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(Unavailable, match="not installed") as caught:
        cipher.Cipher(OLD)
    assert "orchard[sqlcipher]" in caught.value.hint
    cipher._load.cache_clear()


@pytest.mark.usefixtures("sqlcipher")
def test_errors_of_an_encrypted_store_are_caught_as_sqlites(
    path: Path, fill: Callable[[Key, bool], None], new_project: Callable[..., Project]
) -> None:
    fill(OLD, True)

    async def again() -> None:
        async with opening(path, OLD) as store:
            with pytest.raises(sqlite3.IntegrityError) as caught:
                await store.write(lambda tx: tx.conn.execute("INSERT INTO projects SELECT * FROM projects"))
            assert caught.value.sqlite_errorcode & 0xFF == sqlite3.SQLITE_CONSTRAINT
            assert await store.write(lambda tx: new_project(tx, "blog").name) == "blog"

    asyncio.run(again())


@pytest.mark.usefixtures("sqlcipher")
def test_a_page_that_was_altered_is_found(path: Path, fill: Callable[[Key, bool], None]) -> None:
    fill(OLD, True)
    with path.open("r+b") as file:
        file.seek(4096 * 3 + 100)
        file.write(b"\0" * 16)
    with pytest.raises(Unavailable, match="not sound"):
        prove(path, OLD)


# -- another key -------------------------------------------------------------------------------


@pytest.mark.parametrize("after", [False, True], ids=["to plain", "to encrypted"])
def test_everything_is_under_the_new_key(
    path: Path, fill: Callable[[Key, bool], None], encrypted: bool, after: bool
) -> None:
    if after:
        pytest.importorskip("sqlcipher3", reason="the extra sqlcipher is not installed")
    fill(OLD, encrypted)
    proven = rekey.change_key(path, OLD, NEW, encrypted=after, clock=CLOCK, actor="cli:ann")
    assert proven.encrypted is after is not cipher.is_plain(path)
    assert value_in(path, NEW) == VALUE
    assert (path.stat().st_mode & 0o777, [each.name for each in path.parent.iterdir()]) == (
        0o600,
        [path.name],
    )
    with pytest.raises(Unavailable):
        value_in(path, OLD)
    conn = connected(path, cipher.Cipher(NEW) if after else None)
    (told,) = audit.entries(conn, kind=AuditKind.KEY_CHANGED)
    conn.close()
    assert told.data == {"encrypted": after, "from": OLD.id, "second_factors": 0, "secrets": 1, "to": NEW.id}


@pytest.mark.parametrize("sealed_with", [OLD, NEW], ids=["the old key", "another key"])
def test_second_factors_follow_or_nothing_changes(
    path: Path, fill: Callable[[Key, bool], None], encrypted: bool, sealed_with: Key
) -> None:
    fill(OLD, encrypted)
    conn = connected(path, cipher.Cipher(OLD) if encrypted else None)
    conn.execute(
        "INSERT INTO users (id, username, email, password_hash, password_at, made_at, made_by)"
        " VALUES ('u1', 'ann', 'ann@example.org', '$argon2id$x', 'now', 'now', 'cli')"
    )
    sealed = KeySeal(sealed_with.derived(Purpose.SECOND_FACTOR)).seal("a secret of hers", "u1")
    conn.execute("INSERT INTO second_factors (user_id, secret, begun_at) VALUES ('u1', ?, 'now')", (sealed,))
    conn.close()
    if sealed_with is not OLD:
        with pytest.raises(Unavailable, match="second factor"):
            rekey.change_key(path, OLD, NEW, encrypted=encrypted, clock=CLOCK, actor="x")
        assert value_in(path, OLD) == VALUE
        return
    rekey.change_key(path, OLD, NEW, encrypted=encrypted, clock=CLOCK, actor="x")
    conn = connected(path, cipher.Cipher(NEW) if encrypted else None)
    kept = logins.sealed_factors(conn)["u1"]
    conn.close()
    assert KeySeal(NEW.derived(Purpose.SECOND_FACTOR)).unseal(kept, "u1") == "a secret of hers"


def test_a_store_in_use_keeps_its_key(path: Path, fill: Callable[[Key, bool], None], encrypted: bool) -> None:
    fill(OLD, encrypted)

    async def meanwhile() -> None:
        async with opening(path, OLD if encrypted else None):
            with pytest.raises(Unavailable, match="in use"):
                await asyncio.to_thread(
                    rekey.change_key, path, OLD, NEW, encrypted=encrypted, clock=CLOCK, actor="x"
                )

    asyncio.run(meanwhile())
    assert value_in(path, OLD) == VALUE


def test_who_had_the_old_file_open_cannot_write_to_it(
    path: Path, fill: Callable[[Key, bool], None], encrypted: bool
) -> None:
    fill(OLD, encrypted)
    late = connected(path, cipher.Cipher(OLD) if encrypted else None)
    late.execute("PRAGMA journal_mode = DELETE")
    late.execute("SELECT count(*) FROM projects").fetchone()
    rekey.change_key(path, OLD, NEW, encrypted=encrypted, clock=CLOCK, actor="x")
    with pytest.raises(sqlite3.OperationalError) as caught:
        late.execute("DELETE FROM secrets")
    late.close()
    if not encrypted:  # sqlcipher3 gives no extended codes, so there it is said in general words
        assert "in its place" in faults.explain(caught.value, path).message
    assert value_in(path, NEW) == VALUE


def test_the_wrong_old_key_changes_nothing(
    path: Path, fill: Callable[[Key, bool], None], encrypted: bool
) -> None:
    fill(OLD, encrypted)
    with pytest.raises(Unavailable):
        rekey.change_key(path, NEW, Key.new(), encrypted=encrypted, clock=CLOCK, actor="x")
    assert value_in(path, OLD) == VALUE
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_a_key_file_follows_its_store(
    path: Path, fill: Callable[[Key, bool], None], encrypted: bool, tmp_path: Path
) -> None:
    source = KeySource(file=tmp_path / "key")
    old = make_key(source.file)
    fill(old, encrypted)
    rekey.change_key_in_file(path, source, encrypted=encrypted, clock=CLOCK, actor="cli:ann")
    new = rekey.settled(path, source.file)
    assert new is not None
    assert new != old
    assert value_in(path, new) == VALUE
    assert read_key(tmp_path / f"key.{old.id}") == old


@pytest.mark.parametrize("changed", [False, True], ids=["before the store", "after the store"])
def test_a_change_that_was_cut_off_is_settled_by_what_the_store_is_at(
    path: Path, fill: Callable[[Key, bool], None], encrypted: bool, tmp_path: Path, changed: bool
) -> None:
    file = tmp_path / "key"
    keep_key(file, OLD)
    fill(OLD, encrypted)
    keep_key(tmp_path / "key.next", NEW)
    if changed:
        rekey.change_key(path, OLD, NEW, encrypted=encrypted, clock=CLOCK, actor="x")
    key = rekey.settled(path, file)
    assert key == read_key(file) == (NEW if changed else OLD)
    assert not (tmp_path / "key.next").exists()
    assert key is not None
    assert value_in(path, key) == VALUE


# -- backups -----------------------------------------------------------------------------------


def test_a_backup_is_as_the_store_and_comes_back(
    path: Path, fill: Callable[[Key, bool], None], encrypted: bool, tmp_path: Path
) -> None:
    fill(OLD, encrypted)
    made = back_up(path, tmp_path / "backups", OLD, clock=CLOCK)
    assert made.proven.encrypted is encrypted
    assert (made.proven.rows["secrets"], made.path.stat().st_mode & 0o777) == (1, 0o600)
    if encrypted:
        assert b"shop" not in made.path.read_bytes()
    with pytest.raises(Unavailable):
        prove(made.path, NEW)
    assert value_in(path, OLD) == VALUE  # one more row of the audit log, which the backup has not
    conn = connected(path, cipher.Cipher(OLD) if encrypted else None)
    seen = audit.head(conn)
    conn.close()

    tried = restore(made.path, path, OLD, clock=CLOCK, actor="cli:ann", dry_run=True)
    assert (tried.given_up, tried.kept) == (1, None)
    done = restore(made.path, path, OLD, clock=CLOCK, actor="cli:ann", encrypted=encrypted, dry_run=False)
    assert done.kept is not None
    assert prove(done.kept, OLD).audit_rows == 2
    assert value_in(path, OLD) == VALUE
    conn = connected(path, cipher.Cipher(OLD) if encrypted else None)
    assert Auditor(OLD).verify(conn, seen=seen).sound  # it says what was given up
    conn.execute("DROP TRIGGER audit_log_kept")
    conn.execute("UPDATE audit_log SET actor = 'x' WHERE seq = 1")
    kinds = {problem.kind for problem in Auditor(OLD).verify(conn).problems}
    conn.close()
    assert kinds == {ProblemKind.ALTERED, ProblemKind.UNGUARDED}


def test_a_backup_is_made_while_the_store_is_written_to(
    path: Path, fill: Callable[[Key, bool], None], encrypted: bool, tmp_path: Path
) -> None:
    fill(OLD, encrypted)
    auditor = Auditor(OLD)

    async def meanwhile() -> None:
        async with opening(path, OLD if encrypted else None) as store:
            ended = asyncio.Event()

            async def write() -> None:
                while not ended.is_set():
                    await store.write(lambda tx: auditor.record(tx, AuditKind.BACKUP_MADE, actor="x"))

            async with asyncio.TaskGroup() as group:
                group.create_task(write())
                made = await asyncio.to_thread(back_up, path, tmp_path / "backups", OLD, clock=CLOCK)
                ended.set()
            assert made.proven.audit_rows >= 1

    asyncio.run(meanwhile())


def test_a_damaged_store_is_replaced_and_kept(
    path: Path, fill: Callable[[Key, bool], None], encrypted: bool, tmp_path: Path
) -> None:
    fill(OLD, encrypted)
    made = back_up(path, tmp_path / "backups", OLD, clock=CLOCK)
    path.write_bytes(b"\xff" * 40960)
    path.with_name(path.name + "-wal").write_bytes(b"left over")
    done = restore(made.path, path, OLD, clock=CLOCK, actor="cli:ann", dry_run=False)
    assert (done.given_up, value_in(path, OLD)) == (None, VALUE)
    assert done.kept is not None
    assert done.kept.read_bytes() == b"\xff" * 40960


def test_a_damaged_backup_changes_nothing(
    path: Path, fill: Callable[[Key, bool], None], encrypted: bool, tmp_path: Path
) -> None:
    fill(OLD, encrypted)
    made = back_up(path, tmp_path / "backups", OLD, clock=CLOCK)
    made.path.write_bytes(made.path.read_bytes()[:-8192])
    with pytest.raises(Unavailable):
        restore(made.path, path, OLD, clock=CLOCK, actor="cli:ann", dry_run=False)
    assert value_in(path, OLD) == VALUE


def test_old_backups_go_and_the_newest_stays(tmp_path: Path) -> None:
    names = ["orchard-20200101T000000Z-aaaaaa.db", "orchard-20200102T000000Z-aaaaaa.db", "orchard-mine.db"]
    for name in names:
        (tmp_path / name).touch()
    assert [path.name for path in prune_backups(tmp_path, keep_days=7, clock=CLOCK)] == names[:1]
    assert sorted(path.name for path in tmp_path.iterdir()) == names[1:]

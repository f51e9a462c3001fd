"""The store's file, its key and its backups in wrong hands and on full disks."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyotp
import pytest

from core.bus import Bus
from core.clock import SystemClock
from core.domain.access import AccessLevel
from core.domain.project import Project
from core.errors import NotAllowed, OrchardError, Unavailable
from core.security.access import Scope
from core.security.audit import AuditKind, Mark
from core.security.keys import Key, KeySource, Purpose, keep_key
from core.security.linking import Linking
from core.security.logins import LoginRules, Logins
from core.security.passwords import Cost, Passwords
from core.security.second_factor import KeySeal, SecondFactor
from core.security.secrets import Secrets
from core.security.tokens import ApiTokens
from core.security.users import Users
from core.security.witness import audited
from core.store import audit, cipher, rekey
from core.store.auditor import Auditor
from core.store.backup import back_up, restore
from core.store.database import Store
from core.store.replacing import connected, prove
from core.store.transaction import Transaction
from core.store.users import User

KEY = Key(bytes(range(32)))
CLOCK = SystemClock()
VALUE = "value-that-nobody-reads"
MARK = "wandering-ocean-lamp"  # stands in rows of every kind


@pytest.fixture(params=[False, True], ids=["plain", "encrypted"])
def encrypted(request: pytest.FixtureRequest) -> bool:
    if request.param:
        pytest.importorskip("sqlcipher3", reason="the extra sqlcipher is not installed")
    return bool(request.param)


def opening(path: Path, encrypted: bool, key: Key = KEY) -> Any:
    return Store.open(path, clock=CLOCK, bus=Bus(), cipher=cipher.Cipher(key) if encrypted else None)


@pytest.fixture(scope="module")
def filled() -> dict[tuple[bool, str, int], bytes]:
    """Stores that were filled before: by whether they are encrypted, key, and rows."""
    return {}


@pytest.fixture
def fill(
    path: Path, new_project: Callable[..., Project], filled: dict[tuple[bool, str, int], bytes]
) -> Callable[..., None]:
    def fill(encrypted: bool, key: Key = KEY, rows: int = 20) -> None:
        if (content := filled.get((encrypted, key.id, rows))) is not None:
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content)
            return

        async def work() -> None:
            async with opening(path, encrypted, key) as store:
                await store.write(new_project)
                await Secrets(store, key, Auditor(key)).set("shop", "TOKEN", VALUE, actor="cli:ann")

                def record(tx):  # type: ignore[no-untyped-def]
                    for number in range(rows):
                        data = {"n": number, "t": MARK * 20}
                        Auditor(key).record(tx, AuditKind.BACKUP_MADE, actor=MARK, data=data)

                await store.write(record)

        asyncio.run(work())
        assert [each.name for each in path.parent.iterdir()] == [path.name]  # that file is all there is
        filled[encrypted, key.id, rows] = path.read_bytes()

    return fill


class People:
    def __init__(self, store: Store) -> None:
        passwords = Passwords(Cost(memory_kib=8, passes=1, lanes=1))
        witness = audited(Auditor(KEY))
        self.users = Users(store, passwords, witness)
        self.factor = SecondFactor(store, KeySeal(KEY.derived(Purpose.SECOND_FACTOR)), witness)
        rules = LoginRules(idle=timedelta(hours=1))
        self.logins = Logins(store, CLOCK, passwords, self.factor, rules, witness)
        self.tokens = ApiTokens(store, CLOCK, witness)
        self.linking = Linking(store, {}, witness)

    async def user(self, name: str, password: str) -> User:
        return await self.users.create_user(name, f"{name}@example.org", password, AccessLevel.VIEWER)


def everything(folder: Path) -> dict[str, bytes]:
    return {each.name: each.read_bytes() for each in sorted(folder.iterdir()) if each.is_file()}


# -- nothing readable on the disk ----------------------------------------------------------------


def test_no_byte_of_an_encrypted_store_is_readable_while_it_is_used(
    path: Path, fill: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its file, its write-ahead log, its index, what sorting spills, and files that have no name any more."""
    pytest.importorskip("sqlcipher3", reason="the extra sqlcipher is not installed")
    spilt = tmp_path / "tmp"
    spilt.mkdir()
    for variable in ("SQLITE_TMPDIR", "TMPDIR"):
        monkeypatch.setenv(variable, str(spilt))
    fill(True, rows=300)

    async def look() -> None:
        async with opening(path, True) as store:

            def work(tx):  # type: ignore[no-untyped-def]
                Auditor(KEY).record(tx, AuditKind.BACKUP_MADE, actor=MARK)
                # Sorts some megabytes, with a statement journal.
                tx.conn.execute(
                    "CREATE TABLE big AS SELECT a.data || b.seq AS x FROM audit_log a, audit_log b"
                    " WHERE b.seq < 20 ORDER BY x DESC"
                )
                tx.conn.execute("CREATE INDEX big_x ON big (x)")
                seen.append(readable())
                tx.conn.execute("DROP TABLE big")

            await store.write(work)
            seen.append(readable())
            assert path.with_name(path.name + "-wal").stat().st_size > 0

    def readable() -> list[str]:
        found = []
        names = [*path.parent.iterdir(), *spilt.iterdir()]
        mine = list(Path("/proc/self/fd").iterdir())
        held = [each for each in mine if "deleted" in str(os.path.realpath(each))]
        for each in (*names, *held):
            if each.is_file() and any(
                word in each.read_bytes()
                for word in (MARK.encode(), b"CREATE TABLE", b"cli:ann", VALUE.encode())
            ):
                found.append(f"{each} {os.path.realpath(each)}")
        return found

    seen: list[list[str]] = []
    asyncio.run(look())
    assert seen == [[], []]
    back_up(path, tmp_path / "backups", KEY, clock=CLOCK)
    assert not any(MARK.encode() in content for content in everything(tmp_path / "backups").values())


def test_after_encrypting_nothing_plain_is_left_beside_it(path: Path, fill: Callable[..., None]) -> None:
    pytest.importorskip("sqlcipher3", reason="the extra sqlcipher is not installed")
    fill(False)
    assert MARK.encode() in path.read_bytes()
    rekey.change_key(path, KEY, KEY, encrypted=True, clock=CLOCK, actor="cli:ann")
    assert not any(MARK.encode() in content for content in everything(path.parent).values())
    assert prove(path, KEY).encrypted


# -- backups that are none -----------------------------------------------------------------------


def of_another_schema(file: Path, number: int) -> None:
    with closing(sqlite3.connect(file)) as conn:
        conn.execute(f"PRAGMA user_version = {number}")
        conn.commit()


def no_store(file: Path) -> None:
    file.unlink()
    with closing(sqlite3.connect(file)) as conn:
        conn.execute("CREATE TABLE notes (text)")
        conn.commit()


def another_row(file: Path) -> None:
    with closing(sqlite3.connect(file)) as conn:
        conn.execute("DROP TRIGGER audit_log_kept")
        conn.execute("UPDATE audit_log SET actor = 'x' WHERE seq = 3")
        conn.commit()


def flipped(file: Path) -> None:
    content = bytearray(file.read_bytes())
    at = content.rindex(MARK.encode()) if MARK.encode() in content else len(content) // 2
    content[at] ^= 1
    file.write_bytes(bytes(content))


def a_pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


SPOILT: dict[str, Callable[[Path], object]] = {
    "empty": lambda file: file.write_bytes(b""),
    "text": lambda file: file.write_text("not a database\n" * 1000),
    "first page": lambda file: file.write_bytes(file.read_bytes()[:4096]),
    "half": lambda file: file.write_bytes(file.read_bytes()[: file.stat().st_size // 8192 * 4096]),
    "a byte short": lambda file: file.write_bytes(file.read_bytes()[:-1]),
    "a bit flipped": flipped,
    "zeros in it": lambda file: file.write_bytes(
        file.read_bytes()[:8192] + bytes(8192) + file.read_bytes()[16384:]
    ),
    "gone": lambda file: file.unlink(),
    "a folder": lambda file: (file.unlink(), file.mkdir()),
    "a pipe": a_pipe,
}
OF_PLAIN: dict[str, Callable[[Path], object]] = {
    "newer schema": lambda file: of_another_schema(file, 9999),
    "no schema": lambda file: of_another_schema(file, 0),
    "another program's": no_store,
    "another row": another_row,
}


@pytest.mark.parametrize(
    ("encrypted", "spoil"),
    [*((False, each) for each in (*SPOILT, *OF_PLAIN)), *((True, each) for each in SPOILT)],
    indirect=["encrypted"],
)
def test_what_is_no_sound_backup_is_refused_before_anything_is_touched(
    path: Path, fill: Callable[..., None], tmp_path: Path, encrypted: bool, spoil: str
) -> None:
    fill(encrypted)
    backup = back_up(path, tmp_path / "backups", KEY, clock=CLOCK).path
    {**SPOILT, **OF_PLAIN}[spoil](backup)
    before = everything(path.parent)
    for dry_run in (True, False):
        with pytest.raises(OrchardError) as caught:
            restore(backup, path, KEY, clock=CLOCK, actor="x", encrypted=encrypted, dry_run=dry_run)
        assert caught.value.why or caught.value.hint
        assert everything(path.parent) == before


def test_a_backup_of_another_key_or_kind_is_refused_before_anything_is_touched(
    path: Path, fill: Callable[..., None], tmp_path: Path, encrypted: bool
) -> None:
    other = Key.new()
    fill(encrypted, other)
    backup = back_up(path, tmp_path / "backups", other, clock=CLOCK).path
    path.unlink()
    fill(encrypted)
    before = everything(path.parent)
    with pytest.raises(OrchardError):
        restore(backup, path, KEY, clock=CLOCK, actor="x", dry_run=False)
    mine = back_up(path, tmp_path / "backups", KEY, clock=CLOCK).path
    with pytest.raises(OrchardError, match="encrypted" if encrypted else "plain"):
        restore(mine, path, KEY, clock=CLOCK, actor="x", encrypted=not encrypted, dry_run=False)
    assert everything(path.parent) == before


def test_whoever_can_write_to_a_plain_backup_makes_themselves_no_owner(
    path: Path, fill: Callable[..., None], tmp_path: Path
) -> None:
    """The rows of people are in no chain; the file is well-formed, and the audit log in it is sound."""
    fill(False)
    made = back_up(path, tmp_path / "backups", KEY, clock=CLOCK).path
    with closing(sqlite3.connect(made)) as conn:
        assert conn.execute("PRAGMA integrity_check").fetchone()[0] == "ok"  # every SQLite opens it
        conn.execute(
            "INSERT INTO users (id, username, email, password_hash, password_at, level, made_at, made_by)"
            " VALUES ('u1', 'eve', 'eve@example.org', '$argon2id$x', 'now', 5, 'now', 'cli')"
        )
        conn.commit()
    assert prove(made, KEY).rows["users"] == 1
    before = everything(path.parent)
    with pytest.raises(Unavailable, match="not signed"):
        restore(made, path, KEY, clock=CLOCK, actor="x", dry_run=False)
    assert everything(path.parent) == before
    done = restore(made, path, KEY, clock=CLOCK, actor="x", unsigned=True, dry_run=False)
    assert done.proven.rows["users"] == 1
    assert done.kept is not None  # which is signed, and comes back as it is
    again = restore(done.kept, path, KEY, clock=CLOCK, actor="x", dry_run=False)
    assert again.proven.rows["users"] == 0


def test_no_byte_of_a_plain_backup_can_be_another_one(
    path: Path, fill: Callable[..., None], tmp_path: Path
) -> None:
    fill(False)
    made = back_up(path, tmp_path / "backups", KEY, clock=CLOCK).path
    content = made.read_bytes()
    spoilt = tmp_path / "spoilt.db"
    places = [*range(0, len(content), len(content) // 20 + 7), *range(len(content) - 55, len(content), 9)]
    for place in places:
        changed = bytearray(content)
        changed[place] ^= 4
        spoilt.write_bytes(changed)
        with pytest.raises(OrchardError):
            restore(spoilt, path, KEY, clock=CLOCK, actor="x", dry_run=True)
    for other in (content[:-50], content + b"x", content[:-32] + bytes(32), content + content[-50:]):
        spoilt.write_bytes(other)
        with pytest.raises(OrchardError):
            restore(spoilt, path, KEY, clock=CLOCK, actor="x", dry_run=True)
    spoilt.write_bytes(content)
    assert restore(spoilt, path, KEY, clock=CLOCK, actor="x", dry_run=True).kept is None


def test_a_backup_brings_back_nothing_that_was_withdrawn_since(
    path: Path, new_project: Callable[..., Project], tmp_path: Path
) -> None:
    """Neither a session, a revoked token, a used code nor a disabled user."""
    password = "pear under tall ladder"
    folder = tmp_path / "backups"

    async def before_and_after() -> tuple[Path, dict[str, Any]]:
        async with opening(path, False) as store:
            await store.write(new_project)
            people = People(store)
            ann, bob = [await people.user(name, password) for name in ("ann", "bob")]
            secret = (await people.factor.begin(ann.id)).secret
            codes = await people.factor.confirm(ann.id, pyotp.TOTP(secret).now())
            revoked, kept = [(await people.tokens.make("bob", n, [Scope.READ]))[0] for n in ("one", "two")]
            session = (await people.logins.log_in("bob", password, "x")).token
            link = await people.linking.make_code("bob")
            made = (await asyncio.to_thread(back_up, path, folder, KEY, clock=CLOCK)).path
            await people.factor.check(ann.id, codes[0])
            await people.tokens.revoke((await people.tokens.of("bob"))[0].id)
            carl = await people.user("carl", password)
            await people.users.disable("carl")
            known = {"codes": codes, "revoked": revoked, "kept": kept, "session": session, "link": link}
            return made, {**known, "ann": ann.id, "bob": bob.id, "carl": carl.id}

    async def look(known: dict[str, Any]) -> None:
        async with opening(path, False) as store:
            people = People(store)
            with pytest.raises(NotAllowed):
                await people.logins.who(known["session"])
            with pytest.raises(NotAllowed):
                await people.linking.redeem("123", known["link"])
            with pytest.raises(NotAllowed):
                await people.tokens.asker(known["revoked"])
            assert (await people.tokens.asker(known["kept"])).user_id == known["bob"]
            assert await people.factor.recovery_codes_left(known["ann"]) == 9
            with pytest.raises(NotAllowed):
                await people.factor.check(known["ann"], known["codes"][0])
            await people.factor.check(known["ann"], known["codes"][1])
            await people.users.disable("bob")

    made, known = asyncio.run(before_and_after())
    restore(made, path, KEY, clock=CLOCK, actor="x", dry_run=False)
    asyncio.run(look(known))
    restore(made, path, KEY, clock=CLOCK, actor="x", dry_run=False)  # again, since bob was disabled

    async def once_more() -> None:
        async with opening(path, False) as store:
            with pytest.raises(NotAllowed):
                await People(store).tokens.asker(known["kept"])
            assert (await People(store).users.get("bob")).disabled_at is not None
            assert await People(store).factor.recovery_codes_left(known["ann"]) == 8

    asyncio.run(once_more())


# -- the audit log's end, kept outside -------------------------------------------------------------


def head_of(path: Path, encrypted: bool) -> Mark:
    with closing(connected(path, cipher.Cipher(KEY) if encrypted else None)) as conn:
        return audit.head(conn)


def sound(path: Path, encrypted: bool, seen: Mark) -> bool:
    with closing(connected(path, cipher.Cipher(KEY) if encrypted else None)) as conn:
        return Auditor(KEY).verify(conn, seen=seen).sound


def test_a_change_of_the_key_does_not_sign_what_an_older_store_says(
    path: Path, fill: Callable[..., None], encrypted: bool
) -> None:
    fill(encrypted, rows=2)
    older = path.read_bytes()
    with closing(connected(path, cipher.Cipher(KEY) if encrypted else None)) as conn:
        Auditor(KEY).record(Transaction(conn, CLOCK.now()), AuditKind.BACKUP_MADE, actor="x")
    seen = head_of(path, encrypted)
    path.write_bytes(older)
    with pytest.raises(Unavailable, match="not sound") as caught:
        rekey.change_key(path, KEY, Key.new(), encrypted=encrypted, clock=CLOCK, actor="x", seen=seen)
    assert "older store" in caught.value.why
    assert not sound(path, encrypted, seen)


def test_a_store_that_was_lost_whole_is_restored_to_a_sound_log(
    path: Path, fill: Callable[..., None], tmp_path: Path, encrypted: bool
) -> None:
    fill(encrypted, rows=2)
    backup = back_up(path, tmp_path / "backups", KEY, clock=CLOCK).path
    with closing(connected(path, cipher.Cipher(KEY) if encrypted else None)) as conn:
        Auditor(KEY).record(Transaction(conn, CLOCK.now()), AuditKind.BACKUP_MADE, actor="x")
    seen = head_of(path, encrypted)
    for damage in (lambda: path.write_bytes(b"\xff" * 40960), path.unlink):
        damage()
        done = restore(backup, path, KEY, clock=CLOCK, actor="x", seen=seen, dry_run=False)
        assert done.given_up == 1
        assert sound(path, encrypted, seen)
    path.unlink()
    restore(backup, path, KEY, clock=CLOCK, actor="x", dry_run=False)
    assert not sound(path, encrypted, seen)  # nobody said that rows were given up


# -- a full disk ---------------------------------------------------------------------------------


def with_room(bytes_: int, work: Callable[[], object]) -> str:
    """In a fork that can write no file beyond that. What it raised, as people get it; '' for nothing."""
    end, start = os.pipe()
    if child := os.fork():
        os.close(start)
        with os.fdopen(end, "rb") as told:
            said = told.read().decode()
        _, status = os.waitpid(child, 0)
        assert os.WIFEXITED(status), status
        return said
    try:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_, bytes_))
        work()
        os._exit(0)
    except OrchardError as error:
        os.write(start, f"orchard {error}".encode())
    except BaseException as error:
        os.write(start, f"{type(error).__name__} {error}".encode())
    finally:
        os._exit(0)


@pytest.mark.parametrize("what", ["key", "backup", "restore"])
def test_a_disk_that_is_full_in_the_middle_changes_nothing_and_is_told(
    path: Path, fill: Callable[..., None], tmp_path: Path, encrypted: bool, what: str
) -> None:
    source = KeySource(file=tmp_path / "key")
    keep_key(source.file, KEY)
    fill(encrypted, rows=100)
    backup = back_up(path, tmp_path / "backups", KEY, clock=CLOCK).path
    without_log(path, encrypted)
    works = {
        "key": lambda: rekey.change_key_in_file(path, source, encrypted=encrypted, clock=CLOCK, actor="x"),
        "backup": lambda: back_up(path, tmp_path / "more", KEY, clock=CLOCK),
        "restore": lambda: restore(backup, path, KEY, clock=CLOCK, actor="x", dry_run=False),
    }
    before = prove(path, KEY)
    for share in (0.0, 0.3, 0.9):
        said = with_room(int(path.stat().st_size * share), works[what])
        assert said.startswith("orchard "), (share, said)
        assert rekey.settled(path, source.file) == KEY
        assert prove(path, KEY) == before
        folders = (path.parent, tmp_path)
        left = {each.name for folder in folders for each in folder.iterdir() if each.is_file()}
        assert left <= {path.name, "key"}
        assert not list((tmp_path / "more").glob("*"))


def without_log(path: Path, encrypted: bool) -> None:
    with closing(connected(path, cipher.Cipher(KEY) if encrypted else None)) as conn:
        conn.execute("PRAGMA journal_mode = DELETE")

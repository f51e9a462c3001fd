from __future__ import annotations

import asyncio
import pickle
import sqlite3
import sys
from asyncio.subprocess import PIPE
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from core.agents.redaction import Redactor
from core.domain.project import Project
from core.errors import InvalidInput, NotAllowed, NotFound, Unavailable
from core.security.audit import AuditKind
from core.security.keys import Key
from core.security.secrets import Secrets, reseal
from core.store import audit
from core.store import secrets as rows
from core.store.audit import Entry
from core.store.auditor import Auditor
from core.store.database import Store
from core.store.transaction import Transaction

KEY, OTHER = Key(bytes(range(32))), Key(bytes(range(1, 33)))
VALUE = "hunter2-is-no-password"


@pytest.fixture
async def secrets(store: Store, new_project: Callable[..., Project]) -> Secrets:
    for name in ("shop", "blog"):
        await store.write(lambda tx, name=name: new_project(tx, name))
    return Secrets(store, KEY, Auditor(KEY))


async def log(store: Store, kind: AuditKind) -> tuple[Entry, ...]:
    return await store.read(lambda conn: audit.entries(conn, kind=kind))


async def change(path: Path, sql: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as conn:
        assert conn.execute(sql).rowcount > 0


async def test_a_process_gets_the_value_and_nothing_shows_it(secrets: Secrets, store: Store) -> None:
    await secrets.set("shop", "DB_PASSWORD", VALUE, actor="cli:ann")
    handed = await secrets.hand_out("shop", ["DB_PASSWORD"], actor="orchard", process="tests of shop-1")
    argv = [sys.executable, "-c", "import os; print(os.environ['DB_PASSWORD'])"]
    child = await asyncio.create_subprocess_exec(*argv, env=handed.environment(argv, {}), stdout=PIPE)
    out = (await child.communicate())[0].decode()
    assert out.strip() == VALUE
    assert VALUE not in f"{handed!r} {await secrets.listed('shop')}"
    with pytest.raises(TypeError):
        pickle.dumps(handed)
    (use,) = await log(store, AuditKind.SECRET_USED)
    assert (use.project, use.subject) == ("shop", "DB_PASSWORD")
    assert use.data == {"process": "tests of shop-1", "versions": {"DB_PASSWORD": 1}}


async def test_no_byte_of_a_value_is_in_the_files(secrets: Secrets, path: Path) -> None:
    await secrets.set("shop", "DB_PASSWORD", VALUE, actor="cli:ann")
    for file in path.parent.iterdir():
        assert VALUE.encode() not in file.read_bytes()


async def test_a_value_on_the_command_line_is_refused(secrets: Secrets) -> None:
    await secrets.set("shop", "DB_PASSWORD", VALUE, actor="cli:ann")
    handed = await secrets.hand_out("shop", ["DB_PASSWORD"], actor="orchard", process="x")
    with pytest.raises(NotAllowed) as caught:
        handed.environment(["psql", f"--password={VALUE}"], {})
    assert VALUE not in str(caught.value)
    with pytest.raises(NotAllowed, match="already"):
        handed.environment(["psql"], {"DB_PASSWORD": "other"})


async def test_rotation_replaces_and_the_version_never_goes_back(secrets: Secrets) -> None:
    await secrets.set("shop", "TOKEN", "first-value", actor="a")
    await secrets.set("shop", "TOKEN", "second-value", actor="b")
    await secrets.remove("shop", "TOKEN", actor="c")
    assert await secrets.listed("shop") == ()
    with pytest.raises(NotFound):
        await secrets.remove("shop", "TOKEN", actor="c")
    assert (await secrets.set("shop", "TOKEN", "third-value", actor="d")).version == 3
    handed = await secrets.hand_out("shop", ["TOKEN"], actor="o", process="p")
    assert handed.environment(["x"], {"A": "b"}) == {"A": "b", "TOKEN": "third-value"}


async def test_a_project_gets_its_own_only_and_all_or_none(secrets: Secrets) -> None:
    await secrets.set("shop", "TOKEN", "value-of-shop", actor="a")
    with pytest.raises(NotFound, match="TOKEN"):
        await secrets.hand_out("blog", ["TOKEN"], actor="o", process="p")
    with pytest.raises(NotFound, match="OTHER"):
        await secrets.hand_out("shop", ["TOKEN", "OTHER"], actor="o", process="p")


@pytest.mark.parametrize(
    "tampering",
    [
        "UPDATE secrets SET project = 'blog' WHERE name = 'TOKEN' AND project = 'shop'",
        "UPDATE secrets SET name = 'OTHER' WHERE name = 'TOKEN'",
        "UPDATE secrets SET version = version + 1",
        "UPDATE secrets SET sealed = CAST(sealed || x'00' AS BLOB)",
        "UPDATE secrets SET nonce = zeroblob(12)",
        "UPDATE secrets SET sealed = (SELECT sealed FROM secrets WHERE project = 'blog'), nonce = "
        "(SELECT nonce FROM secrets WHERE project = 'blog') WHERE project = 'shop'",
    ],
)
async def test_a_row_that_was_moved_or_altered_is_refused_and_that_is_recorded(
    secrets: Secrets, store: Store, path: Path, tampering: str
) -> None:
    await secrets.set("shop", "TOKEN", "value-of-shop", actor="a")
    if "SELECT" in tampering:
        await secrets.set("blog", "TOKEN", "value-of-blog", actor="a")
    await change(path, tampering)
    project = "blog" if "SET project" in tampering else "shop"
    name = "OTHER" if "SET name" in tampering else "TOKEN"
    with pytest.raises(Unavailable, match="cannot be opened") as caught:
        await secrets.hand_out(project, [name], actor="o", process="p")
    assert "altered" in caught.value.why
    (refused,) = await log(store, AuditKind.SECRET_REFUSED)
    assert refused.subject == name
    assert await log(store, AuditKind.SECRET_USED) == ()
    assert (await store.read(Auditor(KEY).verify)).sound


async def test_another_key_is_told_as_such(secrets: Secrets, store: Store) -> None:
    await secrets.set("shop", "TOKEN", "value-of-shop", actor="a")
    other = Key.new()
    with pytest.raises(Unavailable, match="another key"):
        await Secrets(store, other, Auditor(other)).hand_out("shop", ["TOKEN"], actor="o", process="p")


@pytest.mark.parametrize(
    "name", ["", "1A", "A-B", "A=B", "LD_PRELOAD", "Path", "ORCHARD_KEY", "GIT_SSH", "A" * 65]
)
async def test_names_that_no_secret_can_have(secrets: Secrets, name: str) -> None:
    with pytest.raises(InvalidInput):
        await secrets.set("shop", name, VALUE, actor="a")


@pytest.mark.parametrize("value", ["short", "a\0bcdefghi", "x" * 40000, "lone-surrogate-\ud800"])
async def test_values_that_no_secret_can_have_are_not_repeated(secrets: Secrets, value: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        await secrets.set("shop", "TOKEN", value, actor="a")
    assert value not in str(caught.value)
    assert await secrets.listed("shop") == ()


async def test_an_unknown_project_has_none(secrets: Secrets) -> None:
    with pytest.raises(NotFound, match="no project"):
        await secrets.set("nope", "TOKEN", VALUE, actor="a")


async def test_the_redactor_knows_the_values_of_all_projects(secrets: Secrets) -> None:
    await secrets.set("shop", "TOKEN", "value-of-shop", actor="a")
    await secrets.set("blog", "TOKEN", "value-of-blog", actor="a")
    redactor = Redactor(["known-elsewhere", *await secrets.values()])
    text = redactor.text("value-of-shop value-of-blog known-elsewhere")
    assert "value" not in text
    assert "elsewhere" not in text


async def test_no_nonce_comes_twice(secrets: Secrets, store: Store) -> None:
    """The same value, name and project, over and over, also sealed anew with another key and back."""
    seen: set[tuple[bytes, bytes]] = set()

    def keep(tx: Transaction) -> None:
        (row,) = rows.every(tx.conn)
        assert row.nonce is not None
        assert row.sealed is not None
        seen.add((row.nonce, row.sealed))

    def back_and_forth(tx: Transaction) -> None:
        reseal(tx.conn, KEY, OTHER)
        keep(tx)
        reseal(tx.conn, OTHER, KEY)
        keep(tx)

    for _ in range(30):
        await secrets.set("shop", "TOKEN", "the-same-value", actor="a")
        await store.write(keep)
        await store.write(back_and_forth)
    assert len({nonce for nonce, _ in seen}) == len({sealed for _, sealed in seen}) == 90

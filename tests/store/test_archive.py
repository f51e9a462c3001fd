"""A project's archive: every table is in it or left out for a reason; the file is whole or not there."""

from __future__ import annotations

import json
import zipfile

import pytest

from core.errors import Unavailable
from core.store import archive
from core.store.archive import KEPT, LEFT_OUT, write_archive


def tables(conn):
    names = [row[0] for row in conn.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    for name in names:
        columns = {row[1] for row in conn.execute(f"PRAGMA table_info({name})")}
        if columns & {"project", "story_id"} or name == "projects":
            yield name


def written(tx, folder, **settings):
    return write_archive(tx.conn, "shop", folder, now=tx.now, settings=settings)


def test_every_table_of_projects_is_kept_or_left_out_for_a_reason(conn):
    found = set(tables(conn))
    assert found == set(KEPT) | set(LEFT_OUT)
    assert not set(KEPT) & set(LEFT_OUT)


def test_only_the_projects_own_rows_are_in_it(tx, tmp_path, new_project, new_story):
    new_project(tx, "shop")
    new_project(tx, "bank")
    mine, theirs = new_story(tx, "shop"), new_story(tx, "bank")
    made = written(tx, tmp_path / "kept", priority="high")
    with zipfile.ZipFile(made.path) as file:
        texts = {name: file.read(name).decode() for name in file.namelist()}
    assert set(texts) == {"manifest.json", *(f"tables/{table}.jsonl" for table in KEPT)}
    assert mine.id in texts["tables/stories.jsonl"]
    assert theirs.id not in "".join(texts.values())
    manifest = json.loads(texts["manifest.json"])
    assert (manifest["rows"], manifest["settings"]) == (dict(made.rows), {"priority": "high"})
    assert [path.name for path in (tmp_path / "kept").iterdir()] == [made.path.name]


@pytest.mark.parametrize("fault", ["full", "short"])
def test_a_file_that_cannot_be_whole_is_not_there(tx, tmp_path, new_project, monkeypatch, fault):
    new_project(tx, "shop")

    def no_space(*_):
        raise OSError(28, "No space left on device")

    if fault == "full":
        monkeypatch.setattr(archive.os, "fsync", no_space)
    else:
        monkeypatch.setattr(
            archive, "_table", lambda made, _, table, *__: made.writestr(f"tables/{table}.jsonl", "") or 7
        )
    with pytest.raises(Unavailable, match="cannot be archived"):
        written(tx, tmp_path / "kept")
    assert list((tmp_path / "kept").iterdir()) == []

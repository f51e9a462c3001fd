from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidInput
from core.store.transcript_index import NAME, TranscriptIndex


@pytest.fixture
def index(tmp_path):
    return TranscriptIndex(tmp_path)


def ids(hits) -> list[str]:
    return [hit.turn_id for hit in hits]


def test_turns_are_found_by_all_words_in_quotes_and_by_project(index):
    index.add("shop-1.1", "shop", "The connection was refused by the Städte service.", seq=1)
    index.add("shop-2.1", "shop", "refused: the connection", seq=2)
    index.add("blog-1.1", "blog", "a connection", seq=3)

    assert sorted(ids(index.search("CONNECTION refused"))) == ["shop-1.1", "shop-2.1"]
    assert ids(index.search('"connection was refused"')) == ["shop-1.1"]
    assert ids(index.search("connection", project="blog")) == ["blog-1.1"]
    assert ids(index.search("stadte")) == ["shop-1.1"]
    assert len(index.search("connection", limit=2)) == 2
    assert index.search("städte")[0].snippet == "The connection was refused by the [Städte] service."
    assert (index.count(), index.place()) == (3, 3)


def test_taking_a_turn_in_twice_changes_nothing_and_forgetting_is_for_good(index):
    for text in ("first words", "second words"):
        index.add("shop-1.1", "shop", text, seq=7)
    index.add("shop-2.1", "shop", None, seq=8)

    assert ids(index.search("words")) == ["shop-1.1"]
    assert index.search("first") == ()
    assert (index.count(), index.place()) == (1, 8)
    index.forget(["shop-1.1", "shop-9.9"])
    assert index.search("words") == ()
    assert (index.count(), index.place()) == (0, 8)


def test_nothing_is_made_by_looking(index, tmp_path):
    assert index.search("words") == ()
    assert index.count() == 0
    assert not (tmp_path / NAME).exists()


def test_only_its_user_may_read_it(index, tmp_path):
    index.add("shop-1.1", "shop", "words", seq=1)
    assert (tmp_path / NAME).stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("query", ["", "  ", '""', "!!! --", "x" * 500])
def test_a_query_without_a_word_is_refused(index, query):
    with pytest.raises(InvalidInput):
        index.search(query)


@given(st.text(max_size=60))
def test_whatever_is_asked_for_is_words_and_no_syntax(tmp_path_factory, query):
    index = TranscriptIndex(tmp_path_factory.getbasetemp() / "queries")
    (tmp_path_factory.getbasetemp() / "queries").mkdir(exist_ok=True)
    index.add("a.1", "a", "NEAR AND or NOT text: words", seq=1)
    with suppress(InvalidInput):  # there was no word in it
        index.search(query)


def test_a_damaged_file_is_made_anew(index, tmp_path):
    index.add("shop-1.1", "shop", "words", seq=5)
    (tmp_path / NAME).write_bytes(b"this is no database, but long enough to be taken for one" * 100)
    for suffix in ("-wal", "-shm"):
        (tmp_path / f"{NAME}{suffix}").unlink(missing_ok=True)

    assert index.place() == 0  # everything is indexed again
    index.add("shop-1.1", "shop", "words", seq=5)
    assert ids(index.search("words")) == ["shop-1.1"]


def test_another_layout_is_made_anew(index, tmp_path):
    index.add("shop-1.1", "shop", "words", seq=5)
    with sqlite3.connect(tmp_path / NAME) as conn:
        conn.execute("PRAGMA user_version = 99")

    assert index.place() == 0


def test_two_that_make_the_file_at_the_same_moment_wait_for_each_other(index, tmp_path):
    other = sqlite3.connect(tmp_path / NAME, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")  # SQLite lets nobody wait who would switch the journal meanwhile
    ending = threading.Timer(0.2, other.execute, ("COMMIT",))
    ending.start()
    try:
        index.add("shop-1.1", "shop", "words", seq=5)
    finally:
        ending.join()
        other.close()

    assert ids(index.search("words")) == ["shop-1.1"]


WRITER = """
    import sys
    from pathlib import Path
    from core.store.transcript_index import TranscriptIndex

    index = TranscriptIndex(Path(sys.argv[1]))
    print("ready", flush=True)
    seq = index.place()
    while True:
        seq += 1
        index.add(f"shop-{seq}.1", "shop", f"words of turn {seq} " * 50, seq=seq)
"""


def test_a_writer_that_is_killed_leaves_each_turn_whole_and_goes_on(index, tmp_path):
    for _ in range(3):
        writer = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(WRITER), tmp_path], stdout=subprocess.PIPE
        )
        try:
            assert writer.stdout.readline() == b"ready\n"
            before = index.place()
            while index.place() < before + 20:
                assert writer.poll() is None
        finally:
            os.kill(writer.pid, signal.SIGKILL)
            writer.wait()
            writer.stdout.close()
        place = index.place()
        assert index.count() == place
        assert len(index.search("words", limit=100_000)) == place

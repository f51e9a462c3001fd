"""What somebody with the file, and without the key, can do to the audit log: all of it is found."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.security import audit
from core.security.audit import Mark, Problem, Row

KEY = hashlib.sha256(b"a key").digest()
TEXT = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=12)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
OBJECTS = st.dictionaries(TEXT, VALUES, max_size=3)


def chained(contents: Sequence[tuple[str, dict[str, object]]]) -> tuple[Row, ...]:
    rows: list[Row] = []
    previous = audit.START
    for seq, (subject, data) in enumerate(contents, start=1):
        row = Row(
            seq=seq,
            at=f"2026-03-01T12:00:{seq:02d}.000000+00:00",
            kind="secret_used",
            actor="cli:ann",
            project=None,
            subject=subject,
            data=audit.canonical(data),
            previous=previous,
            hash=b"",
        )
        row = dataclasses.replace(row, hash=audit.row_hash(row))
        rows.append(row)
        previous = row.hash
    return tuple(rows)


def head_of(rows: Sequence[Row]) -> Mark:
    mark = Mark(seq=rows[-1].seq, hash=rows[-1].hash, key_id="k", mac=b"")
    return dataclasses.replace(mark, mac=audit.sign(KEY, mark))


def problems(rows: Sequence[Row], head: Mark, start: Mark | None = None) -> list[Problem]:
    last = (rows[-1].seq, rows[-1].hash) if rows else (0, audit.START)
    return [*audit.check_rows(rows, start), *audit.check_end(*last, head)]


LOGS = st.lists(st.tuples(TEXT, OBJECTS), min_size=2, max_size=12).map(chained)


@given(rows=LOGS)
def test_a_log_as_it_was_written_is_sound(rows: tuple[Row, ...]) -> None:
    assert problems(rows, head_of(rows)) == []
    assert audit.signed_by(KEY, head_of(rows))


@given(rows=LOGS, data=st.data())
def test_any_other_log_has_a_problem(rows: tuple[Row, ...], data: st.DataObject) -> None:
    """Removed, doubled, reordered, cut, renumbered: whatever is left, unless it is the same."""
    kept = data.draw(st.lists(st.sampled_from(rows), max_size=14))
    if data.draw(st.booleans()):
        kept = [dataclasses.replace(row, seq=seq) for seq, row in enumerate(kept, start=1)]
    assert (problems(kept, head_of(rows)) == []) == (tuple(kept) == rows)


@given(rows=LOGS, data=st.data())
def test_a_changed_field_is_found_at_its_row(rows: tuple[Row, ...], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(rows) - 1))
    field = data.draw(st.sampled_from(["at", "kind", "actor", "project", "subject", "data"]))
    was = getattr(rows[at], field)
    now = data.draw(
        (OBJECTS.map(audit.canonical) if field == "data" else TEXT).filter(lambda new: new != was)
    )
    changed = list(rows)
    changed[at] = dataclasses.replace(rows[at], **{field: now})
    assert [problem.seq for problem in problems(changed, head_of(rows))] == [at + 1]


@given(rows=LOGS, data=st.data())
def test_who_computes_all_hashes_anew_lacks_the_signature(rows: tuple[Row, ...], data: st.DataObject) -> None:
    contents = [(row.subject, json.loads(row.data)) for row in rows]
    at = data.draw(st.integers(0, len(rows) - 1))
    contents[at] = (contents[at][0] + "!", contents[at][1])
    forged = chained(contents)
    assert problems(forged, head_of(rows)) != []
    true = head_of(rows)
    head = dataclasses.replace(true, hash=forged[-1].hash)
    assert problems(forged, head) == []
    assert not audit.signed_by(KEY, head)


@given(rows=LOGS, data=st.data())
def test_rows_after_a_checkpoint_are_a_log_and_no_others(rows: tuple[Row, ...], data: st.DataObject) -> None:
    cut = data.draw(st.integers(1, len(rows) - 1))
    start = Mark(seq=cut, hash=rows[cut - 1].hash, key_id="k", mac=b"")
    assert problems(rows[cut:], head_of(rows), start) == []
    assert problems(rows[cut:], head_of(rows)) != []


@given(rows=LOGS)
def test_a_swap_is_told_with_where_the_rows_were(rows: tuple[Row, ...]) -> None:
    first = dataclasses.replace(rows[1], seq=1)
    assert audit.moved_from(first, [1, 2]) == 2
    assert audit.moved_from(rows[1], range(1, len(rows) + 1)) is None


@given(rows=LOGS)
def test_an_export_holds_all_that_is_hashed(rows: tuple[Row, ...]) -> None:
    lines = [audit.line_of(row) for row in rows]
    assert all("\n" not in line and line.isascii() for line in lines)
    assert tuple(audit.from_line(line) for line in lines) == rows


@given(value=VALUES)
def test_canonical_text_is_one_a_value(value: object) -> None:
    text = audit.canonical(value)
    assert audit.canonical(json.loads(text)) == text
    assert json.loads(text) == value


@given(line=st.text(max_size=60) | VALUES.map(json.dumps) | OBJECTS.map(json.dumps))
def test_a_line_that_is_no_row_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="no row"):
        audit.from_line(line)


@pytest.mark.parametrize("value", [1.5, float("nan"), 2**53, {1: 2}, "\ud800", {"\ud800": 1}, b"x", {1, 2}])
def test_what_has_no_exact_form_is_refused(value: object) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - each says another thing
        audit.canonical(value)


@given(
    mark=st.builds(
        Mark,
        seq=st.integers(0, 9),
        hash=st.binary(min_size=32, max_size=32),
        key_id=TEXT,
        mac=st.just(b""),
        at=TEXT,
        by=TEXT,
        pruned=st.integers(0, 9),
    ),
    data=st.data(),
)
def test_a_signature_covers_every_field(mark: Mark, data: st.DataObject) -> None:
    signed = dataclasses.replace(mark, mac=audit.sign(KEY, mark))
    field = data.draw(st.sampled_from(["seq", "hash", "key_id", "at", "by", "pruned"]))
    was = getattr(mark, field)
    other = (
        was + 1 if isinstance(was, int) else was[::-1] + was[:1] + (b"x" if isinstance(was, bytes) else "x")
    )
    assert audit.signed_by(KEY, signed)
    assert not audit.signed_by(KEY, dataclasses.replace(signed, **{field: other}))

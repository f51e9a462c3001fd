"""What was measured, over time: points of a minute, an hour and a day, and how far the counts are.

Everything here is added to in the transaction of its own cursor, so that nothing counts twice.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from enum import IntEnum
from functools import lru_cache

from core.domain.counting import Rise
from core.domain.metric import METRICS, Count, Labels, Point, Series, bound_of
from core.errors import LostRace
from core.store.transaction import Transaction

_EARLIEST, _LATEST = 0, 253402300799  # 1970 and 9999: what a wrong clock says is kept inside of it


class Span(IntEnum):
    """Seconds."""

    MINUTE = 60
    HOUR = 3600
    DAY = 86400


# -- series --------------------------------------------------------------------------------------------


def _ids(tx: Transaction, wanted: Iterable[Series]) -> dict[Series, int]:
    """The number of each, given if need be. Not remembered from one transaction to the next: one that fails
    takes the numbers back that it gave."""
    found: dict[Series, int] = {}
    for metric, labels in wanted:
        if (metric, labels) in found:
            continue
        key = (metric, _labels_text(labels))
        row = tx.conn.execute("SELECT id FROM metric_series WHERE metric = ? AND labels = ?", key).fetchone()
        if row is None:
            row = tx.conn.execute(
                "INSERT INTO metric_series (metric, labels, project) VALUES (?, ?, ?) RETURNING id",
                (*key, dict(labels).get("project")),
            ).fetchone()
        found[metric, labels] = row["id"]
    return found


@lru_cache(maxsize=10_000)
def _labels_text(labels: Labels) -> str:
    return json.dumps(dict(labels), separators=(",", ":"))


def find_series(
    conn: sqlite3.Connection,
    metric: str,
    *,
    project: str | None = None,
    labels: Mapping[str, str] | None = None,
) -> dict[int, Labels]:
    """Those of the metric that have these labels. Raises KeyError for a metric that there is not."""
    names = METRICS[metric].labels
    wanted = labels or {}
    one = "" if project is None else " AND project = :project"  # what all have is read for each of them else
    found = {}
    for row in conn.execute(
        f"SELECT id, labels FROM metric_series WHERE metric = :metric{one} ORDER BY id",  # noqa: S608
        {"metric": metric, "project": project},
    ):
        known: dict[str, str] = json.loads(row["labels"])
        if all(known.get(name) == value for name, value in wanted.items()):
            found[row["id"]] = tuple((name, known.get(name, "")) for name in names)
    return found


# -- points --------------------------------------------------------------------------------------------

# The mean of both; extremes and the last are NULL where they equal it.
_MERGE = """
    INSERT INTO metric_points (span, at, series, count, mean, minimum, maximum, last)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET
        mean = (mean * count + excluded.mean * excluded.count) / (count + excluded.count),
        minimum = min(coalesce(minimum, mean), coalesce(excluded.minimum, excluded.mean)),
        maximum = max(coalesce(maximum, mean), coalesce(excluded.maximum, excluded.mean)),
        last = coalesce(excluded.last, excluded.mean),
        count = count + excluded.count
"""


def merge(
    tx: Transaction, points: Iterable[tuple[Series, Point]], spans: Iterable[Span] = tuple(Span)
) -> None:
    """Adds each to its series' minute, hour and day."""
    given = list(points)
    ids = _ids(tx, (series for series, _ in given))
    rows = sorted(((ids[series], point) for series, point in given), key=lambda row: row[0])
    for span in spans:  # in order, so that what lies together is written together
        tx.conn.executemany(_MERGE, [_row(span, series, point) for series, point in rows])


def _row(span: Span, series: int, point: Point) -> tuple[object, ...]:
    at, mean = min(max(int(point.at.timestamp()), _EARLIEST), _LATEST), point.mean
    rest = (None if each == mean else each for each in (point.minimum, point.maximum, point.last))
    return (int(span), at - at % span, series, point.count, mean, *rest)


# By time first: each point of a series is looked up by its whole key.
_POINTS = """
    WITH RECURSIVE grid (at) AS (
        SELECT :since WHERE :since < :until UNION ALL SELECT at + :span FROM grid WHERE at + :span < :until
    )
    SELECT p.* FROM grid CROSS JOIN metric_points p
    ON p.span = :span AND p.at = grid.at AND p.series = :series
"""


def points(
    conn: sqlite3.Connection, series: int, *, since: datetime, until: datetime, span: Span
) -> tuple[Point, ...]:
    """The oldest first; a span without data has none."""
    oldest = conn.execute("SELECT min(at) AS at FROM metric_points WHERE span = ?", (int(span),)).fetchone()
    newest = conn.execute("SELECT max(at) AS at FROM metric_points WHERE span = ?", (int(span),)).fetchone()
    if oldest["at"] is None:
        return ()
    begin = max(int(since.timestamp()) // span * span, oldest["at"])
    end = min(until.timestamp(), newest["at"] + 1)
    asked = {"since": begin, "until": end, "span": int(span), "series": series}
    return tuple(_points(conn.execute(_POINTS, asked)))


def _points(rows: Iterable[sqlite3.Row]) -> Iterator[Point]:
    for row in rows:
        mean = row["mean"]
        names = ("minimum", "maximum", "last")
        minimum, maximum, last = (mean if row[name] is None else row[name] for name in names)
        yield Point(
            at=datetime.fromtimestamp(row["at"], UTC),
            count=row["count"],
            total=mean * row["count"],
            minimum=minimum,
            maximum=maximum,
            last=last,
        )


def rises_since(
    conn: sqlite3.Connection, metrics: Iterable[str], since: datetime
) -> Iterator[tuple[str, str | None, datetime, float]]:
    """By how much counters rose: metric, project, hour, and so much. Use it up within the transaction."""
    names = tuple(metrics)
    marks = ", ".join("?" * len(names))
    rows = conn.execute(
        "SELECT s.metric, s.project, p.at, p.mean * p.count FROM metric_points p"  # noqa: S608 - marks alone
        f" JOIN metric_series s ON s.id = p.series WHERE p.span = ? AND p.at >= ? AND s.metric IN ({marks})",
        (int(Span.HOUR), int(since.timestamp()), *names),
    )
    for metric, project, at, value in rows:
        yield metric, project, datetime.fromtimestamp(at, UTC), value


# How many spans with data there are after the oldest, one look at the key for each.
_BORDER = """
    WITH RECURSIVE slots (at, number) AS (
        SELECT max(at), 1 FROM metric_points WHERE span = :span
        UNION ALL
        SELECT (SELECT max(p.at) FROM metric_points p WHERE p.span = :span AND p.at < slots.at), number + 1
        FROM slots WHERE slots.at IS NOT NULL AND number < :kept
    )
    SELECT at FROM slots WHERE number = :kept
"""


def border(conn: sqlite3.Connection, span: Span, kept: int) -> int | None:
    """The beginning, in seconds since 1970, of the oldest of the `kept` newest spans that have data; None:
    there are not so many. By their number, not by the clock: one that is far ahead must not cost the past."""
    row = conn.execute(_BORDER, {"span": int(span), "kept": kept}).fetchone()
    return None if row is None else row["at"]


def prune(tx: Transaction, span: Span, *, before: int, limit: int) -> int:
    """Removes points of that span from before then, at most so many; returns how many."""
    return tx.conn.execute(
        "DELETE FROM metric_points WHERE (span, at, series) IN"
        " (SELECT span, at, series FROM metric_points WHERE span = ? AND at < ? LIMIT ?)",
        (int(span), before, limit),
    ).rowcount


# -- counts --------------------------------------------------------------------------------------------


def counts(conn: sqlite3.Connection) -> dict[Series, Count]:
    """Of every series that was ever counted, but for metrics of another version of the program."""
    found = {}
    buckets: dict[int, dict[float, int]] = {}
    for row in conn.execute("SELECT * FROM metric_buckets"):
        buckets.setdefault(row["series"], {})[row["bound"]] = row["count"]
    rows = conn.execute(
        "SELECT s.metric, s.labels, c.* FROM metric_counts c JOIN metric_series s ON s.id = c.series"
    )
    for row in rows:
        metric = METRICS.get(row["metric"])
        if metric is not None:
            known: dict[str, str] = json.loads(row["labels"])
            labels = tuple((name, known.get(name, "")) for name in metric.labels)
            found[metric.name, labels] = Count(
                count=row["count"],
                total=row["total"],
                last=row["last"],
                buckets=buckets.get(row["series"], {}),
            )
    return found


def cursor(conn: sqlite3.Connection, reader: str) -> int:
    """How far it has read; 0 before the first."""
    row = conn.execute("SELECT event_seq FROM metric_cursor WHERE reader = ?", (reader,)).fetchone()
    return 0 if row is None else int(row["event_seq"])


def move_cursor(tx: Transaction, reader: str, old: int, new: int) -> None:
    """Raises LostRace when it is not at `old`: what was read from there was counted by somebody else."""
    if old:
        told = "UPDATE metric_cursor SET event_seq = :new WHERE reader = :reader AND event_seq = :old"
    else:
        told = "INSERT INTO metric_cursor (reader, event_seq) VALUES (:reader, :new) ON CONFLICT DO NOTHING"
    if not tx.conn.execute(told, {"reader": reader, "old": old, "new": new}).rowcount:
        raise LostRace(f"The {reader} were counted by another program.", hint="Nothing is lost.")


_COUNT = """
    INSERT INTO metric_counts (series, count, total, last) VALUES (:series, 1, :value, :value)
    ON CONFLICT DO UPDATE SET count = count + 1, total = total + :value, last = :value
    RETURNING count, total, last
"""
_BUCKET = """
    INSERT INTO metric_buckets (series, bound, count) VALUES (?, ?, 1)
    ON CONFLICT DO UPDATE SET count = count + 1
"""


def add(tx: Transaction, rises: Sequence[Rise]) -> dict[Series, Count]:
    """To the counts and to the points of their time; what they come to."""
    ids = _ids(tx, (rise.series for rise in rises))
    found: dict[Series, Count] = {}
    points: list[tuple[Series, Point]] = []
    for rise in rises:
        row = tx.conn.execute(_COUNT, {"series": ids[rise.series], "value": rise.value}).fetchone()
        found[rise.series] = Count(count=row["count"], total=row["total"], last=row["last"])
        points.append((rise.series, _point(rise, found[rise.series])))
        if rise.is_observation and (bound := bound_of(rise.value)) is not None:
            tx.conn.execute(_BUCKET, (ids[rise.series], bound))
    merge(tx, points)
    for series in {rise.series for rise in rises if rise.is_observation}:
        found[series] = replace(found[series], buckets=_buckets(tx.conn, ids[series]))
    return found


def _buckets(conn: sqlite3.Connection, series: int) -> dict[float, int]:
    rows = conn.execute("SELECT bound, count FROM metric_buckets WHERE series = ?", (series,))
    return {row["bound"]: row["count"] for row in rows}


def _point(rise: Rise, count: Count) -> Point:
    value = rise.value
    last = value if rise.is_observation else count.total
    return Point(at=rise.at, count=1, total=value, minimum=value, maximum=value, last=last)

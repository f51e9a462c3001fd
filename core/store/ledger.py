"""What agents used: one row a call and a turn, for good; exact sums; raises, and what people were told."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from core.domain.budget import (
    MOST,
    Account,
    Amounts,
    Level,
    Raise,
    Scope,
    Standing,
    Unit,
    UnitStanding,
    worded,
)
from core.domain.event import EventKind
from core.store.columns import from_optional_time, from_time, to_text, to_time
from core.store.transaction import Transaction


class Source(StrEnum):
    GATEWAY = "gateway"  # read from the provider's own usage fields
    AGENT = "agent"  # the agent's word


class CallStatus(StrEnum):
    ANSWERED = "answered"
    CUT = "cut"  # it ended in the middle; the figures are what was known by then
    FAILED = "failed"  # the provider refused or was not reached


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call to a model, or what an agent says of a turn's calls. No token is counted in two fields, but
    for `reasoning_tokens`, which are part of the output. Raises ValueError for figures that cannot be."""

    call_id: str
    project: str
    story_id: str | None
    phase: str
    agent: str
    run_id: str  # of the run's token; never the token itself
    provider: str
    model: str
    wire: str
    at: datetime  # when its usage was known: it counts for that day
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    microdollars: int = 0
    first_byte_ms: int | None = None
    total_ms: int | None = None
    source: Source
    status: CallStatus = CallStatus.ANSWERED

    def __post_init__(self) -> None:
        if not self.call_id:
            raise ValueError("a call has an id")
        for name in _COUNTED:
            if not 0 <= getattr(self, name) <= MOST:
                raise ValueError(f"call {self.call_id} says {name} = {getattr(self, name)}")

    @property
    def took(self) -> Amounts:
        tokens = self.input_tokens + self.output_tokens + self.cache_read_tokens + self.cache_write_tokens
        return Amounts(tokens=tokens, microdollars=self.microdollars)


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnTaken:
    turn_id: str
    project: str
    story_id: str | None
    phase: str
    agent: str
    at: datetime  # when it ended: it counts for that day
    milliseconds: int

    @property
    def took(self) -> Amounts:
        return Amounts(turns=1, milliseconds=self.milliseconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """`on_agents_word` is the part of `amounts` that no gateway saw."""

    amounts: Amounts
    calls: int
    on_agents_word: Amounts


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """Of what a project used, by story, phase, agent and model."""

    story_id: str | None
    phase: str
    agent: str
    model: str
    source: Source
    calls: int
    amounts: Amounts


_COUNTED = (
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "microdollars",
)


def record(tx: Transaction, call: Call) -> bool:
    """Whether it is new: a call that is recorded already stays as it is, and nothing is charged twice."""
    cursor = tx.conn.execute(
        "INSERT INTO model_calls (call_id, project, story_id, phase, agent, run_id, provider, model, wire,"
        " at, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens,"
        " microdollars, tokens, first_byte_ms, total_ms, source, status)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (call_id) DO NOTHING",
        (
            call.call_id,
            call.project,
            call.story_id,
            call.phase,
            to_text(call.agent),
            call.run_id,
            to_text(call.provider),
            to_text(call.model),
            call.wire,
            to_time(call.at),
            *(getattr(call, name) for name in _COUNTED),
            call.took.tokens,
            call.first_byte_ms,
            call.total_ms,
            call.source.value,
            call.status.value,
        ),
    )
    return cursor.rowcount == 1


def record_turn(tx: Transaction, turn: TurnTaken) -> bool:
    """Whether it is new, as with `record`."""
    cursor = tx.conn.execute(
        "INSERT INTO agent_turns (turn_id, project, story_id, phase, agent, at, milliseconds)"
        " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (turn_id) DO NOTHING",
        (
            turn.turn_id,
            turn.project,
            turn.story_id,
            turn.phase,
            to_text(turn.agent),
            to_time(turn.at),
            turn.milliseconds,
        ),
    )
    return cursor.rowcount == 1


def spent(conn: sqlite3.Connection, account: Account) -> Spent:
    """Exact sums, read from an index alone. A project's whole life is a long sum: ask for it once and go on
    from there (see core.domain.tally)."""
    where, parameters = _of(account)
    called = conn.execute(
        "SELECT coalesce(sum(tokens), 0) AS tokens, coalesce(sum(microdollars), 0) AS microdollars,"  # noqa: S608 - fixed texts
        " count(*) AS calls, coalesce(sum(iif(source = 'agent', tokens, 0)), 0) AS agents_tokens,"
        " coalesce(sum(iif(source = 'agent', microdollars, 0)), 0) AS agents_microdollars"
        f" FROM model_calls WHERE {where}",
        parameters,
    ).fetchone()
    turned = conn.execute(
        "SELECT count(*) AS turns, coalesce(sum(milliseconds), 0) AS milliseconds"  # noqa: S608 - fixed texts
        f" FROM agent_turns WHERE {where}",
        parameters,
    ).fetchone()
    return Spent(
        amounts=Amounts(
            tokens=called["tokens"],
            microdollars=called["microdollars"],
            turns=turned["turns"],
            milliseconds=turned["milliseconds"],
        ),
        calls=called["calls"],
        on_agents_word=Amounts(tokens=called["agents_tokens"], microdollars=called["agents_microdollars"]),
    )


def shares(conn: sqlite3.Connection, account: Account, *, limit: int = 100) -> tuple[Share, ...]:
    """What calls took, the dearest first. The amounts have no turns and no time."""
    where, parameters = _of(account)
    rows = conn.execute(
        "SELECT story_id, phase, agent, model, source, count(*) AS calls, sum(tokens) AS tokens,"  # noqa: S608 - fixed texts
        f" sum(microdollars) AS microdollars FROM model_calls WHERE {where}"
        " GROUP BY story_id, phase, agent, model, source"
        " ORDER BY sum(microdollars) DESC, sum(tokens) DESC, story_id, phase, agent, model, source LIMIT ?",
        (*parameters, limit),
    )
    return tuple(
        Share(
            story_id=row["story_id"],
            phase=row["phase"],
            agent=row["agent"],
            model=row["model"],
            source=Source(row["source"]),
            calls=row["calls"],
            amounts=Amounts(tokens=row["tokens"], microdollars=row["microdollars"]),
        )
        for row in rows
    )


def _of(account: Account) -> tuple[str, tuple[str, ...]]:
    if account.story_id is not None:
        return "story_id = ?", (account.story_id,)
    if account.day is not None:
        start, end = to_time(account.day.start), to_time(account.day.end)
        return "project = ? AND at >= ? AND at < ?", (account.project, start, end)
    return "project = ?", (account.project,)


def add_raise(tx: Transaction, raised: Raise) -> bool:
    """Whether it is new; then it emits BUDGET_RAISED, and people are told anew of what follows it."""
    cursor = tx.conn.execute(
        "INSERT INTO budget_raises (id, project, scope, story_id, unit, amount, at, until, by)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING",
        (
            raised.id,
            raised.project,
            raised.scope.value,
            raised.story_id,
            raised.unit.value,
            raised.amount,
            to_time(raised.at),
            None if raised.until is None else to_time(raised.until),
            to_text(raised.by),
        ),
    )
    if cursor.rowcount == 0:
        return False
    tx.conn.execute(
        "DELETE FROM budget_notices WHERE project = ? AND scope = ? AND story_id = ? AND unit = ?",
        (raised.project, raised.scope.value, raised.story_id or "", raised.unit.value),
    )
    until = None if raised.until is None else raised.until.isoformat()
    tx.emit(
        EventKind.BUDGET_RAISED,
        project=raised.project,
        story_id=raised.story_id,
        actor=raised.by,
        data={
            "raise": raised.id,
            "scope": raised.scope.value,
            "unit": raised.unit.value,
            "amount": raised.amount,
            "until": until,
            "by": raised.by,
            "text": f"{raised.story_id or raised.project} may use {worded(raised.unit, raised.amount)} more"
            + (" a day" if raised.scope is Scope.DAY else ""),
        },
    )
    return True


def raises(conn: sqlite3.Connection, project: str, now: datetime) -> tuple[Raise, ...]:
    """Those of the project that are not over, of every scope, oldest first."""
    rows = conn.execute(
        "SELECT * FROM budget_raises WHERE project = ? AND (until IS NULL OR until > ?) ORDER BY at, id",
        (project, to_time(now)),
    )
    return tuple(_raise_of(row) for row in rows)


def get_raise(conn: sqlite3.Connection, raise_id: str) -> Raise:
    """One that there is, over or not."""
    return _raise_of(conn.execute("SELECT * FROM budget_raises WHERE id = ?", (raise_id,)).fetchone())


def _raise_of(row: sqlite3.Row) -> Raise:
    return Raise(
        id=row["id"],
        project=row["project"],
        scope=Scope(row["scope"]),
        story_id=row["story_id"],
        unit=Unit(row["unit"]),
        amount=row["amount"],
        at=from_time(row["at"]),
        until=from_optional_time(row["until"]),
        by=row["by"],
    )


def stories_at_work(conn: sqlite3.Connection, project: str) -> tuple[tuple[str, str], ...]:
    """Id and title of the project's stories in a sprint that has started and is not over."""
    rows = conn.execute(
        "SELECT id, title FROM stories WHERE project = ? AND state = 'active' ORDER BY number", (project,)
    )
    return tuple((row["id"], row["title"]) for row in rows)


def agents_sums(conn: sqlite3.Connection, run_id: str) -> Mapping[str, int]:
    """What is recorded on agents' word under this id, added up, by the names of Call's figures."""
    columns = ", ".join(f"sum({name}) AS {name}" for name in _COUNTED)
    row = conn.execute(
        f"SELECT {columns} FROM model_calls WHERE run_id = ? AND source = 'agent'",  # noqa: S608 - fixed texts
        (run_id,),
    ).fetchone()
    return {name: row[name] or 0 for name in _COUNTED}


def tell(tx: Transaction, standing: Standing) -> tuple[EventKind, ...]:
    """Emits what people were not told yet of this limit: BUDGET_WARNED or BUDGET_REACHED, each once a limit.
    A warning is left out where the limit is already reached. A raise makes it new."""
    account = standing.account
    told = []
    for one in standing.units:
        if one.level is not Level.FINE and _is_news(tx, account, one):
            kind = EventKind.BUDGET_REACHED if one.level is Level.REACHED else EventKind.BUDGET_WARNED
            tx.emit(
                kind,
                project=account.project,
                story_id=account.story_id,
                data={
                    "scope": account.scope.value,
                    "day": None if account.day is None else account.day.date.isoformat(),
                    "unit": one.unit.value,
                    "spent": one.spent,
                    "limit": one.limit,
                    "percent": one.percent,
                    "text": one.sentence,
                },
            )
            told.append(kind)
    return tuple(told)


def _is_news(tx: Transaction, account: Account, one: UnitStanding) -> bool:
    """Also of an old standing: who is told that a limit is reached is not warned of it afterwards."""
    key = (
        account.project,
        account.scope.value,
        account.story_id or "",
        "" if account.day is None else account.day.date.isoformat(),
        one.unit.value,
        one.limit,
    )
    levels = (Level.REACHED,) if one.level is Level.REACHED else (Level.NEAR, Level.REACHED)
    known = tx.conn.execute(
        "SELECT 1 FROM budget_notices WHERE project = ? AND scope = ? AND story_id = ? AND day = ?"
        " AND unit = ? AND limit_amount = ? AND level IN (?, ?)",
        (*key, levels[0].value, levels[-1].value),
    ).fetchone()
    if known is not None:
        return False
    tx.conn.execute(
        "INSERT INTO budget_notices (project, scope, story_id, day, unit, limit_amount, level, at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (*key, one.level.value, tx.now_text),
    )
    return True

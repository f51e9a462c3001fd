"""Subscriptions, quiet hours, missed calls and the stretches of history that digests tell of."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from typing import Any

from core.domain.event import EventKind
from core.domain.ping import Ping
from core.domain.quiet import QuietHours
from core.store import news, people, sprints, subscriptions
from core.store.transaction import Transaction

ALICE, BOB = "discord:1", "discord:2"
NIGHT = QuietHours(start=time(22), end=time(7, 5), time_zone="Europe/Berlin")
SOON = datetime(2026, 3, 2, 7, tzinfo=UTC)


def happened(tx: Transaction, kind: EventKind = EventKind.STORY_MERGED, **more: Any) -> int:
    return tx.emit(kind, **more).seq


class TestSubscriptions:
    def test_the_kind_and_the_project_decide_who_is_called(self, tx: Transaction) -> None:
        subscriptions.add(tx, ALICE, "shop", [Ping.DONE])
        subscriptions.add(tx, BOB, subscriptions.EVERY_PROJECT, [Ping.DONE, Ping.BLOCKED])
        assert subscriptions.people_for(tx.conn, "shop", Ping.DONE) == (ALICE, BOB)
        assert subscriptions.people_for(tx.conn, "shop", Ping.BLOCKED) == (BOB,)
        assert subscriptions.people_for(tx.conn, "blog", Ping.DONE) == (BOB,)
        assert subscriptions.people_for(tx.conn, None, Ping.QUESTION) == ()

    def test_somebody_with_both_is_called_once(self, tx: Transaction) -> None:
        for project in ("shop", subscriptions.EVERY_PROJECT, "shop"):
            subscriptions.add(tx, ALICE, project, list(Ping))
        assert subscriptions.people_for(tx.conn, "shop", Ping.DONE) == (ALICE,)

    def test_one_kind_of_one_project_or_of_all_goes_away(self, tx: Transaction) -> None:
        for project in ("shop", "blog"):
            subscriptions.add(tx, ALICE, project, list(Ping))
        assert subscriptions.remove(tx, ALICE, "shop", [Ping.DONE]) == 1
        assert subscriptions.remove(tx, ALICE, None, [Ping.BLOCKED]) == 2
        assert subscriptions.remove(tx, BOB, None, list(Ping)) == 0
        kept = [(s.project, s.kind) for s in subscriptions.of_person(tx.conn, ALICE)]
        assert kept == [("blog", Ping.DONE), ("blog", Ping.QUESTION), ("shop", Ping.QUESTION)]


class TestQuietHours:
    def test_they_are_kept_to_the_minute_and_can_be_taken_back(self, tx: Transaction) -> None:
        people.set_quiet(tx, ALICE, NIGHT)
        assert people.quiet_of(tx.conn, [ALICE, BOB]) == {ALICE: NIGHT}
        people.set_quiet(tx, ALICE, None)
        assert people.quiet_of(tx.conn, [ALICE]) == {}

    def test_new_ones_let_what_was_missed_be_looked_at_anew(self, tx: Transaction) -> None:
        people.miss(tx, ALICE, happened(tx))
        people.postpone(tx, ALICE, SOON)
        assert people.due(tx.conn, tx.now) == ()
        people.set_quiet(tx, ALICE, None)
        assert people.due(tx.conn, tx.now) == (ALICE,)


class TestMissedCalls:
    def test_an_event_is_missed_once_and_told_once(self, tx: Transaction) -> None:
        first, second = happened(tx), happened(tx)
        for seq in (second, first, second):
            people.miss(tx, ALICE, seq)
        assert [event.seq for event in people.missed(tx.conn, ALICE)] == [first, second]
        assert people.due(tx.conn, tx.now) == (ALICE,)
        people.told(tx, ALICE, [first])
        assert [event.seq for event in people.missed(tx.conn, ALICE)] == [second]

    def test_all_of_a_persons_is_put_off_together(self, tx: Transaction) -> None:
        people.miss(tx, ALICE, happened(tx))
        people.miss(tx, BOB, happened(tx))
        people.postpone(tx, ALICE, SOON)
        assert people.due(tx.conn, tx.now) == (BOB,)
        assert people.due(tx.conn, SOON) == (BOB, ALICE)


class TestDigests:
    def test_the_mark_only_goes_on(self, tx: Transaction) -> None:
        assert people.digest_seq(tx.conn, ALICE) is None
        people.set_quiet(tx, ALICE, NIGHT)
        assert people.digest_seq(tx.conn, ALICE) is None
        people.set_digest_seq(tx, ALICE, 12)
        people.set_digest_seq(tx, ALICE, 7)
        assert people.digest_seq(tx.conn, ALICE) == 12
        assert people.quiet_of(tx.conn, [ALICE]) == {ALICE: NIGHT}

    def test_a_stretch_of_history_is_counted_by_kind(
        self, tx: Transaction, later: Callable[[float], Transaction], new_project: Any
    ) -> None:
        new_project(tx)
        before = happened(tx, EventKind.GATE_PASSED, project="shop")
        hour = later(3600)
        for project in ("shop", "shop", "blog"):
            last = happened(hour, EventKind.GATE_PASSED, project=project)
        assert news.last_seq_before(tx.conn, hour.now) == before
        assert news.counts(tx.conn, before, last, "shop") == {EventKind.GATE_PASSED: 2}
        assert news.counts(tx.conn, before, last, None) == {EventKind.GATE_PASSED: 3}
        assert news.counts(tx.conn, last, last, None) == {}
        assert news.time_of(tx.conn, last) == hour.now
        assert news.time_of(tx.conn, last + 1) is None
        assert news.last_seq_before(tx.conn, tx.now - timedelta(days=1)) == 0

    def test_finished_sprints_and_merged_stories_are_found(
        self, tx: Transaction, new_project: Any, new_story: Any
    ) -> None:
        new_project(tx)
        story = new_story(tx)
        sprint = sprints.plan(tx, "shop", [story.id], "", "cli")
        happened(tx, project="shop", story_id=story.id)
        happened(tx, EventKind.SPRINT_FINISHED, project="shop", data={"sprint": sprint.number})
        last = news.last_seq(tx.conn)
        assert news.stories_with(tx.conn, EventKind.STORY_MERGED, 0, last, None) == (story.id,)
        assert [found.id for found in news.finished_sprints(tx.conn, 0, last, "shop")] == [sprint.id]
        assert news.finished_sprints(tx.conn, 0, last, "blog") == ()

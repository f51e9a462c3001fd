"""What nobody was told for long is history, but for questions that still wait."""

from datetime import timedelta

from core.domain.approval import ApprovalKind
from core.domain.event import EventKind
from core.store import approvals, outbox


async def test_old_news_is_dropped_and_open_questions_are_kept(store, clock, new_project, new_story):
    story = await store.write(lambda tx: (new_project(tx), new_story(tx))[1])
    await store.write(lambda tx: tx.emit(EventKind.PROJECT_STARTED, project="shop"))
    await store.write(
        lambda tx: approvals.ask(
            tx,
            project="shop",
            story_id=story.id,
            kind=ApprovalKind.MERGE,
            subject="merge:shop-1",
            question="Merge?",
            detail="",
            reasons=(),
        )
    )
    clock.advance(timedelta(hours=30).total_seconds())
    await store.write(lambda tx: tx.emit(EventKind.PROJECT_STOPPED, project="shop"))
    dropped = await store.write(lambda tx: outbox.drop_stale(tx, tx.now - timedelta(hours=24)))
    left = await store.read(
        lambda conn: [
            kind
            for (kind,) in conn.execute(
                "SELECT e.kind FROM outbox o JOIN events e ON e.seq = o.event_seq"
                " WHERE o.state = 'pending' ORDER BY o.id"
            )
        ]
    )
    assert dropped == 1
    assert left == ["approval_requested", "project_stopped"]

"""What a story becomes at GitHub: each change once, nothing twice, whatever was cut off on the way."""

from __future__ import annotations

import asyncio

import pytest

from core.domain.approval import ApprovalKind, ApprovalState
from core.domain.event import EventKind
from core.domain.story import StoryState
from core.github.api.trouble import GithubError, GithubForbidden
from core.github.inward.issue_text import parse_words
from core.known_secrets import known_secrets
from core.store import approvals, cycles, github_heard, github_issues, github_milestones, sprints, stories
from core.store.transaction import Transaction
from tests.github_server.faults import ALWAYS, Fault
from tests.integration.github_shop import Shop, link_with


async def test_a_story_of_the_backlog_costs_nothing(shop: Shop) -> None:
    await shop.taken_in()
    brought = await shop.bring()
    assert brought.changes == 0
    assert shop.server.requests == []


async def test_a_story_on_its_way_has_one_comment_and_one_label(shop: Shop) -> None:
    story = await shop.taken_in()
    await shop.at_work(story)
    await shop.bring(story.id)
    assert shop.labels() == {"orchard", "orchard: at work"}
    await shop.gate(story)
    await shop.gate(story, refused="test_total passes at once, ask @ann, see #1 <b>")
    await shop.bring(story.id)
    [comment] = shop.comments()
    assert "✅ Design" in comment
    assert "refused: test_total passes at once" in comment
    assert not any(each in comment for each in ("@ann", "#1 ", "<b>"))
    assert comment.endswith("<!-- orchard:progress shop-1 -->")


async def test_nothing_is_asked_where_nothing_differs(shop: Shop) -> None:
    story = await shop.taken_in()
    await shop.at_work(story)
    await shop.bring(story.id)
    asked = len(shop.server.requests)
    for _ in range(3):
        await shop.bring(story.id)
    shop.restart()
    await shop.bring()
    assert len(shop.server.requests) == asked


async def test_a_merged_story_closes_its_issue_and_names_the_commit(shop: Shop) -> None:
    story = await shop.taken_in()
    await shop.at_work(story)
    for _ in range(5):
        await shop.gate(story)
    brought = await shop.bring(story.id)
    issue = shop.here.issue(1)
    assert (issue.state, issue.state_reason, brought.closed) == ("closed", "completed", 1)
    assert f"commit/{'d' * 40}" in shop.comments()[0]
    assert shop.labels() == {"orchard", "orchard: done"}


async def test_an_issue_that_was_reopened_is_not_closed_again(shop: Shop) -> None:
    story = await shop.taken_in()
    await shop.at_work(story)
    for _ in range(5):
        await shop.gate(story)
    await shop.bring(story.id)
    shop.here.reopen_issue(1, by="mia")
    shop.restart()
    await shop.bring()
    await shop.bring(story.id)
    assert shop.here.issue(1).state == "open"


async def test_an_issue_that_is_another_story_by_now_is_left_alone(shop: Shop) -> None:
    story = await shop.taken_in()
    other = await shop.story("Again")
    issue = shop.here.issue(1)
    await shop.do(
        lambda tx: github_issues.link(
            tx, other.id, project="shop", number=1, issue_id=issue.id, url="https://x/1"
        )
    )
    await shop.at_work(story)
    await shop.bring(story.id)
    assert shop.writes() == 0


async def test_an_issue_of_a_repository_that_was_linked_before_is_not_taken_for_the_new_ones(
    shop: Shop,
) -> None:
    story = await shop.taken_in()
    await shop.at_work(story)
    await shop.bring()
    said = shop.comments()
    market = shop.server.add_repository("acme/market")
    market.add_issue("Of the same number", "", author="mia", labels=["orchard"])
    await shop.do(lambda tx: link_with(tx, market))
    await shop.gate(story)
    before = shop.writes()
    shop.use(create_issues=True)
    for restarts in (False, True):
        if restarts:
            shop.restart()
        await shop.bring()
        await shop.bring(story.id)
    assert shop.writes() == before
    assert market.issue(1).comments == []
    await shop.do(lambda tx: link_with(tx, shop.here))
    await shop.bring()
    assert len(said) == 1
    assert len(shop.comments()) == 1
    assert shop.comments() != said


async def test_all_are_compared_when_nobody_says_which(shop: Shop) -> None:
    story = await shop.taken_in()
    await shop.bring()
    await shop.at_work(story)
    await shop.bring(story.id)
    await shop.gate(story)  # of which no event tells
    assert (await shop.bring("shop-77")).changes == 0
    assert (await shop.bring()).comments == 1


async def test_settings_say_what_is_shown(shop: Shop) -> None:
    shop.use(progress_comment=False, state_labels=False, close_issues=False, milestones_as_sprints=False)
    story = await shop.taken_in()
    await shop.at_work(story)
    for _ in range(5):
        await shop.gate(story)
    await shop.bring(story.id)
    assert shop.writes() == 0


async def test_a_burst_of_events_is_one_edit(shop: Shop) -> None:
    story = await shop.taken_in()
    await shop.at_work(story)
    shop.gap_seconds = 3600.0
    shop.restart()
    await shop.bring(story.id)
    before = shop.writes()
    for _ in range(4):
        await shop.gate(story)
        brought = await shop.bring(story.id)
        assert brought.again_in is not None
    assert shop.writes() == before
    shop.gap_seconds = 0.0
    shop.restart()
    await shop.bring(story.id)
    assert shop.writes() == before + 1
    assert "✅ Refactoring" in shop.comments()[0]


async def test_the_last_of_a_burst_is_told_when_its_time_has_come(shop: Shop) -> None:
    shop.gap_seconds = 0.2
    shop.restart()
    story = await shop.taken_in()
    await shop.at_work(story)
    await shop.outbound.bring_up("shop", [story.id])
    await shop.gate(story)
    await shop.outbound.bring_up("shop", [story.id])
    assert "✅ Design" in shop.comments()[0]


async def test_a_comment_that_people_deleted_is_made_anew(shop: Shop) -> None:
    story = await shop.taken_in()
    await shop.at_work(story)
    await shop.bring(story.id)
    shop.here.delete_comment(shop.here.issue(1).comments[0].id, by="mia")
    await shop.gate(story)
    await shop.bring(story.id)
    assert len(shop.comments()) == 1


@pytest.mark.parametrize("method", ["POST", "PATCH"])
async def test_what_took_effect_though_its_answer_was_cut_off_is_not_doubled(shop: Shop, method: str) -> None:
    story = await shop.taken_in()
    await shop.at_work(story)
    if method == "PATCH":
        await shop.bring(story.id)
        await shop.gate(story)
    shop.server.fail(Fault(method=method, path="/comments", cut_after=True, times=ALWAYS))
    with pytest.raises(GithubError):
        await shop.bring(story.id)
    shop.server.faults.clear()
    shop.restart()  # killed
    await shop.bring()
    assert len(shop.comments()) == 1
    assert ("✅ Design" in shop.comments()[0]) == (method == "PATCH")


async def test_a_copied_mark_makes_no_comment_ours(shop: Shop) -> None:
    story = await shop.taken_in()
    shop.here.comment(1, "mine <!-- orchard:progress shop-1 -->", "mallory")
    await shop.at_work(story)
    await shop.do(lambda tx: github_heard.intend(tx, "shop", f"comment:{story.id}"))
    await shop.bring(story.id)
    assert len(shop.comments()) == 2
    assert shop.comments()[0].startswith("mine")


async def test_a_crash_between_two_labels_leaves_one(shop: Shop) -> None:
    story = await shop.taken_in()
    await shop.at_work(story)
    await shop.bring(story.id)
    await shop.gate(story)
    cycle = cycles.get
    await shop.do(
        lambda tx: cycles.block(
            tx,
            story.id,
            state=cycle(tx.conn, story.id).state,
            reason="out of tries",  # type: ignore[union-attr]
        )
    )
    shop.server.fail(Fault(method="DELETE", path="/labels/", status=500, times=ALWAYS))
    with pytest.raises(GithubError):
        await shop.bring(story.id)
    shop.server.faults.clear()
    shop.restart()
    await shop.do(lambda tx: stories.move(tx, story.id, StoryState.ACTIVE, StoryState.SKIPPED))
    await shop.bring()
    assert shop.labels() == {"orchard", "orchard: not done"}


async def test_a_deleted_issue_holds_up_no_other(shop: Shop) -> None:
    gone, story = await shop.taken_in("Gone"), await shop.taken_in("Here")
    shop.here.delete_issue(1)
    await shop.at_work(gone)
    await shop.do(lambda tx: stories.move(tx, story.id, StoryState.BACKLOG, StoryState.SKIPPED))
    brought = await shop.bring(gone.id, story.id)
    assert [each.split(":")[0] for each in brought.problems] == [gone.id]
    assert len(shop.comments(2)) == 1


async def test_a_lost_permission_is_told_and_nothing_is_lost(shop: Shop) -> None:
    story = await shop.taken_in()
    await shop.at_work(story)
    shop.here.grant("orch-bot", "read")
    with pytest.raises(GithubForbidden):
        await shop.bring(story.id)
    shop.here.grant("orch-bot", "write")
    await shop.bring()
    assert len(shop.comments()) == 1


async def test_who_approved_is_said_without_calling_anybody(shop: Shop) -> None:
    story = await shop.taken_in()
    await shop.at_work(story)
    for _ in range(4):
        await shop.gate(story)

    def ask(tx: Transaction) -> None:
        asked = approvals.ask(
            tx,
            project="shop",
            story_id=story.id,
            kind=ApprovalKind.MERGE,
            subject="merge",
            question="May it?",
            detail="",
            reasons=(),
        )
        approvals.answer(tx, asked.id, state=ApprovalState.APPROVED, by="discord:1234567890")

    await shop.do(ask)
    await shop.bring(story.id)
    assert "**Approved by** somebody in Discord" in shop.comments()[0]
    assert "1234567890" not in shop.comments()[0]


async def test_secrets_are_not_told(shop: Shop) -> None:
    known_secrets.learn(["hunter2_hunter2_hunter2"])
    story = await shop.taken_in()
    await shop.at_work(story)
    await shop.gate(story, refused="401 for hunter2_hunter2_hunter2")
    await shop.bring(story.id)
    assert "hunter2" not in shop.comments()[0]


# -- a story's words -------------------------------------------------------------------------------------


async def _edit(shop: Shop, story_id: str, **changes: object) -> None:
    def work(tx: Transaction) -> None:
        stories.edit(tx, story_id, states=tuple(StoryState), **changes)  # type: ignore[arg-type]
        tx.emit(
            EventKind.STORY_EDITED,
            project="shop",
            story_id=story_id,
            data={"fields": list(changes), "by": "cli"},
        )

    await shop.do(work)


async def test_an_edit_goes_back_to_the_issue_once(shop: Shop) -> None:
    story = await shop.taken_in()
    await shop.bring()
    await _edit(shop, story.id, title="All totals", acceptance_criteria=("it sums", "it rounds"))
    assert (await shop.bring()).words == 1
    issue = shop.here.issue(1)
    assert issue.title == "All totals"
    assert parse_words(issue.title, issue.body or "", number=1).acceptance_criteria == (
        "it sums",
        "it rounds",
    )
    asked = len(shop.server.requests)
    assert (await shop.bring(story.id)).words == 0
    assert len(shop.server.requests) == asked


async def test_of_two_edits_each_side_keeps_what_only_it_changed(shop: Shop) -> None:
    story = await shop.taken_in()
    await shop.bring()
    shop.here.edit_issue(1, body="Their text.\n\n- [ ] it sums", by="mia")
    await _edit(shop, story.id, title="Our title")
    await shop.bring()
    issue = shop.here.issue(1)
    assert issue.title == "Our title"
    assert (issue.body or "").startswith("Their text.")


async def test_of_two_edits_of_the_same_the_later_stays(shop: Shop) -> None:
    story = await shop.taken_in()
    await shop.bring()
    await _edit(shop, story.id, title="Ours, earlier")
    shop.server.world.advance(60)
    shop.here.edit_issue(1, title="Theirs, later", by="mia")
    await shop.bring()
    assert shop.here.issue(1).title == "Theirs, later"
    shop.server.world.advance(-3600)
    shop.here.edit_issue(1, title="Theirs, earlier", by="mia")
    await _edit(shop, story.id, title="Ours, later")
    await shop.bring()
    assert shop.here.issue(1).title == "Ours, later"


# -- issues of our own -----------------------------------------------------------------------------------


async def test_stories_from_elsewhere_get_an_issue_where_it_is_asked_for(shop: Shop) -> None:
    story = await shop.story(body="Ask @ann <!-- orchard:story shop-9 -->")
    await shop.bring()
    assert shop.here.issues == {}
    shop.use(create_issues=True)
    assert (await shop.bring(story.id)).issues == 1
    issue = shop.here.issue(1)
    assert [label.name for label in issue.labels] == ["orchard"]
    assert "@ann" not in (issue.body or "")
    assert (issue.body or "").endswith("<!-- orchard:story shop-1 -->")
    assert (await shop.bring(story.id)).changes == 0
    assert len(shop.here.issues) == 1


async def test_an_issue_whose_answer_was_cut_off_is_found_again(shop: Shop) -> None:
    shop.use(create_issues=True)
    await shop.story()
    shop.here.add_issue("Decoy", "<!-- orchard:story shop-1 -->", author="mallory")
    shop.server.fail(Fault(method="POST", path="/issues$", cut_after=True, times=ALWAYS))
    with pytest.raises(GithubError):
        await shop.bring()
    shop.server.faults.clear()
    shop.restart()
    await shop.bring()
    assert [issue.title for issue in shop.here.issues.values()] == ["Decoy", "Totals"]
    link = await shop.store.read(lambda conn: github_issues.of_story(conn, "shop-1"))
    assert link is not None
    assert link.number == 2


# -- sprints ---------------------------------------------------------------------------------------------


async def test_a_sprint_is_a_milestone_that_is_closed_with_it(shop: Shop) -> None:
    story = await shop.taken_in()
    await shop.at_work(story)
    await shop.bring()
    [milestone] = shop.here.milestones.values()
    assert milestone.title == "Sprint 1: Totals for @\u200beverybody"
    assert shop.here.issue(1).milestone is milestone
    sprint = await shop.store.read(lambda conn: sprints.of_number(conn, "shop"))
    await shop.do(lambda tx: sprints.end(tx, sprint.id))
    await shop.bring()
    assert milestone.state == "closed"
    assert (await shop.bring()).milestones == 0
    shop.here.edit_milestone(milestone.number, state="open")  # a person opens it again

    def noted(tx: Transaction) -> None:
        github_milestones.note(tx, "shop", milestone.number, title=milestone.title, is_open=True)

    await shop.do(noted)
    await shop.bring()
    assert milestone.state == "open"


async def test_a_milestone_of_a_repository_that_was_linked_before_is_not_closed_in_the_new_one(
    shop: Shop,
) -> None:
    story = await shop.taken_in()
    await shop.at_work(story)
    await shop.bring()
    [milestone] = shop.here.milestones.values()
    market = shop.server.add_repository("acme/market")
    other = market.add_milestone("Of the same number")
    assert other.number == milestone.number
    await shop.do(lambda tx: link_with(tx, market))
    sprint = await shop.store.read(lambda conn: sprints.of_number(conn, "shop"))
    await shop.do(lambda tx: sprints.end(tx, sprint.id))
    await shop.bring()
    assert other.state == "open"
    await shop.do(lambda tx: github_milestones.note(tx, "shop", other.number, title="x", is_open=True))
    await shop.bring()
    assert other.state == "open"
    await shop.do(lambda tx: link_with(tx, shop.here))
    await shop.bring()
    assert milestone.state == "closed"


async def test_an_issue_that_people_took_out_of_the_milestone_stays_out(shop: Shop) -> None:
    story = await shop.taken_in()
    await shop.at_work(story)
    await shop.bring()
    shop.here.edit_issue(1, milestone=None, by="mia")
    shop.restart()
    await shop.bring()
    assert shop.here.issue(1).milestone is None


async def test_an_issue_that_is_in_its_milestone_already_is_not_moved(shop: Shop) -> None:
    milestone = shop.here.add_milestone("June")
    story = await shop.taken_in(milestone=milestone.number)
    await shop.at_work(story)
    sprint = await shop.store.read(lambda conn: sprints.of_number(conn, "shop"))

    def planned(tx: Transaction) -> None:  # as when the milestone became the sprint
        github_milestones.note(tx, "shop", milestone.number, title="June", is_open=True)
        github_milestones.bind(tx, "shop", milestone.number, sprint.id)

    await shop.do(planned)
    await shop.bring()
    assert not [seen for seen in shop.server.asked("PATCH") if "milestone" in seen.body]
    assert list(shop.here.milestones) == [milestone.number]


async def test_a_sprint_that_ended_is_one_draft_release(shop: Shop) -> None:
    shop.use(release_notes=True)
    story = await shop.taken_in()
    await shop.at_work(story)
    for _ in range(5):
        await shop.gate(story)
    sprint = await shop.store.read(lambda conn: sprints.of_number(conn, "shop"))
    await shop.do(lambda tx: sprints.end(tx, sprint.id))
    shop.server.fail(Fault(method="POST", path="/releases", cut_after=True, times=ALWAYS))
    with pytest.raises(GithubError):
        await shop.bring()
    shop.server.faults.clear()
    shop.restart()
    assert (await shop.bring()).releases == 1
    [release] = shop.here.releases.values()
    assert release.draft
    assert "- Totals (shop-1, [issue #1]" in (release.body or "")
    shop.here.releases.clear()  # a person throws it away
    shop.restart()
    assert (await shop.bring()).releases == 0


async def test_two_calls_at_once_make_one_comment(shop: Shop) -> None:
    story = await shop.taken_in()
    await shop.at_work(story)
    await asyncio.gather(*(shop.bring(story.id) for _ in range(4)))
    assert len(shop.comments()) == 1

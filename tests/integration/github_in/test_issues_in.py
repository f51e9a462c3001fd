"""Issues become stories, once, over real HTTP; what is done to them there is done to the stories."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from core.domain.event import EventKind
from core.domain.lifecycles import CycleState, WorkflowState
from core.domain.story import Priority, StoryState
from core.github.api.trouble import GithubError
from core.github.inward.issue_text import parse_seen
from tests.github_server.faults import Fault
from tests.integration.github_shop import link_with

if TYPE_CHECKING:
    from tests.integration.github_in.conftest import Shop


async def test_a_labelled_issue_becomes_a_story_once(shop: Shop) -> None:
    number = shop.add("Totals", "Sum it up.\n\n- [ ] it sums", labels=["Orchard", "P1", "money"])
    shop.here.add_issue("Not for Orchard", "")
    first = await shop.sync()
    assert (first.added, first.first) == (1, True)
    story = await shop.story()
    assert (story.title, story.body, story.acceptance_criteria) == ("Totals", "Sum it up.", ("it sums",))
    assert (story.priority, story.labels, story.added_by) == (Priority.HIGH, ("money",), "github:mia")
    assert story.links == (f"{shop.here.html}/issues/{number}",)
    assert (await shop.project()).workflow is WorkflowState.BACKLOG_READY
    shop.restart()
    again = await shop.sync()
    assert (again.added, again.edited, again.first) == (0, 0, False)
    assert len(await shop.stories()) == 1


async def test_nothing_new_costs_nothing(shop: Shop) -> None:
    shop.add()
    for _ in range(3):
        await shop.sync()
    counted = shop.server.counted()
    await shop.sync()
    assert shop.server.counted() == counted


async def test_a_milestone_and_an_assignment_make_stories_too(shop: Shop) -> None:
    shop.use(label=None, milestone="Spring", assigned=True, milestones_as_sprints=False)
    spring = shop.here.add_milestone("Spring")
    shop.here.add_issue("By milestone", milestone=spring.number, author="mia")
    shop.here.add_issue("By assignment", assignees=["orch-bot"], author="mia")
    shop.here.add_issue("By nothing", labels=["orchard"], author="mia")
    await shop.sync()
    assert [story.title for story in await shop.stories()] == ["By milestone", "By assignment"]


async def test_an_edit_follows_and_leaves_what_orchard_changed(shop: Shop) -> None:
    number = shop.add()
    await shop.sync()
    await shop.commands.edit_story("shop-1", title="Totals of Orchard", actor="cli")
    shop.here.edit_issue(
        number, body="Sum it all.\n- [ ] it sums\n- [ ] twice", labels=["orchard", "critical"]
    )
    taken = await shop.sync()
    assert taken.edited == 1
    story = await shop.story()
    assert (story.title, story.body) == ("Totals of Orchard", "Sum it all.")
    assert (story.acceptance_criteria, story.priority) == (("it sums", "twice"), Priority.CRITICAL)
    (event,) = await shop.told(EventKind.ISSUE_FOLLOWED)
    assert (event.data["number"], event.data["what"]) == (number, "edited")


async def test_a_closed_or_unlabelled_issue_takes_its_story_away(shop: Shop) -> None:
    closed, unlabelled = shop.add("A"), shop.add("B")
    await shop.sync()
    shop.here.close_issue(closed, reason="not_planned")
    shop.here.remove_label(unlabelled, "orchard")
    assert (await shop.sync()).closed == 2
    assert {story.state for story in await shop.stories()} == {StoryState.REMOVED}
    assert (await shop.project()).workflow is WorkflowState.IDLE


async def test_many_that_change_at_once_are_told_of_together(shop: Shop) -> None:
    numbers = [shop.add(f"Issue {number}") for number in range(6)]
    await shop.sync()
    for number in numbers[:4]:
        shop.here.close_issue(number)
    await shop.sync()
    for number in numbers[4:]:
        shop.here.close_issue(number)
    await shop.sync()
    together = [event.data["together"] for event in await shop.told(EventKind.ISSUE_FOLLOWED)]
    assert together == [True] * 4 + [False] * 2
    first, second = await shop.told(EventKind.GITHUB_SYNCED)
    assert (first.data["added"], second.data["closed"]) == (6, 4)


async def test_many_that_are_gone_are_told_of_together(shop: Shop) -> None:
    numbers = [shop.add(f"Issue {number}") for number in range(5)]
    await shop.sync()
    for number in numbers:
        shop.here.delete_issue(number)
    await shop.sync(*numbers)
    together = [event.data["together"] for event in await shop.told(EventKind.ISSUE_FOLLOWED)]
    assert together == [False] * 3 + [True] * 2
    assert (await shop.told(EventKind.GITHUB_SYNCED))[-1].data["closed"] == 5


async def test_a_reopened_issue_is_a_new_story(shop: Shop) -> None:
    number = shop.add()
    await shop.sync()
    shop.here.close_issue(number)
    await shop.sync()
    shop.here.reopen_issue(number)
    assert (await shop.sync()).reopened == 1
    assert [story.state for story in await shop.stories()] == [StoryState.REMOVED, StoryState.BACKLOG]
    assert (await shop.sync()).reopened == 0


async def test_a_story_that_people_removed_does_not_come_back(shop: Shop) -> None:
    number = shop.add()
    await shop.sync()
    await shop.commands.remove_story("shop-1", actor="cli")
    shop.here.edit_issue(number, title="Totals, please")
    taken = await shop.sync()
    assert (taken.added, taken.reopened) == (0, 0)
    assert len(await shop.stories()) == 1


async def test_an_edit_at_work_is_in_the_record_and_reaches_the_agent(shop: Shop) -> None:
    number = shop.add()
    await shop.sync()
    await shop.start("shop-1")
    shop.here.edit_issue(number, body="Sum it all.\n- [ ] it sums")
    await shop.sync()
    assert (await shop.story()).body == "Sum it all."
    assert "Sum it all." in (await shop.cycle()).feedback
    assert len(shop.stage.steered) == 1


async def test_closing_skips_a_story_at_work_unless_it_is_about_to_go_in(shop: Shop) -> None:
    first, second = shop.add("A"), shop.add("B")
    await shop.sync()
    await shop.start("shop-1", "shop-2")
    await shop.pass_to(CycleState.COMMIT, "shop-2")
    shop.here.close_issue(first)
    shop.here.close_issue(second)
    assert (await shop.sync()).closed == 1
    assert (await shop.story("shop-1")).state is StoryState.SKIPPED
    assert (await shop.story("shop-2")).state is StoryState.ACTIVE
    assert shop.stage.cancelled == ["shop-1"]


async def test_what_a_guard_keeps_now_is_ended_at_a_later_look(shop: Shop) -> None:
    number = shop.add("A")
    shop.add("B")
    await shop.sync()
    await shop.start("shop-1", "shop-2")
    await shop.commands.pause_sprint("shop", actor="cli")
    shop.here.close_issue(number)
    assert (await shop.sync()).closed == 0
    await shop.commands.resume_sprint("shop", actor="cli")
    shop.restart()
    assert (await shop.sync()).closed == 1
    assert (await shop.story("shop-1")).state is StoryState.SKIPPED


async def test_a_planned_story_leaves_its_sprint_first(shop: Shop) -> None:
    number = shop.add("A")
    shop.add("B")
    await shop.sync()
    await shop.commands.plan_sprint("shop", goal="Both", actor="cli")
    shop.here.close_issue(number)
    assert (await shop.sync()).closed == 1
    assert [story.state for story in await shop.stories()] == [StoryState.REMOVED, StoryState.PLANNED]


@pytest.mark.parametrize("way", ["deleted", "transferred"])
async def test_a_deleted_or_transferred_issue_ends_its_story(shop: Shop, way: str) -> None:
    number = shop.add()
    await shop.sync()
    if way == "deleted":
        shop.here.delete_issue(number)
    else:
        shop.here.transfer_issue(number, shop.server.add_repository("acme/other"))
    assert (await shop.sync(number)).closed == 1
    assert (await shop.story()).state is StoryState.REMOVED
    (event,) = await shop.told(EventKind.ISSUE_FOLLOWED)
    assert event.data["what"] == "gone"


async def test_issues_wait_for_the_review_and_are_not_lost(shop: Shop) -> None:
    def to(state: WorkflowState) -> object:
        return shop.store.write(
            lambda tx: tx.conn.execute("UPDATE projects SET workflow = ? WHERE name = 'shop'", (state.value,))
        )

    shop.add()
    await to(WorkflowState.SPRINT_REVIEW)  # type: ignore[misc]
    held = await shop.sync()
    assert "review" in held.held
    assert await shop.stories() == ()
    await to(WorkflowState.IDLE)  # type: ignore[misc]
    assert (await shop.sync()).added == 1


async def test_what_fails_in_between_goes_on_where_it_stood(shop: Shop) -> None:
    for number in range(230):
        shop.add(f"Issue {number}")
    shop.server.fail(Fault(method="GET", path=r"/issues$"))  # the first page comes
    shop.server.fail(Fault(method="GET", path=r"/issues$", status=401))
    with pytest.raises(GithubError):
        await shop.sync()
    assert len(await shop.stories()) >= 90
    shop.restart()
    await shop.sync()
    assert sorted(story.title for story in await shop.stories()) == sorted(f"Issue {n}" for n in range(230))


async def test_an_issue_that_orchard_made_is_no_new_story(shop: Shop) -> None:
    await shop.commands.add_story("shop", "Mine", actor="cli")
    shop.add("Mine", "Text\n\n<!-- orchard:story shop-1 -->", author="orch-bot")
    shop.add("Forged", "Text\n\n<!-- orchard:story shop-1 -->", author="mallory")
    assert (await shop.sync()).added == 1
    assert [story.title for story in await shop.stories()] == ["Mine", "Forged"]
    link = await shop.issue("shop-1")
    assert link is not None
    assert link.number == 1


async def test_milestones_are_planned_as_sprints_and_never_started(shop: Shop) -> None:
    later = shop.here.add_milestone("Later", due_on=datetime(2031, 1, 1, tzinfo=UTC))
    sooner = shop.here.add_milestone("Sooner", due_on=datetime(2030, 1, 1, tzinfo=UTC))
    shop.add("A", milestone=later.number)
    number = shop.add("B", milestone=sooner.number)
    assert (await shop.sync()).planned
    assert (await shop.project()).workflow is WorkflowState.SPRINT_PLANNED
    assert {s.title: s.state for s in await shop.stories()} == {
        "A": StoryState.BACKLOG,
        "B": StoryState.PLANNED,
    }
    shop.add("C", milestone=sooner.number)
    await shop.sync()
    assert {s.title for s in await shop.stories() if s.state is StoryState.PLANNED} == {"B", "C"}
    shop.here.edit_issue(number, milestone=None)
    await shop.sync()
    assert {s.title for s in await shop.stories() if s.state is StoryState.PLANNED} == {"C"}


async def test_a_closed_milestone_is_not_planned(shop: Shop) -> None:
    past = shop.here.add_milestone("Past", state="closed")
    shop.add("A", milestone=past.number)
    assert not (await shop.sync()).planned
    counted = shop.server.counted()
    await shop.sync()
    await shop.sync()
    assert not shop.server.asked("GET", r".*/milestones")[2:]
    assert shop.server.counted() - counted <= 2


async def test_seen_names_the_milestone_and_that_it_is_wanted(shop: Shop) -> None:
    shop.add(milestone=shop.here.add_milestone("M").number)
    await shop.sync()
    link = await shop.issue()
    assert link is not None
    seen = parse_seen(link.seen)
    assert seen is not None
    assert (seen.milestone, seen.wanted) == (1, True)


async def test_numbers_of_a_repository_that_was_linked_before_are_not_the_new_ones(shop: Shop) -> None:
    number = shop.add()
    await shop.sync()
    await shop.start("shop-1")
    market = shop.server.add_repository("acme/market")
    await shop.store.write(lambda tx: link_with(tx, market))
    shop.restart()
    await shop.sync(number)  # is not there: that ends no story of another one's
    assert (await shop.story()).state is StoryState.ACTIVE
    await shop.store.write(lambda tx: link_with(tx, shop.here))
    shop.restart()
    await shop.sync()
    assert len(await shop.stories()) == 1
    shop.here.edit_issue(number, title="Totals of a day")
    await shop.sync()
    assert (await shop.story()).title == "Totals of a day"


async def test_an_issue_that_is_not_known_to_be_of_the_repository_is_when_it_is_read_there(
    shop: Shop,
) -> None:
    number = shop.add()
    await shop.sync()
    await shop.store.write(lambda tx: tx.conn.execute("UPDATE github_issues SET repository_id = NULL"))
    shop.here.edit_issue(number, title="Totals of a day")
    await shop.sync()
    link = await shop.issue()
    assert link is not None
    assert link.repository_id == shop.here.id
    assert [story.title for story in await shop.stories()] == ["Totals of a day"]

"""The workflow's words, with the real store and a real checkout; nothing runs."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from bot.cli import output
from core.bus import Bus
from core.clock import SystemClock
from core.domain.lifecycles import CycleState, WorkflowFact
from core.domain.story import EpicState, Hold, Priority, StoryState
from core.errors import InvalidInput, NotAllowed, NotFound, Unavailable
from core.store import cycles, epics, projects, stories, usage
from core.store.database import Store


@pytest.fixture
async def shop(say, checkout, tmp_path):
    """A project that may work, with three stories."""
    await say(f"register shop {checkout(tmp_path / 'shop')}")
    await say("start shop")
    for title in ("Pay by card", "Send a bill", "Thank people"):
        await say(f"add shop {title}")
    return say


@pytest.fixture
def write(tmp_path):
    """What only a running Orchard would write."""

    async def write(change):
        path = tmp_path / ".orch-global" / "orchard.db"
        async with Store.open(path, clock=SystemClock(), bus=Bus()) as store:
            return await store.write(change)

    return write


@pytest.fixture
async def proposed(shop, write):
    """shop-e1 proposes shop-4 and shop-5."""

    def propose(tx):
        epic = epics.add(tx, "shop", "People borrow things", "cli", state=EpicState.PROPOSED)
        for title in ("Lend a thing", "Take it back"):
            stories.add(
                tx,
                "shop",
                title=title,
                body="",
                acceptance_criteria=(f"{title} works",),
                priority=Priority.NORMAL,
                added_by="agent",
                epic_id=epic.id,
                state=StoryState.PROPOSED,
            )

    await write(propose)
    return shop


@pytest.fixture
async def sprint(shop):
    await shop("plan shop goal Sell more")
    await shop("sprint shop")
    return shop


# -- projects --------------------------------------------------------------------------------------


async def test_a_project_is_put_away_when_it_was_said_twice(shop):
    assert "in maintenance" in await shop("maintain shop")
    with pytest.raises(InvalidInput) as asked:
        await shop("archive shop")
    assert "archive shop yes" in asked.value.hint
    assert "maintenance" in await shop("projects")
    assert "archives/shop-" in await shop("archive shop yes")
    assert "shop-3" in await shop("backlog shop")
    assert "is open again with all its history, and paused" in await shop("reopen shop")
    assert "shop is active" in await shop("start shop")


# -- backlog ---------------------------------------------------------------------------------------


async def test_a_story_is_added_with_all_that_it_is_planned_by(shop):
    text = await shop(
        'add shop "Count the bills" estimate 3 needs shop-1 criteria "a; b" labels x,y priority high'
    )
    assert "✓ shop-4: Count the bills" in text
    assert "3 points · high · labels x, y" in text
    assert "• a" in text
    assert "needs shop-1" in await shop("story shop-4")
    with pytest.raises(InvalidInput, match="one title"):
        await shop('add shop "Count more" title again')


async def test_a_title_without_quotes_is_all_that_follows(shop):
    assert "✓ shop-4: Show title and estimate 3" in await shop("add shop Show title and estimate 3")


async def test_a_story_is_edited_moved_and_removed(shop):
    assert "✓ shop-2: Send a bill by post" in await shop("edit shop-2 title Send a bill by post")
    assert "5 points" in await shop('edit shop-2 estimate 5 text "On paper"')
    assert "points" not in await shop("edit shop-2 estimate none")
    assert "high" in await shop("prioritize shop-3 high")
    await shop("prioritize shop-2 top")
    await shop("prioritize shop-1 normal bottom")
    listed = await shop("backlog shop")
    assert listed.index("shop-3") < listed.index("shop-2") < listed.index("shop-1")
    assert "shop-1" in await shop("prioritize shop-1 before shop-2")
    assert "✓ shop-1 is removed." in await shop("remove shop-1 nobody wants it")
    assert "shop-1" not in await shop("backlog shop")
    for line in ("prioritize shop-2 higher", "edit shop-2 colour red"):
        with pytest.raises(InvalidInput):
            await shop(line)


async def test_an_empty_backlog_says_what_fills_it(say, checkout, tmp_path):
    await say(f"register shop {checkout(tmp_path / 'shop')}")
    assert "add shop TITLE" in await say("backlog shop")
    assert 'epic shop "WHAT YOU WANT"' in await say("proposals shop")
    assert 'epic shop "WHAT YOU WANT"' in await say("epics shop")


# -- epics and approving -----------------------------------------------------------------------------


async def test_an_epic_is_begun_and_shown(shop):
    assert "✓ shop-e1 is being designed" in await shop("epic shop People borrow things")
    assert "shop-e1 is being designed: its agent proposes stories." in await shop("epics shop-e1")
    assert "designing" in await shop("epics shop")
    assert "⚠ shop-e1 is being designed" in await shop("status shop")
    with pytest.raises(NotAllowed, match="being designed"):
        await shop("revise shop-e1 smaller")


async def test_proposals_are_shown_with_their_criteria(proposed):
    for line in ("proposals shop", "epics shop-e1", "backlog shop"):
        text = await proposed(line)
        assert "shop-4  Lend a thing" in text
        assert "• Take it back works" in text
    assert "⚠ shop-e1 proposes 2 stories: epics shop-e1" in await proposed("status shop")


@pytest.mark.parametrize(
    ("line", "said", "left"),
    [
        ("approve shop-4", "✓ 1 story is in the backlog.", ["shop-5"]),
        ("approve SHOP-4 shop-5", "✓ 2 stories are in the backlog.", []),
        ("approve shop-4,shop-5", "✓ 2 stories are in the backlog.", []),
        ("approve shop-e1", "✓ 2 stories are in the backlog.", []),
        ("approve shop", "✓ 2 stories are in the backlog.", []),
    ],
)
async def test_proposals_are_approved_by_whatever_names_them(proposed, shell, line, said, left):
    assert await shell.choices("approve shop-4 ") == ["shop-5", "shop-4"]
    text = await proposed(line)
    assert said in text
    assert "plan shop" in text
    assert await shell.choices("approve shop-4 ") == left


async def test_what_cannot_be_approved_changes_nothing(proposed):
    for line, error in (
        ("approve shop-4 shop-1", NotAllowed),
        ("approve shop-4 shop-9", NotFound),
        ("approve shop-1", NotFound),
        ("approve nobody", NotFound),
    ):
        with pytest.raises(error):
            await proposed(line)
    assert "shop-4  Lend a thing" in await proposed("proposals shop")
    await proposed("approve shop")
    with pytest.raises(NotFound, match="proposes nothing now"):
        await proposed("approve shop-e1")


# -- sprints ---------------------------------------------------------------------------------------


async def test_a_sprint_is_planned_with_a_goal_and_again(shop):
    assert "Sprint 1 of shop: 3 stories." in await shop("plan shop")
    assert "Sprint 1 of shop: 2 stories." in await shop("plan shop shop-1,shop-2 goal Sell more things")
    assert "Sprint 1: Sell more things (0 of 2 points done)" in await shop("status shop")


async def test_a_sprint_from_its_begin_to_what_people_said(sprint):
    for story in ("shop-1", "shop-2"):
        await sprint(f"skip {story}")
    assert "✓ shop-3 is aborted." in await sprint("abort shop-3 no use")
    status = await sprint("status shop")
    assert "The sprint is over and waits for you: review shop, then feedback shop TEXT" in status
    review = await sprint("review shop")
    assert "0 of 3 points done" in review
    assert 'feedback shop "..."' in review
    assert "Burndown of sprint 1 of shop" in await sprint("burndown shop 1")
    with pytest.raises(NotFound, match="no sprint 7"):
        await sprint("review shop 7")
    with pytest.raises(InvalidInput, match="should change"):
        await sprint("changes shop shop-1")
    added = await sprint('changes shop shop-1,shop-2 "Round to cents"')
    assert "2 new stories" in added
    assert "shop-4: Changes to shop-1" in added
    assert "“Round to cents” (shell)" in await sprint("review shop")
    assert "shop, sprint 1: Sell more" in await sprint("history cents")
    assert "Round to cents" in await sprint("history in shop")
    assert "No reviewed sprint with “zebra”." in await sprint("history zebra")


async def test_a_usage_limit_is_told_with_its_end(sprint, write):
    def limit(tx):
        until = datetime(2030, 1, 2, 3, 4, tzinfo=UTC)
        usage.begin(tx, "shop", agent="claude", reason="5-hour limit", until=until, resumes=False, tries=1)
        projects.move_workflow(tx, "shop", WorkflowFact.USAGE_LIMITED, actor="orchard")

    await write(limit)
    text = await sprint("status shop")
    assert "claude takes no more work, until 2030-01-02 03:04 UTC; go on with: resume shop." in text
    assert "It said: 5-hour limit" in text
    assert "✓ shop is SPRINT_ACTIVE." in await sprint("resume shop")
    assert "no more work" not in await sprint("status shop")


# -- stories at work ---------------------------------------------------------------------------------


async def test_a_story_is_stopped_and_goes_on(sprint):
    assert "✓ shop-1 is stopped." in await sprint("stop shop-1")
    assert "⚠ shop-1 is stopped (by shell): go shop-1" in await sprint("status shop")
    with pytest.raises(NotAllowed, match="stopped already"):
        await sprint("stop shop-1")
    assert "→ go shop-1" in await sprint("story shop-1")
    assert "✓ shop-1 is waiting." in await sprint("go shop-1")
    assert "✓ shop-1 is waiting." in await sprint("next shop-1")
    assert "its agent is told with its next prompt" in await sprint("steer shop-1 use cents")
    assert "use cents" in await sprint("story shop-1")
    log = await sprint("log shop-1")
    assert log.index("story stopped by shell") < log.index("story steered by shell: use cents")


async def test_stop_means_the_project_where_one_is_called_like_a_story(sprint, say, checkout, tmp_path):
    await say(f"register shop-1 {checkout(tmp_path / 'other')}")
    await say("start shop-1")
    assert "✓ shop-1 is paused" in await sprint("stop shop-1")
    assert "✓ shop-2 is stopped." in await sprint("stop shop-2")
    with pytest.raises(NotFound, match="no project named 'shp'"):
        await sprint("stop shp")


@pytest.mark.parametrize(
    "line", ["phase shop-1 design try it so", "phase design shop-1", "PHASE shop-1 Design"]
)
async def test_a_phase_is_named_before_or_behind_its_story(sprint, line):
    assert "✓ shop-1 is waiting." in await sprint(line)


async def test_a_phase_whose_gate_has_not_passed_is_refused_in_the_shells_words(sprint, shown):
    with pytest.raises(NotAllowed) as refused:
        await sprint("phase shop-1 code")
    assert "→ Possible now: phase design, next." in shown(output.failure(refused.value, in_shell=True))
    with pytest.raises(InvalidInput, match="no phase"):
        await sprint("phase shop-1 lunch")


async def test_cycles_show_phase_try_time_and_what_holds(sprint, write):
    await sprint("edit shop-2 needs shop-1")
    await write(lambda tx: cycles.patch(tx, "shop-3", state=CycleState.DESIGN, hold=Hold.TAKEN))
    text = await sprint("cycles shop")
    row = next(line for line in text.splitlines() if line.strip().startswith("shop-2"))
    assert "design" in row
    assert "waits for shop-1 (active) to be done first." in row
    assert "with a person" in text


async def test_a_blocked_story_is_shown_with_the_word_that_helps(sprint, write):
    def block(tx):
        cycles.patch(tx, "shop-1", state=CycleState.DESIGN, blocked_reason="design was tried 4 times.")
        projects.move_workflow(tx, "shop", WorkflowFact.SPRINT_STUCK, actor="orchard")

    await write(block)
    assert "⚠ shop-1 is blocked: fix shop-1 TEXT" in await sprint("status shop")
    assert 'fix shop-1 "..."' in await sprint("story shop-1")
    assert "✓ shop-1 is waiting." in await sprint("fix shop-1 begin with a test")


@pytest.mark.parametrize("line", ["takeover shop-1", "tests shop", "tests shop-1"])
async def test_what_only_a_running_orchard_can_do_says_so(sprint, line):
    with pytest.raises(Unavailable) as refused:
        await sprint(line)
    assert "orchard run" in refused.value.hint


async def test_the_digest_begins_where_the_last_one_ended(sprint):
    first = await sprint("digest")
    assert "story added" in first
    assert "Nothing happened." in await sprint("digest")
    assert "sprint started" in await sprint("digest shop 3")
    with pytest.raises(InvalidInput, match="no number of hours"):
        await sprint("digest shop soon")


async def test_import_shows_first_and_takes_over_then(shop, tmp_path):
    folder = tmp_path / "shop" / ".orch-state"
    folder.mkdir(exist_ok=True)
    (folder / "backlog.json").write_text('{"stories": [{"id": "S-1", "title": "Old wish"}]}')
    look = await shop("import shop look")
    assert "✓ 1 story would come into the backlog of shop." in look
    assert "→ Take it over: import shop" in look
    assert "→ Choose a sprint: plan shop" in await shop("import shop")
    assert "Old wish" in await shop("backlog shop")
    with pytest.raises(NotFound, match="no other tool's state"):
        await shop("import shop")
    with pytest.raises(InvalidInput):
        await shop("import shop now")


async def test_shares_can_be_looked_at_while_nothing_runs(shop, say):
    text = await say("resources")
    assert "⏳ Orchard is not running: nothing starts." in text
    [row] = [line for line in text.splitlines() if line.split()[:1] == ["shop"]]
    assert row.split()[1] == "0/∞/3"
    assert "Quota: 0 of ∞ agents" in await say("status shop")
    why = await say("why shop-1")
    assert "It is in the backlog, in no sprint." in why
    assert "→ Next: Choose it for a sprint: plan shop." in why


@pytest.mark.parametrize("line", ["optimize", "optimize look", "optimize --dry-run dynamic", "reload"])
async def test_what_only_a_running_orchard_does_says_so(say, line):
    with pytest.raises(Unavailable, match="by a running Orchard only") as refused:
        await say(line)
    assert "orchard run" in refused.value.hint


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("optimize dynamic", "The strategy is fair_share, not dynamic."),
        ("optimize look dynamik", "did you mean 'dynamic'"),
        ("optimize dynamic fair_share", "'fair_share' is too much."),
    ],
)
async def test_a_strategy_that_cannot_be_tried_is_refused(say, line, said):
    with pytest.raises(InvalidInput, match=said):
        await say(line)


async def test_help_is_grouped_and_each_command_has_its_own(say):
    text = await say("help")
    titles = [line for line in text.splitlines() if line.endswith(":") and not line.startswith(" ")]
    assert titles[1:] == [
        "Orchard and its projects:",
        "What is wrong:",
        "What projects share:",
        "What agents may use:",
        "Coding agents:",
        "Backlog:",
        "Epics:",
        "Sprints:",
        "Stories at work:",
        "What agents were told and said:",
        "GitHub:",
        "What waits for you:",
    ]
    assert (await say("help plan steer")).splitlines()[0] == "plan <project> [stories...]"
    with pytest.raises(InvalidInput, match="'plam'"):
        await say("help plam")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("edit shop-1 ", ["title", "text", "criteria", "estimate", "labels", "needs", "links"]),
        ("phase shop-1 ", ["design", "test", "code", "refactor", "commit"]),
        ("prioritize shop-1 before ", ["shop-3", "shop-2", "shop-1"]),
        ("stop ", ["shop", "shop-3", "shop-2", "shop-1"]),
        ("import shop ", ["look"]),
        ("optimize ", ["look", "fair_share", "priority_based", "dynamic"]),
        ("optimize look ", ["fair_share", "priority_based", "dynamic"]),
        ("why ", ["shop-3", "shop-2", "shop-1"]),
        ("steer shop-1 ", []),
        ("go ", ["shop-3", "shop-2", "shop-1"]),
        ("feedback shop ", []),
    ],
)
async def test_completion_knows_what_may_follow(shop, shell, line, expected):
    assert await shell.choices(line) == expected

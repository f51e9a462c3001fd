"""Stories beside each other: in one file, in conflict, in need of each other; and who is called for them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.integration.discord.house import HANG, MANY, House, PostedMessage, git, honest, plain

pytestmark = [pytest.mark.bwrap, pytest.mark.timeout(300), pytest.mark.asyncio(loop_scope="module")]

APART = "-\n" * 8
LIST = {"list.txt": f"top\n{APART}bottom\n"}


def edits(name: str, place: str, **phases: list[Any]) -> dict[str, Any]:
    """A story that puts its name below a line of list.txt."""
    return {
        "test_red": [{"write": {"path": f"tests/{name}.sh", "text": f"grep -q {name} list.txt\n"}}],
        "code_green": [{"replace": {"path": "list.txt", "old": f"{place}\n", "new": f"{place}\n{name}\n"}}],
        "refactor": [{"say": "Fine."}],
        **phases,
    }


async def test_who_changes_the_same_file_is_told_and_rebased_early(house: House) -> None:
    house.project("twin", LIST, ai_settings={"require_human_review": True}, **MANY)
    house.play({"First": edits("first", "top"), "Later": edits("later", "bottom", refactor=HANG)})
    alice = await house.moves_in("alice", "twin")
    first, later = await alice.begins("First", "Later")
    question = await alice.sees(first, button="Approve")
    await house.agent_did(later, "Hang")
    told = await alice.reads(later, "⚠️", f"`{first}` changes the same files", "`list.txt`")
    assert "takes the other's work in" in told.text
    assert not await alice.posts("changes the same files", where=await alice.thread(first))
    overview = await alice.types("tdd overview")
    assert "`list.txt`" in overview.text
    await alice.changes(question, "Approve", "**Approved** by")
    await alice.sees(f"`{first}`", "is done:")
    await alice.types("story stop", story=later)
    house.play({"Later": edits("later", "bottom")})
    await alice.types("tdd start", story=later)
    moved = await alice.reads(later, "🔀", f"after `{first}` was merged")
    assert git(house.projects["twin"], "rev-parse", "--short=10", "main~0") in moved.text
    second = await alice.sees(later, button="Approve")
    await alice.changes(second, "Approve", "**Approved** by")
    await alice.sees(f"`{later}`", "is done:")
    text = git(house.projects["twin"], "show", "main:list.txt")
    assert text.startswith("top\nfirst")
    assert text.endswith("bottom\nlater")


async def test_a_conflict_goes_to_the_agent_with_both_sides_and_then_to_people(house: House) -> None:
    settings = {"require_human_review": True, "max_conflicts": 2}
    house.project("clash", LIST, ai_settings=settings, **MANY)
    both = [
        {
            "when": 'feedback contains "second"',
            "then": [{"say": "I see both sides."}, *edits("third", "top")["test_red"]],
            "else": edits("third", "top")["test_red"],
        }
    ]
    house.play(
        {
            "Second": edits("second", "top"),
            "Third": edits("third", "top", test_red=both),
            "Fourth": edits("fourth", "top"),
        }
    )
    alice = await house.moves_in("alice", "clash")
    second, third, fourth = await alice.begins("Second", "Third", "Fourth")
    asked = {story: await alice.sees(story, button="Approve") for story in (second, third, fourth)}
    await alice.presses(asked[second], "Approve")
    await alice.sees(f"`{second}`", "is done:")
    await alice.presses(asked[third], "Approve")
    back = await alice.reads(third, "Back from `commit` to `test_red`", "list.txt")
    assert back
    again = await alice.sees(third, button="Approve", besides=[asked[third]])
    transcript = "".join(
        path.read_text() for path in (house.state / "transcripts" / "clash" / third).glob("test_red*")
    )
    assert "I see both sides." in transcript
    await alice.presses(asked[fourth], "Approve")
    await alice.reads(fourth, "Back from `commit` to `test_red`")
    later = await alice.sees(fourth, button="Approve", besides=[asked[fourth]])
    await alice.presses(later, "Approve")
    await alice.sees(f"`{fourth}`", "is done:")
    await alice.presses(again, "Approve")
    blocked = await alice.sees(f"{third} is blocked", button="Take over")
    assert "conflicted with the main branch" in plain(blocked.text)
    assert "list.txt" in plain(blocked.text)
    assert "fourth" in blocked.text
    taken = await alice.presses(blocked, "Take over")
    assert str(house.worktree(third)) in plain(taken.text)


async def test_a_story_waits_for_one_of_another_project(house: House) -> None:
    house.project("lib", ai_settings={"require_human_review": True})
    house.project("app")
    house.play({"Offer": honest("offer"), "Use": honest("use")})
    alice, bob = await house.moves_in("alice", "lib"), await house.moves_in("bob", "app")
    (offer,) = await alice.begins("Offer")
    question = await alice.sees(offer, button="Approve")
    assert [
        one.value
        for one in await bob.person.autocomplete("backlog add_story", "needs", "offer", channel=bob.place)
    ] == [offer]
    use = await bob.adds("Use", needs=offer)
    await bob.types("sprint plan")
    started = await bob.types("sprint start")
    assert f"waits for {offer}" in plain(started.text)
    live = await bob.sees("▱ 0 of 1 done", f"waits for {offer}")
    held = await bob.types("story show", story=use)
    assert offer in held.text
    step = await bob.types("tdd next", story=use)
    assert f"waits for {offer}" in plain(step.text)
    await bob.types("tdd start", story=use)
    await alice.presses(question, "Approve")
    await bob.sees(f"`{use}`", "is done:")
    await bob.again(live, "1 of 1 done")


def called(message: PostedMessage) -> set[str]:
    """Whom a post calls, by id."""
    return {str(who["id"]) for who in message.raw["mentions"]}


async def test_subscribers_are_called_for_what_they_asked_for(house: House) -> None:
    house.project("bell", ai_settings={"require_human_review": True, "max_auto_retry": 0}, **MANY)
    house.play(
        {
            "Ring": honest("ring"),
            "Crack": honest("crack", code_green=[{"write": {"path": "x.md", "text": "-"}}]),
        }
    )
    alice = await house.moves_in("alice", "bell")
    bob, carol = house.user("bob", "bell"), house.user("carol", "bell")
    await alice.types("subscribe")
    await bob.types("subscribe", kind="blocked")
    now = datetime.now(UTC)
    start, end = now - timedelta(hours=1), now + timedelta(hours=1)
    await carol.types("subscribe")
    quiet = await carol.types("quiet_hours", start=f"{start:%H:%M}", end=f"{end:%H:%M}", timezone="UTC")
    assert "🌙" in quiet.text
    ring, crack = await alice.begins("Ring", "Crack")
    question = await alice.sees(ring, button="Approve")
    blocked = await alice.sees(f"{crack} is blocked", button="Skip")
    me, him, her = [str(await one.person.user_id()) for one in (alice, bob, carol)]
    assert (called(question), called(blocked)) == ({me}, {me, him})
    await carol.types("quiet_hours", start="off")  # what she missed is told within moments
    await alice.changes(question, "Approve", "**Approved** by")
    done = await alice.sees(f"`{ring}`", "is done:")
    await alice.changes(blocked, "Skip", "Skipped by")
    finished = await alice.sees("🏁 Sprint 1 is finished")
    assert (called(done), called(finished)) == ({me, her}, {me, her})
    missed = await carol.sees("While you were away")
    assert called(missed) == {her}
    assert "1 blocked" in missed.text
    silent = [post for post in await alice.posts() if post.id not in {done.id, finished.id, missed.id}]
    assert all(not called(post) for post in silent)  # also what is answered by now
    threads = [await alice.posts(where=await alice.thread(story)) for story in (ring, crack)]
    assert all(not called(post) for posts in threads for post in posts)
    digest = await bob.types("digest", project="bell")
    assert digest.ephemeral
    assert "Ring" in digest.text


async def test_shares_are_seen_explained_and_shared_anew(house: House) -> None:
    house.project("queue", resource_limits={"max_parallel_agents": 1, "max_parallel_cycles": 1})
    house.play({"Ahead": honest("ahead", code_green=HANG), "Behind": honest("behind")})
    alice = await house.moves_in("alice", "queue")
    ahead, behind = await alice.begins("Ahead", "Behind")
    await house.agent_did(ahead, "Hang")

    table = await alice.types("resource_status")
    assert "queue 1/1 agent · 1 waits" in plain(table.text).replace("**", "")
    await alice.sees_picture(table)
    own = plain((await alice.types("resource_status", project="queue")).text)
    assert "1 agent at work, 1 story waits" in own
    assert "Allocated: 1 agent" in own

    said = plain((await alice.types("why", story=behind)).text)
    assert f"`{behind}` **waits: queue works on 1 story at a time" in said
    asked = await alice.presses(await alice.types("story show", story=behind), "Why?")
    assert f"`{behind}` **waits" in plain(asked.text)
    live = await alice.sees("Sprint 1", "🤖 1/1 agent")
    assert ahead in live.text

    looked = await alice.types("resource_optimize", dry_run=True)
    assert "nothing was changed" in looked.text
    await alice.changes(looked, "Do it", "Resource Optimization Results", "Changes:")
    other = await alice.types("resource_optimize", strategy="dynamic", dry_run=True)
    assert "Strategy: `dynamic`" in other.text
    assert other.labels == []
    await alice.types("story stop", story=ahead)
    await alice.sees(f"`{behind}`", "is done:")

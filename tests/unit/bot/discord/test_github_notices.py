"""What is told of GitHub: checks in one post that is edited, words from outside quoted, links that lead."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest

from bot.discord.composing import Composer
from bot.discord.github_notices import GITHUB
from bot.discord.notice import Place
from bot.discord.notices import notice
from core.bus import Bus
from core.clock import SystemClock
from core.domain.event import Event, EventKind
from core.domain.lifecycles import ProjectStatus, WorkflowState
from core.domain.ping import Ping
from core.domain.project import Project
from core.domain.story import Priority
from core.store import events, github_issues, posts, projects, stories
from core.store.database import Store

AT = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
URL = "https://github.com/octo/shop/pull/7"


def event(kind, story="shop-1", seq=1, **data):
    return Event(
        kind=kind, at=AT + timedelta(seconds=seq), project="shop", story_id=story, seq=seq, data=data
    )


def said(kind, **data):
    return notice(event(kind, **data), "Pay").message.cards[0].body


def check(name, conclusion, url=""):
    return {"name": name, "conclusion": conclusion, "url": url}


def test_checks_say_which_ended_and_the_failed_stand_first():
    checks = [
        check("lint", "passed"),
        check("test", "failed", "https://ci.example/1"),
        check("docs", "running"),
    ]
    text = said(
        EventKind.CHECKS_CHANGED, number=7, url=URL, commit="abcdef1234567", state="failed", checks=checks
    )
    assert text.splitlines()[0] == f"🔴 Checks of pull request [#7]({URL}) failed · `abcdef1234`"
    assert text.splitlines()[1] == "❌ [test](https://ci.example/1)"
    running = said(EventKind.CHECKS_CHANGED, number=7, url=URL, commit="ab", state="running", checks=checks)
    assert "2 of 3 checks ended" in running


EVIL = "@everyone <@&1> <!-- x --> [free](https://evil.example) \u202egpj.exe\u200b \x1b]0;x\x07 discord.gg/x"


@pytest.mark.parametrize("kind", sorted(GITHUB))
@pytest.mark.parametrize("what", ["held", "edited", EVIL], ids=["held", "edited", "evil"])
def test_nothing_from_outside_calls_hides_or_leads_elsewhere(kind, what):
    words = dict.fromkeys(
        ("by", "text", "why", "branch", "commit", "verdict", "state", "repository", "version"), EVIL
    )
    checks = [check(EVIL, "failed", f"https://ci.example/){EVIL}")]
    text = said(kind, **words, what=what, number=EVIL, url=f"https://evil.example/){EVIL}", checks=checks)
    assert not re.search("@(?=everyone)|<@(?=[!&]?\\d)|[\u202e\x1b\x07]", text)
    assert "\u200b" not in text.replace("@\u200b", "")
    outside = re.sub("`[^`]*`", "", text)  # code invites nobody, and leads nowhere
    assert "discord.gg" not in outside
    assert not re.search(r"(?<!\\)\]\(https://evil", outside)


def test_an_edit_that_waits_says_how_it_is_taken():
    text = said(EventKind.ISSUE_FOLLOWED, what="held", number=3, url=URL, by="github:mallory", version="0a1b")
    assert "`orchard: accept 0a1b`" in text
    assert "mallory" in text


def test_what_github_does_not_merge_is_said_with_its_words():
    text = said(EventKind.PULL_REFUSED, number=7, url=URL, why="Required check @here is expected.")
    assert "does not merge pull request" in text
    assert "is expected." in text
    assert "@here" not in text


def test_words_and_addresses_from_outside_stay_what_they_are():
    text = said(
        EventKind.PULL_REVIEWED,
        number=7,
        url="javascript:alert(1)",
        by="@everyone",
        verdict="changes requested",
        text="**no**\n@here [x](http://evil)",
    )
    assert "javascript" not in text
    assert "@everyone" not in text
    assert "@here" not in text
    assert text.count("\n> ") == 2
    bad = check("x](http://evil) [y", "passed", "https://ci.example/) [z](http://evil")
    text = said(EventKind.CHECKS_CHANGED, number=7, state="passed", checks=[bad])
    assert text.splitlines()[1] == r"✅ x\](http://evil) \[y"  # no link, nor the address that is none


def test_an_old_or_broken_row_is_told_all_the_same():
    for kind in EventKind:
        if kind.value.startswith(("github", "pull", "checks", "issue")):
            assert said(kind)
            assert said(kind, number="x", checks=[{"conclusion": 3}, 4], state="new", added="many", what=7)


def test_people_are_called_for_what_does_not_mend_itself():
    gone = notice(event(EventKind.GITHUB_TROUBLED, state="gone", text="It is gone."))
    away = notice(event(EventKind.GITHUB_TROUBLED, state="unreachable", text="No answer."))
    assert (gone.ping, away.ping) == (Ping.BLOCKED, None)


# -- with the store ----------------------------------------------------------------------------------------


@pytest.fixture
async def store(tmp_path):
    async with Store.open(tmp_path / "orchard.db", clock=SystemClock(), bus=Bus()) as opened:

        def make(tx):
            shop = Project(
                name="shop",
                path=tmp_path,
                main_branch="main",
                status=ProjectStatus.ACTIVE,
                workflow=WorkflowState.IDLE,
                registered_at=AT,
            )
            projects.add(tx, shop)
            stories.add(
                tx,
                "shop",
                title="Pay",
                body="",
                acceptance_criteria=(),
                priority=Priority.NORMAL,
                added_by="cli",
            )
            url = "https://github.com/octo/shop/issues/3"
            github_issues.link(tx, "shop-1", project="shop", number=3, issue_id=33, url=url)

        await opened.write(make)
        yield opened


@pytest.fixture
def composer(store):
    async def review(project, number):
        raise AssertionError

    return Composer(store, review)


async def test_what_a_pull_requests_checks_come_to_is_one_post(store, composer):
    def tell(tx):
        states = ((7, "a", "running"), (7, "a", "failed"), (7, "b", "passed"), (8, "c", "running"))
        for pull, commit, state in states:
            data = {"number": pull, "url": URL, "commit": commit, "state": state}
            data |= {"checks": [check("ci", state)]}
            tx.emit(EventKind.CHECKS_CHANGED, project="shop", story_id="shop-1", data=data)

    await store.write(tell)
    kinds = (EventKind.CHECKS_CHANGED,)
    first, between, last, other = await store.read(lambda conn: events.latest(conn, kinds=kinds))
    made, amended = await composer.compose(first), await composer.compose(last)
    assert await composer.compose(between) is None
    assert made.known_as == amended.known_as == ("checks", str(first.seq))
    assert (made.amends, amended.amends) == (False, True)
    body = made.notice.message.cards[0].body
    assert "have passed" in body  # what is known by now, at once
    assert "`b`" in body
    assert made.notice.message == amended.notice.message
    assert (await composer.compose(other)).known_as == ("checks", str(other.seq))


async def test_a_story_without_a_thread_gets_none_for_its_issue(store, composer):
    told = event(
        EventKind.ISSUE_FOLLOWED, what="edited", number=3, url="https://github.com/octo/shop/issues/3"
    )
    assert (await composer.compose(told)).notice.place is Place.CHANNEL
    await store.write(lambda tx: posts.remember(tx, "thread", "shop-1", thread_id=5))
    assert (await composer.compose(told)).notice.place is Place.THREAD


async def test_of_many_issues_that_change_at_once_only_threads_are_told_one_by_one(store, composer):
    told = event(EventKind.ISSUE_FOLLOWED, what="closed", number=3, together=True)
    assert await composer.compose(told) is None
    await store.write(lambda tx: posts.remember(tx, "thread", "shop-1", thread_id=5))
    assert (await composer.compose(told)).notice.place is Place.THREAD


async def test_a_merged_storys_post_says_where_it_is(store, composer):
    composed = await composer.compose(event(EventKind.STORY_MERGED, commit="abc", branch="main"))
    last = composed.notice.message.cards[0].body.splitlines()[-1]
    assert last == "Issue [#3](https://github.com/octo/shop/issues/3)"

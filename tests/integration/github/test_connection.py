"""What a session does when GitHub is slow, broken, or has had enough; against the GitHub-like server."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from core.domain.github import LinkState
from core.github.api.answer import NoAnswer
from core.github.api.connection import AT_ONCE, Connection
from core.github.api.facts import Page
from core.github.api.repo import Repo
from core.github.api.trouble import (
    GithubError,
    GithubLimited,
    GithubRefused,
    GithubUnauthorized,
    GithubUnreachable,
)
from core.github.api.wire import Wire
from tests.github_server.faults import ALWAYS, Fault, primary_limit, secondary_limit
from tests.github_server.server import GithubServer

if TYPE_CHECKING:
    from tests.integration.github.conftest import MovingTime

Connect = Callable[..., Connection]


async def test_reading_is_tried_again(repo: Repo, github_server: GithubServer, moving: MovingTime) -> None:
    for fault in (Fault(status=502, html=True), Fault(cut_before=True), Fault(cut_after=True)):
        github_server.fail(fault)
    assert (await repo.about()).full_name == "acme/shop"
    assert len(github_server.requests) == 4
    assert len(moving.slept) == 3
    assert all(0.25 <= seconds <= 2 for seconds in moving.slept)


async def test_a_server_that_only_fails_is_told_of(repo: Repo, github_server: GithubServer) -> None:
    github_server.fail(Fault(status=503, times=ALWAYS))
    with pytest.raises(GithubUnreachable) as caught:
        await repo.about()
    assert (caught.value.status, caught.value.unknown) == (503, False)
    assert caught.value.state is LinkState.UNREACHABLE
    assert len(github_server.requests) == 4


@pytest.mark.parametrize("fault", [{"cut_after": True}, {"status": 502}, {"cut_before": True}])
async def test_what_makes_something_is_not_sent_twice(
    repo: Repo, github_server: GithubServer, fault: dict[str, bool]
) -> None:
    await repo.about()
    github_server.fail(Fault(method="POST", **fault))
    with pytest.raises(GithubUnreachable) as caught:
        await repo.create_issue("A basket", "")
    assert caught.value.unknown
    assert len(github_server.asked("POST")) == 1


async def test_an_edit_whose_answer_was_lost_is_made_again(repo: Repo, github_server: GithubServer) -> None:
    here = github_server.repo("acme/shop")
    here.add_issue("A basket")
    github_server.fail(Fault(method="PATCH", cut_after=True))
    assert (await repo.edit_issue(1, title="Two baskets")).title == "Two baskets"
    assert len(github_server.asked("PATCH")) == 2


async def test_nobody_there_is_told_at_once_what_was_tried(
    connect: Connect, github_server: GithubServer
) -> None:
    connection = connect()
    host = github_server.url
    await github_server.__aexit__(None, None, None)
    with pytest.raises(GithubUnreachable, match="cannot be connected to") as caught:
        await connection.change("POST", "/repos/acme/shop/issues", {"title": "x"}, what="try", again=False)
    assert not caught.value.unknown, "it was never sent"
    assert connection.rate().requests == 4, host


async def test_a_server_that_does_not_answer_is_left_in_time(
    connect: Connect, github_server: GithubServer
) -> None:
    github_server.fail(Fault(hang=True, times=ALWAYS))
    with pytest.raises(GithubUnreachable, match=r"within 0\.2 seconds"):
        await connect(seconds=0.2).read("/user", what="say who it is")


async def test_a_revoked_token_is_refused_by_name_not_by_value(
    connect: Connect, github_server: GithubServer
) -> None:
    connection = connect()
    github_server.revoke("good-token")
    connection.credential.name = "GITHUB_TOKEN"
    with pytest.raises(GithubUnauthorized) as caught:
        await connection.read("/user", what="say who it is")
    assert caught.value.state is LinkState.UNAUTHORIZED
    assert "GITHUB_TOKEN" in str(caught.value)
    assert "good-token" not in str(caught.value)


@pytest.mark.parametrize(("after", "waited"), [(7, 7), (None, 60)])
async def test_a_secondary_limit_is_waited_for_also_by_what_makes_something(
    repo: Repo, github_server: GithubServer, moving: MovingTime, after: float | None, waited: int
) -> None:
    await repo.about()
    github_server.fail(secondary_limit(after))
    assert (await repo.create_issue("A basket", "")).number == 1
    assert [round(seconds) for seconds in moving.slept] == [waited]
    assert len(github_server.asked("POST")) == 2


async def test_a_limit_that_goes_on_is_told_with_its_end(
    repo: Repo, github_server: GithubServer, moving: MovingTime
) -> None:
    github_server.fail(secondary_limit(None, status=429, times=ALWAYS))
    with pytest.raises(GithubLimited) as caught:
        await repo.about()
    assert caught.value.retry_at is not None
    assert caught.value.retry_at > moving.now()
    assert len(github_server.requests) <= 4


async def test_an_hour_that_is_used_up_stops_one_credential_and_no_other(
    connect: Connect, github_server: GithubServer, moving: MovingTime
) -> None:
    github_server.repo("acme/shop").grant("ann", "write")
    github_server.add_token("other-token", "ann")
    mine, other = connect(), connect("other-token")
    github_server.exhaust("orch-bot", seconds=1800)
    for _ in range(2):
        with pytest.raises(GithubLimited) as caught:
            await mine.read("/user", what="say who it is")
    assert caught.value.retry_at is not None
    assert timedelta(minutes=29) < caught.value.retry_at - moving.now() < timedelta(minutes=31)
    assert len(github_server.requests) == 1, "it does not ask again before"
    assert (await other.read("/user", what="say who it is")).status == 200
    await moving.sleep(1802)
    assert (await mine.read("/user", what="say who it is")).status == 200


async def test_a_short_wait_for_the_hours_end_is_waited(
    repo: Repo, github_server: GithubServer, moving: MovingTime
) -> None:
    began = moving.now()
    github_server.fail(primary_limit(int((began + timedelta(seconds=30)).timestamp())))
    assert (await repo.about()).full_name == "acme/shop"
    assert moving.now() - began > timedelta(seconds=28)  # what a slow machine took need not be slept
    assert sum(moving.slept) <= 32


async def test_the_last_request_of_the_hour_is_not_overstepped(
    connect: Connect, github_server: GithubServer
) -> None:
    connection = connect()
    github_server.world.rate("orch-bot").used = 4998
    for _ in range(2):
        await connection.read("/user", what="say who it is")
    assert connection.rate().remaining == 0
    with pytest.raises(GithubLimited):
        await connection.read("/user", what="say who it is")
    assert len(github_server.requests) == 2


async def test_changes_are_made_one_by_one_and_not_too_fast(
    repo: Repo, github_server: GithubServer, moving: MovingTime
) -> None:
    github_server.repo("acme/shop").add_issue("A basket")
    began = moving.now()
    await asyncio.gather(*(repo.create_comment(1, f"Comment {number}") for number in range(25)))
    assert len(github_server.repo("acme/shop").issues[1].comments) == 25
    assert moving.now() - began > timedelta(seconds=4)
    assert sum(moving.slept) <= 6


async def test_few_requests_are_under_way_at_once_and_the_loop_goes_on(
    connect: Connect, github_server: GithubServer
) -> None:
    github_server.fail(Fault(delay_seconds=0.1, times=ALWAYS))
    connection, most = connect(), 0

    async def count() -> None:
        nonlocal most
        while True:
            most = max(most, sum(not asked.status for asked in github_server.requests))
            await asyncio.sleep(0.005)

    counting = asyncio.create_task(count())
    await asyncio.gather(*(connection.read("/user", what="say who it is") for _ in range(12)))
    counting.cancel()
    assert 1 < most <= AT_ONCE


async def test_who_does_not_wait_any_more_leaves_the_session_whole(
    connect: Connect, github_server: GithubServer
) -> None:
    """The places come free when the threads have given up."""
    connection = connect(seconds=6.0)  # all of them come before the first is given up
    github_server.fail(Fault(hang=True, times=AT_ONCE))
    gone = [asyncio.create_task(connection.read("/user", what="x")) for _ in range(AT_ONCE)]
    async with asyncio.timeout(50):
        # A request that hangs tells nobody.
        while len(github_server.requests) < AT_ONCE:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    for task in gone:
        task.cancel()
    await asyncio.gather(*gone, return_exceptions=True)
    assert (await connection.read("/user", what="x")).status == 200
    assert len(github_server.requests) == AT_ONCE + 1
    assert all(task.cancelled() for task in gone)


async def test_an_endless_answer_is_not_read(
    connect: Connect, github_server: GithubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = github_server.repo("acme/shop")
    here.add_issue("A basket", "x" * 60_000)
    monkeypatch.setattr("core.github.api.wire.MOST_BYTES", 10_000)
    with pytest.raises(GithubUnreachable, match="too long"):
        await connect().read("/repos/acme/shop/issues/1", what="read it")


@pytest.mark.parametrize("head", ["content-length: 9999", "transfer-encoding: chunked"])
async def test_an_answer_that_dribbles_is_left_in_time(connect: Connect, head: str) -> None:
    """Each byte comes within the time-out of a socket."""

    async def dribble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 200 OK\r\n{head}\r\n\r\n".encode())
        with contextlib.suppress(ConnectionError):
            while not writer.is_closing():
                writer.write(b"1\r\n \r\n")
                await writer.drain()
                await asyncio.sleep(0.05)
        writer.close()
        ended.set()

    ended = asyncio.Event()
    server = await asyncio.start_server(dribble, "127.0.0.1")
    port = server.sockets[0].getsockname()[1]
    wire = Wire(f"http://127.0.0.1:{port}", seconds=1.5, agent="Orchard", connections=1)
    with pytest.raises(NoAnswer, match=r"within 1\.5 seconds") as caught:
        await asyncio.to_thread(wire.call, "GET", "/user", authorization="x")
    assert caught.value.sent
    wire.close()
    async with asyncio.timeout(50):
        await ended.wait()
    server.close()


async def test_nothing_leads_to_another_host(repo: Repo, github_server: GithubServer, tmp_path: Path) -> None:
    """Neither a redirect nor a listing's next page."""
    here = github_server.repo("acme/shop")
    for number in range(150):
        here.add_issue("A basket")
        here.comment(1, f"Comment {number}")
    async with GithubServer(folder=tmp_path) as other:
        other.add_repository("acme/shop")
        await repo.about()
        github_server.world.api = other.api_url  # as it names itself in its answers
        assert len(await repo.issue_comments(1)) == 150
        page = await repo.issues()
        assert isinstance(page, Page)
        assert page.next is not None
        await repo.issues(after=page.next)
        for status in (301, 302, 307, 308):
            place = {"location": f"{other.api_url}/repos/acme/shop"}
            github_server.fail(Fault(status=status, headers=place, times=4))
            for call in (repo.about(), repo.issue(1), repo.issues(), repo.create_issue("A basket", "")):
                with pytest.raises(GithubError):
                    await call
        assert other.requests == []
        assert len(github_server.asked("GET", ".*/1/comments")) == 2


async def test_a_listing_without_end_is_not_cut_short(
    repo: Repo, github_server: GithubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(250):
        github_server.repo("acme/shop").add_milestone(f"v{number}")
    assert len(await repo.milestones()) == 250
    monkeypatch.setattr("core.github.api.bound._MOST_PAGES", 2)
    with pytest.raises(GithubRefused, match="more than 200"):
        await repo.milestones()


async def test_a_page_that_is_no_json_is_no_empty_list(repo: Repo, github_server: GithubServer) -> None:
    await repo.about()
    github_server.fail(Fault(status=200, html=True, times=ALWAYS))
    for call in (repo.issues(), repo.milestones(), repo.checks("a" * 40), repo.pull(1), repo.about()):
        with pytest.raises(GithubError, match="none that GitHub's API gives"):
            await call


async def test_figures_tell_what_was_asked_and_what_it_cost(
    connect: Connect, github_server: GithubServer
) -> None:
    connection = connect()
    for _ in range(3):
        await connection.read_kept("/repos/acme/shop", what="read it")
    rate = connection.rate()
    assert (rate.requests, rate.counted, rate.limit, rate.remaining) == (3, 1, 5000, 4999)
    assert (rate.credential, rate.waits_until) == ("good-token", None)

"""The GitHub-like server as PyGithub sees it: issues, comments, labels, milestones."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import github as pygithub
import pytest
import pytest_asyncio
from github import Auth, Github
from github.Repository import Repository

from tests.github_server.server import GithubServer


@pytest_asyncio.fixture
async def client(github_server: GithubServer) -> AsyncIterator[Github]:
    client = Github(auth=Auth.Token("good-token"), base_url=github_server.api_url, retry=None, per_page=100)
    client.requester._Requester__seconds_between_writes = 0
    client.requester._Requester__seconds_between_requests = 0
    yield client
    client.close()


@pytest_asyncio.fixture
async def shop(client: Github) -> Repository:
    return await asyncio.to_thread(client.get_repo, "acme/shop")


async def off(call: Callable[..., Any], *words: Any, **named: Any) -> Any:
    """In a thread, as the server answers in this one."""
    return await asyncio.to_thread(call, *words, **named)


async def test_issue_goes_there_and_back(github_server: GithubServer, shop: Repository) -> None:
    made = await off(shop.create_issue, "A basket", body="- [ ] holds apples", labels=["orchard"])
    here = github_server.repo("acme/shop").issue(made.number)
    assert (here.title, here.author.login, [label.name for label in here.labels]) == (
        "A basket",
        "orch-bot",
        ["orchard"],
    )
    await off(made.edit, title="A bigger basket", state="closed", state_reason="not_planned")
    assert (here.title, here.state, here.state_reason) == ("A bigger basket", "closed", "not_planned")
    again = await off(shop.get_issue, made.number)
    assert (again.closed_by.login, again.body) == ("orch-bot", "- [ ] holds apples")


async def test_pages_are_followed_to_the_end(github_server: GithubServer, shop: Repository) -> None:
    for number in range(250):
        github_server.repo("acme/shop").add_issue(f"Issue {number}")
    before = len(github_server.requests)
    found = await off(lambda: list(shop.get_issues(state="all", sort="updated", direction="asc")))
    assert [issue.number for issue in found] == list(range(1, 251))
    assert len(github_server.requests) - before == 3


async def test_deleted_issue_is_gone_and_transferred_one_has_moved(
    github_server: GithubServer, shop: Repository
) -> None:
    here, other = github_server.repo("acme/shop"), github_server.add_repository("acme/else")
    here.add_issue("Deleted"), here.add_issue("Transferred", labels=["orchard"])
    here.delete_issue(1)
    here.transfer_issue(2, other)
    with pytest.raises(pygithub.GithubException) as caught:
        await off(shop.get_issue, 1)
    assert caught.value.status == 410
    moved = await off(shop.get_issue, 2)
    assert (moved.title, moved.number, moved.html_url) == (
        "Transferred",
        1,
        f"{github_server.url}/acme/else/issues/1",
    )

"""Issues, comments, labels and milestones, as PyGithub sees them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from github import Github, GithubException
from github.Repository import Repository

from tests.github_server.server import GithubServer


async def test_issue_goes_there_and_back(github_server: GithubServer, shop: Repository, off: Any) -> None:
    made = await off(shop.create_issue, "A basket", body="- [ ] holds apples", labels=["orchard"])
    here = github_server.repo("acme/shop").issue(made.number)
    names = [label.name for label in here.labels]
    assert (here.title, here.author.login, names) == ("A basket", "orch-bot", ["orchard"])
    await off(made.edit, title="A bigger basket", state="closed", state_reason="not_planned")
    assert (here.title, here.state, here.state_reason) == ("A bigger basket", "closed", "not_planned")
    again = await off(shop.get_issue, made.number)
    assert (again.closed_by.login, again.body) == ("orch-bot", "- [ ] holds apples")


async def test_pages_are_followed_to_the_end(github_server: GithubServer, shop: Repository, off: Any) -> None:
    for number in range(250):
        github_server.repo("acme/shop").add_issue(f"Issue {number}")
    before = len(github_server.requests)
    found = await off(lambda: list(shop.get_issues(state="all", sort="updated", direction="asc")))
    assert [issue.number for issue in found] == list(range(1, 251))
    assert len(github_server.requests) - before == 3


async def test_only_what_changed_since(github_server: GithubServer, shop: Repository, off: Any) -> None:
    here = github_server.repo("acme/shop")
    here.add_issue("Old"), here.add_issue("Commented on")
    github_server.world.advance(100)
    moment = github_server.world.now() - timedelta(seconds=10)
    here.comment(2, "Is it?", "mia")
    found = await off(lambda: list(shop.get_issues(state="all", since=moment)))
    assert [issue.number for issue in found] == [2]
    comments = await off(lambda: list(shop.get_issues_comments(since=moment)))
    assert [(each.body, each.user.login) for each in comments] == [("Is it?", "mia")]


async def test_deleted_issue_is_gone_and_transferred_one_has_moved(
    github_server: GithubServer, shop: Repository, off: Any
) -> None:
    here, other = github_server.repo("acme/shop"), github_server.add_repository("acme/else")
    here.add_issue("Deleted"), here.add_issue("Transferred", labels=["orchard"])
    here.delete_issue(1)
    here.transfer_issue(2, other)
    with pytest.raises(GithubException) as caught:
        await off(shop.get_issue, 1)
    assert caught.value.status == 410
    moved = await off(shop.get_issue, 2)
    where = f"{github_server.url}/acme/else/issues/1"
    assert (moved.title, moved.number, moved.html_url) == ("Transferred", 1, where)


async def test_comments_and_reactions(github_server: GithubServer, shop: Repository, off: Any) -> None:
    issue = github_server.repo("acme/shop").add_issue("A basket")
    seen = await off(shop.get_issue, issue.number)
    comment = await off(seen.create_comment, "At work")
    await off(comment.edit, "Done")
    await off(comment.create_reaction, "eyes")
    await off(comment.create_reaction, "eyes")  # the same one
    assert [(each.body, len(each.reactions)) for each in issue.comments] == [("Done", 1)]
    await off(comment.delete)
    assert issue.comments == []


async def test_labels(github_server: GithubServer, shop: Repository, off: Any) -> None:
    issue = github_server.repo("acme/shop").add_issue("A basket", labels=["orchard"])
    seen = await off(shop.get_issue, issue.number)
    await off(shop.create_label, "orchard: review", "0e8a16", "Waits for people")
    await off(seen.add_to_labels, "orchard: review")
    await off(seen.remove_from_labels, "orchard")
    assert [label.name for label in issue.labels] == ["orchard: review"]
    with pytest.raises(GithubException) as caught:
        await off(shop.create_label, "ORCHARD", "0e8a16")
    assert caught.value.data["errors"][0]["code"] == "already_exists"
    await off(seen.set_labels, "one", "two")
    assert [label.name for label in issue.labels] == ["one", "two"]


async def test_milestones(github_server: GithubServer, shop: Repository, off: Any) -> None:
    here = github_server.repo("acme/shop")
    here.add_issue("A basket")
    made = await off(shop.create_milestone, "Sprint 1", description="Baskets")
    seen = await off(shop.get_issue, 1)
    await off(seen.edit, milestone=made)
    assert (await off(shop.get_milestone, made.number)).open_issues == 1
    await off(made.edit, "Sprint 1", state="closed")
    assert [each.title for each in await off(lambda: list(shop.get_milestones(state="closed")))] == [
        "Sprint 1"
    ]
    with pytest.raises(GithubException) as caught:
        await off(shop.create_milestone, "Sprint 1")
    assert caught.value.status == 422


async def test_bad_input_is_refused_as_github_refuses_it(shop: Repository, off: Any) -> None:
    with pytest.raises(GithubException) as untitled:
        await off(shop.create_issue, " ")
    assert untitled.value.data["message"] == "Validation Failed"
    issue = await off(shop.create_issue, "A basket")
    with pytest.raises(GithubException) as too_long:
        await off(issue.create_comment, "x" * 65537)
    assert too_long.value.data["errors"][0]["code"] == "too_long"


async def test_permission_of_people(
    github_server: GithubServer, client: Github, shop: Repository, off: Any
) -> None:
    here = github_server.repo("acme/shop")
    here.grant("mia", "maintain")
    github_server.world.account("stranger")
    assert await off(shop.get_collaborator_permission, "mia") == "write"
    assert await off(shop.get_collaborator_role_name, "mia") == "maintain"
    assert await off(shop.get_collaborator_permission, "stranger") == "read"
    with pytest.raises(GithubException) as caught:
        await off(shop.get_collaborator_permission, "nobody-at-all")
    assert caught.value.status == 404
    assert await off(lambda: client.get_user().login) == "orch-bot"

"""What is read of a repository and written to it, against the GitHub-like server."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from config.github_settings import MergeMethod, Permission
from core.domain.github import CheckConclusion
from core.github.api.facts import (
    IssueFacts,
    MergeResult,
    NotModified,
    Page,
    ReviewVerdict,
)
from core.github.api.repo import Repo
from core.github.api.trouble import GithubForbidden, GithubGone, GithubMissing, GithubRefused
from tests.github_server.faults import Fault
from tests.github_server.repository import Repository
from tests.github_server.server import GithubServer

pytestmark = pytest.mark.usefixtures("moving")


@pytest.fixture
def here(github_server: GithubServer) -> Repository:
    return github_server.repo("acme/shop")


def work_on(here: Repository) -> str:
    """A story's branch, and its commit."""
    return here.commit("orchard/shop-1", {"shop.py": "x = 1\n"}, "A basket", onto=here.head("main"))


async def every_issue(repo: Repo, since: str = "") -> list[IssueFacts]:
    page = await repo.issues(since)
    found: list[IssueFacts] = []
    while isinstance(page, Page):
        found += page.items
        if page.next is None:
            return found
        page = await repo.issues(since, after=page.next)
    raise AssertionError(page)


async def test_a_repository_is_described(repo: Repo, here: Repository) -> None:
    facts = await repo.about()
    assert (facts.id, facts.full_name, facts.default_branch) == (here.id, "acme/shop", "main")
    assert facts.clone_url == f"{here.html}.git"
    assert facts.rights is not None
    assert (facts.rights.push, facts.rights.admin) == (True, False)
    assert await repo.me() == "orch-bot"


async def test_a_renamed_one_is_followed_and_an_old_name_in_new_hands_is_not(
    repo: Repo, github_server: GithubServer, here: Repository
) -> None:
    github_server.rename_repository("acme/shop", "acme/store")
    here.add_issue("A basket")
    assert (await repo.about()).full_name == "acme/store"
    del github_server.world.names["acme/shop"]
    github_server.add_repository("acme/shop").add_issue("Somebody else's")
    assert (await repo.issue(1)).title == "A basket"
    assert (await repo.create_comment(1, "Hello")).id in [each.id for each in here.issues[1].comments]


async def test_a_deleted_repository_is_gone_and_a_missing_part_of_it_is_not(
    repo: Repo, github_server: GithubServer, here: Repository
) -> None:
    await repo.about()
    with pytest.raises(GithubMissing):
        await repo.issue(99)
    github_server.delete_repository("acme/shop")
    for call in (repo.about(), repo.issue(1), repo.create_comment(1, "x"), repo.issues()):
        with pytest.raises(GithubGone, match="acme/shop"):
            await call


async def test_issues_come_by_time_of_change_and_none_is_passed_over(
    repo: Repo, github_server: GithubServer, here: Repository
) -> None:
    """While it is read, what was read already changes: by the pages' numbers others would be passed over."""
    for number in range(250):
        here.add_issue(f"Issue {number + 1}")
        github_server.world.advance(2)
    first = await repo.issues()
    assert isinstance(first, Page)
    assert [each.number for each in first.items] == list(range(1, 101))
    assert first.cursor == first.items[-1].updated_at
    for number in range(1, 51):
        here.edit_issue(number, title="New")
    assert first.next is not None
    rest, page = [], await repo.issues(after=first.next)
    while isinstance(page, Page):
        rest += [each.number for each in page.items]
        page = page.next and await repo.issues(after=page.next)
    assert {*rest} >= set(range(101, 251)) | set(range(1, 51))


async def test_many_changes_of_one_second_are_read_by_pages(repo: Repo, here: Repository) -> None:
    at = here.world.now() - timedelta(days=1)
    for number in range(320):
        here.add_issue(f"Issue {number + 1}").updated_at = at
    here.world.advance(5)
    here.add_issue("The last one")
    assert {each.number for each in await every_issue(repo)} == set(range(1, 322))


async def test_a_first_sync_of_thousands_takes_few_requests(
    repo: Repo, github_server: GithubServer, here: Repository
) -> None:
    begun = here.world.now() - timedelta(days=30)
    for number in range(1000):
        here.add_issue(f"Issue {number + 1}").updated_at = begun + timedelta(seconds=number // 3)
    assert {each.number for each in await every_issue(repo)} == set(range(1, 1001))
    assert len(github_server.requests) <= 15


async def test_what_has_not_changed_costs_nothing(
    repo: Repo, github_server: GithubServer, here: Repository
) -> None:
    here.add_issue("A basket")
    page = await repo.issues()
    assert isinstance(page, Page)
    assert page.path == repo.issues_path()
    settled = await repo.issues(page.cursor)
    assert isinstance(settled, Page)
    before = github_server.counted()
    assert isinstance(await repo.issues(page.cursor, settled.etag), NotModified)
    assert github_server.counted() == before
    github_server.world.advance(1)
    here.comment(1, "Please", "ann")
    changed = await repo.issues(page.cursor, settled.etag)
    assert isinstance(changed, Page)
    assert [each.comments for each in changed.items] == [1]


async def test_reading_again_costs_nothing_and_shows_what_is_new(
    repo: Repo, github_server: GithubServer, here: Repository
) -> None:
    here.add_issue("A basket")
    assert await repo.issue_comments(1) == ()
    before = github_server.counted()
    assert await repo.issue_comments(1) == ()
    assert (await repo.issue(1)).title == "A basket"
    assert github_server.counted() == before + 1
    here.comment(1, "Please", "ann")
    (comment,) = await repo.issue_comments(1)
    assert (comment.body, comment.author.login, comment.issue_number) == ("Please", "ann", 1)


async def test_an_issue_is_made_edited_labelled_and_closed(repo: Repo, here: Repository) -> None:
    await repo.ensure_label("orchard", color="#0e8a16", description="Orchard's")
    await repo.ensure_label("Orchard", color="ffffff", description="again")
    assert [(each.name, each.color) for each in here.labels.values()] == [("orchard", "0e8a16")]
    milestone = await repo.create_milestone("Sprint 1")
    made = await repo.create_issue("A basket", "Body", labels=["orchard"], milestone=milestone.number)
    assert (made.labels, made.milestone and made.milestone.title) == (("orchard",), "Sprint 1")
    await repo.edit_issue(made.number, title="A bigger basket", no_milestone=True)
    await repo.set_labels(made.number, add=["orchard: at work"], remove=["never there", "orchard"])
    closed = await repo.edit_issue(made.number, is_open=False, state_reason="completed")
    assert (closed.title, closed.body, closed.labels) == ("A bigger basket", "Body", ("orchard: at work",))
    assert (closed.is_open, closed.state_reason, closed.milestone) == (False, "completed", None)


async def test_comments_are_made_edited_deleted_and_reacted_to(repo: Repo, here: Repository) -> None:
    here.add_issue("A basket")
    comment = await repo.create_comment(1, "One")
    await repo.edit_comment(comment.id, "Two")
    await repo.react(comment.id, "eyes")
    page = await repo.comments()
    assert isinstance(page, Page)
    assert [(each.body, each.issue_number) for each in page.items] == [("Two", 1)]
    assert [each.content for each in here.find_comment(comment.id).reactions] == ["eyes"]
    await repo.delete_comment(comment.id)
    await repo.delete_comment(comment.id)
    with pytest.raises(GithubMissing):
        await repo.edit_comment(comment.id, "Three")


async def test_a_transferred_or_deleted_issue_is_missing(
    repo: Repo, github_server: GithubServer, here: Repository
) -> None:
    other = github_server.add_repository("acme/blog")
    for title in ("A basket", "A shelf"):
        here.add_issue(title)
    here.transfer_issue(1, other)
    here.delete_issue(2)
    for number in (1, 2):
        with pytest.raises(GithubMissing):
            await repo.issue(number)
        with pytest.raises(GithubMissing):
            await repo.edit_issue(number, title="Mine")
    assert [each.title for each in other.issues.values()] == ["A basket"]


@pytest.mark.parametrize(
    ("login", "permission"),
    [("ann", Permission.TRIAGE), ("eve", Permission.READ), ("no one", Permission.NONE)],
)
async def test_permission_of_a_person(
    repo: Repo, here: Repository, login: str, permission: Permission
) -> None:
    here.grant("ann", "triage")
    here.world.account("eve")
    assert await repo.permission(login) is permission


async def test_milestones_and_releases(repo: Repo, here: Repository) -> None:
    made = await repo.create_milestone("Sprint 1", description="One", due_on="2030-01-31T08:00:00Z")
    assert made.due_on.startswith("2030-01-31")
    with pytest.raises(GithubRefused):
        await repo.create_milestone("Sprint 1")
    await repo.edit_milestone(made.number, is_open=False, title="Sprint one")
    assert [(each.title, each.is_open) for each in await repo.milestones()] == [("Sprint one", False)]
    release = await repo.create_release("v1", name="One", body="Notes", target="main")
    await repo.edit_release(release.id, body="Better notes")
    assert [(each.tag, each.body, each.is_draft) for each in await repo.releases()] == [
        ("v1", "Better notes", True)
    ]


async def test_a_pull_request_is_opened_found_edited_and_merged(repo: Repo, here: Repository) -> None:
    assert await repo.pull_of_branch("orchard/shop-1") is None
    sha = work_on(here)
    pull = await repo.open_pull(title="A basket", body="Body", branch="orchard/shop-1", base="main")
    assert (pull.head_sha, pull.is_open, pull.merge_commit) == (sha, True, "")
    with pytest.raises(GithubRefused, match="already exists"):
        await repo.open_pull(title="A basket", body="Body", branch="orchard/shop-1", base="main")
    assert await repo.pull_of_branch("orchard/shop-1") is not None
    await repo.edit_pull(pull.number, title="A bigger basket")
    moved = await repo.merge_pull(pull.number, sha="0" * 40, method=MergeMethod.SQUASH)
    assert (moved.result, moved.commit) == (MergeResult.HEAD_MOVED, "")
    merged = await repo.merge_pull(pull.number, sha=sha, method=MergeMethod.SQUASH, title="Basket")
    assert (merged.result, merged.commit) == (MergeResult.MERGED, here.head("main"))
    again = await repo.pull_of_branch("orchard/shop-1")
    assert again is not None
    assert (again.is_merged, again.merge_commit) == (True, merged.commit)


async def test_a_merge_that_is_not_allowed_is_an_outcome(repo: Repo, here: Repository) -> None:
    sha = work_on(here)
    pull = await repo.open_pull(title="A basket", body="", branch="orchard/shop-1", base="main")
    here.allows["rebase"] = False
    refused = await repo.merge_pull(pull.number, sha=sha, method=MergeMethod.REBASE)
    assert refused.result is MergeResult.REFUSED
    assert "not allowed" in refused.why
    await repo.close_pull(pull.number)
    assert not (await repo.pull(pull.number)).is_open


async def test_a_merge_whose_answer_was_lost_is_known(
    repo: Repo, github_server: GithubServer, here: Repository
) -> None:
    sha = work_on(here)
    pull = await repo.open_pull(title="A basket", body="", branch="orchard/shop-1", base="main")
    github_server.fail(Fault(method="PUT", path="/merge", cut_after=True))
    merged = await repo.merge_pull(pull.number, sha=sha, method=MergeMethod.MERGE)
    assert (merged.result, merged.commit) == (MergeResult.MERGED, here.head("main"))
    assert len(github_server.asked("PUT")) == 1


async def test_reviews_and_remarks(repo: Repo, here: Repository) -> None:
    work_on(here)
    pull = await repo.open_pull(title="A basket", body="", branch="orchard/shop-1", base="main")
    here.grant("ann", "write")
    here.review(
        pull.number, "ann", "CHANGES_REQUESTED", "Not so", [{"path": "shop.py", "line": 1, "body": "y"}]
    )
    (review,) = await repo.reviews(pull.number)
    assert (review.verdict, review.author.login) == (ReviewVerdict.CHANGES_REQUESTED, "ann")
    (remark,) = await repo.review_comments(pull.number)
    assert (remark.path, remark.line, remark.body) == ("shop.py", 1, "y")


async def test_check_runs_and_statuses_are_one_list(repo: Repo, here: Repository) -> None:
    sha = work_on(here)
    assert await repo.checks(sha) == ()
    for number in range(130):
        here.set_check(sha, f"unit {number:03}")
    here.set_check(sha, "lint", "failure", title="2 errors", annotations=[{"path": "a.py", "message": "No"}])
    here.set_check(sha, "slow", None)
    here.set_status(sha, "ci/old", "error")
    found = {each.name: each for each in await repo.checks(sha)}
    assert len(found) == 133
    assert found["lint"].conclusion is CheckConclusion.FAILED
    assert found["lint"].summary == "2 errors"
    assert found["slow"].conclusion is CheckConclusion.RUNNING
    assert found["ci/old"].conclusion is CheckConclusion.FAILED
    assert found["unit 007"].conclusion is CheckConclusion.PASSED
    (lint,) = [each for each in await repo.check_runs(sha) if each.check.name == "lint"]
    assert lint.id is not None
    assert [(each.path, each.message) for each in await repo.annotations(lint.id)] == [("a.py", "No")]
    here.set_check(sha, "lint", "success", again=True)
    assert {each.name: each for each in await repo.checks(sha)}["lint"].conclusion is CheckConclusion.PASSED


async def test_a_branch_is_deleted_once(repo: Repo, here: Repository) -> None:
    work_on(here)
    assert await repo.delete_branch("orchard/shop-1")
    assert not await repo.delete_branch("orchard/shop-1")


async def test_a_right_that_is_missing_says_which(
    github_server: GithubServer, here: Repository, repo_with: Callable[[str], Repo]
) -> None:
    here.grant("reader", "read")
    github_server.add_token("read-token", "reader")
    here.add_issue("A basket")
    repo = repo_with("read-token")
    assert (await repo.issue(1)).title == "A basket"
    with pytest.raises((GithubForbidden, GithubMissing)) as caught:
        await repo.set_labels(1, add=["x"])
    assert "label issue 1 of acme/shop" in caught.value.message

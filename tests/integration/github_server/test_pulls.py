"""Real git against the server, pull requests, checks, reviews and merges."""

from __future__ import annotations

import asyncio
import base64
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from github import GithubException
from github.Repository import Repository

from tests.github_server.server import GithubServer


class Clone:
    """A working copy; the token goes as GitHub's own checkout sends it."""

    def __init__(self, path: Path, server: GithubServer, token: str = "good-token") -> None:
        self.path, self.server, self.token = path, server, token

    async def run(self, *words: str) -> str:
        """What git prints; AssertionError with its words when it fails."""
        return await asyncio.to_thread(self._run, *words)

    def _run(self, *words: str) -> str:
        secret = base64.b64encode(f"x-access-token:{self.token}".encode()).decode()
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.path.parent),
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_CONFIG_COUNT": "3",
            "GIT_CONFIG_KEY_0": f"http.{self.server.url}/.extraheader",
            "GIT_CONFIG_VALUE_0": f"Authorization: Basic {secret}",
            "GIT_CONFIG_KEY_1": "user.name",
            "GIT_CONFIG_VALUE_1": "Orch",
            "GIT_CONFIG_KEY_2": "user.email",
            "GIT_CONFIG_VALUE_2": "orch@example.org",
        }
        done = subprocess.run(
            ["git", "-C", str(self.path), *words],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    async def commit(self, branch: str, name: str, text: str) -> str:
        """A commit on a branch of that name, which begins where the clone stands; not pushed."""
        await self.run("checkout", "-q", "-B", branch)
        (self.path / name).write_text(text)
        await self.run("add", name)
        await self.run("commit", "-q", "-m", f"Change {name}")
        return await self.run("rev-parse", "HEAD")


@pytest.fixture
async def clone(github_server: GithubServer, tmp_path: Path) -> Clone:
    clone = Clone(tmp_path / "shop", github_server)
    clone.path.mkdir()
    await clone.run("clone", "-q", github_server.repo("acme/shop").clone_url, ".")
    return clone


async def test_pushed_branch_becomes_a_pull_request(
    github_server: GithubServer, shop: Repository, clone: Clone, off: Any
) -> None:
    sha = await clone.commit("orchard/shop-1", "basket.py", "apples = 3\n")
    await clone.run("push", "-q", "origin", "orchard/shop-1")
    pull = await off(shop.create_pull, "main", "orchard/shop-1", title="A basket", body="Closes #1")
    assert (pull.head.sha, pull.mergeable, pull.mergeable_state, pull.commits) == (sha, True, "clean", 1)
    with pytest.raises(GithubException) as twice:
        await off(shop.create_pull, "main", "orchard/shop-1", title="Again", body="")
    assert "already exists" in twice.value.data["errors"][0]["message"]
    found = await off(lambda: list(shop.get_pulls(head="acme:orchard/shop-1")))
    assert [each.number for each in found] == [pull.number]
    newer = await clone.commit("orchard/shop-1", "basket.py", "apples = 4\n")
    await clone.run("push", "-q", "origin", "orchard/shop-1")
    assert (await off(shop.get_pull, pull.number)).head.sha == newer


async def test_pull_request_whose_commits_were_pushed_to_main_is_merged(
    github_server: GithubServer, clone: Clone
) -> None:
    here = github_server.repo("acme/shop")
    sha = await clone.commit("orchard/shop-1", "basket.py", "apples = 3\n")
    await clone.run("push", "-q", "origin", "orchard/shop-1")
    pull = here.open_pull("orchard/shop-1", by="orch-bot")
    await clone.run("push", "-q", "origin", f"{sha}:main")
    assert (pull.issue.state, pull.merge_commit, here.head()) == ("closed", sha, sha)


@pytest.mark.parametrize("method", ["merge", "squash", "rebase"])
async def test_merged_by_the_api(
    github_server: GithubServer, shop: Repository, off: Any, method: str
) -> None:
    here = github_server.repo("acme/shop")
    head = here.commit("orchard/shop-1", {"basket.py": "apples = 3\n"}, onto=here.head())
    base = here.commit("main", {"other.py": "x = 1\n"})
    number = here.open_pull("orchard/shop-1").issue.number
    pull = await off(shop.get_pull, number)
    with pytest.raises(GithubException) as moved:
        await off(pull.merge, sha=base, merge_method=method)
    assert moved.value.status == 409
    done = await off(pull.merge, "All of it", "A basket", merge_method=method, sha=head)
    parents = here.git.run("log", "-1", "--format=%P", done.sha).split()
    assert done.merged
    assert done.sha == here.head()
    assert parents == ([base, head] if method == "merge" else [base])
    assert here.git.run("show", f"{done.sha}:basket.py") == "apples = 3"
    with pytest.raises(GithubException) as again:
        await off(pull.merge)
    assert again.value.status == 405


async def test_conflict_cannot_be_merged(github_server: GithubServer, shop: Repository, off: Any) -> None:
    here = github_server.repo("acme/shop")
    here.commit("orchard/shop-1", {"basket.py": "apples = 3\n"}, onto=here.head())
    here.commit("main", {"basket.py": "apples = 4\n"})
    number = here.open_pull("orchard/shop-1").issue.number
    pull = await off(shop.get_pull, number)
    assert (pull.mergeable, pull.mergeable_state) == (False, "dirty")
    with pytest.raises(GithubException) as caught:
        await off(pull.merge)
    assert caught.value.status == 405


async def test_protection_wants_checks_and_approvals(
    github_server: GithubServer, shop: Repository, off: Any
) -> None:
    here = github_server.repo("acme/shop")
    here.grant("mia", "write")
    here.protect("main", checks=("ci",), approvals=1)
    sha = here.commit("orchard/shop-1", {"basket.py": "apples = 3\n"}, onto=here.head())
    number = here.open_pull("orchard/shop-1", by="orch-bot").issue.number
    pull = await off(shop.get_pull, number)
    with pytest.raises(GithubException, match=r"Required status check \"ci\" is expected"):
        await off(pull.merge)
    here.set_check(sha, "ci", "failure")
    here.set_check(sha, "ci", "success", again=True)
    with pytest.raises(GithubException, match="At least 1 approving review"):
        await off(pull.merge)
    here.review(number, "stranger", "APPROVED")  # who may not write does not count
    with pytest.raises(GithubException, match="At least 1 approving review"):
        await off(pull.merge)
    here.review(
        number, "mia", "CHANGES_REQUESTED", "No", [{"path": "basket.py", "line": 1, "body": "Why 3?"}]
    )
    with pytest.raises(GithubException, match="Changes have been requested"):
        await off(pull.merge)
    here.review(number, "mia", "APPROVED")
    assert (await off(pull.merge)).merged
    reviews = await off(lambda: [(each.user.login, each.state) for each in pull.get_reviews()])
    assert reviews[1:] == [("mia", "CHANGES_REQUESTED"), ("mia", "APPROVED")]
    comments = await off(lambda: [(each.path, each.line, each.body) for each in pull.get_review_comments()])
    assert comments == [("basket.py", 1, "Why 3?")]


async def test_protected_branch_refuses_pushes(github_server: GithubServer, clone: Clone) -> None:
    here = github_server.repo("acme/shop")
    here.protect("main", checks=("ci",))
    sha = await clone.commit("orchard/shop-1", "basket.py", "apples = 3\n")
    await clone.run("push", "-q", "origin", "orchard/shop-1")
    with pytest.raises(AssertionError, match=r'GH006.*\n.*Required status check "ci" is expected'):
        await clone.run("push", "-q", "origin", f"{sha}:main")
    here.set_status(sha, "ci", "success")
    await clone.run("push", "-q", "origin", f"{sha}:main")
    assert here.head() == sha
    with pytest.raises(AssertionError, match="Cannot force-push"):
        await clone.run("push", "-q", "-f", "origin", f"{sha}~1:main")
    here.protect("main", require_pull=True)
    newer = await clone.commit("orchard/shop-1", "basket.py", "apples = 4\n")
    with pytest.raises(AssertionError, match="must be made through a pull request"):
        await clone.run("push", "-q", "origin", f"{newer}:main")
    assert here.head() == sha


async def test_who_may_not_push_is_told_so(github_server: GithubServer, clone: Clone) -> None:
    here = github_server.repo("acme/shop")
    await clone.commit("orchard/shop-1", "basket.py", "apples = 3\n")
    here.grant("orch-bot", "read")
    with pytest.raises(AssertionError, match=r"(?s)denied to orch-bot|403"):
        await clone.run("push", "-q", "origin", "orchard/shop-1")
    github_server.revoke("good-token")
    with pytest.raises(AssertionError, match=r"Authentication failed|could not read Username"):
        await clone.run("push", "-q", "origin", "orchard/shop-1")
    github_server.delete_repository("acme/shop")
    assert list(here.git.heads()) == ["main"]


async def test_renamed_repository_is_still_cloned_and_pushed_to(
    github_server: GithubServer, clone: Clone
) -> None:
    here = github_server.rename_repository("acme/shop", "acme/market")
    sha = await clone.commit("orchard/shop-1", "basket.py", "apples = 3\n")
    await clone.run("push", "-q", "origin", "orchard/shop-1")
    assert here.git.heads()["orchard/shop-1"] == sha


async def test_checks_and_statuses_of_a_commit(
    github_server: GithubServer, shop: Repository, off: Any
) -> None:
    here = github_server.repo("acme/shop")
    sha = here.head()
    for number in range(120):
        here.set_check(sha, f"job {number}")
    here.set_check(
        sha, "lint", "failure", summary="2 errors", annotations=[{"path": "a.py", "message": "E501"}]
    )
    here.set_check(sha, "slow", None)
    here.set_status(sha, "deploy", "pending")
    here.set_status(sha, "deploy", "error", description="No room")
    commit = await off(shop.get_commit, sha)
    runs = {run.name: run for run in await off(lambda: list(commit.get_check_runs()))}
    assert len(runs) == 122
    assert (runs["slow"].status, runs["slow"].conclusion) == ("in_progress", None)
    assert (runs["lint"].conclusion, runs["lint"].output.summary) == ("failure", "2 errors")
    assert [each.message for each in await off(lambda: list(runs["lint"].get_annotations()))] == ["E501"]
    whole = await off(commit.get_combined_status)
    assert (whole.state, [each.description for each in whole.statuses]) == ("failure", ["No room"])


async def test_default_branch_renamed_and_history_rewritten(
    github_server: GithubServer, shop: Repository, off: Any
) -> None:
    here = github_server.repo("acme/shop")
    here.commit("orchard/shop-1", {"basket.py": "apples = 3\n"}, onto=here.head())
    pull = here.open_pull("orchard/shop-1")
    here.rename_branch("main", "trunk")
    seen = await off(shop.get_pull, pull.issue.number)
    assert ((await off(shop.update)), shop.default_branch, seen.base.ref) == (True, "trunk", "trunk")
    before = here.head()
    after = here.force_push("trunk", {"README.md": "anew\n"})
    assert not here.git.is_ancestor(before, after)
    here.delete_branch("orchard/shop-1")
    assert pull.issue.state == "closed"


async def test_releases(github_server: GithubServer, shop: Repository, off: Any) -> None:
    made = await off(shop.create_git_release, "sprint-1", "Sprint 1", "- A basket", draft=True)
    await off(made.update_release, "Sprint 1", "- A bigger basket", draft=True)
    here = github_server.repo("acme/shop").release(made.id)
    assert (here.draft, here.body) == (True, "- A bigger basket")
    assert [each.name for each in await off(lambda: list(shop.get_releases()))] == ["Sprint 1"]

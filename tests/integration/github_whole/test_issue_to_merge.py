"""From an issue at GitHub to a merged pull request and a closed issue, with nothing replaced but the model:
the whole application with its web server, real git, webhooks, and the GitHub-like server."""

from __future__ import annotations

from typing import Any

import pytest

from core.domain.event import EventKind
from tests.github_server.repository import Repository

BODY = "Two numbers are multiplied.\n\n- [ ] multiply(6, 2) is 12\n"
pytestmark = pytest.mark.timeout(180)


def ci(repository: Repository, conclusion: str | None) -> None:
    """What runs the checks elsewhere: on the head of each pull request."""
    for pull in repository.open_pulls():
        repository.set_check(pull.head_sha, "ci", conclusion, summary="2 tests")


async def test_issue_becomes_a_merged_pull_request_by_webhooks(whole: Any, git_in: Any, farm: Any) -> None:
    async with whole() as each:
        repository = each.repository
        issue = repository.add_issue("Multiply", BODY, labels=["orchard"], author="mia")
        story_id = (await each.taken_in())[0]
        await each.sprint()
        await each.until(repository.open_pulls)
        pull = repository.open_pulls()[0]
        assert (pull.base, pull.head) == ("main", f"orchard/{story_id}")
        assert repository.head() != pull.head_sha  # not before its checks
        ci(repository, None)
        ci(repository, "success")
        await each.until(lambda: issue.state == "closed")
        await each.until(lambda: pull.issue.state == "closed")
        assert pull.merged_at is not None
        assert repository.head() == git_in(farm.projects["calc"], "rev-parse", "main")
        assert repository.git.run("show", "main:multiply.py") == "def multiply(a, b):\n    return a * b"
        events = await each.orchard.runtime.commands.events(limit=1000)
        merged = [event.story_id for event in events if event.kind is EventKind.STORY_MERGED]
        assert merged == [story_id]
        await each.until(lambda: repository.head()[:7] in "".join(each.comments(issue)))
        assert len(each.comments(issue)) == 1
        statuses = {status for sent in each.server.deliveries.sent for status in sent.statuses}
        assert statuses <= {200, 202}


async def test_failed_checks_and_requested_changes_go_back_to_the_agent(whole: Any, farm: Any) -> None:
    def written(expression: str) -> list[Any]:
        text = f"def multiply(a, b):\n    return {expression}\n"
        return [{"write": {"path": "multiply.py", "text": text}}]

    reviewed = {"when": 'feedback contains "Turn them round"', "then": written("b * a")}
    checked = {"when": 'feedback contains "E501 too long"', "then": written("a*b"), "else": written("a * b")}
    farm.script["stories"]["Multiply"]["code_green"] = [reviewed | {"else": [checked]}]
    async with whole(approvals=1) as each:
        repository = each.repository
        repository.grant("mia", "write")
        repository.add_issue("Multiply", BODY, labels=["orchard"])
        await each.taken_in()
        await each.sprint()
        await each.until(repository.open_pulls)
        pull = repository.open_pulls()[0]
        first, number = pull.head_sha, pull.issue.number
        repository.set_check(first, "lint", "failure", summary="E501 too long")
        await each.until(lambda: pull.head_sha != first)
        second = pull.head_sha
        assert repository.git.run("show", f"{second}:multiply.py").endswith("return a*b")
        ci(repository, "success")
        said = {"path": "multiply.py", "line": 2, "body": "Turn them round."}
        repository.review(number, "mia", "CHANGES_REQUESTED", "Nearly.", [said])
        await each.until(lambda: pull.head_sha not in (first, second))
        ci(repository, "success")
        repository.review(number, "mia", "APPROVED")
        await each.until(lambda: pull.merged_at is not None)
        assert repository.git.run("show", "main:multiply.py").endswith("return b * a")
        assert len([issue for issue in repository.issues.values() if issue.pull]) == 1


async def test_github_merges_where_it_is_to(whole: Any, farm: Any, git_in: Any) -> None:
    async with whole(hook=False, merge_by="github", merge_method="squash") as each:
        repository = each.repository
        repository.protect("main", checks=("ci",), require_pull=True)
        issue = repository.add_issue("Multiply", BODY, labels=["orchard"])
        await each.taken_in()
        await each.sprint()
        await each.until(repository.open_pulls)
        pull = repository.open_pulls()[0]
        ci(repository, "success")
        await each.until(lambda: issue.state == "closed")
        assert pull.merge_commit == repository.head()
        await each.until(lambda: git_in(farm.projects["calc"], "rev-parse", "main") == pull.merge_commit)

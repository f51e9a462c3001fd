"""From an issue at GitHub to a merged pull request and a closed issue, with nothing replaced but the model:
the whole application with its web server, real git, webhooks, and the GitHub-like server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest

from bot.app import open_app
from bot.configuration import loader
from core.domain.event import EventKind
from tests.github_server.repository import Repository
from tests.github_server.server import GithubServer
from tests.github_server.things import Issue
from tests.integration.nursery import forked_templates

SECRET = "the secret that both of them know, 32 long"
BODY = "Two numbers are multiplied.\n\n- [ ] multiply(6, 2) is 12\n"
pytestmark = pytest.mark.timeout(180)


@dataclass
class Whole:
    """An Orchard that runs, its project `calc`, and the project's repository at GitHub."""

    orchard: Any
    server: GithubServer
    repository: Repository

    async def until(self, holds: Callable[[], object], seconds: float = 60) -> None:
        """Says what happened when it does not come to hold."""
        try:
            async with asyncio.timeout(seconds):
                while not holds():  # noqa: ASYNC110 - much of it is told by nobody
                    await asyncio.sleep(0.05)
        except TimeoutError:
            runtime = self.orchard.runtime
            told = [f"{e.story_id} {e.kind} {e.data}"[:250] for e in await runtime.commands.events(limit=500)]
            views = await runtime.commands.stories()
            told += [f"{view.story.id}: {view.status}, {view.why}" for view in views]
            asked = [f"{s.method} {s.path} {s.status}" for s in self.server.requests[-15:]]
            raise AssertionError("\n".join(["never came to hold:", *told, *asked])) from None

    async def sprint(self) -> None:
        commands = self.orchard.runtime.commands
        await commands.plan_sprint("calc", actor="cli")
        await commands.start_sprint("calc", actor="cli")

    async def taken_in(self, count: int = 1) -> list[str]:
        """The stories, once there are as many."""
        found: list[str] = []
        async with asyncio.timeout(60):
            while len(found) < count:
                found = [view.story.id for view in await self.orchard.runtime.commands.stories("calc")]
                await asyncio.sleep(0.05)
        return found

    def comments(self, issue: Issue) -> list[str]:
        return [each.body for each in issue.comments if each.author and each.author.login == "orch-bot"]


@pytest.fixture
def farm(quick_farm: Any) -> Any:
    return quick_farm


@pytest.fixture
def whole(farm: Any, github_server: GithubServer) -> Callable[..., Any]:
    @asynccontextmanager
    async def running(*, hook: bool = True, **github: Any) -> AsyncIterator[Whole]:
        checkout = farm.add("calc")
        repository = github_server.add_repository("acme/calc", of=checkout)
        repository.grant("orch-bot", "write")
        # Without webhooks it is asked often; with them the timer does nothing here that a webhook should do.
        polls = {"poll_seconds": 3600, "poll_seconds_with_webhooks": 3600} if hook else {"poll_seconds": 1}
        farm.global_settings = {
            "web": {"port": 0},
            "github": {"api_url": github_server.api_url, **polls},
        }
        farm.own_settings["calc"] = {
            "github": {"repository": "acme/calc", "checks_begin_seconds": 600, **github}
        }
        farm.write()
        environ = {"GITHUB_TOKEN": "good-token", "GITHUB_WEBHOOK_SECRET": SECRET}
        with forked_templates():
            async with open_app(loader(farm.root, environ=environ), discord=False) as app:
                await app.web.ready.wait()
                whole = Whole(orchard=app, server=github_server, repository=repository)
                if hook:
                    port = urlsplit(app.web.status).port
                    repository.add_hook(f"http://127.0.0.1:{port}/webhooks/github", secret=SECRET)
                linked = app.runtime.commands.repositories
                await whole.until(lambda: github_server.asked("GET", "/repos/acme/calc/issues"), seconds=20)
                assert await linked("calc")
                yield whole

    return running


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


async def test_failed_checks_go_back_to_the_agent_with_what_they_say(whole: Any, farm: Any) -> None:
    better = {"write": {"path": "multiply.py", "text": "def multiply(a, b):\n    return b * a\n"}}
    story = farm.script["stories"]["Multiply"]
    story["code_green"] = [
        {"when": 'feedback contains "E501 too long"', "then": [better], "else": story["code_green"]}
    ]
    async with whole(hook=False) as each:
        repository = each.repository
        repository.add_issue("Multiply", BODY, labels=["orchard"])
        await each.taken_in()
        await each.sprint()
        await each.until(repository.open_pulls)
        pull = repository.open_pulls()[0]
        first = pull.head_sha
        repository.set_check(first, "lint", "failure", summary="E501 too long")
        await each.until(lambda: pull.head_sha != first)
        assert repository.git.run("show", f"{pull.head_sha}:multiply.py").endswith("return b * a")
        assert repository.head() != pull.head_sha
        ci(repository, "success")
        await each.until(lambda: pull.merged_at is not None)
        assert len([i for i in repository.issues.values() if i.pull]) == 1


async def test_requested_changes_go_back_to_the_agent(whole: Any, farm: Any) -> None:
    better = {"write": {"path": "multiply.py", "text": "def multiply(a, b):\n    return b * a\n"}}
    story = farm.script["stories"]["Multiply"]
    story["code_green"] = [
        {"when": 'feedback contains "Turn them"', "then": [better], "else": story["code_green"]}
    ]
    async with whole(hook=False, approvals=1) as each:
        repository = each.repository
        repository.grant("mia", "write")
        repository.add_issue("Multiply", BODY, labels=["orchard"])
        await each.taken_in()
        await each.sprint()
        await each.until(repository.open_pulls)
        pull = repository.open_pulls()[0]
        first, number = pull.head_sha, pull.issue.number
        ci(repository, "success")
        said = {"path": "multiply.py", "line": 2, "body": "Turn them round."}
        repository.review(number, "mia", "CHANGES_REQUESTED", "Nearly.", [said])
        await each.until(lambda: pull.head_sha != first)
        ci(repository, "success")
        repository.review(number, "mia", "APPROVED")
        await each.until(lambda: pull.merged_at is not None)
        assert repository.git.run("show", "main:multiply.py").endswith("return b * a")


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

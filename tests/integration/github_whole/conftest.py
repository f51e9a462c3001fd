"""The whole application beside the GitHub-like server, with a project whose repository is there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest

from bot.app import open_app
from bot.configuration import loader
from core.domain.event import Event, EventKind
from core.github import lane
from tests.github_server.repository import Repository
from tests.github_server.server import GithubServer
from tests.github_server.things import Issue, Pull
from tests.integration.nursery import forked_templates

SECONDS = 60.0  # for anything to happen: two busy cores are slow
SECRET = "the secret that both of them know, 32 long"


@dataclass
class Whole:
    """An Orchard that runs, its project `calc`, and the project's repository at GitHub."""

    orchard: Any
    server: GithubServer
    repository: Repository

    async def until(self, holds: Callable[[], object], seconds: float = SECONDS) -> None:
        """Says what happened when it does not come to hold."""
        try:
            async with asyncio.timeout(seconds):
                while not holds():  # noqa: ASYNC110 - much of it is told by nobody
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"never came to hold:\n{await self._history()}") from None

    async def _history(self) -> str:
        commands = self.orchard.runtime.commands
        told = [f"{each.story_id} {each.kind} {each.data}"[:250] for each in await self.told(*EventKind)]
        told += [f"{view.story.id}: {view.status}, {view.why}" for view in await commands.stories()]
        told += [f"{seen.method} {seen.path} {seen.status}" for seen in self.server.requests[-15:]]
        return "\n".join(told[-150:])

    async def until_it(
        self, ask: Callable[[], Awaitable[object]], wanted: object, seconds: float = SECONDS
    ) -> None:
        """Until it is that."""
        found: object = None
        try:
            async with asyncio.timeout(seconds):
                while (found := await ask()) != wanted:  # noqa: ASYNC110 - told by nobody
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"{found!r}, never {wanted!r}:\n{await self._history()}") from None

    async def sprint(self) -> None:
        commands = self.orchard.runtime.commands
        await commands.plan_sprint("calc", actor="cli")
        await commands.start_sprint("calc", actor="cli")

    async def taken_in(self, count: int = 1) -> list[str]:
        """The stories, once there are as many."""
        found: list[str] = []
        async with asyncio.timeout(SECONDS):
            while len(found) < count:
                found = [view.story.id for view in await self.orchard.runtime.commands.stories("calc")]
                await asyncio.sleep(0.05)
        return found

    async def pulled(self) -> Pull:
        """The pull request of a story that was an issue, and has come as far as that."""
        self.repository.add_issue(
            "Multiply", "- [ ] multiply(6, 2) is 12\n", labels=["orchard"], author="mia"
        )
        await self.taken_in()
        await self.sprint()
        await self.until(self.repository.open_pulls)
        return self.repository.open_pulls()[0]

    def pass_checks(self, conclusion: str | None = "success") -> None:
        """What runs the checks elsewhere: on the head of each pull request, once each."""
        for pull in self.repository.open_pulls():
            there = self.repository.checks_of(pull.head_sha)
            if not any((check.name, check.conclusion) == ("ci", conclusion) for check in there):
                self.repository.set_check(pull.head_sha, "ci", conclusion, summary="2 tests")

    async def told(self, *kinds: EventKind) -> list[Event]:
        """What people were told of these kinds, in order."""
        found: list[Event] = []
        after = 0
        while events := await self.orchard.runtime.commands.events(after=after, limit=1000):
            after = events[-1].seq
            found += [event for event in events if event.kind in kinds]
        return found

    async def until_told(self, kind: EventKind, count: int = 1) -> list[Event]:
        found: list[Event] = []

        async def enough() -> bool:
            found[:] = await self.told(kind)
            return len(found) >= count

        await self.until_it(enough, True)
        return found

    def comments(self, issue: Issue) -> list[str]:
        return [each.body for each in issue.comments if each.author and each.author.login == "orch-bot"]


@pytest.fixture
def farm(quick_farm: Any) -> Any:
    return quick_farm


@pytest.fixture
def whole(farm: Any, github_server: GithubServer, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    monkeypatch.setattr(lane, "FIRST_SECONDS", 0.3)  # what fails is tried again sooner than it would be

    @asynccontextmanager
    async def running(*, hook: bool = True, gaps: float = 3600, **github: Any) -> AsyncIterator[Whole]:
        if "calc" in farm.projects:  # it comes up again
            repository = github_server.repo("acme/calc")
        else:
            repository = github_server.add_repository("acme/calc", of=farm.add("calc"))
            repository.grant("orch-bot", "write")
            repository.grant("mia", "write")
        # Without webhooks it is asked often; with them the timer does nothing here that a webhook should do.
        # `gaps`: seconds after which a webhook that was lost is made up for.
        polls = {"poll_seconds": gaps, "poll_seconds_with_webhooks": gaps} if hook else {"poll_seconds": 1}
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
                    url = f"http://127.0.0.1:{urlsplit(app.web.status).port}/webhooks/github"
                    for known in repository.hooks.values():
                        known.url = url
                    if not repository.hooks:
                        repository.add_hook(url, secret=SECRET)
                linked = app.runtime.commands.repositories
                await whole.until(lambda: github_server.asked("GET", "/repos/acme/calc/issues"))
                assert await linked("calc")
                yield whole

    return running

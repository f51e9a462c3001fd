"""`/github` and GitHub's posts: the whole application, in the local guild, with the GitHub-like server."""

from __future__ import annotations

import os
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.app import App, open_app
from bot.configuration import loader
from bot.localguild import LocalGuild, Person
from core.domain.event import EventKind
from tests.discord.bot.real_core import private, settled
from tests.discord.patience import patient_bot
from tests.github_server.server import GithubServer
from tests.waiting import until

SHOP = "proj-shop"
SETTINGS = """
global:
  global_discord_guild: {guild}
  web: {{enabled: false}}
  github: {{api_url: "{api}", poll_seconds: 3600}}
projects:
  shop: {{path: {path}}}
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    made = tmp_path / "shop"
    made.mkdir()
    (made / "test_it.py").write_text("def test_it(): pass\n")
    who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
    for words in (["init", "-q", "-b", "main"], ["add", "-A"], [*who, "commit", "-q", "-m", "First"]):
        subprocess.run(["git", *words], cwd=made, check=True, env={"PATH": os.environ["PATH"]})
    return made


@pytest.fixture
async def app(
    tmp_path: Path,
    checkout: Path,
    guild: LocalGuild,
    github_server: GithubServer,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[App]:
    patient_bot(monkeypatch.setattr)
    text = SETTINGS.format(guild=guild.guild_id, api=github_server.api_url, path=checkout)
    (tmp_path / "orch-config.yaml").write_text(text, "utf-8")
    environ = {
        "DISCORD_TOKEN": guild.token,
        "DISCORD_API_URL": guild.api_url,
        "DISCORD_GATEWAY_URL": guild.gateway_url,
        "GITHUB_TOKEN": "good-token",
    }
    async with open_app(loader(tmp_path, environ=environ)) as app:
        assert app.discord is not None
        service = app.discord
        await until(lambda: service.connected, "a connected bot")
        await until(guild.person("alice").commands, "registered commands")
        yield app


async def test_a_repository_is_linked_looked_at_and_unlinked(
    app: App, alice: Person, github_server: GithubServer
) -> None:
    repository = github_server.repo("acme/shop")
    issue = repository.add_issue("Pay by card", "- [ ] pays", labels=["orchard"], author="mia")
    refused = await settled(alice, await alice.slash("github status", {"project": "shop"}))
    assert private(refused)
    assert "linked with no repository" in refused.text
    wrong = await settled(
        alice, await alice.slash("github link", {"repository": "acme/none", "project": "shop"})
    )
    assert "GitHub shows no repository acme/none" in wrong.text

    linked = await settled(
        alice, await alice.slash("github link", {"repository": "acme/shop", "project": "shop"})
    )
    assert "shop is linked" in linked.text
    await alice.wait_for_message(lambda message: "is linked with [acme/shop]" in message.text)

    async def taken_in() -> object:
        return await app.runtime.commands.stories("shop")

    await until(taken_in, "the issue as a story")
    backlog = await settled(alice, await alice.slash("backlog view", {"project": "shop"}))
    assert f"[#{issue.number}]({github_server.url}/acme/shop/issues/{issue.number})" in backlog.text
    status = await settled(alice, await alice.slash("github status", {"project": "shop"}))
    assert "🟢 linked" in status.text
    assert "1 story is an issue there" in status.text
    repository.add_issue("Send a bill", "", labels=["orchard"], author="mia")
    synced = await settled(alice, await alice.slash("github sync", {"project": "shop"}))
    # A sync tells of what a look that was under way took in, too: the first issue's may have been.
    assert "1 new" in synced.text or "2 new" in synced.text
    assert len(await app.runtime.commands.stories("shop")) == 2
    gone = await settled(alice, await alice.slash("github unlink", {"project": "shop"}))
    assert "separate ways" in gone.text
    every = await settled(alice, await alice.slash("github status"))
    assert "No project is linked" in every.text


async def test_a_pull_requests_checks_are_one_message_of_the_storys_thread(app: App, alice: Person) -> None:
    commands = app.runtime.commands
    story = await commands.add_story("shop", "Pay by card", actor="cli")

    async def tell(state: str, *checks: tuple[str, str], commit: str = "abcdef1234567") -> None:
        data = {
            "number": 7,
            "url": "https://github.com/acme/shop/pull/7",
            "commit": commit,
            "state": state,
            "checks": [{"name": name, "conclusion": how, "url": ""} for name, how in checks],
        }
        await app.runtime.store.write(
            lambda tx: tx.emit(EventKind.CHECKS_CHANGED, project="shop", story_id=story.id, data=data)
        )

    await tell("running", ("lint", "passed"), ("test", "running"))
    first = await alice.wait_for_message(lambda message: "1 of 2 checks ended" in message.text)
    await tell("failed", ("lint", "passed"), ("test", "failed"))
    await tell("passed", ("lint", "passed"), ("test", "passed"), commit="fedcba7654321")

    async def edited() -> bool:
        found = [each for each in await alice.messages(first.channel_id) if "have passed" in each.text]
        return [each.id for each in found] == [first.id]

    await until(edited, "the same message, edited")

"""A linked repository by the faces: the commands, the doctor; with a real server, nothing replaced."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest

from bot.cli.githubcheck import check_github
from config.loader import load
from core.domain.event import EventKind
from core.domain.github import LinkState
from core.errors import NotAllowed, NotFound
from core.github.api.trouble import GithubGone, GithubUnauthorized
from core.runtime import open_runtime
from tests.waiting import until

pytestmark = pytest.mark.timeout(120)
SECRET = "the secret that both of them know"


@pytest.fixture
def orchard(quick_farm, github_server):
    """`async with orchard() as runtime`: an Orchard with the project calc and a token, not linked."""

    @asynccontextmanager
    async def running(token="good-token", **github):
        quick_farm.global_settings = {"github": {"api_url": github_server.api_url, "poll_seconds": 3600}}
        if github:
            quick_farm.own_settings["calc"] = {"github": github}
        quick_farm.write()
        environ = {"GITHUB_WEBHOOK_SECRET": SECRET} | ({"GITHUB_TOKEN": token} if token else {})
        async with open_runtime(lambda: load(quick_farm.root, environ=environ)) as runtime:
            yield runtime

    quick_farm.add("calc")
    return running


async def taken_up(runtime):
    async def linked():
        views = await runtime.commands.repositories()
        return [view for view in views if view.link.synced_at is not None]

    return (await until(linked))[0]


async def test_linked_synced_shown_hooked_and_unlinked(orchard, github_server):
    repository = github_server.repo("acme/shop")
    repository.grant("orch-bot", "admin")
    issue = repository.add_issue("Divide", "- [ ] divides", labels=["orchard"], author="mia")
    async with orchard() as runtime:
        commands = runtime.commands
        assert await commands.repositories() == ()
        assert github_server.requests == []  # without a link nothing is asked
        view = await commands.link_repository("calc", f"{github_server.url}/acme/shop", actor="cli")
        assert (view.link.state, view.link.repository) == (LinkState.LINKED, "acme/shop")
        assert (await taken_up(runtime)).issues == 1
        (story,) = await commands.stories("calc")
        assert [(one.what, one.number) for one in story.addresses] == [("issue", issue.number)]

        repository.add_issue("Multiply", "", labels=["orchard"], author="mia")
        synced = await commands.sync_repository("calc", actor="cli")
        assert synced.view.issues == 2
        # The first story changed the project's state, so there was another look, which may have been quicker.
        looks = [each for each in await commands.events(limit=500) if each.kind is EventKind.GITHUB_SYNCED]
        assert [each.data["added"] for each in looks if each.data["added"]] == [1, 1]

        for _ in range(2):
            made = await commands.repository_hook("calc", "https://orchard.example.org/", True)
        assert made.secret == "GITHUB_WEBHOOK_SECRET"
        (hook,) = repository.hooks.values()
        assert (hook.url, hook.secret) == ("https://orchard.example.org/webhooks/github", SECRET)
        assert "push" in hook.events
        assert SECRET not in str(made)

        assert await commands.unlink_repository("calc", actor="cli") == "acme/shop"
        with pytest.raises(NotFound):
            await commands.repositories("calc")
        kinds = {event.kind for event in await commands.events(limit=500)}
        assert {EventKind.GITHUB_LINKED, EventKind.GITHUB_UNLINKED} <= kinds
        audited = [str(entry.data) for entry in await commands.audit_entries(50)]
        assert any("github_linked" in each and "acme/shop" in each for each in audited)


async def test_what_github_refuses_links_nothing_and_says_why(orchard, github_server):
    async with orchard() as runtime:
        with pytest.raises(GithubGone, match="acme/nowhere"):
            await runtime.commands.link_repository("calc", "acme/nowhere", actor="cli")
        assert await runtime.commands.repositories() == ()
    async with orchard(token="") as runtime:
        with pytest.raises(GithubUnauthorized):
            await runtime.commands.link_repository("calc", "acme/shop", actor="cli")
        assert await runtime.commands.repositories() == ()


async def test_what_the_settings_link_is_theirs_and_a_rename_is_followed(orchard, github_server):
    async with orchard(repository="acme/shop") as runtime:
        commands = runtime.commands
        await taken_up(runtime)
        github_server.rename_repository("acme/shop", "acme/store")
        runtime.nudge_github("calc")

        async def renamed():
            return (await commands.repositories("calc"))[0].link.repository == "acme/store"

        await until(renamed)
        with pytest.raises(NotAllowed, match="settings link"):
            await commands.unlink_repository("calc", actor="cli")
        with pytest.raises(NotAllowed, match="settings link"):
            await commands.link_repository("calc", "acme/other", actor="cli")
    async with orchard(repository="acme/shop") as runtime:  # by its old name it is no other
        await taken_up(runtime)
        events = await runtime.commands.events(limit=500)
        assert sum(event.kind is EventKind.GITHUB_LINKED for event in events) == 1


async def test_trouble_is_told_once_and_mends_itself(orchard, github_server):
    async with orchard(repository="acme/shop") as runtime:
        await taken_up(runtime)
        github_server.revoke("good-token")
        runtime.nudge_github("calc")

        async def state():
            return (await runtime.commands.repositories("calc"))[0].link.state

        async def refused():
            return await state() is LinkState.UNAUTHORIZED

        await until(refused)
        for _ in range(3):
            runtime.nudge_github("calc")
            await asyncio.sleep(0.05)
        github_server.add_token("good-token", "orch-bot")

        async def back():
            runtime.nudge_github("calc")
            return await state() is LinkState.LINKED

        await until(back)
        kinds = [event.kind for event in await runtime.commands.events(limit=500)]
        assert kinds.count(EventKind.GITHUB_TROUBLED) == 1
        assert kinds.count(EventKind.GITHUB_RECOVERED) == 1


async def test_doctor_says_what_the_token_may(quick_farm, github_server):
    quick_farm.add("calc")
    quick_farm.global_settings = {"github": {"api_url": github_server.api_url}}

    async def asked(token, repository):
        quick_farm.own_settings["calc"] = {"github": {"repository": repository}}
        quick_farm.write()
        found = load(quick_farm.root, environ={"GITHUB_TOKEN": token} if token else {})
        return {check.name: check for check in await check_github(found, quick_farm.root)}

    well = await asked("good-token", "acme/shop")
    assert (well["github"].state, well["github calc"].state) == ("ok", "ok")
    assert "orch-bot" in well["github"].found
    assert (await asked("bad-token", "acme/shop"))["github"].state == "missing"
    assert (await asked("good-token", "acme/nowhere"))["github calc"].state == "missing"
    assert "GITHUB_TOKEN" in (await asked("", "acme/shop"))["github"].mend
    github_server.repo("acme/shop").grant("orch-bot", "read")
    assert "may not push" in (await asked("good-token", "acme/shop"))["github calc"].found


async def test_what_a_project_is_asked_with_is_its_own(orchard, quick_farm, github_server):
    github_server.add_token("own-token", "shop-bot")
    shop = github_server.repo("acme/shop")
    shop.grant("shop-bot", "write")

    async def examined():
        configuration = load(quick_farm.root, environ={})
        return {check.name: check for check in await check_github(configuration, quick_farm.root)}

    async with orchard(token="", repository="acme/shop", token_secret="GH") as runtime:
        await runtime.commands.set_secret("calc", "GH", "own-token")
        runtime.nudge_github("calc")
        keeping = (await taken_up(runtime)).keeping
        assert keeping.rate.credential == "the secret GH of calc"
        assert keeping.rate.remaining is not None
        await runtime.monitoring.look()
        (allowed,) = runtime.monitoring.readings.latest("github_rate_remaining")
        assert (allowed.project, allowed.source) == ("calc", "github")
        assert 0 < allowed.value <= keeping.rate.remaining  # more may have been asked meanwhile
        beside = await examined()
    alone = await examined()
    for found in (beside, alone):
        assert "github" not in found  # nobody needs GITHUB_TOKEN here
        assert (found["github calc"].state, found["github calc"].found) == (
            "ok",
            "acme/shop answers to the secret GH of calc",
        )
    shop.grant("shop-bot", "read")
    assert "may not push" in (await examined())["github calc"].found
    github_server.revoke("own-token")
    assert (await examined())["github calc"].state == "missing"

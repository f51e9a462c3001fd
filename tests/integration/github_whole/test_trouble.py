"""Repositories that change under a story that waits for its pull request: people are told once, nothing is
lost or doubled, and it goes on when it is mended."""

from __future__ import annotations

from typing import Any

import pytest

from core.domain.event import EventKind
from core.domain.github import LinkState
from core.github.pulls import watch
from core.orchestrator import pauses

pytestmark = pytest.mark.timeout(180)

TROUBLED, RECOVERED = EventKind.GITHUB_TROUBLED, EventKind.GITHUB_RECOVERED


async def test_main_that_was_force_pushed_waits_until_it_is_mended(
    whole: Any, git_in: Any, farm: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pauses, "_PUT_OFF_SECONDS", 0.5)
    async with whole() as each:
        repository, folder = each.repository, farm.projects["calc"]
        pull = await each.pulled()
        before = repository.head()
        repository.force_push("main", {"README.md": "rewritten"})
        each.pass_checks()
        (told,) = await each.until_told(TROUBLED)
        assert told.data["state"] == "rewritten"
        assert before[:10] in told.data["text"]
        repository.comment(1, "What now?", "mia")
        repository.set_check(pull.head_sha, "more", "success")
        await each.server.deliveries.settled()
        assert git_in(folder, "rev-parse", "main") == before
        repository.git.run("update-ref", "refs/heads/main", before)
        repository.look_at_heads(None)

        def landed() -> object:  # it is proven anew where the main branch was another meanwhile
            each.pass_checks()
            return pull.merged_at

        await each.until(landed)
        await each.until_told(RECOVERED)
        assert len(await each.told(TROUBLED)) == 1
        assert len(await each.until_told(EventKind.STORY_MERGED)) == 1
        assert git_in(folder, "rev-parse", "main") == repository.head()


async def test_pull_request_goes_on_when_its_base_was_renamed_and_named_as_before(whole: Any) -> None:
    async with whole() as each:
        repository = each.repository
        pull = await each.pulled()
        repository.rename_branch("main", "trunk")
        (told,) = await each.until_told(EventKind.STORY_BLOCKED)
        assert "trunk" in told.data["reason"]
        each.pass_checks()
        await each.server.deliveries.settled()
        assert pull.merged_at is None
        repository.rename_branch("trunk", "main")
        await each.until(lambda: pull.merged_at)
        await each.until_told(EventKind.STORY_MERGED)
        assert len(await each.told(EventKind.STORY_BLOCKED)) == 1


async def test_branch_that_somebody_else_forced_is_left_alone_until_it_is_orchards_again(
    whole: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "_GITHUB_LAGS_SECONDS", 0)
    async with whole() as each:
        repository = each.repository
        pull = await each.pulled()
        ours = pull.head_sha
        theirs = repository.force_push(pull.head, {"theirs.py": "x = 1\n"})
        (told,) = await each.until_told(EventKind.STORY_BLOCKED)
        assert theirs[:12] in told.data["reason"]
        assert repository.head(pull.head) == theirs
        repository.git.run("update-ref", f"refs/heads/{pull.head}", ours)
        repository.look_at_heads(None)
        each.pass_checks()
        await each.until(lambda: pull.merged_at)
        await each.until_told(EventKind.STORY_MERGED)
        assert len(await each.told(EventKind.STORY_BLOCKED)) == 1


async def test_permission_that_is_lost_before_the_push_is_told_once(whole: Any) -> None:
    async with whole() as each:
        repository = each.repository
        repository.add_issue("Multiply", "- [ ] multiply(6, 2) is 12\n", labels=["orchard"], author="mia")
        await each.taken_in()
        repository.grant("orch-bot", "read")
        await each.sprint()
        (told,) = await each.until_told(TROUBLED)
        assert told.data["state"] == LinkState.FORBIDDEN
        refused = len([seen for seen in each.server.git.seen if seen.status == 403])
        await each.until(
            lambda: len([seen for seen in each.server.git.seen if seen.status == 403]) > refused + 1
        )
        assert len(await each.told(TROUBLED)) == 1
        assert not await each.told(RECOVERED)
        repository.grant("orch-bot", "write")
        await each.until(repository.open_pulls)
        await each.until_told(RECOVERED)


async def test_stories_land_directly_where_no_pull_request_is_wanted(
    whole: Any, git_in: Any, farm: Any
) -> None:
    async with whole(deliver="direct") as each:
        repository, folder = each.repository, farm.projects["calc"]
        issue = repository.add_issue("Multiply", "- [ ] it works\n", labels=["orchard"], author="mia")
        await each.taken_in()
        theirs = repository.commit("main", {"theirs.txt": "meanwhile\n"})
        repository.protect("main", checks=("ci",))
        await each.sprint()
        (told,) = await each.until_told(EventKind.STORY_BLOCKED)
        assert "ci" in told.data["reason"]
        assert repository.head() == theirs
        repository.protections.clear()
        await each.orchard.runtime.commands.suggest_fix(
            told.story_id, "It is not protected any more.", actor="cli"
        )
        await each.until(lambda: issue.state == "closed")
        head = repository.head()
        assert head == git_in(folder, "rev-parse", "main")
        assert repository.git.is_ancestor(theirs, head)
        assert not [one for one in repository.issues.values() if one.pull]
        await each.until(lambda: head[:7] in "".join(each.comments(issue)))
        assert len(each.comments(issue)) == 1

"""Stories of linked projects on their way to a main branch elsewhere, by real workers and git over HTTP.

The part of GitHub's API is played here by hand: `pulls` says what it would have said.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from core.domain.event import EventKind
from core.domain.github import Check, CheckConclusion, PullState, ReviewState
from core.errors import LostRace, Unavailable
from core.orchestrator.publishing import Publishing
from core.orchestrator.remote_access import NoRemotes
from core.store import github_links, pulls
from core.worker.remote_contract import PushEnd, PushReport, Remote
from tests.integration.git_host import GitHost
from tests.waiting import until

pytestmark = pytest.mark.timeout(180)  # many things in a row, on a machine that may be busy


class Linked:
    """Every project's repository is `o/<project>`; all of one host."""

    def __init__(self, host: GitHost) -> None:
        self.host = host
        self.wrong: set[str] = set()  # projects whose credential was revoked

    async def remote(self, project: str) -> Remote | None:
        token = {"token": "ghp_revokedrevokedrevokedrevoked"} if project in self.wrong else {}
        return self.host.remote(f"o/{project}", **token)


class Side:
    """A running Orchard beside the host."""

    def __init__(self, orchard: Any, farm: Any, host: GitHost, git_in: Any) -> None:
        self.orchard, self.farm, self.host, self.git_in = orchard, farm, host, git_in
        self.dispatcher = orchard.runtime.commands._engine._dispatcher
        self.publishing: Publishing = self.dispatcher.publishing
        self.publishing.access = self.linked = Linked(host)
        self.store = self.publishing._store

    def there(self, project: str) -> Path:
        return self.host.folder / f"o/{project}.git"

    def main(self, project: str) -> tuple[str, str]:
        """Of here and there."""
        here = self.git_in(self.farm.projects[project], "rev-parse", "main")
        return here, self.host.heads(self.there(project))["main"]

    def subjects(self, project: str) -> list[str]:
        return self.git_in(self.there(project), "log", "--reverse", "--format=%s", "main").splitlines()

    async def until(self, kind: EventKind, story: str | None = None) -> Any:
        return await self.orchard.until(kind, story=story)

    async def pull(self, story: str, state: PullState) -> Any:
        """Once it is in that state."""

        async def there() -> Any:
            found = await self.store.read(lambda conn: pulls.find(conn, story))
            return found if found is not None and found.state is state else None

        return await until(there, f"the pull request of {story} {state}")

    async def open(self, story: str, number: int) -> Any:
        """What looks after pull requests does: pushed, opened, a check begun."""
        pull = await self.pull(story, PullState.WANTED)
        report = await self.publishing.push_story(pull)
        assert report.end is PushEnd.PUSHED
        url = f"https://github.test/o/pull/{number}"
        await self.store.write(
            lambda tx: pulls.opened(tx, story, head=pull.candidate, number=number, url=url)
        )
        await self.look(story, CheckConclusion.RUNNING)
        return pull

    async def look(self, story: str, lint: CheckConclusion) -> None:
        checks = [
            Check(name="tests", conclusion=CheckConclusion.PASSED, summary="", url=""),
            Check(name="lint", conclusion=lint, summary="", url=""),
        ]

        def write(tx: Any) -> None:
            head = pulls.get(tx.conn, story).head
            waits = "waits for the checks; next when lint is done."
            pulls.looked(
                tx, story, head=head, checks=checks, review=ReviewState.NONE, approvals=0, waits=waits
            )
            if lint is CheckConclusion.PASSED:
                pulls.landable(tx, story, head=head)

        await self.store.write(write)
        self.dispatcher.wake()


def is_said(side: Side, story: str, said: str) -> bool:
    return said in side.dispatcher.why(story)


@pytest.fixture
def host(tmp_path: Path) -> Iterator[GitHost]:
    made = GitHost(tmp_path / "host")
    yield made
    made.close()


def add(farm: Any, host: GitHost, git_in: Any, *names: str, **github: str) -> None:
    for name in names:
        checkout = farm.add(name)
        git_in(checkout, "push", "-q", str(host.create(f"o/{name}")), "main")
        farm.own_settings[name] = {"github": github}


async def test_direct_a_push_that_comes_too_late_is_proven_again_and_trouble_ends_by_itself(
    quick_farm: Any, host: GitHost, git_in: Any
) -> None:
    add(quick_farm, host, git_in, "late", "apart", "denied", deliver="direct")
    quick_farm.settings = {"ai_settings": {"require_human_review": False}}
    async with quick_farm.running() as orchard:
        side = Side(orchard, quick_farm, host, git_in)
        push_main = side.publishing.push_main
        late: list[str] = []

        async def overtaken(project: str, *arguments: Any) -> PushReport:
            if project == "late" and not late:
                late.append(host.commit(side.there("late"), "main", {"theirs.txt": "theirs\n"}))
            return await push_main(project, *arguments)

        side.publishing.push_main = overtaken  # type: ignore[method-assign]
        host.commit(side.there("apart"), "main", {"theirs.txt": "theirs\n"})
        own = Path(quick_farm.projects["apart"])
        (own / "own.txt").write_text("own\n")
        git_in(own, "add", "own.txt")
        git_in(own, "commit", "-q", "-m", "Own")
        side.linked.wrong.add("denied")
        host.hook(side.there("denied"), "echo 'error: GH006: not through here' >&2; exit 1")
        taking, go = quick_farm.root / "taking", quick_farm.root / "go"
        host.hook(side.there("late"), f"touch {taking}; while ! test -e {go}; do sleep 0.02; done")
        for project in quick_farm.projects:
            await orchard.sprint(project, "Multiply")

        await until(taking.exists)
        os.kill(side.dispatcher.supervisor._workers["late"].handle.pid, signal.SIGKILL)
        go.touch()  # the push takes effect, and whoever made it is gone
        await side.until(EventKind.STORY_MERGED, "late-1")
        assert side.subjects("late") == ["First commit", "Elsewhere: theirs.txt", "Multiply"]
        here, there = side.main("late")
        assert here == there

        told = await side.until(EventKind.GITHUB_TROUBLED)
        assert (told.project, told.data["state"]) == ("apart", "diverged")
        for story, said in (("apart-1", "have gone apart"), ("denied-1", "refuses Orchard's credential")):
            await until(partial(is_said, side, story, said), said)
        git_in(own, "reset", "-q", "--hard", "HEAD~1")
        side.linked.wrong.clear()
        side.dispatcher.nudge("apart-1")
        side.dispatcher.nudge("denied-1")
        await side.until(EventKind.STORY_MERGED, "apart-1")
        blocked = await side.until(EventKind.STORY_BLOCKED, "denied-1")
        assert "GH006: not through here" in blocked.data["reason"]
        assert side.subjects("denied") == ["First commit"]
        events = await orchard.runtime.commands.events(limit=1000)
        kinds = [event.kind for event in events if event.project == "apart"]
        assert kinds.count(EventKind.GITHUB_TROUBLED) == kinds.count(EventKind.GITHUB_RECOVERED) == 1


async def test_a_pull_request_waits_for_its_checks_and_lands_also_when_the_main_branch_moved(
    quick_farm: Any, host: GitHost, git_in: Any
) -> None:
    add(quick_farm, host, git_in, "calc")
    quick_farm.settings = {"ai_settings": {"require_human_review": False}}
    async with quick_farm.running() as orchard:
        side = Side(orchard, quick_farm, host, git_in)
        one, two, three = await orchard.sprint("calc", "Multiply", "Subtract", "Divide")
        first, second = await side.open(one, 11), await side.open(two, 12)
        third = await side.open(three, 13)
        base = side.main("calc")[1]
        assert git_in(side.there("calc"), "rev-parse", f"{second.candidate}^") == base  # not on the other
        await until(partial(is_said, side, two, "the checks"))
        explained = await orchard.runtime.commands.why(two)
        assert explained.sentence == "waits for the checks; next when lint is done."
        assert any("pull/12" in detail for detail in explained.details)
        with pytest.raises(LostRace):
            await side.store.write(lambda tx: pulls.landable(tx, one, head="another"))

        await side.look(one, CheckConclusion.PASSED)
        await side.until(EventKind.STORY_MERGED, one)
        assert side.main("calc") == (first.candidate, first.candidate)  # the commit whose checks passed

        theirs = host.commit(side.there("calc"), "main", {"theirs.txt": "theirs\n"})
        await side.look(two, CheckConclusion.PASSED)
        await side.until(EventKind.STORY_MERGED, two)
        here, there = side.main("calc")
        assert here == there == host.heads(side.there("calc"))[f"orchard/{two}"]
        assert git_in(side.there("calc"), "rev-parse", "main^") == theirs
        found = await side.pull(two, PullState.MERGED)
        assert (found.merge_commit, found.head, found.number) == (there, there, 12)

        # By hand, and nobody has looked yet.
        merged = host.squash(side.there("calc"), third.candidate, onto="main")
        await side.look(three, CheckConclusion.PASSED)
        await side.until(EventKind.STORY_MERGED, three)
        assert side.main("calc") == (merged, merged)
        await side.until(EventKind.SPRINT_FINISHED)


async def test_what_would_run_elsewhere_with_its_secrets_is_seen_by_a_person_before_it_is_pushed(
    quick_farm: Any, host: GitHost, git_in: Any
) -> None:
    add(quick_farm, host, git_in, "calc")
    workflow = {"path": ".github/workflows/ci.yml", "text": "on: push\n"}
    quick_farm.script["stories"]["Multiply"]["code_green"].append({"write": workflow})
    async with quick_farm.running() as orchard:
        side = Side(orchard, quick_farm, host, git_in)
        (story,) = await orchard.sprint("calc", "Multiply")
        asked = await side.until(EventKind.APPROVAL_REQUESTED, story)
        assert asked.data["reasons"] == ["touches continuous integration: .github/workflows/ci.yml"]
        assert await side.store.read(lambda conn: pulls.find(conn, story)) is None
        assert set(host.heads(side.there("calc"))) == {"main"}
        await orchard.runtime.commands.answer_approval(asked.data["approval"], True, actor="cli")
        await side.open(story, 1)
        assert set(host.heads(side.there("calc"))) == {"main", f"orchard/{story}"}


async def test_a_rebased_one_that_the_branch_s_rules_refuse_waits_for_its_new_checks(
    quick_farm: Any, host: GitHost, git_in: Any
) -> None:
    add(quick_farm, host, git_in, "calc")
    quick_farm.settings = {"ai_settings": {"require_human_review": False}}
    async with quick_farm.running() as orchard:
        side = Side(orchard, quick_farm, host, git_in)
        (story,) = await orchard.sprint("calc", "Multiply")
        pull = await side.open(story, 7)
        green = side.there("calc") / "green"
        green.write_text(f"{pull.candidate}\n")
        host.commit(side.there("calc"), "main", {"theirs.txt": "theirs\n"})
        host.hook(
            side.there("calc"),
            f'test "$1" != refs/heads/main || grep -q "^$3$" {green} || '
            "{ echo 'error: GH006: Required status check \"lint\" is expected.' >&2; exit 1; }",
        )
        await side.look(story, CheckConclusion.PASSED)

        async def pushed_again() -> Any:
            found = await side.pull(story, PullState.OPEN)
            return found if found.head != pull.head else None

        again = await until(pushed_again)
        assert again.candidate == again.head
        assert again.checks == ()
        green.write_text(f"{again.head}\n")
        await side.look(story, CheckConclusion.PASSED)
        await side.until(EventKind.STORY_MERGED, story)
        assert side.main("calc") == (again.head, again.head)


async def test_who_is_sent_back_skipped_or_unlinked_waits_for_no_pull_request(
    quick_farm: Any, host: GitHost, git_in: Any
) -> None:
    add(quick_farm, host, git_in, "calc")
    quick_farm.settings = {"ai_settings": {"require_human_review": False}}
    async with quick_farm.running() as orchard:
        side, commands = Side(orchard, quick_farm, host, git_in), orchard.runtime.commands
        stays, skipped = await orchard.sprint("calc", "Multiply", "Subtract")
        await side.open(stays, 1)
        await side.open(skipped, 2)
        await commands.skip_story(skipped, "not wanted", actor="cli")
        assert (await side.pull(skipped, PullState.CLOSED)).number == 2

        await side.store.write(lambda tx: github_links.put(tx, "calc", "o/calc", by="cli", configured=False))
        side.publishing.access = NoRemotes()  # as in the first moment, before links are known
        with pytest.raises(Unavailable, match="not reached yet"):
            await side.publishing.landing("calc")
        assert await side.publishing.give_up_stale() == ()
        await side.store.write(lambda tx: github_links.remove(tx, "calc"))
        await side.publishing.give_up_stale()  # where the reconciler has not done so a moment ago
        given_up = await side.store.read(lambda conn: pulls.get(conn, stays))
        assert given_up.state in (PullState.CLOSED, PullState.MERGED)
        side.dispatcher.wake()
        await side.until(EventKind.STORY_MERGED, stays)  # as a project does that is linked with nothing
        assert side.subjects("calc") == ["First commit"]
        assert git_in(quick_farm.projects["calc"], "log", "-1", "--format=%s", "main") == "Multiply"

"""SIGKILL of Orchard while it works with a repository at GitHub: nothing is lost there, nothing is doubled.

One Orchard, three projects, in two rounds: killed when GitHub has done what it was asked for and nobody knows
it yet, killed again when the main branch moves and when the issue is closed. Each test looks at one project
afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.github_server.faults import Fault
from tests.github_server.repository import Repository
from tests.github_server.server import Apart, GithubServer, apart

pytestmark = pytest.mark.timeout(600)

# What GitHub has done, and does not answer.
FIRST = {
    "opened": Fault(method="POST", path="acme/opened/pulls$", hang_after=True),
    "told": Fault(method="POST", path="acme/told/issues/1/comments$", hang_after=True),
}
SECOND = {"told": Fault(method="PATCH", path="acme/told/issues/1$", hang_after=True)}  # it is closed
# Where Orchard itself is held.
HELD_FIRST = {"pushed": "after-push"}  # its branch is there
WAITS = {"opened": "before-fast_forward", "told": "before-fast_forward"}  # for the others, if it is ahead
HELD_SECOND = {"opened": "after-fast_forward"}  # the main branches have moved
PROJECTS = (*FIRST, *HELD_FIRST)


@dataclass
class Aftermath:
    orchard: Any
    github: Apart

    def look(self, project: str, look: Callable[[Repository], Any]) -> Any:
        return self.github.do(lambda server: look(server.repo(f"acme/{project}")))


def hold(orchard: Any, project: str, point: str) -> None:
    (orchard.root / "hold" / project).mkdir(parents=True, exist_ok=True)
    (orchard.root / "hold" / project / point).touch()


def release(orchard: Any) -> None:
    for wish in (orchard.root / "hold").glob("*/*"):
        wish.unlink()
    for held in (orchard.root / "held").glob("*"):
        held.unlink()


def is_unanswered(server: GithubServer, fault: Fault) -> bool:
    return any(fault.fits_path(seen.path) and not seen.status for seen in server.asked(fault.method))


def run_checks(server: GithubServer) -> bool:
    """Sets what is missing; whether every project has its pull request."""
    repositories = [server.repo(f"acme/{project}") for project in PROJECTS]
    for repository in repositories:
        for pull in repository.open_pulls():
            if not repository.checks_of(pull.head_sha):
                repository.set_check(pull.head_sha, "ci")
    return all(_pulls(each) for each in repositories)


def _pulls(repository: Repository) -> list[Any]:
    return [issue.pull for issue in repository.issues.values() if issue.pull]


@pytest.fixture(scope="module")
def aftermath(
    new_orchard: Callable[[], Any],
    play_honestly: Callable[[], dict[str, list[Any]]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Aftermath]:
    orchard = new_orchard()
    with apart(tmp_path_factory.mktemp("github")) as github:
        (orchard.root / ".env").write_text("GITHUB_TOKEN=good-token\n")
        orchard.global_settings["github"] = {
            "api_url": github.server.api_url,
            "poll_seconds": 1,
            "request_seconds": 3,  # what one credential changes goes one by one: others wait for what hangs
        }
        github.do(lambda server: server.add_token("good-token", "orch-bot"))
        for project in PROJECTS:
            folder: Path = orchard.add(project)
            orchard.own_settings[project] = {"github": {"repository": f"acme/{project}"}}
            github.do(lambda server, project=project, folder=folder: _set_up(server, project, folder))
        orchard.play({"*": play_honestly()})
        for project, point in (*HELD_FIRST.items(), *WAITS.items()):
            hold(orchard, project, point)
        for fault in FIRST.values():
            github.do(lambda server, fault=fault: server.fail(fault))
        orchard.start()
        _begin(orchard)
        early = {project: fault for project, fault in FIRST.items() if project != "told"}
        _wait_until_all_are_there(orchard, github, early, HELD_FIRST)
        (orchard.root / "hold" / "told" / WAITS["told"]).unlink()
        _kill_when_all_are_there(orchard, github, FIRST, HELD_FIRST)
        for project, point in HELD_SECOND.items():
            hold(orchard, project, point)
        for fault in SECOND.values():
            github.do(lambda server, fault=fault: server.fail(fault))
        orchard.start()
        orchard.wait_until(lambda: github.do(run_checks), "pull requests of all")
        _kill_when_all_are_there(orchard, github, SECOND, HELD_SECOND)
        orchard.start()
        for project in PROJECTS:
            orchard.wait_for_event("story_merged", f"{project}-1")
            orchard.wait_until(
                lambda project=project: github.do(lambda server: _is_told(server, project)), f"{project} told"
            )
        orchard.terminate()
        yield Aftermath(orchard=orchard, github=github)


def _set_up(server: GithubServer, project: str, folder: Path) -> None:
    repository = server.add_repository(f"acme/{project}", of=folder)
    repository.grant("orch-bot", "write")
    repository.add_issue("Double", "- [ ] it doubles\n", labels=["orchard"], author="mia")


def _begin(orchard: Any) -> None:
    orchard.wait_until(
        lambda: len(orchard.rows("SELECT id FROM stories")) >= len(PROJECTS), "issues taken in"
    )

    async def begin(commands: Any) -> None:
        for project in PROJECTS:
            await commands.plan_sprint(project, actor="cli")
            await commands.start_sprint(project, actor="cli")

    orchard.ask(begin)


def _wait_until_all_are_there(
    orchard: Any, github: Apart, faults: dict[str, Fault], held: dict[str, str]
) -> None:
    def there() -> bool:
        github.do(run_checks)
        unanswered = all(github.do(lambda server, f=f: is_unanswered(server, f)) for f in faults.values())
        return unanswered and all((orchard.root / "held" / project).exists() for project in held)

    orchard.wait_until(there, f"{[*faults, *held]} are at their points")


def _kill_when_all_are_there(
    orchard: Any, github: Apart, faults: dict[str, Fault], held: dict[str, str]
) -> None:
    _wait_until_all_are_there(orchard, github, faults, held)
    orchard.kill()
    release(orchard)


def _is_told(server: GithubServer, project: str) -> bool:
    repository = server.repo(f"acme/{project}")
    done = repository.head()[:7]
    issue = repository.issues[1]
    return issue.state == "closed" and any(done in comment.body for comment in issue.comments)


@pytest.mark.parametrize("project", PROJECTS)
def test_story_is_merged_once_and_told_once(
    aftermath: Aftermath, project: str, git: Callable[..., str]
) -> None:
    orchard = aftermath.orchard
    pulls = aftermath.look(project, _pulls)
    assert [pull.merged_at is not None for pull in pulls] == [True]
    comments = aftermath.look(project, lambda each: [c.author.login for c in each.issues[1].comments])
    assert comments == ["orch-bot"]
    assert len(orchard.events("story_merged", f"{project}-1")) == 1
    assert [row["id"] for row in orchard.rows("SELECT id FROM stories WHERE project = ?", project)] == [
        f"{project}-1"
    ]
    folder = orchard.projects[project]
    assert git(folder, "rev-parse", "main") == aftermath.look(project, lambda each: each.head())
    assert git(folder, "rev-list", "--count", "--no-merges", "main") == "2"

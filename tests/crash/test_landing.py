"""SIGKILL on the way to a main branch elsewhere: whatever was pushed, and whoever knows of it, each story
lands once, and both sides are the same.

Killed twice, in each project at two of the six points. `taken` is first killed while the other side takes the
push: it takes effect when nobody is there any more to hear of it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from core.orchestrator.commands import Commands
from tests.integration.git_host import GitHost

pytestmark = pytest.mark.timeout(600)

POINTS = {
    "pushed": (
        "before-push",  # the candidate is stored, and nothing was pushed
        "after-push",  # the main branch there has moved, and nobody wrote it down
    ),
    "taken": ("", "after-fast_forward"),  # so has the one here, and nobody knows
    "pulled": ("after-push", "before-fast_forward"),  # of its branch; of the main branch
}
FILES = {
    "run-tests.sh": (
        "{ echo '<testsuite>'; for file in tests/*.sh; do sh $file 2>/dev/null &&"
        " echo \"<testcase classname='tests' name='$file'/>\" || {"
        " echo \"<testcase classname='tests' name='$file'><failure message='no'/></testcase>\"; code=1; };"
        ' done; echo "</testsuite>"; } > "$1"\nexit ${code:-0}\n'
    ),
    "tests/base.sh": "exit 0\n",
}
SCRIPT: dict[str, list[Any]] = {
    "test_red": [{"write": {"path": "tests/one.sh", "text": "test -f one.txt\n"}}],
    "code_green": [{"write": {"path": "one.txt", "text": "one\n"}}],
    "refactor": [{"say": "Nothing to say better."}],
}


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GitHost]:
    made = GitHost(tmp_path_factory.mktemp("host"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def orchard(new_orchard: Callable[[], Any], host: GitHost, git: Callable[..., str]) -> Any:
    orchard = new_orchard()
    orchard.settings = {"ai_settings": {"require_human_review": False}}
    remotes = {}
    for project in POINTS:
        there = host.create(project)
        git(orchard.add(project, FILES), "push", "-q", str(there), "main")
        remote = host.remote(project)
        remotes[project] = {"repository": project, "url": remote.url, "header": remote.header}
        deliver = "pull_request" if project == "pulled" else "direct"
        orchard.own_settings[project] = {"github": {"deliver": deliver}}
    (orchard.root / "remotes.json").write_text(json.dumps(remotes))
    held, go = orchard.root / "held", orchard.root / "go"
    taken = host.folder / "taken.git"
    host.hook(taken, f"mkdir -p {held}; touch {held}/taken; while ! test -e {go}; do sleep 0.02; done")
    orchard.play({"one": SCRIPT})
    orchard.before = []
    for turn in range(2):
        for project, points in POINTS.items():
            if points[turn]:
                (orchard.root / "hold" / project).mkdir(parents=True, exist_ok=True)
                (orchard.root / "hold" / project / points[turn]).touch()
        orchard.start()
        if turn == 0:
            orchard.ask(_begin)
        for project in POINTS:
            orchard.wait_until(lambda project=project: (held / project).exists(), f"{project} held")
        orchard.kill()
        orchard.wait_until_nothing_is_left()
        for mark in (*(orchard.root / "hold").glob("*/*"), *held.iterdir()):
            mark.unlink()
        go.touch()
        orchard.wait_until(
            lambda: len(_commits(host, taken)) == 2, "the push that nobody waits for took effect"
        )
        orchard.before.append({name: _commits(host, host.folder / f"{name}.git") for name in POINTS})
    orchard.start()
    for project in POINTS:
        orchard.wait_for_event("story_merged", f"{project}-1")
    orchard.wait_until(lambda: not any((orchard.state / "worktrees").glob("*/*-*")), "worktrees are removed")
    orchard.terminate()
    return orchard


async def _begin(commands: Commands) -> None:
    for project in POINTS:
        await commands.add_story(project, "one", acceptance_criteria=("it is there",), actor="cli")
        await commands.plan_sprint(project, actor="cli")
        await commands.start_sprint(project, actor="cli")


def _commits(host: GitHost, path: Path) -> list[str]:
    return host.git(path, "rev-list", "--reverse", "main").splitlines()


def test_the_points_were_where_they_should_be(orchard: Any) -> None:
    there = [{name for name, commits in before.items() if len(commits) == 2} for before in orchard.before]
    assert there == [{"taken"}, {"taken", "pushed", "pulled"}]


@pytest.mark.parametrize("project", POINTS)
def test_each_story_lands_once_and_both_sides_are_the_same(
    orchard: Any, host: GitHost, project: str, git: Callable[..., str]
) -> None:
    there = _commits(host, host.folder / f"{project}.git")
    checkout = orchard.projects[project]
    assert git(checkout, "rev-list", "--reverse", "main").splitlines() == there
    assert len(there) == 2
    for before in orchard.before:
        assert there[: len(before[project])] == before[project]  # what was pushed, stayed
    (row,) = orchard.rows("SELECT merge_commit FROM cycles WHERE project = ?", project)
    assert row["merge_commit"] == there[1]
    assert len(orchard.events("story_merged", f"{project}-1")) == 1
    assert git(checkout, "status", "--porcelain") == ""
    query = "SELECT passed FROM gates WHERE phase = 'commit' AND story_id = ?"
    assert [gate["passed"] for gate in orchard.rows(query, f"{project}-1")] == [1]


def test_a_pull_request_is_landed_as_it_was_pushed(orchard: Any, host: GitHost) -> None:
    (pull,) = orchard.rows("SELECT * FROM pulls")
    heads = host.heads(host.folder / "pulled.git")
    assert heads == {"main": pull["merge_commit"], "orchard/pulled-1": pull["head"]}
    assert (pull["state"], pull["head"]) == ("merged", pull["merge_commit"])


def test_nothing_is_left_open(orchard: Any) -> None:
    orchard.wait_until_nothing_is_left()
    assert orchard.rows("SELECT * FROM leases WHERE released_at IS NULL") == []
    assert orchard.rows("SELECT * FROM merges WHERE state = 'open'") == []
    assert orchard.events("story_blocked") == []
    assert orchard.events("github_troubled") == []

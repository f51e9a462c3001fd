from __future__ import annotations

import logging
from datetime import UTC, datetime
from pathlib import Path

import pytest

from core.errors import InvalidInput
from core.projects.discovery import discover

NOW = datetime(2026, 3, 31, 12, tzinfo=UTC)


class FixedClock:
    def now(self) -> datetime:
        return NOW

    def monotonic(self) -> float:
        return 0.0


def touch(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("")


async def found(*paths: Path, **known) -> dict[str, tuple[str, ...]]:
    """Names of the folders to why they were found."""
    candidates = await discover(paths, known.pop("registered", {}), clock=FixedClock(), **known)
    return {Path(candidate.path).name: candidate.reasons for candidate in candidates}


async def test_each_kind_of_project_is_found_and_explained(make_repository, git, tmp_path):
    make_repository(tmp_path / "busy", {"pyproject.toml": ""}, when="2026-03-20T00:00:00Z")
    make_repository(tmp_path / "old", when="2024-01-02T00:00:00Z")
    (tmp_path / "empty").mkdir()
    git(tmp_path / "empty", "init", "-q")
    touch(tmp_path / "plain" / "Cargo.toml")
    (tmp_path / "known" / ".orch-state").mkdir(parents=True)
    (tmp_path / "notes").mkdir()
    assert await found(tmp_path) == {
        "busy": ("git repository, 1 commit in 30 days", "pyproject.toml (Python)"),
        "old": ("git repository, last commit 2024-01-02",),
        "empty": ("git repository without commits",),
        "plain": ("not a git repository yet", "Cargo.toml (Rust)"),
        "known": ("has .orch-state", "not a git repository yet"),
    }


async def test_a_given_folder_that_is_a_repository_is_itself_found(repository):
    assert list(await found(repository)) == ["shop"]


async def test_nothing_inside_a_repository_is_looked_at(make_repository, tmp_path):
    make_repository(tmp_path / "mono", {"web/package.json": "{}"})
    make_repository(tmp_path / "mono" / "inner")
    assert list(await found(tmp_path)) == ["mono"]


async def test_a_repository_below_a_plain_project_is_found_but_no_plain_one(make_repository, tmp_path):
    touch(tmp_path / "work" / "package.json")
    touch(tmp_path / "work" / "part" / "package.json")
    make_repository(tmp_path / "work" / "repo")
    assert sorted(await found(tmp_path)) == ["repo", "work"]


@pytest.mark.parametrize(
    "place", [".hidden", "node_modules", "vendor", "a/node_modules/b", "venv/lib", "target", "own/worktrees"]
)
async def test_hidden_foreign_and_orchard_s_own_folders_are_passed_over(make_repository, tmp_path, place):
    make_repository(tmp_path / place / "shop")
    assert await found(tmp_path, state_path=tmp_path / "own") == {}


async def test_an_environment_is_known_by_its_marker_not_its_name(make_repository, tmp_path):
    make_repository(tmp_path / "py311" / "src" / "shop")
    touch(tmp_path / "py311" / "pyvenv.cfg")
    assert await found(tmp_path) == {}


@pytest.mark.timeout(20)
async def test_links_make_no_loop_and_a_linked_repository_counts_once(make_repository, tmp_path):
    elsewhere = make_repository(tmp_path / "elsewhere" / "shop")
    tree = tmp_path / "tree"
    (tree / "deep").mkdir(parents=True)
    (tree / "deep" / "up").symlink_to(tree)
    (tree / "self").symlink_to("self")
    (tree / "one").symlink_to(elsewhere)
    (tree / "two").symlink_to(elsewhere)
    candidates = await discover([tree], {}, clock=FixedClock())
    assert [candidate.path for candidate in candidates] == [str(elsewhere)]
    assert len(await found(tree, tmp_path)) == 1


async def test_depth_is_bounded(make_repository, tmp_path):
    make_repository(tmp_path / "1/2/3/4/5/six")
    make_repository(tmp_path / "a/b/c/d/e/f/seven")
    assert list(await found(tmp_path)) == ["six"]


async def test_time_is_bounded_and_an_early_end_is_logged(make_repository, tmp_path, caplog):
    make_repository(tmp_path / "shop")
    with caplog.at_level(logging.WARNING):
        assert await found(tmp_path, seconds=-1) == {}
    assert "Discovery stopped early, out of time" in caplog.text


async def test_registered_projects_say_so_and_names_do_not_clash(make_repository, tmp_path):
    mine = make_repository(tmp_path / "a" / "shop")
    make_repository(tmp_path / "b" / "shop")
    make_repository(tmp_path / "b" / "My Shop")
    candidates = await discover([tmp_path], {"shop": mine}, clock=FixedClock())
    assert [(candidate.name, candidate.registered_as) for candidate in candidates] == [
        ("shop", "shop"),
        ("my-shop", None),
        ("shop-2", None),
    ]


async def test_a_damaged_git_folder_is_no_repository(tmp_path):
    (tmp_path / "broken" / ".git").mkdir(parents=True)
    touch(tmp_path / "broken" / "go.mod")
    assert await found(tmp_path) == {"broken": ("not a git repository yet", "go.mod (Go)")}


async def test_nothing_of_a_found_repository_is_run(repository, git, tmp_path):
    trap = tmp_path / "trap"
    for key in ("core.fsmonitor", "core.pager", "log.showSignature", "gpg.program", "core.sshCommand"):
        git(repository, "config", key, f"touch {trap}")
    assert list(await found(tmp_path)) == ["shop"]
    assert not trap.exists()


async def test_every_folder_that_cannot_be_looked_in_is_named(tmp_path):
    touch(tmp_path / "file")
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(InvalidInput) as caught:
        await discover([tmp_path / "file", tmp_path / "gone", tmp_path / "loop", tmp_path], {})
    for name in ("file is not a folder", "gone: No such file", "loop: Too many levels"):
        assert name in str(caught.value)
    with pytest.raises(InvalidInput, match="None was given"):
        await discover([], {})

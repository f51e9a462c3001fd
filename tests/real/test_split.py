"""A real change is taken apart completely, and each part is one that its role may make."""

import sys
import tarfile
from pathlib import Path

import pytest

from core.agents.replay.script import Script
from core.worker.runners.pytest import PytestRunner
from tests.real.release import File, RealInputError, read_tree, unpack, write_tree
from tests.real.split import replay_script, split_change, with_person
from tests.real.stage import git, set_stage
from tests.real.table import Pair


@pytest.fixture
def trees(releases):
    return tuple(read_tree(folder) for folder in releases)


@pytest.fixture
def split(trees, releases):
    runner = PytestRunner(None, python=Path(sys.executable), settings=PytestRunner.settings_of(releases[1]))
    return split_change(*trees, runner, ignored=lambda path: path.endswith("made.txt"))


def test_what_packing_adds_is_no_part_of_a_release(trees) -> None:
    assert not [path for path in trees[1] if "PKG-INFO" in path or "egg-info" in path]


def test_tests_are_reds_and_code_is_greens(split) -> None:
    assert set(split.red) == {"tests/test_triple.py", "tests/test_double.py", "tests/test_gone.py"}
    assert set(split.green) == {"src/tiny/__init__.py", "src/tiny/old.py", "src/tiny/logo.bin", "run.sh"}


def test_what_no_agent_may_change_is_a_persons_with_the_reason(split) -> None:
    assert set(split.by_person) == {"pyproject.toml", "src/tiny/made.txt", ".github/workflows/ci.yml"}
    assert "configures" in split.by_person["pyproject.toml"]
    assert "CI" in split.by_person[".github/workflows/ci.yml"]
    assert ".gitignore" in split.by_person["src/tiny/made.txt"]


def test_nothing_of_the_change_is_lost(trees, split) -> None:
    old, new = trees
    made = with_person(old, new, split)
    for edits in (split.red, split.green):
        for path, file in edits.items():
            if file is None:
                del made[path]
            else:
                made[path] = file
    assert made == new


def test_the_script_is_one_that_the_replay_agent_takes(split) -> None:
    script = Script("script.json", replay_script(split))
    red = script.find("tiny-1", "From 1.0 to 1.1", "test_red", 1)
    assert red[1].value["tests/test_gone.py"] is None
    assert next(iter(red[1].value)) == "tests/test_gone.py"
    green = script.find("tiny-1", "From 1.0 to 1.1", "code_green", 1)
    assert green[1].value["src/tiny/logo.bin"] == {"base64": "AP8=", "executable": False}
    assert green[1].value["run.sh"]["executable"] is True


def test_a_tree_written_is_the_tree_read(trees, tmp_path) -> None:
    tree = {**trees[0], "link": File(link="run.sh")}
    write_tree(trees[1], tmp_path / "there")
    write_tree(tree, tmp_path / "there")
    assert read_tree(tmp_path / "there") == tree


def test_making_a_stage_leaves_the_releases_as_they_are(releases, tmp_path) -> None:
    before = [sorted(map(str, folder.rglob("*"))) for folder in releases]
    stage = set_stage(
        Pair(name="tiny", old="1.0", new="1.1"), *releases, tmp_path / "stage", lambda _: None, install=False
    )
    assert [sorted(map(str, folder.rglob("*"))) for folder in releases] == before
    assert git(stage.checkout, "status", "--porcelain") == ""
    assert len(git(stage.checkout, "log", "--oneline").splitlines()) == 2


def test_an_archive_that_reaches_outside_is_refused(tmp_path) -> None:
    (tmp_path / "x").write_text("x")
    with tarfile.open(tmp_path / "evil.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "x", arcname="../../outside")
    with pytest.raises(RealInputError, match="unpacked"):
        unpack(tmp_path / "evil.tar.gz", tmp_path / "folder")


def test_what_is_no_archive_is_said(tmp_path) -> None:
    (tmp_path / "page.tar.gz").write_text("<html>")
    with pytest.raises(RealInputError, match="page"):
        unpack(tmp_path / "page.tar.gz", tmp_path / "folder")


def test_a_file_that_only_the_later_release_ignores_is_a_persons(releases, tmp_path) -> None:
    (releases[1] / ".gitignore").write_text("made.txt\n.*\nversion.py\n")
    for name in (".hidden", "src/tiny/version.py"):
        (releases[1] / name).write_text("new\n")
    pair = Pair(name="tiny", old="1.0", new="1.1")
    stage = set_stage(pair, *releases, tmp_path / "stage", lambda _: None, install=False)
    assert {".hidden", "src/tiny/version.py"} <= stage.split.by_person.keys()

"""A mistake in one project's own files leaves that project out, and nothing else."""

from __future__ import annotations

import os

import pytest

TWO = "projects:\n  shop: {path: shop, priority: high}\n  bank: {path: bank, dependencies: [shop]}\n"
OWN = "shop/.orch-state/config.yaml"


@pytest.fixture
def two(folder):
    folder.write(TWO)
    (folder.root / "shop").mkdir()
    (folder.root / "bank").mkdir()
    return folder


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("test_comand: pytest\n", f"{OWN}:1:1: projects.shop.test_comand: no such key"),
        ("agent: nobody\n", f"{OWN}:1:1: projects.shop.agent: there is no agent 'nobody'"),
        ("dependencies: [nobody]\n", f"{OWN}:1:16: projects.shop.dependencies[0]: there is no project"),
        ("a: [\n", f"{OWN}:2:1: is not YAML"),
        (b"\xff\xfe", f"{OWN}:1:1: is not UTF-8"),
    ],
)
def test_a_bad_file_in_a_checkout_leaves_the_others_as_they_are(two, text, expected):
    two.write(text, OWN)
    (problem,) = two.broken()["shop"]
    assert problem.startswith(expected)
    loaded = two.load()
    assert list(loaded.settings.projects) == ["bank"]
    assert loaded.settings.projects["bank"].dependencies == ("shop",)  # it is there, though it cannot work


def test_every_mistake_of_the_project_is_told(two):
    two.write("a: 1\nb: 2\n", OWN)
    error = two.load().broken["shop"]
    assert len(error.problems) == 2
    assert error.message == "The settings of shop have 2 mistakes:"


@pytest.mark.timeout(10)
@pytest.mark.parametrize("make", ["loop", "pipe", "folder"])
def test_what_is_no_file_leaves_the_project_out(two, make):
    own = two.root / OWN
    own.parent.mkdir()
    if make == "loop":
        own.symlink_to(own.name)
    elif make == "pipe":
        os.mkfifo(own)
    else:
        own.mkdir()
    assert list(two.broken()) == ["shop"]


@pytest.mark.parametrize("text", ["name: [\n", "path: [1]\n", "name: other\n", "colour: red\n", "\tx"])
def test_a_bad_registration_leaves_its_project_out(two, text):
    path = two.write(text, ".orch-global/projects.d/club.yaml")
    assert list(two.broken()) == ["club"]
    assert set(two.load().settings.projects) == {"shop", "bank"}
    assert not two.load().unregistered
    assert path.read_text() == text


def test_a_bad_registration_of_a_configured_project_leaves_it_out_too(two):
    two.write("path: [\n", ".orch-global/projects.d/shop.yaml")
    assert list(two.broken()) == ["shop"]


def test_a_registration_in_anothers_checkout_is_the_one_that_is_left_out(two):
    two.write(f"path: {two.root / 'shop'}\n", ".orch-global/projects.d/club.yaml")
    (problem,) = two.broken()["club"]
    assert "is the checkout of project shop too" in problem


def test_a_file_with_a_name_that_cannot_be_is_told(two):
    two.write("path: /x\n", ".orch-global/projects.d/My Shop.yaml")
    assert "'my-shop' would do" in two.broken()["My Shop"][0]


def test_a_mistake_in_what_people_own_still_refuses_everything(two):
    two.write("a: 1\n", OWN)
    two.write(TWO + "colour: red\n")
    problems = two.problems()
    assert len(problems) == 2  # the project's own is told with it
    assert "orch-config.yaml:4:1: colour" in problems[0]
    two.write(TWO)
    two.write("DISCORD_TOKEN\n", ".env")
    assert len(two.problems()) == 2

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from config.problems import ConfigError
from config.registrations import write_registration
from core.errors import InvalidInput, Unavailable


def names(folder: Path) -> list[str]:
    return [each.name for each in folder.iterdir()]


def test_a_registration_is_read_back(folder):
    state = folder.load().state_path
    path = write_registration(state, "shop", folder.root / "shop", main_branch="trunk")
    assert path == state / "projects.d" / "shop.yaml"
    loaded = folder.load()
    assert loaded.settings.projects["shop"].path == folder.root / "shop"
    assert loaded.settings.projects["shop"].main_branch == "trunk"
    assert path in loaded.sources


def test_a_registration_gives_a_configured_project_its_path(folder):
    folder.write("projects:\n  shop: {priority: high}\n")
    write_registration(folder.load().state_path, "shop", folder.root / "shop")
    loaded = folder.load()
    assert (loaded.unregistered, loaded.settings.projects["shop"].priority) == ({}, "high")


def test_an_update_keeps_the_other_keys_and_leaves_no_temporary_file(tmp_path: Path):
    write_registration(tmp_path, "shop", tmp_path / "a", main_branch="trunk", priority="high")
    path = write_registration(tmp_path, "shop", tmp_path / "b", main_branch="main")
    assert "priority: high" in path.read_text()
    assert "main_branch: main" in path.read_text()
    assert names(path.parent) == ["shop.yaml"]


@pytest.mark.parametrize("text", ["name: [\n", "path: /a\npath: /b\n", "- a\n", "\tx"])
def test_a_registration_that_does_not_parse_is_never_overwritten(tmp_path: Path, text):
    path = tmp_path / "projects.d" / "shop.yaml"
    path.parent.mkdir()
    path.write_text(text)
    with pytest.raises(ConfigError):
        write_registration(tmp_path, "shop", tmp_path / "a")
    assert path.read_text() == text


def test_a_wrong_value_is_refused_before_anything_is_written(tmp_path: Path):
    with pytest.raises(ConfigError, match="priority"):
        write_registration(tmp_path, "shop", tmp_path / "a", priority="hihg")
    with pytest.raises(InvalidInput, match="my-shop"):
        write_registration(tmp_path, "My Shop", tmp_path / "a")
    with pytest.raises(InvalidInput):
        write_registration(tmp_path, "../../x", tmp_path / "a")
    assert names(tmp_path) == []


def test_a_full_disk_leaves_the_old_registration(tmp_path: Path, monkeypatch):
    path = write_registration(tmp_path, "shop", tmp_path / "a")
    before = path.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Unavailable, match="No space left"):
        write_registration(tmp_path, "shop", tmp_path / "b")
    assert path.read_bytes() == before
    assert names(path.parent) == ["shop.yaml"]


def test_odd_text_survives_the_round_trip(folder):
    odd = folder.root / "ünï: #x 'y' \"z\""
    write_registration(folder.load().state_path, "shop", odd, team=["no", "17:00", "é"])
    shop = folder.load().settings.projects["shop"]
    assert (shop.path, shop.team) == (odd, ("no", "17:00", "é"))


def test_what_is_not_a_registration_is_passed_over(folder):
    write_registration(folder.load().state_path, "shop", folder.root / "shop")
    folder.write("half a fi", ".orch-global/projects.d/.shop.abc.tmp")
    folder.write("{", ".orch-global/projects.d/.hidden.yaml")
    assert list(folder.load().settings.projects) == ["shop"]


def test_a_registered_path_that_differs_wins_and_is_said(folder):
    folder.write("projects:\n  shop: {path: /one}\n")
    write_registration(folder.load().state_path, "shop", Path("/two"))
    loaded = folder.load()
    assert str(loaded.settings.projects["shop"].path) == "/two"
    assert "wins over orch-config.yaml" in loaded.notes[0]

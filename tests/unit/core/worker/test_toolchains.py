from __future__ import annotations

from pathlib import Path

import pytest

from core.worker import toolchains
from core.worker.environment import Environment
from core.worker.toolchains import with_toolchains

BARE = Environment(key="k", description="bare", path_dirs=(Path("/venv/bin"),))


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A user's home with rustup's stand-ins and a toolchain, and secrets beside them."""
    home = tmp_path / "home"
    for path in (".cargo/bin/cargo", ".cargo/credentials.toml", ".cargo/registry/x", ".rustup/settings.toml"):
        (home / path).parent.mkdir(parents=True, exist_ok=True)
        (home / path).write_text("")
    (home / ".cargo/bin/cargo").chmod(0o755)
    (home / ".rustup/toolchains/stable").mkdir(parents=True)
    monkeypatch.setattr(Path, "home", lambda: home)
    for name in ("CARGO_HOME", "RUSTUP_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", str(home / ".cargo/bin"))
    return home


def test_a_project_of_no_such_language_keeps_its_environment(tmp_path, machine):
    assert with_toolchains(BARE, tmp_path) is BARE


def test_rust_is_shown_with_its_downloads_and_without_its_credentials(tmp_path, machine):
    (tmp_path / "Cargo.toml").touch()
    found = with_toolchains(BARE, tmp_path)
    assert found.path_dirs == (Path("/venv/bin"), machine / ".cargo/bin")
    assert found.read_only == (machine / ".cargo/bin", machine / ".rustup", machine / ".cargo/registry")
    assert found.variables["RUSTUP_HOME"] == str(machine / ".rustup")


def test_another_toolchain_is_another_environment(tmp_path, machine):
    (tmp_path / "Cargo.toml").touch()
    before = with_toolchains(BARE, tmp_path)
    assert with_toolchains(BARE, tmp_path).key == before.key != BARE.key
    (machine / ".rustup/toolchains/nightly").mkdir()
    assert with_toolchains(BARE, tmp_path).key != before.key


def test_a_language_that_is_not_installed_changes_nothing(tmp_path, machine):
    (machine / ".cargo/bin/cargo").unlink()
    (tmp_path / "Cargo.toml").touch()
    (tmp_path / "pom.xml").touch()
    assert with_toolchains(BARE, tmp_path) is BARE


def test_maven_takes_debians_packages_where_nothing_was_downloaded(machine):
    own = machine / ".m2" / "repository"
    assert toolchains.maven_repository() in (own, Path("/usr/share/maven-repo"))
    (own / "org").mkdir(parents=True)
    assert toolchains.maven_repository() == own

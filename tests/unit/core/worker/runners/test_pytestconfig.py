"""Where pytest's configuration hides."""

from __future__ import annotations

import pytest

from core.worker.runners.pytestconfig import config_digest, config_digests, is_pytest_config, read_settings

ROOTS = ("", "src", "packages/shop")


@pytest.mark.parametrize(
    ("path", "one", "other"),
    [
        (
            "pyproject.toml",
            "[tool.pytest.ini_options]\naddopts='-q'",
            "[tool.pytest.ini_options]\naddopts='-x'",
        ),
        ("pyproject.toml", "", "[tool.pytest]\naddopts=['-x']"),
        ("pyproject.toml", "", "[tool.pytest-env]\nA='1'"),
        ("pyproject.toml", "", "[project.entry-points.pytest11]\nx='y'"),
        ("pyproject.toml", "", "[tool.poetry.plugins.pytest11]\nx='y'"),
        ("pyproject.toml", "", "[broken"),
        ("setup.cfg", "[metadata]\nname=x", "[tool:pytest]\naddopts=-x"),
        ("setup.cfg", "", "[options.entry_points]\npytest11 =\n  x = y"),
        ("tox.ini", "", "[pytest]\naddopts=-x"),
        ("tox.ini", "", "no section"),
        ("setup.py", "setup()", "setup(entry_points={'pytest11': ['x = y']})"),
        ("pytest.ini", "", "[pytest]"),
        ("conftest.py", "a", "b"),
        ("deep/conftest.py", "a", "b"),
        ("x.pth", "a", "b"),
        ("shop.egg-info/entry_points.txt", "[console_scripts]\nx=y", "[pytest11]\nx=y"),
    ],
)
def test_the_runners_part_counts(path, one, other):
    assert is_pytest_config(path)
    assert config_digest(path, one.encode()) != config_digest(path, other.encode())


@pytest.mark.parametrize(
    ("path", "one", "other"),
    [
        ("pyproject.toml", "[project]\nname='a'", "[project]\nname='b'\n[tool.ruff]\nx=1"),
        (
            "pyproject.toml",
            "[tool.pytest.ini_options]\na='1'\nb='2'",
            "[tool.pytest.ini_options]\nb='2'\n\na = '1' # c",
        ),
        ("setup.cfg", "[metadata]\nname=x", "[metadata]\nname=y"),
        ("tox.ini", "[testenv]\ncommands=pytest", "[testenv]\ncommands=make"),
        ("setup.py", "setup()", "setup(name='x')"),
    ],
)
def test_other_parts_do_not(path, one, other):
    assert config_digest(path, one.encode()) == config_digest(path, other.encode())


@pytest.mark.parametrize("path", ["shop/price.py", "README.md", "pytest.md", "shop/unittest.py"])
def test_other_files_are_no_configuration(path):
    assert not is_pytest_config(path)
    assert config_digests([path], {}, ROOTS) == {}


@pytest.mark.parametrize(
    "path",
    [
        "pytest.py",
        "_pytest/config.py",
        "src/pluggy/__init__.py",
        "packages/shop/unittest.py",
        "pytest_asyncio/x.py",
    ],
)
def test_a_module_that_shadows_the_runner_counts_by_being_there(path):
    assert config_digests([path], {}, ROOTS)


def test_a_project_that_is_a_plugin_may_change_itself():
    before = config_digests(["src/pytest_shop/plugin.py"], {}, ROOTS)
    after = config_digests(["src/pytest_shop/plugin.py", "src/pytest_shop/more.py"], {}, ROOTS)
    assert before == after


@pytest.mark.parametrize(
    ("files", "patterns", "configured"),
    [
        ({}, (), False),
        ({"pyproject.toml": b"[project]\nname='x'"}, (), False),
        (
            {"pyproject.toml": b"[tool.pytest.ini_options]\npython_files=['check_*.py','*.py']"},
            ("check_*.py",),
            True,
        ),
        ({"setup.cfg": b"[tool:pytest]\npython_files = a_*.py b_*.py"}, ("a_*.py", "b_*.py"), True),
        ({"tox.ini": b"[testenv]"}, (), False),
        (
            {"pytest.ini": b"", "pyproject.toml": b"[tool.pytest.ini_options]\npython_files='x_*.py'"},
            (),
            True,
        ),
        ({"pytest.toml": b"[pytest]\npython_files=['t_*.py']"}, ("t_*.py",), True),
        ({"pyproject.toml": b"[broken"}, (), True),
    ],
)
def test_settings_of_a_folder(files, patterns, configured):
    found = read_settings(files)
    assert (found.patterns, found.configured) == (patterns, configured)

from __future__ import annotations

import pytest

from core.worker.environments import depends_on, plan_recipe
from core.worker.gitobjects import Entry


def _here(*names: str, oid: str = "1") -> dict[str, Entry]:
    return {name: Entry(path=name, mode="100644", oid=oid) for name in names}


def test_nothing_to_go_by_is_no_recipe() -> None:
    assert plan_recipe(_here("pyproject.toml", "README.md"), ()) is None


@pytest.mark.parametrize(
    ("name", "program", "word"),
    [
        ("uv.lock", "uv", "uv sync --frozen"),
        ("poetry.lock", "poetry", "poetry install"),
        ("pdm.lock", "pdm", "pdm sync"),
        ("package-lock.json", "npm", "npm ci"),
        ("pnpm-lock.yaml", "pnpm", "--frozen-lockfile"),
        ("yarn.lock", "yarn", "--frozen-lockfile"),
    ],
)
def test_a_lock_file_says_which_program_makes_it(name: str, program: str, word: str) -> None:
    recipe = plan_recipe(_here(name), ())
    assert recipe is not None
    assert program in recipe.programs
    assert word in recipe.command


def test_a_lock_file_wins_over_requirements_and_both_languages_are_made() -> None:
    recipe = plan_recipe(_here("uv.lock", "requirements.txt", "yarn.lock"), ["requirements.txt"])
    assert recipe is not None
    assert "pip" not in recipe.command
    assert recipe.command.index("uv sync") < recipe.command.index("yarn install")


def test_requirements_are_installed_together_and_bring_pytest() -> None:
    recipe = plan_recipe(
        _here("requirements.txt", "requirements-dev.txt"), ["requirements.txt", "requirements-dev.txt"]
    )
    assert recipe is not None
    assert "-r requirements.txt -r requirements-dev.txt" in recipe.command
    assert recipe.command.endswith("install pytest)")


def test_the_key_follows_the_files_and_the_command() -> None:
    first = plan_recipe(_here("uv.lock"), ())
    assert first is not None
    assert plan_recipe(_here("uv.lock", "README.md"), ()) == first
    for other in (plan_recipe(_here("uv.lock", oid="2"), ()), plan_recipe(_here("pdm.lock"), ())):
        assert other is not None
        assert other.key != first.key


def test_a_change_of_a_lock_file_matters_and_one_of_code_does_not() -> None:
    assert depends_on("sub/uv.lock")
    assert not depends_on("src/uv.py")

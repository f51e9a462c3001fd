from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from core.errors import InvalidInput, Unavailable
from core.worker.contract import ProjectSetup
from core.worker.environment import Environment
from core.worker.runners import detect

ENVIRONMENT = Environment(key="k", description="", python=Path("/usr/bin/python3"))


def _setup(folder: Path, **changes) -> ProjectSetup:
    return ProjectSetup(name="shop", path=folder, main_branch="main", state_path=folder, **changes)


@pytest.mark.parametrize("name", ["README.md", "setup.py", "shop/__init__.py", "pytest.ini"])
def test_pytest_is_for_python_and_for_what_is_not_there_yet(tmp_path, name):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("")
    runner = detect(tmp_path, _setup(tmp_path), ENVIRONMENT)
    assert (runner.name, runner.command) == ("pytest", ("python", "-m", "pytest"))


@pytest.mark.parametrize(
    ("name", "runner", "commands", "other"),
    [
        ("Cargo.toml", "cargo", ["cargo test", "cargo nextest run --workspace"], "cargo test || true"),
        ("go.mod", "go", ["go test ./...", "gotestsum --format=dots -- ./..."], "go test -run Price ./..."),
        ("pom.xml", "surefire", ["mvn -q test", "./mvnw test"], "mvn -DskipTests test"),
    ],
)
def test_what_is_compiled_is_found_by_its_file_or_a_plain_command(tmp_path, name, runner, commands, other):
    (tmp_path / name).write_text("")
    found = detect(tmp_path, _setup(tmp_path), ENVIRONMENT)
    assert (found.name, found.reason) == (runner, f"it has a {name}")
    assert {detect(tmp_path, _setup(tmp_path, test_command=text), ENVIRONMENT).name for text in commands} == {
        runner
    }
    # A command that selects tests or hides its exit code is the project's own, and judged as such.
    assert detect(tmp_path, _setup(tmp_path, test_command=other), ENVIRONMENT).name == "command"


@pytest.mark.parametrize("name", ["package.json", "build.gradle", "Gemfile"])
def test_other_languages_are_asked_for_a_command(tmp_path, name):
    (tmp_path / name).write_text("")
    with pytest.raises(Unavailable) as caught:
        detect(tmp_path, _setup(tmp_path), ENVIRONMENT)
    assert name in caught.value.why
    assert "test_command" in caught.value.hint
    runner = detect(tmp_path, _setup(tmp_path, test_command="make check REPORT={junit}"), ENVIRONMENT)
    assert runner.name == "junit"


def test_without_python_there_is_no_pytest(tmp_path):
    with pytest.raises(Unavailable) as caught:
        detect(tmp_path, _setup(tmp_path), Environment(key="k", description=""))
    assert "Install pytest" in caught.value.hint


def test_a_command_without_a_report_is_exit_code_only(tmp_path):
    runner = detect(tmp_path, _setup(tmp_path, test_command="make test"), ENVIRONMENT)
    assert runner.name == "command"
    assert runner.is_runner_config("Makefile")
    assert not runner.is_runner_config("shop/price.py")


def test_a_command_names_its_own_configuration(tmp_path):
    runner = detect(tmp_path, _setup(tmp_path, test_command="./scripts/check.sh {junit}"), ENVIRONMENT)
    assert runner.is_runner_config("scripts/check.sh")
    pytest_runner = detect(tmp_path, _setup(tmp_path, test_command="pytest -c ci.ini"), ENVIRONMENT)
    assert pytest_runner.is_runner_config("ci.ini")


def test_a_command_that_cannot_be_read_is_refused(tmp_path):
    with pytest.raises(InvalidInput):
        detect(tmp_path, _setup(tmp_path, test_command="pytest 'open"), ENVIRONMENT)


def test_a_node_test_script_is_run_as_it_is_and_says_why(tmp_path):
    (tmp_path / "package.json").write_text('{"scripts": {"test": "node --test"}}')
    runner = detect(tmp_path, _setup(tmp_path), Environment(key="k", description=""))
    assert (runner.name, runner.command) == ("node", ("node --test",))
    assert "package.json's test script" in runner.reason
    assert runner.is_test_path("src/test-price.mjs")
    assert runner.is_runner_config("package.json")
    assert not runner.is_runner_config("src/price.js")


def test_a_script_that_hides_the_exit_code_is_not_taken_over(tmp_path):
    (tmp_path / "package.json").write_text('{"scripts": {"test": "node --test || true"}}')
    with pytest.raises(Unavailable) as caught:
        detect(tmp_path, _setup(tmp_path), ENVIRONMENT)
    assert "hides the exit code" in caught.value.why


@pytest.mark.parametrize("program", ["vitest", "jest", "mocha"])
def test_the_hint_fits_the_runner_that_the_script_names(tmp_path, program):
    (tmp_path / "package.json").write_text(f'{{"scripts": {{"test": "eslint . && {program}"}}}}')
    with pytest.raises(Unavailable) as caught:
        detect(tmp_path, _setup(tmp_path), ENVIRONMENT)
    assert program in caught.value.why
    assert f"{program}" in caught.value.hint


@pytest.mark.parametrize(
    ("files", "expected", "why"),
    [
        ({"package.json": '{"scripts": {"test": "jest --ci"}}', "tool.py": ""}, "jest", "test script is"),
        ({"package.json": '{"scripts": {"test": "npm run u", "u": "vitest"}}'}, "vitest", "is `vitest`"),
        ({"package.json": '{"devDependencies": {"jest": "30"}}'}, "jest", "package.json asks for jest"),
        ({"package.json": "{}", "vitest.config.mts": ""}, "vitest", "there is a vitest.config.mts"),
    ],
)
def test_jest_and_vitest_are_found_and_say_why(tmp_path, files, expected, why):
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    runner = detect(tmp_path, _setup(tmp_path), Environment(key="k", description=""))
    assert runner.name == expected
    assert why in runner.reason


def test_a_test_command_that_calls_vitest_is_watched_in_its_folder(tmp_path):
    (tmp_path / "vitest.ci.ts").write_text("import './ci/more'")
    (tmp_path / "vitest.config.ts").write_text("export default { test: { setupFiles: '../shared/up.ts' } }")
    setup = replace(_setup(tmp_path, test_command="npx vitest run -c vitest.ci.ts"), folder="web")
    runner = detect(tmp_path, setup, ENVIRONMENT)
    assert runner.name == "vitest"
    assert runner.is_runner_config("web/vitest.ci.ts")
    assert runner.is_runner_config("shared/up.ts")
    assert runner.is_runner_config("web/ci/more.ts")
    assert not runner.is_runner_config("web/src/up.ts")


@pytest.mark.parametrize(
    ("package", "expected"),
    [
        ('{"devDependencies": {"jest": "30", "vitest": "4"}}', "both vitest and jest"),
        ('{"workspaces": ["packages/*"]}', "workspaces"),
        ('{"scripts": {"test": "jest -t price"}}', "selects tests"),
    ],
)
def test_where_it_is_not_clear_people_are_asked(tmp_path, package, expected):
    (tmp_path / "package.json").write_text(package)
    below = tmp_path / "packages" / "web"
    below.mkdir(parents=True)
    (below / "package.json").write_text('{"devDependencies": {"jest": "30"}}')
    with pytest.raises(Unavailable) as caught:
        detect(tmp_path, _setup(tmp_path), ENVIRONMENT)
    assert expected in caught.value.why
    assert ("'packages/web'" in caught.value.hint) is ("workspaces" in package)

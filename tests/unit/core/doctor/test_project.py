"""What the doctor says of a project, on real checkouts; nothing is made and nothing changed by looking."""

from __future__ import annotations

import os
import shutil
import venv

import pytest

from config.loader import load
from core.doctor.finding import State
from core.doctor.project import examine_project
from core.isolation.machine import probe_machine


@pytest.fixture
async def machine():
    return await probe_machine()


@pytest.fixture
def examine(tmp_path, repository, machine):
    """The findings on the project `shop`, whose checkout is `repository`, by topic."""

    async def look(**settings):
        path = settings.pop("path", repository)
        keys = {"shop": {"path": str(path), "agent": "replay", **settings}}
        configuration = load(
            tmp_path,
            environ={},
            overrides={"projects": keys, "agents": {"replay": {"variables": {"script": str(repository)}}}},
        )
        found = await examine_project(
            "shop",
            configuration.settings,
            state_path=configuration.state_path,
            machine=machine,
            environ={"PATH": os.environ["PATH"]},
        )
        assert not configuration.state_path.exists()
        topics = {}
        for finding in found:
            topics.setdefault(finding.topic, []).append(finding)
        return topics

    return look


async def test_a_project_that_can_work_says_with_what(examine, repository, git, machine):
    found = await examine()
    assert {each.state for findings in found.values() for each in findings} == {State.OK}
    head = git(repository, "rev-parse", "HEAD")[:10]
    assert found["checkout"][0].found == f"{repository}, branch main at {head}, clean"
    assert "no setup_command or lock file" in found["environment"][0].found
    assert found["tests"][0].found.startswith("pytest: `python -m pytest`, since no test_command is set")
    assert found["tests"][1].found.startswith(f"pytest {pytest.__version__.partition('.')[0]}")
    assert found["isolation"][0].found == f"{machine.strongest}, the strongest that this machine gives"
    assert found["agent"][0].found.startswith("replay (the project's 'agent')")
    assert git(repository, "status", "--porcelain", "--ignored") == ""


async def test_what_the_owner_should_know_of_the_checkout_is_told(examine, repository, git):
    git(repository, "branch", "side")
    git(repository, "switch", "-q", "side")
    (repository / "shop.py").write_text("changed")
    notes = [each for each in (await examine(main_branch="main"))["checkout"] if each.state is State.NOTE]
    assert "is on branch side" in notes[0].found
    assert notes[0].mend.endswith("switch main")
    assert "1 file has uncommitted changes (shop.py)" in notes[1].found


async def test_a_checkout_that_is_gone_hides_neither_isolation_nor_agent(examine, tmp_path):
    found = await examine(path=tmp_path / "gone", agent="claude-code")
    assert list(found) == ["checkout", "isolation", "agent"]
    assert found["checkout"][0].state is State.MISSING
    assert "There is no folder" in found["checkout"][0].found
    assert found["agent"][0].state is State.MISSING
    assert "npm install" in found["agent"][0].mend


async def test_the_checkout_s_own_environment_is_used_and_a_missing_pytest_is_noticed(examine, repository):
    venv.create(repository / ".venv", with_pip=False, symlinks=True)
    found = await examine()
    assert found["environment"][0].found.startswith(f"inherited from {repository}/.venv. The checkout has")
    assert found["tests"][-1].state is State.MISSING
    assert "no pytest: No module named 'pytest'" in found["tests"][-1].found
    assert "Install pytest 7" in found["tests"][-1].mend


@pytest.mark.bwrap
async def test_the_project_s_own_python_is_asked_in_a_sandbox(examine, repository, tmp_path):
    venv.create(repository / ".venv", with_pip=False, symlinks=True)
    (site,) = (repository / ".venv").glob("lib/python3*/site-packages")
    (site / "evil.pth").write_text(f"import os; os.mkdir({str(tmp_path / 'pwned')!r})\n")
    (site / "pytest.py").write_text(f"import os; os.mkdir({str(tmp_path / 'pwned')!r})\n")
    found = await examine()
    assert found["tests"][-1].state is State.MISSING
    assert not (tmp_path / "pwned").exists()


async def test_an_environment_that_would_be_made_is_described_and_not_made(
    examine, make_repository, tmp_path
):
    path = make_repository(
        tmp_path / "asks", {"requirements.txt": "idna\n", "test_a.py": "def test(): pass\n"}
    )
    (environment,) = (await examine(path=path))["environment"]
    assert environment.state is State.OK
    assert "not made yet; the first story makes it from requirements.txt with `" in environment.found


async def test_a_program_that_set_up_needs_and_nobody_has_is_missing(
    examine, make_repository, tmp_path, monkeypatch
):
    path = make_repository(tmp_path / "asks", {"uv.lock": "version = 1\n", "a.py": "", "test_a.py": ""})
    (tmp_path / "bin").mkdir()
    for program in ("git", "python3"):
        (tmp_path / "bin" / program).symlink_to(shutil.which(program) or "")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    (environment,) = (await examine(path=path))["environment"]
    assert environment.state is State.MISSING
    assert "but uv is not installed" in environment.found


@pytest.mark.parametrize(
    ("settings", "state", "expected"),
    [
        ({"test_command": "make check"}, State.NOTE, "judged by its exit code only"),
        ({"test_command": "make check REPORT={junit}"}, State.OK, "judged by the JUnit report"),
        ({"test_command": "pytest -x"}, State.OK, "pytest, as test_command says: `pytest -x`"),
        ({"folder": "packages/a"}, State.MISSING, "has no folder 'packages/a'"),
    ],
)
async def test_the_test_runner_is_named_with_its_reason(examine, settings, state, expected):
    finding = (await examine(**settings))["tests"][0]
    assert (finding.state, expected in finding.found) == (state, True), finding


async def test_a_project_of_another_language_is_told_to_set_its_command(examine, make_repository, tmp_path):
    path = make_repository(tmp_path / "ruby", {"Gemfile": "", "spec/x_spec.rb": ""})
    (finding,) = (await examine(path=path))["tests"]
    assert finding.state is State.MISSING
    assert "rspec" in finding.mend


@pytest.mark.parametrize(
    ("file", "runner", "program"),
    [("go.mod", "go: `go test ./...`", "go"), ("Cargo.toml", "cargo: `cargo test", "cargo"),
     ("pom.xml", "surefire: `mvn --offline test`", "mvn and javac")],
)  # fmt: skip
async def test_a_compiled_project_is_told_why_it_is_run_so(
    examine, make_repository, tmp_path, monkeypatch, file, runner, program
):
    monkeypatch.setattr("core.doctor.runner.shutil.which", lambda name, path=None: None)
    path = make_repository(tmp_path / "made", {file: ""})
    finding, absent = (await examine(path=path))["tests"]
    assert finding.state is State.OK
    assert finding.found.startswith(runner)
    assert finding.found.endswith(f"since it has a {file}")
    are = "are" if " and " in program else "is"
    assert (absent.state, absent.found) == (State.MISSING, f"{program} {are} not found on the tests' PATH")


async def test_a_node_project_is_told_why_it_is_run_so(examine, make_repository, tmp_path):
    package = '{"scripts": {"test": "node --test"}}'
    path = make_repository(tmp_path / "node", {"package.json": package, "a.test.js": ""})
    finding, place = (await examine(path=path))["tests"]
    assert (place.state is State.OK) == place.found.startswith("run with /")
    assert finding.state is State.OK
    assert finding.found.startswith("node --test: `node --test`, since package.json's test script is")
    hiding = package.replace("--test", "--test || true")
    path = make_repository(tmp_path / "hiding", {"package.json": hiding, "a.test.js": ""})
    (finding,) = (await examine(path=path))["tests"]
    assert finding.state is State.MISSING
    assert "hides the exit code" in finding.found


async def test_a_jest_or_vitest_project_is_told_what_is_missing(examine, make_repository, tmp_path):
    package = '{"devDependencies": {"vitest": "4"}}'
    files = {"package.json": package, "vitest.config.ts": "", ".gitignore": "node_*"}
    path = make_repository(tmp_path / "web", files)
    why, _, missing = (await examine(path=path))["tests"]
    assert why.found == "vitest: `vitest run`, since there is a vitest.config.ts and no test script"
    assert (missing.state, missing.found) == (
        State.MISSING,
        "vitest is not installed: there is no node_modules",
    )
    installed = path / "node_modules" / "vitest"
    installed.mkdir(parents=True)
    (installed / "package.json").write_text('{"version": "4.1.12"}')
    *_, there = (await examine(path=path))["tests"]
    assert (there.state, there.found) == (State.OK, f"vitest 4.1.12 in {path}/node_modules")
    (installed / "package.json").write_text('{"version": "2.1.9"}')
    *_, old = (await examine(path=path))["tests"]
    assert old.state is State.MISSING
    assert old.found.endswith("is too old: 3 or newer is needed")


async def test_isolation_that_is_not_to_be_had_does_not_hide_the_rest(examine):
    found = await examine(isolation="container")
    assert found["isolation"][0].state is State.MISSING
    assert [each.state for each in found["tests"]] == [State.OK, State.OK]


async def test_an_environment_without_anything_to_inherit_is_missing(examine):
    found = await examine(environment="inherit")
    assert found["environment"][0].state is State.MISSING
    assert "no environment to inherit" in found["environment"][0].found
    assert "tests" not in found  # nothing to ask

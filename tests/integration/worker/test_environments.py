from __future__ import annotations

import asyncio
import subprocess
import sys
import venv
from dataclasses import replace
from pathlib import Path

import pytest

from core.isolation.launch import run
from core.isolation.plan import Level, Sandbox, plan_launch
from core.worker.environment import editable_roots, installed_in, of_python
from core.worker.environments import EnvironmentFailed, Environments, find_python
from core.worker.git import Repository
from tests.waiting import SECONDS, until

MAKE = "{python} -m venv --without-pip .venv && echo made >> made.log && sleep 0.1"


@pytest.fixture
async def find(calculator, setup, machine):
    """Finds the environment of a commit; settings as keywords."""
    repository = await Repository.open(calculator.path)

    async def look(commit: str = "main", **changes: object):
        return await Environments(repository, replace(setup, **changes), machine).find(commit)

    return look


def _make_venv(path: Path) -> Path:
    venv.create(path, symlinks=True, with_pip=False)
    return next(path.glob("lib/python3*/site-packages"))


async def test_the_checkout_s_own_is_inherited_and_runs_in_a_sandbox(
    find, calculator, machine, tmp_path
) -> None:
    site = _make_venv(calculator.path / ".venv")
    (site / "installed.py").write_text("where = 'the project has it'\n")
    environment = await find(environment="auto")
    assert environment.python == calculator.path / ".venv" / "bin" / "python"
    assert environment.description == f"inherited from {calculator.path / '.venv'}"
    home = tmp_path / "home"
    home.mkdir()
    sandbox = Sandbox(
        level=machine.strongest,
        network=machine.strongest is Level.PROCESS,
        cwd=home,
        home=home,
        read_only=environment.read_only,
        environment=environment.variables_at(home),
    )
    command = ["python", "-c", "import installed, sys; print(installed.where, sys.prefix)"]
    done = await run(plan_launch(command, sandbox, machine), timeout_seconds=30)
    assert done.output.decode().strip() == f"the project has it {calculator.path / '.venv'}"


async def test_the_key_tells_what_is_installed(find, calculator) -> None:
    site = _make_venv(calculator.path / ".venv")
    first = await find(environment="inherit")
    assert (await find(environment="inherit")).key == first.key
    (site / "thing-1.0.dist-info").mkdir()
    assert (await find(environment="inherit")).key != first.key


async def test_editable_installs_follow_into_another_checkout(find, calculator, tmp_path: Path) -> None:
    site = _make_venv(calculator.path / "venv")
    (calculator.path / "src").mkdir()
    (calculator.path / "libs" / "core").mkdir(parents=True)
    (site / "one.pth").write_text(f"{calculator.path}/libs\nimport os\n/nowhere\n")
    mapping = {"shop": f"{calculator.path}/src/shop", "odd": "/elsewhere/x"}
    finder = f"import sys\nMAPPING: dict[str, str] = {mapping}\nNAMESPACES: dict[str, list[str]] = {{}}\n"
    (site / "__editable___shop_1_finder.py").write_text(finder)
    assert editable_roots(calculator.path / "venv", calculator.path) == ("libs", "src")
    environment = await find(environment="auto")
    for name in ("libs", "src"):
        (tmp_path / "work" / name).mkdir(parents=True)
    assert (
        environment.variables_at(tmp_path / "work")["PYTHONPATH"]
        == f"{tmp_path}/work/libs:{tmp_path}/work/src"
    )


async def test_node_modules_are_shown_and_linked(calculator, tmp_path: Path) -> None:
    (calculator.path / "web" / "node_modules" / ".bin").mkdir(parents=True)
    environment = installed_in(calculator.path, "web")
    assert environment is not None
    (tmp_path / "work" / "web").mkdir(parents=True)
    (mount,) = environment.mounts_at(tmp_path / "work")
    assert (mount.source, mount.target, mount.writable) == (
        calculator.path / "web" / "node_modules", tmp_path / "work" / "web" / "node_modules", False,
    )  # fmt: skip
    environment.link_into(tmp_path / "work")
    environment.link_into(tmp_path / "work")
    assert (tmp_path / "work" / "web" / "node_modules" / ".bin").is_dir()


async def test_inheriting_nothing_is_an_error_with_a_next_step(find) -> None:
    with pytest.raises(EnvironmentFailed, match="no environment to inherit") as caught:
        await find(environment="inherit")
    assert caught.value.hint


async def test_a_made_one_is_made_once_also_for_many_at_the_same_time(find, calculator, state_path) -> None:
    found = await asyncio.gather(*(find(environment="auto", setup_command=MAKE) for _ in range(3)))
    assert len({environment.key for environment in found}) == 1
    (log,) = state_path.glob("environments/shop/*/checkout/made.log")
    assert log.read_text() == "made\n"
    python = found[0].python
    assert python is not None
    assert python.is_relative_to(state_path)
    assert _said(python, "import sys; print(sys.prefix)") == str(python.parents[1])
    assert not (calculator.path / ".venv").exists()


async def test_a_story_that_changes_a_lock_file_gets_its_own(find, calculator) -> None:
    first = await find(environment="make", setup_command=MAKE)
    calculator.commit({"calc.py": "x = 1\n"})
    assert (await find(environment="make", setup_command=MAKE)).key == first.key
    calculator.commit({"requirements.txt": "other\n"})
    assert (await find(environment="make", setup_command=MAKE)).key != first.key


async def test_a_half_made_one_is_never_used(find, state_path) -> None:
    await find(environment="make", setup_command=MAKE)
    (place,) = [path.parent for path in state_path.glob("environments/shop/*/ready.json")]
    (place / "ready.json").unlink()  # as when a crash came before it was whole
    (place / "checkout" / ".venv" / "bin" / "python").unlink()
    environment = await find(environment="make", setup_command=MAKE)
    assert environment.python is not None
    assert environment.python.exists()
    assert (place / "checkout" / "made.log").read_text() == "made\n"


async def test_a_failure_shows_the_end_of_the_output_and_leaves_nothing(find, state_path) -> None:
    with pytest.raises(EnvironmentFailed, match="ended with code 3") as caught:
        await find(environment="make", setup_command="echo first; echo the reason >&2; exit 3")
    assert caught.value.why.endswith("the reason")
    assert caught.value.hint
    assert list(state_path.glob("environments/shop/*/checkout")) == []


async def test_a_cancelled_build_leaves_nothing(find, state_path) -> None:
    command = "touch began; sleep 60"
    task = asyncio.create_task(find(environment="make", setup_command=command))
    await until(lambda: bool(list(state_path.glob("environments/shop/*/checkout/began"))))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        async with asyncio.timeout(SECONDS):
            await task
    assert list(state_path.glob("environments/shop/*/checkout")) == []


async def test_making_without_a_recipe_is_an_error(find) -> None:
    with pytest.raises(EnvironmentFailed, match="Nothing says how"):
        await find(environment="make")


async def test_a_setup_command_writes_nothing_outside_of_its_place(find, calculator, machine) -> None:
    if machine.strongest is Level.PROCESS:
        pytest.skip(machine.reasons[Level.FILESYSTEM])
    with pytest.raises(EnvironmentFailed):
        await find(environment="make", setup_command=f"echo evil > {calculator.path}/calc.py")
    assert calculator.git("status", "--porcelain") == ""


async def test_the_least_recently_used_ones_go(calculator, setup, machine) -> None:
    repository = await Repository.open(calculator.path)
    environments = Environments(repository, replace(setup, environment="make", setup_command=MAKE), machine)
    await environments.find("main")
    calculator.commit({"requirements.txt": "other\n"})
    await environments.find("main")
    newest, oldest = environments.made()
    assert environments.prune(1) == (oldest,)
    assert environments.made() == (newest,)
    assert not oldest.exists()


async def test_without_anything_a_python_with_pytest_is_taken(find) -> None:
    environment = await find(environment="auto")
    python, _ = find_python()
    assert environment.python == python
    assert _said(python, "import pytest; print('there')") == "there"


def _said(python: Path, code: str) -> str:
    done = subprocess.run([python, "-I", "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


async def test_orchards_own_interpreter_runs_tests_without_orchards_plugins(
    find, calculator, machine, tmp_path, monkeypatch
) -> None:
    find_python.cache_clear()
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent))
    try:
        environment = await find(environment="none")
    finally:
        find_python.cache_clear()
    assert environment.description.endswith("without its pytest plugins")
    home = tmp_path / "home"
    home.mkdir()
    sandbox = Sandbox(
        level=machine.strongest,
        network=machine.strongest is Level.PROCESS,
        cwd=home,
        home=home,
        read_only=environment.read_only,
        environment=environment.variables_at(home),
    )
    command = [str(environment.python), "-m", "pytest", "--version", "--version"]
    done = await run(plan_launch(command, sandbox, machine), timeout_seconds=30)
    said = done.output.decode()
    assert "This is pytest" in said
    assert "asyncio" not in said


def test_another_interpreter_keeps_its_plugins(tmp_path: Path) -> None:
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.symlink_to(sys.executable)
    other = of_python(python, root=tmp_path, folder=".", description="another")
    assert (other.variables, other.description) == ({}, "another")

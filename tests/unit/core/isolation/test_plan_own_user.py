"""Where Orchard is root: what is planned for a project's own user."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from core.isolation.plan import Level, Machine, Mount, Sandbox, plan_launch, user_of

WORKTREE, HOME = Path("/state/worktrees/shop-1"), Path("/state/homes/shop-1")
PYTHON = Path("/root/python")
MACHINE = Machine(
    levels=(Level.PROCESS, Level.FILESYSTEM),
    reasons={},
    strongest=Level.FILESYSTEM,
    python=PYTHON / "bin" / "python3",
    contain=Path("/orchard/contain.py"),
    bubblewrap=Path("/usr/bin/bwrap"),
    prlimit=Path("/usr/bin/prlimit"),
    system=tuple(Mount(source=path, target=path) for path in (Path("/usr"), PYTHON)),
    own_user=Path("/orchard/own_user.pyc"),
)
SANDBOX = Sandbox(level=Level.FILESYSTEM, cwd=WORKTREE, home=HOME, writable=(WORKTREE,), project="shop")


def test_the_launcher_is_started_as_the_projects_user_with_its_sources_on_the_stage() -> None:
    argv = plan_launch(["true"], SANDBOX, MACHINE).argv
    split = argv.index("--")
    before, launcher = argv[:split], argv[split + 1 :]
    assert before[3:7] == ("/orchard/own_user.pyc", str(user_of("shop")), "/run", "PARENT")
    assert launcher[0] == "/usr/bin/bwrap"
    sources = before[7:]
    assert sources == tuple(map(str, (PYTHON, HOME, WORKTREE)))
    for number, source in enumerate(sources):
        place = launcher.index(f"/run/{number}")
        assert launcher[place + 1] == source
    assert launcher[launcher.index("--bind") + 1].startswith("/run/")


def test_paths_of_the_system_are_shown_as_they_are_and_all_else_as_the_projects() -> None:
    """What only root may read below /etc is for no sandbox."""
    mounts = (Mount(source=Path("/etc/ssl"), target=Path("/etc/ssl")),)
    argv = plan_launch(["true"], replace(SANDBOX, mounts=mounts), MACHINE).argv
    assert argv[argv.index("/etc/ssl") - 1] == "--ro-bind-try"
    assert "/etc/ssl" not in argv[: argv.index("--")]


def test_level_process_and_an_orchard_that_is_not_root_become_nobody() -> None:
    for box, machine in (
        (replace(SANDBOX, level=Level.PROCESS), MACHINE),
        (SANDBOX, replace(MACHINE, own_user=None)),
    ):
        assert "/orchard/own_user.pyc" not in plan_launch(["true"], box, machine).argv


@given(st.text(max_size=40))
def test_a_projects_user_is_the_same_each_time_and_nobody_elses(name: str) -> None:
    assert user_of(name) == user_of(name)
    assert 1_879_048_192 <= user_of(name) < 1 << 31


def test_projects_have_different_users() -> None:
    assert len({user_of(f"project-{number}") for number in range(200)}) == 200

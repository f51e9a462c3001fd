"""Where Orchard is root: what is planned for a project's own user."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from core.isolation.bubblewrap import user_of
from core.isolation.plan import Level, Machine, Mount, Sandbox, plan_launch

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
    own_user=True,
)
SANDBOX = Sandbox(level=Level.FILESYSTEM, cwd=WORKTREE, home=HOME, writable=(WORKTREE,), project="shop")


def test_the_launcher_is_started_as_the_projects_user_with_its_sources_on_the_stage() -> None:
    launch = plan_launch(["true"], SANDBOX, MACHINE)
    who, argv = launch.becoming, launch.argv
    assert who is not None
    assert (who.uid, who.place) == (user_of("shop"), "/run")
    assert argv[0] == "/usr/bin/bwrap"
    assert who.sources == tuple(map(str, (PYTHON, HOME, WORKTREE)))
    for number, source in enumerate(who.sources):
        place = argv.index(f"/run/{number}")
        assert argv[place + 1] == source
    assert argv[argv.index("--bind") + 1].startswith("/run/")


def test_paths_of_the_system_are_shown_as_they_are_and_all_else_as_the_projects() -> None:
    """What only root may read below /etc is for no sandbox."""
    mounts = (Mount(source=Path("/etc/ssl"), target=Path("/etc/ssl")),)
    launch = plan_launch(["true"], replace(SANDBOX, mounts=mounts), MACHINE)
    assert launch.argv[launch.argv.index("/etc/ssl") - 1] == "--ro-bind-try"
    assert launch.becoming is not None
    assert "/etc/ssl" not in launch.becoming.sources


def test_level_process_and_an_orchard_that_is_not_root_become_nobody() -> None:
    for box, machine in (
        (replace(SANDBOX, level=Level.PROCESS), MACHINE),
        (SANDBOX, replace(MACHINE, own_user=False)),
    ):
        assert plan_launch(["true"], box, machine).becoming is None


@given(st.text(max_size=40))
def test_a_projects_user_is_the_same_each_time_and_nobody_elses(name: str) -> None:
    assert user_of(name) == user_of(name)
    assert 1_879_048_192 <= user_of(name) < 1 << 31


def test_projects_have_different_users() -> None:
    assert len({user_of(f"project-{number}") for number in range(200)}) == 200

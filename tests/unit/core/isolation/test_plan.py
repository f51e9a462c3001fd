"""The plan is pure: from values to argv, without a machine."""

from dataclasses import replace
from pathlib import Path

import pytest

from core.errors import InvalidInput, Unavailable
from core.isolation.plan import (
    Door,
    Level,
    Limits,
    Machine,
    Mount,
    Sandbox,
    ordered_mounts,
    plan_launch,
)

WORKTREE = Path("/state/worktrees/shop-1")
HOME = Path("/state/homes/shop-1")

MACHINE = Machine(
    levels=(Level.PROCESS, Level.FILESYSTEM),
    reasons={Level.NETWORK: "no proxy"},
    strongest=Level.FILESYSTEM,
    python=Path("/usr/bin/python3"),
    contain=Path("/orchard/contain.py"),
    bubblewrap=Path("/usr/bin/bwrap"),
    prlimit=Path("/usr/bin/prlimit"),
    system=(Mount(source=Path("/usr"), target=Path("/usr")),),
    links=((Path("/bin"), "usr/bin"),),
    user_home=Path("/home/ada"),
)
WEAK = replace(
    MACHINE,
    levels=(Level.PROCESS,),
    strongest=Level.PROCESS,
    reasons={Level.FILESYSTEM: "bubblewrap is not installed"},
)
SANDBOX = Sandbox(level=Level.FILESYSTEM, cwd=WORKTREE, home=HOME, writable=(WORKTREE,))


def options_of(argv: tuple[str, ...]) -> tuple[str, ...]:
    """What is said to the launcher, before the program."""
    return argv[: argv.index("--")]


def position(argv: tuple[str, ...], *words: str) -> int:
    for index in range(len(argv)):
        if argv[index : index + len(words)] == words:
            return index
    raise AssertionError(f"{words} not in {argv}")


def test_a_level_the_machine_cannot_give_is_refused_with_its_reason_and_the_next_step() -> None:
    with pytest.raises(Unavailable) as caught:
        plan_launch(["true"], SANDBOX, WEAK)
    assert caught.value.why == "bubblewrap is not installed"
    assert "isolation: process" in caught.value.hint


@pytest.mark.parametrize("level", [Level.NETWORK, Level.CONTAINER])
def test_levels_of_later_versions_are_refused_not_weakened(level: Level) -> None:
    with pytest.raises(Unavailable, match=str(level)):
        plan_launch(["true"], replace(SANDBOX, level=level), MACHINE)


def test_no_network_at_level_process_is_refused_not_ignored() -> None:
    with pytest.raises(Unavailable, match="network"):
        plan_launch(["true"], replace(SANDBOX, level=Level.PROCESS, network=False), MACHINE)


@pytest.mark.parametrize(
    "flag",
    [
        "--unshare-user",
        "--disable-userns",
        "--unshare-pid",
        "--unshare-ipc",
        "--die-with-parent",
        "--new-session",
    ],
)
def test_bubblewrap_is_hardened(flag: str) -> None:
    assert flag in options_of(plan_launch(["true"], SANDBOX, MACHINE).argv)


def test_every_capability_is_dropped_also_for_root() -> None:
    position(plan_launch(["true"], SANDBOX, MACHINE).argv, "--cap-drop", "ALL")


def test_the_network_is_cut_only_when_asked() -> None:
    assert "--unshare-net" not in plan_launch(["true"], SANDBOX, MACHINE).argv
    assert "--unshare-net" in plan_launch(["true"], replace(SANDBOX, network=False), MACHINE).argv


def test_read_only_inside_writable_is_mounted_after_it() -> None:
    tests = WORKTREE / "tests"
    argv = plan_launch(["true"], replace(SANDBOX, read_only=(tests,)), MACHINE).argv
    writable = position(argv, "--bind", str(WORKTREE), str(WORKTREE))
    assert position(argv, "--ro-bind-try", str(tests), str(tests)) > writable


def test_writable_inside_read_only_is_mounted_after_it() -> None:
    out = WORKTREE / "build"
    argv = plan_launch(["true"], replace(SANDBOX, writable=(out,), read_only=(WORKTREE,)), MACHINE).argv
    read_only = position(argv, "--ro-bind-try", str(WORKTREE), str(WORKTREE))
    assert position(argv, "--bind", str(out), str(out)) > read_only


def test_of_equal_paths_read_only_wins() -> None:
    mounts = ordered_mounts(replace(SANDBOX, read_only=(WORKTREE,)))
    assert [mount.writable for mount in mounts if mount.target == WORKTREE] == [False]


def test_a_read_only_path_below_a_mount_shows_the_mounts_source() -> None:
    mount = Mount(source=Path("/envs/abc"), target=WORKTREE / "node_modules", writable=True)
    below = WORKTREE / "node_modules" / "bin"
    mounts = ordered_mounts(replace(SANDBOX, mounts=(mount,), read_only=(below,)))
    assert Mount(source=Path("/envs/abc/bin"), target=below) in mounts


def test_own_temporary_folders_come_before_what_is_bound_into_them() -> None:
    box = replace(SANDBOX, cwd=Path("/tmp/w"), writable=(Path("/tmp/w"),))
    argv = plan_launch(["true"], box, MACHINE).argv
    assert position(argv, "--tmpfs", "/tmp") < position(argv, "--bind", "/tmp/w", "/tmp/w")
    assert position(argv, "--remount-ro", "/") > position(argv, "--bind", "/tmp/w", "/tmp/w")


def test_secrets_are_not_in_the_argv_that_every_user_can_read() -> None:
    launch = plan_launch(["true"], replace(SANDBOX, environment={"TOKEN": "s3cret"}), MACHINE)
    assert launch.environment["TOKEN"] == "s3cret"
    assert not any("s3cret" in word for word in launch.argv)


def test_loader_variables_reach_the_program_but_never_bubblewrap() -> None:
    launch = plan_launch(["true"], replace(SANDBOX, environment={"LD_PRELOAD": "/w/evil.so"}), MACHINE)
    assert "LD_PRELOAD" not in launch.environment
    position(launch.argv, "--setenv", "LD_PRELOAD", "/w/evil.so")


@pytest.mark.parametrize("level", [Level.PROCESS, Level.FILESYSTEM])
def test_home_is_the_private_one_whatever_the_environment_says(level: Level) -> None:
    box = replace(SANDBOX, level=level, environment={"HOME": "/home/ada"})
    assert plan_launch(["true"], box, MACHINE).environment["HOME"] == str(HOME)


@pytest.mark.parametrize("level", [Level.PROCESS, Level.FILESYSTEM])
def test_limits_are_given_in_bytes_and_memory_never_as_address_space(level: Level) -> None:
    limits = Limits(memory_mb=2, open_files=64, file_size_mb=1)
    argv = plan_launch(["true"], replace(SANDBOX, level=level, limits=limits), MACHINE).argv
    assert {"--core=0", "--data=2097152", "--nofile=64", "--fsize=1048576"} <= set(argv)
    assert not any(word.startswith("--as") for word in argv)


def test_the_process_limit_is_set_only_where_it_counts_the_sandbox_alone() -> None:
    box = replace(SANDBOX, limits=Limits(processes=100))
    assert "--nproc=100" in plan_launch(["true"], box, MACHINE).argv
    at_process = plan_launch(["true"], replace(box, level=Level.PROCESS), MACHINE)
    assert not any(word.startswith("--nproc") for word in at_process.argv)


def test_a_command_that_looks_like_an_option_stays_a_command() -> None:
    for level in MACHINE.levels:
        argv = plan_launch(["--bind", "/", "/"], replace(SANDBOX, level=level), MACHINE).argv
        assert argv[-4:] == ("--", "--bind", "/", "/")


@pytest.mark.parametrize("path", [Path("/"), Path("/home"), Path("/home/ada")])
def test_what_would_uncover_the_users_home_is_refused(path: Path) -> None:
    for box in (
        replace(SANDBOX, writable=(path,)),
        replace(SANDBOX, read_only=(path,)),
        replace(SANDBOX, mounts=(Mount(source=path, target=Path("/mnt")),)),
    ):
        with pytest.raises(InvalidInput, match="may not be given"):
            plan_launch(["true"], box, MACHINE)


@pytest.mark.parametrize("path", [Path("relative"), Path("/a/../b")])
def test_a_path_that_is_not_plain_and_absolute_is_refused(path: Path) -> None:
    with pytest.raises(InvalidInput, match="absolute"):
        plan_launch(["true"], replace(SANDBOX, writable=(path,)), MACHINE)


@pytest.mark.parametrize("argv", [[], [""], ["a\0b"], ["half of \ud83d"]])
def test_an_empty_or_unsayable_command_is_refused(argv: list[str]) -> None:
    with pytest.raises(InvalidInput):
        plan_launch(argv, SANDBOX, MACHINE)


@pytest.mark.parametrize("name", ["", "A=B"])
def test_an_impossible_variable_name_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput):
        plan_launch(["true"], replace(SANDBOX, environment={name: "x"}), MACHINE)


DOOR = Door(socket=Path("/state/doors/shop.sock"), port=13128, proxy=True)
GATEWAY = Door(socket=Path("/state/doors/gateway.sock"), port=8471)
NETWORKED = replace(
    MACHINE, levels=(*MACHINE.levels, Level.NETWORK), relay=Path("/orchard/relay.py"), seccomp=b"filter"
)
OWN_NETWORK = replace(SANDBOX, level=Level.NETWORK, doors=(DOOR, GATEWAY))


def test_level_network_has_a_network_of_its_own_and_a_relay_to_its_doors() -> None:
    argv = plan_launch(["true"], OWN_NETWORK, NETWORKED).argv
    assert "--unshare-net" in options_of(argv)
    position(argv, "--ro-bind", str(DOOR.socket), "/run/orchard/0.sock")
    relay = position(argv, "13128=/run/orchard/0.sock", "8471=/run/orchard/1.sock", "--")
    assert position(argv, "/usr/bin/prlimit") > relay  # which is not held to the program's limits


def test_a_program_is_told_of_its_proxy_but_reaches_the_gateway_as_outside() -> None:
    told = plan_launch(["true"], OWN_NETWORK, NETWORKED).environment
    assert {told[name] for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")} == {
        "http://127.0.0.1:13128"
    }
    assert "127.0.0.1" in told["no_proxy"].split(",")
    alone = plan_launch(["true"], replace(OWN_NETWORK, doors=(GATEWAY,)), NETWORKED).environment
    assert not [name for name in alone if "proxy" in name.lower()]


def test_level_network_without_network_needs_no_relay() -> None:
    argv = plan_launch(["true"], replace(SANDBOX, level=Level.NETWORK, network=False), NETWORKED).argv
    assert "--unshare-net" in argv
    assert not [word for word in argv if "relay" in word]


def test_level_network_with_network_but_no_door_is_refused_not_silently_cut_off() -> None:
    with pytest.raises(Unavailable, match="no way to the network"):
        plan_launch(["true"], replace(OWN_NETWORK, doors=()), NETWORKED)


@pytest.mark.parametrize(
    "changes",
    [
        {"level": Level.FILESYSTEM},
        {"network": False},
        {"doors": (DOOR, replace(GATEWAY, port=13128))},
        {"doors": (replace(DOOR, port=0),)},
        {"doors": (replace(DOOR, port=443),)},
        {"doors": (DOOR, replace(GATEWAY, proxy=True))},
        {"doors": (replace(DOOR, socket=Path("doors/x")),)},
    ],
)
def test_doors_that_make_no_sense_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(InvalidInput):
        plan_launch(["true"], replace(OWN_NETWORK, **changes), NETWORKED)  # type: ignore[arg-type]


def test_the_filter_of_system_calls_is_for_every_level_but_process() -> None:
    assert plan_launch(["true"], SANDBOX, NETWORKED).seccomp == b"filter"
    assert plan_launch(["true"], replace(SANDBOX, level=Level.PROCESS), NETWORKED).seccomp == b""

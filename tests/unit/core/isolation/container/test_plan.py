"""What Podman and Docker are started with, read as a reviewer would."""

from __future__ import annotations

import io
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from core.errors import InvalidInput, Unavailable
from core.isolation.container.image import host_tree, image_name
from core.isolation.container.plan import Container, Engine, Image, with_lifeline
from core.isolation.plan import (
    Door,
    Level,
    Limits,
    Machine,
    Mount,
    Sandbox,
    container_letter,
    plan_launch,
)

HOST = Image(name="localhost/orchard-host:1", shares_system=True)
PODMAN = Container(
    engine=Engine.PODMAN,
    program=Path("/usr/bin/podman"),
    image=HOST,
    init=Path("/o/container/init.py"),
    uid=7,
    gid=8,
)
MACHINE = Machine(
    levels=tuple(Level),
    reasons={},
    strongest=Level.FILESYSTEM,
    python=Path("/usr/bin/python3"),
    contain=Path("/o/contain.py"),
    relay=Path("/o/relay.pyc"),
    seccomp=b"\1\2",
    system=(
        Mount(source=Path("/usr"), target=Path("/usr")),
        Mount(source=Path("/etc/passwd"), target=Path("/etc/passwd")),
    ),
    user_home=Path("/home/ann"),
    container=PODMAN,
)
BOX = Sandbox(
    level=Level.CONTAINER,
    cwd=Path("/srv/tree"),
    home=Path("/srv/home"),
    writable=(Path("/srv/tree"),),
    read_only=(Path("/srv/tree/.git"),),
    environment={"TOKEN": "s3cret"},
    network=False,
)


def argv_of(box: Sandbox = BOX, container: Container = PODMAN) -> list[str]:
    return list(plan_launch(["true"], box, replace(MACHINE, container=container)).argv)


def after(argv: list[str], option: str) -> list[str]:
    return [argv[at + 1] for at, word in enumerate(argv) if word == option]


@pytest.mark.parametrize("engine", list(Engine))
def test_every_container_is_shut(engine: Engine) -> None:
    argv = argv_of(container=replace(PODMAN, engine=engine))
    assert "--read-only" in argv
    assert after(argv, "--cap-drop") == ["ALL"]
    assert "no-new-privileges" in after(argv, "--security-opt")
    assert after(argv, "--network") == ["none"]
    assert after(argv, "--pull") == ["never"]
    assert after(argv, "--user") == ["7:8"]
    assert not {"--privileged", "--cap-add", "--device", "--env", "-e"} & set(argv)
    assert not [word for word in argv if "unconfined" in word or word == "host"]
    assert any(word.startswith("/tmp:") and "size=" in word for word in after(argv, "--tmpfs"))


def test_docker_is_asked_nothing_that_only_podman_knows() -> None:
    argv = argv_of(container=replace(PODMAN, engine=Engine.DOCKER, rootless=True))
    only_podman = ("--read-only-tmpfs", "--systemd", "--http-proxy", "--userns")
    assert not [word for word in argv if word.startswith(only_podman)]


def test_no_secret_and_no_command_is_on_the_command_line() -> None:
    launch = plan_launch(["agent", "--key=k3y"], BOX, MACHINE)
    assert not [word for word in launch.argv if "s3cret" in word or "k3y" in word]
    letter = container_letter(launch)
    assert letter["argv"] == ["agent", "--key=k3y"]
    assert letter["environment"] == {
        "TOKEN": "s3cret",
        "HOME": "/srv/home",
        "PATH": "/usr/local/bin:/usr/bin:/bin",
    }
    assert letter["seccomp"] == "0102"


def test_only_what_was_given_is_mounted_and_only_the_worktree_can_be_written() -> None:
    mounts = after(argv_of(), "--mount")
    assert mounts == [
        "type=bind,source=/usr,target=/usr,readonly",
        "type=bind,source=/srv/home,target=/srv/home",
        "type=bind,source=/srv/tree,target=/srv/tree",
        "type=bind,source=/srv/tree/.git,target=/srv/tree/.git,readonly",
        "type=bind,source=/o/container/init.py,target=/run/orchard/init.py,readonly",
    ]


def test_our_first_process_is_compiled_for_this_machine_s_python_alone() -> None:
    container = replace(PODMAN, init_compiled=Path("/o/container/init.pyc"))
    argv = argv_of(container=container)
    assert "type=bind,source=/o/container/init.pyc,target=/run/orchard/init.pyc,readonly" in argv
    assert argv[-2] == "/run/orchard/init.pyc"
    argv = argv_of(replace(BOX, image="theirs:1"), container=container)
    assert argv[-2] == "/run/orchard/init.py"
    assert not [word for word in argv if "init.pyc" in word]


def test_each_place_is_mounted_once() -> None:
    again = (
        Mount(source=Path("/usr"), target=Path("/usr")),
        Mount(source=Path("/srv/t"), target=Path("/tmp")),
    )
    argv = argv_of(replace(BOX, mounts=again))
    targets = [word.partition("target=")[2].split(",")[0] for word in after(argv, "--mount")]
    targets += [word.partition(":")[0] for word in after(argv, "--tmpfs")]
    assert len(set(targets)) == len(targets)


def test_limits_become_the_containers_own() -> None:
    limits = Limits(memory_mb=300, processes=40, open_files=99, file_size_mb=2, cpus=0.5)
    argv = argv_of(replace(BOX, limits=limits))
    assert (after(argv, "--memory"), after(argv, "--memory-swap")) == (["300m"], ["300m"])
    assert after(argv, "--cpus") == ["0.5"]
    assert after(argv, "--pids-limit") == ["48"]
    assert "nofile=99:99" in after(argv, "--ulimit")


def test_without_any_limit_asked_a_fork_bomb_has_an_end() -> None:
    assert 0 < int(after(argv_of(), "--pids-limit")[0]) < 10_000


def test_an_engine_that_ignores_limits_is_asked_for_none_and_rlimits_hold() -> None:
    container = replace(PODMAN, holds_limits=False, rootless=True)
    box = replace(BOX, limits=Limits(memory_mb=300, cpus=1))
    launch = plan_launch(["true"], box, replace(MACHINE, container=container))
    assert not {"--memory", "--cpus", "--pids-limit"} & set(launch.argv)
    assert ("data", 300 << 20) in container_letter(launch)["limits"]


def test_a_rootless_engine_keeps_the_users_number() -> None:
    argv = argv_of(container=replace(PODMAN, rootless=True))
    assert after(argv, "--userns") == ["keep-id"]


def test_doors_are_mounted_and_the_relay_is_told_of_them() -> None:
    door = Door(socket=Path("/srv/p.sock"), port=3128, proxy=True)
    launch = plan_launch(["true"], replace(BOX, network=True, doors=(door,)), MACHINE)
    mounts = after(list(launch.argv), "--mount")
    assert "type=bind,source=/srv/p.sock,target=/run/orchard/0.sock,readonly" in mounts
    assert "type=bind,source=/o/relay.pyc,target=/run/orchard/relay.pyc,readonly" in mounts
    letter = container_letter(launch)
    assert letter["relay"] == ["/run/orchard/relay.pyc", "3128=/run/orchard/0.sock"]
    assert letter["environment"]["https_proxy"] == "http://127.0.0.1:3128"


def test_a_named_image_brings_its_own_system_and_python() -> None:
    door = Door(socket=Path("/srv/p.sock"), port=3128)
    box = replace(BOX, image="docker.io/team/tools:3", network=True, doors=(door,))
    argv = argv_of(box)
    assert argv[argv.index("--entrypoint") + 1 :][:2] == ["python3", "docker.io/team/tools:3"]
    assert not [word for word in argv if "source=/usr," in word]
    assert "type=bind,source=/o/relay.py,target=/run/orchard/relay.py,readonly" in argv


def test_network_without_a_door_is_refused() -> None:
    with pytest.raises(Unavailable, match="no way to the network"):
        argv_of(replace(BOX, network=True))


def test_a_machine_without_containers_says_why() -> None:
    levels = (Level.PROCESS, Level.FILESYSTEM)
    machine = replace(MACHINE, levels=levels, reasons={Level.CONTAINER: "Podman is not installed."})
    with pytest.raises(Unavailable, match="Podman is not installed"):
        plan_launch(["true"], BOX, machine)


@pytest.mark.parametrize("name", ["/srv/a,b", '/srv/a"b'])
def test_a_comma_in_a_path_is_no_option(name: str) -> None:
    argv = argv_of(replace(BOX, writable=(Path(name),)))
    assert f"{name}:{name}:rw" in after(argv, "--volume")


def test_a_path_that_no_option_can_take_is_refused() -> None:
    with pytest.raises(InvalidInput, match="comma"):
        argv_of(replace(BOX, writable=(Path("/srv/a,b:ro"),)))


@pytest.mark.parametrize("place", ["/proc/1", "/sys", "/dev/kvm"])
def test_the_kernels_own_folders_are_never_given(place: str) -> None:
    with pytest.raises(InvalidInput, match=place):
        argv_of(replace(BOX, mounts=(Mount(source=Path(place), target=Path("/srv/x")),)))


def test_the_lifeline_is_added_as_an_option_of_run() -> None:
    argv = with_lifeline(
        argv_of(container=replace(PODMAN, options=("--runtime", "runc"))), "n1", Path("/t/s")
    )
    at = argv.index("run")
    assert argv[1:at] == ["--runtime", "runc"]
    assert argv[at + 1 : at + 5] == [
        "--name",
        "n1",
        "--mount",
        "type=bind,source=/t/s,target=/run/orchard/lifeline.sock,readonly",
    ]


@pytest.fixture
def etc(tmp_path: Path) -> Path:
    (tmp_path / "ssl" / "private").mkdir(parents=True)
    (tmp_path / "ssl" / "private").chmod(0o700)
    (tmp_path / "ssl" / "private" / "key").write_text("inside a closed folder")
    (tmp_path / "ssl" / "open").write_text("certificate")
    (tmp_path / "ssl" / "shadow").write_text("only for its owner")
    (tmp_path / "ssl" / "shadow").chmod(0o600)
    (tmp_path / "ssl" / "link").symlink_to("/usr/share/x")
    return tmp_path


def machine_with(etc: Path) -> Machine:
    mounts = (MACHINE.system[0], Mount(source=etc / "ssl", target=Path("/etc/ssl")))
    return replace(MACHINE, system=mounts, links=((Path("/bin"), "usr/bin"), (Path("/var/run"), "/run")))


def test_an_image_holds_what_everybody_may_read_and_no_more(etc: Path) -> None:
    tree = host_tree(machine_with(etc))
    assert b"only for its owner" not in tree
    assert b"inside a closed folder" not in tree
    with tarfile.open(fileobj=io.BytesIO(tree)) as tar:
        found = {entry.name: entry for entry in tar.getmembers()}
        certificate = tar.extractfile("etc/ssl/open")
        assert certificate is not None
        assert certificate.read() == b"certificate"
    assert found["etc/ssl/link"].linkname == "/usr/share/x"
    assert found["bin"].linkname == "usr/bin"
    assert found["usr"].isdir()
    assert all(entry.uid == 0 and not entry.mode & 0o6000 for entry in found.values())


def test_an_image_is_named_by_what_it_holds(etc: Path) -> None:
    before = image_name(host_tree(machine_with(etc)))
    assert image_name(host_tree(machine_with(etc))) == before
    (etc / "ssl" / "open").write_text("renewed")
    assert image_name(host_tree(machine_with(etc))) != before

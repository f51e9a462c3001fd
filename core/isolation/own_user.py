"""Becomes a project's own user on the way to being the sandbox's launcher: for an Orchard that runs as root.

What runs in a sandbox started by root would be root by number: it owns the machine's device nodes, and may
change their modes, also by a descriptor it was given. The project's user owns nothing. So that it can still
work on files that root owns, each source is shown to it, in a mount namespace of its process alone, by an
id-mapped mount: what belongs to root on the disk belongs to the user there, and what the user writes belongs
to root on the disk. Nobody has to change an owner, and git sees one owner on both sides.

The nth source appears as PLACE/n, and the launcher itself behind the last. What is missing is left out.

Where the kernel or a file system cannot map ids (before Linux 5.12; NFS) the program stays root by number and
gets device nodes of its own instead: what it does to them ends with it.

It is done between fork and exec (`OwnUser` as a `preexec_fn`), in 2 ms: an interpreter of its own would take
ten more. Other threads do not exist there, and what they held is held for ever: so nothing of it imports,
logs, looks a symbol up, or takes a lock. The same as a program, to start a sandbox without Orchard:

    python -I -S own_user.py UID PLACE PARENT PATH ... -- BUBBLEWRAP ...
"""

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found]  # without enums, a third of the start
import ctypes
import os
import stat
import sys
from collections.abc import Iterable, Sequence

_CLONE_NEWNS = 0x20000
_CLONE_NEWUSER = 0x10000000
_MS_NOSUID, _MS_NOEXEC, _MS_BIND, _MS_REC, _MS_PRIVATE = 2, 8, 4096, 16384, 1 << 18
_PR_SET_PDEATHSIG = 1
_SIGKILL = 9
# These numbers are the same on every architecture that we have a filter for.
_OPEN_TREE, _MOVE_MOUNT, _MOUNT_SETATTR = 428, 429, 442
_AT_FDCWD, _AT_EMPTY_PATH, _AT_RECURSIVE = -100, 0x1000, 0x8000
_OPEN_TREE_CLONE, _OPEN_TREE_CLOEXEC = 1, 0x80000
_MOVE_MOUNT_F_EMPTY_PATH = 4
_MOUNT_ATTR_IDMAP = 0x00100000

_NODES = {"null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 8), "urandom": (1, 9), "tty": (5, 0)}

_libc = ctypes.CDLL(None, use_errno=True)
# Found here: the loader's lock may be another thread's at the fork.
_libc_mount = _libc.mount
_libc_prctl = _libc.prctl
_libc_syscall = _libc.syscall
_libc_unshare = _libc.unshare

MOST_MAPPINGS = 32
_mappings: dict[int, int] = {}  # of this process: by user, a descriptor of the namespace that maps to it


class OwnUser:
    """A `preexec_fn`. Failing, it says why on standard error and ends the child with code 1.

    `given`: the descriptors that the program gets; of them, pipes become the user's. Makes what the child
    needs when it is made, which for a user new to this process takes a fork and some milliseconds.
    """

    def __init__(
        self, uid: int, place: str, sources: Sequence[str], launcher: str, given: Iterable[int]
    ) -> None:
        self.uid = uid
        self.place = place
        self.sources = tuple(sources)
        self.launcher = launcher
        self._given = frozenset(given)
        self._parent = os.getpid()
        self._mapping = mapping_to(uid)

    @property
    def executable(self) -> str:
        """Where the launcher is then: it may lie where only root gets to."""
        return f"{self.place}/{len(self.sources)}"

    def __call__(self) -> None:
        try:
            self._become()
        except OSError as error:
            what = error.filename or self.launcher
            os.write(2, f"own_user: {what}: {error.strerror}\n".encode())
            os._exit(1)

    def _become(self) -> None:
        sources = [*((path, True) for path in self.sources), (self.launcher, False)]
        uid = self.uid
        _die_with(self._parent)
        _check(_libc_unshare(_CLONE_NEWNS), "a mount namespace")
        _mount(b"none", b"/", b"", _MS_REC | _MS_PRIVATE)
        try:
            trees = _trees(sources, self._mapping)
        except OSError:  # one of these file systems maps no ids
            trees, uid = _trees(sources, None), 0
        if self._mapping is None:
            uid = 0
        _stage(self.place, trees, sources, with_nodes=uid == 0)
        if uid:
            _become(uid, self._given)
            _die_with(self._parent)  # forgotten with the change of user


def mapping_to(uid: int) -> int | None:
    """The namespace that gives root's files to `uid`, made once in a process. None where there can be none;
    raises OSError when there was none to be had just now."""
    if uid not in _mappings:
        fd = _mapping(uid)
        if fd is None:
            return None
        if len(_mappings) == MOST_MAPPINGS:
            os.close(_mappings.pop(next(iter(_mappings))))
        _mappings[uid] = fd
    return _mappings[uid]


def main(arguments: list[str]) -> int:
    uid, place, parent = int(arguments[0]), arguments[1], int(arguments[2])
    split = arguments.index("--", 3)
    command = arguments[split + 1 :]
    environment = _given_environment()  # to be read before what may read it changes
    if os.getppid() != parent:
        return 128 + _SIGKILL
    own = OwnUser(uid, place, arguments[3:split], command[0], _open_descriptors())
    own._parent = parent
    own()
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # which Python ignores, and what comes next would
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execve(own.executable, command, environment)  # noqa: S606 - no shell is meant
    except OSError as error:
        os.write(2, f"own_user: {command[0]}: {error.strerror}\n".encode())
    return 1


def _open_descriptors() -> list[int]:
    return [int(name) for name in os.listdir("/proc/self/fd")]  # noqa: PTH208


def _given_environment() -> dict[bytes, bytes]:
    """As this process was started with: Python itself adds LC_CTYPE where no locale is set."""
    with open("/proc/self/environ", "rb") as file:  # noqa: PTH123
        entries = [entry.partition(b"=") for entry in file.read().split(b"\0") if entry]
    return {name: value for name, _, value in entries}


def _trees(sources: list[tuple[str, bool]], mapping: int | None) -> list[int | None]:
    """A detached copy of each source's mount, opened before anything is laid over a source."""
    found: list[int | None] = []
    for path, mapped in sources:
        flags = _OPEN_TREE_CLONE | _OPEN_TREE_CLOEXEC | _AT_RECURSIVE
        try:
            tree = _call(path, _OPEN_TREE, _AT_FDCWD, os.fsencode(path), flags)
        except FileNotFoundError:
            found.append(None)
            continue
        if mapped and mapping is not None:
            attributes = (ctypes.c_uint64 * 4)(_MOUNT_ATTR_IDMAP, 0, 0, mapping)
            how = _AT_EMPTY_PATH | _AT_RECURSIVE
            _call(path, _MOUNT_SETATTR, tree, b"", how, ctypes.byref(attributes), ctypes.sizeof(attributes))
        found.append(tree)
    return found


def _mapping(uid: int) -> int | None:
    """A user namespace in which the disk's root is `uid`, and everybody else is who they are: the kernel lets
    nobody write what belongs to a user or group without a name here."""
    told, tell = os.pipe()
    ended, end = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(end)
            made = _libc_unshare(_CLONE_NEWUSER) == 0
            os.write(tell, b"y" if made else b"n")
            os.read(ended, 1)
        finally:  # also on a Ctrl-C of the whole group: else a second Orchard would go on from here
            os._exit(0)
    try:
        os.close(ended)
        if os.read(told, 1) != b"y":
            return None
        for name in ("uid_map", "gid_map"):
            with open(f"/proc/{pid}/{name}", "w") as file:  # noqa: PTH123
                file.write(f"0 {uid} 1\n1 1 {uid - 1}\n")
        return os.open(f"/proc/{pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        for fd in (told, tell, end):
            os.close(fd)
        os.waitpid(pid, 0)


def _stage(place: str, trees: list[int | None], sources: list[tuple[str, bool]], *, with_nodes: bool) -> None:
    folder = os.fsencode(place)
    _mount(b"orchard", folder, b"tmpfs", _MS_NOSUID | _MS_NOEXEC, b"mode=755")
    for number, tree in enumerate(trees):
        if tree is None:
            continue
        at = f"{place}/{number}"
        if stat.S_ISDIR(os.stat(tree).st_mode):  # noqa: PTH116
            os.mkdir(at)  # noqa: PTH102
        else:
            os.close(os.open(at, os.O_CREAT | os.O_WRONLY, 0o600))
        try:
            _call(at, _MOVE_MOUNT, tree, b"", _AT_FDCWD, os.fsencode(at), _MOVE_MOUNT_F_EMPTY_PATH)
        except OSError as error:
            raise OSError(error.errno, error.strerror, sources[number][0]) from error
        os.close(tree)
    if with_nodes:
        _own_nodes(f"{place}/dev")


def _own_nodes(folder: str) -> None:
    """Over the machine's, and in place of what was opened of them for us."""
    os.mkdir(folder)  # noqa: PTH102
    before = os.umask(0)
    for name, (major, minor) in _NODES.items():
        os.mknod(f"{folder}/{name}", stat.S_IFCHR | 0o666, os.makedev(major, minor))
    os.umask(before)
    for standard in (0, 1, 2):
        status = os.fstat(standard)
        if stat.S_ISCHR(status.st_mode) and status.st_rdev == os.makedev(*_NODES["null"]):
            fd = os.open(f"{folder}/null", os.O_RDWR)
            os.dup2(fd, standard)
            os.close(fd)
    for name in _NODES:
        if os.path.exists(f"/dev/{name}"):  # noqa: PTH110
            _mount(f"{folder}/{name}".encode(), f"/dev/{name}".encode(), b"", _MS_BIND)


def _become(uid: int, given: Iterable[int]) -> None:
    """The pipes we were given go along: a program may open its own output again by its path."""
    for fd in given:
        try:
            if stat.S_ISFIFO(os.fstat(fd).st_mode):
                os.fchown(fd, uid, uid)
        except OSError:
            continue  # closed, or of a listing
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)


def _die_with(parent: int) -> None:
    _check(_libc_prctl(_PR_SET_PDEATHSIG, _SIGKILL), "a signal at the parent's death")
    if os.getppid() != parent:
        os._exit(128 + _SIGKILL)


def _mount(source: bytes, target: bytes, kind: bytes, flags: int, data: bytes = b"") -> None:
    _check(_libc_mount(source, target, kind, ctypes.c_ulong(flags), data), os.fsdecode(target))


def _call(what: str, number: int, *arguments: object) -> int:
    return _check(_libc_syscall(number, *arguments), what)


def _check(result: int, what: str) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), what)
    return result


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

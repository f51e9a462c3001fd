"""PURE: the system calls that a sandboxed program may not make, as a filter for `bubblewrap --seccomp`.

A classic BPF program over `struct seccomp_data` (see seccomp(2)), assembled here: 8 bytes an instruction.
Refused is what reaches the kernel's rarely used parts or other processes; the rest is allowed, since agents
and tests run any program. What programs try first and can do without answers ENOSYS, so that they fall back.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from errno import EAFNOSUPPORT, ENOSYS, EPERM
from types import MappingProxyType

_LOAD, _JUMP_EQUAL, _JUMP_AT_LEAST, _JUMP_ANY_BIT, _AND, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x54, 0x06
_NUMBER_AT, _ARCHITECTURE_AT, _ARGUMENTS_AT = 0, 4, 16
_ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000

_NEW_NAMESPACES = 0x7E020080  # CLONE_NEW: NS TIME CGROUP UTS IPC USER PID NET
_ATTACH, _SEIZE = 16, 0x4206  # a child that asks its parent to trace it (TRACEME) may: debuggers do that
_FAMILIES = (1, 2, 10)  # unix, IPv4, IPv6
_NETLINK, _ROUTE = 16, 0
_TERMINAL_INPUT = (0x5412, 0x541C)  # TIOCSTI, TIOCLINUX: typing into the terminal outside
_SETUID = 0o4000
_FILE_MAY_BE_MADE = 0o100 | 0o20000000  # O_CREAT, O_TMPFILE

# Numbers: asm/unistd_64.h, asm-generic/unistd.h.
_REFUSED = {
    # name: (x86-64, aarch64); None: there is no such call
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "kcmp": (312, 272),
    "pidfd_getfd": (438, 438),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "move_mount": (429, 429),
    "open_tree": (428, 428),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "setns": (308, 268),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "reboot": (169, 142),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "acct": (163, 89),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "syslog": (103, 116),
    "open_by_handle_at": (304, 265),
    "fanotify_init": (300, 262),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "vhangup": (153, 58),
    "move_pages": (279, 239),
    "migrate_pages": (256, 238),
    "lookup_dcookie": (212, 18),
    "nfsservctl": (180, 42),
    "iopl": (172, None),
    "ioperm": (173, None),
    "modify_ldt": (154, None),
    "uselib": (134, None),
    "ustat": (136, None),
    "sysfs": (139, None),
}
_ABSENT = {
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "userfaultfd": (323, 282),
    # Their flags are in memory, where a filter cannot look; libraries fall back to clone and openat.
    "clone3": (435, 435),
    "openat2": (437, 437),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Argument:
    """The lower half of a call's argument `index`, masked, is one of `values`; no values: any bit is left."""

    index: int
    values: tuple[int, ...] = ()
    mask: int = 0xFFFFFFFF
    inverted: bool = False  # is none of them


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A call answers `errno` when all of `arguments` hold."""

    name: str
    numbers: tuple[int | None, int | None]
    errno: int = EPERM
    arguments: tuple[Argument, ...] = ()


def _setuid(
    name: str, numbers: tuple[int | None, int | None], mode: int, flags: int | None = None
) -> Refusal:
    """Files that run as their owner: harmless inside, but they also stand in the folder outside."""
    made = () if flags is None else (Argument(index=flags, mask=_FILE_MAY_BE_MADE),)
    return Refusal(name=name, numbers=numbers, arguments=(*made, Argument(index=mode, mask=_SETUID)))


REFUSALS: tuple[Refusal, ...] = (
    *(Refusal(name=name, numbers=numbers) for name, numbers in _REFUSED.items()),
    *(Refusal(name=name, numbers=numbers, errno=ENOSYS) for name, numbers in _ABSENT.items()),
    Refusal(name="ptrace", numbers=(101, 117), arguments=(Argument(index=0, values=(_ATTACH, _SEIZE)),)),
    Refusal(name="clone", numbers=(56, 220), arguments=(Argument(index=0, mask=_NEW_NAMESPACES),)),
    Refusal(name="unshare", numbers=(272, 97), arguments=(Argument(index=0, mask=_NEW_NAMESPACES),)),
    Refusal(name="ioctl", numbers=(16, 29), arguments=(Argument(index=1, values=_TERMINAL_INPUT),)),
    Refusal(
        name="socket",
        numbers=(41, 198),
        errno=EAFNOSUPPORT,
        arguments=(Argument(index=0, values=(*_FAMILIES, _NETLINK), inverted=True),),
    ),
    Refusal(  # NETLINK_ROUTE stays: Node and Go list the interfaces by it, and fail without
        name="socket",
        numbers=(41, 198),
        errno=EAFNOSUPPORT,
        arguments=(Argument(index=0, values=(_NETLINK,)), Argument(index=2, values=(_ROUTE,), inverted=True)),
    ),
    _setuid("chmod", (90, None), 1),
    _setuid("fchmod", (91, 52), 1),
    _setuid("fchmodat", (268, 53), 2),
    _setuid("fchmodat2", (452, 452), 2),
    _setuid("creat", (85, None), 1),
    _setuid("mknod", (133, None), 1),
    _setuid("mknodat", (259, 33), 2),
    _setuid("open", (2, None), 2, flags=1),
    _setuid("openat", (257, 56), 3, flags=2),
)

# As `uname -m` says it: (index of the numbers, AUDIT_ARCH).
_ARCHITECTURES: Mapping[str, tuple[int, int]] = MappingProxyType(
    {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
)
_X32 = 0x40000000  # x86-64's second set of numbers


def filter_for(architecture: str, *, errno: int | None = None) -> bytes | None:
    """The program for a machine (as `uname -m` says it); None for one that we have no numbers of.

    Calls of another instruction set (32-bit programs) end the process. `errno` replaces every refusal's own:
    to a test it tells that the filter refused, and not the kernel.
    """
    if architecture not in _ARCHITECTURES:
        return None
    index, audit = _ARCHITECTURES[architecture]
    program = [
        _instruction(_LOAD, _ARCHITECTURE_AT),
        _instruction(_JUMP_EQUAL, audit, 1, 0),
        _instruction(_RETURN, _KILL),
        _instruction(_LOAD, _NUMBER_AT),
    ]
    if architecture == "x86_64":
        program += [
            _instruction(_JUMP_AT_LEAST, _X32, 0, 1),
            _instruction(_RETURN, _ERRNO | (errno or ENOSYS)),
        ]
    for refusal in REFUSALS:
        number = refusal.numbers[index]
        if number is not None:
            program += _refuse(number, refusal.errno if errno is None else errno, refusal.arguments)
    program.append(_instruction(_RETURN, _ALLOW))
    return b"".join(program)


def _refuse(number: int, errno: int, arguments: Iterable[Argument]) -> list[bytes]:
    """Falls through behind itself, with the call's number loaded, when it does not refuse."""
    tests = [_test(argument) for argument in arguments]
    body: list[bytes] = []
    behind = sum(len(test) for test in tests) + 1  # to the instruction that loads the number again
    for test in tests:
        for place, (code, value, hit, miss) in enumerate(test):
            left = behind - len(body) - 1
            onward = len(test) - place - 1
            jumps = {None: 0, True: onward, False: left}
            body.append(_instruction(code, value, jumps[hit], jumps[miss]))
    body.append(_instruction(_RETURN, _ERRNO | errno))
    if tests:
        body.append(_instruction(_LOAD, _NUMBER_AT))
    return [_instruction(_JUMP_EQUAL, number, 0, len(body)), *body]


# An instruction with where it goes on: True to the next test, False behind the refusal, None to the next.
_Step = tuple[int, int, bool | None, bool | None]


def _test(argument: Argument) -> list[_Step]:
    steps: list[_Step] = [(_LOAD, _ARGUMENTS_AT + 8 * argument.index, None, None)]
    if not argument.values:
        return [*steps, (_JUMP_ANY_BIT, argument.mask, True, False)]
    if argument.mask != 0xFFFFFFFF:
        steps.append((_AND, argument.mask, None, None))
    steps += [(_JUMP_EQUAL, value, not argument.inverted, None) for value in argument.values[:-1]]
    steps.append((_JUMP_EQUAL, argument.values[-1], not argument.inverted, argument.inverted))
    return steps


def _instruction(code: int, value: int, hit: int = 0, miss: int = 0) -> bytes:
    return struct.pack("=HBBI", code, hit, miss, value)

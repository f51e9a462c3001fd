"""The filter is read by a small machine of our own here, as the kernel would."""

import errno
import re
import struct
from pathlib import Path

import pytest

from core.isolation.seccomp import REFUSALS, filter_for

ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
ALLOW, KILL = 0x7FFF0000, 0x80000000
HEADERS = {
    "x86_64": "/usr/include/x86_64-linux-gnu/asm/unistd_64.h",
    "aarch64": "/usr/include/asm-generic/unistd.h",
}


def outcome(program: bytes, audit: int, number: int, *arguments: int) -> int:
    """What seccomp(2) would do: ALLOW, KILL or an errno."""
    data = struct.pack("=IIQ6Q", number, audit, 0, *(arguments + (0,) * 6)[:6])
    steps = [struct.unpack_from("=HBBI", program, at) for at in range(0, len(program), 8)]
    place = value = 0
    while True:
        code, hit, miss, operand = steps[place]
        place += 1
        if code == 0x20:
            (value,) = struct.unpack_from("=I", data, operand)
        elif code == 0x54:
            value &= operand
        elif code == 0x06:
            return operand & 0xFFFF if operand >> 16 == 5 else operand
        else:
            test = {0x15: value == operand, 0x35: value >= operand, 0x45: bool(value & operand)}[code]
            place += hit if test else miss


@pytest.fixture(params=sorted(ARCHITECTURES))
def machine(request: pytest.FixtureRequest) -> tuple[str, bytes, int]:
    program = filter_for(request.param)
    assert program
    return request.param, program, ARCHITECTURES[request.param]


def number_of(name: str, architecture: str) -> int | None:
    found = [refusal for refusal in REFUSALS if refusal.name == name]
    return found[0].numbers[sorted(ARCHITECTURES, reverse=True).index(architecture)]


def test_the_numbers_are_the_kernels(machine) -> None:
    architecture = machine[0]
    header = Path(HEADERS[architecture])
    if not header.exists():
        pytest.skip(f"needs {header} (Debian: linux-libc-dev)")
    found = dict(re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", header.read_text()))
    known = {refusal.name: number_of(refusal.name, architecture) for refusal in REFUSALS}
    newer = {"fchmodat2"}
    wrong = {
        name: (number, found.get(name))
        for name, number in known.items()
        if name not in newer and (None if name not in found else int(found[name])) != number
    }
    assert wrong == {}


@pytest.mark.parametrize("name", sorted({refusal.name for refusal in REFUSALS if not refusal.arguments}))
def test_calls_that_nobody_needs_are_refused_whatever_they_are_given(machine, name: str) -> None:
    architecture, program, audit = machine
    number = number_of(name, architecture)
    if number is None:
        pytest.skip("there is no such call")
    assert outcome(program, audit, number) in (errno.EPERM, errno.ENOSYS)
    assert outcome(program, audit, number, *[2**64 - 1] * 6) in (errno.EPERM, errno.ENOSYS)


@pytest.mark.parametrize(
    ("name", "refused", "allowed"),
    [
        ("ptrace", [(16, 5), (0x4206, 5), ((1 << 32) | 16, 5)], [(0,), (1, 5), (7, 5)]),
        ("clone", [(1 << bit,) for bit in (7, 17, 25, 26, 27, 28, 29, 30)], [(17,), (0x3D0F00,)]),
        ("unshare", [(0x10000000,), (0x20000,)], [(0x400,), (0x200,)]),
        ("ioctl", [(0, 0x5412), (0, (1 << 32) | 0x5412), (0, 0x541C)], [(0, 0x5401), (0, 0x5413)]),
        (
            "socket",
            [(16, 3, 15), (16, 3, 12), (17, 3, 0), (40, 1, 0), (38, 5, 0), (29, 3, 1), (0, 1, 0)],
            [(1, 1, 0), (2, 1, 6), (10, 2, 17), (16, 3, 0)],
        ),
        ("fchmod", [(3, 0o4755), (3, 0o6711)], [(3, 0o755), (3, 0o2775)]),
        ("fchmodat", [(3, 0, 0o4755)], [(3, 0o4000, 0o755)]),
        ("fchmodat2", [(3, 0, 0o4755)], [(3, 0o4000, 0o755)]),
        ("mknodat", [(3, 0, 0o104755)], [(3, 0, 0o100644)]),
        (
            "openat",
            [(3, 0, 0o101, 0o4755), (3, 0, 0o20200000, 0o4755)],
            [(3, 0, 0, 0o4755), (3, 0, 0o101, 0o644)],
        ),
    ],
)
def test_calls_are_refused_by_what_they_are_given(machine, name: str, refused, allowed) -> None:
    architecture, program, audit = machine
    number = number_of(name, architecture)
    assert number is not None
    assert [one for one in refused if outcome(program, audit, number, *one) == ALLOW] == []
    assert [one for one in allowed if outcome(program, audit, number, *one) != ALLOW] == []


def test_every_other_call_is_allowed(machine) -> None:
    architecture, program, audit = machine
    ours = {number_of(refusal.name, architecture) for refusal in REFUSALS}
    assert {outcome(program, audit, number) for number in range(600) if number not in ours} == {ALLOW}


def test_another_instruction_set_ends_the_process_and_other_numbers_of_ours_are_not_there(machine) -> None:
    architecture, program, audit = machine
    assert outcome(program, 0x40000003, 1) == KILL
    if architecture == "x86_64":
        assert outcome(program, audit, 0x40000000 | 165) == errno.ENOSYS


def test_there_is_none_for_a_machine_whose_numbers_we_do_not_know() -> None:
    assert filter_for("riscv64") is None

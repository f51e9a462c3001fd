"""PURE: the attacks that every isolation level is tried with, and what has to come of each.

`program` tries them from inside of a sandbox, `trial` prepares their targets and judges.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from core.isolation.plan import Level


class Outcome(StrEnum):
    """What a level makes of an attack."""

    STOPPED = "stopped"  # it fails
    CONTAINED = "contained"  # it works on the sandbox's own things, up to a limit
    OPEN = "open"  # the level is not meant to hold this: take a stronger one


_S, _C, _O = Outcome.STOPPED, Outcome.CONTAINED, Outcome.OPEN
LEVELS = tuple(Level)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """`name` is also the function of `program` that tries it. `outcomes` are by `LEVELS`."""

    name: str
    topic: str
    what: str
    outcomes: tuple[Outcome, ...]

    def outcome(self, level: Level) -> Outcome:
        return self.outcomes[LEVELS.index(level)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one attack came to at a level. `held` False: the level let through what it must hold."""

    attack: Attack
    level: Level
    succeeded: bool
    said: str  # by the attack: an error's name, or what it got at

    @property
    def held(self) -> bool:
        """What is contained reports of itself whether it met a limit; what is open is no promise."""
        return not self.succeeded or self.attack.outcome(self.level) is Outcome.OPEN


def _attacks(topic: str, *rows: tuple[str, str, tuple[Outcome, ...]]) -> tuple[Attack, ...]:
    return tuple(
        Attack(name=name, topic=topic, what=what, outcomes=outcomes) for name, what, outcomes in rows
    )


_CLOSED = (_O, _S, _S, _S)
_NET = (_O, _O, _S, _S)
_HELD = (_S, _S, _S, _S)
_BOUND = (_C, _C, _C, _C)

ATTACKS: tuple[Attack, ...] = (
    *_attacks(
        "Reading",
        ("read_home", "list the user's home folder, and the SSH keys in it", _CLOSED),
        ("read_sibling", "read another project's files", _CLOSED),
        ("read_database", "read Orchard's database", _CLOSED),
        ("read_by_link", "read a secret through a symbolic link in the worktree", _CLOSED),
        ("read_by_proc_root", "read it through `/proc/1/root`", _CLOSED),
        ("read_environment", "find Orchard's secrets in its own environment", _HELD),
        ("read_other_environment", "read another process's `/proc/PID/environ`", _CLOSED),
        ("see_processes", "see a process outside", _CLOSED),
        ("read_memory", "read another process's memory, by `/proc/PID/mem`", _CLOSED),
        ("search_environments", "find Orchard's secrets in any `/proc/PID/environ` it sees", _CLOSED),
    ),
    *_attacks(
        "Writing",
        ("write_sibling", "write beside the worktree", _CLOSED),
        ("write_by_link", "write there through a symbolic link", _CLOSED),
        ("write_by_hard_link", "make a hard link to a file outside", _CLOSED),
        ("write_by_race", "swap a folder for a link while writing into it", _CLOSED),
        ("write_git_hook", "plant a git hook", _CLOSED),
        ("write_git_config", "set `core.fsmonitor`, `core.hooksPath` or a filter in `.git/config`", _CLOSED),
        ("write_git_filter", "have `git config` set a filter for the person's next `git add`", _CLOSED),
        ("write_git_folder", "put a `.git` folder of its own in the place of the repository's", _CLOSED),
        ("swap_git_file", "swap the `.git` file of a worktree", _CLOSED),
        ("swap_submodule", "point the `.git` file of a submodule elsewhere", (_O, _C, _C, _C)),
        ("write_read_only", "write what the role may not, by remounting or moving it", _CLOSED),
    ),
    *_attacks(
        "Escaping",
        ("trace", "attach to a process outside with ptrace", _CLOSED),
        ("signal", "send a signal to a process outside", _CLOSED),
        ("own_device", "own the machine's `/dev/null`, by path or by an inherited descriptor", _CLOSED),
        ("make_device", "make a device node of the machine's disk", _CLOSED),
        ("mount", "mount a file system", _CLOSED),
        ("user_namespace", "make a user namespace, to be root in", _CLOSED),
        ("plant_setuid", "leave a program in the worktree that runs as its owner", _CLOSED),
        ("gain_by_setuid", "gain rights by a program that runs as its owner", _CLOSED),
        ("kernel_switch", "open `core_pattern` for writing", _CLOSED),
        ("leave_limits", "leave its cgroup, and so its limits", _CLOSED),
        ("keyring", "leave a key in the kernel's key rings", _CLOSED),
    ),
    *_attacks(
        "Exhausting",
        ("fork_bomb", "fork without end", (_O, _C, _C, _C)),
        ("memory_bomb", "take memory without end", _BOUND),
        ("fill_file", "write one file without end", _BOUND),
        ("fill_temporary", "fill `/tmp` and `/dev/shm`", (_O, _C, _C, _C)),
        ("open_files", "open files without end", _BOUND),
        ("flood", "print without end", _BOUND),
        ("daemon", "leave a daemon behind", _HELD),
    ),
    *_attacks(
        "Reaching out",
        ("reach_api", "reach Orchard's API, or any service of this machine", _NET),
        ("reach_gateway", "reach the model gateway of another project's run, by its port or its door", _NET),
        ("reach_abstract", "reach an abstract unix socket", _NET),
        ("reach_socket", "reach a unix socket by its path (the container engine's)", _CLOSED),
        ("reach_address", "reach an address of the internet", _NET),
        ("reach_metadata", "reach the cloud's metadata address", _NET),
        ("send_dns", "send a query to a name server", _NET),
    ),
    *_attacks(
        "By the proxy",
        ("proxy_private", "reach a private address", _NET),
        ("proxy_metadata", "reach the cloud's metadata address", _NET),
        ("proxy_api", "reach Orchard's API by its address, however that is written", _NET),
        ("proxy_rebind", "reach Orchard's API by an allowed name that resolves to it", _NET),
        ("proxy_unlisted", "reach a host that no rule names", _NET),
        ("proxy_port", "reach another port of an allowed host", _NET),
        ("proxy_dns", "carry data out in a name to be resolved", _NET),
        ("proxy_smuggle", "hide a second request, for another host, behind one that is allowed", _NET),
    ),
)  # fmt: skip

BY_NAME: Mapping[str, Attack] = {attack.name: attack for attack in ATTACKS}

"""Orchard's own key: where it comes from, and the keys that are derived from it, one a purpose.

The key is 32 random bytes, written as 64 hexadecimal digits. It comes from the environment (ORCHARD_KEY),
else from a command, else from a file that nobody but this user may read. Nothing is encrypted with it itself:
HKDF (RFC 5869, SHA-256) makes a key a purpose of it, so what one purpose gives away says nothing of another.
"""

from __future__ import annotations

import os
import re
import secrets
import selectors
import signal
import stat
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import NoReturn

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from core.durable_file import draft_of, replace_whole, sync_folder, write_new
from core.errors import InvalidInput, Unavailable

VARIABLE = "ORCHARD_KEY"
_HEX = re.compile(r"[0-9a-fA-F]{64}")
_LONGEST = 4096  # bytes that a file or a command may give


class Purpose(StrEnum):
    STORE = "store"  # the store's pages, and its backups
    SECRETS = "secrets"  # values of projects' secrets
    SECOND_FACTOR = "second_factor"  # people's authenticators
    AUDIT = "audit"  # what signs the audit log
    BACKUP = "backup"  # what signs plain backups
    ANSWERS = "answers"  # the API's, which are given again to whoever repeats a request
    ID = "id"  # the key's public name


class Key:
    """Never shown: its text is its public id. `key.derived(purpose)` is 32 bytes."""

    __slots__ = ("_bytes", "_derived", "id")

    def __init__(self, material: bytes) -> None:
        if len(material) != 32:
            raise InvalidInput(
                f"A key has 32 bytes, and this one has {len(material)}.",
                hint="Make one with `openssl rand -hex 32`.",
            )
        self._bytes = material
        self._derived = {purpose: _derive(material, purpose) for purpose in Purpose}
        self.id = self._derived[Purpose.ID][:8].hex()

    @classmethod
    def parse(cls, text: str, *, source: str) -> Key:
        """Raises InvalidInput for what is not 64 hexadecimal digits; the text itself is not repeated."""
        text = text.strip()
        if not _HEX.fullmatch(text):
            raise InvalidInput(
                f"{source} holds no key.",
                why=f"A key is 64 hexadecimal digits; {len(text)} characters are there.",
                hint="Make one with `openssl rand -hex 32`.",
            )
        return cls(bytes.fromhex(text))

    @classmethod
    def new(cls) -> Key:
        return cls(secrets.token_bytes(32))

    def derived(self, purpose: Purpose) -> bytes:
        return self._derived[purpose]

    def hex(self) -> str:
        """As a key file holds it."""
        return self._bytes.hex()

    def __repr__(self) -> str:
        return f"Key({self.id})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Key) and secrets.compare_digest(self._bytes, other._bytes)

    def __hash__(self) -> int:
        return hash(self.id)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a key is not pickled")


def _derive(material: bytes, purpose: Purpose) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=f"orchard/1/{purpose}".encode()).derive(
        material
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySource:
    """Where the key is looked for, in this order: `variable`, `command` when there is one, `file`."""

    file: Path
    command: tuple[str, ...] = ()
    variable: str = VARIABLE
    seconds: float = 30.0  # for the command

    def load(self, environment: Mapping[str, str]) -> Key | None:
        """The key, or None when there is none anywhere. Blocks while the command runs.

        Raises InvalidInput for text that is no key, Unavailable for a file that others may read or a command
        that fails. An empty variable counts as none.
        """
        if text := environment.get(self.variable, "").strip():
            return Key.parse(text, source=self.variable)
        if self.command:
            return Key.parse(_ask(self.command, environment, self.seconds), source=f"`{self.command[0]}`")
        return read_key(self.file)


def read_key(path: Path) -> Key | None:
    """The key in the file, or None when there is no file. Raises Unavailable when others may read or replace
    it."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unusable(path, error.strerror or str(error)) from error
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise _unusable(path, "It is no plain file.")
        if found.st_uid not in (os.geteuid(), 0):
            raise _unusable(path, f"It belongs to user {found.st_uid}.")
        if found.st_mode & 0o077:
            raise _unusable(path, f"Others may use it (mode {stat.S_IMODE(found.st_mode):04o}).")
        text = os.read(descriptor, _LONGEST)
    finally:
        os.close(descriptor)
    return Key.parse(text.decode("ascii", "replace"), source=str(path))


def make_key(path: Path) -> Key:
    """A new key, kept in the file. Of two who make it at once, both get the one that is kept."""
    return keep_key(path, Key.new())


def keep_key(path: Path, key: Key) -> Key:
    """Writes the key where no file is; the key of a file that is there already is returned instead.

    The file appears whole (a link to a written one), so a crash leaves no half key."""
    draft = draft_of(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_new(draft, _text(key))
        with suppress(FileExistsError):
            os.link(draft, path)
    except OSError as error:
        raise _unusable(path, error.strerror or str(error)) from error
    finally:
        draft.unlink(missing_ok=True)
    sync_folder(path.parent)
    return read_key(path) or key


def replace_key(path: Path, key: Key) -> None:
    """The file holds this key from now on, and never none or half of one."""
    try:
        replace_whole(path, _text(key))
    except OSError as error:
        raise _unusable(path, error.strerror or str(error)) from error


def _text(key: Key) -> str:
    return f"{key.hex()}\n"


def _unusable(path: Path, why: str) -> Unavailable:
    return Unavailable(
        f"The key file {path} cannot be used.",
        why=why,
        hint=f"It has to be a file of this user's with mode 0600 (`chmod 600 {path}`).",
    )


def _ask(command: Sequence[str], environment: Mapping[str, str], seconds: float) -> str:
    """What the command prints. What it printed is in no error: it may be the key."""
    try:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=dict(environment),
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        raise _refused(command, str(error)) from error
    try:
        output = _printed(child, seconds)
    except subprocess.TimeoutExpired as error:
        raise _refused(command, f"It gave none in {seconds:g} s.") from error
    finally:
        # What it started may hold the pipe open, or outlive it.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)
        if child.stdout is not None:
            child.stdout.close()
        child.wait()
    if len(output) > _LONGEST:
        raise _refused(command, f"It printed more than {_LONGEST} bytes.")
    if child.returncode != 0:
        raise _refused(command, f"It ended with {child.returncode}.")
    return output.decode("ascii", "replace")


def _printed(child: subprocess.Popen[bytes], seconds: float) -> bytes:
    """All that it prints until it ends, or a bit more than _LONGEST. Raises TimeoutExpired."""
    assert child.stdout is not None
    ends, found = time.monotonic() + seconds, b""
    with selectors.DefaultSelector() as selector:
        selector.register(child.stdout, selectors.EVENT_READ)
        while len(found) <= _LONGEST:
            if not selector.select(max(0.0, ends - time.monotonic())):
                raise subprocess.TimeoutExpired(child.args, seconds)
            part = os.read(child.stdout.fileno(), _LONGEST)
            if not part:
                child.wait(max(0.0, ends - time.monotonic()))
                break
            found += part
    return found


def _refused(command: Sequence[str], why: str) -> Unavailable:
    return Unavailable(
        f"`{command[0]}` gave no key.", why=why, hint="Run it by hand: it has to print 64 hexadecimal digits."
    )

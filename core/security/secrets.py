"""Named secrets of projects: set, rotated, removed, and handed to the process that needs them.

There is no call that shows a value. `hand_out` gives a `Handed`, which puts values into the environment of
one process and refuses an argv that holds one, since every user of the machine may read command lines. Each
hand-out is a row of the audit log, in the transaction that read the values.
"""

from __future__ import annotations

import re
import secrets as randomness
import sqlite3
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NoReturn

from core.agents.redaction import SHORTEST
from core.errors import InvalidInput, NotAllowed, NotFound, Unavailable
from core.known_secrets import known_secrets
from core.security.audit import AuditKind
from core.security.keys import Key, Purpose
from core.security.sealing import NONCE_BYTES, Place, Unsealable, seal, unseal
from core.store import projects
from core.store import secrets as rows
from core.store.auditor import Auditor
from core.store.database import Store
from core.store.secrets import SealedSecret
from core.store.transaction import Transaction

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
LONGEST = 32 * 1024  # bytes; the kernel takes 128 KiB a variable, and all of them have to fit
# Variables by which a process is steered rather than told something: no secret has such a name.
_STEERING = re.compile(
    r"(?i)LD_.*|DYLD_.*|PYTHON.*|PERL5?.*|RUBY.*|GIT_.*|ORCHARD_.*|BASH_.*|XDG_.*|LC_.*"
    r"|NODE_OPTIONS|NODE_PATH|JAVA_TOOL_OPTIONS|PATH|HOME|SHELL|IFS|ENV|USER|LOGNAME|TMPDIR|LANG|TERM|PWD"
    r"|.*_PROXY|GCONV_PATH|GLIBC_TUNABLES|SSL_CERT_(FILE|DIR)|RUSTC?_WRAPPER|GOFLAGS|MAKEFLAGS|EDITOR|PAGER"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretListed:
    """All that is ever shown of a secret."""

    project: str
    name: str
    version: int
    set_at: datetime
    set_by: str


class Handed:
    """Values on their way to one process. Not shown, not pickled; drop it when the process is started."""

    __slots__ = ("_values", "names")

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = dict(values)
        self.names = tuple(sorted(values))

    def environment(self, argv: Sequence[str], beside: Mapping[str, str]) -> dict[str, str]:
        """`beside` with the values, for the process of this argv.

        Raises NotAllowed when a value stands in the argv, or a name is in `beside` already."""
        for name, value in self._values.items():
            if any(value in word for word in argv):
                raise NotAllowed(
                    f"The secret {name} stands on the command line of {argv[0]}.",
                    why="Every user of the machine may read command lines.",
                    hint=f"Let the command read the variable {name}.",
                )
        if clash := sorted(self._values.keys() & beside.keys()):
            raise NotAllowed(
                f"The process has a variable {clash[0]} already.",
                why="A secret of that name would replace it.",
                hint="Rename the secret.",
            )
        return {**beside, **self._values}

    def __repr__(self) -> str:
        return f"Handed({', '.join(self.names)})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("secrets are not pickled")


class Secrets:
    """The secrets of all projects."""

    def __init__(self, store: Store, key: Key, auditor: Auditor) -> None:
        self._store = store
        self._key = key
        self._auditor = auditor

    async def set(self, project: str, name: str, value: str, *, actor: str) -> SecretListed:
        """Sets or rotates it; processes that are started from now on get the new value, and the old one is
        gone.

        Raises InvalidInput for a name or value that cannot be one, NotFound for an unknown project."""
        _check_name(name)
        _check_value(name, value)
        known_secrets.learn((value,))

        def work(tx: Transaction) -> SecretListed:
            known = projects.get(tx.conn, project).name
            before = rows.get(tx.conn, known, name)
            version = 1 if before is None else before.version + 1
            nonce = randomness.token_bytes(NONCE_BYTES)
            place = Place(project=known, name=name, version=version)
            sealed = seal(self._key.derived(Purpose.SECRETS), nonce, place, value)
            rows.put(tx, known, name, version, key_id=self._key.id, nonce=nonce, sealed=sealed, by=actor)
            self._record(tx, AuditKind.SECRET_SET, actor, known, name, {"version": version})
            return SecretListed(project=known, name=name, version=version, set_at=tx.now, set_by=actor)

        return await self._store.write(work)

    async def remove(self, project: str, name: str, *, actor: str) -> None:
        """Raises NotFound."""

        def work(tx: Transaction) -> None:
            if not rows.remove(tx, project, name, by=actor):
                raise _missing(project, (name,))
            self._record(tx, AuditKind.SECRET_REMOVED, actor, project, name, {})

        await self._store.write(work)

    async def listed(self, project: str) -> tuple[SecretListed, ...]:
        """By name; without values."""
        found = await self._store.read(lambda conn: rows.of_project(conn, project))
        return tuple(
            SecretListed(
                project=each.project,
                name=each.name,
                version=each.version,
                set_at=each.set_at,
                set_by=each.set_by,
            )
            for each in found
        )

    async def hand_out(self, project: str, names: Collection[str], *, actor: str, process: str) -> Handed:
        """The values of these names, all or none, for the process that is about to start. `process` says
        which, for the audit log.

        Raises NotFound for a name that is not set, Unavailable for a row that was moved, altered, or sealed
        with another key; that is recorded as well."""
        wanted = tuple(sorted(set(names)))

        def work(tx: Transaction) -> Handed | Unavailable:
            found = {each.name: each for each in rows.of_project(tx.conn, project)}
            if absent := [name for name in wanted if name not in found]:
                raise _missing(project, absent)
            try:
                values = {name: opened(found[name], self._key) for name in wanted}
            except Unavailable as error:
                # Returned, not raised: what is raised undoes the row that tells of it.
                data = {"process": process, "why": error.why}
                self._record(tx, AuditKind.SECRET_REFUSED, actor, project, ", ".join(wanted), data)
                return error
            if wanted:
                versions = {name: found[name].version for name in wanted}
                use = {"process": process, "versions": versions}
                self._record(tx, AuditKind.SECRET_USED, actor, project, ", ".join(wanted), use)
            return Handed(values)

        outcome = await self._store.write(work)
        if isinstance(outcome, Unavailable):
            raise outcome
        return outcome

    async def values(self) -> tuple[str, ...]:
        """Of all projects, for what takes them out of texts, and for nothing else. Rows that do not open are
        left out: their values are known to nobody here."""

        def values(conn: sqlite3.Connection) -> list[str]:
            found = []
            for each in rows.every(conn):
                try:
                    found.append(opened(each, self._key))
                except Unavailable:
                    continue
            return found

        return tuple(await self._store.read(values))

    def _record(
        self,
        tx: Transaction,
        kind: AuditKind,
        actor: str,
        project: str,
        name: str,
        data: Mapping[str, object],
    ) -> None:
        self._auditor.record(tx, kind, actor=actor, project=project, subject=name, data=data)


def reseal(conn: sqlite3.Connection, old: Key, new: Key) -> int:
    """Seals every secret with the new key and returns how many. Raises Unavailable for one that does not
    open."""
    found = rows.every(conn)
    for each in found:
        value = opened(each, old)
        nonce = randomness.token_bytes(NONCE_BYTES)
        sealed = seal(new.derived(Purpose.SECRETS), nonce, _place(each), value)
        rows.seal_anew(conn, each.project, each.name, key_id=new.id, nonce=nonce, sealed=sealed)
    return len(found)


def opened(row: SealedSecret, key: Key) -> str:
    """Its value, for who starts a process. Raises Unavailable with what is wrong with the row."""
    subject = f"The secret {row.name} of {row.project} cannot be opened."
    again = f"set the secret again: `orchard secrets set {row.project} {row.name}`."
    if row.key_id != key.id:
        raise Unavailable(
            subject,
            why=f"It was sealed with key {row.key_id}, and Orchard has key {key.id}.",
            hint=f"Give Orchard the key that it had, or {again}",
        )
    try:
        assert row.nonce is not None
        assert row.sealed is not None
        return unseal(key.derived(Purpose.SECRETS), row.nonce, _place(row), row.sealed)
    except Unsealable as error:
        raise Unavailable(
            subject,
            why="Its row was altered, or comes from another project, name or version.",
            hint=f"See who had access to the store's file, and {again}",
        ) from error


def _place(row: SealedSecret) -> Place:
    return Place(project=row.project, name=row.name, version=row.version)


def _check_name(name: str) -> None:
    if not NAME.fullmatch(name):
        raise InvalidInput(
            "That cannot be the name of a secret.",
            why="A process gets it as an environment variable.",
            hint="Use letters, digits and _, at most 64, and no digit first: DATABASE_PASSWORD.",
        )
    if _STEERING.fullmatch(name):
        raise InvalidInput(
            f"{name} cannot be the name of a secret.",
            why="Programs are steered by variables of that name.",
            hint="Choose another name, such as SHOP_" + name.lstrip("_")[:40].upper() + ".",
        )


def _check_value(name: str, value: str) -> None:
    """The value itself is in no error."""
    why = ""
    if len(value.strip()) < SHORTEST:
        why = f"It has fewer than {SHORTEST} characters: it cannot be told from plain words."
    elif "\0" in value:
        why = "A variable cannot hold a NUL."
    elif not _encodes(value):
        why = "It is no valid text."
    elif len(value.encode("utf-8")) > LONGEST:
        why = f"It is longer than {LONGEST} bytes."
    if why:
        raise InvalidInput(
            f"{name} cannot have that value.", why=why, hint="Give another value; nothing was changed."
        )


def _encodes(value: str) -> bool:
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _missing(project: str, names: Sequence[str]) -> NotFound:
    return NotFound(
        f"{project} has no secret {', '.join(names)}.",
        hint=f"Set it first: `orchard secrets set {project} {names[0]}`; or take it off what is used.",
    )

"""How people, secrets, the audit log and backups look in a terminal. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from bot.cli.marks import clean, done, following, indented, one_line, table, when
from core.orchestrator.security_views import (
    AuditEntry,
    AuditVerdict,
    BackupView,
    LinkCode,
    SecretView,
    UserView,
)
from core.store.backup import Restored
from core.store.replacing import Proven


def user_made(user: UserView) -> RenderableType:
    level = f"{user.level} everywhere" if user.level else "no level yet"
    lines: list[RenderableType] = [done(f"{user.username} is created: {level}.")]
    if not user.level:
        lines.append(following(f"Grant a level: orchard users grant {user.username} viewer --project NAME"))
    lines.append(following(f"Link their account of Discord: orchard users link {user.username}"))
    return Group(*lines)


def user_changed(user: UserView) -> RenderableType:
    if user.disabled:
        return done(f"{user.username} is disabled: no login, no session, no token, nobody in Discord.")
    return done(f"{user.username}: {_levels(user)}.")


def users(found: Sequence[UserView]) -> RenderableType:
    if not found:
        return Group(Text("No users yet."), following("Create the owner: orchard users create NAME EMAIL"))
    shown = table()
    for head in ("user", "e-mail", "levels", "Discord", "second factor"):
        shown.add_column(head)
    for user in found:
        state = "disabled" if user.disabled else _levels(user)
        shown.add_row(
            clean(user.username),
            clean(user.email),
            state,
            ", ".join(user.accounts) or "-",
            "yes" if user.second_factor else "no",
        )
    return shown


def _levels(user: UserView) -> str:
    said = [f"{user.level} everywhere"] if user.level else []
    said += [f"{level} in {clean(project)}" for project, level in sorted(user.projects.items())]
    return ", ".join(said) or "no level"


def link_code(made: LinkCode) -> RenderableType:
    return Group(
        Text.assemble("The code: ", (made.code, "bold")),
        following(
            f"In Discord, {clean(made.username)} types within {made.minutes} minutes: /link {made.code}"
        ),
        indented("It is good for one time; whoever types it is this user.", "dim"),
    )


def secret_set(secret: SecretView) -> RenderableType:
    lines: list[RenderableType] = [
        done(f"{secret.name} of {secret.project} is set (version {secret.version}).")
    ]
    if not secret.given_to:
        lines.append(
            following(f"Nobody gets it yet: name it in agent_secrets or test_secrets of {secret.project}.")
        )
    return Group(*lines)


def secrets(project: str, found: Sequence[SecretView]) -> RenderableType:
    if not found:
        return Group(
            Text(f"{clean(project)} has no secrets."),
            following(f"Set one: orchard secrets set {clean(project)} NAME"),
        )
    shown = table()
    for head in ("secret", "version", "set", "by", "given to"):
        shown.add_column(head)
    for each in found:
        shown.add_row(
            each.name,
            str(each.version),
            when(each.set_at),
            clean(each.set_by),
            ", ".join(each.given_to) or "nobody",
        )
    return shown


def verdict(found: AuditVerdict) -> RenderableType:
    rows = f"{found.rows} rows" + (f", {found.first} to {found.last}" if found.rows else "")
    notes = [indented(note, "dim") for note in found.notes]
    if found.sound:
        return Group(done(f"The audit log is sound: {rows}."), *notes)
    problems = [indented(f"✗ {problem}", "red") for problem in found.problems]
    more = found.found - len(found.problems)
    if more > 0:
        problems.append(indented(f"and {more} more.", "red"))
    return Group(
        Text(f"The audit log is not sound: {found.found} problems in {rows}.", style="bold red"),
        *problems,
        *notes,
        following(
            "Stop Orchard, keep a copy of the store for inspection, and restore a backup that is sound."
        ),
    )


def audit_rows(found: Sequence[AuditEntry]) -> RenderableType:
    if not found:
        return Text("No such rows in the audit log.")
    shown = table()
    for head in ("row", "when", "what", "who", "about"):
        shown.add_column(head)
    for each in found:
        about = " ".join(part for part in (each.project, each.subject) if part)
        data = json.dumps(each.data, sort_keys=True, ensure_ascii=False) if each.data else ""
        shown.add_row(
            str(each.seq),
            when(each.at),
            clean(each.kind),
            one_line(each.actor, 40),
            one_line(f"{about} {data}".strip(), 200),
        )
    return shown


def backup(made: BackupView) -> RenderableType:
    kind = "encrypted, " if made.encrypted else ""
    lines: list[RenderableType] = [
        done(f"The backup is made and proven: {kind}{made.rows} rows."),
        indented(made.path),
    ]
    if made.removed:
        lines.append(indented(f"Older ones were removed: {', '.join(made.removed)}.", "dim"))
    lines.append(following(f"Try it, with Orchard stopped: orchard restore {made.path} --dry-run"))
    return Group(*lines)


def key_changed(proven: Proven) -> RenderableType:
    kind = "encrypted" if proven.encrypted else "plain"
    return Group(
        done(
            f"The store has a new key; it is {kind}, and all its {sum(proven.rows.values())} rows are there."
        ),
        indented(
            "Backups that were made before open with the key from before: keep it as long as them.", "dim"
        ),
    )


def restored(found: Restored, *, dry_run: bool) -> RenderableType:
    rows = sum(found.proven.rows.values())
    given = (
        "The store of now could not be read, so nobody knows what is newer in it."
        if found.given_up is None
        else f"{found.given_up} newer rows of the audit log are given up."
    )
    if dry_run:
        return Group(
            done(f"It can be restored: {rows} rows, schema {found.proven.schema}. Nothing was changed."),
            indented(given, "dim"),
        )
    kept = [indented(f"The store as it was: {found.kept}", "dim")] if found.kept else []
    return Group(
        done(f"The backup is restored: {rows} rows."),
        indented(given, "dim"),
        *kept,
        following("Start: orchard run"),
    )

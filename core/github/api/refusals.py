"""An answer of GitHub's that is an error, told as one of ours: what happened, why, what next. PURE."""

from __future__ import annotations

from core.github.api.parsers import obj, parse_json, text_of
from core.github.api.trouble import (
    GithubError,
    GithubForbidden,
    GithubGone,
    GithubMissing,
    GithubRefused,
    GithubUnauthorized,
    GithubUnreachable,
)

_LONGEST = 300


def words_of(body: str) -> str:
    """What GitHub says of it, in a line: its message and the errors that it lists."""
    found = obj(parse_json(body))
    listed = found.get("errors")
    parts = [text_of(found.get("message"))]
    for each in listed if isinstance(listed, list) else []:
        if isinstance(each, str):
            parts.append(text_of(each))
            continue
        error = obj(each)
        names = " ".join(text_of(error.get(name)) for name in ("resource", "field", "code"))
        parts.append(text_of(error.get("message")) or names.strip())
    said = " ".join("; ".join(part for part in parts if part).split())
    return said if len(said) <= _LONGEST else said[: _LONGEST - 1] + "…"


def refusal(status: int, body: str, *, what: str, credential: str, changes: bool) -> GithubError:
    """`what` was to be done ("read issue 12 of acme/shop"), with which credential; `changes`: it was no mere
    reading. A 404 is GithubMissing here: whether the whole repository is gone is for who can ask."""
    said = words_of(body)
    told = f"GitHub says: {said.rstrip('.')}." if said else f"GitHub answers {status}."
    message = f"GitHub does not let Orchard {what}."
    if status == 401:
        return GithubUnauthorized(
            f"GitHub refuses {credential}.",
            why=told,
            hint="It was revoked, has expired, or is mistyped: give Orchard a new one.",
            status=status,
        )
    if status == 451 or (status == 403 and "access blocked" in said.lower()):
        return GithubGone(message, why=told, hint="See the repository's page at GitHub.", status=status)
    if status == 403:
        return GithubForbidden(message, why=told, hint=_right(said, credential), status=status)
    if status == 404 or (status == 410 and "disabled" not in said.lower()):
        hint = "It was deleted, or it is out of the credential's sight."
        if changes:
            hint = f"It was deleted, or {credential} may not change it."
        return GithubMissing(message, why=told, hint=hint, status=status)
    if status >= 500:
        return GithubUnreachable(
            f"GitHub failed to {what}.",
            why=told,
            hint="Orchard tries again; www.githubstatus.com says how GitHub is.",
            status=status,
            unknown=changes,
        )
    hint = "Switch the issues on in its settings." if "disabled" in said.lower() else ""
    return GithubRefused(message, why=told, hint=hint, status=status)


def _right(said: str, credential: str) -> str:
    words = said.lower()
    if "archived" in words:
        return "The repository is archived: unarchive it, or unlink it."
    if "sso" in words or "saml" in words:
        return f"Authorise {credential} for the organisation's single sign-on."
    if "ip allow list" in words:
        return "Put Orchard's address on the organisation's IP allow list."
    return (
        f"Give {credential} the right: contents, issues and pull requests read and write, checks and commit "
        "statuses read."
    )

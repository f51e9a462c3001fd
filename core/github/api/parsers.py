"""GitHub's JSON read into facts. PURE.

Fields that are unknown are passed over, those that are missing or of another kind have the value that says
least.
Only what has no id or number at all is no fact: None, and left out of a list. Nothing raises, whatever it is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

from config.github_settings import Permission
from core.github.api.facts import (
    Annotation,
    CommentFacts,
    IssueFacts,
    LabelFacts,
    MilestoneFacts,
    Person,
    PullFacts,
    ReleaseFacts,
    RepositoryFacts,
    ReviewCommentFacts,
    ReviewFacts,
    ReviewVerdict,
    Rights,
)

T = TypeVar("T")
Object = Mapping[str, Any]
_LARGEST = 2**63 - 1  # what the store holds
_PERMISSIONS = {each.value: each for each in Permission}
_VERDICTS = {
    "APPROVED": ReviewVerdict.APPROVED,
    "CHANGES_REQUESTED": ReviewVerdict.CHANGES_REQUESTED,
    "COMMENTED": ReviewVerdict.COMMENTED,
    "DISMISSED": ReviewVerdict.DISMISSED,
    "PENDING": ReviewVerdict.PENDING,
}


def parse_json(text: str | bytes) -> Any:
    """Its value, or None for what is no JSON, too deep, or has a number too long to be one."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def every(value: object, parse: Callable[[object], T | None]) -> tuple[T, ...]:
    """Of a JSON array, what can be read."""
    items = value if isinstance(value, list) else []
    return tuple(found for each in items if (found := parse(each)) is not None)


def obj(value: object) -> Object:
    return value if isinstance(value, Mapping) else {}


def text_of(value: object) -> str:
    """Valid UTF-8: JSON may hold half of a pair of surrogates, which no file and no database takes."""
    if not isinstance(value, str):
        return ""
    return value if value.isascii() else value.encode("utf-8", "replace").decode("utf-8")


def number_of(value: object) -> int | None:
    """A whole number from 0 on, as ids and counts are."""
    return (
        value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _LARGEST else None
    )


def time_of(value: object) -> str:
    """In UTC with whole seconds, or ""."""
    if not isinstance(value, str) or not value.isascii():
        return ""
    try:
        found = datetime.fromisoformat(value)
        found = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        return ""
    return f"{found.replace(tzinfo=None, microsecond=0).isoformat()}Z"


def person_of(value: object) -> Person:
    found = obj(value)
    login = text_of(found.get("login"))
    is_bot = found.get("type") == "Bot" or login.endswith("[bot]")
    return Person(login=login or "ghost", id=number_of(found.get("id")), is_bot=is_bot)


def parse_repository(value: object) -> RepositoryFacts | None:
    found = obj(value)
    identity, name = number_of(found.get("id")), text_of(found.get("full_name"))
    if identity is None or not name:
        return None
    return RepositoryFacts(
        id=identity,
        full_name=name,
        default_branch=text_of(found.get("default_branch")),
        clone_url=text_of(found.get("clone_url")),
        html_url=text_of(found.get("html_url")),
        is_private=found.get("private") is True,
        is_archived=found.get("archived") is True,
        is_disabled=found.get("disabled") is True,
        has_issues=found.get("has_issues") is not False,
        allows_squash=_bool_or_none(found.get("allow_squash_merge")),
        allows_rebase=_bool_or_none(found.get("allow_rebase_merge")),
        allows_merge=_bool_or_none(found.get("allow_merge_commit")),
        rights=_rights(found.get("permissions")),
    )


def _bool_or_none(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _rights(value: object) -> Rights | None:
    if not (found := obj(value)):
        return None
    return Rights(
        pull=found.get("pull") is True,
        triage=found.get("triage") is True,
        push=found.get("push") is True,
        maintain=found.get("maintain") is True,
        admin=found.get("admin") is True,
    )


def parse_milestone(value: object) -> MilestoneFacts | None:
    found = obj(value)
    if (number := number_of(found.get("number"))) is None:
        return None
    return MilestoneFacts(
        number=number,
        id=number_of(found.get("id")),
        title=text_of(found.get("title")),
        description=text_of(found.get("description")),
        is_open=found.get("state") != "closed",
        due_on=time_of(found.get("due_on")),
        url=text_of(found.get("html_url")),
        open_issues=number_of(found.get("open_issues")) or 0,
        closed_issues=number_of(found.get("closed_issues")) or 0,
        updated_at=time_of(found.get("updated_at")),
    )


def parse_issue(value: object) -> IssueFacts | None:
    found = obj(value)
    number, identity = number_of(found.get("number")), number_of(found.get("id"))
    if number is None or identity is None:
        return None
    labels = found.get("labels")
    return IssueFacts(
        number=number,
        id=identity,
        title=text_of(found.get("title")),
        body=text_of(found.get("body")),
        is_open=found.get("state") != "closed",
        state_reason=text_of(found.get("state_reason")),
        labels=tuple(name for each in (labels if isinstance(labels, list) else []) if (name := _label(each))),
        milestone=parse_milestone(found.get("milestone")),
        assignees=_logins(found.get("assignees")),
        author=person_of(found.get("user")),
        association=text_of(found.get("author_association")),
        url=text_of(found.get("html_url")),
        comments=number_of(found.get("comments")) or 0,
        is_pull=isinstance(found.get("pull_request"), Mapping),
        is_locked=found.get("locked") is True,
        created_at=time_of(found.get("created_at")),
        updated_at=time_of(found.get("updated_at")),
        closed_at=time_of(found.get("closed_at")),
    )


def _label(value: object) -> str:
    """A label is an object, in old answers its bare name."""
    return text_of(value) if isinstance(value, str) else text_of(obj(value).get("name"))


def _logins(value: object) -> tuple[str, ...]:
    items = value if isinstance(value, list) else []
    return tuple(login for each in items if (login := text_of(obj(each).get("login"))))


def parse_label(value: object) -> LabelFacts | None:
    found = obj(value)
    if not (name := text_of(found.get("name"))):
        return None
    return LabelFacts(
        name=name, color=text_of(found.get("color")), description=text_of(found.get("description"))
    )


def parse_comment(value: object) -> CommentFacts | None:
    found = obj(value)
    if (identity := number_of(found.get("id"))) is None:
        return None
    of_issue = re.search(r"/issues/(\d{1,18})$", text_of(found.get("issue_url")), re.ASCII)
    return CommentFacts(
        id=identity,
        issue_number=int(of_issue[1]) if of_issue else None,
        body=text_of(found.get("body")),
        author=person_of(found.get("user")),
        association=text_of(found.get("author_association")),
        url=text_of(found.get("html_url")),
        created_at=time_of(found.get("created_at")),
        updated_at=time_of(found.get("updated_at")),
    )


def parse_pull(value: object) -> PullFacts | None:
    """A listed one does not say whether it can be merged, and has no `merged`: it was when `merged_at` is
    set."""
    found = obj(value)
    number, identity = number_of(found.get("number")), number_of(found.get("id"))
    if number is None or identity is None:
        return None
    head, base = obj(found.get("head")), obj(found.get("base"))
    merged = found.get("merged") is True or bool(time_of(found.get("merged_at")))
    return PullFacts(
        number=number,
        id=identity,
        title=text_of(found.get("title")),
        body=text_of(found.get("body")),
        is_open=found.get("state") != "closed",
        is_draft=found.get("draft") is True,
        is_merged=merged,
        merge_commit=text_of(found.get("merge_commit_sha")) if merged else "",
        is_mergeable=_bool_or_none(found.get("mergeable")),
        mergeable_state=text_of(found.get("mergeable_state")),
        head_branch=text_of(head.get("ref")),
        head_sha=text_of(head.get("sha")),
        head_repository_id=number_of(obj(head.get("repo")).get("id")),
        base_branch=text_of(base.get("ref")),
        base_sha=text_of(base.get("sha")),
        merged_by=text_of(obj(found.get("merged_by")).get("login")),
        closed_at=time_of(found.get("closed_at")),
        author=person_of(found.get("user")),
        url=text_of(found.get("html_url")),
        updated_at=time_of(found.get("updated_at")),
    )


def parse_review(value: object) -> ReviewFacts | None:
    found = obj(value)
    if (identity := number_of(found.get("id"))) is None:
        return None
    return ReviewFacts(
        id=identity,
        author=person_of(found.get("user")),
        association=text_of(found.get("author_association")),
        # The REST answers write it in capitals, the webhooks' payloads do not.
        verdict=_VERDICTS.get(text_of(found.get("state")).upper(), ReviewVerdict.UNKNOWN),
        body=text_of(found.get("body")),
        commit=text_of(found.get("commit_id")),
        url=text_of(found.get("html_url")),
        submitted_at=time_of(found.get("submitted_at")),
    )


def parse_review_comment(value: object) -> ReviewCommentFacts | None:
    found = obj(value)
    if (identity := number_of(found.get("id"))) is None:
        return None
    return ReviewCommentFacts(
        id=identity,
        review_id=number_of(found.get("pull_request_review_id")),
        in_reply_to=number_of(found.get("in_reply_to_id")),
        author=person_of(found.get("user")),
        association=text_of(found.get("author_association")),
        body=text_of(found.get("body")),
        path=text_of(found.get("path")),
        line=number_of(found.get("line")),
        commit=text_of(found.get("commit_id")),
        diff_hunk=text_of(found.get("diff_hunk")),
        url=text_of(found.get("html_url")),
        created_at=time_of(found.get("created_at")),
        updated_at=time_of(found.get("updated_at")),
    )


def parse_annotation(value: object) -> Annotation | None:
    found = obj(value)
    message, title = text_of(found.get("message")), text_of(found.get("title"))
    if not message and not title:
        return None
    return Annotation(
        path=text_of(found.get("path")),
        line=number_of(found.get("start_line")),
        level=text_of(found.get("annotation_level")),
        title=title,
        message=message,
    )


def parse_release(value: object) -> ReleaseFacts | None:
    found = obj(value)
    if (identity := number_of(found.get("id"))) is None:
        return None
    return ReleaseFacts(
        id=identity,
        tag=text_of(found.get("tag_name")),
        name=text_of(found.get("name")),
        body=text_of(found.get("body")),
        is_draft=found.get("draft") is True,
        is_prerelease=found.get("prerelease") is True,
        target=text_of(found.get("target_commitish")),
        url=text_of(found.get("html_url")),
        published_at=time_of(found.get("published_at")),
    )


def parse_permission(value: object) -> Permission:
    """`role_name` tells triage and maintain apart; it may be an organisation's own role, and then
    `permission` says what it comes to. What is neither is none."""
    found = obj(value)
    for name in ("role_name", "permission"):
        if (known := _PERMISSIONS.get(text_of(found.get(name)))) is not None:
            return known
    return Permission.NONE

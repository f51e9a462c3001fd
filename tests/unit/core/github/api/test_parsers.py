from __future__ import annotations

from config.github_settings import Permission
from core.github.api.parsers import (
    parse_comment,
    parse_issue,
    parse_permission,
    parse_pull,
    parse_repository,
    parse_review,
    time_of,
)


def test_an_issue_with_the_least_that_it_can_have() -> None:
    issue = parse_issue({"number": 1, "id": 2, "user": None, "body": None, "tomorrow": {"new": 1}})
    assert issue is not None
    assert (issue.author.login, issue.body, issue.labels, issue.is_open) == ("ghost", "", (), True)
    assert (issue.milestone, issue.is_pull, issue.updated_at) == (None, False, "")
    assert parse_issue({"number": True, "id": 2}) is None
    assert parse_issue({"number": 1, "id": 2**63}) is None


def test_labels_are_objects_or_names() -> None:
    issue = parse_issue({"number": 1, "id": 2, "labels": ["bug", {"name": "orchard"}, {"color": "f"}, None]})
    assert issue is not None
    assert issue.labels == ("bug", "orchard")


def test_a_comment_knows_its_issue() -> None:
    comment = parse_comment({"id": 5, "issue_url": "https://api.github.com/repos/acme/shop/issues/12"})
    assert comment is not None
    assert comment.issue_number == 12


def test_a_trial_merge_of_githubs_is_no_merge() -> None:
    """https://docs.github.com/en/rest/pulls/pulls: merge_commit_sha is a test merge's before it is merged."""
    value = {"number": 1, "id": 2, "merge_commit_sha": "a" * 40, "merged": False}
    pull = parse_pull(value)
    assert pull is not None
    assert (pull.is_merged, pull.merge_commit) == (False, "")
    listed = parse_pull({**value, "merged": None, "merged_at": "2026-11-22T09:00:00Z"})
    assert listed is not None
    assert (listed.is_merged, listed.merge_commit) == (True, "a" * 40)


def test_a_fork_that_is_gone_has_no_repository() -> None:
    pull = parse_pull({"number": 1, "id": 2, "head": {"ref": "x", "sha": "b", "repo": None}})
    assert pull is not None
    assert (pull.head_repository_id, pull.head_branch) == (None, "x")


def test_a_verdict_is_one_in_any_case() -> None:
    found = [parse_review({"id": 1, "state": word}) for word in ("APPROVED", "approved", "NEW")]
    assert [each and each.verdict.value for each in found] == ["approved", "approved", "unknown"]


def test_rights_that_are_not_said_are_not_known() -> None:
    facts = parse_repository({"id": 1, "full_name": "acme/shop"})
    assert facts is not None
    assert (facts.rights, facts.allows_squash, facts.has_issues) == (None, None, True)


def test_an_organisations_own_role_is_what_it_comes_to() -> None:
    assert parse_permission({"permission": "write", "role_name": "maintain"}) is Permission.MAINTAIN
    assert parse_permission({"permission": "write", "role_name": "gardener"}) is Permission.WRITE
    assert parse_permission({"permission": "everything"}) is Permission.NONE


def test_times_are_in_one_form() -> None:
    assert time_of("2026-11-22T10:00:00.123+01:00") == "2026-11-22T09:00:00Z"
    assert time_of("2026-11-22T09:00:00Z") == "2026-11-22T09:00:00Z"
    assert [time_of(each) for each in ("", None, 5, "yesterday", "0001-01-01T00:00:00+23:00")] == [""] * 5

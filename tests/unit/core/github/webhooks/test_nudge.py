from __future__ import annotations

import pytest

from core.github.webhooks.nudge import EVERYTHING, Named, Nudge, nudge_of, repositories_of

A, B = "a" * 40, "b" * 40
ZEROS = "0" * 40
PULL = {"number": 7, "head": {"sha": A, "ref": "orchard/shop-3"}}

NUDGES = [
    ("issues", {"issue": {"number": 5}}, Nudge(issues=frozenset({5}))),
    ("issue_comment", {"issue": {"number": 5}}, Nudge(issues=frozenset({5}))),
    ("issue_comment", {"issue": {"number": 7, "pull_request": {"url": "x"}}}, Nudge(pulls=frozenset({7}))),
    (
        "pull_request",
        {"number": 7, "pull_request": PULL},
        Nudge(pulls=frozenset({7}), commits=frozenset({A}), branches=frozenset({"orchard/shop-3"})),
    ),
    ("pull_request_review", {"pull_request": {"number": 7}}, Nudge(pulls=frozenset({7}))),
    ("pull_request_review_comment", {"pull_request": {"number": 7}}, Nudge(pulls=frozenset({7}))),
    (
        "check_run",
        {"check_run": {"head_sha": A, "pull_requests": [{"number": 7}, {"number": 8}]}},
        Nudge(commits=frozenset({A}), pulls=frozenset({7, 8})),
    ),
    ("check_suite", {"check_suite": {"head_sha": B, "pull_requests": []}}, Nudge(commits=frozenset({B}))),
    ("workflow_run", {"workflow_run": {"head_sha": B}}, Nudge(commits=frozenset({B}))),
    ("workflow_job", {"workflow_job": {"head_sha": B}}, Nudge(commits=frozenset({B}))),
    ("status", {"sha": A, "state": "success"}, Nudge(commits=frozenset({A}))),
    (
        "push",
        {"ref": "refs/heads/feature/x", "before": A, "after": B},
        Nudge(commits=frozenset({B}), branches=frozenset({"feature/x"})),
    ),
    ("push", {"ref": "refs/heads/main", "after": ZEROS}, Nudge(branches=frozenset({"main"}))),
    ("push", {"ref": "refs/tags/v1", "after": A}, None),
    ("create", {"ref": "main", "ref_type": "branch"}, Nudge(branches=frozenset({"main"}))),
    ("create", {"ref": None, "ref_type": "repository", "master_branch": "main"}, EVERYTHING),
    ("delete", {"ref": "v1", "ref_type": "tag"}, None),
    ("repository", {"action": "renamed"}, EVERYTHING),
    ("milestone", {"action": "edited", "milestone": {"number": 1}}, EVERYTHING),
    ("label", {"action": "edited"}, EVERYTHING),
    ("installation", {"action": "suspend"}, EVERYTHING),
    ("star", {"action": "created"}, None),
    ("fork", {}, None),
    ("", {}, None),
]


@pytest.mark.parametrize(("event", "payload", "expected"), NUDGES)
def test_a_payload_says_where_to_look(event, payload, expected):
    assert nudge_of(event, payload) == expected


@pytest.mark.parametrize(
    "broken",
    [
        {},
        {"issue": None, "pull_request": None, "check_run": None, "sha": None, "ref": None},
        {"issue": {"number": True}, "pull_request": {"number": "7"}, "check_run": {"head_sha": "A" * 40}},
        {"issue": {"number": -1}, "pull_request": [7], "check_run": {"pull_requests": {"number": 7}}},
        {"issue": {"number": 2**64}, "sha": "main", "ref": "x" * 300, "after": "../../etc"},
    ],
)
def test_what_cannot_be_understood_has_everything_read(broken):
    for event in ("issues", "issue_comment", "pull_request", "check_run", "status", "push"):
        assert nudge_of(event, broken) == EVERYTHING


def test_two_nudges_are_one():
    first, second = Nudge(issues=frozenset({1}), commits=frozenset({A})), Nudge(issues=frozenset({2}))
    assert first | second == Nudge(issues=frozenset({1, 2}), commits=frozenset({A}))
    assert first | EVERYTHING == EVERYTHING
    assert Nudge() | Nudge() == Nudge()


def test_a_long_list_becomes_everything():
    payload = {"check_run": {"head_sha": A, "pull_requests": [{"number": n} for n in range(1, 102)]}}
    assert nudge_of("check_run", payload) == EVERYTHING


def test_the_repository_is_named_by_its_id():
    payload = {"repository": {"id": 186853002, "name": "hello", "full_name": "octo-org/Hello.World"}}
    assert repositories_of(payload) == (Named(id=186853002, full_name="octo-org/Hello.World"),)
    added = {"repositories_added": [{"id": 5, "full_name": "o/r"}, {"id": 5}, {"id": 0}, None, "o/r"]}
    assert repositories_of(added) == (Named(id=5, full_name="o/r"),)


def test_an_issue_that_moved_is_looked_at_where_it_was():
    """A transfer names both issues and both repositories; the other one is told by a delivery of its own."""
    there = {"new_issue": {"number": 9, "id": 2}, "new_repository": {"id": 6, "full_name": "octo/bank"}}
    payload = {
        "action": "transferred",
        "issue": {"number": 5, "id": 1},
        "changes": there,
        "repository": {"id": 5, "full_name": "octo/shop"},
    }
    assert nudge_of("issues", payload) == Nudge(issues=frozenset({5}))
    assert repositories_of(payload) == (Named(id=5, full_name="octo/shop"),)


def test_what_an_installation_lost_is_named_as_what_it_got_is():
    removed = [{"id": 5, "node_id": "R_5", "name": "shop", "full_name": "octo/shop", "private": False}]
    payload = {"action": "removed", "repositories_added": [], "repositories_removed": removed}
    assert repositories_of(payload) == (Named(id=5, full_name="octo/shop"),)
    assert nudge_of("installation_repositories", payload) == EVERYTHING


def test_a_check_s_suite_beside_it_changes_nothing():
    """A payload holds the suite with pull requests of its own, and their heads, which may be of a fork."""
    fork = {"number": 7, "head": {"sha": B, "ref": "main", "repo": {"id": 6}}}
    run = {"head_sha": A, "check_suite": {"head_sha": B, "pull_requests": [fork]}, "pull_requests": []}
    payload = {"action": "requested_action", "check_run": run, "requested_action": {"identifier": "x|7"}}
    assert nudge_of("check_run", payload) == Nudge(commits=frozenset({A}))


@pytest.mark.parametrize("name", ["", "o", "o/..", "o/r;--", "o/\ud800", "o/r\0", None, 7, ["o/r"], "o/r\n"])
def test_a_name_that_can_be_none_is_left_out(name):
    assert repositories_of({"repository": {"id": 5, "full_name": name}}) in (
        (Named(id=5, full_name=""),),
        (Named(id=5, full_name="o/r"),),
    )

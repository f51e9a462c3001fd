from __future__ import annotations

import json

import pytest

from core.domain.github import LinkState
from core.github.api.refusals import refusal, words_of
from core.github.api.trouble import GithubError


def refused(status: int, message: str = "", *, changes: bool = False) -> GithubError:
    body = json.dumps({"message": message})
    return refusal(status, body, what="read issue 1", credential="GITHUB_TOKEN", changes=changes)


@pytest.mark.parametrize(
    ("status", "message", "state", "hint"),
    [
        (401, "Bad credentials", LinkState.UNAUTHORIZED, "give Orchard a new one"),
        (403, "Resource not accessible by integration", LinkState.FORBIDDEN, "Give GITHUB_TOKEN the right"),
        (403, "Repository was archived so is read-only.", LinkState.FORBIDDEN, "unarchive it"),
        (403, "Resource protected by organization SAML enforcement.", LinkState.FORBIDDEN, "single sign-on"),
        (403, "Repository access blocked", LinkState.GONE, "page at GitHub"),
        (404, "Not Found", LinkState.LINKED, "deleted"),
        (410, "This issue was deleted", LinkState.LINKED, "deleted"),
        (410, "Issues are disabled for this repo", LinkState.LINKED, "Switch the issues on"),
        (422, "Validation Failed", LinkState.LINKED, ""),
        (451, "Repository unavailable due to DMCA takedown.", LinkState.GONE, "page at GitHub"),
        (502, "", LinkState.UNREACHABLE, "githubstatus"),
    ],
)
def test_what_a_refusal_means_and_what_next(status: int, message: str, state: LinkState, hint: str) -> None:
    error = refused(status, message)
    assert error.state is state
    assert hint in error.hint
    assert (message or str(status)) in error.why
    assert ".." not in error.why


def test_a_change_that_failed_may_have_been_made() -> None:
    assert refused(502, changes=True).unknown
    assert not refused(502).unknown
    assert not refused(422, changes=True).unknown


def test_listed_errors_are_told() -> None:
    errors = [{"resource": "Issue", "field": "title", "code": "missing"}, "and\nthis", {"message": "that"}, 5]
    body = json.dumps({"message": "Validation Failed", "errors": errors})
    assert words_of(body) == "Validation Failed; Issue title missing; and this; that"
    assert words_of("<html>") == ""
    assert len(words_of(json.dumps({"message": "x" * 999}))) == 300

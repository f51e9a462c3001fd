"""A project's repository through the API: who may look, sync, link; what is refused says why."""

from __future__ import annotations

from core.domain.access import AccessLevel


def test_looking_is_for_viewers_and_says_when_there_is_none(house):
    viewer = house.logged_in(None, shop=AccessLevel.VIEWER)
    answer = viewer.call("GET", "/projects/shop/github")
    assert (answer.status, "linked with no repository" in answer.json["message"]) == (404, True)
    assert house.logged_in(None, bank=AccessLevel.OWNER).call("GET", "/projects/shop/github").status == 403


def test_linking_is_for_admins_and_a_token_that_manages(house):
    said = {"repository": "octo/shop"}
    for level in (AccessLevel.CONTRIBUTOR, AccessLevel.MAINTAINER):
        one = house.logged_in(None, shop=level)
        assert one.call("PUT", "/projects/shop/github", said).status == 403
        assert one.call("DELETE", "/projects/shop/github").status == 403
    assert (
        house.token(AccessLevel.OWNER, "read", "work").call("PUT", "/projects/shop/github", said).status
        == 403
    )
    admin = house.logged_in(None, shop=AccessLevel.ADMIN)
    bad = admin.call("PUT", "/projects/shop/github", {"repository": "octo"})
    assert (bad.status, "OWNER/NAME" in bad.text) == (400, True)
    refused = admin.call("PUT", "/projects/shop/github", said)  # this Orchard has no credential
    assert (refused.status, refused.json["slug"]) == (503, "github_unauthorized")
    assert admin.call("DELETE", "/projects/shop/github").status == 404


def test_syncing_is_for_contributors(house):
    assert (
        house.logged_in(None, shop=AccessLevel.VIEWER).call("POST", "/projects/shop/github/sync").status
        == 403
    )
    one = house.logged_in(None, shop=AccessLevel.CONTRIBUTOR)
    assert one.call("POST", "/projects/shop/github/sync").status == 404
    assert one.call("GET", "/projects/shop/github/notes").status == 404  # no sprint yet

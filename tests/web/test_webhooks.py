"""Deliveries over real sockets: signatures, replays, every event that GitHub has, what is hostile."""

from __future__ import annotations

import json
import random
import socket
import uuid
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote, urlencode

import pytest

from bot.web.webhooks import limits
from core.github.webhooks.nudge import EVENTS
from core.github.webhooks.signature import signature
from core.security.audit import AuditKind
from core.security.rate_limit import Limit, RateLimits
from core.store import audit, github_heard, github_links

PATH = "/webhooks/github"
SECRET, OLD_SECRET = "the-webhooks-secret-of-this-year", "the-webhooks-secret-of-last-year"
SHOP = {"id": 186853002, "node_id": "R_1", "name": "shop", "full_name": "octo/shop", "private": True}
SHA, ZEROS = "ec26c3e57ca3a959ca5aad62de7213c562f8c821", "0" * 40
SENDER = {"login": "octocat", "id": 1, "type": "User", "site_admin": False}
ISSUE = {"id": 3, "number": 5, "title": "Sell", "body": None, "labels": [], "user": SENDER, "milestone": None}
PULL = {
    "id": 4,
    "number": 7,
    "user": None,
    "merged": False,
    "head": {"ref": "orchard/shop-1", "sha": SHA, "repo": None},
    "base": {"ref": "main", "sha": SHA, "repo": SHOP},
}
CHECK = {"id": 6, "head_sha": SHA, "status": "completed", "conclusion": "success", "pull_requests": [PULL]}
INSTALLATION = {"id": 957387, "account": SENDER, "repository_selection": "selected", "suspended_at": None}

# What each event carries of its own; `repository` and `sender` come to all but those in _WITHOUT_REPOSITORY.
EVENT_PAYLOADS = {
    "branch_protection_configuration": {"action": "disabled"},
    "branch_protection_rule": {"action": "edited", "rule": {"id": 1, "name": "main"}, "changes": {}},
    "bypass_request_push_ruleset": {"action": "opened"},
    "cache_sync": {},
    "check_run": {"action": "completed", "check_run": CHECK},
    "check_suite": {"action": "completed", "check_suite": {**CHECK, "pull_requests": []}},
    "code_scanning_alert": {"action": "created", "alert": {"number": 1}, "ref": "", "commit_oid": ""},
    "commit_comment": {"action": "created", "comment": {"id": 1, "commit_id": SHA}},
    "content_reference": {"action": "created", "content_reference": {"id": 1}},
    "create": {"ref": "topic", "ref_type": "branch", "master_branch": "main", "description": None},
    "custom_property": {"action": "created", "definition": {"property_name": "x"}},
    "custom_property_values": {"action": "updated", "new_property_values": [], "old_property_values": []},
    "delete": {"ref": "v1", "ref_type": "tag", "pusher_type": "user"},
    "dependabot_alert": {"action": "fixed", "alert": {"number": 1}},
    "deploy_key": {"action": "created", "key": {"id": 1}},
    "deployment": {"action": "created", "deployment": {"id": 1, "sha": SHA}, "workflow": None},
    "deployment_protection_rule": {"action": "requested", "environment": "prod"},
    "deployment_review": {"action": "requested", "workflow_run": None},
    "deployment_status": {"action": "created", "deployment_status": {"id": 1, "state": "success"}},
    "discussion": {"action": "answered", "discussion": {"number": 90, "answer_chosen_at": None}},
    "discussion_comment": {"action": "created", "discussion": {"number": 90}, "comment": {"id": 1}},
    "dismissal_request_code_scanning": {"action": "created"},
    "exemption_request_push_ruleset": {"action": "created"},
    "fork": {"forkee": {"id": 99, "full_name": "other/shop"}},
    "github_app_authorization": {"action": "revoked"},
    "gollum": {"pages": [{"page_name": "Home", "action": "created"}]},
    "installation": {"action": "created", "installation": INSTALLATION, "repositories": [SHOP]},
    "installation_repositories": {
        "action": "added",
        "installation": INSTALLATION,
        "repositories_added": [SHOP],
        "repositories_removed": [],
    },
    "installation_target": {"action": "renamed", "account": SENDER, "changes": {"login": {"from": "x"}}},
    "issue_comment": {"action": "created", "issue": ISSUE, "comment": {"id": 1, "body": "@orchard hi"}},
    "issue_dependencies": {"action": "blocked_by_added", "blocked_issue": ISSUE},
    "issues": {"action": "labeled", "issue": ISSUE, "label": {"name": "orchard"}},
    "label": {"action": "edited", "label": {"name": "bug"}, "changes": {"name": {"from": "Bug"}}},
    "marketplace_purchase": {"action": "purchased", "marketplace_purchase": {"account": SENDER}},
    "member": {"action": "added", "member": SENDER, "changes": {}},
    "membership": {"action": "removed", "scope": "team", "team": {"id": 1}, "member": SENDER},
    "merge_group": {"action": "checks_requested", "merge_group": {"head_sha": SHA, "head_ref": "x"}},
    "meta": {"action": "deleted", "hook_id": 1, "hook": {"id": 1}},
    "milestone": {"action": "closed", "milestone": {"number": 1, "title": "v1", "due_on": None}},
    "org_block": {"action": "blocked", "blocked_user": SENDER},
    "organization": {"action": "member_added", "membership": {"user": SENDER}},
    "package": {"action": "published", "package": {"id": 1}},
    "page_build": {"id": 1, "build": {"status": "built", "error": {"message": None}}},
    "personal_access_token_request": {"action": "approved", "personal_access_token_request": {"id": 1}},
    "ping": {"zen": "Keep it logically awesome.", "hook_id": 1, "hook": {"type": "Repository"}},
    "project": {"action": "created", "project": {"id": 1}},
    "project_card": {"action": "moved", "project_card": {"id": 1}},
    "project_column": {"action": "edited", "project_column": {"id": 1}},
    "projects_v2": {"action": "created", "projects_v2": {"id": 1}},
    "projects_v2_item": {"action": "edited", "projects_v2_item": {"id": 1}},
    "projects_v2_status_update": {"action": "created"},
    "public": {},
    "pull_request": {"action": "synchronize", "number": 7, "pull_request": PULL, "before": SHA},
    "pull_request_review": {"action": "submitted", "pull_request": PULL, "review": {"state": "approved"}},
    "pull_request_review_comment": {"action": "created", "pull_request": PULL, "comment": {"line": None}},
    "pull_request_review_thread": {"action": "resolved", "pull_request": PULL, "thread": {"comments": []}},
    "push": {"ref": "refs/heads/main", "before": SHA, "after": SHA, "commits": [], "head_commit": None},
    "registry_package": {"action": "published", "registry_package": {"id": 1}},
    "release": {"action": "published", "release": {"id": 1, "tag_name": "v1"}},
    "repository": {"action": "transferred", "changes": {"owner": {"from": {"user": SENDER}}}},
    "repository_advisory": {"action": "reported", "repository_advisory": {"ghsa_id": "GHSA-x"}},
    "repository_dispatch": {"action": "anything", "branch": "main", "client_payload": None},
    "repository_import": {"status": "success"},
    "repository_ruleset": {"action": "edited", "repository_ruleset": {"id": 1}},
    "repository_vulnerability_alert": {"action": "create", "alert": {"id": 1}},
    "secret_scanning_alert": {"action": "created", "alert": {"number": 1}},
    "secret_scanning_alert_location": {"action": "created", "location": {"type": "commit"}},
    "secret_scanning_scan": {"action": "completed"},
    "security_advisory": {"action": "published", "security_advisory": {"ghsa_id": "GHSA-x"}},
    "security_and_analysis": {"changes": {"from": {}}},
    "sponsorship": {"action": "created", "sponsorship": {"sponsor": SENDER}},
    "star": {"action": "deleted", "starred_at": None},
    "status": {"id": 1, "sha": SHA, "name": "octo/shop", "state": "pending", "branches": []},
    "sub_issues": {"action": "sub_issue_added", "sub_issue": ISSUE, "parent_issue": ISSUE},
    "team": {"action": "added_to_repository", "team": {"id": 1}},
    "team_add": {"team": {"id": 1}},
    "watch": {"action": "started"},
    "workflow_dispatch": {"ref": "refs/heads/main", "workflow": "ci.yml", "inputs": None},
    "workflow_job": {"action": "queued", "workflow_job": {"id": 1, "head_sha": SHA, "steps": []}},
    "workflow_run": {"action": "completed", "workflow_run": CHECK, "workflow": None},
}
_WITHOUT_REPOSITORY = {
    "github_app_authorization",
    "installation",
    "installation_repositories",
    "installation_target",
    "marketplace_purchase",
    "membership",
    "org_block",
    "organization",
    "projects_v2",
    "projects_v2_item",
    "security_advisory",
    "sponsorship",
}


@pytest.fixture(scope="module")
def linked(house):
    def work(tx):
        github_links.put(tx, "shop", "octo/shop", by="cli", configured=False)
        github_links.answered(
            tx,
            "shop",
            repository="octo/shop",
            repository_id=SHOP["id"],
            default_branch="main",
            clone_url="",
            html_url="",
        )

    house.do(house.runtime.store.write(work))
    yield house
    house.do(house.runtime.store.write(lambda tx: github_links.remove(tx, "shop")))


@pytest.fixture
def deliver(linked):
    """As GitHub sends it: no Origin, no cookie, a user agent of its own."""

    def send(body, *, secret=SECRET, port=None, **more):
        browser = linked.browser()
        browser.port = port or browser.port
        if not isinstance(body, bytes):
            body = json.dumps(body).encode()
        headers = {
            "Accept": "*/*",
            "User-Agent": "GitHub-Hookshot/1a2b3c4",
            "Content-Type": "application/json",
            "X-GitHub-Event": "issues",
            "X-GitHub-Delivery": str(uuid.uuid4()),
            "X-Hub-Signature-256": signature(secret, body),
            "Origin": None,
            "Sec-Fetch-Site": None,
        }
        headers |= {name.replace("_", "-"): value for name, value in more.items()}
        return browser.ask("POST", PATH, body, headers)

    return send


def payload(event="issues", **more):
    beside = {} if event in _WITHOUT_REPOSITORY else {"repository": SHOP}
    return {**EVENT_PAYLOADS[event], **beside, "sender": SENDER, **more}


def known(house, delivery):
    return house.do(
        house.runtime.store.read(
            lambda conn: conn.execute(
                "SELECT event, project FROM github_deliveries WHERE id = ?", (delivery,)
            ).fetchone()
        )
    )


@pytest.fixture
def heard(linked, monkeypatch):
    """The nudges that come of what is delivered."""
    found = []
    deliveries = linked.app.web.application.state.house.webhooks._deliveries
    monkeypatch.setattr(deliveries, "_nudge", lambda project, nudge: found.append((project, nudge)))
    return found


def test_a_delivery_is_taken_and_nudges_its_project(linked, deliver, heard):
    answer = deliver(payload(), X_GitHub_Delivery="first-one")
    assert (answer.status, answer.json) == (202, {"taken": "nudged"})
    assert tuple(known(linked, "first-one")) == ("issues", "shop")
    assert [(project, nudge.issues) for project, nudge in heard] == [("shop", {5})]
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Set-Cookie" not in answer.headers


def test_a_replayed_delivery_is_acknowledged_and_not_acted_on(deliver, heard):
    said = [deliver(payload(), X_GitHub_Delivery="twice") for _ in range(3)]
    assert [each.status for each in said] == [202, 200, 200]
    assert said[2].json == {"taken": "replayed"}
    assert len(heard) == 1


@pytest.mark.parametrize("event", sorted(EVENT_PAYLOADS))
def test_every_event_that_there_is_gets_an_answer(deliver, heard, event):
    answer = deliver(payload(event), X_GitHub_Event=event)
    assert answer.status == (200 if event == "ping" else 202), answer.text
    if event in EVENTS and event != "delete":  # of a tag
        assert [project for project, _ in heard] == ["shop"]
    else:
        assert heard == []


def test_every_event_that_means_something_was_tried():
    assert set(EVENTS) <= set(EVENT_PAYLOADS)


@pytest.mark.parametrize("event", ["", "é", "no such", "x" * 200, "a_new_event", "ISSUES", "../issues"])
def test_an_event_that_nobody_knows_is_ignored_or_refused(deliver, heard, event):
    assert deliver(payload(), X_GitHub_Event=event.encode().decode("latin-1")).status in (202, 400)
    assert heard == []


def test_an_unknown_repository_is_ignored(deliver, heard):
    answer = deliver(payload(repository={"id": 5, "full_name": "octo/other"}))
    assert (answer.status, answer.json) == (202, {"taken": "unknown repository"})
    assert heard == []


def test_a_form_is_read_as_json_is(deliver, heard):
    form = urlencode({"payload": json.dumps(payload())}).encode()
    answer = deliver(form, Content_Type="application/x-www-form-urlencoded; charset=utf-8")
    assert answer.status == 202
    assert [project for project, _ in heard] == ["shop"]


def test_an_older_secret_is_good_as_long_as_it_is_named(deliver):
    assert deliver(payload(), secret=OLD_SECRET).status == 202


@pytest.mark.parametrize(
    "said",
    [
        None,
        "",
        "sha256=",
        "sha256=" + "0" * 64,
        "sha1=" + "0" * 40,
        signature("another-secret", json.dumps({"zen": "x"}).encode()),
        signature(SECRET, b"another body"),
        signature("", json.dumps({"zen": "x"}).encode()),
        "é" * 71,
    ],
)
def test_without_a_right_signature_nothing_is_looked_at(linked, deliver, heard, said):
    unread = b'{"zen": "x"}' if said is None else json.dumps({"zen": "x"}).encode()
    answer = deliver(unread, X_Hub_Signature_256=said, X_GitHub_Delivery="forged")
    assert (answer.status, answer.json["slug"]) == (401, "not_signed")
    assert SECRET not in answer.text
    assert known(linked, "forged") is None
    assert heard == []


def test_the_signature_of_sha_1_alone_is_none(deliver):
    answer = deliver(payload(), X_Hub_Signature_256=None, X_Hub_Signature="sha1=" + "0" * 40)
    assert answer.status == 401


def test_a_browsers_origin_neither_helps_nor_harms(deliver):
    assert deliver(payload(), Origin="http://evil.example", Sec_Fetch_Site="cross-site").status == 202
    assert deliver(payload(), secret="wrong", Origin="http://evil.example").status == 401


def test_only_the_exact_path_by_post_is_free_of_an_origin(linked):
    bare = {"Origin": None, "Sec-Fetch-Site": None}
    for path in (PATH + "/", PATH + "/x", "/webhooks//github", "/Webhooks/github", "/webhooks"):
        assert linked.browser().ask("POST", path, b"{}", bare).status == 403, path
    assert linked.browser().ask("PUT", PATH, b"{}", bare).status == 403
    assert linked.browser().get(PATH).status == 405


@pytest.mark.parametrize("name", ["X_GitHub_Delivery", "X_GitHub_Event"])
@pytest.mark.parametrize("value", [None, "", "a b", "x" * 129, "\x80"])
def test_what_is_signed_but_not_named_is_refused(deliver, name, value):
    answer = deliver(payload(), **{name: value})
    assert answer.status == 400
    assert name.replace("_", "-").lower() in answer.json["why"]


HOSTILE = [
    b"",
    b"{",
    b"null",
    b"[]",
    b'"text"',
    b"\xff\xfe{}",
    b"\xef\xbb\xbf{}",
    "{}".encode("utf-16"),
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b'{"repository": {"id": ' + b"9" * 10_000 + b"}}",
    b'{"repository": {"id": NaN}}',
    b'{"repository": {"id": 1e400}}',
    b'{"repository": {"id": 18446744073709551616}}',
    b'{"repository": {"id": -1}, "issue": {"number": 1e308}}',
    b'{"repository": {"id": 5, "full_name": "\\ud800/\\udfff"}}',
    b'{"repository": {"id": 5, "full_name": "o/r\\u0000"}}',
    b'{"repository": {"id": 5, "full_name": "' + b"a" * 100_000 + b'"}}',
    b'{"repository": "octo/shop", "issue": [], "repositories": {"id": 1}}',
    b'{"repository": {"id": true}, "repositories": [null, 1, "x", [], {}]}',
    b'{"repositories": [' + b'{"id":1},' * 20_000 + b'{"id":2}]}',
    b'{"repository": {"id": 186853002}, "repository": null}',
]


@pytest.mark.parametrize("event", ["issues", "push", "installation", "check_run"])
@pytest.mark.parametrize("number", range(len(HOSTILE)))
def test_hostile_bodies_that_are_signed_are_answered(deliver, event, number):
    answer = deliver(HOSTILE[number], X_GitHub_Event=event)
    assert answer.status in (202, 400)
    if answer.status == 400:
        assert answer.json["slug"] == "invalid_input"


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("text/plain", b"{}"),
        ("", b"{}"),
        (None, b"{}"),
        ("application/json", b"payload=%7B%7D"),
        ("application/x-www-form-urlencoded", b"{}"),
        ("application/x-www-form-urlencoded", b"payload=%7B%7D&payload=%7B%7D"),
        ("application/x-www-form-urlencoded", b"payload=%FF"),
        ("application/x-www-form-urlencoded", b"a=1&" * 50 + b"payload=%7B%7D"),
        ("application/x-www-form-urlencoded", quote('{"é": 1}').encode() + "é".encode()),
        ("multipart/form-data; boundary=x", b"--x--"),
    ],
)
def test_what_is_no_json_and_no_form_is_refused(deliver, kind, body):
    answer = deliver(body, Content_Type=kind)
    assert (answer.status, answer.json["slug"]) == (400, "invalid_input")
    assert "application/json" in answer.json["hint"]


def _any_value(chosen, depth=3):
    kinds = ["none", "truth", "number", "text", *(["list", "object"] if depth else [])]
    match chosen.choice(kinds):
        case "none":
            return None
        case "truth":
            return chosen.random() < 0.5
        case "number":
            return chosen.choice([0, -1, 5, SHOP["id"], 2**63, 2**64, 10**40, 0.5])
        case "text":
            return chosen.choice(["", SHA, ZEROS, "refs/heads/main", "octo/shop", "\ud800", "\0", "é" * 300])
        case "list":
            return [_any_value(chosen, depth - 1) for _ in range(chosen.randrange(4))]
    names = ["id", "number", "head", "sha", "head_sha", "ref", "full_name", "pull_requests", "é"]
    return {name: _any_value(chosen, depth - 1) for name in chosen.sample(names, chosen.randrange(5))}


# Not by hypothesis, which does not bear that another thread, Orchard's, draws random numbers meanwhile.
@pytest.mark.parametrize("seed", range(10))
def test_nothing_that_is_signed_is_a_fault(deliver, seed):
    chosen = random.Random(seed)
    tops = ["repository", "issue", "pull_request", "check_run", "check_suite", "ref", "sha", "repositories"]
    for event in [*EVENTS, "other"]:
        body = {name: _any_value(chosen) for name in chosen.sample(tops, 5)}
        assert deliver(body, X_GitHub_Event=event).status in (200, 202), body


def test_a_body_over_the_bound_is_refused_before_it_is_sent(linked, raw):
    head = b"POST %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n" % (PATH.encode(), linked.port)
    told = raw(head + b"Content-Length: %d\r\n\r\n" % (5120 * 1024 + 1), enough=b"sets the bound")
    assert b" 413 " in told.splitlines()[0]
    assert b"github.webhook_max_body_kb" in told
    chunk = b"%x\r\n%s\r\n" % (2**20, b"a" * 2**20)
    told = raw(head + b"Transfer-Encoding: chunked\r\n\r\n", *[chunk] * 6, enough=b"sets the bound")
    assert b" 413 " in told.splitlines()[0]


@pytest.mark.parametrize("chunked", [False, True])
def test_a_client_that_sends_on_reads_its_refusal(linked, raw, chunked):
    head = b"POST %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n" % (PATH.encode(), linked.port)
    piece = b"a" * 2**20
    if chunked:
        parts = [head + b"Transfer-Encoding: chunked\r\n\r\n", *[b"%x\r\n%s\r\n" % (2**20, piece)] * 20]
    else:
        parts = [head + b"Content-Length: %d\r\n\r\n" % (20 * 2**20), *[piece] * 20]
    told = raw(*parts, enough=b"sets the bound")
    assert b" 413 " in told.splitlines()[0]
    assert b"connection: close" in told.lower()


def test_a_large_one_within_it_is_taken(deliver, heard):
    large = payload(padding=["x" * 1000] * 4000)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: deliver(large), range(4)))
    assert [each.status for each in answers] == [202] * 4
    assert len(heard) == 4


def test_large_ones_that_never_end_let_small_ones_pass(linked, deliver):
    with linked.serving(request_seconds=4) as port:
        head = b"POST %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Length: 200000\r\n\r\n{"
        lines = [socket.create_connection(("127.0.0.1", port), timeout=45) for _ in range(20)]
        try:
            for line in lines:
                line.sendall(head % (PATH.encode(), port))
            assert deliver(payload(), port=port).status == 202
            told = {line.recv(12)[9:12] for line in lines}
        finally:
            for line in lines:
                line.close()
    assert told <= {b"408", b"429"}


def test_refusals_are_counted_and_audited_once_a_minute(linked, deliver):
    def rows():
        found = linked.do(
            linked.runtime.store.read(
                lambda conn: audit.entries(conn, kind=AuditKind.ACCESS_DENIED, limit=-1)
            )
        )
        return [each for each in found if each.actor == "github webhook"]

    with linked.serving() as port:
        before = len(rows())
        for _ in range(6):
            assert deliver(payload(), secret="wrong", port=port).status == 401
        assert len(rows()) == before + 1
    assert rows()[-1].data == {"refused": 1, "why": "Its signature is not of a secret that Orchard has."}
    assert rows()[-1].subject == "127.0.0.1"


def test_whoever_forges_is_told_to_wait_and_so_is_a_flood(linked, deliver, monkeypatch):
    monkeypatch.setattr("bot.web.house.limits", lambda per_minute: limits(1))
    with linked.serving() as port:
        assert deliver(payload(), secret="wrong", port=port).status == 401
        told = deliver(payload(), port=port)
        assert (told.status, told.json["slug"]) == (429, "too_many_tries")
        assert int(told.headers["Retry-After"]) >= 1
    monkeypatch.setattr("bot.web.house.limits", lambda per_minute: limits(4))
    with linked.serving() as port:
        assert [deliver(payload(), port=port).status for _ in range(3)] == [202, 202, 429]
    # As many at once as of 200 a minute; but none is allowed again while three are sent, however slowly.
    monkeypatch.setattr("bot.web.house.limits", lambda _: RateLimits(Limit(per_second=0.001, burst=100)))
    with linked.serving() as port:  # a wrong one costs as much as many right ones
        said = [deliver(payload(), secret="wrong", port=port).status for _ in range(3)]
        assert said == [401, 401, 429]


def test_a_projects_own_secret_signs_for_it_alone(linked, deliver, heard, monkeypatch):
    house = linked.app.web.application.state.house
    own, later = "the-shops-own-secret-for-hooks", "the-shops-secret-after-rotation"
    configured = linked.runtime.configuration().settings
    shop = configured.projects["shop"]
    github = shop.github.model_copy(update={"webhook_secret": "HOOK"})
    projects = {**configured.projects, "shop": shop.model_copy(update={"github": github})}
    changed = configured.model_copy(update={"projects": projects})
    monkeypatch.setattr(house.webhooks._signers, "_settings", lambda: changed)
    monkeypatch.setattr("core.github.webhooks.signers._LOOK_SECONDS", 0.0)

    def uses():
        found = linked.do(
            linked.runtime.store.read(lambda conn: audit.entries(conn, kind=AuditKind.SECRET_USED, limit=-1))
        )
        return [each for each in found if each.subject == "HOOK"]

    assert deliver(payload(), secret=own).status == 401  # it is not set yet
    linked.do(house.secrets.set("shop", "HOOK", own, actor="root"))
    assert [deliver(payload(), secret=own).status for _ in range(3)] == [202] * 3
    assert len(heard) == 3
    assert len(uses()) == 1
    linked.do(house.secrets.set("shop", "HOOK", later, actor="root"))
    assert deliver(payload(), secret=later).status == 202
    assert deliver(payload(), secret=own).status == 401
    heard.clear()

    def link_bank(tx):
        github_links.put(tx, "bank", "octo/bank", by="cli", configured=False)

    linked.do(linked.runtime.store.write(link_bank))
    try:
        of_bank = payload(repository={"id": 77, "full_name": "octo/bank"})
        assert deliver(of_bank, secret=later).json == {"taken": "unknown repository"}
        assert heard == []
        assert deliver(of_bank).json == {"taken": "nudged"}
    finally:
        linked.do(linked.runtime.store.write(lambda tx: github_links.remove(tx, "bank")))


def test_without_any_secret_nothing_is_signed(linked, deliver, monkeypatch):
    signers = linked.app.web.application.state.house.webhooks._signers
    bare = linked.runtime.configuration().settings.model_copy(update={"github_webhook_secrets": ()})
    monkeypatch.setattr(signers, "_settings", lambda: bare)
    answer = deliver(payload(), secret="")
    assert answer.status == 401
    assert "GITHUB_WEBHOOK_SECRET" in answer.json["hint"]


def test_what_is_acknowledged_is_in_the_store(linked, deliver):
    with ThreadPoolExecutor(8) as pool:
        ids = [f"many-{number}" for number in range(60)]
        said = list(pool.map(lambda each: deliver(payload(), X_GitHub_Delivery=each).status, ids))
    assert said == [202] * 60
    assert all(known(linked, each) is not None for each in ids)
    assert linked.do(linked.runtime.store.read(lambda conn: github_heard.last_delivery(conn, "shop")))

"""What is measured, shared, alerted and recorded, by the API: to whom it is shown, and who may answer."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest

from core.domain.access import AccessLevel
from core.domain.alert import AlertFact, Route, Severity
from core.domain.metric import Point, labels_of
from core.store import alerts, metric_history
from core.store.metric_history import Span

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = "2026-03-01T00:00:00Z/2026-03-02T00:00:00Z"


@pytest.fixture(scope="module")
def reader(house):
    return house.token(AccessLevel.VIEWER, "read")


@pytest.fixture(scope="module")
def measured(house):
    """Three hours of the shop's processors, and of the machine's."""

    def put(tx):
        points = [
            Point(at=NOON + timedelta(hours=n), count=360, total=360.0 * n, minimum=0.0, maximum=4.0, last=n)
            for n in range(3)
        ]
        for series in (("project_cpu", labels_of("project_cpu", project="shop")), ("machine_cpu", ())):
            metric_history.merge(tx, [(series, point) for point in points], (Span.HOUR,))

    house.do(house.runtime.store.write(put))


@pytest.fixture
def alert(house):
    def make(rule, project="shop"):
        def put(tx):
            made = alerts.begin(
                tx,
                rule=rule,
                project=project,
                severity=Severity.WARNING,
                summary="It is slow.",
                hint="Look.",
                value=9.0,
                count=1,
                worst="",
                routes=(Route.GUILD,),
            )
            return alerts.move(tx, made, AlertFact.BREACHED, by="orchard")

        return house.do(house.runtime.store.write(put))

    return make


def test_a_projects_metrics_are_told_in_the_spans_that_were_asked_for(reader, measured):
    found = reader.call("GET", f"/projects/shop/metrics?timeRange={DAY}&granularity=hour&metric=project_cpu")
    assert found.status == 200, found.text
    (series,) = found.json["series"]
    assert (series["metric"], series["unit"], series["labels"]) == (
        "project_cpu",
        "cores",
        {"project": "shop"},
    )
    assert [point["mean"] for point in series["points"]] == [0.0, 1.0, 2.0]
    assert series["points"][0]["at"] == "2026-03-01T12:00:00Z"
    none = reader.call("GET", f"/projects/bank/metrics?timeRange={DAY}&granularity=hour&metric=project_cpu")
    assert [each["points"] for each in none.json["series"]] in ([], [[]])
    system = reader.call("GET", f"/metrics?timeRange={DAY}&granularity=hour&metric=machine_cpu").json
    assert [point["last"] for point in system["series"][0]["points"]] == [0.0, 1.0, 2.0]


def test_metrics_of_one_span_have_one_tag(reader):
    asked = "/projects/shop/metrics?timeRange=30d&granularity=day&metric=project_cpu"
    first, second = reader.call("GET", asked), reader.call("GET", asked)
    if first.json["until"] == second.json["until"]:  # midnight may lie between them
        assert first.headers["ETag"] == second.headers["ETag"]
    assert (first.json["since"][10:], first.json["until"][10:]) == ("T00:00:00Z", "T00:00:00Z")


@pytest.mark.parametrize(
    "query",
    [
        "metric=nothing",
        "metric=machine_cpu",
        "timeRange=yesterday",
        "timeRange=0h",
        "timeRange=99999w",
        "timeRange=2026-03-02T00:00:00Z/2026-03-01T00:00:00Z",
        "timeRange=30d&granularity=minute",
        "granularity=second",
    ],
)
def test_metrics_that_cannot_be_told_are_refused_with_the_reason(reader, query):
    refused = reader.call("GET", f"/projects/shop/metrics?{query}")
    assert (refused.status, refused.json["slug"]) == (400, "invalid_input")
    assert refused.json["hint"]


def test_every_name_of_the_list_can_be_asked_for(reader):
    for one in reader.call("GET", "/metrics/names").json:
        where = "/projects/shop/metrics" if "project" in one["labels"] else "/metrics"
        assert reader.call("GET", f"{where}?metric={one['name']}").status == 200


def test_an_alert_is_answered_by_who_may_and_hidden_from_the_rest(house, alert):
    made = alert("slow-one")
    stranger = house.logged_in(None, bank=AccessLevel.OWNER)
    assert made.id not in stranger.call("GET", "/alerts").text
    assert stranger.call("GET", "/alerts?project=shop").status == 403
    for path in (f"/alerts/{made.id}", "/alerts/alert_none"):
        assert stranger.call("GET", path).status == 404
    assert stranger.call("POST", f"/alerts/{made.id}/acknowledge").status == 404
    viewer = house.logged_in(AccessLevel.VIEWER)
    seen = viewer.call("GET", f"/alerts/{made.id}")
    assert (seen.status, seen.json["state"]) == (200, "firing")
    assert viewer.call("POST", f"/alerts/{made.id}/acknowledge").status == 403
    worker = house.token(AccessLevel.CONTRIBUTOR, "read", "decide")
    worker.headers["If-Match"] = seen.headers["ETag"]
    answered = worker.call("POST", f"/alerts/{made.id}/acknowledge")
    assert (answered.status, answered.json["state"]) == (200, "acknowledged")
    until = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    assert worker.call("POST", f"/alerts/{made.id}/silence", {"until": until}).status == 412
    del worker.headers["If-Match"]
    silenced = worker.call("POST", f"/alerts/{made.id}/silence", {"until": until})
    assert (silenced.status, silenced.json["state"]) == (200, "silenced")
    assert worker.call("POST", f"/alerts/{made.id}/unsilence").json["state"] == "firing"


@pytest.mark.parametrize(
    "until", ["soon", "2020-01-01T00:00:00Z", "2999-01-01T00:00:00Z", "2027-01-01T00:00:00"]
)
def test_a_silence_that_cannot_be_is_refused(house, alert, until):
    made = alert(f"slow-{until[:4]}-{len(until)}")
    worker = house.token(AccessLevel.CONTRIBUTOR, "read", "decide")
    assert worker.call("POST", f"/alerts/{made.id}/silence", {"until": until}).status == 400


def test_the_systems_alerts_are_for_who_sees_everything_and_admins(house, alert):
    made = alert("machine-full", None)
    one = house.logged_in(None, shop=AccessLevel.OWNER)
    assert one.call("GET", f"/alerts/{made.id}").status == 404
    assert made.id in house.logged_in(AccessLevel.VIEWER).call("GET", "/alerts").text
    worker = house.token(AccessLevel.MAINTAINER, "read", "decide")
    assert worker.call("POST", f"/alerts/{made.id}/acknowledge").status == 403
    admin = house.token(AccessLevel.ADMIN, "read", "decide")
    assert admin.call("POST", f"/alerts/{made.id}/acknowledge").status == 200


def test_alerts_come_in_pages_the_newest_first(house, alert):
    made = [alert(f"page-{number}").id for number in range(4)]
    found, path = [], "/alerts?project=shop&limit=2"
    reader = house.logged_in(AccessLevel.VIEWER)
    while path:
        page = reader.call("GET", path)
        found += [one["id"] for one in page.json]
        link = re.fullmatch(r'</api(.+)>; rel="next"', page.headers.get("Link", ""))
        path = link and link[1]
    assert [each for each in found if each in made] == made[::-1]
    assert len(found) == len(set(found))


def test_resources_analytics_and_insights_leave_out_what_one_does_not_see(house, reader):
    for path in ("/orchestration/resources", "/orchestration/analytics", "/insights"):
        assert reader.call("GET", path).status == 200
    every = reader.call("GET", "/orchestration/resources").json
    assert {"shop", "bank"} <= {one["project"] for one in every["projects"]}
    one = house.logged_in(None, bank=AccessLevel.MAINTAINER)
    seen = one.call("GET", "/orchestration/resources").json
    assert {each["project"] for each in seen["projects"]} <= {"bank"}
    assert one.call("GET", "/orchestration/analytics").json["figures"] is None
    figures = reader.call("GET", "/orchestration/analytics").json["figures"]
    assert 0 <= figures["system_health_score"] <= 1


def test_resources_are_shared_anew_by_who_may(house, reader):
    assert reader.call("POST", "/orchestration/rebalance", {}).status == 403
    admin = house.token(AccessLevel.ADMIN, "manage")
    dry = admin.call("POST", "/orchestration/rebalance", {"strategy": "dynamic", "dry_run": True})
    assert (dry.status, dry.json["strategy"], dry.json["dry_run"]) == (200, "dynamic", True)
    assert admin.call("POST", "/orchestration/rebalance", {}).json["dry_run"] is False
    assert admin.call("POST", "/orchestration/rebalance").json["dry_run"] is False
    for said in ({"strategy": "dynamic"}, {"strategy": "os.path:join", "dry_run": True}):
        assert admin.call("POST", "/orchestration/rebalance", said).status == 400


def test_a_question_is_shown_answered_once_and_to_nobody_else(house, question):
    asked = question("shop")
    maintainer = house.token(AccessLevel.MAINTAINER, "decide", "read")
    stranger = house.logged_in(None, bank=AccessLevel.OWNER)
    assert stranger.call("GET", f"/approvals/{asked.id}").status == 404
    assert stranger.call("GET", "/approvals?project=shop").status == 403
    seen = maintainer.call("GET", f"/approvals/{asked.id}")
    maintainer.headers |= {"If-Match": seen.headers["ETag"], "Idempotency-Key": "an-answer"}
    said = {"approve": False, "reason": "Too large."}
    first, again = (maintainer.call("POST", f"/approvals/{asked.id}", said) for _ in range(2))
    assert (first.status, first.json["state"], first.json["reason"]) == (200, "rejected", "Too large.")
    assert again.body == first.body
    maintainer.headers["Idempotency-Key"] = "a-second-answer"
    assert maintainer.call("POST", f"/approvals/{asked.id}", said).status == 412


def test_the_audit_log_is_read_backwards_in_pages(operator):
    newest = operator.call("GET", "/audit?limit=5")
    numbers = [row["seq"] for row in newest.json]
    assert numbers == sorted(numbers, reverse=True)
    older = operator.call("GET", re.fullmatch(r"</api(.+)>.*", newest.headers["Link"])[1]).json
    assert [row["seq"] for row in older] == list(range(numbers[-1] - 1, numbers[-1] - 6, -1))
    kinds = operator.call("GET", "/audit?kind=user_changed&limit=3")
    assert kinds.status in (200, 400)
    assert operator.call("GET", "/audit?kind=nothing").status == 400


def test_users_come_by_name_in_pages(operator, house):
    for _ in range(3):
        house.person()
    page = operator.call("GET", "/users?limit=2")
    names = [one["username"] for one in page.json]
    assert names == sorted(names)
    after = operator.call("GET", re.fullmatch(r"</api(.+)>.*", page.headers["Link"])[1]).json
    assert after[0]["username"] > names[-1]
    assert operator.call("GET", f"/users/{names[0].upper()}").json["username"] == names[0]
    assert operator.call("GET", "/users/nobody").status == 404


def test_what_is_not_possible_says_what_is(reader):
    refused = reader.call("DELETE", "/insights")
    assert (refused.status, refused.headers["Allow"]) == (405, "GET")

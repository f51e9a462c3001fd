"""What Prometheus and what watches over servers ask."""

from __future__ import annotations

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from core.domain.access import AccessLevel
from core.domain.lifecycles import Phase
from core.domain.metric import METRICS, MetricKind, Sample, labels_of
from core.errors import Unavailable
from core.monitoring.export.openmetrics import CONTENT_TYPE, names_of


def scraped(browser):
    answer = browser.get("/metrics", Accept="*/*")
    assert answer.status == 200
    assert answer.headers["Content-Type"] == CONTENT_TYPE
    return [one for family in text_string_to_metric_families(answer.text) for one in family.samples]


def publish(house, *readings):
    async def put():
        house.runtime.monitoring.readings.publish(
            Sample(
                metric=metric,
                value=value,
                at=house.runtime.clock.now(),
                source="cgroup",
                labels=labels_of(metric, project=project) if project else (),
            )
            for metric, project, value in readings
        )

    house.do(put())


def test_a_program_on_this_machine_scrapes_everything(house, browser):
    publish(house, ("project_disk_read", "shop", 1.5), ("project_disk_read", "bank", 2.5))
    found = scraped(browser)
    disk = {
        one.labels["project"]: one.value for one in found if one.name == "orchard_project_disk_read_bytes"
    }
    assert disk == {"shop": 1.5, "bank": 2.5}
    assert any(one.name == "orchard_build_info" for one in found)


def test_what_is_counted_is_there_before_it_happened(house, browser):
    found = scraped(browser)
    for metric in METRICS.values():
        if metric.kind is MetricKind.GAUGE or "project" not in metric.labels:
            continue
        for name in names_of(metric):
            projects = {one.labels["project"] for one in found if one.name == name}
            assert projects >= {"shop", "bank"}, name
    failures = [one for one in found if one.name == "orchard_gate_failures_total"]
    assert {one.labels["phase"] for one in failures} == set(Phase)


def test_what_has_no_data_has_no_line(house, browser):
    assert not [one for one in scraped(browser) if one.name == "orchard_github_rate_remaining"]


def test_whoever_is_not_on_this_machine_shows_who_they_are(house):
    stranger = house.browser()
    stranger.headers = {"X-Forwarded-For": "192.0.2.7"}
    assert stranger.get("/metrics", Accept="*/*").status == 401
    assert house.token(AccessLevel.VIEWER, "read").get("/metrics", Accept="*/*").status == 200
    assert house.token(AccessLevel.VIEWER, "work").get("/metrics", Accept="*/*").status == 403


def test_of_others_projects_there_is_nothing(house):
    publish(house, ("project_disk_read", "shop", 1.5), ("machine_load", "", 3.0))
    browser = house.logged_in(None, bank=AccessLevel.VIEWER)
    browser.headers = {"X-Forwarded-For": "192.0.2.7"}
    found = scraped(browser)
    assert {one.labels["project"] for one in found if "project" in one.labels} == {"bank"}
    assert not [one for one in found if one.name == "orchard_machine_load"]


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_it_lives_and_is_ready_for_whoever_asks(house, path, monkeypatch):
    monkeypatch.setattr("bot.web.metrics._READY_SECONDS", 40.0)  # a busy machine may not be
    browser = house.browser()
    browser.headers = {"X-Forwarded-For": "192.0.2.7"}
    assert browser.get(path, Accept="*/*").json == {"ok": True}


def test_without_its_store_it_lives_and_is_not_ready(house, browser, monkeypatch):
    async def read(self, query):
        raise Unavailable("The disk is gone.")

    monkeypatch.setattr(type(house.runtime.store), "read", read)
    answer = browser.get("/readyz", Accept="*/*")
    assert (answer.status, answer.json["slug"]) == (503, "unavailable")
    assert browser.get("/healthz", Accept="*/*").status == 200

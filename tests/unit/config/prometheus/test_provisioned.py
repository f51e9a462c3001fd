"""What Grafana and Prometheus are given is what they take, and asks for metrics that there are."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from core.domain.metric import METRICS, MetricKind
from core.monitoring.export.openmetrics import names_of

ROOT = Path(__file__).parents[4]
GRAFANA, PROMETHEUS = ROOT / "config/grafana", ROOT / "config/prometheus"
SAMPLES = {name: metric for metric in METRICS.values() for name in names_of(metric)}
NAME = re.compile(r"(?<![\w:])orchard_\w+(?!:)")


@pytest.fixture
def promtool():
    found = shutil.which("promtool")
    if found is None:
        pytest.skip("promtool is not installed: it comes with Debian's package prometheus")

    def run(*words, folder=PROMETHEUS):
        done = subprocess.run([found, *words], cwd=folder, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


def test_promtool_takes_the_rules_and_the_example(promtool):
    assert "12 rules found" in promtool("check", "rules", "orchard-rules.yml")
    promtool("check", "config", "prometheus.yml")


def test_the_rules_fire_when_they_should_and_not_before(promtool, tmp_path):
    for path in (PROMETHEUS / "orchard-rules.yml", Path(__file__).with_name("rules_test.yml")):
        shutil.copy(path, tmp_path)
    assert "SUCCESS" in promtool("test", "rules", "rules_test.yml", folder=tmp_path)


def expressions():
    rules = yaml.safe_load((PROMETHEUS / "orchard-rules.yml").read_text())
    for group in rules["groups"]:
        for rule in group["rules"]:
            yield rule.get("alert") or rule["record"], rule["expr"]
    for panel in dashboard()["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"]


def dashboard():
    return json.loads((GRAFANA / "orchard.json").read_text())


def test_every_query_asks_for_metrics_that_there_are():
    asked = 0
    for place, expression in expressions():
        for name in NAME.findall(expression):
            assert name in SAMPLES, f"{place}: {name}"
            asked += 1
    assert asked > 50


def test_what_is_counted_is_asked_for_as_a_rate():
    for place, expression in expressions():
        for name in NAME.findall(expression):
            if SAMPLES[name].kind is not MetricKind.GAUGE:
                assert re.search(rf"(rate|increase)\({name}", expression), f"{place}: {expression}"


def test_a_project_can_be_chosen_wherever_there_is_one():
    for panel in dashboard()["panels"]:
        for target in panel.get("targets", ()):
            for name in NAME.findall(target["expr"]):
                if "project" in SAMPLES[name].labels:
                    assert f'{name}{{project=~"$project"}}' in target["expr"], panel["title"]


def test_panels_have_ids_of_their_own_and_lie_beside_each_other():
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels) > 30
    taken = set()
    for panel in panels:
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells


def test_the_provisioning_is_yaml_of_version_1():
    for path in GRAFANA.rglob("*.yml"):
        assert yaml.safe_load(path.read_text())["apiVersion"] == 1

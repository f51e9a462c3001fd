"""`alerts:` in orch-config.yaml: rules of one's own, built-in ones changed, each mistake with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.loader import load
from config.problems import ConfigError
from core.domain.alert import Comparison, Route, Rule, Severity
from core.domain.alert_rules import BUILT_IN


def rules(folder: Path, text: str) -> dict[str, Rule]:
    (folder / "orch-config.yaml").write_text(f"alerts:\n  rules:\n{text}")
    return {rule.id: rule for rule in load(folder, environ={}).settings.global_.alerts.watched}


def mistakes(folder: Path, text: str) -> list[tuple[int, str]]:
    """Line within the rules, and what is said."""
    with pytest.raises(ConfigError) as refused:
        rules(folder, text)
    return [(one.mark.line - 2, f"{one.key}: {one.sentence}") for one in refused.value.problems]


def test_without_a_word_the_built_in_rules_are_watched(tmp_path: Path) -> None:
    watched = load(tmp_path, environ={}).settings.global_.alerts.watched
    assert watched == tuple(BUILT_IN.values())
    assert all(rule.enabled for rule in watched)


def test_what_is_said_of_a_built_in_rule_changes_that_alone(tmp_path: Path) -> None:
    found = rules(
        tmp_path,
        "    machine-cpu: {threshold: 0.9, routes: [guild, direct, guild]}\n    queue-age: {enabled: false}\n"
        "    loop-lag:\n",
    )
    cpu = BUILT_IN["machine-cpu"]
    assert found["machine-cpu"].threshold == 0.9
    assert found["machine-cpu"].routes == (Route.GUILD, Route.DIRECT)
    assert found["machine-cpu"].summary == cpu.summary
    assert found["machine-cpu"].clears_at == cpu.clears_at
    assert not found["queue-age"].enabled
    assert found["loop-lag"] == BUILT_IN["loop-lag"]
    assert list(found) == list(BUILT_IN)


def test_a_limit_that_no_longer_fits_a_moved_threshold_is_left_out(tmp_path: Path) -> None:
    disk = rules(tmp_path, "    machine-disk: {threshold: 20000000000}\n")["machine-disk"]
    assert (disk.clears_at, disk.critical_at) == (None, 1e9)


def test_a_rule_of_ones_own_needs_two_words(tmp_path: Path) -> None:
    text = "    big: {metric: project_memory, threshold: 4000000000, match: {project: shop}}\n"
    big = rules(tmp_path, text)["big"]
    assert (big.comparison, big.severity, big.built_in) == (Comparison.ABOVE, Severity.WARNING, False)
    assert big.match == {"project": "shop"}
    assert big.summary == "{project}: project_memory is {value}; the limit is {threshold}."


@pytest.mark.parametrize(("said", "wanted"), [
    ("machine-dsk: {threshold: 5}", "there is no built-in rule 'machine-dsk' (did you mean 'machine-disk'?)"),
    ("machine-disk: {metric: cost, threshold: 1}", "is a built-in rule of machine_disk_free"),
    ("machine-disk: {clears_at: 1000}", "clears_at (1000) is beyond its threshold (5e+09)"),
    ("machine-disk: {critical_at: 9000000000}", "critical_at (9e+09) is not beyond its threshold"),
    ("own: {id: other, metric: cost, threshold: 1}", "own.id: no such key"),
    ("own: {metric: projct_memory, threshold: 4}", "'projct_memory' (did you mean 'project_memory'?)"),
    ("own: {metric: nothing-like-it, threshold: 4}", "docs/monitoring.md has them"),
    ("own: {metric: project_memory}", "a rule of your own needs threshold"),
    ("own: {threshold: 3}", "a rule of your own needs metric"),
    ("own:", "needs metric and threshold"),
    ("own: {metric: project_memory, threshold: '4'}", "own.threshold: should be a number, not '4'"),
    ("own: {metric: project_memory, threshold: .nan}", "own.threshold: should be a finite number"),
    ("own: {metric: project_memory, threshold: true}", "own.threshold: should be a number, not true"),
    ("own: {metric: cost, threshold: 4, rate: true}", "rate needs over"),
    ("own: {metric: project_cpu, threshold: 4, rate: true, over: 60}", "rate is for counters"),
    ("own: {metric: cost, threshold: 4, comparison: anomalous}", "needs rate: true: cost is a count"),
    ("own: {metric: cycle_time, threshold: 4}", "needs over: cycle_time is seen now and then"),
    ("own: {metric: project_cpu, threshold: 0.5, comparison: anomalous}", "at least 1 robust deviation"),
    ("own: {metric: project_cpu, threshold: 8, comparison: shifted, over: 60}", "over is not for changes"),
    ("own: {metric: cost, threshold: 4, severty: info}", "own.severty: no such key (did you mean 'severity'"),
    ("own: {metric: project_cpu, threshold: 4, severity: bad}", "'critical', 'warning' or 'info', not 'bad'"),
    ("own: {metric: project_cpu, threshold: 4, match: {proj: x}}", "a label that project_cpu does not have"),
    ("own: {metric: project_cpu, threshold: 4, summary: '{foo}'}", "has a summary with {foo}; there are"),
    ("own: {metric: project_cpu, threshold: 4, summary: '{value:,}'}", "has a summary with {value}"),
    ("own: {metric: project_cpu, threshold: 4, summary: '{value'}", "a '{' or '}' too many"),
    ("own: {metric: project_cpu, threshold: 4, for_seconds: -1}", "own.for_seconds: should be at least 0"),
    ("own: {metric: project_cpu, threshold: 4, routes: [mail]}", "own.routes[0]: should be 'guild'"),
    ("own: 5", "own: should hold keys and values, not 5"),
    ("OWN: {metric: project_cpu, threshold: 4}", "should be a name of small letters"),
])  # fmt: skip
def test_each_mistake_is_said_at_its_line(tmp_path: Path, said: str, wanted: str) -> None:
    before = "    queue-age: {enabled: false}\n"
    ((line, sentence),) = mistakes(tmp_path, f"{before}    {said}\n")
    assert line == 2
    assert wanted in sentence


def test_all_mistakes_are_said_at_once(tmp_path: Path) -> None:
    found = mistakes(tmp_path, "    a: {metric: x, threshold: 1}\n    b: 5\n    machine-cpu: {over: -1}\n")
    assert [line for line, _ in found] == [1, 2, 3]

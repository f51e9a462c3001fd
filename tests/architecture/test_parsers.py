"""docs/untrusted.md says what reads what others wrote, and which property test tries it; kept true here."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROPERTIES = ROOT / "tests/properties"
PAGE = ROOT / "docs/untrusted.md"
OURS = ("bot", "cogs", "config", "core")

# What reads only what Orchard itself wrote: over a pipe, in a row, on its command line, in its package.
OWN = {
    "bot/web/once.py": "a row of the store, sealed",
    "bot/cli/demo/stage.py": "the demo's content, of the package",
    "bot/cli/simulation_charts.py": "the drawing process's",
    "bot/cli/terminal.py": "a setting that the person types",
    "bot/discord/charts.py": "the drawing process's",
    "bot/localguild/control.py": "a server for tests and trials on loopback",
    "bot/localguild/gateway.py": "a server for tests and trials on loopback",
    "bot/localguild/rest/service.py": "a server for tests and trials on loopback",
    "core/agents/check_place.py": "a transcript that a test of an agent has just written",
    "core/agents/install.py": "what a package manager has just installed, in a folder of Orchard's own",
    "core/agents/model_traffic.py": "the gateway's, on loopback",
    "core/agents/replay/agent.py": "the replay agent's own note",
    "core/agents/replay/link.py": "the driver's",
    "core/doctor/isolation.py": "the trial program's",
    "core/doctor/runner.py": "the version in an installed package's package.json",
    "core/doctor/sandbox_try.py": "its own command line",
    "core/executors/local.py": "the worker template's",
    "core/gateway/metering.py": "the prices, of the package",
    "core/github/inward/hearing.py": "a row of the store",
    "core/github/inward/issue_text.py": "a row of the store; issues' words it reads as text",
    "core/github/inward/steering.py": "a row of the store",
    "core/github/outward/telling.py": "a row of the store",
    "core/isolation/attacks/program.py": "its own command line",
    "core/isolation/container/init.py": "the launcher's",
    "core/isolation/enter.py": "its own command line",
    "core/isolation/process.py": "bubblewrap's",
    "core/isolation/attacks/trial.py": "the attack program's, which nothing else can write to",
    "core/monitoring/builds.py": "the environments' notes, in Orchard's own folder",
    "core/orchestrator/commands/importing.py": "hands what it parsed to core/projects/foreignstate.py",
    "core/orchestrator/commands/resources.py": "a value that the command line typed",
    "core/orchestrator/control.py": "the body of a call that core/rpc.py read",
    "core/orchestrator/mirror.py": "only whether Orchard wrote it",
    "core/orchestrator/settings_record.py": "a row of the store",
    "core/projects/registration.py": "only whether Orchard wrote it",
    "core/scheduler/custom_child.py": "the control plane's",
    "core/scheduler/custom_process.py": "a strategy of the user's own, which runs with the user's rights",
    "core/security/head_file.py": "Orchard's own head of the audit log",
    "core/store/archive.py": "the file that it has just written",
    "core/store/columns.py": "a row of the store",
    "core/store/load.py": "a row of the store",
    "core/store/metric_facts.py": "a row of the store",
    "core/store/metric_history.py": "a row of the store",
    "core/store/pulls.py": "a row of the store",
    "core/worker/__main__.py": "its own command line",
    "core/worker/probe/orchard_cargo.py": "in the test process itself",
    "core/worker/probe/orchard_driver.py": "in the test process itself",
    "core/worker/probe/orchard_settings.py": "in the test process itself",
    "core/worker/runners/cargo.py": "the project's test command, as read_invocation takes it",
    "core/worker/runs.py": "kept verdicts, in Orchard's own folder",
    "core/worker/template.py": "the executor's",
}

_READS = re.compile(
    r"json\.loads?|yaml\.(?:safe_load|compose)|tomllib\.loads?|fromstring|ast\.literal_eval|shlex\.split|parse_stream"
    r"|.*\.(?:read_string|RawConfigParser|model_validate|validate_python|validate_json)"
)
_MAY_READ = re.compile(r"json|yaml|toml|fromstring|literal_eval|shlex|parse_stream|onfigParser|validate")


def table() -> list[tuple[str, list[str], list[str]]]:
    rows = [line.split("|")[1:-1] for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    names = [
        (what.strip(), re.findall(r"`([^`]+)`", by), re.findall(r"`([^`]+)`", tests))
        for what, by, tests in rows
    ]
    return [row for row in names if row[1] and row[2]]


def _dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Name):
        return node.id
    return f"{_dotted(node.value)}.{node.attr}" if isinstance(node, ast.Attribute) else ""


def reads(source: str) -> bool:
    if not _MAY_READ.search(source):
        return False
    calls = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call))
    return any(_READS.fullmatch(_dotted(call.func)) for call in calls)


def test_every_row_names_modules_and_tests_that_are_there() -> None:
    assert len(table()) > 30
    for what, modules, tests in table():
        assert [name for name in modules if not (ROOT / name).is_file()] == [], what
        for each in tests:
            file, _, name = each.partition("::")
            assert (PROPERTIES / file).is_file(), f"{what}: {each}"
            assert f"\ndef {name}(" in (PROPERTIES / file).read_text(), f"{what}: {each}"


def test_nothing_is_said_of_modules_that_are_gone() -> None:
    assert [name for name in OWN if not (ROOT / name).is_file()] == []


def test_every_module_that_parses_is_tried_or_reads_only_what_is_ours() -> None:
    known = {name for _, modules, _ in table() for name in modules} | set(OWN)
    paths = [path for folder in OURS for path in (ROOT / folder).rglob("*.py")]
    unknown = [
        name
        for path in paths
        if (name := path.relative_to(ROOT).as_posix()) not in known and reads(path.read_text())
    ]
    assert unknown == [], (
        "Add a row, and a property test, in docs/untrusted.md; or say in OWN why it needs none."
    )


@pytest.mark.parametrize(
    "source", ["import json\njson.loads(x)", "Model.model_validate(x)", "y = yaml.safe_load(x)"]
)
def test_a_parser_would_be_found(source: str) -> None:
    assert reads(source)
    assert not reads("json.dumps(x)")

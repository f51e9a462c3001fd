"""What stands in files that Orchard did not write, or that others may have written since: the kernel's, a
project's, people's."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from config.environment import read_variables
from config.findings import Findings
from config.loader import load, read_registrations
from config.problems import ConfigError
from config.project_section import read_own
from core.agents.installed import RECORD, installed_agent
from core.agents.rows import load_rows
from core.agents.templates import KNOWN, parse_template
from core.agents.transcript import read_prompt, read_transcript
from core.errors import InvalidInput, OrchardError
from core.isolation.cgroup import counters, members, read_homes
from core.isolation.kernel_log import KernelLog
from core.isolation.machine import _cause_of
from core.monitoring.machine import read_machine
from core.projects.foreignstate import BACKLOG, SPRINTS, read_state
from core.projects.shape import is_like_a_test, kinds
from core.worker.environment import editable_roots
from core.worker.environments import _asks_for_something, _programs_in, plan_recipe
from core.worker.gitobjects import Entry
from core.worker.left import Left
from core.worker.runners.invocation import read_invocation
from core.worker.runners.jscommand import (
    installed_tools,
    read_js_command,
    script_of_tests,
    tool_in,
    workspaces_of,
)
from core.worker.runners.jsconfig import js_package_digest, named_files
from core.worker.runners.nodecommand import package_digest, read_node_command
from core.worker.runners.surefire import _pom_digest, is_plain_maven
from core.worker.runners.unittests import read_unittest_command

ODD = st.text(st.one_of(st.characters(), st.sampled_from("\0\n\t:;'\"\\\u202e\ud800/.$-{}")), max_size=20)
PLAIN = st.text(st.characters(exclude_categories=["Cs"]), max_size=16)
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), ODD),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(ODD, inner, max_size=4)),
    max_leaves=10,
)
DEEP = st.sampled_from(["[" * 5_000, '{"a":' * 5_000, "9" * 5_000, ""])


# Reading settings takes its milliseconds.
FEWER = settings(max_examples=settings.default.max_examples // 4)


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("foreign")


def text_of(content: str) -> bytes:
    return content.encode(errors="surrogatepass")


# The kernel's

KERNEL = st.lists(
    st.one_of(
        st.sampled_from(
            [
                "36 35 0:30 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n",
                "30 23 0:26 /a\\040b /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n",
                "12:memory:/x\n",
                "0::/../y\n",
                "0::/\n",
                " - cgroup2 ",
                ":::\n",
                "6,1,2,-;oom-kill:constraint=X,task_memcg=/a,task=b,pid=1,uid=0\n",
                "6,1,2,-;Memory cgroup out of memory: Killed process 1 (a) total-vm:1kB, anon-rss:1kB, ",
                "file-rss:2kB, shmem-rss:0kB",
                "oom_kill 1\n",
                "max\n",
                "-1 x\n",
            ]
        ),
        ODD,
    ),
    max_size=8,
).map("".join)


@given(mounts=KERNEL, own=KERNEL)
def test_any_file_of_the_kernel_is_read(place: Path, mounts: str, own: str) -> None:
    assert all(home.version in (1, 2) for home in read_homes(mounts, own).values())
    for name, content in (("mountinfo", mounts), ("cgroup", own), ("events", own), ("cgroup.procs", "1 2\n")):
        (place / name).write_bytes(content.encode(errors="replace"))
    assert all(isinstance(value, int) for value in counters(place / "events").values())
    assert members(place) == [1, 2]
    assert read_machine(place, place).cores > 0
    log = KernelLog()
    try:
        for record in (mounts, own, f"6,1,2,-;{mounts}"):
            log.hear(record)
    finally:
        log.close()
    assert isinstance(_cause_of(own), str)


# A project's

STORY_KEYS = st.sampled_from(
    [
        "id",
        "title",
        "description",
        "status",
        "priority",
        "story_points",
        "acceptance_criteria",
        "depends_on",
        "epic",
    ]
)
STORIES = st.lists(st.one_of(st.dictionaries(STORY_KEYS, JSON, max_size=6), JSON), max_size=4)
STATES = st.one_of(
    JSON,
    STORIES,
    st.dictionaries(
        st.sampled_from(["stories", "backlog", "epics", "sprints", "items", "version"]), STORIES, max_size=4
    ),
)


@given(backlog=STATES, sprint=STATES, status=JSON)
def test_any_state_of_another_tool_is_taken_or_left(backlog, sprint, status) -> None:
    read = read_state({BACKLOG: backlog, f"{SPRINTS}/1.json": sprint, "status.json": status})
    assert all(isinstance(note, str) and note for note in read.notes)
    for story in read.stories:
        assert isinstance(story.title, str)
        assert story.title.strip()


PACKAGE = st.one_of(
    st.dictionaries(
        st.sampled_from(["scripts", "devDependencies", "dependencies", "workspaces", "jest", "type"]),
        st.one_of(
            JSON, st.dictionaries(st.sampled_from(["test", "jest", "vitest", "packages"]), JSON, max_size=3)
        ),
        max_size=5,
    ),
    JSON,
).map(json.dumps)


@given(package=st.one_of(PACKAGE, DEEP, ODD), text=ODD)
def test_any_manifest_of_another_language_is_read(package: str, text: str) -> None:
    content = text_of(package)
    assert isinstance(workspaces_of(content), tuple)
    assert isinstance(installed_tools(content), tuple)
    script = script_of_tests(content)
    assert script is None or isinstance(script, str)
    assert js_package_digest(content)
    assert package_digest(content)
    assert _pom_digest(text_of(f"<project>{text}</project>"))
    assert _pom_digest(content)
    assert isinstance(named_files(f"export default {{ setupFiles: ['{text}'] }} {package}", "."), frozenset)
    assert isinstance(_asks_for_something(content), bool)


@given(
    words=st.lists(
        st.one_of(
            st.sampled_from(
                [
                    "npx",
                    "jest",
                    "vitest",
                    "node",
                    "--test",
                    "mvn",
                    "test",
                    "pytest",
                    "python3",
                    "-m",
                    "unittest",
                    "&&",
                    "--config=",
                    "{junit}",
                    "A=b",
                ]
            ),
            ODD,
        ),
        max_size=6,
    )
)
def test_any_test_command_is_read_or_refused(words: list[str]) -> None:
    text = " ".join(words)
    tool_in(text)
    is_plain_maven(text)
    _programs_in(text)
    for read in (read_js_command, read_node_command, read_unittest_command, read_invocation):
        with contextlib.suppress(InvalidInput):
            read(text)


LOCKS = st.sampled_from(
    [
        "requirements.txt",
        "uv.lock",
        "poetry.lock",
        "package-lock.json",
        "pnpm-lock.yaml",
        "yarn.lock",
        "Cargo.lock",
        "go.sum",
    ]
)


@given(names=st.lists(st.one_of(LOCKS, ODD), max_size=5, unique=True), asked=st.lists(ODD, max_size=3))
def test_any_lock_files_make_a_recipe_or_none(names: list[str], asked: list[str]) -> None:
    entries = {name: Entry(path=name, mode="100644", oid="a" * 40) for name in names}
    recipe = plan_recipe(entries, [name for name in asked if name in entries])
    if recipe is not None:
        assert recipe.command
        assert all(name not in recipe.command for name in names if "'" in name or ";" in name)
    assert isinstance(kinds(names), tuple)
    assert all(isinstance(is_like_a_test(name), bool) for name in names)


@given(
    line=st.one_of(
        ODD,
        st.builds("MAPPING: dict[str, str] = {}".format, JSON.map(repr)),
        st.just("MAPPING = {" + "{" * 3_000),
    )
)
@example("/../..\0")
def test_any_editable_install_has_roots(place: Path, line: str) -> None:
    site = place / "venv/lib/python3.11/site-packages"
    site.mkdir(parents=True, exist_ok=True)
    for name in ("a.pth", "__editable___a_finder.py", "a.egg-link"):
        (site / name).write_bytes(text_of(line))
    assert all(not root.startswith("..") for root in editable_roots(place / "venv", place))


@given(text=ODD, version=st.one_of(ODD, st.integers().map(str), st.just("9" * 5_000)))
def test_any_prompt_of_a_projects_own_is_taken_or_refused(text: str, version: str) -> None:
    for name in KNOWN:
        for raw in (text, f"---\nversion: {version}\n---\n{text}\n$context $feedback ${text}"):
            with contextlib.suppress(InvalidInput):
                assert parse_template(name, raw, "").version > 0


# Orchard's own, that may be damaged


@given(content=st.one_of(JSON.map(json.dumps), ODD, DEEP))
def test_any_record_or_transcript_is_read_or_passed_over(place: Path, content: str) -> None:
    path = place / "record"
    path.write_bytes(text_of(content))
    assert Left.read(path) is None
    assert isinstance(read_transcript(path), str)
    with contextlib.suppress(OrchardError):
        read_prompt(path)
    (place / "agent").mkdir(exist_ok=True)
    (place / "agent" / RECORD).write_bytes(text_of(content))
    assert installed_agent(place, "agent") is None


# People's


@given(
    text=st.one_of(
        ODD,
        st.lists(
            st.sampled_from(["DISCORD_TOKEN=", "ORCHARD_X=1", "export ", "'", '"', "\n", "#", "${A}", "\\"]),
            max_size=8,
        ).map("".join),
    )
)
def test_any_env_file_is_read_or_its_problems_told(place: Path, text: str) -> None:
    path = place / ".env"
    path.write_bytes(text_of(text))
    found = read_variables(path, {"ORCHARD_ROOT": text})
    assert all(problem.sentence and problem.mark.file for problem in found.problems)


SETTINGS = st.dictionaries(
    st.sampled_from(["global", "projects", "custom_agents", "x"]),
    st.one_of(
        JSON,
        st.dictionaries(
            st.sampled_from(
                [
                    "path",
                    "isolation",
                    "network_allow",
                    "priority_weight",
                    "test_command",
                    "global_state_path",
                    "security",
                    "shop",
                ]
            ),
            st.one_of(
                JSON,
                st.dictionaries(st.sampled_from(["path", "isolation", "network_allow"]), JSON, max_size=3),
            ),
            max_size=4,
        ),
    ),
    max_size=4,
)


def as_yaml(value: object) -> bytes:
    return yaml.safe_dump(value, allow_unicode=True).encode(errors="replace")


@FEWER
@given(said=SETTINGS, own=SETTINGS, registered=st.one_of(SETTINGS, ODD))
def test_any_settings_are_read_or_every_problem_is_told(place: Path, said, own, registered) -> None:
    root = place / "root"
    (root / "projects.d").mkdir(parents=True, exist_ok=True)
    (root / ".orch-state").mkdir(exist_ok=True)
    (root / "orch-config.yaml").write_bytes(as_yaml(said))
    (root / ".orch-state/config.yaml").write_bytes(as_yaml(own))
    (root / "projects.d/shop.yaml").write_bytes(
        text_of(registered) if isinstance(registered, str) else as_yaml(registered)
    )
    findings = Findings()
    read_own(findings, root)
    assert set(read_registrations(findings, root)) == {"shop"}
    try:
        load(root, environ={})
    except ConfigError as error:
        assert error.problems  # noqa: PT017
        assert all(problem.sentence for problem in error.problems)  # noqa: PT017


@given(
    row=st.dictionaries(
        st.sampled_from(["argv", "environment", "files", "mode", "install", "quirks", "npm"]),
        JSON,
        max_size=5,
    ),
    name=PLAIN,
)
def test_any_row_of_an_agent_is_taken_or_refused(row: dict[str, object], name: str) -> None:
    with contextlib.suppress(InvalidInput):
        load_rows({name: row})

"""Whatever other programs write, the readers answer with a value or with an error of ours."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.document import parse_document
from core.agents import tools
from core.agents.digest import ReadTurn, digest
from core.agents.policy import decide
from core.agents.reading import readable, since_last_prompt
from core.agents.roles import Rights, Role
from core.domain.evidence import Outcome
from core.errors import InvalidInput, OrchardError
from core.isolation.plan import Level
from core.worker.gates.project import dependencies_of, top_modules
from core.worker.gitcommand import require_version, silence_programs
from core.worker.gitobjects import parse_changes
from core.worker.report import parse_junit
from core.worker.runners.pytestconfig import config_digest, read_settings
from core.worker.runners.rusttests import inner_tests, manifest_digest, source_digests

ODD = st.text(
    st.one_of(st.characters(), st.sampled_from("\0\n\t\r\x1b\u202e\ud800/.\\-\"'")),
    max_size=30,
)
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), ODD),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(ODD, inner, max_size=4)),
    max_leaves=12,
)

# JUnit

XML_PIECES = st.lists(
    st.one_of(
        st.sampled_from(
            [
                "<testsuites>",
                "</testsuites>",
                "<testsuite>",
                "</testsuite>",
                "<testcase name='a' classname='b'>",
                "<testcase name='a' time='nan'/>",
                "<testcase name='a' time='1e400' file='../x'/>",
                "</testcase>",
                "<failure message='x'>",
                "</failure>",
                "<error/>",
                "<skipped type='pytest.xfail'/>",
                "<![CDATA[",
                "]]>",
                "<!--",
                "-->",
                "&amp;",
                "&#0;",
                "&#x1F4A9;",
                "&lol;",
                "<?xml version='1.0' encoding='utf-16'?>",
                "<?xml version='1.0' encoding='utf-7'?>",
            ]
        ),
        ODD,
    ),
    max_size=14,
).map("".join)


@given(XML_PIECES)
def test_a_test_report_is_read_or_refused(text):
    for content in (text, f"<testsuite>{text}</testsuite>"):
        with contextlib.suppress(InvalidInput):
            for case in parse_junit(content.encode(errors="surrogatepass")):
                assert case.id
                assert case.outcome in Outcome
                assert case.seconds is None or 0 <= case.seconds < float("inf")


def bomb(levels: int) -> str:
    entities = "".join(
        f"<!ENTITY l{level} '{f'&l{level - 1};' * 10}'>" if level else "<!ENTITY l0 'lol'>"
        for level in range(levels)
    )
    return f"<!DOCTYPE x [{entities}]><testsuite><testcase name='&l{levels - 1};'/></testsuite>"


@pytest.mark.parametrize(
    "text",
    [
        bomb(10),
        f"<!DOCTYPE x [<!ENTITY a '{'a' * 50_000}'>]><testsuite><testcase name='{'&a;' * 999}'/></testsuite>",
        "<!DOCTYPE x [<!ENTITY a SYSTEM 'file:///etc/passwd'>]><testsuite><testcase name='&a;'/></testsuite>",
        "<!DOCTYPE x SYSTEM 'http://127.0.0.1:9/x.dtd'><testsuite/>",
        "<!DOCTYPE x [<!ENTITY % a SYSTEM 'file:///etc/passwd'> %a;]><testsuite/>",
        "<?xml version='1.0' encoding='nonsense'?><testsuite/>",
    ],
)
def test_entities_and_outside_files_are_refused(text):
    with pytest.raises(InvalidInput):
        parse_junit(text.encode())


def test_a_deeply_nested_report_is_read_or_refused():
    for depth in (1_000, 100_000):
        with contextlib.suppress(InvalidInput):
            parse_junit(("<testsuite>" * depth + "<testcase name='a'/>" + "</testsuite>" * depth).encode())
        inner = "<a>" * depth + "</a>" * depth
        with contextlib.suppress(InvalidInput):
            parse_junit(
                f"<testsuite><testcase name='a'><failure>{inner}</failure></testcase></testsuite>".encode()
            )


# What agents say


@given(st.lists(st.one_of(JSON.map(json.dumps), ODD, st.just("[" * 5000)), max_size=8))
def test_any_transcript_can_be_read(lines):
    text = "\n".join(lines)

    readable(text).encode("utf-8", "surrogatepass")
    assert isinstance(since_last_prompt(text), str)
    assert len(digest([ReadTurn(heading="t", jsonl=text)], 500)) <= 500


KEYS = st.sampled_from(
    [
        "title",
        "kind",
        "status",
        "locations",
        "content",
        "rawInput",
        "toolCallId",
        "path",
        "command",
        "type",
        "cwd",
        "changes",
    ]
)
UPDATES = st.recursive(
    st.one_of(st.none(), st.integers(), ODD, st.sampled_from(["execute", "edit", "diff", "read"])),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=5)),
    max_leaves=12,
)
RIGHTS = Rights(role=Role.CODE, story_id="demo-1", is_test=lambda path: path.startswith("tests/"))


@given(st.lists(st.dictionaries(KEYS, UPDATES, max_size=6), min_size=1, max_size=4))
def test_any_tool_call_can_be_judged(updates):
    tool = None
    for update in updates:
        tool = tools.merge(tool, update)

    assert decide(tools.request_of(tool, str, worktree="/w"), RIGHTS, Level.FILESYSTEM)


# Git

NAMES = st.binary(min_size=1, max_size=20).filter(lambda name: b"\0" not in name)
ENTRIES = st.lists(
    st.tuples(NAMES, st.sampled_from([b"A", b"M", b"D", b"T"]), st.sampled_from([b"3\t1", b"-\t-"])),
    max_size=6,
)


@given(ENTRIES)
def test_changes_of_any_name_are_read_as_they_are(entries):
    entries = list({name: (name, status, counts) for name, status, counts in entries}.values())
    raw = b"".join(b":100644 100644 aa bb %s\0%s\0" % (status, name) for name, status, _ in entries)
    raw += b"".join(b"%s\t%s\0" % (counts, name) for name, _, counts in entries)

    found = parse_changes(raw)

    assert [change.path.encode(errors="surrogateescape") for change in found] == [
        name for name, _, _ in entries
    ]
    assert [change.status.encode() for change in found] == [status for _, status, _ in entries]


@given(st.binary(max_size=200))
def test_any_git_configuration_is_silenced(content):
    for key, value in silence_programs(content, lfs=False):
        assert key
        assert isinstance(value, str)


@given(ODD)
def test_any_git_version_is_read_or_refused(text):
    with contextlib.suppress(OrchardError):
        require_version(f"git version 2.{text}")


# Settings and manifests

YAML_PIECES = st.lists(
    st.one_of(
        st.sampled_from(
            [
                "a:",
                " b",
                "\n",
                "  ",
                "- ",
                "&x ",
                "*x",
                "<<: *x",
                "!!python/object:os.system ",
                "!!binary ",
                "{",
                "}",
                "[",
                "]",
                "'",
                '"',
                "|",
                ">",
                "---\n",
                "...\n",
                "? ",
                ": ",
                "0x1f",
                "1e999",
                "2020-01-01",
                "%YAML 9.9\n",
                "#",
                "\t",
            ]
        ),
        ODD,
    ),
    max_size=16,
).map("".join)


@given(YAML_PIECES)
def test_settings_are_read_or_refused_with_their_place(text):
    document = parse_document(text.encode(errors="surrogatepass"), "x.yaml")

    for problem in document.problems:
        assert problem.sentence
        assert problem.mark.file == "x.yaml"


def many_lists(levels: int) -> str:
    lines = ["a: &a0 [x]"]
    for level in range(1, levels):
        lines.append(f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]")
    return "\n".join(lines)


@pytest.mark.parametrize(
    "text",
    [
        many_lists(12),
        "a: &a {b: *a}",
        "[" * 3_000,
        "a: " * 5_000,
        "!!python/object/apply:os.system ['true']",
    ],
)
def test_settings_cannot_blow_up(text):
    assert parse_document(text.encode(), "x.yaml").problems


MANIFESTS = (
    "pyproject.toml",
    "setup.cfg",
    "setup.py",
    "requirements.txt",
    "package.json",
    "Cargo.toml",
    "pytest.ini",
    "tox.ini",
)
TOML_PIECES = st.lists(
    st.one_of(
        st.sampled_from(
            [
                "[project]\n",
                "dependencies",
                " = ",
                "[",
                "]",
                '"a>=1"',
                "\n",
                "[tool.pytest.ini_options]\n",
                "[[x]]\n",
                "[options]\n",
                "install_requires",
                "=1",
                "{",
                "}",
                '"',
                "'''",
                "1_0",
                "%(x)s",
                "testpaths",
                "python_files",
                ";",
                "#",
                "mod tests {",
                "#[cfg(test)]",
            ]
        ),
        ODD,
    ),
    max_size=14,
).map("".join)


@given(TOML_PIECES)
def test_any_manifest_is_read(text):
    content = text.encode(errors="surrogatepass")

    assert all(isinstance(name, str) for name in dependencies_of(dict.fromkeys(MANIFESTS, content)))
    read_settings(dict.fromkeys(MANIFESTS, content))
    for name in MANIFESTS:
        config_digest(name, content)
    assert manifest_digest(content)
    assert isinstance(source_digests("src/lib.rs", content), dict)
    assert isinstance(inner_tests(text), str)


@given(st.lists(ODD, max_size=6))
def test_any_names_of_files_have_modules(names):
    assert all(isinstance(name, str) for name in top_modules(names, ["src", ""]))


@pytest.mark.parametrize("piece", ["[", "a=[", '{"a":', "'", "x={a=", "[[a.b]]\n", "/*", 'r#"', "mod a {"])
def test_long_manifests_of_one_kind_are_read(piece):
    content = (piece * 5_000).encode()

    dependencies_of(dict.fromkeys(MANIFESTS, content))
    read_settings(dict.fromkeys(MANIFESTS, content))
    assert manifest_digest(content)
    assert isinstance(inner_tests(content.decode()), str)

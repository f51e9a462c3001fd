from __future__ import annotations

import json

import pytest

from core.worker.runners.nodecommand import (
    is_node_test,
    package_digest,
    read_node_command,
    why_not,
)


@pytest.mark.parametrize(
    ("text", "options", "named"),
    [
        ("node --test", (), ()),
        ("node --test --test-only --test-reporter spec --test-concurrency=4 test", (), ("test",)),
        ("node --import ./setup.mjs --test 'test/**/*.js'", ("--import=./setup.mjs",), ("test/**/*.js",)),
        ("node --enable-source-maps --test -r ./env.cjs", ("--enable-source-maps", "-r ./env.cjs"), ()),
    ],
)
def test_a_plain_call_is_read(text, options, named):
    found = read_node_command(text)
    assert found is not None
    assert (found.options, found.named) == (options, named)


@pytest.mark.parametrize(
    "text",
    [
        "node --test || true", "tsc && node --test", "node test.js", "npm test", "node --test 'open",
        "node --test --test-name-pattern=x", "node --test --test-shard=1/2", "node --test --watch",
        "node --test --test-reporter=junit --test-reporter-destination={junit}", "jest",
    ],
)  # fmt: skip
def test_what_does_more_or_selects_tests_is_not_taken_over(text):
    assert read_node_command(text) is None


def test_a_hidden_exit_code_is_named():
    assert "hides the exit code" in why_not("node --test || true")
    assert "more than a plain" in why_not("tsc && node --test")
    assert "without being told" in why_not("mocha")


@pytest.mark.parametrize(
    "path", ["test/a.js", "a/test/b/c.cjs", "src/price.test.js", "test-price.mjs", "x_test.js", "test.cjs"]
)
def test_files_that_node_finds_by_itself(path):
    assert is_node_test(path)


@pytest.mark.parametrize(
    "path", ["src/price.js", "node_modules/a/test/b.js", "test/data.json", "contest.js", "a.test.ts"]
)
def test_files_that_node_leaves_alone(path):
    assert not is_node_test(path)


def test_named_files_folders_and_globs():
    assert is_node_test("spec/a/b.js", ["spec"])
    assert is_node_test("spec/a.js", ["spec/**/*.js"])
    assert is_node_test("check.mjs", ["check.mjs"])
    assert not is_node_test("test/a.js", ["spec"])


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"scripts": 1}', b'{"scripts": {"test": 3}}', b"\xff"])
def test_a_package_that_says_nothing_has_a_digest_all_the_same(content):
    assert package_digest(content)


def test_only_what_decides_how_tests_run_counts_of_a_package():
    def package(**changes):
        told = {"scripts": {"test": "node --test", "build": "tsc"}, "type": "module", **changes}
        return package_digest(json.dumps(told).encode())

    assert package() == package(dependencies={"a": "1"}, version="2.0.0")
    assert package() != package(scripts={"test": "node --test a.js", "build": "tsc"})
    assert package() != package(scripts={"test": "node --test", "pretest": "rm -r test"})
    assert package() != package(type="commonjs")

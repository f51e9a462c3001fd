from __future__ import annotations

import pytest

from core.worker.runners.cargo import CargoRunner
from core.worker.runners.rusttests import inner_tests, manifest_digest, source_digests

CODE = """
//! Prices. #[cfg(test)] in words is none.
pub fn quote<'a>(name: &'a str) -> String { format!("{{ #[test] '{name}' \\" }}", name = name) }
const BRACE: char = '{';
const RAW: &str = r#"a " #[test] fn x() {}"#;
/* #[test] fn commented() {} */
#[derive(Debug)]
pub struct Cart;
"""
TESTS = """
#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn quotes() { assert_eq!(quote("{"), "}"); }
}
"""


def test_code_without_tests_has_none_whatever_its_words_say():
    assert inner_tests(CODE) == ""
    assert source_digests("src/lib.rs", CODE.encode()) == {}


def test_the_tests_inside_are_what_stands_below_the_attribute():
    found = inner_tests(CODE + TESTS + "pub fn after() {}\n")
    assert found.startswith("#[cfg(test)] mod tests {")
    assert found.endswith("}")
    assert "after" not in found
    assert "derive" not in found


@pytest.mark.parametrize(
    "changed",
    [
        TESTS.replace('"}"', '"{"'),
        TESTS.replace("#[test]", "#[test] #[ignore]"),
        TESTS.replace("mod tests", "#[cfg(any())] mod tests"),
        TESTS + "#[cfg(test)] mod more;\n",
        TESTS.replace("cfg(test)", "cfg(all(test, unix))"),
        "macro_rules! assert_eq { ($($x:tt)*) => {} }\n" + TESTS,
        "#![cfg_attr(test, allow(dead_code))]\n" + TESTS,
        "",
    ],
)
def test_a_change_of_the_tests_inside_is_seen(changed):
    before, after = (source_digests("a.rs", (CODE + tests).encode()) for tests in (TESTS, changed))
    assert before != after
    assert list(before) == ["the tests inside a.rs"]


@pytest.mark.parametrize(
    "more", ["pub fn new() {}\n", "#[cfg(unix)] mod sys;\n", "macro_rules! price { () => {} }\n"]
)
def test_a_change_of_the_code_is_not(more):
    assert source_digests("a.rs", (more + CODE + TESTS).encode()) == source_digests(
        "a.rs", (CODE + TESTS.replace("\n    ", "\n")).encode()
    )


@pytest.mark.parametrize(
    "text", ["#[cfg(test)]", "#[test", "#[cfg(test)] mod x {", "'", '"', 'r#"', "/*", "#[test]\n((("]
)
def test_text_that_is_no_rust_raises_nothing(text):
    assert isinstance(inner_tests(text), str)


MANIFEST = '[package]\nname = "shop"\nversion = "1.0.0"\n[dependencies]\nserde = "1"\n'


@pytest.mark.parametrize(
    ("more", "same"),
    [
        ('rand = "1"\n', True),
        ('[dev-dependencies]\ninsta = "1"\n', True),
        ('[[test]]\nname = "x"\nharness = false\n', False),
        ("[profile.test]\nopt-level = 1\n", False),
        ("[features]\nslow = []\n", False),
        ("[lib]\ndoctest = false\n", False),
        ("= broken", False),
    ],
)
def test_of_a_manifest_only_what_decides_the_tests_is_compared(more, same):
    assert (manifest_digest(MANIFEST.encode()) == manifest_digest((MANIFEST + more).encode())) is same


@pytest.mark.parametrize(
    ("path", "is_test", "is_config"),
    [
        ("src/lib.rs", False, True),
        ("src/price/tests.rs", True, False),
        ("src/price_test.rs", True, False),
        ("tests/price.rs", True, False),
        ("src/snapshots/shop__price.snap", True, False),
        ("build.rs", False, True),
        (".cargo/config.toml", False, True),
        (".config/nextest.toml", False, True),
        ("README.md", False, False),
    ],
)
def test_which_files_are_tests_and_configuration(path, is_test, is_config):
    runner = CargoRunner(reason="")
    assert (runner.is_test_path(path), runner.is_runner_config(path)) == (is_test, is_config)

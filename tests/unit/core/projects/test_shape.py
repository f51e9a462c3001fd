from __future__ import annotations

import pytest

from core.projects.shape import is_like_a_test, kinds


@pytest.mark.parametrize(
    "path",
    [
        "test_a.py", "src/a_test.py", "web/a.test.ts", "a.spec.mjs", "x/__tests__/a.js", "pkg/a_test.go",
        "tests/api.rs", "src/test/java/A.java", "lib/ATest.java", "spec/a_spec.rb",
    ],
)  # fmt: skip
def test_a_test_is_known_by_its_name(path):
    assert is_like_a_test(path)


@pytest.mark.parametrize(
    "path", ["contest.py", "latest.ts", "tests/data.json", "src/testing/a.go", "attest_a.rs"]
)
def test_other_files_are_not(path):
    assert not is_like_a_test(path)


def test_kinds_come_in_the_table_s_order():
    assert kinds(["go.mod", "x", "pyproject.toml"]) == ("pyproject.toml", "go.mod")

from __future__ import annotations

import pytest

from core.worker.runners.testpaths import is_test_path


@pytest.mark.parametrize(
    "path",
    [
        "tests/test_a.py",
        "tests/data/golden.json",
        "pkg/tests/helper.py",
        "test/x.c",
        "test_a.py",
        "src/pkg/test_inside.py",
        "a_test.py",
        "conftest.py",
        "docs/conftest.py",
        "web/cart.test.ts",
        "web/__tests__/cart.ts",
        "cart_test.go",
        "src/test/java/CartTest.java",
    ],
)
def test_tests_and_their_support(path):
    assert is_test_path(path)


@pytest.mark.parametrize(
    "path",
    ["", "shop/price.py", "testing/tools.py", "contest.py", "latest/x.py", "tests.py", "tests", "spec/x.py"],
)
def test_code(path):
    assert not is_test_path(path)


@pytest.mark.parametrize(
    ("glob", "path", "matches"),
    [
        ("checks/**", "checks/deep/a.py", True),
        ("checks", "checks/deep/a.py", True),
        ("checks", "checks_more/a.py", False),
        ("checks/", "checks/a.py", True),
        ("./checks/*.py", "checks/a.py", True),
        ("**/verify_*.py", "verify_a.py", True),
        ("**/verify_*.py", "deep/er/verify_a.py", True),
        ("", "a.py", False),
    ],
)
def test_globs_of_the_project(glob, path, matches):
    assert is_test_path(path, extra=(glob,)) == matches


def test_configured_names():
    assert is_test_path("src/check_price.py", patterns=("check_*.py",))

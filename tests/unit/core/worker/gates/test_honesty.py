from __future__ import annotations

import dataclasses

import pytest

from core.domain.evidence import Failure
from core.worker.gates.honesty import Project, same_way, why_broken
from core.worker.runners.testpaths import is_test_path

PROJECT = Project(
    is_test_path=is_test_path,
    modules=frozenset({"shop", "src_pkg"}),
    test_modules=frozenset({"tests"}),
    dependencies=frozenset({"requests", "ruamel-yaml"}),
    name="web-shop",
    story="Add `money` handling; the module ledger keeps totals. Clients send requests.",
)


def _why(
    made,
    failure: Failure,
    *,
    file: str = "tests/test_a.py",
    project: Project = PROJECT,
    outcome="failed",
    **more,
):
    return why_broken(made.result("a::x", outcome, failure=failure, file=file, **more), project)


@pytest.mark.parametrize(
    "failure",
    [
        Failure(exception="AssertionError", files=("tests/test_a.py",)),
        Failure(exception="Failed", message="DID NOT RAISE"),
        Failure(exception="KeyError", files=("tests/test_a.py", "shop/cart.py")),
        Failure(exception="TypeError", files=("tests/test_a.py",), owner_file="shop/cart.py"),
        Failure(exception="TypeError", files=("tests/test_a.py",), message="unsupported operand: None"),
        Failure(exception="AttributeError", missing="total", owner="builtins"),
        Failure(exception="AttributeError", missing="x", owner="shop", owner_file="shop/__init__.py"),
        Failure(exception="NameError", missing="x", files=("tests/test_a.py", "shop/cart.py")),
        Failure(exception="NameError", missing="x", owner="shop", owner_file="shop/__init__.py"),
        Failure(exception="SyntaxError", files=("tests/test_a.py", "shop/parser.py")),
        Failure(exception="ModuleNotFoundError", when="collect", missing="shop.stock"),
        Failure(exception="ModuleNotFoundError", when="collect", missing="money"),
        Failure(exception="ModuleNotFoundError", when="collect", missing="ledger"),
        Failure(exception="ModuleNotFoundError", when="collect", missing="web_shop.cart"),
        Failure(exception="ModuleNotFoundError", when="collect", missing="a.b"),
        Failure(
            exception="ImportError", when="collect", missing="x", owner="shop", owner_file="shop/__init__.py"
        ),
        Failure(exception="ImportError", when="collect", missing="x", owner="shop"),
        Failure(
            exception="AttributeError", when="collect", missing="X", owner="shop", owner_file="shop/a.py"
        ),
        Failure(exception="ValueError", when="setup", files=("tests/conftest.py", "shop/cart.py")),
        Failure(exception="TypeError", when="setup", files=("tests/conftest.py",), owner_file="shop/cart.py"),
        Failure(exception="KeyError", files=("tests/test_a.py", "shop/cart.py"), functions=("setUp", "add")),
    ],
)
def test_honest(made, failure):
    assert _why(made, failure) == ""


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        (Failure(exception="SyntaxError", when="collect", syntax_file="tests/test_a.py"), "syntax error"),
        (Failure(exception="IndentationError", syntax_file="tests/helper.py"), "syntax error"),
        (
            Failure(exception="_pytest.fixtures.FixtureLookupError", when="setup", missing="cart"),
            "fixture 'cart'",
        ),
        (Failure(exception="NameError", missing="asert", files=("tests/test_a.py",)), "asert"),
        (Failure(exception="ModuleNotFoundError", when="collect", missing="requests.auth"), "declares"),
        (Failure(exception="ModuleNotFoundError", when="collect", missing="freezegun"), "neither a module"),
        (Failure(exception="ModuleNotFoundError", when="call", missing="freezegun"), "neither a module"),
        (Failure(exception="ModuleNotFoundError", when="collect", missing="tests.helper"), "do not have"),
        (Failure(exception="ModuleNotFoundError", when="collect", missing="tomllib.x"), "version of Python"),
        (
            Failure(exception="ImportError", missing="x", owner="math", owner_foreign=True),
            "installed package",
        ),
        (
            Failure(exception="ImportError", missing="x", owner="tests.h", owner_file="tests/h.py"),
            "tests/h.py",
        ),
        (
            Failure(exception="ImportError", when="collect", message="attempted relative import"),
            "relative import",
        ),
        (Failure(exception="AttributeError", missing="x", owner="math", owner_foreign=True), "math.x"),
        (Failure(exception="AttributeError", missing="x", owner_file="tests/test_a.py"), "tests/test_a.py"),
        (Failure(exception="ValueError", when="setup", files=("tests/test_a.py",), message="no"), "set-up"),
        (Failure(exception="AssertionError", when="setup", files=("tests/test_a.py",)), "set-up"),
        (Failure(exception="ValueError", files=("tests/test_a.py",), functions=("setUp",)), "set-up"),
        (Failure(exception="OSError", when="teardown", files=("tests/test_a.py",)), "tear-down"),
        (Failure(exception="ZeroDivisionError", when="collect", files=("tests/test_a.py",)), "imported"),
    ],
)
def test_broken(made, failure, words):
    assert words in _why(made, failure)


def test_a_strict_expectation_that_passes_is_broken(made):
    assert "expected to fail" in _why(made, Failure(exception=""), detail="[XPASS(strict)] later")


def test_a_module_that_the_test_file_is_named_after_is_to_come(made):
    failure = Failure(exception="ModuleNotFoundError", when="collect", missing="basket")
    assert _why(made, failure)
    assert _why(made, failure, file="tests/test_basket.py") == ""
    assert _why(made, failure, project=dataclasses.replace(PROJECT, modules=frozenset())) == ""


def test_a_word_of_the_story_is_no_module_by_itself(made):
    failure = Failure(exception="ModuleNotFoundError", when="collect", missing="totals")
    assert _why(made, failure)


def test_without_reasons_an_error_is_broken_and_a_failure_is_not(made):
    assert why_broken(made.result("a::x", "error", failure=None), PROJECT)
    assert why_broken(made.result("a::x", "failed", failure=None), PROJECT) == ""


def test_same_way(made):
    one = made.result("a::x", "failed")
    assert same_way(one, dataclasses.replace(one, message="0x7f", detail="/tmp/other"))
    assert not same_way(one, made.result("a::x", "error"))
    assert not same_way(one, made.result("a::x", "failed", failure=Failure(exception="KeyError")))

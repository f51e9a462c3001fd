from __future__ import annotations

import pytest

from core.errors import InvalidInput
from core.worker.runners.invocation import read_invocation


@pytest.mark.parametrize(
    ("text", "direct", "as_module", "arguments"),
    [
        ("pytest", True, False, ()),
        ("pytest -q tests", True, False, ("-q", "tests")),
        (".venv/bin/pytest -k 'a or b'", True, False, ("-k", "a or b")),
        ("py.test", True, False, ()),
        ("python -m pytest tests", True, True, ("tests",)),
        ("python3.12 -m pytest", True, True, ()),
        ("{python} -m pytest -x", True, True, ("-x",)),
        ("A=1 B='2 3' pytest", True, False, ()),
        ("env A=1 pytest", True, False, ()),
        ("uv run pytest -q", False, False, ("-q",)),
        ("poetry run pytest", False, False, ()),
        ("coverage run -m pytest tests", False, True, ("tests",)),
        ("{python} -X dev -m pytest", False, True, ()),
        ("{python} -m coverage run -m pytest", False, True, ()),
    ],
)
def test_calls_of_pytest(text, direct, as_module, arguments):
    found = read_invocation(text)
    assert found.pytest
    assert (found.direct, found.as_module, found.arguments) == (direct, as_module, arguments)


@pytest.mark.parametrize(
    "text",
    [
        "make test",
        "make pytest",
        "npm test",
        "pip install pytest",
        "tox",
        "go test ./...",
        "./run pytest-like",
    ],
)
def test_other_commands(text):
    found = read_invocation(text)
    assert not found.pytest
    assert not found.shell


@pytest.mark.parametrize(
    ("text", "is_pytest"),
    [
        ("cd sub && pytest -q", True),
        ("pytest; true", True),
        ("python -m pytest > out.txt", True),
        ("echo $HOME", False),
        ("cat pytest.ini | wc", False),
    ],
)
def test_shell_commands(text, is_pytest):
    found = read_invocation(text)
    assert found.shell
    assert found.words == ("sh", "-c", text)
    assert found.pytest == is_pytest


def test_variables_are_taken_off():
    found = read_invocation("A=1 B='2 3' make test")
    assert found.variables == (("A", "1"), ("B", "2 3"))
    assert found.words == ("make", "test")


@pytest.mark.parametrize("text", ["", "  ", "A=1", "pytest 'open", "a\0b"])
def test_what_is_no_command_is_refused(text):
    with pytest.raises(InvalidInput) as caught:
        read_invocation(text)
    assert caught.value.hint

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.github.webhooks.signature import is_signed, signature

SECRET, BODY = "It's a Secret to Everybody", b"Hello, World!"
# The example in GitHub's "Validating webhook deliveries".
RIGHT = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"


def test_the_example_of_githubs_documentation_is_signed():
    assert signature(SECRET, BODY) == RIGHT
    assert is_signed(RIGHT, BODY, (SECRET,))


def test_any_of_several_secrets_will_do():
    assert is_signed(RIGHT, BODY, ("another one", SECRET))
    assert is_signed(RIGHT, BODY, (SECRET, "another one"))
    assert not is_signed(RIGHT, BODY, ("another one",))


@pytest.mark.parametrize(
    "said",
    [
        "",
        "sha256=",
        RIGHT.removeprefix("sha256="),
        RIGHT.upper(),
        RIGHT.replace("sha256", "sha1"),
        RIGHT[:-1],
        RIGHT + "0",
        RIGHT + ", " + RIGHT,
        "sha256=" + "é" * 64,
        "sha256=\udc80",
    ],
)
def test_nothing_else_is_a_signature(said):
    assert not is_signed(said, BODY, (SECRET,))


def test_no_secret_and_an_empty_one_sign_nothing():
    assert not is_signed(RIGHT, BODY, ())
    assert not is_signed(signature("", BODY), BODY, ("",))


@given(secret=st.text(min_size=1, max_size=40).filter(lambda text: text.isprintable()), body=st.binary())
def test_a_body_that_was_changed_is_not_signed(secret, body):
    said = signature(secret, body)
    assert is_signed(said, body, (secret,))
    assert not is_signed(said, body + b"\0", (secret,))
    assert not is_signed(said, body, (secret + "x",))

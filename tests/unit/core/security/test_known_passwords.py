from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.security.known_passwords import is_known


@pytest.mark.parametrize(
    "password",
    [
        *("password1234", "Passw0rd!2024", "P@ssw0rd12345", "passwordpassword", "Welcome2Orchard!"),
        *("123456789012", "qwertyuiop12", "1qaz2wsx3edc", "asdfghjkl;12", "abcdefghijkl", "lkjhgfdsa123"),
        *("iloveyou12345", "letmeinplease", "administrator1", "changeme12345", "admin@orchard"),
        *("correct horse battery staple", "hello hello hello", "kq7-kq7-kq7-", "my new password 1"),
    ],
)
def test_what_is_guessed_first_is_known(password: str) -> None:
    assert is_known(password)


@pytest.mark.parametrize(
    "password",
    [
        *("secure_password", "pear under tall ladder", "x7!kQ9$mZ2pL", "93f8a1c27be0", "839201746523"),
        *("кот на крыше спит", "密碼很長而且沒有人會猜到", "tall ladder 2026", "wandering ocean lamp tulip"),
    ],
)
def test_what_takes_some_guessing_is_not(password: str) -> None:
    assert not is_known(password)


@given(st.text(max_size=300))
def test_any_text_gets_an_answer_and_said_twice_it_is_known(text: str) -> None:
    assert is_known(text) in (True, False)
    assert is_known(text + text)

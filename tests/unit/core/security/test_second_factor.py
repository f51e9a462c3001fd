from __future__ import annotations

import base64
from datetime import UTC, datetime

import pyotp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.security.sealing import Unsealable
from core.security.second_factor import KeySeal, matching_step
from core.security.secret_text import hash_code, hash_token, new_code, new_token

RFC_SECRET = base64.b32encode(b"12345678901234567890").decode()


def at(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


# RFC 6238, appendix B (SHA-1), its last six digits.
@pytest.mark.parametrize(
    ("seconds", "code"),
    [
        (59, "287082"),
        (1111111109, "081804"),
        (1111111111, "050471"),
        (1234567890, "005924"),
        (2000000000, "279037"),
    ],
)
def test_the_codes_of_the_standard(seconds: int, code: str) -> None:
    totp = pyotp.TOTP(RFC_SECRET)
    assert matching_step(totp, code, at(seconds)) == seconds // 30
    assert matching_step(totp, code, at(seconds + 30)) == seconds // 30
    assert matching_step(totp, code, at(seconds + 90)) is None
    assert matching_step(totp, "000000", at(seconds)) is None


@given(st.text(), st.text(min_size=1, max_size=40), st.text(min_size=1, max_size=40))
def test_what_is_sealed_opens_for_whom_it_was_sealed(text: str, one: str, other: str) -> None:
    seal = KeySeal(b"k" * 32)
    valid = text.encode("utf-8", "ignore").decode()
    sealed = seal.seal(valid, one)
    assert seal.unseal(sealed, one) == valid
    for wrong in (
        lambda: KeySeal(b"x" * 32).unseal(sealed, one),
        lambda: seal.unseal(sealed, one + other),
        lambda: seal.unseal(sealed[:-1], one),
        lambda: seal.unseal(b"", one),
    ):
        with pytest.raises(Unsealable):
            wrong()


def test_codes_are_the_same_however_they_are_typed() -> None:
    assert hash_code("7KQ2-0ZDM-X1TB") == hash_code(" 7kq2 ozdm xltb ")
    assert hash_code("7KQ2-0ZDM-X1TB") != hash_code("7KQ2-0ZDM-X1TC")
    assert hash_code("7KQ2-0ZDM-X1TB", "ann") != hash_code("7KQ2-0ZDM-X1TB", "bob")


@given(st.text())
def test_any_text_may_be_tried_as_a_token_or_a_code(text: str) -> None:
    assert len(hash_token(text)) == len(hash_code(text)) == 64


def test_tokens_and_codes_do_not_come_twice() -> None:
    assert len({new_token("orcs_") for _ in range(1000)} | {new_code() for _ in range(1000)}) == 2000

from __future__ import annotations

import asyncio
import threading

import pytest
from argon2 import extract_parameters
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidInput
from core.security.passwords import RECOMMENDED, Checked, Cost, Crowded, Passwords, check_new

CHEAP = Cost(memory_kib=8, passes=1, lanes=1)
GOOD = "pear under tall ladder"


async def test_a_password_is_right_alone_and_kept_with_a_salt() -> None:
    passwords = Passwords(CHEAP)
    one, other = await passwords.hash(GOOD), await passwords.hash(GOOD)
    assert one.startswith("$argon2id$v=19$")
    assert one != other
    assert await passwords.check(one, GOOD) == Checked(right=True)
    assert await passwords.check(one, GOOD + " ") == Checked(right=False)
    assert await passwords.check(one, "") == Checked(right=False)
    assert await passwords.check("$argon2id$broken", GOOD) == Checked(right=False)


async def test_another_cost_than_todays_is_told() -> None:
    kept = await Passwords(CHEAP).hash(GOOD)
    dearer = Passwords(Cost(memory_kib=16, passes=2, lanes=1))
    assert await dearer.check(kept, GOOD) == Checked(right=True, outdated=True)
    assert await dearer.check(kept, "wrong") == Checked(right=False)


async def test_a_name_that_nobody_has_costs_what_a_real_one_costs() -> None:
    passwords = Passwords(CHEAP)
    real = await passwords.hash(GOOD)
    assert extract_parameters(passwords._decoy) == extract_parameters(real)
    assert await passwords.check(None, GOOD) == Checked(right=False)
    assert await passwords.check(None, "") == Checked(right=False)


async def test_without_a_word_it_costs_what_owasp_asks_for() -> None:
    parameters = extract_parameters(await Passwords().hash(GOOD))
    assert (parameters.memory_cost, parameters.time_cost, parameters.parallelism) == (19456, 2, 1)
    assert (RECOMMENDED.memory_kib, RECOMMENDED.passes, RECOMMENDED.lanes) == (19456, 2, 1)


async def test_the_loop_goes_on_meanwhile() -> None:
    passwords = Passwords(Cost(memory_kib=65536, passes=6, lanes=1))
    hashing = asyncio.create_task(passwords.hash(GOOD))
    turns = 0
    while not hashing.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns > 2


async def test_the_same_word_from_another_keyboard_is_the_same() -> None:
    passwords = Passwords(CHEAP)
    kept = await passwords.hash("cafe\u0301 crème brûlée")
    assert (await passwords.check(kept, "caf\u00e9 cre\u0300me bru\u0302le\u0301e")).right


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("", "0 characters"),
        ("elevenchars", "11 characters"),
        ("x" * 513, "513 characters"),
        ("abababababababab", "repeats"),
        ("I am Annika, hello", "your name"),
        ("good until \ud800 came", "no valid text"),
        ("e\u0301t" * 200, "600 characters"),  # 400 when normalised, but more than is looked at later
        ("\ufdfa" * 30, "540 characters"),  # each is eighteen when normalised
        ("Password-2026", "guessed first"),
    ],
)
def test_what_is_no_password(password: str, why: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        check_new(password, "annika")
    assert why in caught.value.why
    assert "12 to 512" in caught.value.hint
    assert len(password) < 5 or password not in str(caught.value)


def test_short_names_do_not_bar_words() -> None:
    check_new("channel under ladder", "ann")


def test_the_sample_of_the_first_page_is_fine() -> None:
    check_new("secure_password", "developer", "dev", "dev@company.com")


@given(st.text("e\u0301\u0308\uac00\u1100\u1161\ufdfaxyz 9", min_size=12, max_size=600))
async def test_whatever_is_taken_can_be_shown_later(password: str) -> None:
    try:
        check_new(password)
    except InvalidInput:
        return
    passwords = Passwords(CHEAP)
    assert (await passwords.check(await passwords.hash(password), password)).right


async def test_a_nul_ends_no_password() -> None:
    passwords = Passwords(CHEAP)
    kept = await passwords.hash("pear under\0tall ladder")
    assert not (await passwords.check(kept, "pear under")).right
    assert not (await passwords.check(kept, "pear under\0tall")).right


async def test_the_line_at_the_door_has_an_end_and_no_more_than_two_are_inside() -> None:
    class Watched(Passwords):
        inside = most = 0
        lock = threading.Lock()

        def _check(self, kept: str | None, password: str) -> Checked:
            with self.lock:
                self.inside += 1
                self.most = max(self.most, self.inside)
            found = super()._check(kept, password)
            with self.lock:
                self.inside -= 1
            return found

    passwords = Watched(Cost(memory_kib=512, passes=1, lanes=1))
    crowd = await asyncio.gather(*(passwords.check(None, GOOD) for _ in range(300)), return_exceptions=True)
    assert [type(one) for one in crowd].count(Crowded) == 100
    assert 1 <= passwords.most <= 2
    assert not (await passwords.check(None, GOOD)).right  # and it heals


@given(st.text(max_size=600))
def test_any_text_is_taken_or_refused_in_words(password: str) -> None:
    refused = None
    try:
        check_new(password, "annika")
    except InvalidInput as error:
        refused = error
    assert refused is None or (refused.why and refused.hint)


@given(st.text(st.characters(), max_size=600))
async def test_any_text_may_be_tried(password: str) -> None:
    passwords = Passwords(CHEAP)
    assert not (await passwords.check(None, password)).right

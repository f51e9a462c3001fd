"""What people and their clients hand in: buttons, forms, typed words, tokens, codes, passwords, exports."""

from __future__ import annotations

import contextlib
import json
from datetime import UTC, datetime

import pyotp
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bot.cli.aliases import translate
from bot.cli.fields import parse_fields, parse_number, parse_priority
from bot.discord.audience import called_in
from bot.discord.catch_up import told_up_to
from bot.discord.client import form_texts, meant
from cogs.desk import project_in
from cogs.notifications import parse_time
from cogs.outgoing import CUSTOM_ID
from cogs.projects import parse_paths
from cogs.raises import asked_of, target
from cogs.render_people import stretch
from cogs.typed import criteria, labels, lines, words
from core.errors import InvalidInput
from core.security import audit
from core.security.keys import Key
from core.security.passwords import check_new
from core.security.sealing import Place, Unsealable, seal, unseal
from core.security.second_factor import matching_step
from core.security.secret_text import hash_code, hash_token, new_code
from core.security.users import _email, _username

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
ODD = st.text(
    st.one_of(st.characters(), st.sampled_from("\0\n\t:;'\"\\\u202e\ud800\u0663#@<>-")), max_size=24
)
DIGITS = st.text(st.sampled_from("0123456789\uff11\u0663 -"), min_size=6, max_size=8)


@given(text=st.one_of(ODD, st.builds("orchard:{}:{}".format, ODD, ODD)))
@example("orchard:answer:1\n")
def test_any_custom_id_is_one_of_ours_or_none(text: str) -> None:
    match = CUSTOM_ID.fullmatch(text)
    if match is not None:
        assert match["verb"].isascii()
        assert "\n" not in match["target"]
        assert isinstance(meant(match["verb"], match["target"]), str)
    assert isinstance(project_in(text), str)


BUDGETS = st.lists(
    st.one_of(st.sampled_from(["s", "p", "d", "t", "m", "", "20261121", "-1", "1_0", "\u0661"]), ODD),
    max_size=6,
)


@given(parts=BUDGETS)
def test_any_button_of_a_budget_is_read_as_it_was_made_or_refused(parts: list[str]) -> None:
    try:
        asked = asked_of(":".join(parts))
    except InvalidInput:
        return
    assert asked_of(target(asked)) == asked


COMPONENTS = st.recursive(
    st.one_of(st.none(), st.integers(), ODD),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["type", "custom_id", "value", "components", "component"]), inner, max_size=5
        ),
    ),
    max_leaves=10,
)


@given(components=COMPONENTS, kind=st.sampled_from([4, 1, "4", None]))
def test_any_sent_form_has_texts(components: object, kind: object) -> None:
    for data in (
        None,
        components,
        {"components": components},
        {"components": [{"type": kind, "value": components}]},
    ):
        assert all(isinstance(text, str) for pair in form_texts(data).items() for text in pair)


@given(text=ODD)
@example("9999999999999999999999")
def test_any_typed_word_is_read_or_refused(text: str) -> None:
    assert called_in(text) is not None
    told_up_to(text, "1", 1)
    for reads in (criteria, labels, lines, words):
        assert all(isinstance(each, str) for each in reads(text))
    with contextlib.suppress(InvalidInput):
        assert parse_time(text).tzinfo is None
    with contextlib.suppress(InvalidInput, RuntimeError):  # the home of somebody who is not there
        assert parse_paths(text)
    with contextlib.suppress(InvalidInput):
        parse_priority(text)
    with contextlib.suppress(InvalidInput):
        assert 0 <= parse_number(text, "number") < 10**9
    with contextlib.suppress(ValueError):
        stretch(text)


@given(
    given_words=st.lists(
        st.one_of(ODD, st.sampled_from(["--register", "--status", "--debug", "a=b", "=", "--x=y"])),
        max_size=5,
    )
)
def test_any_command_line_is_read_or_refused(given_words: list[str]) -> None:
    assert all(isinstance(word, str) for word in translate(given_words))
    with contextlib.suppress(InvalidInput):
        parse_fields(given_words)


# Tokens, codes, keys


@given(token=st.one_of(ODD, st.text(max_size=1).map(lambda letter: letter * 9_000)))
def test_any_token_or_code_has_a_hash(token: str) -> None:
    assert len(hash_token(token)) == 64
    assert len(hash_code(token, "u1")) == 64
    assert hash_code(token, "u1") != hash_code(token, "u2")


@given(spelling=st.randoms(use_true_random=False))
def test_a_code_is_the_same_however_it_is_typed(spelling) -> None:
    code = new_code()
    plain = code.replace("-", "")
    typed = "".join(
        spelling.choice((letter.lower(), letter)) + spelling.choice(("", " ", "-")) for letter in plain
    )
    assert hash_code(typed, "u") == hash_code(code, "u")


@given(code=st.one_of(ODD, DIGITS))
def test_any_code_of_a_second_factor_is_right_or_wrong(code: str) -> None:
    totp = pyotp.TOTP("JBSWY3DPEHPK3PXP" * 2)
    right = {totp.at(NOW.timestamp() + drift * 30) for drift in (-1, 0, 1)}
    assert (matching_step(totp, code, NOW) is not None) is (code in right)


@given(text=ODD)
@example("0" * 63 + "\u0660")
@example("0" * 64 + "\n")
def test_any_text_is_a_key_or_refused_without_being_repeated(text: str) -> None:
    try:
        key = Key.parse(text, source="here")
    except InvalidInput as refused:
        assert len(text) < 8 or text not in f"{refused.message} {refused.why} {refused.hint}"  # noqa: PT017
        return
    assert key.hex() == text.strip().lower()


@given(
    sealed=st.binary(max_size=60),
    value=st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    flip=st.integers(0, 400),
)
def test_any_sealed_bytes_are_the_value_or_refused(sealed: bytes, value: str, flip: int) -> None:
    key, nonce, place = b"k" * 32, b"n" * 12, Place(project="p", name="n", version=1)
    with pytest.raises(Unsealable):
        unseal(key, nonce, place, sealed)
    kept = seal(key, nonce, place, value)
    assert unseal(key, nonce, place, kept) == value
    altered = bytearray(kept)
    altered[flip % len(kept)] ^= 1 << flip % 8
    with pytest.raises(Unsealable):
        unseal(key, nonce, place, bytes(altered))


@given(text=ODD)
def test_any_name_address_or_password_is_taken_or_refused(text: str) -> None:
    for check in (_username, _email, check_new):
        with contextlib.suppress(InvalidInput):
            check(text)


# Exports of the audit log

FIELDS = st.fixed_dictionaries(
    {
        name: st.one_of(ODD, st.integers(), st.none(), st.lists(ODD, max_size=2))
        for name in ("seq", "at", "kind", "actor")
    },
    optional={
        name: st.one_of(ODD, st.none(), st.dictionaries(ODD, ODD, max_size=2))
        for name in ("project", "subject", "data", "previous", "hash")
    },
)


@given(line=st.one_of(ODD, FIELDS.map(json.dumps), st.just("[" * 5_000), st.just("[]"), st.just("9" * 5000)))
def test_any_line_of_an_export_is_a_row_or_refused(line: str) -> None:
    found = audit.read_data(line)
    assert found is None or audit.canonical(found) == line
    try:
        row = audit.from_line(line)
    except ValueError:
        return
    assert isinstance(row.seq, int)
    assert audit.from_line(audit.line_of(row)) == row

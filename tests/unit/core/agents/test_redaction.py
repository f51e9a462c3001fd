from __future__ import annotations

import json
import string
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.agents.redaction import Redactor, secrets_in

KNOWN = 'hunter2-"quoted"\\and ünïcode/+'
BODY = "\n".join("MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7" for _ in range(20))
PEM = f"-----BEGIN RSA PRIVATE KEY-----\n{BODY}\nAAAA==\n-----END RSA PRIVATE KEY-----"
SECRETS = {
    "Anthropic": "sk-ant-api03-" + "aB3_" * 20,
    "OpenAI": "sk-proj-" + "Zx9-" * 12,
    "old OpenAI": "sk-" + "a1B2c3D4" * 6,
    "Google": "AIza" + "Sy0_" * 9 + "abc",
    "Google token": "ya29.a0AfH6SM" + "Bx7-" * 9,
    "GitHub": "ghp_" + "a1B2" * 9,
    "GitHub fine": "github_pat_11ABCDE" + "x9_" * 20,
    "AWS": "AKIAIOSFODNN7EXAMPLE",
    "Slack": "xoxb-123456789012-abcdefGHIJ",
    "JWT": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P",
    "PEM": PEM,
    "known": KNOWN,
}
CARRIED = {
    "Bearer": ("Authorization: Bearer ", "abcdefgh-ijklmnop"),
    "lower": ("bearer ", "0123456789abcdef"),
    "header": ('"x-api-key": "', "abcd1234abcd1234"),
    "url": ("postgres://app:", "s3cr3t"),
    "aws secret": ("aws_secret_access_key = ", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
}
redactor = Redactor((KNOWN,))


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_is_named_and_not_shown(name):
    for before, after in (("", ""), ("a ", " b"), ("key=", "\n"), ('{"k": "', '"}')):
        told = redactor.text(before + SECRETS[name] + after)
        assert SECRETS[name][:-4] not in told
        assert told.startswith(before)
        assert told.endswith(after)
        assert "[redacted: " in told


@pytest.mark.parametrize("name", CARRIED)
def test_what_carries_a_secret_stays(name):
    before, secret = CARRIED[name]
    told = redactor.text(f"x {before}{secret}@host y")

    assert secret not in told
    assert told.startswith(f"x {before}[redacted: ")
    assert told.endswith("@host y")


@pytest.mark.parametrize(
    "plain",
    [
        "the task-list of disk-usage: sk-learn is a library",
        "basic authentication, a bearer of news; see https://example.org:8080/a@b",
        "-----BEGIN PRIVATE KEY----- must never stand in a file that is committed.",
        "ssh-rsa AAAAB3NzaC1yc2E= someone@host",
        "commit 5ec1e93a0b1c2d3e4f5061728394a5b6c7d8e9f0",
    ],
)
def test_ordinary_words_stay(plain):
    told = redactor.text(plain)
    assert told == plain or told.startswith("[redacted: a private key]must never")


def test_a_known_value_is_found_as_json_and_addresses_write_it():
    line = json.dumps({"args": json.dumps({"password": KNOWN})}, ensure_ascii=False)
    assert "hunter2" not in redactor.text(line)
    assert "hunter2" not in redactor.text("https://x/?p=hunter2-%22quoted%22%5Cand%20%C3%BCn%C3%AFcode%2F%2B")


def test_every_string_of_a_message_is_looked_at():
    message = {"a": [SECRETS["AWS"], 1, None, True], SECRETS["GitHub"]: {"b": f"\t{SECRETS['OpenAI']}\n"}}

    told = json.dumps(redactor.value(message))

    assert not any(SECRETS[name] in told for name in ("AWS", "GitHub", "OpenAI"))
    assert redactor.value(message)["a"][1:] == [1, None, True]


def test_short_values_are_no_secrets_and_names_tell_which_are():
    found = secrets_in(
        {
            "MY_API_KEY": "abcdefgh",
            "DB_PASSWORD": "short",
            "SSH_KEY": "/home/me/.ssh/id",
            "KEYBOARD": "qwertyuiop",
            "ODD": "named-by-a-row",
        },
        names=("ODD",),
    )
    assert found == ("abcdefgh", "named-by-a-row")
    assert Redactor(("a", "true", "")).known == ()


words = st.text(
    st.sampled_from(string.ascii_letters + string.digits + " \n\t-_=:/@.\"'\\ü\u2028"), max_size=40
)
tricky = st.sampled_from(
    [*SECRETS.values(), *(a + b for a, b in CARRIED.values()), "-----BEGIN ", "Bearer ", "sk-ant-", PEM[:200]]
)
texts = st.lists(st.one_of(words, tricky), max_size=8).map("".join)


@given(texts, st.lists(st.integers(1, 60), min_size=1, max_size=40))
def test_a_stream_gives_what_the_whole_text_gives_wherever_it_is_cut(text, sizes):
    stream, told, at, turn = redactor.stream(), [], 0, 0
    while at < len(text):
        size = sizes[turn % len(sizes)]
        told.append(stream.add(text[at : at + size]))
        at, turn = at + size, turn + 1
    told.append(stream.end())

    assert "".join(told) == redactor.text(text)


@given(words, words, st.sampled_from(sorted(SECRETS)))
def test_a_secret_is_found_in_any_surroundings(before, after, name):
    assert SECRETS[name] not in redactor.text(f"{before}\n{SECRETS[name]} {after}")


@given(texts)
def test_a_text_that_may_hold_nothing_holds_nothing(text):
    assert redactor.may_hold(text) or redactor.text(text) == text


@given(texts)
def test_what_is_redacted_stays_as_it_is(text):
    once = redactor.text(text)
    assert redactor.text(once) == once


def test_the_end_of_a_sentence_is_not_kept_back():
    stream = redactor.stream()
    assert stream.add("I begin.") == "I begin."
    assert stream.add(" Two keys: s") == " Two keys: "
    assert stream.add("un and sk") == "sun and "
    assert stream.add("i") == "ski"


@given(st.lists(words, max_size=30), st.integers(0, 10))
def test_plain_pieces_are_not_kept_for_long(pieces, spaces):
    stream = redactor.stream()
    for piece in pieces:
        stream.add(piece)
    stream.add(" said the agent, and that was all of it that it had to say on the matter at hand " * 2)
    assert len(stream.end()) < 60


def test_a_run_without_end_is_not_kept_and_does_not_leak():
    stream = redactor.stream()
    kept = [
        stream.add("sk-ant-" + "a1" * 30_000),
        stream.add("b2" * 500),
        stream.add("b2 then"),
        stream.end(),
    ]
    assert kept[0].endswith("[redacted: an Anthropic key]")
    assert "".join(kept[1:]).strip() == "then"
    blob = redactor.stream()
    assert "".join((blob.add("xy" * 20_000), blob.end())) == "xy" * 20_000


def test_a_chatty_stream_is_no_burden():
    """Not a measure of speed: a search that grows with the square of the text would take minutes."""
    stream, text = redactor.stream(), "The agent says a few words, and then some more of them. " * 3_000
    began = time.process_time()
    told = "".join([*(stream.add(text[at : at + 7]) for at in range(0, len(text), 7)), stream.end()])
    assert told == text
    assert time.process_time() - began < 60

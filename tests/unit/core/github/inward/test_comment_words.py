"""Who speaks to Orchard, and what they ask for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.story import Priority
from core.domain.wording import TEXT_CHARACTERS
from core.github.inward.comment_words import Ask, Request, parse_comment


@pytest.mark.parametrize(
    ("body", "request_"),
    [
        ("@orchard use integers", Request(ask=Ask.STEER, text="use integers")),
        ("  @Orch-Bot, use\r\nintegers", Request(ask=Ask.STEER, text="use\nintegers")),
        ("orchard: stop using pandas", Request(ask=Ask.STEER, text="stop using pandas")),
        ("> earlier words\n\n@orchard: Stop.", Request(ask=Ask.STOP)),
        ("@orchard /skip", Request(ask=Ask.SKIP)),
        ("@orchard skip: not now", Request(ask=Ask.SKIP, text="not now")),
        ("@orchard skip the second test", Request(ask=Ask.STEER, text="skip the second test")),
        ("@orchard priority high", Request(ask=Ask.PRIORITIZE, priority=Priority.HIGH)),
        ("@orchard go on", Request(ask=Ask.START)),
        ("@orchard", Request(ask=Ask.HELP)),
        ("I said @orchard stop", None),
        ("@orchardist stop", None),
        ("@orchard-team stop", None),
        ("@orchard/core stop", None),
        ("orchards are nice", None),
        ("> @orchard stop", None),
        ("", None),
    ],
)
def test_only_what_begins_with_its_name_is_for_orchard(body: str, request_: Request | None) -> None:
    assert parse_comment(body, "orch-bot[bot]") == request_


@given(st.text(max_size=300), st.sampled_from(["", "orch-bot", "app[bot]"]))
def test_anything_that_people_write_is_read(body: str, me: str) -> None:
    for text in (body, f"@orchard {body}"):
        found = parse_comment(text, me)
        assert found is None or len(found.text) <= TEXT_CHARACTERS

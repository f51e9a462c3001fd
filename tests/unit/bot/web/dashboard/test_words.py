from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.web.dashboard import words


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0 s"), (0.42, "0.4 s"), (59, "59 s"), (200, "3 min 20 s"), (3600, "1 h"), (100_000, "1 d 3 h")],
)
def test_durations(seconds, said):
    assert words.duration(seconds) == said


@pytest.mark.parametrize(
    ("dollars", "said"),
    [(0, "$0.00"), (0.0012, "$0.0012"), (3.456, "$3.46"), (1234.5, "$1,234")],
)
def test_money(dollars, said):
    assert words.money(dollars) == said


@pytest.mark.parametrize(
    ("count", "said"), [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (2.5e11, "250 GB")]
)
def test_sizes(count, said):
    assert words.size(count) == said


def test_a_little_is_not_nothing():
    assert (words.percent(0), words.percent(0.004), words.percent(0.5)) == ("0 %", "<1 %", "50 %")
    assert (words.plural(1, "story", "stories"), words.plural(2, "story", "stories")) == (
        "1 story",
        "2 stories",
    )


@given(st.floats(0, 1e9))
def test_every_duration_has_words(seconds):
    assert words.duration(seconds).rpartition(" ")[2] in {"s", "min", "h", "d"}

from __future__ import annotations

from core.scheduler.later import Later


def test_it_is_worked_out_once_and_when_it_is_looked_at() -> None:
    made = []

    def make():
        made.append(1)
        return iter("abc")

    later = Later(make)
    assert made == []
    assert list(later) == ["a", "b", "c"]
    assert (later[0], later[-1], later[1:], len(later)) == ("a", "c", ("b", "c"), 3)
    assert made == [1]


def test_it_equals_what_has_the_same_items() -> None:
    assert Later(lambda: [1, 2]) == (1, 2) == Later(lambda: (1, 2))
    assert Later(lambda: [1, 2]) != [2, 1]
    assert Later(lambda: []) != 3
    assert hash(Later(lambda: [1])) == hash((1,))
    assert repr(Later(lambda: [1])) == "(1,)"


def test_it_lets_go_of_what_it_was_made_from() -> None:
    later = Later(lambda: [1])
    later.all()
    assert later._make is None

"""Marks become labels that say the same, and labels with another meaning stay."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from core.domain.story import Priority
from core.github.inward.issue_labels import Marks, label_edits, labels_of, parse_marks

_LABELS = st.lists(
    st.sampled_from(["bug", "Bug", "money", "P1", "prio/low", "p2", "orchard", "orchard: done", "3 points"])
    | st.text(max_size=12),
    max_size=6,
    unique_by=str.casefold,
)
_BOTH = ("labels", "priority")


def marks(*labels: str, priority: Priority = Priority.NORMAL) -> Marks:
    return Marks(labels=labels, priority=priority, estimate=None)


def test_a_label_that_says_it_already_stays_as_it_is_written() -> None:
    assert label_edits(["Bug", "P1"], marks("bug", priority=Priority.HIGH), _BOTH, own=None) == ((), ())


def test_of_priorities_only_the_one_that_is_meant_stays() -> None:
    add, remove = label_edits(["P1", "prio/low"], marks(priority=Priority.LOW), _BOTH, own=None)
    assert (add, remove) == ((), ("P1",))
    assert label_edits(["P1"], marks(priority=Priority.CRITICAL), _BOTH, own=None) == (
        ("priority: critical",),
        ("P1",),
    )


def test_only_what_was_changed_is_written() -> None:
    assert label_edits(["bug", "P1"], marks(), ("labels",), own=None) == ((), ("bug",))
    assert label_edits(["bug", "P1"], marks(), ("priority",), own=None) == ((), ("P1",))


def test_a_label_of_that_name_makes_stories_whatever_it_says() -> None:
    assert label_edits(["P1"], marks(), _BOTH, own="p1") == ((), ())


@given(_LABELS, _LABELS, st.sampled_from(list(Priority)))
def test_what_was_written_is_read_as_it_was_meant(
    there: list[str], wanted: list[str], priority: Priority
) -> None:
    meant = marks(*parse_marks(wanted, own="orchard").labels, priority=priority)
    add, remove = label_edits(there, meant, _BOTH, own="orchard")
    after = [each for each in there if each not in remove] + list(add)
    read = parse_marks(after, own="orchard")
    assert sorted(map(str.casefold, read.labels)) == sorted(map(str.casefold, meant.labels))
    assert (read.priority or Priority.NORMAL) is priority
    assert label_edits(after, meant, _BOTH, own="orchard") == ((), ())
    assert {"orchard", "orchard: done", "3 points"}.isdisjoint(remove)
    assert parse_marks(labels_of(meant), own="orchard").labels == meant.labels

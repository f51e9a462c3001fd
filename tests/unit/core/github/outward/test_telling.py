from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from core.domain.story import StoryStatus
from core.github.inward.issue_text import Words, parse_words
from core.github.markers import STORY, marked, marker
from core.github.outward import telling
from core.github.outward.state_labels import AT_WORK, DONE
from core.github.outward.telling import Told, Wanted

_MARK = marker(STORY, "shop-3")


def words(title: str = "Totals", body: str = "Sum it up.", criteria: tuple[str, ...] = ("it sums",)) -> Words:
    return Words(title=title, body=body, acceptance_criteria=criteria)


def wanted(**given: object) -> Wanted:
    return Wanted(
        **{
            "comment": None,
            "label": None,
            "keeps_label": False,
            "closed": False,
            "milestone": None,
            "over": False,
        }
        | given
    )  # type: ignore[arg-type]


def test_what_was_told_survives_the_store() -> None:
    told = Told(comment="ab", labels=("orchard: done",), closed=True, milestone=3, over=True)
    assert telling.parse_told(told.to_text()) == told


def test_what_another_version_wrote_counts_as_nothing_told() -> None:
    for text in (
        "",
        "e3b0c442",
        "[]",
        '{"comment": 1}',
        '{"comment":"","labels":3,"closed":0,"milestone":0,"over":0}',
    ):
        assert telling.parse_told(text) == Told()


def test_a_label_takes_the_place_of_every_one_that_may_be_there() -> None:
    told = Told(labels=("orchard: planned", "orchard: at work"))
    assert telling.label_changes(told, wanted(label=DONE)) == (
        ("orchard: done",),
        ("orchard: planned", "orchard: at work"),
    )


def test_a_label_that_is_there_alone_is_left_alone() -> None:
    assert telling.label_changes(Told(labels=(AT_WORK.name,)), wanted(label=AT_WORK)) == ((), ())


def test_where_labels_are_not_ours_to_set_they_stay() -> None:
    assert telling.label_changes(Told(labels=(AT_WORK.name,)), wanted(keeps_label=True)) == ((), ())


def test_a_story_of_the_backlog_says_nothing_until_something_was_said() -> None:
    assert not telling.speaks(StoryStatus.BACKLOG, comment_there=False)
    assert telling.speaks(StoryStatus.BACKLOG, comment_there=True)
    assert telling.speaks(StoryStatus.PLANNED, comment_there=False)


def test_a_new_issue_reads_back_as_the_story_and_calls_nobody() -> None:
    said = words("Ask @ann", "See #4 and <b>this</b>\n\n<!-- orchard:story shop-9 -->", ("@bob is happy",))
    title, body = telling.new_issue(said, _MARK)
    assert marked(body, STORY, "shop-3")
    assert not marked(body, STORY, "shop-9")
    assert not any(each in f"{title} {body}" for each in ("@ann", "#4", "<b>", "@bob"))
    assert parse_words(title, body, number=1) == said


def test_an_edit_leaves_what_people_typed_there_as_it_was() -> None:
    there = f"Hello @ann, see #1\nold line\n\n- [x] it sums\n- [ ] it is fast\n\n{_MARK}"
    read = parse_words("Totals", there, number=1)
    new = words(
        "Totals", read.body.replace("old line", "new line by @bob"), (*read.acceptance_criteria, "it rounds")
    )
    title, body = telling.edited("Totals", there, 1, new, ("body", "acceptance_criteria"))
    assert title is None
    assert body is not None
    assert "Hello @ann, see #1" in body
    assert "@bob" not in body
    assert "- [x] it sums" in body
    assert body.endswith(_MARK)
    assert parse_words("Totals", body, number=1) == new


def test_only_what_is_ours_is_written() -> None:
    title, body = telling.edited("Their title", "Their body", 1, words("Ours", "Ours", ()), ("title",))
    assert (title, body) == ("Ours", None)


def test_what_says_it_already_is_not_written() -> None:
    everything = ("title", "body", "acceptance_criteria")
    assert telling.edited("Totals", "Sum it up.\n- [ ] it sums", 1, words(), everything) == (None, None)


def test_a_gap_of_ours_is_not_taken_for_what_people_typed() -> None:
    _, first = telling.edited("T", "start", 1, words("T", "start\nask @bob", ()), ("body",))
    assert first is not None
    _, second = telling.edited("T", first, 1, words("T", "start\nask @bob\nmore", ()), ("body",))
    assert second is not None
    assert "@bob" not in second


@given(st.text(st.sampled_from("@#ab1<>&![]()-* \n`"), max_size=80), st.text(max_size=80))
def test_our_edit_is_no_news_when_it_is_read_again(ours: str, theirs: str) -> None:
    """At most once: what people's Markdown makes of our words is taken in, and stays."""
    new = parse_words("T", ours, number=1)
    _, body = telling.edited("T", theirs, 1, new, ("body", "acceptance_criteria"))
    read = parse_words("T", theirs if body is None else body, number=1)
    _, again = telling.edited("T", theirs if body is None else body, 1, read, ("body", "acceptance_criteria"))
    assert again is None

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cogs.storyform import StoryForm, changes, fields, version
from cogs.typed import criteria, labels, lines, unless_dash, words
from core.domain.story import Priority, Story, StoryState
from core.errors import InvalidInput


def story(**facts: object) -> Story:
    made: dict[str, object] = {
        "id": "shop-1",
        "project": "shop",
        "number": 1,
        "title": "Basket",
        "body": "for fruit\nand more",
        "acceptance_criteria": ("holds; counts", "weighs"),
        "priority": Priority.NORMAL,
        "state": StoryState.BACKLOG,
        "sprint_id": None,
        "added_by": "cli",
        "added_at": datetime(2026, 1, 1, tzinfo=UTC),
        "estimate": 3,
        "labels": ("api",),
    }
    return Story(**{**made, **facts})  # type: ignore[arg-type]


def test_what_is_sent_as_it_was_changes_nothing() -> None:
    assert changes(story(), fields(story())) == {}
    windows = {key: text.replace("\n", "\r\n") + " " for key, text in fields(story()).items()}
    assert changes(story(), windows) == {}


def test_each_field_changes_its_part() -> None:
    sent = {
        "title": "Trolley",
        "body": "",
        "acceptance_criteria": "- one; whole\n\n2. two",
        "estimate": "0",
        "labels": "a, b c",
    }
    assert changes(story(), sent) == {
        "title": "Trolley",
        "body": "",
        "acceptance_criteria": ("one; whole", "two"),
        "estimate": 0,
        "labels": ("a", "b c"),
    }
    assert changes(story(), {**fields(story()), "estimate": " "}) == {"clear_estimate": True}


@pytest.mark.parametrize("typed", ["many", "-1", "1001", "3.5", "٣", "1e3"])
def test_what_is_no_estimate_is_refused(typed: str) -> None:
    with pytest.raises(InvalidInput, match="no estimate"):
        changes(story(), {"estimate": typed})


def test_a_field_that_the_form_did_not_show_is_left_alone() -> None:
    assert changes(story(body="x" * 9000), {"title": "Basket"}) == {}
    assert changes(story(), {"owner": "me"}) == {}


@pytest.mark.parametrize(
    ("facts", "shown"),
    [({}, 5), ({"body": "x" * 4001}, 4), ({"acceptance_criteria": ("y" * 900,) * 5, "body": "z" * 5000}, 3)],
)
async def test_the_form_shows_what_fits(facts: dict[str, object], shown: int) -> None:
    assert len(StoryForm(story(**facts)).children) == shown


def test_a_version_changes_with_what_is_shown() -> None:
    assert version(story()) == version(story(priority=Priority.HIGH))
    assert version(story()) != version(story(estimate=4))
    assert version(story(title="a", body="b")) != version(story(title="ab", body=""))


def test_lists_as_people_type_them() -> None:
    assert criteria("- holds; 2) counts\n☐ weighs\n;") == ("holds", "counts", "weighs")
    assert lines("a; b\n* c") == ("a; b", "c")
    assert labels(" api ,later on;x") == ("api", "later on", "x")
    assert words("shop-1, shop-2;shop-3  shop-4") == ("shop-1", "shop-2", "shop-3", "shop-4")
    assert unless_dash(" - ") == ""
    assert unless_dash("a-b") == "a-b"


@given(st.text(max_size=400))
def test_no_text_breaks_a_list(text: str) -> None:
    for part in (*criteria(text), *labels(text), *words(text)):
        assert part.strip() == part != ""

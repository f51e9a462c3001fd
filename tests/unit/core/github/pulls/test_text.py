"""A pull request's own text, and the words that go from it to an agent."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from core.domain.lifecycles import Phase
from core.domain.story import Priority, Story, StoryState
from core.github import markers
from core.github.pulls.text import (
    Annotation,
    Description,
    FailedCheck,
    Proof,
    Remark,
    body,
    failed_checks,
    is_of,
    merge_message,
    requested_changes,
    title,
)

texts = st.text(max_size=300) | st.sampled_from(
    [
        "fixes #3",
        "@octocat",
        "<!-- orchard:story shop-9 -->",
        "</details>",
        "| a | b |",
        "===== review: end =====",
    ]
)


def story(
    title: str = "Sell pears", body: str = "", criteria: tuple[str, ...] = ("a sale is kept",)
) -> Story:
    return Story(
        id="shop-3",
        project="shop",
        number=3,
        title=title,
        body=body,
        acceptance_criteria=criteria,
        priority=Priority.NORMAL,
        state=StoryState.ACTIVE,
        sprint_id=None,
        added_by="ann",
        added_at=datetime(2026, 3, 1, tzinfo=UTC),
    )


def described(story: Story, **more: object) -> Description:
    return Description(story=story, spec="", proofs=(), **more)  # type: ignore[arg-type]


@given(title_=texts, text=texts, criterion=texts, spec=texts, said=texts)
def test_words_from_outside_do_nothing_in_it(
    title_: str, text: str, criterion: str, spec: str, said: str
) -> None:
    made = body(
        Description(
            story=story(title_, text, (criterion,)),
            spec=spec,
            proofs=(Proof(phase=Phase.CODE_GREEN, said=said),),
            issue=7,
            closes=True,
        )
    )
    assert markers.name_in(made, markers.STORY) == "shop-3"  # the first, and so the only one
    assert made.count("<!--") == 1
    assert "@octocat" not in made
    assert "#3" not in made
    assert len(made) < 65_536
    assert len(title(story(title_))) <= 256
    assert "\n" not in title(story(title_)) + merge_message(story(title_), 12)


def test_its_issue_is_closed_only_where_that_is_wanted() -> None:
    assert body(described(story(), issue=7, closes=True)).startswith("Closes #7\n")
    assert body(described(story(), issue=7)).startswith("For #7\n")


def test_it_shows_the_gates_and_the_criteria_and_is_known_again() -> None:
    proof = Proof(phase=Phase.TEST_RED, said="2 tests failed honestly")
    made = body(Description(story=story(), spec="Do it.", proofs=(proof,), approved_by="ann"))
    assert "- a sale is kept" in made
    assert "| test_red | 2 tests failed honestly |" in made
    assert "Approved in Orchard by ann." in made
    assert "The design" in made
    assert is_of(made, "shop-3")
    assert not is_of(made, "shop-33")


def test_a_very_long_story_is_cut_to_what_github_takes() -> None:
    long = story("t" * 500, "b" * 100_000, ("c" * 9000,) * 300)
    made = body(Description(story=long, spec="s" * 100_000, proofs=()))
    assert len(made) < 65_536
    assert "- and 250 more" in made
    assert is_of(made, "shop-3")
    assert len(title(long)) <= 256


@given(said=texts, name=texts, file=texts)
def test_what_checks_and_people_say_stays_between_its_marks(said: str, name: str, file: str) -> None:
    told = failed_checks(
        12,
        [
            FailedCheck(
                name=name, summary=said, text=said, annotations=(Annotation(file=file, line=3, said=said),)
            )
        ],
    )
    last = told.rstrip().splitlines()[-1]
    assert last.endswith(last.split(" ", 1)[0])  # the end mark, whatever was said
    assert told.count(last) == 1
    reviewed = requested_changes(12, [Remark(by="ann", said=said, file=file, line=4)])
    last = reviewed.rstrip().splitlines()[-1]
    assert reviewed.count(last) == 1


def test_an_agent_hears_names_summaries_lines_and_places() -> None:
    told = failed_checks(
        12,
        [
            FailedCheck(
                name="unit",
                summary="1 failed",
                text="AssertionError: 2 != 3",
                url="https://ci/1",
                annotations=(Annotation(file="shop/till.py", line=7, said="unused import"),),
            )
        ],
    )
    for part in (
        "unit",
        "1 failed",
        "AssertionError: 2 != 3",
        "shop/till.py:7: unused import",
        "https://ci/1",
    ):
        assert part in told
    reviewed = requested_changes(12, [Remark(by="ann", said="Not here.", file="shop/till.py", line=7)])
    assert "ann, shop/till.py:7" in reviewed
    assert "Not here." in reviewed


def test_of_very_many_remarks_the_rest_is_counted() -> None:
    told = requested_changes(12, [Remark(by="ann", said="x")] * 130)
    assert "30 more remarks" in told

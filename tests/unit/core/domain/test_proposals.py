"""What a design agent writes, however it writes it, becomes stories or sentences."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.proposals import MOST_CHARACTERS, MOST_STORIES, Proposal, parse_proposals, render_proposals
from core.domain.story import Priority
from core.domain.wording import cleaned

WELL_FORMED = """\
# The shop takes cards

Some words before the first story.

## Pay by card

A customer pays with a card.

Priority: high
Estimate: 3
Labels: checkout, api

Acceptance criteria:
- a card is charged once
- a refused card is told,
  with its reason

## Refund

Money goes back.
Needs: 1

Acceptance criteria:
1. the refund is shown
"""


def test_the_form_of_the_prompt_is_read() -> None:
    found = parse_proposals(WELL_FORMED)
    assert found.faults == ()
    assert found.proposals == (
        Proposal(
            title="Pay by card",
            body="A customer pays with a card.",
            acceptance_criteria=("a card is charged once", "a refused card is told, with its reason"),
            priority=Priority.HIGH,
            estimate=3,
            labels=("checkout", "api"),
        ),
        Proposal(
            title="Refund", body="Money goes back.", acceptance_criteria=("the refund is shown",), needs=(0,)
        ),
    )


@pytest.mark.parametrize(
    "text",
    [
        "## Pay\n**Priority:** High\n**Estimate**: 3 points\n**Acceptance criteria:**\n* it pays\n",
        "### Story 1: Pay\n- Priority: HIGH\n- Estimate: 3 SP\n#### Acceptance Criteria\n- [ ] it pays\n",
        "# Pay\r\nPriority: high\r\nEstimate: 3\r\n\r\nAcceptance criteria:\r\n\r\n+ it pays\r\n",
        "## 1. Pay\nPriority: high.\nNeeds: none\nLabels: -\nEstimate: 3\nAcceptance criteria: it pays",
        "## Pay\n## Acceptance criteria\n1) it pays\n## Priority: high\n## Estimate: 3",
    ],
)
def test_other_forms_of_the_same_are_read_too(text: str) -> None:
    found = parse_proposals(text)
    assert found.faults == ()
    assert found.proposals == (
        Proposal(title="Pay", acceptance_criteria=("it pays",), priority=Priority.HIGH, estimate=3),
    )


@pytest.mark.parametrize("said", ["1, 2", "1 and 2", "#1, #2", "story 1; Story 2", "2, 1, 2"])
def test_needs_are_named_by_number(said: str) -> None:
    stories = [f"## {name}\nAcceptance criteria:\n- ok\n" for name in "abc"]
    found = parse_proposals("".join([*stories, f"Needs: {said}\n"]))
    assert found.faults == ()
    assert sorted(found.proposals[2].needs) == [0, 1]


def test_code_in_a_fence_is_text_and_an_open_fence_is_none() -> None:
    fenced = "```python\n## no story\nPriority: wrong\n```"
    found = parse_proposals(f"## A\n{fenced}\nAcceptance criteria:\n- ok\n")
    assert (found.faults, found.proposals[0].body) == ((), fenced)
    found = parse_proposals("## A\n```\nAcceptance criteria:\n- ok\n## B\nAcceptance criteria:\n- ok\n")
    assert [one.title for one in found.proposals] == ["A", "B"]


def test_control_characters_and_marks_of_direction_are_taken_out() -> None:
    found = parse_proposals("## A\x00\u202eB\nx\x1b[31m\nAcceptance criteria:\n- o\u2066k\n")
    assert (found.proposals[0].title, found.proposals[0].body) == ("AB", "x[31m")
    assert found.proposals[0].acceptance_criteria == ("ok",)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "There is no story"),
        ("just talk", "There is no story"),
        ("## A\ntext", "Story 1 'A' has no acceptance criteria"),
        ("## \x00\nAcceptance criteria:\n- ok", "Story 1 has no title"),
        (f"## {'x' * 201}\nAcceptance criteria:\n- ok", "has a title of 201 characters; 200 are possible"),
        (f"## A\n{'x' * 20001}\nAcceptance criteria:\n- ok", "a text of 20001 characters"),
        (f"## A\nAcceptance criteria:\n- {'x' * 1001}", "criterion of 1001 characters"),
        ("## A\nAcceptance criteria:\n" + "".join(f"- {n}\n" for n in range(51)), "51 acceptance criteria"),
        ("## A\nPriority: soon\nAcceptance criteria:\n- ok", "the priority 'soon'; possible are critical"),
        ("## A\nEstimate: many\nAcceptance criteria:\n- ok", "the estimate 'many'"),
        ("## A\nEstimate: 1001\nAcceptance criteria:\n- ok", "from 0 to 1000"),
        ("## A\nEstimate: -1\nAcceptance criteria:\n- ok", "the estimate '-1'"),
        ("## A\nNeeds: B\nAcceptance criteria:\n- ok", "needs 'B'; name other stories"),
        ("## A\nNeeds: 2\nAcceptance criteria:\n- ok", "there are only the stories 1 to 1"),
        ("## A\nNeeds: 1\nAcceptance criteria:\n- ok", "needs itself"),
        ("## A\nLabels: " + ",".join("abcdefghijklmnopqrstu") + "\nAcceptance criteria:\n- ok", "21 labels"),
        (f"## A\nLabels: {'x' * 51}\nAcceptance criteria:\n- ok", "a label of 51 characters"),
        ("## A\nPriority: low\nPriority: high\nAcceptance criteria:\n- ok", "says 'Priority:' twice"),
        ("## A\nAcceptance criteria:\n- ok\n## a\nAcceptance criteria:\n- ok", "have the same title"),
        ("## A\nAcceptance criteria:\n- ok\n" * 31, f"{MOST_STORIES} are possible: join small ones"),
        ("x" * (MOST_CHARACTERS + 1), "The file has 500001 characters"),
    ],
)
def test_what_a_story_may_not_hold_is_said(text: str, sentence: str) -> None:
    assert any(sentence in fault for fault in parse_proposals(text).faults), parse_proposals(text).faults


def test_all_that_is_wrong_is_said_at_once() -> None:
    text = "## A\nPriority: x\nEstimate: y\nNeeds: 3\n## B\nNeeds: 1\nAcceptance criteria:\n- ok\n"
    assert len(parse_proposals(text).faults) == 4


def test_a_circle_is_named_once() -> None:
    text = "".join(
        f"## {name}\nNeeds: {needs}\nAcceptance criteria:\n- ok\n"
        for name, needs in (("A", 2), ("B", 3), ("C", 1), ("D", 1))
    )
    assert parse_proposals(text).faults == (
        "Stories need each other in a circle: 1 needs 2 needs 3 needs 1.",
    )


lines = st.text(alphabet=st.characters(exclude_categories=("C", "Z"), include_characters=" "), max_size=30)
one_line = lines.map(lambda text: " ".join(cleaned(text).split()))
marks = st.sampled_from(
    [
        "## ",
        "# ",
        "### ",
        "- ",
        "\\",
        "```",
        "~~~~",
        "Priority: ",
        "needs:",
        "Acceptance criteria:",
        "* ",
        "\n",
    ]
)
markup = st.lists(st.one_of(lines, marks, st.just("\n")), max_size=25).map("".join)


@given(st.one_of(st.text(), markup, st.lists(markup, max_size=5).map("\n## ".join)))
def test_no_text_makes_it_raise(text: str) -> None:
    found = parse_proposals(text)
    assert found.proposals or found.faults
    for proposal in found.proposals:
        assert all(0 <= index < len(found.proposals) for index in proposal.needs)


@st.composite
def proposals(draw: st.DrawFn) -> list[Proposal]:
    titles = draw(st.lists(one_line.filter(bool), min_size=1, max_size=6, unique_by=str.casefold))
    labels = one_line.map(lambda text: f"l {text.replace(',', '').strip('`*_ ')}".strip())
    return [
        Proposal(
            title=title,
            body=cleaned(draw(markup)),
            acceptance_criteria=tuple(
                draw(st.lists(one_line.filter(bool), min_size=1, max_size=4, unique=True))
            ),
            priority=draw(st.sampled_from(Priority)),
            estimate=draw(st.none() | st.integers(0, 1000)),
            labels=tuple(
                label
                for label in draw(
                    st.lists(labels.map(lambda text: f"l {text}".strip()), max_size=3, unique=True)
                )
            ),
            needs=tuple(draw(st.lists(st.integers(0, index - 1), max_size=3, unique=True)) if index else ()),
        )
        for index, title in enumerate(titles)
    ]


@given(proposals())
def test_what_is_written_is_read_back_as_the_same(written: list[Proposal]) -> None:
    text = render_proposals(written)
    found = parse_proposals(text)
    assert found.faults == ()
    assert list(found.proposals) == written


@pytest.mark.parametrize(
    "text",
    [
        "````x\n```\n" * 40_000,
        "## " * 160_000,
        "- " * 200_000,
        "## A\nNeeds: " + "1 and " * 60_000,
        "## A\nAcceptance criteria:\n" + "x\n" * 200_000,
        "*" * 400_000,
        " " * 400_000,
        "acceptance criteria" + " " * 400_000 + "x",
        "needs" + "\t" * 400_000,
    ],
    ids=range(9),
)
def test_no_text_takes_long(text: str) -> None:
    begun = time.monotonic()
    parse_proposals(text)
    assert time.monotonic() - begun < 10

"""The line at the foot of the guild."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.localguild.options import CannotDo
from bot.web.dashboard.chat.typed import Ask, chosen, commands_of, completed, help_for, read

TEXT = {"type": 3, "description": "words"}
LISTED = [
    {
        "type": 1,
        "name": "backlog",
        "description": "Stories",
        "options": [
            {
                "type": 1,
                "name": "add_story",
                "description": "Add a story",
                "options": [
                    {**TEXT, "name": "title", "required": True},
                    {
                        **TEXT,
                        "name": "priority",
                        "choices": [{"name": "High", "value": "high"}, {"name": "Low", "value": "low"}],
                    },
                    {**TEXT, "name": "project", "autocomplete": True},
                    {"type": 5, "name": "quiet", "description": "say nothing"},
                ],
            },
            {"type": 1, "name": "view", "description": "Look at it"},
        ],
    },
    {"type": 1, "name": "state", "description": "Where it stands"},
    {"type": 3, "name": "Pin", "description": ""},  # of a message's menu: nobody types it
]
COMMANDS = commands_of(LISTED)


def labels(line: str) -> list[str]:
    return [offer.label for offer in help_for(line, COMMANDS).offers]


def test_each_sub_command_is_a_command() -> None:
    assert [one.path for one in COMMANDS] == ["backlog add_story", "backlog view", "state"]
    assert COMMANDS[0].usage == "/backlog add_story title: [priority:] [project:] [quiet:]"


@pytest.mark.parametrize(
    ("line", "values"),
    [
        ("/backlog add_story title:Sell apples priority:high", {"title": "Sell apples", "priority": "high"}),
        ("/backlog add_story Sell apples", {"title": "Sell apples"}),
        ("/backlog add_story Sell apples quiet:true", {"title": "Sell apples", "quiet": "true"}),
        ('/backlog add_story title:"to project:x" quiet:true', {"title": "to project:x", "quiet": "true"}),
        ("/BACKLOG add_story title: 10:30 is late ", {"title": "10:30 is late"}),
    ],
)
def test_what_a_line_says(line: str, values: dict[str, str]) -> None:
    said = read(line, COMMANDS)
    assert (said.command.path, dict(said.values)) == ("backlog add_story", values)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("/nothing", "There is no command /nothing"),
        ("/backlog", "/backlog has several: /backlog add_story, /backlog view"),
        ("/backlog add_story priority:high", "still needs title"),
        ("/backlog add_story title:", "still needs title"),
        ("/state now", "What is 'now'"),
        ('/backlog add_story title:"a" b', "What is 'b'"),
        ("/", "There is no command"),
    ],
)
def test_what_cannot_be_run_is_said_in_a_sentence(line: str, why: str) -> None:
    with pytest.raises(CannotDo, match=why.replace("/", "/")):
        read(line, COMMANDS)


def test_what_is_offered_as_a_line_grows() -> None:
    assert labels("/") == ["/backlog add_story", "/backlog view", "/state"]
    assert labels("/ba") == ["/backlog add_story", "/backlog view"]
    assert labels("/stands") == ["/state"]  # by what it says of itself
    assert labels("/backlog add_story ") == ["title:", "priority:", "project:", "quiet:"]
    assert labels("/backlog add_story title:x pri") == ["priority:"]
    assert labels("/backlog add_story title:x priority:") == ["High", "Low"]
    assert labels("/backlog add_story title:x priority:lo") == ["Low"]
    assert labels("/backlog add_story title:x priority:low ") == ["project:", "quiet:"]
    assert labels("/backlog add_story quiet:") == ["true", "false"]
    assert labels("plain words") == labels("/state ") == []


def test_what_is_taken_stands_in_the_line() -> None:
    help_now = help_for("/ba", COMMANDS)
    assert help_now.eager  # Enter takes it, since it cannot be run
    assert help_now.offers[0].line == "/backlog add_story title:"
    assert not help_for("/state", COMMANDS).eager
    [low] = help_for("/backlog add_story title:x priority:lo", COMMANDS).offers
    assert low.line == "/backlog add_story title:x priority:low "


def test_the_bot_is_asked_with_what_is_there() -> None:
    asked = help_for("/backlog add_story title:x project:sh", COMMANDS).ask
    assert asked == Ask(
        command="backlog add_story",
        focused="project",
        text="sh",
        options={"title": "x"},
        before="/backlog add_story title:x project:",
    )
    [offer] = completed(asked, [("The shop", "shop")])
    assert (offer.label, offer.detail, offer.line) == (
        "The shop",
        "shop",
        "/backlog add_story title:x project:shop ",
    )
    assert completed(asked, [("sh", "sh")]) == ()  # it stands there


def test_a_value_that_looks_like_an_option_is_quoted() -> None:
    [offer] = chosen("/why story:", "", [("one", "needs project:x")])
    assert offer.line == '/why story:"needs project:x" '


@given(st.text(alphabet=st.sampled_from('/abcklogdstry_ei: "pqu\n'), max_size=80))
def test_every_line_gets_help_or_none_and_runs_or_is_refused(text: str) -> None:
    for line in (text, f"/backlog add_story {text}"):
        for offer in help_for(line, COMMANDS).offers:
            assert offer.line.startswith("/")
        try:
            said = read(line, COMMANDS)
        except CannotDo as refused:
            assert str(refused)  # noqa: PT017 - either is fine, an error without words is not
        else:
            assert set(said.values) <= {one["name"] for one in said.command.options}

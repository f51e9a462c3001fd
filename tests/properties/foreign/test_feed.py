"""Whatever a listener of the live feed says is a wish, or refused; and nobody is told what is not theirs."""

from __future__ import annotations

import contextlib
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.web.feed.frames import event_frame, framed
from bot.web.feed.sight import KINDS, MOST_NAMES, View, Wish, sight_of, wish_of_message, wish_of_query
from core.domain.access import AccessLevel
from core.domain.event import Event, EventKind
from core.errors import InvalidInput
from core.security.access import Action, Asker, Face, Levels, Scope, may

NOW = datetime(2026, 11, 22, tzinfo=UTC)
PROJECTS = ("shop", "bank", "farm")
names = st.sampled_from([*PROJECTS, "event", "story_merged", "project_cpu", "SHOP ", "", "\ud800"]) | st.text(
    max_size=5
)
said = st.dictionaries(
    st.sampled_from(["type", "projects", "kinds", "since", "more"]),
    st.sampled_from(["subscribe", 3, -1, 2**64, True, None, 1.5]) | st.lists(names, max_size=4) | names,
    max_size=5,
)
levels = st.none() | st.sampled_from(AccessLevel)
askers = st.builds(
    lambda everywhere, inside, scopes, only: Asker(
        name="a",
        levels=Levels(everywhere=everywhere, projects=inside),
        face=Face.WEB if scopes is None else Face.API,
        scopes=scopes,
        projects=None if scopes is None else only,
    ),
    levels,
    st.dictionaries(st.sampled_from(PROJECTS), st.sampled_from(AccessLevel)),
    st.none() | st.frozensets(st.sampled_from(Scope)),
    st.none() | st.frozensets(st.sampled_from(PROJECTS), min_size=1),
)


def _sound(wish: Wish) -> None:
    for found in (wish.projects, wish.kinds):
        assert found is None or len(found) <= MOST_NAMES
    assert wish.kinds is None or wish.kinds <= KINDS
    assert wish.since is None or 0 <= wish.since < 2**63


@given(
    st.text(max_size=60)
    | said.map(json.dumps)
    | said.map(lambda one: json.dumps({**one, "type": "subscribe"}))
)
def test_any_message_is_a_wish_or_refused(text):
    with contextlib.suppress(InvalidInput):
        _sound(wish_of_message(text))


def test_a_message_that_is_nested_for_ever_is_refused():
    with pytest.raises(InvalidInput, match="JSON"):
        wish_of_message("[" * 16_000)


@given(st.binary(max_size=60) | st.sampled_from([b"since=" + b"9" * 5000, b"&" * 5000, b"project=a&" * 300]))
def test_any_query_is_a_wish_or_refused(query):
    with contextlib.suppress(InvalidInput):
        _sound(wish_of_query(query))


@given(asker=askers, project=st.none() | st.sampled_from(PROJECTS), wished=st.none() | st.frozensets(names))
def test_nobody_is_told_of_what_they_may_not_see(asker, project, wished):
    view = View.of(sight_of(asker), Wish(projects=wished))
    event = Event(kind=EventKind.STORY_EDITED, at=NOW, project=project, seq=1)
    if not view.wants_event(event):
        return
    if project is None:
        assert may(Action.SEE_SYSTEM, asker).allowed
        assert asker.levels.everywhere is not None
    else:
        assert may(Action.SEE_PROJECT, asker, project).allowed
        assert wished is None or project in wished


@given(asker=askers, project=st.sampled_from(PROJECTS))
def test_whoever_may_see_a_project_is_told_of_it(asker, project):
    event = Event(kind=EventKind.STORY_EDITED, at=NOW, project=project, seq=1)
    assert (
        View.of(sight_of(asker), Wish()).wants_event(event) is may(Action.SEE_PROJECT, asker, project).allowed
    )


@given(text=st.text(alphabet=st.characters(), max_size=300), whole=st.booleans())
def test_any_events_texts_go_over_the_wire_and_nobodys_else(text, whole):
    event = Event(
        kind=EventKind.AGENT_SAID, at=NOW, project="shop", actor="user:ann", data={"text": text}, seq=7
    )
    made = event_frame(event, whole=whole)
    head = framed(made)
    told = json.loads(head[head.index(b"{") :])
    assert told["cursor"] == 7
    assert told["data"].get("data") == ({"text": text} if whole else None)
    assert "ann" not in made or whole

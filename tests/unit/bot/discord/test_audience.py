from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bot.discord.audience import PEOPLE_AT_ONCE, Audience, audience, called_in, plan_call
from cogs.message import CONTENT_LIMIT
from cogs.text import length

ids = st.integers(10**16, 10**19)
crowds = st.lists(ids, unique=True, max_size=90)


def test_each_is_named_once_whoever_asked_for_them() -> None:
    found = audience(
        ["discord:5", "cli", "discord:<@6>"],
        ["<@&9>", "<@5>", "<@!7>", "@everyone"],
        people=["5", "8", "bob"],
        roles=["9", "Leads", "Nobody"],
        role_ids={"Leads": 11},
    )
    assert found == Audience(people=(5, 7, 8), roles=(9, 11))


def test_whoever_is_quiet_is_not_named() -> None:
    call = plan_call(Audience(people=(1, 2), roles=(3,)), {2})
    assert (call.text, call.people, call.roles, call.later) == ("<@&3> <@1>", (1,), (3,), (2,))


@given(crowds, crowds, st.data())
def test_nobody_is_lost_and_the_post_fits(people: list[int], roles: list[int], data: st.DataObject) -> None:
    quiet = data.draw(st.sets(st.sampled_from(people))) if people else set()
    wanted = Audience(people=tuple(people), roles=tuple(roles))
    call = plan_call(wanted, quiet)
    assert length(call.text) <= CONTENT_LIMIT
    assert sorted((*call.people, *call.later)) == sorted(people)
    assert called_in(call.text) == set(call.people)
    assert not quiet & set(call.people)
    crowd = len(people) - len(quiet) - len(call.people)
    assert (f"and {crowd} more" in call.text) == (crowd > 0)
    assert len(call.people) <= PEOPLE_AT_ONCE


def test_only_those_may_be_called() -> None:
    allowed: Any = plan_call(Audience(people=(1,), roles=(3,)), ()).allowed().to_dict()
    assert allowed == {"parse": [], "users": ["1"], "roles": ["3"]}
    nobody: Any = plan_call(Audience(), ()).allowed().to_dict()
    assert nobody == {"parse": [], "users": [], "roles": []}

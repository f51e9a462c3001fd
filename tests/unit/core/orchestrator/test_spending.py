"""Agents mean different things by their figures; each becomes what the turn took, and nonsense nothing."""

from __future__ import annotations

import dataclasses
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.agents.setup import AgentSetup, ModelAccess
from core.domain.budget import MOST
from core.domain.lifecycles import Phase
from core.domain.story import StoryBrief
from core.gateway.prices import PriceRow
from core.orchestrator.spending import call_of, session_of, turn_taken, word_of
from core.store.ledger import Source
from core.worker.contract import PhaseEnd, PhaseJob, PhaseReport, ProjectSetup

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
PRICES = (
    PriceRow(model="sonnet*", since=date(2026, 1, 1), source="x", input_price=3_000_000, output_price=10**7),
)
JOB = PhaseJob(
    project=ProjectSetup(name="shop", path=Path("/srv/shop"), main_branch="main", state_path=Path("/srv/s")),
    agent=AgentSetup(name="claude", kind="acp", argv=("/bin/claude",)),
    story=StoryBrief(id="shop-1", title="Sell", body="", acceptance_criteria=()),
    phase=Phase.CODE_GREEN,
    attempt=1,
    generation=4,
    base_commit=None,
    red_commit=None,
    head_commit=None,
    red_evidence=None,
)


def report(usage=None, **facts) -> PhaseReport:
    return PhaseReport(
        story_id="shop-1",
        phase=Phase.CODE_GREEN,
        generation=4,
        end=PhaseEnd.PASSED,
        usage=usage or {},
        session_id="s1",
        **facts,
    )


def said(meaning: str, prompt=None, **more):
    return {"meaning": meaning, **({} if prompt is None else {"prompt": prompt}), **more}


def tokens(prompt: int, written: int, **more) -> dict[str, int]:
    return {"input_tokens": prompt, "output_tokens": written, "total_tokens": prompt + written, **more}


def counted(usage, *, job=JOB, earlier=None):
    """Input, output, read, written to the cache, and money of what is recorded; None for nothing."""
    told = report(usage)
    word = word_of(job, told)
    call = word and call_of(job, told, word, NOW, earlier=earlier or {}, prices=PRICES)
    if call is None:
        return None
    return (
        call.input_tokens,
        call.output_tokens,
        call.cache_read_tokens,
        call.cache_write_tokens,
        call.microdollars,
    )


def test_the_sum_of_a_turn_counts_as_it_is_with_what_earlier_prompts_took():
    assert counted(said("turn", tokens(100, 20))) == (100, 20, 0, 0, 0)
    steered = said("turn", tokens(100, 20), earlier=[{"prompt": tokens(7, 3)}, "?", {"meta": {}}])
    assert counted(steered) == (107, 23, 0, 0, 0)


def test_the_last_call_alone_is_a_lower_bound_and_its_money_the_session_s():
    usage = said(
        "last_call", tokens(50, 5), usage_update={"used": 1, "cost": {"amount": 0.75, "currency": "USD"}}
    )
    assert counted(usage, earlier={"microdollars": 500_000}) == (50, 5, 0, 0, 250_000)


def test_a_session_s_sum_counts_by_what_is_new_in_it():
    earlier = {"input_tokens": 100, "output_tokens": 20}
    assert counted(said("session", tokens(130, 25)), earlier=earlier) == (30, 5, 0, 0, 0)
    assert counted(said("session", tokens(100, 20)), earlier=earlier) is None
    assert counted(said("session", tokens(90, 10)), earlier=earlier) == (90, 10, 0, 0, 0)  # it began anew


def test_what_stands_in_meta_counts_with_the_model_it_names_and_its_price():
    quota = {"token_count": {"input_tokens": 1_000_000, "output_tokens": 100_000}}
    named = {**quota, "model_usage": [{"model": "sonnet-5"}]}
    assert counted(said("meta", meta={"quota": named})) == (1_000_000, 100_000, 0, 0, 4_000_000)
    assert counted(said("meta", meta={"quota": quota})) == (1_000_000, 100_000, 0, 0, 0)
    agent = dataclasses.replace(JOB.agent, environment={"ANTHROPIC_MODEL": "sonnet-5"})
    job = dataclasses.replace(JOB, agent=agent)
    assert counted(said("meta", meta={"quota": quota}), job=job) == (1_000_000, 100_000, 0, 0, 4_000_000)


def test_a_total_gives_away_what_the_input_holds():
    apart = tokens(100, 20, cached_read_tokens=900, cached_write_tokens=50)
    apart["total_tokens"] = 1070
    assert counted(said("turn", apart)) == (100, 20, 900, 50, 0)
    within = tokens(1000, 20, cached_read_tokens=900)
    assert counted(said("turn", within)) == (100, 20, 900, 0, 0)
    thoughts = tokens(100, 20, thought_tokens=30)
    assert counted(said("turn", thoughts)) == (100, 20, 0, 0, 0)  # in the output already
    thoughts["total_tokens"] = 150
    assert counted(said("turn", thoughts)) == (100, 50, 0, 0, 0)


@pytest.mark.parametrize(
    "usage",
    [
        {},
        said("none", tokens(1, 1)),
        said("strange", tokens(1, 1)),
        said("turn"),
        said("turn", "many"),
        said("turn", {"input_tokens": -5, "output_tokens": "9"}),
        said("turn", {"input_tokens": 10**30}),
        said("meta", meta={"quota": "?"}),
        said("turn", usage_update={"cost": {"amount": float("nan"), "currency": "USD"}}),
        said("turn", usage_update={"cost": {"amount": 5, "currency": "EUR"}}),
        said("turn", usage_update={"cost": -1}),
        said("turn", earlier={"prompt": 1}),
    ],
)
def test_what_cannot_be_counts_as_nothing(usage):
    assert counted(usage) is None


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
_KEYS = (
    "input_tokens",
    "output_tokens",
    "cached_read_tokens",
    "cached_write_tokens",
    "total_tokens",
    "quota",
)


@given(
    meaning=st.sampled_from(["turn", "last_call", "session", "meta"]),
    prompt=st.dictionaries(st.sampled_from(_KEYS), _JSON, max_size=6) | _JSON,
    update=st.fixed_dictionaries({"cost": st.fixed_dictionaries({"amount": _JSON, "currency": _JSON})}),
    earlier=_JSON,
)
def test_whatever_an_agent_says_becomes_believable_figures(meaning, prompt, update, earlier):
    usage = said(meaning, prompt, meta=prompt, usage_update=update, earlier=earlier)
    figures = counted(usage)
    assert figures is None or all(0 <= each <= MOST for each in figures)


def test_of_an_agent_that_asked_the_gateway_its_word_is_not_counted():
    job = dataclasses.replace(JOB, model=ModelAccess(base_url="http://x", token="t", run_id="r"))
    assert counted(said("turn", tokens(100, 20)), job=job) is None


def test_a_turn_is_named_by_its_lease_and_takes_as_long_as_its_agent():
    turn = turn_taken(JOB, report(seconds={"agent": 1.25, "gate": 9.0}), NOW)
    assert (turn.turn_id, turn.story_id, turn.milliseconds) == ("shop-1#4", "shop-1", 1250)
    assert turn_taken(JOB, report(seconds={"gate": 9.0}), NOW) is None
    design = dataclasses.replace(JOB, epic=True)
    assert turn_taken(design, report(seconds={"agent": 1.0}), NOW).story_id is None


def test_what_is_recorded_says_whose_word_it_is():
    told = report(said("turn", tokens(100, 20)))
    call = call_of(JOB, told, word_of(JOB, told), NOW, earlier={}, prices=())
    assert (call.source, call.call_id, call.run_id) == (Source.AGENT, "word:shop-1#4", "claude:s1")
    assert session_of(JOB, dataclasses.replace(told, session_id=None)) == "shop-1#4"

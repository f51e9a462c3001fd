from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from core.domain.budget import Account, AccountLimit, Amounts, Limits, day_of
from core.gateway.accounts import Accounts
from core.gateway.contract import RunStart

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
STORY = Account(project="shop", story_id="shop-1")
PROJECT = Account(project="shop")


def limit(account: Account, tokens: int | None, spent: int = 0, turns: int = 0) -> AccountLimit:
    return AccountLimit(
        account=account, spent=Amounts(tokens=spent, turns=turns), limits=Limits(tokens=tokens, turns=3)
    )


def run(*accounts: AccountLimit, run_id: str = "r", story: str | None = "shop-1") -> RunStart:
    return RunStart(
        run_id=run_id,
        project="shop",
        story_id=story,
        phase="design",
        agent="echo",
        provider="openai",
        accounts=accounts,
    )


def spent(accounts: Accounts, run_id: str, account: Account) -> int:
    found = accounts.run(run_id)
    assert found is not None
    return next(each.spent.tokens for each in found.accounts if each.account == account)


def test_what_is_reserved_stops_the_next_call_and_what_was_taken_counts() -> None:
    accounts = Accounts()
    accounts.open(run(limit(STORY, 100)))
    assert accounts.stop("r", NOW) is None
    accounts.reserve("r", "c1", Amounts(tokens=100))
    stop = accounts.stop("r", NOW)
    assert stop is not None
    assert not stop.reached
    accounts.settle("c1", Amounts(tokens=40))
    assert accounts.stop("r", NOW) is None
    assert spent(accounts, "r", STORY) == 40


def test_an_account_that_two_runs_share_counts_both_and_is_not_begun_anew() -> None:
    accounts = Accounts()
    accounts.open(run(limit(PROJECT, 100)))
    accounts.add("r", Amounts(tokens=60))
    accounts.open(run(limit(PROJECT, 100, spent=10), run_id="other", story="shop-2"))
    assert spent(accounts, "other", PROJECT) == 60
    accounts.close("r")
    assert spent(accounts, "other", PROJECT) == 60
    accounts.close("other")
    accounts.open(run(limit(PROJECT, 100, spent=10), run_id="third"))
    assert spent(accounts, "third", PROJECT) == 10


def test_a_raise_lets_calls_go_and_never_forgets_what_was_counted() -> None:
    accounts = Accounts()
    accounts.open(run(limit(STORY, 100)))
    accounts.add("r", Amounts(tokens=100))
    stop = accounts.stop("r", NOW)
    assert stop is not None
    assert stop.reached
    accounts.set((limit(STORY, 200, spent=70, turns=2),))  # the ledger has not heard of all yet
    assert accounts.stop("r", NOW) is None
    assert spent(accounts, "r", STORY) == 100
    accounts.set((limit(STORY, 200, spent=150, turns=3),))
    stop = accounts.stop("r", NOW)
    assert stop is not None
    assert "turns" in stop.stops[0]


def test_a_day_that_is_over_stops_nobody_and_the_next_takes_its_place() -> None:
    accounts = Accounts()
    today = Account(project="shop", day=day_of(NOW, UTC))
    tomorrow = Account(project="shop", day=day_of(NOW + timedelta(days=1), UTC))
    accounts.open(run(limit(today, 10, spent=10)))
    assert accounts.stop("r", NOW) is not None
    assert accounts.stop("r", NOW + timedelta(days=1)) is None
    accounts.set((limit(tomorrow, 10, spent=10), limit(Account(project="other"), 0)))
    assert accounts.stop("r", NOW + timedelta(days=1)) is not None
    found = accounts.run("r")
    assert found is not None
    assert [each.account for each in found.accounts] == [tomorrow]


def test_another_storys_account_is_not_joined() -> None:
    accounts = Accounts()
    accounts.open(run())
    accounts.set((limit(replace(STORY, story_id="shop-2"), 0), limit(PROJECT, 5)))
    found = accounts.run("r")
    assert found is not None
    assert [each.account for each in found.accounts] == [PROJECT]

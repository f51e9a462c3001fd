from __future__ import annotations

from typing import Any, cast

from core.domain.evidence import RunState, SuiteRun
from core.worker.merging import ChainSuite
from core.worker.suite import Suite


class Counting:
    """Notes which trees were asked for; each further run is another."""

    bench = None

    def __init__(self) -> None:
        self.asked: list[str] = []

    def _run(self, tree: str) -> SuiteRun:
        self.asked.append(tree)
        number = float(len(self.asked))
        return SuiteRun(
            tree=tree, command=(), runner="x", state=RunState.COMPLETED, exit_code=0, seconds=number
        )

    async def run(self, tree: str) -> SuiteRun:
        return self._run(tree)

    async def run_again(self, tree: str, *, select: tuple[str, ...]) -> SuiteRun:
        return self._run(tree)

    def was_cached(self, tree: str) -> bool:
        return tree in self.asked


def chain() -> tuple[ChainSuite, Counting]:
    counting = Counting()
    trees = frozenset({"one", "two", "top"})
    return ChainSuite(cast(Suite, cast(Any, counting)), top="top", trees=trees), counting


async def test_every_tree_of_the_chain_is_answered_by_its_top_and_the_base_by_itself() -> None:
    suite, counting = chain()
    for tree in ("one", "base", "two"):
        await suite.run(tree)
    assert counting.asked == ["top", "base", "top"]
    assert suite.was_cached("one")
    assert not suite.was_cached("elsewhere")


async def test_a_further_look_is_made_once_for_all_stories() -> None:
    suite, counting = chain()
    looks = []
    for tree in ("one", "two", "top"):
        suite.begin()
        looks.append([await suite.run_again(tree, select=("t.py",)) for _ in range(2)])
    assert counting.asked == ["top", "top"]
    assert looks[0] == looks[1] == looks[2]
    assert looks[0][0] != looks[0][1]
    suite.begin()
    await suite.run_again("one", select=("other.py",))
    await suite.run_again("base", select=("t.py",))
    assert counting.asked == ["top", "top", "top", "base"]

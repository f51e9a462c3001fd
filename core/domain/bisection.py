"""PURE: which stories of a batch to judge next, until each is proven or refused.

The stories stand in a chain, each on top of the one before. One judgement of a chain's top counts for all of
it. When it fails, its shortest failing beginning is searched by halves: all of that but its last story are
proven, and the last one is judged alone on top of them, as if they were merged already. Those behind it go on
on what is proven by then, so the order stays.

`g` guilty ones of `n` stories cost at most `1 + g * (2 + ceil(log2 n))` judgements. The one alone is of a
tree that was judged just before, so that it needs no run of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class Bisection:
    """What is known of `stories`, ids in the order of the queue.

    `proven` go onto the main branch, in this order. Of `waiting`, on top of the proven, the first `good` are
    known to pass together and the first `bad` to fail (None: nothing is known to fail).
    """

    stories: tuple[str, ...]
    waiting: tuple[str, ...]
    proven: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    good: int = 0
    bad: int | None = None
    alone: bool = False  # the first of the waiting is the culprit of a chain: what is it by itself?

    @classmethod
    def begin(cls, stories: Sequence[str]) -> Bisection:
        return cls(stories=tuple(stories), waiting=tuple(stories))

    @property
    def question(self) -> tuple[str, ...]:
        """The stories to judge together now, on top of the proven; empty when each is decided."""
        if self.alone:
            return self.waiting[:1]
        if self.bad is None:
            return self.waiting
        return self.waiting[: (self.good + self.bad) // 2]

    @property
    def decisive(self) -> bool:
        """Whether a no to the question refuses a story: it is judged by itself, on proven ground."""
        return len(self.question) == 1 and self.good == 0

    def answered(self, passed: bool) -> Bisection:
        """What is known once the question is answered."""
        asked = len(self.question)
        if asked == 0:
            raise ValueError("Each story is decided: nothing was asked.")
        if not passed and self.decisive:
            return self._go_on(refused=(*self.refused, self.waiting[0]), waiting=self.waiting[1:])
        if passed and self.bad is None:
            return self._prove(asked)
        narrowed = replace(self, good=asked) if passed else replace(self, bad=asked)
        if narrowed.bad is not None and narrowed.bad - narrowed.good == 1:
            return replace(narrowed._prove(narrowed.good), alone=True)
        return narrowed

    def without(self, story: str) -> Bisection:
        """The story is taken out. What was judged with it in the chain is judged again."""
        stories = tuple(each for each in self.stories if each != story)
        if story in self.proven:  # refusals, too, were spoken on top of it
            return Bisection.begin(stories)
        waiting = tuple(each for each in self.waiting if each != story)
        refused = tuple(each for each in self.refused if each != story)
        gone = replace(self, stories=stories, refused=refused)
        return gone if waiting == self.waiting else gone._go_on(waiting=waiting)

    def _prove(self, count: int) -> Bisection:
        return self._go_on(proven=(*self.proven, *self.waiting[:count]), waiting=self.waiting[count:])

    def _go_on(self, **known: tuple[str, ...]) -> Bisection:
        fresh = replace(self, good=0, bad=None, alone=False)
        return replace(fresh, **known)  # type: ignore[arg-type]

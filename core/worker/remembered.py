"""What git said about objects that never change: asked by full object ids, the answer is for ever.

A phase asks the same of the same commit several times over, and each answer costs a process. Kept for a
worker's life, the least recently used go.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable, Sized
from typing import Any, TypeVar, cast

T = TypeVar("T", bound=Sized)

_OID = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_SIZE = 20_000  # items (characters, entries, changes) of all answers together: a few MB


class Remembered:
    def __init__(self, size: int = _SIZE) -> None:
        self._answers: OrderedDict[Hashable, Sized] = OrderedDict()
        self._size = size
        self._held = 0

    async def get(
        self, question: tuple[Hashable, ...], names: tuple[str, ...], ask: Callable[[], Awaitable[T]]
    ) -> T:
        """The answer to `question` about the objects `names`; asked anew where a name is no full id."""
        if not all(_OID.fullmatch(name) for name in names):
            return await ask()
        key = (*question, *names)
        if key in self._answers:
            self._answers.move_to_end(key)
            return cast(T, self._answers[key])
        answer = await ask()
        self._keep(key, answer)
        return answer

    def put(self, question: tuple[Hashable, ...], names: tuple[str, ...], answer: Sized) -> None:
        """For who knows the answer without asking."""
        self._keep((*question, *names), answer)

    def _keep(self, key: tuple[Any, ...], answer: Sized) -> None:
        if len(answer) + 1 > self._size or key in self._answers:
            return
        self._answers[key] = answer
        self._held += len(answer) + 1
        while self._held > self._size:
            _, gone = self._answers.popitem(last=False)
            self._held -= len(gone) + 1

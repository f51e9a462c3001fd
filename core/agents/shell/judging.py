"""What the rules of single programs need of the judge. PURE."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from core.agents.shell.line import Word


class Judging(Protocol):
    """A rule adds to `denied` and `asked`, or hands on the files that its program changes or runs."""

    denied: list[str]
    asked: list[str]

    def writes(
        self, targets: Sequence[Word], how: str, *, whole: bool = False, folder: bool = False
    ) -> None: ...

    def links(self, sources: Sequence[Word], target: Word) -> None: ...

    def judge_file(self, path: str, *, script: bool = False) -> None: ...

    def judge_script(self, word: Word) -> None: ...
